"""What an evaluation is: a subject, items of it that are measured one by one, and findings about all of them.

A suite is one file in `core/evaluation/suites/` with a class of the shape of `Suite`, and one line in the table
`SUITES` there. The harness (`harness.py`) measures its items in any order, in any number of processes, and writes each
as a row; what a suite finds (`findings`) is a pure function of the rows, so that a run that was killed and started
again says the same as one that was not.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ..backends.protocol import Backend
from ..patches.protocol import Database
from ..types import DecodeSettings
from .findings import Section

Pixels = npt.NDArray[np.uint8]
Options = Mapping[str, Any]
"""What a suite was asked on the command line beside the subject: JSON values, by the names of its own arguments."""

Figures = Mapping[str, float]
"""Measured numbers by name, such as "nats"; what could not be measured is left out, never NaN."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is evaluated: a model, a database to retrieve from (None: none), and the settings that a run draws with.

    backend_name, database_name: what they are loaded by, which links to the page and the run's record need.
    """

    backend_name: str
    backend: Backend
    database_name: str
    database: Database | None
    settings: DecodeSettings


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that is measured by itself: a held-out picture, a prompt.

    key: unique in its run, the same at every start, of [a-z0-9-] and at most 80 characters; about: JSON that says what
    it is (prompt, seed, side, image), written into its row.
    """

    key: str
    about: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Drawn:
    """A picture [H, W, 3] that was drawn for an item, and what draws it again; codes: its token grid [h, w].

    settings hold the seed; linkable: whether prompt and settings alone draw it again, so that a link may open it.
    """

    pixels: Pixels
    prompt: str
    settings: DecodeSettings
    codes: npt.NDArray[np.integer] | None = None
    linkable: bool = True


@dataclass(frozen=True, slots=True)
class Measured:
    """What one item gave, by arm: what is compared within an item, such as "model", "daid", "faid", "random".

    figures: [arm][name]; pictures: [arm], in the order of their seeds; arrays: small arrays that findings need, by
    name, kept in a file of their own; details: JSON that is kept in the row (detections, answers); unavailable: what
    could not be measured, by name, with the reason and what to fetch.
    """

    figures: Mapping[str, Figures] = field(default_factory=dict)
    pictures: Mapping[str, Sequence[Drawn]] = field(default_factory=dict)
    arrays: Mapping[str, npt.NDArray[np.generic]] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    unavailable: Mapping[str, str] = field(default_factory=dict)


class Row(Protocol):
    """An item as it was measured and read again."""

    @property
    def key(self) -> str:
        """Of the item."""
        ...

    @property
    def about(self) -> Mapping[str, Any]:
        """Of the item."""
        ...

    @property
    def figures(self) -> Mapping[str, Figures]:
        """Figures [arm][name]."""
        ...

    @property
    def details(self) -> Mapping[str, Any]:
        """As measured."""
        ...

    @property
    def unavailable(self) -> Mapping[str, str]:
        """As measured."""
        ...

    def array(self, name: str) -> npt.NDArray[np.generic]:
        """An array, read from its file now; `ConfigError` where there is none."""
        ...

    def pixels(self, arm: str) -> Sequence[Pixels]:
        """The pictures of an arm, read from their files now."""
        ...


class Work(Protocol):
    """A suite that was opened for a subject: whatever is loaded once is loaded here, and only when it is needed."""

    def items(self) -> Sequence[Item]:
        """All items, the same at every start."""
        ...

    def measure(self, item: Item) -> Measured:
        """Measure one; depends on nothing but the subject, the options and the item (clocks apart)."""
        ...


class Suite(Protocol):
    """What can be evaluated; one instance stands in the table of suites."""

    @property
    def name(self) -> str:
        """The word on the command line."""
        ...

    @property
    def help(self) -> str:
        """What is measured, in one line."""
        ...

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare its own options; their values have to be JSON (paths as texts), as they go into the run's record."""
        ...

    def open(self, subject: Subject, options: Options) -> Work:
        """Check the options (`ConfigError`) and make ready."""
        ...

    def findings(self, rows: Sequence[Row], options: Options) -> Sequence[Section]:
        """What the rows, sorted by key, say: headings, tables with intervals, plots, contact sheets.

        Needs no model. rows: at least one; of a run that is not finished, those that are there.
        """
        ...


def arms(rows: Sequence[Row]) -> Iterator[str]:
    """The arms that any row has, in the order in which they first appear."""
    return iter(dict.fromkeys(arm for row in rows for arm in row.figures))
