"""Where the files of a model are: in a folder, or in a repository of the Hugging Face hub.

Of a repository comes first what describes the model, then, when that is known to be one, the files that hold weights
which are loaded. Both are of one commit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from huggingface_hub import HfApi, snapshot_download

from ...inputs.hub import why
from ...types import CheckpointError, ConfigError
from .weights import files_listed, of_one_kind

EXAMPLE: Final = "deepseek-ai/Janus-Pro-1B"

DESCRIPTIONS: Final = [
    "config.json", "*.index.json", "adapter_config.json", "tokenizer.json", "tokenizer_config.json",
    "special_tokens_map.json", "added_tokens.json", "processor_config.json", "chat_template.json",
    "chat_template.jinja",
]  # fmt: skip
"""What is read before any weights are."""

SUBFOLDERS: Final = ["*/*"]
"""Of which nothing is read."""

REPOSITORY: Final = re.compile(r"([\w-][\w.-]*/[\w.-]+)(?:@(\w[\w./-]*))?", re.ASCII)


def fetch(source: str) -> Path:
    """The folder of a model, without the weights of a repository that are not in the cache.

    source: a folder, OWNER/NAME, or OWNER/NAME@REVISION, where the revision is a branch, a tag or a commit. Raises
    ConfigError for anything else, CheckpointError for what cannot be had.
    """
    if Path(source).is_dir():
        return Path(source)
    name, revision = _parsed(source)
    with _told(source):
        return Path(snapshot_download(name, revision=revision, allow_patterns=DESCRIPTIONS, ignore_patterns=SUBFOLDERS))


def fetch_weights(source: str, folder: Path) -> None:
    """Add to the folder, which `fetch` gave for a source, the files of weights that are loaded and not yet there."""
    if Path(source).is_dir():
        return
    name, _ = _parsed(source)
    commit = folder.name
    with _told(source):
        files = files_listed(folder) or _files_of(name, commit, folder)
        if not files:
            raise CheckpointError(f"{source}: got no *.safetensors or *.bin file, expected weights; check the name")
        snapshot_download(name, revision=commit, allow_patterns=files, ignore_patterns=SUBFOLDERS)


def _parsed(source: str) -> tuple[str, str | None]:
    """Name and revision of a repository; ConfigError for what cannot be one."""
    if Path(source).is_file():
        raise ConfigError(f"model: got the file {source!r:.120}, expected the folder that it is in")
    parts = REPOSITORY.fullmatch(source)
    if parts is None:
        expected = f"expected a folder, or a repository such as {EXAMPLE}, with @ and a revision if need be"
        raise ConfigError(f"model: got {source!r:.120}, {expected}")
    return parts[1], parts[2]


def _files_of(name: str, commit: str, folder: Path) -> list[str]:
    """The weight files of a repository without an index; where it cannot be asked, those in the cache."""
    try:
        return of_one_kind(HfApi().list_repo_files(name, revision=commit))
    except Exception:
        if held := of_one_kind([file.name for file in folder.iterdir()]):
            return held
        raise


@contextmanager
def _told(source: str) -> Iterator[None]:
    """Inside, what the hub's client raises becomes a CheckpointError of one line that says why."""
    try:
        yield
    except CheckpointError:
        raise
    except Exception as error:  # the client's own, those of the library that it asks with, and the system's
        reason, remedy = why(error, "repository", "a model")
        got = f"{source}: not a folder, and cannot be downloaded ({reason})"
        raise CheckpointError(f"{got}; {remedy}") from None
