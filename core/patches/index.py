"""Exact search over unique contexts: the index kinds, and the order among entries that are equally near.

The distance of two contexts is the squared L2 of their concatenated code vectors: a sum of one table look-up a code.
faiss is imported where an index of its own is made: most runs need none, and on macOS its wheel and torch's each bring
an OpenMP of their own, which is why it keeps to one thread there (facebookresearch/faiss-wheels issues 73 and 100).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np

from .. import threads
from ..codebook import Codebook
from ..context import keys
from ..inputs.arrays import unreadable
from ..types import CodeArray, DatabaseError, FloatArray, IntArray


def _faiss() -> Any:
    """The library, with as many threads as torch has: where both share an OpenMP, its number is torch's as well."""
    import faiss  # noqa: PLC0415

    faiss.omp_set_num_threads(1 if sys.platform == "darwin" else threads.current())
    return faiss


class ContextIndex(Protocol):
    """Finds the nearest ones of U unique contexts [n, U]."""

    def __init__(self, codebook: Codebook, contexts: CodeArray) -> None: ...

    def nearest(
        self, queries: IntArray, tables: FloatArray, k: int, bounds: FloatArray
    ) -> tuple[IntArray, IntArray, FloatArray]:
        """Rows, numbers and distances of contexts that include the k nearest of each query and all ties with the last.

        queries: [B, n]; tables: [B, n, V + 1], see `distance_tables`. Rows ascend, contexts of one query are in any
        order. bounds: [B], those that are farther are not wanted (inf: nothing is known); an index that gains
        nothing by it returns them nevertheless.
        """
        ...


class ScanIndex:
    """Adds up the table look-ups of every context in numpy; the fastest for small databases."""

    def __init__(self, codebook: Codebook, contexts: CodeArray) -> None:
        self._contexts = contexts

    def nearest(
        self, queries: IntArray, tables: FloatArray, k: int, bounds: FloatArray
    ) -> tuple[IntArray, IntArray, FloatArray]:
        """See ContextIndex."""
        distances = table_sums(tables, self._contexts)
        limits = np.where(np.isinf(bounds), kth_smallest(distances, k), bounds)
        near = np.flatnonzero(distances <= limits[:, None])
        return *np.divmod(near, distances.shape[1]), distances.ravel()[near]


class QuantizerIndex:
    """A faiss product quantizer whose centroids are the code vectors, which makes its distances exact.

    2 n bytes a context. Its cost starts at 0.1 ms for each of the n codes (16 bits: 65,536 centroids, whatever V).
    """

    _MOST = 1024
    """Longest list asked of faiss; its heap makes longer ones slower than a scan."""

    _SLACK = 1e-4
    """Far more than faiss and `table_sum` can differ by, since they round in another order."""

    def __init__(self, codebook: Codebook, contexts: CodeArray) -> None:
        self._codebook, self._contexts = codebook, contexts
        faiss, n = _faiss(), len(contexts)
        centroids = np.full((n, 65536, codebook.dim), 1e3, np.float32)  # unused ones are far away
        centroids[:, : codebook.size] = codebook.vectors
        centroids[:, codebook.size : codebook.size + 1] = 0  # a missing cell
        self._index = faiss.IndexPQ(n * codebook.dim, n, 16)
        faiss.copy_array_to_vector(centroids.ravel(), self._index.pq.centroids)
        self._index.is_trained = True
        self._index.add_sa_codes(np.ascontiguousarray(contexts.T).view(np.uint8))

    def nearest(
        self, queries: IntArray, tables: FloatArray, k: int, bounds: FloatArray
    ) -> tuple[IntArray, IntArray, FloatArray]:
        """See ContextIndex. One query after the other: faiss takes no less time for several at once."""
        found = [self._nearest(*asked) for asked in zip(queries, tables, [k] * len(queries), bounds, strict=True)]
        rows = np.repeat(np.arange(len(queries)), [len(ids) for ids, _ in found])
        return rows, np.concatenate([ids for ids, _ in found]), np.concatenate([distances for _, distances in found])

    def _nearest(self, query: IntArray, tables: FloatArray, k: int, bound: float) -> tuple[IntArray, FloatArray]:
        """For one query: asks for some more than k and looks at the last one, to be sure that no tie was cut off."""
        key = keys(self._codebook, query)[None]
        ask = k + 32
        while ask <= min(self._MOST, self._contexts.shape[1]):
            rough, ids = self._index.search(key, ask)
            if rough[0, -1] > rough[0, k - 1] + self._SLACK:
                return ids[0], table_sum(tables, self._contexts[:, ids[0]])
            ask *= 4
        scan = ScanIndex(self._codebook, self._contexts)
        return scan.nearest(query[None], tables[None], k, np.array([bound], np.float32))[1:]


