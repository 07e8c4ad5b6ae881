"""What the script of a component sends with an event, checked: a visitor can send anything."""

from __future__ import annotations

from typing import Any

import gradio as gr

from core.types import ConfigError

LONGEST = 200


def fields_of(event: gr.EventData) -> dict[str, Any]:
    """What came with an event; whatever it is, it becomes an object."""
    found = event._data
    return found if isinstance(found, dict) else {}


def text(asked: dict[str, Any], name: str) -> str:
    """A short text of an event; ConfigError for anything else."""
    value = asked.get(name)
    if not isinstance(value, str) or len(value) > LONGEST:
        raise ConfigError(f"{name}: got {value!r:.40}, expected a short text; reload the page")
    return value


def position(asked: dict[str, Any]) -> int:
    """The position of an event; ConfigError for anything that is no whole number."""
    value = asked.get("step")
    if not isinstance(value, int) or isinstance(value, bool):
        raise ConfigError(f"step: got {value!r:.40}, expected a whole number; reload the page")
    return value
