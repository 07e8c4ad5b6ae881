"""What retrieval and the blenders changed, as traces tell it: flips, shifts, forced codes, older versions."""

from __future__ import annotations

import io
import json
import math
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import core.trace
from core.backends.emoji.backend import EmojiBackend
from core.context import Context
from core.daid import model_distribution
from core.draw import Race, UnitInterval, race
from core.engine import decode
from core.patches.database import PatchDatabase
from core.trace import Origin, Trace
from core.types import Change, DecodeSettings, FaidStep, Grid, Seconds, Skipped, StepRecord
from tests.tampering import npy, rewrite
from tests.traces import FAID, SETTINGS, traced


def test_flips_are_where_the_same_noise_takes_another_code_without_retrieval(trace: Trace) -> None:
    flips = trace.flips().tolist()
    assert 0 < len(flips) < len(trace.steps)
    for step in trace.steps:
        noise, blend = race(SETTINGS.seed, step.position, 48), trace.blend(step.position)
        assert noise.draw(blend.blended) == step.code == trace.pick(step.position)
        without = noise.draw(blend.model)
        assert (step.position in flips) == (without != step.code)
        told = trace.explain(step.position)
        assert (told.without, told.unmixed, told.unblended) == (without, without, None)
        if step.position in flips:
            assert blend.blended[step.code] * blend.model[without] > blend.blended[without] * blend.model[step.code]
    assert not any(isinstance(trace.steps[p].retrieval, Skipped) for p in flips)
    assert trace.shifts().tolist() == []


def distribution_of(logits: Any, settings: DecodeSettings) -> Any:
    return model_distribution(logits, settings.temperature, settings.top_k, settings.top_p)


@pytest.mark.parametrize("method", ["faid", "faid+daid"])
def test_flips_and_shifts_of_faid_follow_from_what_was_recorded(
    method: str, backend: EmojiBackend, database: PatchDatabase
) -> None:
    settings = replace(FAID, method=method, temperature=1.5, top_p=1.0, seed=4)
    trace = traced(backend, database, settings)
    flips, shifts = trace.flips().tolist(), trace.shifts().tolist()
    assert trace.flips_known
    assert 0 < len(flips) < len(trace.steps)
    assert 0 < len(shifts) < len(trace.steps)
    for step in trace.steps:
        assert step.faid is not None
        noise, told = race(settings.seed, step.position, 48), trace.explain(step.position)
        blank, bare = (
            noise.draw(distribution_of(logits, settings)) for logits in (step.faid.blank, step.faid.unblended)
        )
        assert (told.taken, told.without, told.unblended) == (step.code, blank, bare)
        assert (step.position in flips, step.position in shifts) == (blank != step.code, bare != blank)
    silent = traced(backend, database, replace(settings, record_unblended=False))
    assert silent.codes.tolist() == trace.codes.tolist()
    assert not silent.flips_known
    told = silent.explain(20)
    assert (told.taken, told.without, told.unblended) == (silent.codes[20], None, None)
    assert silent.flips().tolist() == silent.shifts().tolist() == []


@pytest.mark.parametrize("method", ["faid", "faid+daid"])
def test_where_nothing_was_retrieved_nothing_flips(method: str, backend: EmojiBackend, database: PatchDatabase) -> None:
    """The blenders run there all the same, and may shift."""
    trace = traced(backend, database, replace(FAID, method=method, temperature=1.5, top_p=1.0))
    silent = [step for step in trace.steps if isinstance(step.retrieval, Skipped)]
    assert 0 < len(silent) < len(trace.steps)
    for step in trace.steps:
        assert step.faid is not None
        assert step.faid.blank is not None
        assert step.faid.unblended is not None
        told = trace.explain(step.position)
        assert told.nothing is not None
        same = isinstance(step.retrieval, Skipped)
        assert np.array_equal(step.faid.blank, step.logits) == same
        assert np.array_equal(told.nothing, told.blend.blended) == same
        assert not np.array_equal(step.faid.unblended, step.faid.blank)
    assert not {step.position for step in silent} & set(trace.flips().tolist())
    assert {step.position for step in silent} & set(trace.shifts().tolist())


