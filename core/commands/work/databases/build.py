"""Build a database from pictures, with a bar while it takes, and a report in the end."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from tqdm import tqdm

from ....backends import ModelSource
from ....context import Context
from ....patches.building.build import Built, build
from ....patches.building.executor import Executor, ModelChoice, Processes
from ....patches.building.plan import BuildOptions
from ....patches.building.report import REPORT
from ....patches.building.sources import SourceChoice
from ....patches.remote.links import scale
from ....patches.segments.database import SegmentedDatabase
from ....types import ConfigError
from .info import segmented


def run(chosen: argparse.Namespace) -> int:
    """See `core.commands.databases.build` for what is chosen."""
    for name, given in (("images", chosen.images), ("out", chosen.out)):
        if not given:
            raise ConfigError(f"{name}: got nothing, expected a folder; give --{name}")
    options = BuildOptions(_context(chosen), chosen.captions, chosen.shape)
    try:
        with Bars() as bars:
            built = build(_executor(chosen), _source(chosen), chosen.out, options, chosen.append, bars)
    except KeyboardInterrupt:
        raise ConfigError("interrupted; the same command goes on where it was") from None
    _tell(built, chosen)
    return 0


class Bars:
    """What is being done, how fast, and how long it will take, on stderr; see `building.progress.Progress`."""

    def __init__(self) -> None:
        self._bar: tqdm[Any] | None = None

    def __enter__(self) -> Bars:
        return self

    def begin(self, doing: str, total: int | None, done: int = 0) -> None:
        """Something new."""
        self._end()
        self._bar = None
        brief = doing in ("load", "index")
        if brief and not sys.stderr.isatty():  # nothing to count; a mistake stays the only line of a log
            return
        form = "{desc}" if brief else None
        self._bar = tqdm(
            desc=doing, total=total, initial=done, unit=" pictures", smoothing=0.1, bar_format=form, leave=not brief
        )

    def at(self, done: int) -> None:
        """So many pictures are done."""
        if self._bar is not None:
            self._bar.update(done - self._bar.n)

    def _end(self) -> None:
        if self._bar is not None:
            self._bar.close()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._end()


def _tell(built: Built, chosen: argparse.Namespace) -> None:
    """Some lines for people on stderr, and one for programs on stdout."""
    lines = built.report.lines()
    if built.was_there:
        lines.insert(0, "built already, of the same pictures; nothing was done")
    sys.stderr.write("".join(f"{line}\n" for line in [*lines, f"all names are in {chosen.out / REPORT}"]))
    made = segmented(SegmentedDatabase.open(chosen.out))
    print(json.dumps({"out": str(chosen.out), "built": not built.was_there, **made, "report": built.report.counts}))


def _executor(chosen: argparse.Namespace) -> Executor:
    """Who encodes."""
    source = ModelSource(chosen.model, chosen.faid, chosen.device, chosen.dtype)
    model = ModelChoice(chosen.backend, source)
    if chosen.ray is not None:
        pool: Executor = scale("pool").RayPool(model, chosen.workers, chosen.ray)
        return pool
    return Processes(model, chosen.workers)


def _source(chosen: argparse.Namespace) -> SourceChoice:
    first, *more = chosen.images
    return SourceChoice(
        first, tuple(more), chosen.kind, _patterns(chosen.include), _patterns(chosen.exclude),
        chosen.image_column, chosen.caption_column,
    )  # fmt: skip


def _patterns(texts: Sequence[str]) -> tuple[str, ...]:
    """Patterns that are given one by one or with commas between them."""
    return tuple(pattern for text in texts for pattern in text.split(",") if pattern)


def _context(chosen: argparse.Namespace) -> Context | None:
    """The context that was asked for, None when nothing was."""
    if chosen.radius is None and chosen.border is None:
        return None
    usual = Context()
    return Context(chosen.radius or usual.radius, chosen.border or usual.border)
