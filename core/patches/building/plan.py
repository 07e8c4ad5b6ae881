"""What is to be built, decided once: the source's pictures by parts, the options, and what happened to some pictures.

All of it lies in the folder of the build, so that a part can be made anywhere from that folder and the part's number.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from ...context import Context
from ...types import ConfigError, DatabaseError
from ..files import json_bytes, read_json, replace_file
from .captions import check_rule
from .kinds import open_source
from .sources import SPAN, LeftOut, SourceChoice, Span, printable

PLAN: Final = "plan.json"
VERSION: Final = 1
SHAPES: Final = ("cut", "fit")
"""What becomes of a picture that is no square: its middle is cut out, or all of it is fitted in on its ground."""

TRIES: Final = 3
"""How often a picture may end the process that reads it."""


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """How pictures become a database.

    context: how its entries are looked up, None for the usual way, or that of the database that is added to; captions:
    a name of `captions.RULES`; shape: one of SHAPES. Raises ConfigError for other values.
    """

    context: Context | None = None
    captions: str = "all"
    shape: str = "cut"

    def __post_init__(self) -> None:
        check_rule(self.captions)
        if self.shape not in SHAPES:
            raise ConfigError(f"shape: got {self.shape!r:.40}, expected {' or '.join(SHAPES)}")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be built, and into what.

    sizes: pictures in each part; left_out: what else the source holds; base: fingerprint of the database that pictures
    are added to, "" for a new one; digest: hash of all that is listed.
    """

    source: SourceChoice
    options: BuildOptions
    sizes: tuple[int, ...]
    left_out: Mapping[str, Any]
    base: str
    digest: str

    @property
    def items(self) -> int:
        """Pictures of the source."""
        return sum(self.sizes)


@dataclass(frozen=True, slots=True)
class Trouble:
    """What went wrong while a part was made: tries by what its worker was doing when it died ("read 17", "encode 0").

    given_up: numbers of pictures, each with the reason; alone: first pictures of batches that are encoded one by one.
    """

    tries: Mapping[str, int] = field(default_factory=dict)
    given_up: Mapping[int, str] = field(default_factory=dict)
    alone: frozenset[int] = frozenset()

    def after(self, doing: str, reason: str) -> Trouble:
        """What to do when a worker died once more."""
        tries = self.tries.get(doing, 0) + 1
        found = replace(self, tries={**self.tries, doing: tries})
        stage, _, number = doing.partition(" ")
        if tries < TRIES or not number.isdecimal():
            return found
        if stage == "encode":
            return replace(found, alone=self.alone | {int(number)})
        return replace(found, given_up={**self.given_up, int(number): reason})


def make_plan(
    folder: Path, source: SourceChoice, options: BuildOptions, base: str, tell: Callable[[int], None]
) -> Plan:
    """List a source into the folder of a build; ConfigError when it holds no picture. tell: how many were found."""
    place, left_out, digest = folder / "spans", LeftOut(), hashlib.sha256()
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    sizes = list[int]()
    for spans in _parts(open_source(source).spans(left_out)):
        text = "".join(json.dumps(span.as_json()) + "\n" for span in spans)
        digest.update(text.encode())
        (place / f"{len(sizes):06d}.jsonl").write_text(text, encoding="utf-8")
        sizes.append(sum(span.count for span in spans))
        tell(sum(sizes))
    if not sizes:
        found = ", ".join(f"{count:,} {reason}" for reason, count in left_out.counts.items()) or "nothing"
        raise ConfigError(f"images: got {printable(source.path)} with {found:.200}, expected at least one picture")
    plan = Plan(source, options, tuple(sizes), left_out.as_json(), base, digest.hexdigest())
    replace_file(folder / PLAN, lambda file: file.write(json_bytes({"version": VERSION, **asdict(plan)})))
    return plan


def read_plan(folder: Path) -> Plan | None:
    """The plan of a build, None before there is one; DatabaseError when it is damaged."""
    path = folder / PLAN
    if not path.exists():
        return None
    values = read_json(path)
    try:
        if values.pop("version") != VERSION:
            raise DatabaseError(f"{path}: got a build of another release, expected one of this; remove {folder}")
        listed: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in values["source"].items()}
        choice = SourceChoice(**listed)
        options = values["options"]
        context = None if options["context"] is None else Context(**options["context"])
        made = BuildOptions(**{**options, "context": context})
        return Plan(**{**values, "source": choice, "options": made, "sizes": tuple(values["sizes"])})
    except (AttributeError, KeyError, TypeError) as error:
        raise DatabaseError(f"{path}: got something else, expected the plan of a build; remove {folder}") from error


def read_spans(folder: Path, number: int) -> Iterator[Span]:
    """The pictures of a part."""
    with (folder / "spans" / f"{number:06d}.jsonl").open(encoding="utf-8") as file:
        for line in file:
            yield Span.of_json(json.loads(line))


def read_trouble(folder: Path, number: int) -> Trouble:
    """What went wrong with a part so far."""
    path = _trouble(folder, number)
    if not path.exists():
        return Trouble()
    values = read_json(path)
    given_up = {int(place): str(reason) for place, reason in values["given_up"].items()}
    return Trouble(values["tries"], given_up, frozenset(values["alone"]))


def write_trouble(folder: Path, number: int, trouble: Trouble) -> None:
    """Keep what went wrong with a part."""
    path = _trouble(folder, number)
    path.parent.mkdir(exist_ok=True)
    values = {**asdict(trouble), "alone": sorted(trouble.alone)}
    replace_file(path, lambda file: file.write(json_bytes(values)))


def part_folder(folder: Path, number: int) -> Path:
    """Where a part lies when it is whole."""
    return folder / f"part-{number:06d}"


def is_done(folder: Path, number: int) -> bool:
    """Whether a part is whole."""
    return part_folder(folder, number).is_dir()


def _trouble(folder: Path, number: int) -> Path:
    return folder / "trouble" / f"{number:06d}.json"


def _parts(spans: Iterator[Span]) -> Iterator[list[Span]]:
    """Spans by parts of at most SPAN pictures, longer ones by themselves."""
    part, count = list[Span](), 0
    for span in spans:
        if part and count + span.count > SPAN:
            yield part
            part, count = [], 0
        part.append(span)
        count += span.count
    if part:
        yield part