def test_neighbours_without_a_say_are_nothing_retrieved(backend: EmojiBackend, database: PatchDatabase) -> None:
    dropped = [Change(30, others=0.0)]
    records = [step[0] for step in decode(backend, database, ["a red heart"], FAID, dropped)]
    trace = Trace.record(backend, database, "a red heart", FAID, records, dropped)
    blended = trace.steps[30].faid
    assert blended is not None
    np.testing.assert_array_equal(blended.blank, trace.steps[30].logits)
    assert 30 not in trace.flips()


def logs(*masses: float) -> Any:
    return np.log(np.array(masses, np.float32))


@pytest.mark.parametrize(
    ("blank", "unblended", "codes", "flip", "shift"),
    [
        ((0.5, 0.25, 0.25), (0.5, 0.25, 0.25), (1, 0, 0), True, False),
        ((0.25, 0.5, 0.25), (0.5, 0.25, 0.25), (1, 1, 0), False, True),
        ((0.125, 0.125, 0.75), (0.5, 0.25, 0.25), (1, 2, 0), True, True),
        ((0.25, 0.5, 0.25), (0.125, 0.75, 0.125), (1, 1, 1), False, False),
    ],
)
def test_flips_and_shifts_by_hand(
    monkeypatch: pytest.MonkeyPatch,
    blank: tuple[float, ...],
    unblended: tuple[float, ...],
    codes: tuple[int, int, int],
    flip: bool,
    shift: bool,
) -> None:
    """Without noise the likeliest code wins; as it was, that is code 1 of (0.2, 0.6, 0.2)."""
    monkeypatch.setattr(core.trace, "race", lambda seed, position, codes: Race(np.ones(3)))
    settings = DecodeSettings(method="faid", temperature=1.0, top_p=1.0, faid_neighbours=1)
    nothing = np.zeros((1, 1), np.float32)
    blended = FaidStep(
        np.array([0]), np.array([1]), 0, nothing, nothing + 1, nothing[0], nothing, nothing,
        logs(*blank), logs(*unblended),
    )  # fmt: skip
    step = StepRecord(0, logs(0.2, 0.6, 0.2), Skipped("edge"), 1, blended, Seconds(0, 0, 0))
    origin = Origin("fake", "m", "f", "c", 3, None, Context())
    trace = Trace("a prompt", settings, origin, Grid(1, 1), (step,), {})
    told = trace.explain(0)
    assert (told.taken, told.without, told.unblended) == codes
    assert (told.flip, told.shift) == (flip, shift)
    assert (trace.flips().tolist(), trace.shifts().tolist()) == ([0] * flip, [0] * shift)


# -- codes that were not drawn ---------------------------------------------------------------------------------------


def test_codes_that_were_not_drawn_have_noise_under_which_they_won(changed: Trace) -> None:
    for position in (*range(10), 40):
        told, code = changed.explain(position), changed.steps[position].code
        assert told.without == code
        assert told.flip == (told.taken != code)
        own = race(SETTINGS.seed, position, 48).draw(changed.blend(position).blended)
        assert changed.pick(position) == own
    assert 40 not in changed.flips()
    assert (40 in changed.flips_in_hindsight()) == changed.explain(40).flip
    assert all(changed.drawn(position) for position in changed.flips())
    assert changed.pick(40) != 9


def test_truncation_is_left_aside_where_a_code_was_not_drawn(trace: Trace) -> None:
    """The code that the model thinks least of: no draw with a small top_p could have taken it."""
    step = trace.steps[30]
    least = int(step.logits.argmin())
    forced = replace(
        trace,
        changes=(Change(30, code=least),),
        steps=(*trace.steps[:30], replace(step, code=least), *trace.steps[31:]),
    )
    assert trace.blend(30).model[least] == 0
    told = forced.explain(30)
    assert told.without == least
    assert told.nothing is not None
    assert told.nothing[least] > 0


