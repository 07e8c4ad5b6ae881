"""Branches of Janus go on from what it knows of the run that they came from, to the bit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from core.backends.janus import decoding, memory
from core.backends.janus.backend import JanusBackend
from core.backends.janus.decoding import JanusDecoding
from core.backends.protocol import ModelSource
from core.engine import Request, decode_together
from core.snapshots import Snapshots
from core.types import Change, ConfigError, DecodeSettings, IntArray, StepRecord
from tests import tiny_janus

MODEL = DecodeSettings(method="model", cfg_scale=5.0, top_p=1.0, seed=3)


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> JanusBackend:
    folder = tmp_path_factory.mktemp("tiny")
    tiny_janus.save_model(folder, tiny_janus.tiny_janus(tiny_janus.Size()))
    return JanusBackend.load(ModelSource(model=str(folder), device="cpu"))


def drawn(requests: Sequence[Request], first: int = 0) -> list[list[StepRecord]]:
    """The records of each request."""
    return [list(row) for row in zip(*decode_together(requests, first), strict=True)]


class Reading(list[int]):
    """How many codes are read anew, each time that any are."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        replay, read = JanusDecoding.replay, self.append

        def counted(decoding: JanusDecoding, codes: IntArray, neighbours: None) -> None:
            read(codes.shape[1])
            replay(decoding, codes, neighbours)

        monkeypatch.setattr(JanusDecoding, "replay", counted)


@pytest.fixture
def reading(monkeypatch: pytest.MonkeyPatch) -> Reading:
    return Reading(monkeypatch)


def test_a_branch_goes_on_with_the_very_logits_of_its_run(backend: JanusBackend, reading: Reading) -> None:
    asked = Request(backend, None, "a red heart", MODEL, memory=Snapshots().of("ann"))
    (whole,) = drawn([asked])
    codes = tuple(record.code for record in whole)
    for first in (35, 20, 1):
        branch = replace(asked, codes=codes[:first])
        assert (branch.unread(first), replace(branch, memory=None).unread(first)) == (0, first)
        (again,) = drawn([branch], first)
        assert [record.code for record in again] == list(codes[first:])
        for one, other in zip(again, whole[first:], strict=True):
            np.testing.assert_array_equal(one.logits, other.logits)
    assert reading == []


def test_what_depends_on_other_keys_and_values_is_read(backend: JanusBackend, reading: Reading) -> None:
    asked = Request(backend, None, "a red heart", MODEL, memory=Snapshots().of("ann"))
    codes = tuple(record.code for record in drawn([asked])[0])
    branch = replace(asked, codes=codes[:20])
    for other in (
        replace(branch, prompt="a blue dog"),
        replace(branch, settings=replace(MODEL, cfg_scale=1.0)),
        replace(branch, memory=Snapshots().of("ann")),
        replace(branch, memory=None),
    ):
        assert other.unread(20) == 20
        drawn([other], 20)
    assert reading == [20] * 4
    warmer = replace(branch, changes=(Change(20, settings=replace(MODEL, temperature=0.5, cfg_scale=3.0)),))
    assert warmer.unread(20) == 0
    drawn([warmer], 20)
    assert len(reading) == 4


def test_a_run_that_is_left_or_differs_later_is_known_as_far_as_it_is_the_same(
    backend: JanusBackend, reading: Reading
) -> None:
    asked = Request(backend, None, "a red heart", MODEL, memory=Snapshots().of("ann"))
    expected = drawn([replace(asked, memory=None)])[0]
    codes = tuple(record.code for record in expected)
    steps = decode_together([asked])
    for _ in range(12):
        next(steps)
    steps.close()
    assert replace(asked, codes=codes[:20]).unread(20) == 9  # of the twelfth, the pass was not made yet
    (rest,) = drawn([replace(asked, codes=codes[:20])], 20)
    np.testing.assert_allclose(rest[0].logits, expected[20].logits, atol=1e-4)
    assert [record.code for record in rest] == list(codes[20:])
    assert reading == []


def test_rows_of_a_batch_go_on_from_runs_of_their_own_whatever_their_length(
    backend: JanusBackend, reading: Reading
) -> None:
    ann = Snapshots().of("ann")
    asked = [Request(backend, None, prompt, MODEL, memory=ann) for prompt in ("a red heart", "pizza", "a big dog")]
    whole = drawn(asked)
    branches = [
        replace(one, codes=tuple(record.code for record in records[:9]))
        for one, records in zip(asked, whole, strict=True)
    ]
    assert [branch.unread(9) for branch in branches] == [0, 0, 0]
    for rows in (branches, branches[1:], branches[1:2]):
        for again, records in zip(drawn(rows, 9), whole[-len(rows) :] if len(rows) > 1 else whole[1:2], strict=True):
            assert [record.code for record in again] == [record.code for record in records[9:]]
            for one, other in zip(again, records[9:], strict=True):
                np.testing.assert_allclose(one.logits, other.logits, atol=1e-4)
    assert reading == []


def test_settings_that_change_under_way_do_not_read_anew(backend: JanusBackend, reading: Reading) -> None:
    changes = (Change(10, settings=replace(MODEL, temperature=0.5)), Change(20, settings=MODEL))
    asked = Request(backend, None, "a red heart", MODEL, changes)
    plain = drawn([asked])
    assert reading == [10, 20]
    kept = drawn([replace(asked, memory=Snapshots().of("ann"))])
    assert [record.code for record in kept[0]] == [record.code for record in plain[0]]
    assert reading == [10, 20]


def test_where_memory_is_short_nothing_is_kept(backend: JanusBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Snapshots()
    asked = Request(backend, None, "a red heart", MODEL, memory=store.of("ann"))
    monkeypatch.setattr(decoding, "room", lambda device: memory.Room(10**9, 1000))
    drawn([asked])
    assert store.nbytes == 0
    monkeypatch.setattr(decoding, "room", lambda device: None)
    drawn([asked])
    state = backend.start(["a red heart"], guided=True)
    state.replay(np.zeros((1, 36), np.int64), None)
    assert store.nbytes == state.snapshot_bytes() > 0
    with pytest.raises(ConfigError, match="expected a new one"):
        state.resume([state.snapshot(0)], np.zeros((1, 36), np.int64), 36)
