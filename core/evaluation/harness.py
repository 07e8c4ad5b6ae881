"""Measures the items of a suite, one row each, and goes on where an earlier start ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..types import ArragError
from .job import Opened
from .record import begin
from .store import Rows, Shard, Writer, read_rows, writing
from .suite import Item


class Progress(Protocol):
    """Who watches a run."""

    def begin(self, items: int, done: int) -> None:
        """How many items there are to measure, and how many of them are done already."""
        ...

    def step(self) -> None:
        """Another one is done, or failed."""
        ...

    def tell(self, message: str) -> None:
        """Something to read."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run stands: items of its shard that are measured, and why others are not, by key."""

    done: int
    failed: dict[str, str]


def run(opened: Opened, folder: Path, shard: Shard, progress: Progress) -> Outcome:
    """Measure what is missing of a shard, in this process.

    An item that raises an ArragError is written down as failed, told, and tried again by the next run; whatever else is
    raised ends this one, and what is done is kept. ConfigError for the folder of another run.
    """
    begin(folder, opened.record)
    everything = checked(opened.work.items())
    items = shard.of_items(everything)
    with writing(folder, shard, opened.record.identity, len(everything)) as writer:
        missing = missing_of(items, rows_of(opened, folder, progress, writer), progress)
        for item in missing:
            measure(opened, item, writer, progress)
    return outcome(opened, folder, items)


def missing_of(items: list[Item], rows: Rows, progress: Progress) -> list[Item]:
    """The items that are not measured yet, which `progress` is told of."""
    missing = [item for item in items if item.key not in rows.done]
    progress.begin(len(items), len(items) - len(missing))
    return missing


def rows_of(opened: Opened, folder: Path, progress: Progress, writer: Writer) -> Rows:
    """What the folder holds already."""
    if writer.dropped:
        progress.tell("the last row was cut off, as by a kill; its item is measured again")
    return read_rows(folder, opened.record.identity)


def measure(opened: Opened, item: Item, writer: Writer, progress: Progress) -> None:
    """Measure one item and write its row, or why there is none."""
    try:
        measured = opened.work.measure(item)
    except ArragError as error:
        failed(item, str(error), writer, progress)
        return
    writer.add(item, measured)
    progress.step()


def failed(item: Item, reason: str, writer: Writer, progress: Progress) -> None:
    """Write down and tell that an item could not be measured."""
    writer.add_failed(item, reason)
    progress.tell(f"{item.key} failed: {' '.join(reason.split())}")
    progress.step()


def outcome(opened: Opened, folder: Path, items: list[Item]) -> Outcome:
    """How the folder stands with some items."""
    rows = read_rows(folder, opened.record.identity)
    reasons = {item.key: rows.failed[item.key].failed for item in items if item.key in rows.failed}
    return Outcome(sum(item.key in rows.done for item in items), reasons)


def checked(items: Sequence[Item]) -> list[Item]:
    """Items of a suite, each with a key of its own: ValueError for one that comes twice, a mistake of the suite."""
    twice = [key for key, count in Counter(item.key for item in items).items() if count > 1]
    if twice:
        raise ValueError(f"items: got the key {twice[0]!r} twice, expected every key once")
    return list(items)
