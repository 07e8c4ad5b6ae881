"""A database fetched from a dataset repository of the hub: into the client's cache, or into a folder of one's own.

The manifest comes first, then the files that it lists, all of one commit. What had arrived is not fetched again.
"""

from __future__ import annotations

import shutil
from functools import lru_cache
from pathlib import Path
from typing import Final

from huggingface_hub import constants, hf_hub_download, snapshot_download

from ...types import DatabaseError
from ..files import MANIFEST
from .contents import files_of_database
from .names import Repository
from .telling import told

KIND: Final = "dataset"
DOING: Final = "cannot be downloaded"


def fetch_manifest(source: Repository) -> Path:
    """The folder in the cache that holds the manifest of a database, and what else of it was fetched before.

    The commit that a revision was at first stays the same for this process. Raises DatabaseError with the reason.
    """
    return _manifest_folder(source, constants.HF_HUB_CACHE)


@lru_cache(maxsize=64)
def _manifest_folder(source: Repository, cache: str) -> Path:
    """The same for a folder of the client's cache."""
    with told(source, DOING):
        found = hf_hub_download(source.name, MANIFEST, repo_type=KIND, revision=source.revision, cache_dir=cache)
    return Path(found).parent


def fetch(source: Repository) -> Path:
    """The folder in the cache that holds a whole database, fetched as far as it was not there."""
    folder = fetch_manifest(source)
    names = files_of_database(folder)
    if all((folder / name).is_file() for name in names):
        return folder
    with told(source, DOING):
        return Path(snapshot_download(source.name, repo_type=KIND, revision=folder.name, allow_patterns=names))


def copy(source: Repository, out: Path) -> None:
    """A database of a repository as a folder, which is there only when all of them have arrived.

    Killed and started again it goes on. DatabaseError for a folder that is there already, and for what cannot be had.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DatabaseError(f"out: got {str(out)!r}, which is there already; expected a new folder, or an empty one")
    folder = fetch_manifest(source)
    commit, names = folder.name, files_of_database(folder)
    partial = out.with_name(f"{out.name}.{commit[:8]}.partial")
    with told(source, DOING):
        snapshot_download(source.name, repo_type=KIND, revision=commit, allow_patterns=names, local_dir=partial)
    if missing := [name for name in names if not (partial / name).is_file()]:
        raise DatabaseError(f"{source}: {DOING} ({missing[0]} is not there); push it again")
    shutil.rmtree(partial / ".cache", ignore_errors=True)
    if out.is_dir():
        out.rmdir()
    partial.replace(out)
