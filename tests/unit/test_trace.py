"""Recorded traces: the round trip, what is derived from them, and files that must be refused."""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.backends.emoji import EmojiBackend
from core.daid import model_distribution, sample
from core.database import PatchDatabase
from core.engine import decode
from core.trace import Trace, entropy, kl_divergence, neighbours
from core.types import Change, DecodeSettings, Skipped, TraceError

SETTINGS = DecodeSettings(seed=2, retrieval_weight=0.5, n_neighbours=6, gate=0.0, styles=("3d",), cfg_scale=2.0)


@pytest.fixture(scope="module")
def trace(backend: EmojiBackend, database: PatchDatabase) -> Trace:
    records = [step[0] for step in decode(backend, database, ["a red heart"], SETTINGS)]
    return Trace.record(backend, database, "a red heart", SETTINGS, records)


FAID = replace(SETTINGS, method="faid", faid_neighbours=5, record_unblended=True)


def traced(backend: EmojiBackend, database: PatchDatabase, settings: DecodeSettings) -> Trace:
    records = [step[0] for step in decode(backend, database, ["a red heart"], settings)]
    return Trace.record(backend, database, "a red heart", settings, records)


@pytest.fixture(scope="module")
def blended(backend: EmojiBackend, database: PatchDatabase) -> Trace:
    return traced(backend, database, FAID)


@pytest.fixture
def saved(trace: Trace, tmp_path: Path) -> Path:
    trace.save(tmp_path / "run.npz")
    return tmp_path / "run.npz"


def test_round_trip_keeps_everything(trace: Trace, saved: Path) -> None:
    loaded = Trace.load(saved)
    assert (loaded.prompt, loaded.settings, loaded.origin, loaded.grid) == (
        trace.prompt, trace.settings, trace.origin, trace.grid)  # fmt: skip
    for ours, theirs in zip(trace.steps, loaded.steps, strict=True):
        assert (ours.position, ours.u, ours.code) == (theirs.position, theirs.u, theirs.code)
        assert np.array_equal(ours.logits, theirs.logits)
        if isinstance(ours.retrieval, Skipped):
            assert ours.retrieval == theirs.retrieval
        else:
            mine, other = neighbours(ours), neighbours(theirs)
            assert mine is not None
            assert other is not None
            assert all(np.array_equal(getattr(mine, n), getattr(other, n)) for n in ("codes", "distances", "entries"))
    assert list(loaded.sources) == list(trace.sources)
    assert all(np.array_equal(loaded.sources[n].codes, trace.sources[n].codes) for n in trace.sources)
    assert loaded.flips().tolist() == trace.flips().tolist()


def test_round_trip_keeps_what_the_blenders_did(blended: Trace, tmp_path: Path) -> None:
    blended.save(tmp_path / "faid.npz")
    loaded = Trace.load(tmp_path / "faid.npz")
    assert loaded.origin == blended.origin
    assert loaded.origin.faid is not None
    for ours, theirs in zip(blended.steps, loaded.steps, strict=True):
        assert ours.faid is not None
        assert theirs.faid is not None
        assert ours.faid.present == theirs.faid.present
        for name in ("layers", "hops", "compatibility", "hop_weights", "share", "start_cosine", "code_cosine"):
            np.testing.assert_array_equal(getattr(ours.faid, name), getattr(theirs.faid, name))
        np.testing.assert_array_equal(ours.faid.unblended, theirs.faid.unblended)  # type: ignore[arg-type]
    assert loaded.flips().tolist() == blended.flips().tolist()


def test_a_stopped_run_with_blenders_is_a_trace_too(blended: Trace, tmp_path: Path) -> None:
    replace(blended, steps=blended.steps[:9]).save(tmp_path / "stopped.npz")
    assert len(Trace.load(tmp_path / "stopped.npz").steps) == 9


