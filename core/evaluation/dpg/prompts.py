"""DPG-Bench's prompts: a folder of texts, `<item>.txt`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from ...types import ConfigError
from ..given import folder_of, read_text

OPTION: Final = "prompts"


@dataclass(frozen=True, slots=True)
class Prompt:
    """A text; item: the stem of its file, by which the table of questions names it."""

    item: str
    text: str


def read_prompts(path: str) -> dict[str, Prompt]:
    """All prompts of a folder by the key of their item, sorted; ConfigError for an empty or unreadable file."""
    files = sorted(folder_of(path, OPTION).glob("*.txt"))
    if not files:
        raise ConfigError(f"{OPTION}: got {path} without any .txt, expected DPG-Bench's dpg_prompts")
    found: dict[str, Prompt] = {}
    for file in files:
        key = re.sub("[^a-z0-9]+", "-", file.stem.lower()).strip("-")[:80]
        if not key or key in found:
            raise ConfigError(f"{OPTION}: got the file name {file.name!r:.100}, expected letters and digits of its own")
        found[key] = Prompt(file.stem, " ".join(read_text(file, OPTION).split()))
    return found
