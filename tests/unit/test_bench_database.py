"""Synthetic databases and the brute force that large ones are compared with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.codebook import Codebook
from core.context import Context, context_codes, retrieving_positions
from core.evaluation.bench_database import GRID, Work, named_kinds, nearest_by_scan
from core.evaluation.synthetic import CHILDREN, Source, derived_codebook, write_grids
from core.patches.index import distance_tables, transposed_vectors
from core.patches.segments.ask import Ground
from core.patches.segments.kinds import KINDS
from core.types import ConfigError, Grid


def codebook_of(size: int) -> Codebook:
    return Codebook.from_vectors(np.random.default_rng(0).normal(size=(size, 8)).astype(np.float32))


def test_derived_codes_stand_around_their_own() -> None:
    own = codebook_of(50)
    codebook = derived_codebook(own)
    assert codebook.size == 50 * CHILDREN
    nearest = (codebook.vectors @ own.vectors.T).argmax(axis=1)
    assert (nearest == np.repeat(np.arange(50), CHILDREN)).mean() > 0.9


def test_synthetic_pictures(tmp_path: Path) -> None:
    own = codebook_of(1024)
    source = Source.of(own, own, Grid(24, 24))
    grids = source.make(20, seed=3)
    assert grids.shape == (20, 24, 24)
    assert grids.dtype == np.uint16
    assert grids.max() < 1024
    assert np.array_equal(grids, source.make(20, seed=3))
    assert not np.array_equal(grids, source.make(20, seed=4))
    same = (grids[:, :, :8] == grids[:, :, 16:]).mean()  # a picture of 16 codes goes on from its other side
    assert 0.4 < same < 0.6  # neither of two cells was roughened: 0.7^2
    write_grids(tmp_path / "grids.npy", source, 2100)
    written = np.load(tmp_path / "grids.npy")
    assert written.shape == (2100, 24, 24)
    assert [path.name for path in tmp_path.iterdir()] == ["grids.npy"]


def test_the_brute_force_finds_the_nearest() -> None:
    codebook = codebook_of(30)
    grids = np.random.default_rng(1).integers(0, 30, (12, 24, 24)).astype(np.uint16)
    codes = context_codes(Context(), grids, retrieving_positions(Context(), GRID)).reshape(-1, 4)
    own = codes[2345]
    query = np.where(own == 7, 8, own)
    tables = [distance_tables(transposed_vectors(codebook), asked) for asked in (own, query)]
    ground = Ground(Path(), grids, codebook, Context(), 0)
    for asked, near in zip((own, query), nearest_by_scan(ground, tables, 9), strict=True):
        brute = np.square(codebook.vectors[codes] - codebook.vectors[asked]).sum(axis=(1, 2))
        np.testing.assert_allclose(near.distances, np.sort(brute)[:9], atol=1e-5)
        np.testing.assert_allclose(brute[near.entries], near.distances, atol=1e-5)
        assert len(set(near.entries.tolist())) == 9


def test_sizes_are_whole_pictures() -> None:
    work = Work(Path(), "1e6")
    assert work.images == 1976
    assert work.entries == 1976 * 506


def test_kinds_are_named_with_commas() -> None:
    assert named_kinds("") == tuple(KINDS)
    assert named_kinds("orderings, scan") == ("orderings", "scan")
    with pytest.raises(ConfigError, match="kinds: got 'flat', expected some of scan"):
        named_kinds("scan,flat")