def test_flips_of_faid_follow_from_what_was_recorded(
    blended: Trace, backend: EmojiBackend, database: PatchDatabase
) -> None:
    assert blended.flips_known
    flips = blended.flips().tolist()
    assert 0 < len(flips) < len(blended.steps)
    for step in blended.steps:
        assert step.faid is not None
        assert step.faid.unblended is not None
        alone = model_distribution(step.faid.unblended, FAID.temperature, FAID.top_k, FAID.top_p)
        assert (sample(alone, step.u) != step.code) == (step.position in flips)
    silent = traced(backend, database, replace(FAID, record_unblended=False))
    assert silent.codes.tolist() == blended.codes.tolist()
    assert not silent.flips_known
    assert (silent.code_without_retrieval(20), silent.flips().tolist()) == (None, [])


def test_a_numpy_user_can_open_it_without_pickle(saved: Path) -> None:
    with np.load(saved, allow_pickle=False) as archive:
        assert archive["logits"].shape == (64, 48)


def test_a_stopped_run_is_a_trace_too(trace: Trace, tmp_path: Path) -> None:
    stopped = replace(trace, steps=trace.steps[:9])
    stopped.save(tmp_path / "stopped.npz")
    loaded = Trace.load(tmp_path / "stopped.npz")
    assert len(loaded.steps) == 9
    assert not loaded.complete
    assert trace.complete


def test_flips_are_where_the_same_uniform_picks_another_code_without_retrieval(
    trace: Trace, backend: EmojiBackend
) -> None:
    flips = trace.flips().tolist()
    assert 0 < len(flips) < len(trace.steps)
    for step in trace.steps:
        cumulative = np.cumsum(trace.blend(step.position).model)
        without = int(np.searchsorted(cumulative, step.u * cumulative[-1], side="right"))
        assert (step.position in flips) == (without != step.code)
    assert not any(isinstance(trace.steps[p].retrieval, Skipped) for p in flips)


def test_provenance_agrees_with_the_database(trace: Trace, database: PatchDatabase) -> None:
    for step in trace.steps:
        found = neighbours(step)
        images, rows, columns = trace.provenance(step.position)
        if found is None:
            assert len(images) == 0
            continue
        for expected, got in zip(database.provenance(found.entries), (images, rows, columns), strict=True):
            assert expected.tolist() == got.tolist()
        codes = [trace.sources[int(i)].codes[r, c] for i, r, c in zip(images, rows, columns, strict=True)]
        assert codes == found.codes.tolist()
        assert {trace.sources[int(i)].style for i in images} == {"3d"}


def test_entropy_and_divergence_by_hand() -> None:
    assert entropy(np.array([0.5, 0.5, 0.0])) == pytest.approx(math.log(2))
    assert entropy(np.array([1.0, 0.0])) == 0
    assert kl_divergence(np.array([0.5, 0.5]), np.array([0.25, 0.75])) == pytest.approx(
        0.5 * math.log(2) + 0.5 * math.log(2 / 3)
    )
    assert kl_divergence(np.array([0.5, 0.5]), np.array([0.5, 0.5])) == 0
    assert math.isfinite(kl_divergence(np.array([0.5, 0.5]), np.array([1.0, 0.0])))


def test_method_model_records_no_database(backend: EmojiBackend, database: PatchDatabase) -> None:
    settings = replace(SETTINGS, method="model")
    records = [step[0] for step in decode(backend, database, ["dog"], settings)]
    trace = Trace.record(backend, database, "dog", settings, records)
    assert (trace.origin.database, trace.sources, trace.retrieving_positions) == (None, {}, 0)
    assert trace.flips().tolist() == []
    assert trace.blend(20).retrieval is None


# -- changes and given codes ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def changed(backend: EmojiBackend, database: PatchDatabase) -> Trace:
    """Given codes, then DAiD, a neighbour dropped, FAiD from position 30 on, and a code that was chosen."""
    start = replace(SETTINGS, faid_neighbours=5)
    plain = traced(backend, database, start)
    found = neighbours(plain.steps[20])
    assert found is not None
    changes = [
        Change(20, weights=((int(found.entries[0]), 0.0), (int(found.entries[1]), 2.5))),
        Change(30, settings=FAID),
        Change(40, code=9),
        Change(50, settings=replace(FAID, record_unblended=False)),
    ]
    given = plain.codes[:10].tolist()
    records = [step[0] for step in decode(backend, database, ["a red heart"], start, changes, given)]
    return Trace.record(backend, database, "a red heart", start, records, changes, 10)


