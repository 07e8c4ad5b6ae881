"""What may be said behind `generate`: a prompt, a model, a database and every setting."""

from __future__ import annotations

import argparse
import contextlib
import re
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from ..backends.facts import FACTS
from ..types import MEANINGS, DecodeSettings
from .command import Command, later
from .model import DATABASES, add_model

INSIDE = "--inside"
HELP = {
    **MEANINGS,
    "neighbours": MEANINGS["n_neighbours"],
    "cfg_scale": "; ".join(
        [MEANINGS["cfg_scale"], *(f"with {name}, {FACTS[name].guidance}" for name in ("emoji", "janus"))]
    ),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare them; the settings are texts, see `settings`."""
    parser.add_argument("prompt", help="what to draw; one that begins with two hyphens stands behind --")
    add_model(parser)
    parser.add_argument("--database", default="emoji", help=DATABASES)
    for name, default in _options():
        if isinstance(default, bool):
            parser.add_argument(_flag(name), action="store_true", help=HELP[name])
            continue
        # a help text is a format for argparse, which a lone % is not
        parser.add_argument(_flag(name), help=f"{HELP[name]} (default: {_defaults(name)})".replace("%", "%%"))
    parser.add_argument("--out", type=Path, default=Path("out.png"), help="picture to write")
    parser.add_argument("--trace", type=Path, help="trace to write, .npz")
    parser.add_argument(INSIDE, action="store_true", help="keep in the trace what the model looked at, and its lens")


def settings(chosen: argparse.Namespace, defaults: DecodeSettings) -> DecodeSettings:
    """The settings; a text that is no number is left as it is, so that the check names what is allowed."""
    values: dict[str, Any] = {}
    for name, default in _options():
        if (given := getattr(chosen, name)) in (None, False):
            continue
        if isinstance(default, tuple):
            given = tuple(filter(None, (s.strip() for s in given.split(",")))) if isinstance(given, str) else given
        elif isinstance(given, str) and not isinstance(default, str):
            with contextlib.suppress(ValueError):
                given = type(default)(given)
        values["n_neighbours" if name == "neighbours" else name] = given
    return replace(defaults, **values)


def prompt_behind(arguments: Sequence[str]) -> list[str]:
    """The arguments of `generate` with a prompt like "-heart" behind "--", where argparse takes it for no option."""
    given, flags = list(arguments), {INSIDE, *(_flag(name) for name, default in _options() if default is False)}
    if given[:1] != [GENERATE.name] or "--" in given:
        return given
    takes_next = [text.startswith("--") and "=" not in text and text not in flags for text in given]
    prompts = [
        place for place, text in enumerate(given)
        if re.match("-[^-]", text) and text not in ("-h", "-help") and not takes_next[place - 1]
    ]  # fmt: skip
    others = [text for place, text in enumerate(given) if place not in prompts]
    return [*others, "--", *(given[place] for place in prompts)] if prompts else given


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


GENERATE = Command("generate", "draw one picture", add_arguments, later(".work.generate"))
