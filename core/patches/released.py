"""The released retrieval databases: an approximate faiss index over keys, and the code that came next after each.

A folder has `faiss_ivf_pq_opq.index` and `next_codes.npy`. There are no pictures, captions or token grids: of a source
image only its number is known, and its inner codes, which are the values of its entries. With the token grids that the
index was built from beside them (`grids.npy`, [N, H, W]), its recall can be measured.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..codebook import Codebook
from ..context import Context, context_codes, keys, retrieving_positions
from ..inputs.arrays import open_array
from ..types import OFF, CodeArray, ConfigError, DatabaseError, DecodeSettings, FloatArray, Grid, IntArray, Neighbours
from .database import PatchDatabase
from .index import SavedIndex
from .protocol import ImageInfo
from .queries import Position

INDEX_FILE: Final = "faiss_ivf_pq_opq.index"
CODES_FILE: Final = "next_codes.npy"
GRIDS_FILE: Final = "grids.npy"
LISTS: Final = 128
MOST_NEIGHBOURS: Final = 2048
"""As many as the released example of DAiD asks for."""
BLOCK: Final = 4096
SOURCE: Final = "released database"
UNSUPPORTED: Final[Mapping[str, str]] = {
    "styles": "This database knows of no styles.",
    "caption_filter": "This database has no captions.",
    "position_weight": "This database cannot add anything to its distances.",
    "follow": "This database cannot tell how far a given patch is.",
}
"""The settings that it cannot search by, each with the reason."""


def is_released(folder: Path) -> bool:
    """Whether a folder holds a released database."""
    return (folder / INDEX_FILE).is_file()


def entries_of(folder: Path) -> int | None:
    """How many entries a folder has, of which the header of a file tells; None where that cannot be read."""
    try:
        return len(_read(folder / CODES_FILE, 1))
    except DatabaseError:  # told when the database is opened
        return None


def check_released(settings: DecodeSettings) -> None:
    """ConfigError for settings that no released database can search by."""
    for name, reason in UNSUPPORTED.items():
        if (value := getattr(settings, name)) != OFF[name]:
            shown = ", ".join(value) if isinstance(value, tuple) else value
            raise ConfigError(f"{name}: got {shown}, but a {SOURCE} cannot search by it; leave it out ({reason})")
    if not 1 <= settings.n_neighbours <= MOST_NEIGHBOURS:
        raise ConfigError(f"n_neighbours: got {settings.n_neighbours}, expected 1..{MOST_NEIGHBOURS} for a {SOURCE}")


class ReleasedDatabase:
    """A released database, opened by `open`; what it cannot do is a DatabaseError that says so.

    Entries are numbered image by image and in raster order, as the released index builder adds them.
    """

    def __init__(self, folder: Path, codebook: Codebook, grid: Grid, index: SavedIndex, values: IntArray) -> None:
        """Internal: use open. values: [E] code of each entry."""
        self.folder, self.codebook, self.grid, self.context = folder, codebook, grid, Context()
        self._index, self._values = index, values
        self.fingerprint = _fingerprint(codebook, grid, index.lists, values, folder / INDEX_FILE)
        self._positions = retrieving_positions(self.context, grid)
        self.images: IntArray = np.arange(-(-len(values) // len(self._positions)))

    @classmethod
    def open(cls, folder: Path, codebook: Codebook, grid: Grid, lists: int = LISTS) -> ReleasedDatabase:
        """Read a folder; lists: how many inverted lists a query looks at. DatabaseError for files that do not fit."""
        index = SavedIndex(folder / INDEX_FILE, lists)
        values = _read(folder / CODES_FILE, 1)
        wanted = Context().size * codebook.dim
        if index.dim != wanted:
            raise DatabaseError(f"{folder / INDEX_FILE}: got keys of {index.dim} numbers, expected {wanted}")
        if len(values) != index.size:
            got = f"got {len(values)} codes, expected {index.size}, one for each entry of the index"
            raise DatabaseError(f"{folder / CODES_FILE}: {got}; download both again")
        if len(values) == 0 or not 0 <= values.min() <= values.max() < codebook.size:
            expected = f"expected codes from 0 to {codebook.size - 1}, at least one"
            raise DatabaseError(f"{folder / CODES_FILE}: got {len(values)} other numbers, {expected}; take its model")
        return cls(folder, codebook, grid, index, values)

    def __len__(self) -> int:
        """Number of entries."""
        return len(self._values)

    @property
    def lists(self) -> int | None:
        """How many inverted lists a query looks at; None for an index without them."""
        return self._index.lists

    @property
    def caption_encoder(self) -> str:
        """There are no caption vectors."""
        return ""

    @property
    def knows_images(self) -> bool:
        """Neither captions nor the codes at the edges."""
        return False

    @property
    def styles(self) -> tuple[str, ...]:
        """None is known."""
        return ()

    @property
    def notice(self) -> str:
        """What a reader must know of the answers."""
        return "Approximate search: near patches may be missed, and distances are estimates. Sources are not known."

    @property
    def unsupported_settings(self) -> Mapping[str, str]:
        """Whatever needs captions, styles or exact distances."""
        return UNSUPPORTED

    @property
    def can_return_all(self) -> bool:
        """An index of inverted lists looks at some of them only."""
        return False

    def with_styles(self, styles: Sequence[str]) -> ReleasedDatabase:
        """Itself; DatabaseError when styles are asked for."""
        if styles:
            raise DatabaseError(f"styles: got {', '.join(styles)}, but a {SOURCE} knows of no styles; leave them out")
        return self

    def subset(self, images: npt.ArrayLike) -> ReleasedDatabase:
        """DatabaseError: the index has no views."""
        raise DatabaseError(f"images: got a choice of some, but a {SOURCE} can only be searched as a whole")

    def caption_vectors(self, images: IntArray) -> FloatArray | None:
        """There are none."""
        return None

    def nearest_captions(self, vector: FloatArray, n: int) -> IntArray:
        """DatabaseError: there are no captions."""
        raise DatabaseError(f"caption_filter: got {n}, but a {SOURCE} has no captions; set it to 0")

    def search(
        self, queries: IntArray, k: int, position: Position = None, position_weight: float = 0.0
    ) -> list[Neighbours]:
        """About the k nearest entries of every query [B, 4], ascending; fewer when the lists looked at hold fewer."""
        if position_weight > 0:
            raise DatabaseError(f"position_weight: got {position_weight}, which a {SOURCE} cannot add; set it to 0")
        if not 1 <= k <= MOST_NEIGHBOURS:
            raise ConfigError(f"n_neighbours: got {k}, expected 1..{MOST_NEIGHBOURS} for a {SOURCE}")
        if queries.ndim != 2 or queries.shape[1] != self.context.size:
            raise ConfigError(f"queries: got shape {queries.shape}, expected [batch, {self.context.size}]")
        if queries.size and not 0 <= queries.min() <= queries.max() < self.codebook.size:
            raise ConfigError(f"queries: got {queries.min()}..{queries.max()}, expected 0..{self.codebook.size - 1}")
        return [self._near(key, k) for key in keys(self.codebook, queries)]

    def _near(self, key: FloatArray, k: int) -> Neighbours:
        """Neighbours of one key."""
        distances, entries = self._index.nearest(key, min(k, len(self)))
        if entries.size and entries.max() >= len(self):
            got = f"got entry {entries.max()}, expected 0..{len(self) - 1}"
            raise DatabaseError(f"{self.folder / INDEX_FILE}: {got}; download it again")
        return Neighbours(self._values[entries].astype(np.int64), distances, entries)

    def provenance(self, entries: IntArray) -> tuple[IntArray, IntArray, IntArray]:
        """Numbers of the images in the order of the index, rows and columns of entries."""
        entries = np.asarray(entries, dtype=np.int64)
        if entries.size and not 0 <= entries.min() <= entries.max() < len(self):
            raise ConfigError(f"entries: got {entries.min()}..{entries.max()}, expected 0..{len(self) - 1}")
        images, slots = np.divmod(entries, len(self._positions))
        rows, cols = np.divmod(self._positions[slots], self.grid.width)
        return images, rows, cols

    def picture(self, image: int) -> bytes | None:
        """There are none."""
        return None

    def image_info(self, image: int) -> ImageInfo:
        """Its number is all that is known of an image."""
        return ImageInfo(f"image {image}", source=SOURCE)

    def image_codes(self, image: int) -> CodeArray:
        """The inner codes of an image [H, W], which are the values of its entries, continued to the border."""
        count = len(self._positions)
        inner = np.zeros(count, np.int64)
        values = self._values[image * count : (image + 1) * count]
        inner[: len(values)] = values
        inside = inner.reshape(self.grid.height - 1, self.grid.width - 2)
        return np.pad(inside, ((1, 0), (1, 1)), mode="edge").astype(np.uint16)

    # -- recall -------------------------------------------------------------------------------------------------------

    def recall(self, k: int, queries: int = 200, seed: int = 0) -> float | None:
        """Share of the k nearest that the index finds, over random contexts of its images; None without token grids.

        An entry counts as one of them when it is not farther, by code vectors, than the k-th of an exact search.
        """
        path = self.folder / GRIDS_FILE
        if not path.exists():
            return None
        grids = _read(path, 3)
        shape = (self.grid.height, self.grid.width)
        inner = grids.reshape(len(grids), -1)[:, self._positions] if grids.shape[1:] == shape else grids[:0]
        if not np.array_equal(inner.reshape(-1), self._values):
            raise DatabaseError(f"{path}: got other grids than the index was built from; remove or replace the file")
        exact = PatchDatabase.build(self.codebook, grids, [ImageInfo("")] * len(grids), self.context)
        contexts = context_codes(self.context, grids, self._positions).reshape(len(self), -1)
        chosen = np.random.default_rng(seed).integers(len(self), size=queries)
        return float(np.mean([self._recall(exact, contexts, query, k) for query in contexts[chosen]]))

    def _recall(self, exact: PatchDatabase, contexts: IntArray, query: IntArray, k: int) -> float:
        """The same for one query, given the contexts [E, 4] of all entries."""
        nearest = exact.search(query[None], k)[0].distances
        found = keys(self.codebook, contexts[self.search(query[None], k)[0].entries])
        distances = ((found - keys(self.codebook, query)) ** 2).sum(-1)
        return float((distances <= nearest[-1] + 1e-4).sum() / len(nearest))


def _fingerprint(codebook: Codebook, grid: Grid, lists: int | None, values: npt.NDArray[Any], index_file: Path) -> str:
    """Hash of codebook, of what is set of the search, of a million of the values, and of blocks of the index."""
    head = f"{codebook.fingerprint} {grid} {lists} {len(values)}".encode()
    sampled = values[:: max(1, len(values) // 1_000_000)].astype("<i8")
    return hashlib.sha256(head + sampled.tobytes() + _blocks(index_file)).hexdigest()[:16]


def _blocks(path: Path) -> bytes:
    """The size of a file and about a thousand blocks of it, evenly spread, with its first and its last bytes."""
    size = path.stat().st_size
    with path.open("rb") as file:
        parts = [f" {size} ".encode()]
        for start in np.linspace(0, max(0, size - BLOCK), num=min(1000, 2 + size // BLOCK)).astype(int).tolist():
            file.seek(start)
            parts.append(file.read(BLOCK))
    return b"".join(parts)


def _read(path: Path, dimensions: int) -> npt.NDArray[Any]:
    """A .npy file of whole numbers; DatabaseError for anything else. Never unpickles."""
    array = open_array(path, SOURCE, "download it again")
    if array.ndim != dimensions or not np.issubdtype(array.dtype, np.integer):
        got = f"got {array.dtype} {array.shape}"
        raise DatabaseError(f"{path}: {got}, expected whole numbers of {dimensions} dimensions; download it again")
    return array
