"""What is compared when pictures are drawn: methods, with some retrieval weights, over the same prompts and seeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from ..types import METHODS, ConfigError, DecodeSettings
from .drawing import settings_of
from .suite import Subject


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


def arms_of(subject: Subject, methods: str, weights: str) -> dict[str, DecodeSettings]:
    """Settings by arm: each method, and with `weights` each that mixes once for every weight.

    methods: "model,daid", all possible ones for "". The arm of a weight is "daid-0.2"; a weight of 0 is the method
    without mixing, "model" or "faid". Raises ConfigError for a method that is not known or cannot be had.
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
    return found


def method_of(arm: str) -> tuple[str, float | None]:
    """The method of an arm, and its retrieval weight, None where its name has none."""
    method, _, weight = arm.partition("-")
    return method, float(weight) if weight else None


def reseeded(arms: Mapping[str, DecodeSettings], seed: int) -> Iterator[tuple[str, DecodeSettings]]:
    """The arms with another seed."""
    return ((arm, replace(settings, seed=(settings.seed + seed) % 2**32)) for arm, settings in arms.items())
