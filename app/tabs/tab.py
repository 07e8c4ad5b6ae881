"""What a tab declares of itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from core.types import ConfigError

if TYPE_CHECKING:
    from app.tabs.parts import Parts

KEYS = (*"1234567890", "")
"""In the order in which their tabs stand, which is that of the keyboard; a tab without one stands last."""


@dataclass(frozen=True, slots=True)
class Tab:
    """One tab; see `app.tabs` for how to add one.

    folder: where everything of it lies; label: its name; key: the digit that opens it, "" for none;
    tip: what it is for, in a few words; build: lays it out and wires its events; tips: what its controls are, by
    selector; files: what its scripts fetch, by the name beside them. Raises ConfigError for another key.
    """

    folder: Path
    label: str
    key: str
    tip: str
    build: Callable[[Parts], None]
    tips: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.key not in KEYS:
            raise ConfigError(f"tab {self.label!r}: got key {self.key!r}, expected a digit or nothing")

    @property
    def name(self) -> str:
        """What it is called in ids: the name of its folder."""
        return self.folder.name

    @property
    def scripts(self) -> tuple[Path, ...]:
        """Its modules."""
        return tuple(sorted(self.folder.glob("*.js")))

    @property
    def styles(self) -> tuple[Path, ...]:
        """Its style sheets."""
        return tuple(sorted(self.folder.glob("*.css")))

    @property
    def explained(self) -> Mapping[str, str]:
        """All tooltips of it by selector, its own tab's among them."""
        key = f" (key {self.key})" if self.key else ""
        return {f"#workbench [role=tab][data-tab-id={self.name}]": f"{self.tip}{key}", **self.tips}
