"""Recorded traces: the round trip, what is derived from them, and what is neither recorded nor saved."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.backends.emoji.backend import EmojiBackend
from core.daid import model_distribution
from core.draw import race
from core.engine import decode
from core.patches.database import PatchDatabase
from core.trace import Trace, entropy, kl_divergence, neighbours
from core.types import Retrieval, Skipped, StepRecord, TraceError
from tests.traces import FAID, SETTINGS, traced


def test_a_skipped_filter_is_recorded(backend: EmojiBackend, database: PatchDatabase, tmp_path: Path) -> None:
    records = [step[0] for step in decode(backend, database, ["猫"], SETTINGS)]
    unknown = Trace.record(backend, database, "猫", SETTINGS, records)
    assert unknown.unfiltered == "no word of this prompt is known"
    unknown.save(tmp_path / "cat.npz")
    assert Trace.load(tmp_path / "cat.npz").unfiltered == unknown.unfiltered
    assert Trace.record(backend, database, "猫 🍕", SETTINGS, records).unfiltered is None
    off = replace(SETTINGS, caption_filter=0)
    assert Trace.record(backend, database, "猫", off, records).unfiltered is None


def test_the_prompt_is_recorded_as_it_was_read(backend: EmojiBackend, database: PatchDatabase, tmp_path: Path) -> None:
    for prompt, read in (("ca\u0301t\u200b \u202f❤️\n", "cát ❤️"), ("caf\udce9", "café")):
        records = [step[0] for step in decode(backend, database, [prompt], SETTINGS)]
        Trace.record(backend, database, prompt, SETTINGS, records).save(tmp_path / "run.npz")
        assert Trace.load(tmp_path / "run.npz").prompt == read
        again = [step[0].code for step in decode(backend, database, [read], SETTINGS)]
        assert again == [record.code for record in records]


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_guidance_is_recorded(backend: EmojiBackend, database: PatchDatabase, tmp_path: Path, share: float) -> None:
    settings = replace(SETTINGS, negative_share=share)
    run = traced(backend, database, settings)
    run.save(tmp_path / "run.npz")
    loaded = Trace.load(tmp_path / "run.npz")
    assert loaded.settings == settings
    again = decode(backend, database, [loaded.prompt], loaded.settings)
    assert [step[0].code for step in again] == run.codes.tolist()


def test_the_hash_of_codes_is_of_little_endian_uint16(trace: Trace) -> None:
    data = b"".join(code.to_bytes(2, "little") for code in trace.codes.tolist())
    assert trace.codes_sha256 == hashlib.sha256(data).hexdigest()


def test_round_trip_keeps_everything(trace: Trace, saved: Path) -> None:
    loaded = Trace.load(saved)
    assert (loaded.prompt, loaded.settings, loaded.origin, loaded.grid) == (
        trace.prompt, trace.settings, trace.origin, trace.grid)  # fmt: skip
    for ours, theirs in zip(trace.steps, loaded.steps, strict=True):
        assert (ours.position, ours.u, ours.code) == (theirs.position, theirs.u, theirs.code)
        assert theirs.u is None
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
    assert loaded.rule == trace.rule == "gumbel"


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
        np.testing.assert_array_equal(ours.faid.blank, theirs.faid.blank)  # type: ignore[arg-type]
    assert loaded.flips().tolist() == blended.flips().tolist()
    assert loaded.shifts().tolist() == blended.shifts().tolist()


def test_blenders_that_told_nothing_else_round_trip(
    backend: EmojiBackend, database: PatchDatabase, tmp_path: Path
) -> None:
    traced(backend, database, replace(FAID, record_unblended=False)).save(tmp_path / "faid.npz")
    loaded = Trace.load(tmp_path / "faid.npz")
    for step in loaded.steps:
        assert step.faid is not None
        assert step.faid.blank is step.faid.unblended is None
    assert not loaded.flips_known


def test_a_stopped_run_with_blenders_is_a_trace_too(blended: Trace, tmp_path: Path) -> None:
    replace(blended, steps=blended.steps[:9]).save(tmp_path / "stopped.npz")
    assert len(Trace.load(tmp_path / "stopped.npz").steps) == 9


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


# -- changes and given codes -------------------------------------------------------------------------------------------


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
            assert race(SETTINGS.seed, step.position, 48).draw(changed.blend(step.position).blended) == step.code
    assert [p for p in range(64) if not changed.drawn(p)] == [*range(10), 40]
    assert changed.codes[40] == 9
    assert changed.settings_at(29).method == "daid"
    assert changed.settings_at(30) == FAID
    assert not changed.flips_known
    assert replace(changed, steps=changed.steps[:50]).flips_known


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


# -- what is not recorded or saved ------------------------------------------------------------------------------------


def test_records_that_are_not_those_of_the_first_positions_are_refused(
    trace: Trace, backend: EmojiBackend, database: PatchDatabase
) -> None:
    steps = trace.steps
    for records in ([], steps[1:], steps[:5] + steps[6:], steps[::-1], [*steps[:3], steps[2]], [*steps, steps[-1]]):
        with pytest.raises(TraceError, match="records: got"):
            Trace.record(backend, database, "a red heart", SETTINGS, records)


def test_records_of_another_model_or_database_are_refused(
    trace: Trace, backend: EmojiBackend, database: PatchDatabase
) -> None:
    def record(steps: Sequence[StepRecord], found: PatchDatabase | None = database) -> None:
        Trace.record(backend, found, "a red heart", SETTINGS, steps)

    with pytest.raises(TraceError, match="entries"):
        record(trace.steps, database.subset([1, 3]))
    with pytest.raises(TraceError, match="entries"):
        record(trace.steps, None)
    record(trace.steps, database.subset(list(trace.sources)))  # which need not have the first entries
    place, answer = next((s.position, s.retrieval) for s in trace.steps if isinstance(s.retrieval, Retrieval))
    for entry in (-1, len(database)):
        foreign = replace(answer.neighbours, entries=np.full(len(answer.neighbours), entry))
        steps = [*trace.steps]
        steps[place] = replace(steps[place], retrieval=replace(answer, neighbours=foreign))
        with pytest.raises(TraceError, match=f"got entries {entry}"):
            record(steps)
    for foreign_step in (
        replace(trace.steps[0], code=48),
        replace(trace.steps[0], code=-1),
        replace(trace.steps[0], logits=trace.steps[0].logits[:40]),
    ):
        with pytest.raises(TraceError, match="expected those of 48 codes"):
            record([foreign_step, *trace.steps[1:]])


def test_records_of_an_older_rule_are_no_part_of_a_new_run(
    trace: Trace, backend: EmojiBackend, database: PatchDatabase
) -> None:
    steps = [replace(trace.steps[0], u=0.5), *trace.steps[1:]]
    with pytest.raises(TraceError, match="drawn by an older version"):
        Trace.record(backend, database, "a red heart", SETTINGS, steps)


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("where", ["logits", "blank", "unblended"])
def test_logits_that_are_none_are_not_saved(blended: Trace, tmp_path: Path, where: str, value: float) -> None:
    step = blended.steps[20]
    assert step.faid is not None
    damaged = np.array(step.logits)
    damaged[5] = value
    bad = (
        replace(step, logits=damaged)
        if where == "logits"
        else replace(step, faid=replace(step.faid, **{where: damaged}))
    )
    (tmp_path / "run.npz").write_bytes(b"what was there")
    with pytest.raises(TraceError, match="logits"):
        replace(blended, steps=(*blended.steps[:20], bad, *blended.steps[21:])).save(tmp_path / "run.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["run.npz"]
    assert (tmp_path / "run.npz").read_bytes() == b"what was there"


def test_a_folder_that_cannot_be_written_to_keeps_nothing(trace: Trace, tmp_path: Path) -> None:
    (tmp_path / "run.npz").mkdir()
    with pytest.raises(OSError, match="run"):
        trace.save(tmp_path / "run.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["run.npz"]


def test_excluded_codes_round_trip(trace: Trace, tmp_path: Path) -> None:
    steps = []
    for step in trace.steps:
        logits = np.array(step.logits)
        logits[(step.code + 1) % 48] = -np.inf
        steps.append(replace(step, logits=logits))
    replace(trace, steps=tuple(steps)).save(tmp_path / "run.npz")
    loaded = Trace.load(tmp_path / "run.npz")
    for ours, theirs in zip(steps, loaded.steps, strict=True):
        np.testing.assert_array_equal(ours.logits, theirs.logits)
        assert loaded.blend(ours.position).model[(ours.code + 1) % 48] == 0
    loaded.flips()
    assert np.isfinite(loaded.surprise()).all()


def test_half_a_character_is_not_saved(trace: Trace, tmp_path: Path) -> None:
    half = {number: replace(source, caption="\ud83c") for number, source in trace.sources.items()}
    with pytest.raises(TraceError, match="half of a character"):
        replace(trace, sources=half).save(tmp_path / "run.npz")
    assert list(tmp_path.iterdir()) == []


def test_long_captions_round_trip(trace: Trace, tmp_path: Path) -> None:
    long = {number: replace(source, caption=f"{number} 🍕" * 2500) for number, source in trace.sources.items()}
    replace(trace, sources=long).save(tmp_path / "run.npz")
    loaded = Trace.load(tmp_path / "run.npz")
    assert {number: source.caption for number, source in loaded.sources.items()} == {
        number: source.caption for number, source in long.items()
    }


def test_records_must_be_what_the_seed_draws(backend: EmojiBackend, database: PatchDatabase) -> None:
    rows = list(zip(*decode(backend, database, ["pizza", "dog"], SETTINGS), strict=True))
    second = replace(SETTINGS, seed=SETTINGS.seed + 1)
    assert Trace.record(backend, database, "dog", second, rows[1]).codes.tolist() == [step.code for step in rows[1]]
    with pytest.raises(TraceError, match=r"but seed \d+ with these settings draws \d+; give the settings of the run"):
        Trace.record(backend, database, "dog", SETTINGS, rows[1])
