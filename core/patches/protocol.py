"""What decoding, traces and the page need of a patch database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy.typing as npt

from ..codebook import Codebook
from ..context import Context
from ..types import CodeArray, DatabaseError, FloatArray, Grid, IntArray, Neighbours
from .queries import Position


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """What is known of a source image; source names the collection or the file that it came from."""

    caption: str
    style: str = ""
    concept: str = ""
    source: str = ""


def check_caption_encoder(database: Database, encoder: str) -> None:
    """Raise DatabaseError when the caption vectors of a database were made by another encoder than this one."""
    made_by = database.caption_encoder
    if made_by and made_by != encoder:
        got = f"got a database whose captions were embedded by {made_by}, expected {encoder}"
        raise DatabaseError(f"caption_filter: {got}, as of this model; build it again, or set caption_filter to 0")


class Database(Protocol):
    """What decoding and traces need of a database; entry = image * P + number of the position, as in PatchDatabase."""

    @property
    def codebook(self) -> Codebook: ...
    @property
    def grid(self) -> Grid: ...
    @property
    def context(self) -> Context: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def caption_encoder(self) -> str:
        """Hash of what its caption vectors were made with, "" when that is not known."""
        ...

    @property
    def knows_images(self) -> bool:
        """Whether captions and whole token grids of its images are known; else only numbers and inner codes."""
        ...

    @property
    def styles(self) -> tuple[str, ...]: ...
    @property
    def images(self) -> IntArray: ...

    @property
    def notice(self) -> str:
        """What a reader must know of the answers, "" when there is nothing: they are exact, and sources are known."""
        ...

    @property
    def unsupported_settings(self) -> Mapping[str, str]:
        """The settings that it cannot search by, each with the reason; they must be 0 or empty."""
        ...

    @property
    def can_return_all(self) -> bool:
        """Whether K may be 0, which looks up all entries."""
        ...

    def __len__(self) -> int: ...
    def with_styles(self, styles: Sequence[str]) -> Database: ...
    def subset(self, images: npt.ArrayLike) -> Database: ...
    def caption_vectors(self, images: IntArray) -> FloatArray | None:
        """Unit vectors [N, E] of the captions of some images; None for a database without them."""
        ...

    def nearest_captions(self, vector: FloatArray, n: int) -> IntArray: ...
    def search(
        self, queries: IntArray, k: int, position: Position = None, position_weight: float = 0.0
    ) -> list[Neighbours]:
        """The k nearest entries (0: all) of every query [B, n], from one position, or from one of each [B].

        Each answer is that of the query alone; several at once take less time than one after the other.
        """
        ...

    def provenance(self, entries: IntArray) -> tuple[IntArray, IntArray, IntArray]: ...
    def picture(self, image: int) -> bytes | None: ...
    def image_info(self, image: int) -> ImageInfo: ...
    def image_codes(self, image: int) -> CodeArray: ...


@runtime_checkable
class Followable(Protocol):
    """What following needs of a database besides (`core.patches.following`); one without it is searched every time."""

    def nearest_of(
        self, query: IntArray, entries: IntArray, k: int, position: int | None = None, position_weight: float = 0.0
    ) -> Neighbours:
        """Of some entries [E], all different, the k first in the order of `search` for one query [n].

        Distances are those of `search`, bit for bit. Entries of images outside of the view are left out.
        """
        ...

    def search_within(
        self, queries: IntArray, k: int, position: Position, position_weight: float, bounds: FloatArray
    ) -> list[Neighbours]:
        """As `search`, and the same answers, when k entries are known to be at no more than bounds [B]."""
        ...
