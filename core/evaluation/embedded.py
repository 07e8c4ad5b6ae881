"""What is measured of the embedded models: `evaluate embedded` runs all of it and writes one report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Entry:
    """One run; options: of its suite, by their names, others as they are by default; settings: likewise."""

    suite: str
    model: str = "emoji"
    database: str = "emoji"
    options: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

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


ENTRIES = (
    Entry("likelihood", options={"count": 30, "drawn": 8}),
    Entry("swap", "novice", "none", {"new_style": "flat"}),
    Entry("generation"),
    Entry("copying", options={"weights": "0.1,0.4,0.8"}),
    Entry("retrieval"),
    Entry("latency"),
)
"""In the order of the report; all of it takes at most 40 minutes of one core."""


def _flag(name: str, value: Any) -> list[str]:
    """An option as words of a command line."""
    flag = f"--{name.replace('_', '-')}"
    if isinstance(value, bool):
        return [flag] if value else []
    return [flag, *map(str, value)] if isinstance(value, (list, tuple)) else [flag, str(value)]