@pytest.mark.parametrize("logit", [-40.0, -math.inf])
def test_a_chosen_code_that_no_luck_takes_is_explained_with_that_of_the_run(trace: Trace, logit: float) -> None:
    """At temperature 0.01 its probability is 0 in floating point; with -inf it is nothing else."""
    cold, step = replace(SETTINGS, temperature=0.01), trace.steps[0]
    logits = np.zeros(48, np.float32)
    logits[7] = logit
    forced = replace(trace, settings=cold, changes=(Change(0, code=7),), steps=(replace(step, code=7, logits=logits),))
    told = forced.explain(0)
    assert told.taken == told.without == race(cold.seed, 0, 48).draw(told.blend.blended) != 7
    assert forced.flips().tolist() == []


# -- older versions ----------------------------------------------------------------------------------------------------


def older(trace: Trace, path: Path, version: int = 3) -> Path:
    """A trace as an older version of the format has it, each code drawn by a u that lies in its share of the blend."""
    trace.save(path)
    u = []
    for step in trace.steps:
        blended = trace.blend(step.position).blended
        end = np.cumsum(blended) / blended.sum()
        u.append(end[step.code] - blended[step.code] / blended.sum() / 2)

    def change(members: dict[str, bytes]) -> None:
        meta = json.loads(members["meta.json"])
        for name in ("draw", *(("changes", "given", "unfiltered") if version == 2 else ())):
            del meta[name]
        del meta["settings"]["negative_share"]
        members["meta.json"] = json.dumps({**meta, "version": version}).encode()
        members["u.npy"] = npy(np.array(u))
        del members["faid_blank.npy"]

    return rewrite(path, change)


@pytest.mark.parametrize("version", [2, 3])
def test_older_traces_are_drawn_by_their_own_rule(trace: Trace, tmp_path: Path, version: int) -> None:
    loaded = Trace.load(older(trace, tmp_path / "old.npz", version))
    assert (loaded.rule, loaded.changes, loaded.given) == ("inverse cdf", (), 0)
    assert loaded.codes.tolist() == trace.codes.tolist()
    flips = []
    for step in loaded.steps:
        assert step.u is not None
        assert loaded.luck(step.position) == UnitInterval(step.u)
        model = np.cumsum(loaded.blend(step.position).model)
        without = int(np.searchsorted(model, step.u * model[-1], side="right"))
        told = loaded.explain(step.position)
        assert (told.taken, told.without, loaded.pick(step.position)) == (step.code, without, step.code)
        flips += [step.position] if without != step.code else []
    assert loaded.flips().tolist() == flips
    assert loaded.flips_known


def test_older_traces_are_saved_with_their_rule(trace: Trace, tmp_path: Path) -> None:
    loaded = Trace.load(older(trace, tmp_path / "old.npz"))
    loaded.save(tmp_path / "again.npz")
    with zipfile.ZipFile(tmp_path / "again.npz") as archive:
        meta = json.loads(archive.read("meta.json"))
    assert (meta["version"], meta["draw"]) == (4, "inverse cdf")
    again = Trace.load(tmp_path / "again.npz")
    assert again.rule == "inverse cdf"
    assert [step.u for step in again.steps] == [step.u for step in loaded.steps]
    assert again.flips().tolist() == loaded.flips().tolist()


@pytest.mark.parametrize("recorded", [True, False])
def test_older_traces_do_not_tell_of_flips_by_faid(
    backend: EmojiBackend, database: PatchDatabase, tmp_path: Path, recorded: bool
) -> None:
    drawn = traced(backend, database, replace(FAID, record_unblended=recorded))
    loaded = Trace.load(older(drawn, tmp_path / "old.npz"))
    loaded.save(tmp_path / "again.npz")
    for old in (loaded, Trace.load(tmp_path / "again.npz")):
        assert old.rule == "inverse cdf"
        assert not old.flips_known
        assert old.flips().tolist() == old.shifts().tolist() == []
        for step in old.steps:
            assert step.faid is not None
            assert step.faid.blank is None
            assert (step.faid.unblended is not None) == recorded
            told = old.explain(step.position)
            assert (told.without, told.nothing, told.bare is not None) == (None, None, recorded)
            assert told.taken == step.code


def test_the_rule_is_in_the_file(saved: Path) -> None:
    with zipfile.ZipFile(saved) as archive:
        meta = json.loads(archive.read("meta.json"))
        u = np.load(io.BytesIO(archive.read("u.npy")))
    assert (meta["version"], meta["draw"], u.shape) == (4, "gumbel", (0,))
