"""The folder of a Gradio Space: what serving needs of a checkout, and what the Hub reads."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from app import pictures
from app.gallery.page import framed
from app.space.card import ATTRIBUTES, Card
from core.types import ConfigError

ROOT: Final = Path(__file__).parents[2]
LARGEST: Final = 10_000_000
"""Bytes of one file: what hosts take of plain ones."""

NEEDED: Final = ("app.py", "LICENSE", "app", "core", "assets")
NOT_NEEDED: Final = ("app/gallery", "app/space", "app/record.py", "core/training", "core/evaluation")
"""What makes files, measures, or publishes, and never runs in a server."""

TILES: Final = ("alone.webp", "seen.webp", "unseen.webp")


def build(folder: Path, card: Card) -> int:
    """Write the folder, in the place of a former one; its size in bytes.

    What git keeps there stays. Raises ConfigError for a folder of other things, and for files that are too large.
    """
    check(folder)
    for old in folder.iterdir() if folder.is_dir() else ():
        if old.name != ".git":
            shutil.rmtree(old) if old.is_dir() else old.unlink()
    folder.mkdir(parents=True, exist_ok=True)
    for file in needed():
        there = folder / file.relative_to(ROOT)
        there.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, there)
    ours, janus = (lines_of(ROOT / name) for name in ("requirements.txt", "requirements-janus.txt"))
    texts = {
        "README.md": card.readme(),
        "requirements.txt": card.requirements(ours, janus),
        ".gitattributes": ATTRIBUTES,
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "thumbnail.png").write_bytes(thumbnail())
    return size_of(folder)


def check(folder: Path) -> None:
    """ConfigError where something else than a Space would be written over, and where there is nothing to write."""
    if not (ROOT / "app.py").exists():
        raise ConfigError("space: got an installed package, expected a checkout; run it in one")
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder}: got a file, expected a folder; choose another one")
    others = {file.name for file in folder.iterdir()} - {".git"} if folder.is_dir() else set()
    fresh = others <= {"README.md", ".gitattributes"}  # what the Hub puts into a new Space
    if not fresh and not {"app.py", "assets", "thumbnail.png"} <= others:
        raise ConfigError(f"{folder}: got a folder of other things, expected an empty one, or a Space; choose another")


def needed() -> Iterator[Path]:
    """The files of the checkout that a server needs."""
    left = [ROOT / name for name in NOT_NEEDED]
    for name in NEEDED:
        for file in sorted((ROOT / name).rglob("*")) if (ROOT / name).is_dir() else [ROOT / name]:
            kept = file.is_file() and file.suffix not in (".pyc", ".pyi") and file.parent.name != "__pycache__"
            if kept and not any(file == one or one in file.parents for one in left):
                yield file


def thumbnail() -> bytes:
    """What other sites show: the example of the first screen, drawn alone, with what was seen, with what was not."""
    folder = ROOT / "assets" / "examples"
    drawn = np.stack([pictures.decoded((folder / name).read_bytes()) for name in TILES])
    return framed(pictures.table_of(drawn, len(TILES)))


def size_of(folder: Path) -> int:
    """Bytes of all files; ConfigError where one of them is too large."""
    sizes = {file: file.stat().st_size for file in folder.rglob("*") if file.is_file() and ".git" not in file.parts}
    file, most = max(sizes.items(), key=lambda pair: pair[1])
    if most > LARGEST:
        raise ConfigError(f"{file.name}: got {most} bytes, expected {LARGEST} at most; split it")
    return sum(sizes.values())


def lines_of(file: Path) -> list[str]:
    """The lines of a text file."""
    return file.read_text(encoding="utf-8").splitlines()
