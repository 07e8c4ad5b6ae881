"""The exact search by orderings of the contexts against a brute force that adds up every entry."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.codebook import Codebook
from core.context import Context, context_codes, retrieving_positions
from core.patches.database import PatchDatabase
from core.patches.index import distance_tables, table_sum, transposed_vectors
from core.patches.orderings import compiled as compiling
from core.patches.orderings import machine
from core.patches.orderings.build import RUN, build, cells_of
from core.patches.orderings.clusters import cluster_starts, code_order
from core.patches.orderings.layout import ABOUT
from core.patches.orderings.search import OrderingsIndex
from core.patches.orderings.warm import warm
from core.patches.protocol import ImageInfo
from core.patches.segments.ask import Ask, Ground, Near
from core.patches.segments.database import SegmentedDatabase
from core.patches.segments.images import ImageRow
from core.patches.segments.kinds import KINDS, choose_kind
from core.patches.segments.manifest import Header
from core.patches.segments.quantizer import InvertedIndex
from core.patches.segments.segment import Batch
from core.patches.segments.ties import ordered
from core.patches.segments.tune import recall, tune
from core.patches.segments.writer import DatabaseWriter
from core.types import CodeArray, ConfigError, DatabaseError, FloatArray, Grid, IntArray

ROOT = Path(__file__).resolve().parents[2]


def codebook_of(size: int, dim: int = 8, seed: int = 0) -> Codebook:
    return Codebook.from_vectors(np.random.default_rng(seed).normal(size=(size, dim)).astype(np.float32))


def orthogonal(size: int) -> Codebook:
    """All different codes are exactly 2 apart: distances are full of ties."""
    return Codebook.from_vectors(np.eye(size, dtype=np.float32))


@dataclass(frozen=True)
class Oracle:
    """Every entry of a segment, one after the other."""

    ground: Ground

    @property
    def positions(self) -> IntArray:
        return retrieving_positions(self.ground.context, Grid(*self.ground.grids.shape[1:]))

    @property
    def contexts(self) -> IntArray:
        return context_codes(self.ground.context, self.ground.grids, self.positions).reshape(-1, 4)

    def tables(self, query: IntArray) -> FloatArray:
        return distance_tables(transposed_vectors(self.ground.codebook), query)

    def totals(self, query: IntArray, ask: Ask) -> tuple[FloatArray, IntArray]:
        """Distances and numbers of all entries that may answer."""
        codes = self.contexts
        columns = np.where(codes < 0, self.ground.codebook.size, codes).T.astype(np.uint16)
        totals, entries = table_sum(self.tables(query), columns), np.arange(len(codes))
        if ask.penalties is not None:
            totals += ask.penalties[entries % len(self.positions)]
        kept = totals <= ask.bound
        if ask.allowed is not None:
            kept &= ask.allowed[entries // len(self.positions)]
        return totals[kept], entries[kept] + self.ground.first_entry

    def near(self, query: IntArray, ask: Ask) -> Near:
        totals, entries = self.totals(query, ask)
        chosen = ordered(totals, entries, ask.k) if len(entries) else np.zeros(0, np.int64)
        return Near(totals[chosen], entries[chosen])


@contextmanager
def index_of(ground: Ground, **options: int) -> Iterator[OrderingsIndex]:
    """An index in a folder that is removed again."""
    with TemporaryDirectory() as name:
        build(Path(name), ground.grids, ground.codebook, ground.context, **options)
        yield OrderingsIndex(Ground(Path(name), ground.grids, ground.codebook, ground.context, ground.first_entry))


def assert_equal(index: OrderingsIndex, oracle: Oracle, query: IntArray, ask: Ask) -> None:
    """The very same entries in the same order, at distances of the same bits."""
    found, true = index.near(query, oracle.tables(query), ask), oracle.near(query, ask)
    np.testing.assert_array_equal(found.distances, true.distances)
    np.testing.assert_array_equal(found.entries, true.entries)


def ground_of(grids: CodeArray, codebook: Codebook, border: Any = "skip", first_entry: int = 0) -> Ground:
    return Ground(Path(), grids, codebook, Context(border=border), first_entry)


@st.composite
def problems(draw: st.DrawFn) -> tuple[Ground, dict[str, int], list[tuple[IntArray, Ask]]]:
    """Small codebooks, so that contexts and distances repeat, and what can be asked of their pictures."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    size = draw(st.sampled_from([2, 3, 5, 17, 300]))
    codebook = (
        orthogonal(size) if size < 17 and draw(st.booleans()) else codebook_of(size, draw(st.sampled_from([2, 8])))
    )
    shape = draw(st.integers(1, 40)), draw(st.integers(2, 7)), draw(st.integers(3, 7))
    used = draw(st.integers(1, size))  # few codes are used where it is small; all contexts are equal at 1
    grids = rng.integers(0, used, shape).astype(np.uint16)
    border = draw(st.sampled_from(["skip", "zero"]))
    ground = ground_of(grids, codebook, border, draw(st.sampled_from([0, 7, 2**32 - 3, 2**33 + 12345])))
    oracle = Oracle(ground)
    asks = []
    for _ in range(4):
        own = draw(st.booleans())
        query = rng.permutation(oracle.contexts)[0] if own else rng.integers(0, size, 4)
        penalties = (rng.random(len(oracle.positions)) * draw(st.sampled_from([0.1, 50]))).astype(np.float32)
        allowed = rng.random(len(grids)) < 0.6
        ask = Ask(
            draw(st.sampled_from([1, 2, 9, 64, 2000])),
            allowed=allowed if draw(st.booleans()) else None,
            penalties=penalties if draw(st.booleans()) else None,
        )
        totals = oracle.totals(query, ask)[0]
        bound = rng.choice(totals) if len(totals) and draw(st.booleans()) else np.float32(np.inf)
        asks.append((query, Ask(ask.k, np.float32(bound), ask.allowed, ask.penalties)))
    options = {"orderings": draw(st.sampled_from([1, 2])), "partition": draw(st.sampled_from([37, 10**6]))}
    return ground, options, asks


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(problems())
def test_answers_are_those_of_a_brute_force(problem: tuple[Ground, dict[str, int], list[tuple[IntArray, Ask]]]) -> None:
    ground, options, asks = problem
    oracle = Oracle(ground)
    with index_of(ground, **options) as index:
        for query, ask in asks:
            assert_equal(index, oracle, query, ask)


