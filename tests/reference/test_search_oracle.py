"""Search against brute force over float keys, which shares no code with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import pytest

from core.codebook import Codebook
from core.context import Border, Context, context_codes, retrieving_positions
from core.patches.database import PatchDatabase
from core.patches.index import INDEX_KINDS, table_sum, tie_rank
from core.patches.protocol import ImageInfo
from core.types import Grid, Neighbours
from tests.closeness import assert_close

Array = npt.NDArray[Any]
Placed = tuple[int, float]
DISTANCES = 2e-6
"""Relative tolerance of sums of a few float32; those of unit vectors have a size of at least 1."""


@dataclass
class Oracle:
    """Every entry of a full database, in order of their numbers, gathered cell by cell."""

    keys: Array  # [E, n * d] float64
    codes: Array  # [E]
    images: Array  # [E]
    cells: Array  # [E, 2] row and column

    @classmethod
    def of(cls, database: PatchDatabase) -> Oracle:
        reach = database.context.radius
        found = []
        for image, grid in enumerate(database.grids.astype(int)):
            framed = np.pad(grid, reach, constant_values=-1)
            for row, col in np.ndindex(grid.shape):
                window = framed[row : row + 2 * reach + 1, col : col + 2 * reach + 1].ravel()
                context = window[: len(window) // 2]
                cut_off = (context < 0).any() or col + reach >= grid.shape[1]
                if (cut_off and database.context.border == "skip") or row == col == 0:
                    continue
                found.append((vectors_of(database, context), grid[row, col], image, (row, col)))
        keys, codes, images, cells = (np.array(column) for column in zip(*found, strict=True))
        return cls(keys, codes, images, cells)

    def ask(self, database: PatchDatabase, query: Array, placed: Placed | None = None) -> Array:
        """Distances [E], infinite where the view does not hold the image."""
        distances = ((self.keys - vectors_of(database, query)) ** 2).sum(axis=1)
        if placed:
            home = np.array(divmod(placed[0], database.grid.width))
            distances += placed[1] * ((self.cells - home) ** 2).sum(axis=1)
        return np.where(np.isin(self.images, database.images), distances, np.inf)


def vectors_of(database: PatchDatabase, context: Array) -> Array:
    """Key [n * d] in float64; a missing cell is the last row, which is zero."""
    vectors = np.vstack([database.codebook.vectors, np.zeros(database.codebook.dim)])
    return vectors[context].astype(np.float64).ravel()


def check(found: Neighbours, distances: Array, codes: Array, k: int, entries: int) -> None:
    """The k nearest, ascending, with the codes of their entries; entries as good as tied may be exchanged."""
    count = min(k or entries, entries)
    assert len(found) == count
    best = np.sort(distances)[:count]
    assert_close(found.distances, best, DISTANCES, least=1)
    assert_close(distances[found.entries], best, DISTANCES, least=1)
    np.testing.assert_array_equal(codes[found.entries], found.codes)
    assert len(np.unique(found.entries)) == count
    order = list(zip(found.distances.tolist(), tie_rank(found.entries).tolist(), strict=True))
    assert order == sorted(order)
    if count and np.isfinite(best[-1]):  # whoever is clearly nearer than the last one must be there
        assert set(np.flatnonzero(distances < best[-1] - 1e-5)) <= set(found.entries.tolist())


def grids_of(kind: str, count: int, shape: tuple[int, int], codes: int, rng: np.random.Generator) -> Array:
    """Token grids: independent codes, or flat ones with some noise, whose contexts repeat a lot."""
    noise = rng.integers(0, codes, (count, *shape))
    if kind == "random":
        return noise
    flat = np.broadcast_to(rng.integers(0, min(codes, 4), (count, 1, 1)), noise.shape)
    return np.where(rng.random(noise.shape) < 0.15, noise, flat)


def database_of(
    kind: str, codes: int, dim: int, context: Context, index: str, seed: int = 0
) -> tuple[PatchDatabase, Array]:
    """A small database, and queries: contexts of its own, contexts of other images, and the worst one."""
    rng = np.random.default_rng(seed)
    codebook = Codebook.from_vectors(rng.normal(size=(codes, dim)).astype(np.float32))
    shape = (6, 7)
    database = PatchDatabase.build(
        codebook,
        grids_of(kind, 14, shape, codes, rng),
        [ImageInfo(f"image {i}", style="ab"[i % 2]) for i in range(14)],
        context,
        index=index,
    )
    positions = retrieving_positions(context, Grid(*shape))
    others = grids_of(kind, 2, shape, codes, rng)
    candidates = np.concatenate([context_codes(context, g, positions)[:, :4] for g in (database.grids[:2], others)])
    return database, candidates.reshape(-1, context.size)


@pytest.mark.parametrize("index", INDEX_KINDS)
@pytest.mark.parametrize("grids", ["random", "correlated"])
@pytest.mark.parametrize(("codes", "dim"), [(2, 2), (64, 8), (1024, 8), (5000, 3)])
@pytest.mark.parametrize("context", [Context(r, b) for r in (1, 2) for b in get_args(Border)], ids=repr)
def test_search_is_exact(index: str, grids: str, codes: int, dim: int, context: Context) -> None:
    database, queries = database_of(grids, codes, dim, context, index)
    oracle = Oracle.of(database)
    expected = [oracle.ask(database, query) for query in queries]
    for k in (1, 5, 64, 0, 10_000):
        for found, distances in zip(database.search(queries, k), expected, strict=True):
            check(found, distances, oracle.codes, k, len(database))


@pytest.mark.parametrize("index", INDEX_KINDS)
@pytest.mark.parametrize("border", ["skip", "zero"])
@pytest.mark.parametrize("weight", [1e-3, 0.05, 3.0])
def test_position_term_counts_before_the_nearest_are_chosen(index: str, border: Border, weight: float) -> None:
    database, queries = database_of("correlated", 64, 8, Context(border=border), index)
    oracle = Oracle.of(database)
    for position in (0, 17, 41):
        for k in (1, 5, 64, 0, 10_000):
            for query, found in zip(queries, database.search(queries, k, position, weight), strict=True):
                check(found, oracle.ask(database, query, (position, weight)), oracle.codes, k, len(database))


@pytest.mark.parametrize("index", INDEX_KINDS)
def test_views_search_only_their_images(index: str) -> None:
    database, queries = database_of("correlated", 64, 8, Context(), index)
    oracle = Oracle.of(database)
    for view in (database.with_styles(["b"]), database.subset([3]), database.with_styles(["a"]).subset([2, 12])):
        assert view.index_kind == index
        for k in (1, 7, 0):
            for position, weight in ((None, 0.0), (17, 0.05)):
                placed = None if position is None else (position, weight)
                for query, found in zip(queries, view.search(queries, k, position, weight), strict=True):
                    check(found, oracle.ask(view, query, placed), oracle.codes, k, len(view))


def test_index_kinds_return_the_very_same() -> None:
    """Bit by bit, ties included: a recorded trace does not depend on the size of the database that made it."""
    one, queries = database_of("correlated", 1024, 8, Context(), "scan")
    two, _ = database_of("correlated", 1024, 8, Context(), "quantizer")
    for k in (1, 3, 40, 0):
        for a, b in zip(one.search(queries, k), two.search(queries, k), strict=True):
            assert a.distances.tobytes() == b.distances.tobytes()
            np.testing.assert_array_equal(a.entries, b.entries)


def test_quantizer_looks_behind_ties() -> None:
    """Hundreds of contexts at one distance: the first by tie rank among them win, whatever order faiss has."""
    codebook = Codebook.from_vectors(np.eye(60, dtype=np.float32))
    rng = np.random.default_rng(0)
    grids = rng.permuted(np.tile(np.arange(1, 60), (40, 1)), axis=1)[:, :48].reshape(40, 6, 8)
    databases = [PatchDatabase.build(codebook, grids, [ImageInfo("")] * 40, index=index) for index in INDEX_KINDS]
    assert databases[0].unique_contexts == len(databases[0])
    for database in databases:
        found = database.search(np.zeros((1, 4), int), 50)[0]
        ranks = tie_rank(np.arange(len(database)))
        np.testing.assert_array_equal(found.entries, np.argsort(ranks)[:50])
        assert_close(found.distances, 8, DISTANCES)


def test_exact_match_is_at_zero() -> None:
    database, queries = database_of("random", 1024, 8, Context(), "quantizer")
    for query in queries[: len(queries) // 2]:
        found = database.search(query[None], 1)[0]
        assert found.distances[0] == 0


def test_table_sum_across_blocks() -> None:
    rng = np.random.default_rng(0)
    tables = rng.random((4, 11)).astype(np.float32)
    contexts = rng.integers(0, 11, (4, 70_000)).astype(np.uint16)
    expected = tables[np.arange(4)[:, None], contexts].sum(axis=0)
    assert_close(table_sum(tables, contexts), expected, DISTANCES)
