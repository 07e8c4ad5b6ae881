"""What is compared when pictures are drawn: methods, with some retrieval weights, over the same prompts and seeds."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, Final

from ..types import METHODS, ConfigError, DecodeSettings
from .drawing import settings_of
from .suite import Subject

ARM: Final = re.compile("[a-z][a-z0-9]{0,19}")
TAKEN: Final = (*METHODS, "real", "reconstruction", "database", "reference", "member")
"""Names that rows have for something else."""

NUMBERS: Final[Mapping[str, type[int] | type[float]]] = {
    f.name: int if isinstance(f.default, int) else float
    for f in fields(DecodeSettings)
    if isinstance(f.default, (int, float)) and not isinstance(f.default, bool)
}
"""The settings that are numbers."""


def possible_methods(subject: Subject) -> tuple[str, ...]:
    """All that the subject can draw with, the model alone first."""
    blends = subject.backend.faid is not None
    return tuple(
        name
        for name, method in METHODS.items()
        if name == "model" or (subject.database is not None and (blends or not method.blends))
    )


def weights_of(text: str) -> tuple[float, ...]:
    """Retrieval weights from a list such as "0.05,0.2"; ConfigError for what is none."""
    try:
        found = tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError:
        found = (-1.0,)
    if not all(0 < weight <= 1 for weight in found):
        raise ConfigError(f"weights: got {text!r:.80}, expected numbers above 0 and up to 1 such as 0.05,0.2")
    return tuple(dict.fromkeys(found))


def add_arms(parser: argparse.ArgumentParser) -> None:
    """The option for arms of one's own."""
    parser.add_argument(
        "--arms", nargs="+", default=[], metavar="NAME=METHOD,SETTING=VALUE",
        help="more to draw: a method with settings of its own, others as in the run, such as "
        "far=daid,gate=0,n_neighbours=1024; compared with that method as the run sets it",
    )  # fmt: skip


def own_arms(texts: Sequence[str]) -> dict[str, tuple[str, dict[str, Any]]]:
    """Method and changed settings by arm, of texts such as "far=daid,gate=0"; ConfigError for what is none."""
    found: dict[str, tuple[str, dict[str, Any]]] = {}
    for text in texts:
        name, _, said = text.partition("=")
        method, *parts = (part.strip() for part in said.split(","))
        if not ARM.fullmatch(name) or name in TAKEN or name in found or method not in METHODS:
            expected = "expected NAME=METHOD,SETTING=VALUE with a new name of small letters and digits"
            raise ConfigError(f"arms: got {text!r:.80}, {expected} and one of {', '.join(METHODS)}")
        found[name] = method, dict(_setting(part, text) for part in parts)
    return found


def arm_text(name: str, method: str, changed: Mapping[str, Any]) -> str:
    """As `own_arms` reads it."""
    return f"{name}={','.join([method, *(f'{field}={value}' for field, value in changed.items())])}"


def _setting(part: str, text: str) -> tuple[str, Any]:
    """Name and value of a setting that is no list."""
    field, _, value = part.partition("=")
    if field not in {f.name for f in fields(DecodeSettings)} - {"seed", "method", "styles", "record_unblended"}:
        raise ConfigError(f"arms: got the setting {field!r:.40} in {text!r:.80}, expected one such as retrieval_weight")
    try:
        return field, NUMBERS[field](value) if field in NUMBERS else value
    except ValueError:
        raise ConfigError(f"arms: got {part!r:.40} in {text!r:.80}, expected a number") from None


def arms_of(subject: Subject, methods: str, weights: str, own: Sequence[str] = ()) -> dict[str, DecodeSettings]:
    """Settings by arm: each method, with `weights` each that mixes once for every weight, and arms of one's own.

    methods: "model,daid", all possible ones for "". The arm of a weight is "daid-0.2"; a weight of 0 is the method
    without mixing, "model" or "faid". own: see `own_arms`. Raises ConfigError for a method that is not known or cannot
    be had.
    """
    named = tuple(dict.fromkeys(filter(None, (part.strip() for part in methods.split(",")))))
    if unknown := sorted(set(named) - set(METHODS)):
        raise ConfigError(f"methods: got {', '.join(unknown)}, expected some of {', '.join(METHODS)}")
    many = weights_of(weights)
    found: dict[str, DecodeSettings] = {}
    for method, settings in settings_of(subject, named or possible_methods(subject)).items():
        if not METHODS[method].mix or not many:
            found[method] = settings
            continue
        found |= {f"{method}-{weight:g}": replace(settings, retrieval_weight=weight) for weight in many}
    for name, (method, changed) in own_arms(own).items():
        found[name] = replace(settings_of(subject, (method,))[method], **changed)
    return found


def compared(subject: Subject, arms: Mapping[str, DecodeSettings], own: Sequence[str]) -> dict[str, dict[str, str]]:
    """What arms of one's own are compared with, as JSON: by name the arm of its method as the run sets it, and changes.

    Those whose method is not drawn as set are left out.
    """
    found: dict[str, dict[str, str]] = {}
    for name, (method, changed) in own_arms(own).items():
        settings = replace(subject.settings, method=method)
        if like := next((arm for arm, one in arms.items() if arm != name and one == settings), ""):
            found[name] = {"as_set": like, "changes": ", ".join(f"{field} {value}" for field, value in changed.items())}
    return found


def method_of(arm: str) -> tuple[str, float | None]:
    """The method of an arm, and its retrieval weight, None where its name has none."""
    method, _, weight = arm.partition("-")
    return method, float(weight) if weight else None


def reseeded(arms: Mapping[str, DecodeSettings], seed: int) -> Iterator[tuple[str, DecodeSettings]]:
    """The arms with another seed."""
    return ((arm, replace(settings, seed=(settings.seed + seed) % 2**32)) for arm, settings in arms.items())