def correlated(count: int, size: int, seed: int = 0) -> CodeArray:
    """Pictures whose codes mostly go on from the left or from above, a little changed."""
    rng = np.random.default_rng(seed)
    grids = rng.integers(0, size, (count, 8, 8))
    for row in range(8):
        for col in range(1, 8):
            other = grids[:, row, col - 1] if row == 0 or col % 2 else grids[:, row - 1, col]
            kept = rng.random(count) < 0.8
            grids[kept, row, col] = (other[kept] + rng.integers(-1, 2, int(kept.sum()))) % size
    return grids.astype(np.uint16)


@pytest.mark.parametrize("orderings", [1, 2])
@pytest.mark.parametrize("cells", [1, 8])
def test_many_correlated_contexts(orderings: int, cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.patches.orderings.build.cells_of", lambda contexts, codes: cells)
    ground = ground_of(correlated(1500, 500), codebook_of(500), first_entry=36 * 11)
    oracle = Oracle(ground)
    queries = Oracle(ground_of(correlated(3, 500, seed=1), ground.codebook)).contexts[::4]
    with index_of(ground, orderings=orderings) as index:
        assert index.layout.about.cells == cells
        for query in queries:
            assert_equal(index, oracle, query, Ask(64))


def test_everything_is_equal() -> None:
    """The k first by tie rank of one list, which lies across the partitions."""
    ground = ground_of(np.full((200, 8, 8), 3, np.uint16), codebook_of(20), first_entry=2**32 - 4000)
    oracle = Oracle(ground)
    with index_of(ground, partition=999) as index:
        assert index.layout.about.contexts == 1
        for query in (np.full(4, 3), np.array([0, 1, 2, 3])):
            assert_equal(index, oracle, query, Ask(100))
            assert_equal(index, oracle, query, Ask(100, allowed=np.arange(200) == 77))


def test_a_bound_that_was_handed_on_leaves_what_is_at_it() -> None:
    ground = ground_of(correlated(100, 30), codebook_of(30))
    oracle, query = Oracle(ground), np.array([1, 2, 3, 4])
    with index_of(ground) as index:
        every = index.near(query, oracle.tables(query), Ask(50))
        bound = every.distances[20]
        within = index.near(query, oracle.tables(query), Ask(50, bound))
        assert len(within.entries) == np.count_nonzero(every.distances <= bound) < 50
        assert not len(index.near(query, oracle.tables(query), Ask(50, np.float32(every.distances[0] / 2))).entries)


def test_files_do_not_depend_on_how_they_were_cut(tmp_path: Path) -> None:
    grids, codebook = correlated(60, 40), codebook_of(40)
    for name, partition in (("one", 10**6), ("many", 50)):
        (tmp_path / name).mkdir()
        build(tmp_path / name, grids, codebook, Context(), partition=partition)
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    arrays = ("order", "first", "first_starts", "second", "second_starts", "starts", "entries")
    assert files == sorted([ABOUT, *(f"{name}.npy" for name in arrays)])
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "many" / name).read_bytes(), name


