"""The command line that draws a run again."""

from __future__ import annotations

import shlex
from dataclasses import fields
from typing import Any

from app.files import file_name
from app.visits import Kept
from core.backends import EMBEDDED
from core.patches.catalogue import DATABASES
from core.types import ConfigError, DecodeSettings


def command_of(kept: Kept, defaults: DecodeSettings) -> str:
    """`python -m core generate ...` with all that differs from the defaults of the model.

    ConfigError says why no command does.
    """
    _check(kept)
    asked, settings = kept.asked, kept.trace.settings
    words = ["python", "-m", "core", "generate", "--backend", asked.model]
    words += ["--database", asked.database] if settings.retrieves else []
    for field in fields(DecodeSettings):
        value = getattr(settings, field.name)
        if value != getattr(defaults, field.name):
            words += _option(field.name, value)
    return shlex.join([*words, "--out", f"{file_name(kept)}.png", "--", kept.trace.prompt])


def _check(kept: Kept) -> None:
    """ConfigError unless the settings of a run draw it again wherever this project is."""
    trace, asked, save = kept.trace, kept.asked, "save the trace instead"
    if trace.changes or trace.given or asked.without >= 0:
        raise ConfigError(f"No command draws it again: it was changed by hand or began with an image; {save}.")
    if not trace.complete:
        raise ConfigError("No command draws it again: it was stopped before its end; go on with it first.")
    if asked.model not in EMBEDDED:
        raise ConfigError(f"No command draws it again everywhere: its model does not ship with the project; {save}.")
    if asked.settings.retrieves and asked.database not in DATABASES:
        raise ConfigError(f"No command draws it again everywhere: its database does not ship with the project; {save}.")


def _option(name: str, value: Any) -> list[str]:
    """A setting as the command line takes it: one argument, so that no value is taken for an option."""
    flag = "--neighbours" if name == "n_neighbours" else f"--{name.replace('_', '-')}"
    if isinstance(value, bool):
        return [flag] if value else []
    return [f"{flag}={','.join(value) if isinstance(value, tuple) else value}"]
