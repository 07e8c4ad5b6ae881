"""What is measured of the embedded models: `evaluate embedded` runs all of it and writes one report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..backends.emoji.backend import CONTROL


@dataclass(frozen=True, slots=True)
class Entry:
    """One run; options: of its suite, by their names, others as they are by default; settings: likewise.

    compares: whether it also draws with what the validation pictures of `LIKELIHOOD` choose.
    """

    suite: str
    model: str = "emoji"
    database: str = "emoji"
    options: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    compares: bool = False

    @property
    def name(self) -> str:
        """The folder of the run."""
        return f"{self.suite}-{self.model}-{self.database}"

    @property
    def words(self) -> list[str]:
        """What is said behind `evaluate run`."""
        chosen = {**self.options, **self.settings}
        chosen = {("neighbours" if name == "n_neighbours" else name): value for name, value in chosen.items()}
        flags = [word for name, value in chosen.items() for word in _flag(name, value)]
        return [self.suite, "--backend", self.model, "--database", self.database, *flags]


def with_arm(entry: Entry, arm: str) -> Entry:
    """An entry that also draws an arm of one's own."""
    return replace(entry, options={**entry.options, "arms": [arm]})


def with_control(entry: Entry) -> Entry:
    """An entry that is compared with the control, where somebody has trained it."""
    if not CONTROL.is_dir():
        return entry
    package = (__package__ or "").removesuffix(".evaluation")
    return replace(entry, options={**entry.options, "control": f"{package}.backends.emoji.backend:load_control"})


LIKELIHOOD = with_control(Entry("likelihood", options={"count": 30, "drawn": 8}))

ENTRIES = (
    LIKELIHOOD,
    Entry("swap", "novice", "none", {"new_style": "flat"}),
    Entry("generation", compares=True),
    Entry("copying", options={"weights": "0.1,0.4,0.8"}, compares=True),
    Entry("retrieval"),
    Entry("latency"),
)
"""In the order of the report; the first one chooses what others draw with, too."""


def _flag(name: str, value: Any) -> list[str]:
    """An option as words of a command line."""
    flag = f"--{name.replace('_', '-')}"
    if isinstance(value, bool):
        return [flag] if value else []
    return [flag, *map(str, value)] if isinstance(value, (list, tuple)) else [flag, str(value)]
