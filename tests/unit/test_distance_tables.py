"""The tables that distances of contexts are added up from."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from core.codebook import Codebook
from core.patches.index import DistanceTables, distance_tables, table_sum, table_sums, transposed_vectors

SQUARE = Codebook.from_vectors(np.array([[1, 0], [0, 1], [-1, 0], [0, -1]], np.float32))
RNG = np.random.default_rng(7)


def some_codebook(size: int = 50, dim: int = 6) -> Codebook:
    vectors = RNG.standard_normal((size, dim)).astype(np.float32)
    return Codebook.from_vectors(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def test_by_hand() -> None:
    """Corners of a square are at 0, 2 and 4 of each other, and all at 1 of a missing cell."""
    tables = DistanceTables(transposed_vectors(SQUARE))
    assert tables.of(np.array([0, 3, -1])).tolist() == [[0, 2, 4, 2, 1], [2, 4, 2, 0, 1], [1, 1, 1, 1, 0]]


def test_by_brute_force() -> None:
    codebook = some_codebook()
    queries = RNG.integers(-1, codebook.size, (9, 4))
    vectors = np.concatenate([codebook.vectors, np.zeros((1, codebook.dim))]).astype(np.float64)
    expected = ((vectors[queries][:, :, None] - vectors) ** 2).sum(-1)
    found = DistanceTables(transposed_vectors(codebook)).of(queries)
    assert found.dtype == np.float32
    assert np.allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert (found[queries >= 0, queries[queries >= 0]] == 0).all()


def test_rows_that_are_kept_are_those_computed_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    codebook = some_codebook()
    vectors = transposed_vectors(codebook)
    monkeypatch.setattr(DistanceTables, "KEPT", 3 * 4 * (codebook.size + 1))  # three rows: most are forgotten
    tables = DistanceTables(vectors)
    for query in RNG.integers(-1, codebook.size, (30, 4)):
        assert np.array_equal(tables.of(query), distance_tables(vectors, query))


def test_what_is_handed_out_is_not_what_is_kept() -> None:
    tables, query = DistanceTables(transposed_vectors(SQUARE)), np.array([1, 1])
    before = tables.of(query)
    tables.of(query)[:] = 9
    assert np.array_equal(tables.of(query), before)


def test_another_process_gets_the_same() -> None:
    tables, query = DistanceTables(transposed_vectors(some_codebook())), np.array([1, 2, 3, -1])
    assert np.array_equal(pickle.loads(pickle.dumps(tables)).of(query), tables.of(query))


def test_sums_of_several_queries_are_those_of_each() -> None:
    codebook = some_codebook()
    tables = DistanceTables(transposed_vectors(codebook)).of(RNG.integers(0, codebook.size, (5, 4)))
    contexts = RNG.integers(0, codebook.size + 1, (4, 70_000)).astype(np.uint16)
    found = table_sums(tables, contexts)
    assert np.array_equal(found, np.stack([table_sum(table, contexts) for table in tables]))
    expected = tables.astype(np.float64)[:, np.arange(4)[:, None], contexts].sum(axis=1)
    assert np.allclose(found, expected, rtol=1e-5, atol=1e-5)
