"""The suite retrieval: hits, distances and coverage by hand, and every index against the exact one."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import pytest

from core.backends.emoji.backend import EmojiBackend
from core.codebook import Codebook
from core.context import Context, context_codes, retrieving_positions
from core.evaluation import indexes, retrieved
from core.evaluation.findings import Plot, Table
from core.evaluation.indexes import TRUTH, VERSION_1, Ask1, Told
from core.evaluation.retrieval_findings import found
from core.evaluation.retrieved import Answer
from core.evaluation.suite import Measured, Subject
from core.evaluation.suites.retrieval import SUITE, pool_of
from core.patches.database import PatchDatabase
from core.patches.segments.kinds import KINDS
from core.types import ConfigError, DecodeSettings, Neighbours
from tests.closeness import assert_close
from tests.rows import MemoryRow, rows_of

SETTINGS = DecodeSettings(n_neighbours=4, caption_filter=3, gate=0.5)
CODEBOOK = Codebook.from_vectors(np.array([[1, 0], [0, 1], [-1, 0]], np.float32))


def test_hits_ranks_and_distances_by_hand() -> None:
    """Two of three positions retrieve four codes each; the true ones are 0 and 2."""
    answers = [Answer(np.array([1, 0, 0, 2]), 0.1), None, Answer(np.array([1, 1, 0, 0]), 0.2)]
    said = retrieved.figures([0, 1, 2], answers, CODEBOOK)
    assert_close(said["any"], 2 / 3)
    assert_close(said["mrr"], (1 / 2 + 0) / 2)
    assert (said["hit@1"], said["hit@4"]) == (0, 0.5)
    assert (said["right@1"], said["right@4"]) == (0, 0.25)
    assert_close(said["distance"], ((2 + 0 + 0 + 4) / 4 + (2 + 2 + 4 + 4) / 4) / 2)
    assert "hit@16" not in said
    assert retrieved.figures([0], [None], CODEBOOK) == {}


def test_coverage_counts_positions_of_a_row_that_are_near() -> None:
    near, far = Answer(np.array([0]), 0.4), Answer(np.array([0]), 0.5)
    assert_close(retrieved.covered([None, near, far, far, near, near], 3, 0.5), [1 / 3, 2 / 3])


def test_answers_keep_the_order_and_leave_out_what_found_nothing() -> None:
    one = Neighbours(np.array([5, 3]), np.array([0.25, 1], np.float32), np.array([9, 7]))
    none = Neighbours(np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros(0, np.int64))
    first, second, third = retrieved.answers([one, None, none])
    assert first is not None
    assert (first.codes.tolist(), first.distance) == ([5, 3], 0.25)
    assert (second, third) == (None, None)


def test_any_entries_are_as_many_from_the_pool() -> None:
    rng = np.random.default_rng(0)
    found_ = retrieved.at_random([Answer(np.zeros(2000, np.int64), 0.1), None], np.array([3, 3, 3, 8]), rng)
    assert found_[1] is None
    assert found_[0] is not None
    assert set(found_[0].codes.tolist()) == {3, 8}
    assert 0.7 < (found_[0].codes == 3).mean() < 0.8


@pytest.fixture(scope="module")
def ask(database: PatchDatabase) -> Ask1:
    positions = retrieving_positions(database.context, database.grid)
    queries = context_codes(database.context, database.grids[:4], positions).reshape(-1, 4)[::9]
    return Ask1(np.asarray(database.grids), database.codebook, database.context, queries, 5)


def test_every_exact_kind_finds_what_the_scan_finds(ask: Ask1, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = {name: kind for name, kind in KINDS.items() if not kind.numba}  # compiling takes long
    monkeypatch.setattr(indexes, "KINDS", kinds)
    told = dict(indexes.tell(ask))
    assert list(told) == [TRUTH, "quantizer", "ivf", f"{VERSION_1}scan", f"{VERSION_1}quantizer"]
    arrays = indexes.kept(told)
    for number, name in enumerate(told):
        share = arrays[f"recall-{number}"].mean()
        assert share > 0.5 if name == "ivf" else share == 1, name
        assert len(arrays[f"ms-{number}"]) == len(ask.queries)
    assert told["scan"].bytes > 0
    assert told[f"{VERSION_1}scan"].bytes == 0


def test_recall_is_the_share_of_true_entries() -> None:
    def told(*entries: list[int]) -> Told:
        return Told([np.array(one) for one in entries], np.zeros(2, np.float32), 0, 0)

    assert indexes.recall(told([1, 2], [7, 8]), told([2, 3], [8, 7])).tolist() == [0.5, 1]


def test_kinds_that_cannot_be_had_say_why() -> None:
    assert set(indexes.hindrances(Context(2, "zero"))) == {"orderings", "ordering"}


def options(**changes: Any) -> dict[str, Any]:
    parser = argparse.ArgumentParser()
    SUITE.add_arguments(parser)
    return vars(parser.parse_args([])) | changes


@pytest.fixture(scope="module")
def subject(backend: EmojiBackend, database: PatchDatabase) -> Subject:
    return Subject("tiny", backend, "tiny", database.subset(range(8)), SETTINGS)


@pytest.fixture(scope="module")
def rows(subject: Subject, database: PatchDatabase, tmp_path_factory: pytest.TempPathFactory) -> list[MemoryRow]:
    folder = tmp_path_factory.mktemp("held")
    database.subset([0, 8, 9]).save(folder)  # the first of which the other one holds as well
    return rows_of(SUITE.open(subject, options(held_out=str(folder), count=0, queries=0)))


def test_a_picture_that_is_in_the_database_finds_itself(rows: list[MemoryRow]) -> None:
    said = rows[0].details["retrieved"]
    assert list(said) == ["whole", "filtered", "random"]
    assert said["whole"][0]["hit@4"] > 0.9
    assert said["random"][0]["hit@4"] < 0.5
    assert rows[0].array("rows-whole").shape == (3, 8)
    assert_close(rows[0].array("rows-whole")[0], [0] + [6 / 8] * 7)  # of the first row, and of borders, none retrieves


def test_a_run_says_hits_distances_and_coverage(rows: list[MemoryRow]) -> None:
    right, coverage = found(rows)
    table = right.blocks[0]
    assert isinstance(table, Table)
    assert [row[0] for row in table.rows][-2:] == ["whole less any entries", "filtered less any entries"]
    assert table.head[:4] == ("retrieved", "mrr", "hit@1", "right@1")
    values, *plots = coverage.blocks
    assert isinstance(values, Table)
    assert len(values.rows) == 2
    assert [plot.key for plot in plots if isinstance(plot, Plot)] == ["coverage-whole", "coverage-filtered"]


def test_kinds_are_told_with_their_times_and_what_is_missing() -> None:
    details = {"kinds": ["scan", "ivf"], "images": 3, "entries": 30, "k": 2, "build": [0.1, 0.2], "bytes": [60, 0]}
    arrays = {
        "recall-0": np.ones(4), "recall-1": np.array([1, 0.5, 1, 0.5]), "ms-0": np.full(4, 2.0), "ms-1": np.ones(4)
    }  # fmt: skip
    row = MemoryRow("indexes", {"kind": "indexes"}, Measured({}, {}, arrays, details, {"ordering": "no numba"}))
    table = found([row])[0].blocks[0]
    assert isinstance(table, Table)
    scan, ivf = (dict(zip(table.head, each, strict=True)) for each in table.rows)
    assert getattr(ivf["recall"], "value", None) == 0.75
    assert getattr(ivf["CPU ms less scan"], "value", None) == -1
    assert (scan["bytes an entry"], ivf["bytes an entry"]) == (2, "in memory")
    assert "ordering: no numba" in table.note


def test_the_pool_is_of_entries_alone(subject: Subject, database: PatchDatabase) -> None:
    inner = database.grids[:8, 1:, 1:-1]
    assert sorted(pool_of(subject, subject.database or database).tolist()) == sorted(inner.ravel().tolist())


def test_a_database_is_needed(backend: EmojiBackend) -> None:
    with pytest.raises(ConfigError, match="give --database"):
        SUITE.open(Subject("tiny", backend, "none", None, SETTINGS), options())