class SavedIndex:
    """A faiss index in a file, over the keys of entries; its answers are only as exact as its kind.

    Inverted lists stay in the file, which is mapped; all else is read. lists: how many of them a query looks at
    (nprobe), for an index that has some. It is set on the inverted file itself: on the transformation in front of it,
    faiss ignores it. Raises DatabaseError for a file that is no index, one by another measure than squared L2, one
    whose lists lie in yet another file, and one that does not fit into memory.
    """

    def __init__(self, path: Path, lists: int) -> None:
        self._index = _read_index(path)
        inverted = _inverted_file(self._index)
        self.lists: int | None = None
        if inverted is not None:
            _check_measure(path, inverted)
            _settle_lists(path, inverted)
            self.lists = inverted.nprobe = min(lists, inverted.nlist)

    @property
    def size(self) -> int:
        """Number of entries."""
        return int(self._index.ntotal)

    @property
    def dim(self) -> int:
        """Numbers in a key."""
        return int(self._index.d)

    def nearest(self, key: FloatArray, k: int) -> tuple[FloatArray, IntArray]:
        """Distances, ascending and from 0 on, and numbers of at most k entries near a key [dim]."""
        distances, found = self._index.search(np.ascontiguousarray(key[None]), k)
        there = found[0] >= 0  # faiss fills up with -1 when its lists hold too few
        return np.maximum(distances[0][there], 0), found[0][there].astype(np.int64)


def _read_index(path: Path) -> Any:
    """The index in a file; DatabaseError when it cannot be read, or is not by squared L2.

    Without the precomputed table of a product quantizer in inverted lists: it is 1 KB for each list and part of a key,
    and gains little for queries that come one by one.
    """
    faiss = _faiss()
    try:
        with path.open("rb") as file:  # faiss does not say why it cannot
            flags = faiss.IO_FLAG_SKIP_PRECOMPUTE_TABLE | faiss.IO_FLAG_READ_ONLY
            if _has_plain_name(path):
                index = faiss.read_index(str(path), flags | faiss.IO_FLAG_MMAP)
            else:
                index = faiss.read_index(faiss.PyCallbackIOReader(file.read), flags)
    except OSError as error:
        raise unreadable(path, error, "released database", "download it again") from None
    except (RuntimeError, MemoryError) as error:
        raise _unread(path, error) from None
    _check_measure(path, index)
    return index


