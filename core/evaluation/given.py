"""What a benchmark is given by path: texts, pictures in folders, and those that a run of it drew before."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from ..inputs.formats import PictureError
from ..inputs.picture import open_picture
from ..types import ConfigError
from .suite import Pixels

LARGEST_TEXT: Final = 256 << 20
LARGEST_PICTURE: Final = 64 << 20
SIDE: Final = 4096
"""Pictures are read at their own size up to four times this."""

Shot = Pixels | str
"""A picture [H, W, 3], or why there is none."""


def read_text(path: str | Path, option: str) -> str:
    """A text file in UTF-8, with or without a mark at its begin; ConfigError for what is none, or is empty."""
    place = Path(path)
    try:
        if place.stat().st_size > LARGEST_TEXT:
            raise ConfigError(f"{option}: got {place} of more than {LARGEST_TEXT >> 20} MB, expected a smaller file")
        text = place.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not in UTF-8"
        raise ConfigError(f"{option}: got {place}, which cannot be read ({reason}); expected a text file") from None
    if not text.strip():
        raise ConfigError(f"{option}: got {place}, which is empty; expected the file as it was published")
    return text


def read_shot(path: Path) -> Shot:
    """A picture from a file, upright and in sRGB, or the reason why it is none."""
    try:
        if path.stat().st_size > LARGEST_PICTURE:
            return f"{path.name}: it is larger than {LARGEST_PICTURE >> 20} MB"
        return np.asarray(open_picture(path.read_bytes(), path.name, SIDE).image, np.uint8)
    except OSError as error:
        return f"{path.name}: {error.strerror or error}"
    except PictureError as error:
        return str(error)


def folder_of(path: str, option: str) -> Path:
    """A folder that is there; ConfigError if it is not."""
    place = Path(path)
    if not place.is_dir():
        raise ConfigError(f"{option}: got {place}, which is no folder; expected one of pictures")
    return place


def arm_of(folder: Path) -> str:
    """What pictures of a folder are called in the report: its name, as far as an arm's name can hold it."""
    return re.sub("[^A-Za-z0-9+_-]+", "-", folder.resolve().name).strip("-")[-40:] or "pictures"


def is_run(folder: Path) -> bool:
    """Whether it is the folder of an evaluation's run, with the pictures that it drew."""
    return (folder / "run.json").is_file()


class RunPictures:
    """The pictures of one arm of a run: `pictures/KEY/ARM-N.png`."""

    def __init__(self, folder: Path, arm: str) -> None:
        self._folder, self._arm = folder, arm

    def shot(self, key: str, n: int) -> Shot:
        """The n-th picture of an item."""
        return read_shot(self._folder / "pictures" / key / f"{self._arm}-{n}.png")


def run_arms(folder: Path, option: str, suite: str, prompts: Mapping[str, str]) -> dict[str, RunPictures]:
    """The arms of a run of `suite`; ConfigError for one of another suite, or of other prompts (by key) than these."""
    try:
        record = json.loads(read_text(folder / "run.json", option))
        if record["suite"] != suite:
            raise ConfigError(f"{option}: got {folder}, a run of {record['suite']}; expected one of {suite}")
        rows = [row for path in sorted(folder.glob("rows-*.jsonl")) for row in _rows(path)]
        drawn = {str(row["key"]): (str(row["about"]["prompt"]), tuple(row["pictures"])) for row in rows}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise ConfigError(f"{option}: got {folder}, a damaged run; expected run.json and rows as written") from None
    if others := [key for key, (prompt, _) in drawn.items() if prompts.get(key, prompt) != prompt]:
        raise ConfigError(
            f"{option}: got {folder}, a run of other prompts (item {others[0]:.80}); expected of the same"
        )
    arms = dict.fromkeys(arm for _, named in drawn.values() for arm in named)
    if not arms:
        raise ConfigError(f"{option}: got {folder}, a run without pictures; expected some")
    return {arm: RunPictures(folder, arm) for arm in arms}


def _rows(path: Path) -> list[Any]:
    """Rows of a file with pictures; what stands behind the last line's end was cut off."""
    lines = path.read_bytes().split(b"\n")[:-1]
    return [row for row in map(json.loads, lines) if "pictures" in row]


def spread(count: int, wanted: int) -> Sequence[int]:
    """`wanted` of `count` numbers, evenly apart; all of them for 0."""
    if wanted <= 0 or wanted >= count:
        return range(count)
    return [n * count // wanted for n in range(wanted)]
