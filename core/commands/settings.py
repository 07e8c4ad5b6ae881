"""The options for the settings of a drawing, which several commands have."""

from __future__ import annotations

import argparse
import contextlib
from dataclasses import fields, replace
from typing import Any

from ..backends.facts import FACTS
from ..types import MEANINGS, DecodeSettings

HELP = {
    **MEANINGS,
    "neighbours": MEANINGS["n_neighbours"],
    "cfg_scale": "; ".join(
        [MEANINGS["cfg_scale"], *(f"with {name}, {FACTS[name].guidance}" for name in ("emoji", "janus"))]
    ),
}


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Declare one for each setting; they are texts, see `given`."""
    for name, default in _options():
        if isinstance(default, bool):
            parser.add_argument(_flag(name), action="store_true", help=HELP[name])
            continue
        # a help text is a format for argparse, which a lone % is not
        parser.add_argument(_flag(name), help=f"{HELP[name]} (default: {_defaults(name)})".replace("%", "%%"))


def add_page(parser: argparse._ActionsContainer) -> None:
    """Where links to pictures lead."""
    parser.add_argument(
        "--page", default="http://127.0.0.1:7860", metavar="URL", help="page that links open (default: %(default)s)"
    )


def settings(chosen: argparse.Namespace, defaults: DecodeSettings) -> DecodeSettings:
    """The settings that were chosen, others as in `defaults`."""
    return replace(defaults, **given(chosen))


def given(chosen: argparse.Namespace) -> dict[str, Any]:
    """What was chosen, by field; a text that is no number is left as it is, so that the check names what is allowed."""
    values: dict[str, Any] = {}
    for name, default in _options():
        if (said := getattr(chosen, name)) in (None, False):
            continue
        if isinstance(default, tuple):
            said = tuple(filter(None, (s.strip() for s in said.split(",")))) if isinstance(said, str) else said
        elif isinstance(said, str) and not isinstance(default, str):
            with contextlib.suppress(ValueError):
                said = type(default)(said)
        values["n_neighbours" if name == "neighbours" else name] = said
    return values


def switches() -> set[str]:
    """The options that take no value."""
    return {_flag(name) for name, default in _options() if default is False}


def _options() -> list[tuple[str, Any]]:
    """Names and defaults of the settings on the command line."""
    defaults = DecodeSettings()
    return [("neighbours" if f.name == "n_neighbours" else f.name, getattr(defaults, f.name)) for f in fields(defaults)]


def _defaults(name: str) -> str:
    """What a setting is if it is not given, for each model that says it."""
    field = "n_neighbours" if name == "neighbours" else name
    found: dict[str, list[str]] = {}
    for model, facts in FACTS.items():
        value = getattr(facts.defaults, field)
        found.setdefault((",".join(value) or "none") if isinstance(value, tuple) else str(value), []).append(model)
    if len(found) == 1:
        return next(iter(found))
    return "; ".join(f"{', '.join(models)}: {value}" for value, models in found.items())


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
