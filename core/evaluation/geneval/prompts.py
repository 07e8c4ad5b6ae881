"""GenEval's prompts: `evaluation_metadata.jsonl` as it was published, a JSON object a line."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ...types import ConfigError
from ..given import read_text

OPTION: Final = "metadata"
TAGS: Final = ("single_object", "two_object", "counting", "colors", "position", "color_attr")
COLOURS: Final = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white")
RELATIONS: Final = ("left of", "right of", "above", "below")
MOST: Final = 100
"""Objects that a clause may ask for, and clauses of a prompt."""

CLASSES: Final = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow", "elephant",
    "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard",
    "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle",
    "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange", "broccoli",
    "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch", "potted plant", "bed", "dining table", "toilet",
    "tv", "laptop", "computer mouse", "tv remote", "computer keyboard", "cell phone", "microwave", "oven", "toaster",
    "sink", "refrigerator", "book", "clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush",
)  # fmt: skip
"""The 80 classes of COCO under GenEval's names, three of which differ from COCO's."""


@dataclass(frozen=True, slots=True)
class Clause:
    """Objects that have to be there, or must not: `count` of a class.

    colour: that all of them have to have, "" for any; relation: where they have to be from the objects of the earlier
    clause number `target`, "" for anywhere.
    """

    name: str
    count: int
    colour: str = ""
    relation: str = ""
    target: int = 0


@dataclass(frozen=True, slots=True)
class Prompt:
    """A line of the file; number: of the line, from 0; line: its JSON."""

    number: int
    tag: str
    text: str
    include: tuple[Clause, ...]
    exclude: tuple[Clause, ...]
    line: str

    @property
    def names_colours(self) -> bool:
        """Whether colours have to be told to judge it."""
        return any(clause.colour for clause in self.include)


def read_prompts(path: str, classes: Collection[str] = CLASSES) -> tuple[Prompt, ...]:
    """All prompts of a file; ConfigError that names the line for anything that could not be judged as it says.

    classes: those that the detector knows.
    """
    lines = read_text(path, OPTION).split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    return tuple(_prompt(number, line.strip(), classes) for number, line in enumerate(lines))


def _prompt(number: int, line: str, classes: Collection[str]) -> Prompt:
    """A prompt from its line."""
    where = f"{OPTION}, line {number + 1}"
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        raise ConfigError(f"{where}: got {line!r:.60}, expected a JSON object") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{where}: got {line!r:.60}, expected a JSON object")
    tag, text = _text(where, values, "tag"), _text(where, values, "prompt")
    if not re.fullmatch("[a-z0-9_-]{1,40}", tag):
        raise ConfigError(f"{where}: got tag {tag!r:.60}, expected a word such as {', '.join(TAGS)}")
    include, exclude = (_clauses(where, values, name, classes) for name in ("include", "exclude"))
    if not include and not exclude:
        raise ConfigError(f"{where}: got no clause, expected include or exclude")
    return Prompt(number, tag, text, include, exclude, line)


def _clauses(where: str, values: Mapping[str, Any], kind: str, classes: Collection[str]) -> tuple[Clause, ...]:
    """The clauses of one kind."""
    given = values.get(kind, [])
    if not isinstance(given, list) or len(given) > MOST:
        raise ConfigError(f"{where}: got {given!r:.60} for {kind}, expected a list of at most {MOST} clauses")
    return tuple(
        _clause(f"{where}, {kind} {place + 1}", each, place, kind, classes) for place, each in enumerate(given)
    )


def _clause(where: str, given: object, place: int, kind: str, classes: Collection[str]) -> Clause:
    """A clause; `place`: how many stand before it."""
    allowed = {"class", "count", "color", "position"} if kind == "include" else {"class", "count"}
    if not isinstance(given, dict) or not set(given) <= allowed:
        raise ConfigError(f"{where}: got {given!r:.80}, expected an object of {', '.join(sorted(allowed))}")
    name, count = _text(where, given, "class"), given.get("count")
    if name not in classes:
        raise ConfigError(f"{where}: got class {name!r:.60}, expected one that the detector knows, such as apple")
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= MOST:
        raise ConfigError(f"{where}: got count {count!r:.40}, expected a whole number from 1 to {MOST}")
    colour = _text(where, given, "color") if "color" in given else ""
    if colour and colour not in COLOURS:
        raise ConfigError(f"{where}: got color {colour!r:.40}, expected one of {', '.join(COLOURS)}")
    relation, target = _position(where, given["position"], place) if "position" in given else ("", 0)
    return Clause(name, count, colour, relation, target)


def _position(where: str, given: object, place: int) -> tuple[str, int]:
    """Relation, and number of the clause that it is to."""
    if not isinstance(given, list) or len(given) != 2 or given[0] not in RELATIONS:
        raise ConfigError(f"{where}: got position {given!r:.60}, expected one of {', '.join(RELATIONS)} and a clause")
    target = given[1]
    if not isinstance(target, int) or isinstance(target, bool) or not 0 <= target < place:
        raise ConfigError(
            f"{where}: got position to clause {target!r:.40}, expected the number of an earlier one, from 0"
        )
    return str(given[0]), target


def _text(where: str, values: Mapping[str, Any], name: str) -> str:
    """A text that has to be there."""
    value = values.get(name)
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(f"{where}: got {value!r:.60} for {name}, expected a text")
    return value