def test_codes_stand_by_clusters() -> None:
    codebook = codebook_of(1000)
    order, starts = code_order(codebook), cluster_starts(1001)
    assert sorted(order) == list(range(1001))
    assert len(starts) == 257
    assert starts[-1] == 1001
    assert set(np.diff(starts)) <= {3, 4}
    assert np.array_equal(cluster_starts(1001, 3), starts[::32])
    vectors = np.concatenate([codebook.vectors, np.zeros((1, 8), np.float32)])[order]
    within = np.mean([vectors[a:b].var(axis=0).sum() for a, b in itertools.pairwise(starts)])
    assert within < 0.5 * vectors.var(axis=0).sum()


def test_cells_grow_with_the_contexts() -> None:
    assert cells_of(1, 1025) == 1
    assert cells_of(RUN * 1025, 1025) == 1
    assert cells_of(RUN * 1025 + 1, 1025) == 2
    assert cells_of(10**9, 1025) == 256


def test_what_it_cannot_hold(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="expected 4"):
        build(tmp_path, correlated(1, 9), codebook_of(9), Context(radius=2))


def test_damaged_files_are_told(tmp_path: Path) -> None:
    grids, codebook = correlated(20, 12), codebook_of(12)
    build(tmp_path, grids, codebook, Context())
    ground = Ground(tmp_path, grids, codebook, Context(), 0)
    OrderingsIndex(ground)
    with pytest.raises(DatabaseError, match="expected 882 entries, 42 an image, of 12 codes"):
        OrderingsIndex(Ground(tmp_path, correlated(21, 12), codebook, Context(), 0))
    starts = (tmp_path / "starts.npy").read_bytes()
    (tmp_path / "starts.npy").write_bytes(starts[:-4])
    with pytest.raises(DatabaseError, match="part of a patch database; build the index again"):
        OrderingsIndex(ground)
    (tmp_path / "starts.npy").write_bytes(starts[:-4] + b"\1\0\0\0")
    with pytest.raises(DatabaseError, match="do not fit together"):
        OrderingsIndex(ground)
    (tmp_path / "starts.npy").unlink()
    with pytest.raises(DatabaseError, match="no such file"):
        OrderingsIndex(ground)
    for said in ([9, 1, 1, 1, 1, 1, 1], [1, 840, 42, 0, 12, 2, 1], [1, 2]):
        np.save(tmp_path / ABOUT, np.array(said))
        with pytest.raises(DatabaseError, match="build the index again"):
            OrderingsIndex(ground)


WITHOUT = """
import sys
sys.modules["numba"] = None
import numpy as np
from pathlib import Path
from core.codebook import Codebook
from core.context import Context
from core.patches.orderings import machine
from core.patches.segments.kinds import KINDS
from core.types import DatabaseError
codebook = Codebook.from_vectors(np.eye(4, dtype=np.float32))
try:
    KINDS["orderings"].build(Path(sys.argv[1]), np.zeros((1, 4, 4), np.uint16), codebook, Context())
except DatabaseError as error:
    print(error)
"""


