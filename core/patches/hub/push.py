"""A database sent to a dataset repository of the hub.

Content goes first, file by file, and is known there by its hash; one commit at the end names it all. A push that was
killed leaves the repository as it was, and started again sends only what had not arrived.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

from .contents import files_of_database
from .names import Repository
from .telling import told

KIND: Final = "dataset"
DOING: Final = "cannot be pushed"
OURS: Final = (
    "manifest.json", "codebook.npy", "segments/", "grids", "captions", "images", "pictures.bin", "picture_offsets",
)  # fmt: skip
"""What a database that was there before may have left; nothing else of a repository is ever removed."""

Progress = Callable[[Iterable[str]], Iterable[str]]


@dataclass(frozen=True, slots=True)
class Pushed:
    """What came of it: where it is to be seen, its commit, files and bytes of the database, and files removed."""

    address: str
    commit: str
    files: int
    bytes: int
    removed: int


def push(
    folder: Path,
    extra: Mapping[str, bytes],
    to: Repository,
    private: bool = False,
    progress: Progress = iter,
) -> Pushed:
    """Send the files of a database, and further ones by their bytes, in one commit.

    private: for a repository that is made. Raises DatabaseError with the reason.
    """
    names = files_of_database(folder)
    with told(to, DOING):
        api = HfApi()
        api.create_repo(to.name, repo_type=KIND, private=private or None, exist_ok=True)
        if to.revision:
            api.create_branch(to.name, branch=to.revision, repo_type=KIND, exist_ok=True)
        added = {name: CommitOperationAdd(name, folder / name) for name in names}
        for name in progress(names):
            api.preupload_lfs_files(to.name, [added[name]], repo_type=KIND, revision=to.revision, free_memory=False)
        there = api.list_repo_files(to.name, repo_type=KIND, revision=to.revision)
        gone = [name for name in there if name.startswith(OURS) and name not in {*names, *extra}]
        more = [CommitOperationAdd(name, data) for name, data in extra.items()]
        done = api.create_commit(
            to.name,
            [*added.values(), *more, *(CommitOperationDelete(name) for name in gone)],
            commit_message=f"A patch database of {len(names)} files",
            repo_type=KIND,
            revision=to.revision,
        )
    size = sum((folder / name).stat().st_size for name in names)
    return Pushed(f"{api.endpoint}/datasets/{to.name}", done.oid, len(names), size, len(gone))
