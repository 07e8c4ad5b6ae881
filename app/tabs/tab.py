"""What a tab declares of itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from core.types import ConfigError

if TYPE_CHECKING:
    from app.tabs.parts import Parts


@dataclass(frozen=True, slots=True)
class Tab:
    """One tab; see `app.tabs` for how to add one.

    folder: where everything of it lies; label: its name in English; key: the digit that opens it; tip: what it is for,
    in a few words; build: lays it out and wires its events; tips: what its controls are, by selector; words: the German
    of its labels by their English. Raises ConfigError for a key that is no digit from 1 to 9.
    """

    folder: Path
    label: str
    key: str
    tip: str
    build: Callable[[Parts], None]
    tips: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.key not in tuple("123456789"):
            raise ConfigError(f"tab {self.label!r}: got key {self.key!r}, expected a digit from 1 to 9")

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
        return {f"#workbench [role=tab][data-tab-id={self.name}]": f"{self.tip} (key {self.key})", **self.tips}