def _has_plain_name(path: Path) -> bool:
    """Whether faiss finds a path, which Python does in any case: not beyond ASCII on Windows, nor what is no UTF-8."""
    try:
        str(path).encode("ascii" if os.name == "nt" else "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _unread(path: Path, error: Exception) -> DatabaseError:
    """Why faiss could not read a file: what it says, or that there is too little memory for one of that size."""
    if not isinstance(error, MemoryError) and "bad_alloc" not in str(error):
        reason = str(error).split(" at ")[0][-120:]
        return DatabaseError(f"{path}: not a readable faiss index ({reason}); download it again")
    size, free = path.stat().st_size, available()
    if free is not None and size < free:  # a whole file asks for what it holds
        return DatabaseError(f"{path}: not a readable faiss index (it asks for more than it holds); download it again")
    fits = "" if free is None else f", expected at most the {free / 1e9:.1f} GB that are free"
    remedy = "close other programs, or take an index of inverted lists (IVF), which stay in their file"
    return DatabaseError(f"{path}: got an index of {size / 1e9:.1f} GB to keep in memory{fits}; {remedy}")


def available() -> int | None:
    """Bytes of memory that are free or can be freed, None where the system does not say (all but Linux)."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        return None


def _inverted_file(index: Any) -> Any:
    """The part of an index that has inverted lists, None for another kind."""
    faiss = _faiss()
    try:
        return faiss.downcast_index(faiss.extract_index_ivf(index))
    except RuntimeError:
        return None


def _check_measure(path: Path, index: Any) -> None:
    """DatabaseError unless an index, or a part of one, is by squared L2."""
    faiss = _faiss()
    if index.metric_type != faiss.METRIC_L2:
        measure = "inner product" if index.metric_type == faiss.METRIC_INNER_PRODUCT else "another measure"
        raise DatabaseError(f"{path}: got an index by {measure}, expected one by squared L2; build it with METRIC_L2")


def _settle_lists(path: Path, inverted: Any) -> None:
    """Let a query read mapped lists itself: faiss starts 32 threads for each, which cost more than the search.

    Raises DatabaseError for lists in another file than the index: it may be any, and faiss ends the process over one
    that does not fit.
    """
    lists = _faiss().downcast_InvertedLists(inverted.invlists)
    if getattr(lists, "filename", ""):
        raise DatabaseError(f"{path}: got an index whose lists lie in another file, expected one file; write it as one")
    if hasattr(lists, "prefetch_nthread"):
        lists.prefetch_nthread = 0


INDEX_KINDS: Final[dict[str, type[ContextIndex]]] = {"scan": ScanIndex, "quantizer": QuantizerIndex}


def centres_of(vectors: FloatArray, count: int) -> FloatArray:
    """Centres [count, d] of some vectors [M, d] by k-means; the same ones every time on the same machine."""
    kmeans = _faiss().Kmeans(vectors.shape[1], count, niter=8, seed=1, max_points_per_centroid=64)
    kmeans.cp.min_points_per_centroid = 1
    kmeans.train(np.ascontiguousarray(vectors))
    centres: FloatArray = kmeans.centroids
    return centres


def nearest_centre(centres: FloatArray, vectors: FloatArray) -> IntArray:
    """Number of the centre [count, d] that is nearest to each vector [M, d]."""
    index = _faiss().IndexFlatL2(centres.shape[1])
    index.add(centres)
    found: IntArray = index.search(np.ascontiguousarray(vectors), 1)[1][:, 0]
    return found


def flat_index(vectors: FloatArray) -> Any:
    """The index of faiss that compares every vector [M, d]: what others are measured against."""
    index = _faiss().IndexFlatL2(vectors.shape[1])
    index.add(np.ascontiguousarray(vectors, np.float32))
    return index


def choose_kind(contexts: int) -> str:
    """Index kind for that many unique contexts; the two cross at about 100,000 (measured, one thread)."""
    return "scan" if contexts < 100_000 else "quantizer"


def transposed_vectors(codebook: Codebook) -> FloatArray:
    """Code vectors [d, V + 1], then the zero vector of a missing cell (which MISSING = -1 also points at)."""
    return np.ascontiguousarray(np.pad(codebook.vectors, ((0, 1), (0, 0))).T)


def distance_tables(vectors: FloatArray, query: IntArray) -> FloatArray:
    """Squared L2 [n, V + 1] of each query code [n] to every column of vectors [d, V + 1].

    Sums squared differences, so that equal codes are at exactly 0, which 2 - 2 cos does not give in float32.
    """
    difference = vectors - vectors.T[query][:, :, None]
    tables: FloatArray = np.square(difference, out=difference).sum(axis=1)
    return tables


Compute = Callable[[FloatArray, IntArray], FloatArray]


class DistanceTables:
    """Distance tables of queries; the rows of codes that were asked for last are kept: a picture asks for each again.

    Safe to share between threads. Rows take up to KEPT bytes: of a codebook of up to 2,047 codes all stay.
    """

    KEPT: Final = 1 << 24

    def __init__(self, vectors: FloatArray, compute: Compute = distance_tables) -> None:
        """vectors: [d, V + 1], see `transposed_vectors`; compute: `distance_tables`, or what gives the same bits."""
        self._made_of = vectors, compute
        rows = max(1, self.KEPT // (4 * vectors.shape[1]))
        self._row = lru_cache(rows)(lambda code: compute(vectors, np.array([code]))[0])

    def __reduce__(self) -> tuple[type[DistanceTables], tuple[FloatArray, Compute]]:
        """Sent to another process without what is kept."""
        return DistanceTables, self._made_of

    def of(self, queries: IntArray) -> FloatArray:
        """As `distance_tables`, of one query [n] or several [B, n]: [..., n, V + 1], an array of one's own."""
        rows = [self._row(code) for code in queries.ravel().tolist()]
        return np.concatenate(rows).reshape(*queries.shape, -1)


def table_sum(tables: FloatArray, contexts: CodeArray) -> FloatArray:
    """Distances [U] of contexts [n, U]: the sum of one look-up a code, always in the same order."""
    distances: FloatArray = table_sums(tables[None], contexts)[0]
    return distances


def table_sums(tables: FloatArray, contexts: CodeArray) -> FloatArray:
    """Distances [B, U] of contexts [n, U] for the tables [B, n, V + 1] of several queries."""
    block = 65536  # numpy looks up by int64: converting block by block stays in the cache and needs no copy of all
    totals, found = np.empty((len(tables), contexts.shape[1]), np.float32), np.empty(block, np.float32)
    for start in range(0, contexts.shape[1], block):
        numbers = contexts[:, start : start + block].astype(np.intp)
        for table, total in zip(tables, totals, strict=True):
            part, looked_up = total[start : start + block], found[: numbers.shape[1]]
            table[0].take(numbers[0], mode="clip", out=part)
            for slot in range(1, len(numbers)):
                part += table[slot].take(numbers[slot], mode="clip", out=looked_up)
    return totals


def run_of(contexts: CodeArray, query: CodeArray) -> tuple[int, int]:
    """First and last + 1 of the contexts [n, U], which ascend, that begin like and equal a query [n]."""
    first, end = 0, contexts.shape[1]
    for row, code in zip(contexts, query, strict=True):
        part = row[first:end]
        first, end = first + int(part.searchsorted(code)), first + int(part.searchsorted(code, side="right"))
    return first, end


def tie_rank(entries: IntArray) -> IntArray:
    """Order among entries at the same distance: scattered, so that the k of many that are taken represent them all.

    By number, thousands of blank contexts would be answered by the first two images. Multiplying by an odd number is
    one-to-one modulo 2^32 (Knuth's multiplicative hashing).
    """
    return entries * SCATTER & 0xFFFFFFFF


def entry_of_rank(ranks: IntArray) -> IntArray:
    """Inverse of tie_rank."""
    return ranks * GATHER & 0xFFFFFFFF


SCATTER: Final = 2654435761
GATHER: Final = pow(SCATTER, -1, 2**32)


def kth_smallest(distances: FloatArray, k: int) -> FloatArray:
    """The k-th smallest number of each row [B, U], the largest one where there are no more."""
    kth: FloatArray = np.partition(distances, min(k, distances.shape[1]) - 1, axis=1)[:, min(k, distances.shape[1]) - 1]
    return kth


def within_kth(distances: FloatArray, k: int) -> IntArray:
    """Indices, ascending, of all that are not farther than the k-th smallest distance."""
    if k >= len(distances):
        return np.arange(len(distances))
    return np.flatnonzero(distances <= np.partition(distances, k - 1)[k - 1])


def ranges(starts: IntArray, counts: IntArray) -> IntArray:
    """Concatenation of start, start + 1, ... (count of them) for each pair; every count is at least 1."""
    ends = np.cumsum(counts)
    return np.repeat(starts - ends + counts, counts) + np.arange(ends[-1])
