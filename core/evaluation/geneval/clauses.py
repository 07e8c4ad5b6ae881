"""GenEval's rules: whether what was found in a picture is what its prompt asks for. Pure functions of detections.

As the released scorer has them (github.com/djghosh13/geneval, evaluation/evaluate_images.py; Ghosh et al. 2023,
section 3): thresholds of confidence, clauses joined by AND, relations between centres of boxes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from .prompts import Clause, Prompt

CONFIDENCE, COUNTING_CONFIDENCE, COUNTING = 0.3, 0.9, "counting"
"""Objects are kept whose confidence is above this; for prompts of the tag about counting, above the second."""

MOST_KEPT: Final = 16
"""Objects of a class that are kept, the most confident ones."""

MAX_OVERLAP: Final = 1.0
"""Of two boxes of a class that overlap more (intersection over union), one is dropped; 1: none ever is."""

REDUCTION, HOLDS, NOTHING_LEFT = 0.1, 0.5, 1e-3
"""Share of both boxes' sizes that an offset is reduced by; how far beyond 0 a relation holds; what counts as none."""

Box = tuple[float, float, float, float]
"""Left, top, right and bottom, in pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """An object that a detector found; score: its confidence, 0..1; mask [H, W]: its pixels, where it tells them."""

    name: str
    score: float
    box: Box
    mask: npt.NDArray[np.bool_] | None = None


Found = Mapping[str, Sequence[Detection]]
"""What is kept of a picture, by class, the most confident first."""

Colours = Callable[[str, Sequence[Detection]], Sequence[str]]
"""The colour of each of some objects of a class in the picture that is judged."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What is wrong; kind: count, color, target (there is nothing to be placed by), position or exclude."""

    kind: str
    text: str


def kept(detections: Sequence[Detection], tag: str, max_overlap: float = MAX_OVERLAP) -> dict[str, list[Detection]]:
    """The objects that count for a prompt of that tag, by class, the most confident first."""
    least = COUNTING_CONFIDENCE if tag == COUNTING else CONFIDENCE
    found: dict[str, list[Detection]] = {}
    for one in sorted(detections, key=lambda one: -one.score):
        if one.score > least:
            found.setdefault(one.name, []).append(one)
    return {name: _apart(ones[:MOST_KEPT], max_overlap) for name, ones in found.items()}


def _apart(ones: Sequence[Detection], max_overlap: float) -> list[Detection]:
    """Without those that overlap a more confident one too much."""
    left: list[Detection] = []
    for one in ones:
        if max_overlap == 1 or all(overlap(one.box, other.box) < max_overlap for other in left):
            left.append(one)
    return left


def overlap(a: Box, b: Box) -> float:
    """Intersection over union, of boxes whose last pixels are inside, as the released scorer has it."""
    both = (max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3]))
    shared = _area(both)
    union = _area(a) + _area(b) - shared
    return shared / union if union else 0.0


def _area(box: Box) -> float:
    return max(box[2] - box[0] + 1, 0) * max(box[3] - box[1] + 1, 0)


def relations(box: Box, other: Box) -> frozenset[str]:
    """Where a box is, as seen from another one: left of, right of, above, below, or nowhere in particular.

    The offset between the centres is brought nearer to 0 on each axis by a tenth of the sum of both sizes there, and
    divided by its own length before.
    """
    offset, sizes = _between(box, other)
    left = [math.copysign(max(abs(way) - REDUCTION * size, 0.0), way) for way, size in zip(offset, sizes, strict=True)]
    if all(abs(way) < NOTHING_LEFT for way in left):
        return frozenset()
    right, down = (way / math.hypot(*offset) for way in left)
    holding = {"left of": -right, "right of": right, "above": -down, "below": down}
    return frozenset(name for name, far in holding.items() if far > HOLDS)


def _between(box: Box, other: Box) -> tuple[tuple[float, float], tuple[float, float]]:
    """Offset of the centre of a box from that of another one, and the sum of their sizes, both by axis."""
    offset = (box[0] + box[2] - other[0] - other[2]) / 2, (box[1] + box[3] - other[1] - other[3]) / 2
    sizes = abs(box[2] - box[0]) + abs(other[2] - other[0]), abs(box[3] - box[1]) + abs(other[3] - other[1])
    return offset, sizes


def judge(prompt: Prompt, found: Found, colours: Colours) -> tuple[Failure, ...]:
    """What of a prompt does not hold in a picture; a picture is right when that is nothing.

    colours is asked only where a clause names one and enough objects are there.
    """
    failures: list[Failure] = []
    groups: list[Sequence[Detection] | None] = []
    for clause in prompt.include:
        objects = list(found.get(clause.name, ()))[: clause.count]
        failure = _wrong(clause, objects, groups, colours)
        if failure:
            failures.append(failure)
        groups.append(None if failure else objects)
    for clause in prompt.exclude:
        there = len(found.get(clause.name, ()))
        if there >= clause.count:
            failures.append(Failure("exclude", f"{clause.name}: expected fewer than {clause.count}, found {there}"))
    return tuple(failures)


def _wrong(
    clause: Clause, objects: Sequence[Detection], groups: Sequence[Sequence[Detection] | None], colours: Colours
) -> Failure | None:
    """What of a clause does not hold for the objects that were found for it; groups: those of the earlier clauses."""
    if len(objects) < clause.count:
        return Failure("count", f"{clause.name}: expected {clause.count}, found {len(objects)}")
    if clause.colour:
        seen = list(colours(clause.name, objects))
        if seen.count(clause.colour) < clause.count:
            told = ", ".join(f"{seen.count(colour)} {colour}" for colour in dict.fromkeys(seen))
            return Failure("color", f"{clause.name}: expected {clause.count} {clause.colour}, found {told}")
    return _misplaced(clause, objects, groups) if clause.relation else None


def _misplaced(
    clause: Clause, objects: Sequence[Detection], groups: Sequence[Sequence[Detection] | None]
) -> Failure | None:
    """Where objects are that should be elsewhere: each of them is compared with each of the target's."""
    targets = groups[clause.target]
    if targets is None:
        return Failure("target", f"{clause.name}: there is nothing that it could be {clause.relation}")
    for one in objects:
        for target in targets:
            if clause.relation not in (found := relations(one.box, target.box)):
                told = " and ".join(sorted(found)) or "neither side"
                text = f"{clause.name}: expected {clause.relation} the {target.name}, found {told}"
                return Failure("position", text)
    return None
