"""What pictures are asked for: the captions of a database, held-out colours of them, or lines of a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..patches.database import PatchDatabase
from ..patches.protocol import Database
from ..training.colour import VARIANTS
from ..training.data import colour_held_out
from ..types import ConfigError
from .given import read_text
from .held import prompt_of
from .identify import Subject, drawn, for_tuning, is_coloured

LONGEST = 1000
"""Letters of a prompt in a file."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One picture that is asked for.

    concept, style, colour: what it is to show, as far as that is known; image: its own in the database, -1 for none.
    """

    prompt: str
    concept: str = ""
    style: str = ""
    colour: str = ""
    image: int = -1

    @property
    def kept(self) -> dict[str, Any]:
        """As an item keeps it."""
        return {"prompt": self.prompt, "concept": self.concept, "style": self.style, "colour": self.colour}


def captions_of(database: Database, count: int) -> list[Wanted]:
    """`count` images by their captions, as many of every style as of any other; the same at every call.

    Concepts that choose settings are left out (`identify.for_tuning`). ConfigError for a database without captions.
    """
    if not database.knows_images:
        raise ConfigError("prompts: got a database that knows no captions, expected one that does; give --prompts FILE")
    by_subject: dict[Subject, Wanted] = {}
    for image in database.images.tolist():
        info = database.image_info(image)
        if info.caption.strip() and not for_tuning(info.caption):
            wanted = Wanted(prompt_of(info), info.caption, info.style, "", image)
            by_subject.setdefault(Subject(info.caption, info.style), wanted)
    if not by_subject:
        raise ConfigError("prompts: got a database without captions, expected some; give --prompts FILE")
    return [by_subject[subject] for subject in drawn(list(by_subject), count)]


def coloured(database: PatchDatabase, count: int) -> list[Wanted]:
    """`count` concepts in a colour that the embedded models have not seen them in, of pictures that have one hue."""
    subjects = [
        Subject(info.caption, info.style, colour)
        for info in (database.metadata[image] for image in database.images.tolist())
        for colour in VARIANTS
        if not for_tuning(info.caption) and colour_held_out(info.caption, colour) and "heart" not in info.caption
    ]
    found: list[Wanted] = []
    for subject in drawn(subjects, len(subjects)):
        if len(found) >= count:
            break
        if is_coloured(database, subject):
            found.append(Wanted(subject.prompt, subject.concept, subject.style, subject.colour))
    return found


def in_file(path: str, count: int) -> list[Wanted]:
    """The first `count` prompts of a text file, one a line; empty lines are left out."""
    lines = [line.strip() for line in read_text(path, "prompts").splitlines()]
    if long := [number for number, line in enumerate(lines, start=1) if len(line) > LONGEST]:
        raise ConfigError(f"prompts: got more than {LONGEST} letters in line {long[0]} of {path}; make it shorter")
    return [Wanted(line) for line in lines if line][:count]


def from_kept(values: Sequence[Any]) -> list[Wanted]:
    """As items keep them."""
    return [Wanted(str(v["prompt"]), str(v["concept"]), str(v["style"]), str(v["colour"])) for v in values]