def test_without_numba_one_line_says_what_to_install(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.count("\n") == 1
    assert "pip install -r requirements-scale.txt" in done.stdout


def test_machine_code_is_not_kept_where_nothing_can_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    real = numba.njit

    def closed(*arguments: Any, cache: bool = False, **options: Any) -> Any:
        if cache:
            raise RuntimeError("cannot cache function 'add': no locator available for file 'kernel.py'")
        return real(*arguments, **options)

    monkeypatch.setattr(compiling.numba, "njit", closed)
    add = compiling.compiled(numba.int64(numba.int64))(lambda number: number + 1)
    assert add(2) == 3


def test_kinds_are_chosen_by_size(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [choose_kind(n, Context()) for n in (1000, 500_000, 10**7)] == ["scan", "quantizer", "orderings"]
    assert choose_kind(10**7, Context(radius=2)) == "ivf"
    monkeypatch.setattr("core.patches.orderings.machine.is_there", lambda: False)
    assert choose_kind(10**7, Context()) == "ivf"


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind(kind: str, tmp_path: Path) -> None:
    ground = Ground(tmp_path, correlated(300, 60), codebook_of(60), Context(border="zero"), 63 * 5)
    KINDS[kind].build(tmp_path, ground.grids, ground.codebook, ground.context)
    index, oracle = KINDS[kind].open(ground), Oracle(ground)
    if isinstance(index, InvertedIndex):
        index = InvertedIndex(ground, probed=10**6)  # all of its lists: then it is exact
    penalties = np.linspace(0, 1, 63).astype(np.float32)
    asks = (Ask(20), Ask(20, np.float32(1)), Ask(20, allowed=np.arange(300) % 3 > 0), Ask(20, penalties=penalties))
    for query in oracle.contexts[1::4000]:
        for ask in asks:
            near, true = index.near(query, oracle.tables(query), ask), oracle.near(query, ask)
            chosen = ordered(near.distances, near.entries, 20) if len(near.entries) else np.zeros(0, np.int64)
            np.testing.assert_array_equal(near.entries[chosen], true.entries)
            np.testing.assert_array_equal(near.distances[chosen], true.distances)


def test_tune_takes_the_fastest_exact_kind(tmp_path: Path) -> None:
    made = tune(correlated(400, 60), codebook_of(60), Context(), tmp_path, k=16, queries=20)
    by_kind = {each.kind: each for each in made.measured}
    assert set(by_kind) == set(KINDS)
    assert KINDS[made.kind].exact
    exact = [each for each in made.measured if KINDS[each.kind].exact]
    assert all(each.recall == 1 for each in exact)
    assert by_kind[made.kind].mean_ms == min(each.mean_ms for each in exact)
    assert 0 < (by_kind["ivf"].recall or 0) <= 1
    assert made.entries == 400 * 42  # 7 rows of 6
    assert json.loads(json.dumps(made.kept))["kind"] == made.kind
    assert not list(tmp_path.iterdir())
    with pytest.raises(ConfigError, match="expected some of scan"):
        tune(correlated(4, 60), codebook_of(60), Context(), tmp_path, kinds=("hnsw",))
    with pytest.raises(ConfigError, match="takes contexts of 4 codes"):
        tune(correlated(4, 60), codebook_of(60), Context(radius=2), tmp_path, kinds=("orderings",))


@pytest.mark.parametrize("kind", ["orderings", "ordering", "quantizer"])
def test_segments_answer_as_one_database_in_memory(kind: str, tmp_path: Path) -> None:
    grids, codebook = correlated(90, 40), codebook_of(40)
    infos = [ImageInfo("", style="flat" if number % 3 else "round") for number in range(90)]
    header = Header(codebook.fingerprint, Grid(8, 8))
    with DatabaseWriter(tmp_path / "made", codebook, header, index=kind, entries_of_segment=42 * 35) as writer:
        writer.add(Batch(grids, [ImageRow(info) for info in infos]))
    made, plain = SegmentedDatabase.open(tmp_path / "made"), PatchDatabase.build(codebook, grids, infos)
    assert len(made.segments) == 3
    queries = np.random.default_rng(5).integers(0, 40, (6, 4))
    queries[:3] = context_codes(Context(), grids, retrieving_positions(Context(), Grid(8, 8))).reshape(-1, 4)[7::1500]
    for one, other in ((made, plain), (made.with_styles(["flat"]), plain.with_styles(["flat"]))):
        for position, weight in ((None, 0.0), (20, 0.05)):
            found, true = (held.search(queries, 30, position, weight) for held in (one, other))
            for near, expected in zip(found, true, strict=True):
                np.testing.assert_array_equal(near.entries, expected.entries)
                np.testing.assert_array_equal(near.distances, expected.distances)
                np.testing.assert_array_equal(near.codes, expected.codes)


def test_recall_counts_what_was_found() -> None:
    a, b = (Near(np.zeros(len(e), np.float32), np.array(e)) for e in ([1, 2, 3], [3, 4, 2]))
    assert recall([a], [b]) == pytest.approx(2 / 3)


def test_warming_reads_what_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "a.npy", np.zeros(1000))
    thread = warm([tmp_path])
    assert thread is not None
    thread.join(10)
    assert not thread.is_alive()
    monkeypatch.setattr("core.patches.orderings.warm.available", lambda: 1000)
    assert warm([tmp_path]) is None


@pytest.mark.parametrize(("codes", "dim"), [(3, 1), (50, 8), (5000, 5)])
def test_tables_by_machine_code_are_those_of_numpy(codes: int, dim: int) -> None:
    codebook = codebook_of(codes, dim)
    vectors, query = transposed_vectors(codebook), np.array([0, codes - 1, -1, codes // 2])
    assert machine.distance_tables(vectors, query).tobytes() == distance_tables(vectors, query).tobytes()
