"""Strengths: how much of a say look-ups have, each a bundle of settings that a person can hold.

"A little" is what the evaluation chose for trained concepts (docs/results.md): it changes 2 to 9 of the 256 patches of
the example prompts. "Strong" changes 21 to 65 of them, and "Follow one picture" 48 to 163, most of them copied.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from core.types import DecodeSettings

FIELDS: Final = (
    "method", "retrieval_weight", "retrieval_temperature", "gate", "n_neighbours", "aggregate", "caption_filter",
    "position_weight",
)  # fmt: skip
"""The settings that a strength is made of."""

MEASURED: Final = ("retrieval_weight", "retrieval_temperature", "gate", "n_neighbours", "aggregate")
"""Of these, a model that names others than the usual ones is none that the strengths were measured on."""


def bundle_of(settings: DecodeSettings) -> dict[str, Any]:
    """The part of some settings that a strength is made of."""
    return {name: getattr(settings, name) for name in FIELDS}


USUAL: Final = bundle_of(DecodeSettings())


@dataclass(frozen=True, slots=True)
class Strength:
    """A strength: its name and label, what it does, and the settings that it sets; it leaves the others as they are."""

    name: str
    label: str
    meaning: str
    settings: Mapping[str, Any]


OFF: Final = Strength("off", "Off", "The model draws alone.", {"method": "model"})
LITTLE: Final = Strength("little", "A little", "Look-ups speak where a neighbour is near.", USUAL)
STRONG: Final = Strength(
    "strong", "Strong", "Look-ups speak nearly everywhere, from a few pictures that fit the prompt.",
    USUAL | {"retrieval_weight": 0.6, "retrieval_temperature": 0.2, "gate": 2.0, "caption_filter": 8,
             "position_weight": 0.3},
)  # fmt: skip
FOLLOW: Final = Strength(
    "follow", "Follow one picture", "Most is copied, patch by patch, from the picture that fits the prompt best.",
    USUAL | {"retrieval_weight": 0.75, "retrieval_temperature": 0.3, "gate": 0.0, "caption_filter": 1,
             "position_weight": 0.3},
)  # fmt: skip
STRENGTHS: Final = (OFF, LITTLE, STRONG, FOLLOW)
"""Those of the embedded models, and of models that name no look-ups of their own; the weakest first."""

CUSTOM: Final = "Custom: what is set under All is none of these."
"""What is said of settings that are of no strength."""


def strengths_of(defaults: DecodeSettings) -> tuple[Strength, ...]:
    """The strengths of a model with such settings of its own: off and on for one that none were measured on."""
    if all(getattr(defaults, name) == USUAL[name] for name in MEASURED):
        return STRENGTHS
    return (OFF, Strength("own", "On", "Look-ups as this model has them.", bundle_of(defaults)))


def offered(
    methods: Collection[str], refused: Collection[str] = (), strengths: Sequence[Strength] = STRENGTHS
) -> tuple[Strength, ...]:
    """The strengths that can be had with some methods, over a database that refuses some settings."""
    return tuple(
        strength
        for strength in strengths
        if strength.settings["method"] in methods and not (strength is FOLLOW and "caption_filter" in refused)
    )


def settings_of(strength: Strength, refused: Collection[str] = ()) -> dict[str, Any]:
    """What a strength sets, over a database that refuses some settings: those are off."""
    return {name: type(value)() if name in refused else value for name, value in strength.settings.items()}


def strength_of(
    settings: DecodeSettings, refused: Collection[str] = (), strengths: Sequence[Strength] = STRENGTHS
) -> Strength | None:
    """The strength that settings are of, None for none."""
    return next(
        (
            strength
            for strength in strengths
            if all(getattr(settings, name) == value for name, value in settings_of(strength, refused).items())
        ),
        None,
    )