def test_a_changed_run_is_a_full_trace(changed: Trace, tmp_path: Path) -> None:
    changed.save(tmp_path / "run.npz")
    loaded = Trace.load(tmp_path / "run.npz")
    assert (loaded.changes, loaded.given, loaded.settings) == (changed.changes, 10, changed.settings)
    for ours, theirs in zip(changed.steps, loaded.steps, strict=True):
        assert (ours.faid is None) == (theirs.faid is None) == (ours.position < 30)
        if ours.faid is not None and theirs.faid is not None:
            np.testing.assert_array_equal(ours.faid.compatibility, theirs.faid.compatibility)
            assert (theirs.faid.unblended is None) == (ours.position >= 50)
            if ours.faid.unblended is not None and theirs.faid.unblended is not None:
                np.testing.assert_array_equal(ours.faid.unblended, theirs.faid.unblended)
        np.testing.assert_array_equal(changed.blend(ours.position).blended, loaded.blend(theirs.position).blended)
    weights = neighbours(loaded.steps[20])
    assert weights is not None
    assert weights.weights is not None
    assert weights.weights[:3].tolist() == [0.0, 2.5, 1.0]
    assert loaded.flips().tolist() == changed.flips().tolist()


def test_every_code_follows_from_a_changed_trace(changed: Trace) -> None:
    for step in changed.steps:
        if changed.drawn(step.position):
            assert sample(changed.blend(step.position).blended, step.u) == step.code
    assert [p for p in range(64) if not changed.drawn(p)] == [*range(10), 40]
    assert changed.codes[40] == 9
    assert changed.settings_at(29).method == "daid"
    assert changed.settings_at(30) == FAID
    assert not changed.flips_known
    assert replace(changed, steps=changed.steps[:50]).flips_known


def test_a_code_that_was_chosen_is_no_flip(changed: Trace) -> None:
    step = changed.steps[40]
    without = changed.code_without_retrieval(40)
    assert (40 in changed.flips()) == (without != sample(changed.blend(40).blended, step.u))


def test_a_changed_trace_reproduces(changed: Trace, backend: EmojiBackend, database: PatchDatabase) -> None:
    given = changed.codes[: changed.given].tolist()
    again = decode(backend, database, [changed.prompt], changed.settings, changed.changes, given)
    assert [step[0].code for step in again] == changed.codes.tolist()


def test_surprise_is_that_of_the_untruncated_blend(trace: Trace) -> None:
    surprise = trace.surprise()
    step = trace.steps[20]
    plain = model_distribution(step.logits, 1.0)
    retrieval = trace.blend(20).retrieval
    assert retrieval is not None
    expected = -math.log(0.5 * plain[step.code] + 0.5 * retrieval[step.code])
    assert surprise[20].tolist() == pytest.approx([-math.log(plain[step.code]), expected], rel=1e-5)
    assert surprise.shape == (64, 2)
    assert np.isfinite(surprise).all()


def test_a_trace_of_version_2_is_read_as_one_without_changes(trace: Trace, saved: Path) -> None:
    def change(members: dict[str, bytes]) -> None:
        meta = json.loads(members["meta.json"])
        del meta["changes"], meta["given"]
        members["meta.json"] = json.dumps({**meta, "version": 2}).encode()

    loaded = Trace.load(rewrite(saved, change))
    assert (loaded.changes, loaded.given) == ((), 0)
    assert loaded.codes.tolist() == trace.codes.tolist()


# -- files that must be refused ---------------------------------------------------------------------------------------


