"""What the page offers to begin with, from assets/examples.json."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.views import Asked
from core.assets import ASSETS
from core.types import ConfigError, DecodeSettings

FOLDER = ASSETS / "examples"
FILE = FOLDER.with_suffix(".json")


@dataclass(frozen=True, slots=True)
class Tile:
    """A run that a visitor can start with one click, and what came out of it when it was recorded."""

    label: str
    picture: Path
    prompt: str
    asked: Asked


@dataclass(frozen=True, slots=True)
class Examples:
    """Prompts for the chips; swap: runs that differ in the database; own: runs without and with `brought`, pictures."""

    prompts: tuple[str, ...]
    swap: tuple[Tile, ...]
    own: tuple[Tile, ...]
    brought: tuple[Path, ...]


def examples() -> Examples:
    """All of them; ConfigError when their file is missing or damaged."""
    try:
        found = json.loads(FILE.read_text(encoding="utf-8"))
        brought = sorted((FOLDER / found["own"]["folder"]).glob("*.png"))
        return Examples(tuple(found["prompts"]), _tiles(found["swap"]), _tiles(found["own"]["tiles"]), tuple(brought))
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ConfigError(f"{FILE}: got {error!r:.120}, expected what the page offers; restore it") from None


def _tiles(rows: Sequence[Mapping[str, Any]]) -> tuple[Tile, ...]:
    """Tiles from their JSON."""
    return tuple(
        Tile(
            row["label"],
            FOLDER / row["picture"],
            row["prompt"],
            Asked(row["model"], row["database"], DecodeSettings.from_json(row["settings"])),
        )
        for row in rows
    )