def rewrite(path: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """The trace with some members changed."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def with_meta(**changes: Any) -> Callable[[dict[str, bytes]], None]:
    def change(members: dict[str, bytes]) -> None:
        members["meta.json"] = json.dumps({**json.loads(members["meta.json"]), **changes}).encode()

    return change


def with_array(name: str, make: Callable[[Any], Any]) -> Callable[[dict[str, bytes]], None]:
    def change(members: dict[str, bytes]) -> None:
        array = np.load(io.BytesIO(members[f"{name}.npy"]), allow_pickle=False)
        file = io.BytesIO()
        np.save(file, make(array), allow_pickle=True)
        members[f"{name}.npy"] = file.getvalue()

    return change


def set_first(value: float) -> Callable[[Any], Any]:
    def make(array: Any) -> Any:
        array.reshape(-1)[0] = value
        return array

    return make


REFUSED: dict[str, Callable[[dict[str, bytes]], None]] = {
    "another version": with_meta(version=99),
    "another format": with_meta(format="something"),
    "prompt is a number": with_meta(prompt=7),
    "huge prompt": with_meta(prompt="x" * 3000),
    "settings out of range": with_meta(settings={"seed": -1}),
    "unknown setting": with_meta(settings={"evil": 1}),
    "grid too large": with_meta(grid={"height": 10**9, "width": 10**9}),
    "grid of text": with_meta(grid={"height": "8", "width": 8}),
    "origin is a list": with_meta(origin=[1]),
    "origin is empty": with_meta(origin={}),
    "no steps": with_meta(skipped=[]),
    "more steps than positions": with_meta(skipped=[None] * 65),
    "reasons are numbers": with_meta(skipped=[1] * 64),
    "sources are numbers": with_meta(sources=[1, 2]),
    "no sources": with_meta(sources=[]),
    "version 1": with_meta(version=1),
    "changes are a number": with_meta(changes=3),
    "more changes than positions": with_meta(changes=[{"position": 1}] * 65),
    "two changes at a position": with_meta(changes=[{"position": 1}] * 2),
    "a change of nothing": with_meta(changes=[7]),
    "a change without a position": with_meta(changes=[{"code": 1}]),
    "an unknown change": with_meta(changes=[{"position": 1, "evil": 1}]),
    "a change beyond the grid": with_meta(changes=[{"position": 64}]),
    "a change to an unknown code": with_meta(changes=[{"position": 1, "code": 48}]),
    "a weight below zero": with_meta(changes=[{"position": 20, "weights": [[1, -1]]}]),
    "a weight that is text": with_meta(changes=[{"position": 20, "weights": [[1, "2"]]}]),
    "weights without an entry": with_meta(changes=[{"position": 20, "weights": [[1]]}]),
    "weights that are a number": with_meta(changes=[{"position": 20, "weights": 5}]),
    "changed settings out of range": with_meta(changes=[{"position": 20, "settings": {"retrieval_weight": 2}}]),
    "changed settings that are text": with_meta(changes=[{"position": 20, "settings": "all"}]),
    "another seed": with_meta(changes=[{"position": 20, "settings": {"seed": 5}}]),
    "given codes are text": with_meta(given="1"),
    "more given codes than steps": with_meta(given=65),
    "fewer than no given codes": with_meta(given=-1),
    "blenders that were not recorded": with_meta(changes=[{"position": 9, "settings": {"seed": 2, "method": "faid"}}]),
    "the hash of the database is a list": lambda members: with_meta(
        origin={**json.loads(members["meta.json"])["origin"], "database": []}
    )(members),
    "blenders without a method for them": lambda members: with_meta(
        origin={**json.loads(members["meta.json"])["origin"], "faid": "0123456789abcdef"}
    )(members),
    "meta is a list": lambda members: members.update({"meta.json": b"[]"}),
    "meta is not JSON": lambda members: members.update({"meta.json": b"{"}),
    "meta is deep": lambda members: members.update({"meta.json": b"[" * 100_000}),
    "meta is missing": lambda members: members.pop("meta.json") and None,
    "an array is missing": lambda members: members.pop("u.npy") and None,
    "an array is garbage": lambda members: members.update({"u.npy": b"garbage"}),
    "an array is cut off": lambda members: members.update({"logits.npy": members["logits.npy"][:-8]}),
    "logits are not finite": with_array("logits", set_first(float("nan"))),
    "u above one": with_array("u", set_first(1.5)),
    "code outside the codebook": with_array("codes", set_first(48)),
    "negative code": with_array("codes", set_first(-1)),
    "negative distance": with_array("neighbour_distances", set_first(-1)),
    "entry of an unknown image": with_array("neighbour_entries", set_first(10**9)),
    "wrong count": with_array("counts", lambda a: a + 1),
    "negative count": with_array("counts", set_first(-1)),
    "neighbours where none may be": with_array("counts", lambda a: np.roll(a, 1)),
    "wrong type": with_array("u", lambda a: a.astype(np.float32)),
    "wrong shape": with_array("logits", lambda a: a.reshape(-1)),
    "objects": with_array("u", lambda a: np.array([{}] * len(a), dtype=object)),
    "source codes outside the codebook": with_array("source_codes", set_first(48)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_damaged_and_hostile_traces_are_refused_in_one_line(saved: Path, name: str) -> None:
    rewrite(saved, REFUSED[name])
    with pytest.raises(TraceError, match=r"run\.npz: ") as caught:
        Trace.load(saved)
    assert "\n" not in str(caught.value)


REFUSED_BLENDS: dict[str, Callable[[dict[str, bytes]], None]] = {
    "compatibility above one": with_array("faid_compatibility", set_first(1.5)),
    "compatibility is not finite": with_array("faid_compatibility", set_first(float("nan"))),
    "negative hop weight": with_array("faid_hop_weights", set_first(-0.1)),
    "negative share": with_array("faid_share", set_first(-1)),
    "infinite share": with_array("faid_share", set_first(float("inf"))),
    "cosine above one": with_array("faid_start_cosine", set_first(1.5)),
    "cosine of nothing": with_array("faid_code_cosine", set_first(float("nan"))),
    "more present than there are": with_array("faid_present", set_first(6)),
    "hop 9": with_array("faid_hops", set_first(9)),
    "negative layer": with_array("faid_layers", set_first(-1)),
    "no blenders": with_array("faid_layers", lambda a: a[:0]),
    "another number of features": with_array("faid_compatibility", lambda a: a[:, :, :2]),
    "fewer steps": with_array("faid_share", lambda a: a[:5]),
    "unblended logits are missing": with_array("faid_unblended", lambda a: a[:0]),
    "unblended logits are not finite": with_array("faid_unblended", set_first(float("inf"))),
    "a method without blenders": lambda members: with_meta(
        settings={**json.loads(members["meta.json"])["settings"], "method": "daid"}
    )(members),
    "more present than were found": with_array("faid_present", set_first(1)),
    "fewer present than were found": with_array("faid_present", lambda a: a * 0),
    "layers that go down": with_array("faid_layers", lambda a: a[::-1].copy()),
    "a hop twice": with_array("faid_hops", lambda a: a * 0 + 1),
    "hop weights of sum 2": with_array("faid_hop_weights", lambda a: a * 2),
    "no hash of the blenders": lambda members: with_meta(
        origin={**json.loads(members["meta.json"])["origin"], "faid": None}
    )(members),
    "the hash of the blenders is false": lambda members: with_meta(
        origin={**json.loads(members["meta.json"])["origin"], "faid": False}
    )(members),
    "the hash of the blenders is a number": lambda members: with_meta(
        origin={**json.loads(members["meta.json"])["origin"], "faid": 7}
    )(members),
}


@pytest.mark.parametrize("name", REFUSED_BLENDS)
def test_damaged_records_of_blenders_are_refused_in_one_line(blended: Trace, tmp_path: Path, name: str) -> None:
    blended.save(tmp_path / "run.npz")
    rewrite(tmp_path / "run.npz", REFUSED_BLENDS[name])
    with pytest.raises(TraceError, match=r"run\.npz: ") as caught:
        Trace.load(tmp_path / "run.npz")
    assert "\n" not in str(caught.value)


def test_blends_that_no_method_asked_for_are_refused(saved: Path) -> None:
    with pytest.raises(TraceError, match="faid_share: got shape"):
        Trace.load(rewrite(saved, with_array("faid_share", lambda a: np.zeros((64, 2), np.float32))))


def test_a_header_that_claims_more_than_the_file_has_allocates_nothing(saved: Path) -> None:
    def change(members: dict[str, bytes]) -> None:
        header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }"
        padded = header + b" " * (118 - len(header) - 1) + b"\n"
        members["u.npy"] = b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded

    with pytest.raises(TraceError, match="member's size"):
        Trace.load(rewrite(saved, change))


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04broken"])
def test_files_that_are_no_archive_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(content)
    with pytest.raises(TraceError, match=r"x\.npz"):
        Trace.load(path)


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none.npz", tmp_path):
        with pytest.raises(TraceError, match=path.name):
            Trace.load(path)
