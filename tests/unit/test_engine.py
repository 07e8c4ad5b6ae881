"""The decoding loop: isolation, determinism, cancellation, and what retrieval may and may not change."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from core.backends.emoji.backend import EmojiBackend, EmojiDecoding
from core.backends.protocol import why_unfiltered
from core.context import Context, context_codes, retrieving_positions
from core.daid import blend_step
from core.draw import race
from core.engine import Request, Step, decode, decode_together
from core.patches.database import PatchDatabase
from core.types import METHODS, Change, ConfigError, DecodeSettings, Retrieval, Skipped, neighbours_of
from tests.closeness import assert_close
from tests.tiny import tiny_backend, tiny_database

DAID = DecodeSettings(seed=5, retrieval_weight=0.5, n_neighbours=8, gate=0.0, temperature=1.0, top_p=1.0)


def codes_of(steps: Iterable[Step], row: int = 0) -> list[int]:
    return [step[row].code for step in steps]


FAID = replace(DAID, method="faid", faid_neighbours=4)
BOTH = replace(FAID, method="faid+daid")


def test_yields_every_position_once_in_raster_order(backend: EmojiBackend, database: PatchDatabase) -> None:
    steps = list(decode(backend, database, ["pizza", "dog"], DAID))
    assert [step[0].position for step in steps] == list(range(backend.grid.positions))
    assert all(len(step) == 2 and step[0].logits.shape == (backend.codebook.size,) for step in steps)


@pytest.mark.parametrize("settings", [DAID, FAID, BOTH], ids=lambda s: s.method)
def test_same_seed_same_codes_and_another_seed_others(
    backend: EmojiBackend, database: PatchDatabase, settings: DecodeSettings
) -> None:
    first = codes_of(decode(backend, database, ["pizza"], settings))
    assert codes_of(decode(backend, database, ["pizza"], settings)) == first
    assert codes_of(decode(backend, database, ["pizza"], replace(settings, seed=6))) != first


@pytest.mark.parametrize("settings", [DAID, FAID, BOTH], ids=lambda s: s.method)
def test_batch_rows_equal_single_runs_with_consecutive_seeds(
    backend: EmojiBackend, database: PatchDatabase, settings: DecodeSettings
) -> None:
    prompts = ["pizza, 3d style", "a green dog", "heart"]
    steps = list(decode(backend, database, prompts, settings))
    for row, prompt in enumerate(prompts):
        alone = list(decode(backend, database, [prompt], replace(settings, seed=5 + row)))
        assert codes_of(alone) == codes_of(steps, row)
        for ours, theirs in zip(alone, steps, strict=True):
            if (mine := ours[0].faid) is not None and (other := theirs[row].faid) is not None:
                assert_close(mine.compatibility, other.compatibility)
                assert_close(mine.share, other.share)


def test_pictures_that_are_drawn_together_equal_single_runs(backend: EmojiBackend, database: PatchDatabase) -> None:
    other, small = tiny_backend(seed=1), database.subset(range(6))
    requests = [
        Request(backend, database, "pizza", FAID),
        Request(backend, None, "pizza", replace(DAID, method="model")),
        Request(backend, database, "pizza", DAID),
        Request(backend, small, "pizza", replace(DAID, n_neighbours=3, cfg_scale=4.0)),
        Request(backend, database, "a green dog", replace(BOTH, retrieval_temperature=1.0, seed=9)),
        Request(other, tiny_database(other), "pizza", replace(DAID, retrieval_weight=0.9)),
        Request(backend, database, "pizza", replace(DAID, cfg_scale=1.0)),
        Request(backend, database, "pizza", replace(FAID, record_unblended=True)),
    ]
    together = list(decode_together(requests))
    for row, request in enumerate(requests):
        alone = list(decode(request.backend, request.database, [request.prompt], request.settings))
        assert codes_of(alone) == codes_of(together, row)
        for (mine,), step in zip(alone, together, strict=True):
            theirs = step[row]
            assert mine.position == theirs.position
            assert_close(mine.logits, theirs.logits)
            assert (mine.faid is None) == (theirs.faid is None)
            assert type(mine.retrieval) is type(theirs.retrieval)


def test_a_record_holds_nothing_of_the_other_pictures(backend: EmojiBackend, database: PatchDatabase) -> None:
    told = replace(FAID, record_unblended=True)
    for settings in (DAID, told):
        step = next(decode_together([Request(backend, database, "pizza", replace(settings, seed=s)) for s in (1, 2)]))
        for record in step:
            assert record.logits.base is None
            if settings is DAID:
                continue
            assert record.faid is not None
            for logits in (record.faid.unblended, record.faid.blank):
                assert logits is not None
                assert logits.base is None


def test_settings_outside_of_the_model_share_its_passes(
    backend: EmojiBackend, database: PatchDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []
    begin = EmojiBackend.start

    def start(
        self: EmojiBackend, prompts: Sequence[str], guided: bool, faid_neighbours: int, negatives: bool = False
    ) -> EmojiDecoding:
        started.append(len(prompts))
        return begin(self, prompts, guided, faid_neighbours, negatives)

    monkeypatch.setattr(EmojiBackend, "start", start)
    weights = [replace(DAID, retrieval_weight=w, n_neighbours=k) for w in (0.0, 0.5, 1.0) for k in (1, 8)]
    blends = [replace(FAID, retrieval_temperature=t) for t in (0.1, 1.0)]
    run = decode_together([Request(backend, database, "pizza", row) for row in (*weights, *blends)])
    assert sorted(started) == [2, 6]
    assert len(next(run)) == 8
    run.close()


def test_drawing_together_closes_every_decoding(
    backend: EmojiBackend, database: PatchDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[EmojiDecoding] = []
    monkeypatch.setattr(EmojiDecoding, "close", lambda self: closed.append(self))
    run = decode_together([Request(backend, database, "pizza", settings) for settings in (DAID, FAID)])
    next(run)
    run.close()
    assert len(closed) == 2


def test_what_cannot_be_drawn_together_is_told(backend: EmojiBackend, database: PatchDatabase) -> None:
    with pytest.raises(ConfigError, match="got 0 of different grids"):
        decode_together([])
    with pytest.raises(ConfigError, match="database: got none"):
        decode_together([Request(backend, database, "pizza", DAID), Request(backend, None, "pizza", DAID)])


def test_every_method_draws_another_picture(backend: EmojiBackend, database: PatchDatabase) -> None:
    drawn = [codes_of(decode(backend, database, ["pizza"], replace(DAID, method=m))) for m in METHODS]
    assert len({tuple(codes) for codes in drawn}) == 4


def test_only_methods_with_blenders_tell_of_them(backend: EmojiBackend, database: PatchDatabase) -> None:
    assert all(step[0].faid is None for step in decode(backend, database, ["pizza"], DAID))
    for (record,) in decode(backend, database, ["pizza"], FAID):
        assert record.faid is not None
        found = neighbours_of(record.retrieval)
        assert record.faid.present == (0 if found is None else 4)
        assert record.faid.unblended is record.faid.blank is None


def test_recording_what_the_blend_changed_changes_nothing(backend: EmojiBackend, database: PatchDatabase) -> None:
    told = list(decode(backend, database, ["pizza", "dog"], replace(FAID, record_unblended=True)))
    assert [codes_of(told, row) for row in range(2)] == [
        codes_of(decode(backend, database, ["pizza", "dog"], FAID), row) for row in range(2)
    ]
    for record in told[20]:
        assert record.faid is not None
        for logits in (record.faid.unblended, record.faid.blank):
            assert logits is not None
            assert logits.shape == record.logits.shape
            assert np.abs(logits - record.logits).max() > 1e-3


def test_a_model_without_blenders_says_so(database: PatchDatabase) -> None:
    with pytest.raises(ConfigError, match="got no FAiD weights"):
        decode(tiny_backend(faid=False), database, ["pizza"], FAID)


def test_weight_zero_equals_no_retrieval(backend: EmojiBackend, database: PatchDatabase) -> None:
    plain = codes_of(decode(backend, None, ["pizza"], replace(DAID, method="model")))
    assert codes_of(decode(backend, database, ["pizza"], replace(DAID, retrieval_weight=0.0))) == plain
    assert codes_of(decode(backend, None, ["pizza"], replace(DAID, retrieval_weight=0.0))) == plain
    assert codes_of(decode(backend, database, ["pizza"], DAID)) != plain


@pytest.mark.parametrize("settings", [DAID, FAID, BOTH], ids=lambda s: s.method)
def test_interleaved_runs_give_what_they_give_alone(
    backend: EmojiBackend, database: PatchDatabase, settings: DecodeSettings
) -> None:
    other = replace(DAID, seed=9, cfg_scale=1.0, method="model")
    alone = codes_of(decode(backend, database, ["pizza"], settings)), codes_of(decode(backend, None, ["dog"], other))
    together = zip(
        decode(backend, database, ["pizza"], settings),
        decode(backend, None, ["dog"], other),
        strict=True,
    )
    pairs = [(a[0].code, b[0].code) for a, b in together]
    assert ([a for a, _ in pairs], [b for _, b in pairs]) == alone


def test_closing_the_generator_closes_the_decoding(backend: EmojiBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[EmojiDecoding] = []
    monkeypatch.setattr(EmojiDecoding, "close", lambda self: closed.append(self))
    run = decode(backend, None, ["pizza"], replace(DAID, method="model"))
    next(run)
    assert not closed
    run.close()
    assert len(closed) == 1


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What decodings of the embedded model are told to do: begin, replay, close."""
    told: list[str] = []
    begin, replay, close = EmojiBackend.start, EmojiDecoding.replay, EmojiDecoding.close

    def started(self: EmojiBackend, *arguments: Any) -> EmojiDecoding:
        decoding = begin(self, *arguments)
        told.append("start")
        return decoding

    def replayed(self: EmojiDecoding, *arguments: Any) -> None:
        told.append("replay")
        replay(self, *arguments)

    def closed(self: EmojiDecoding) -> None:
        told.append("close")
        close(self)

    monkeypatch.setattr(EmojiBackend, "start", started)
    monkeypatch.setattr(EmojiDecoding, "replay", replayed)
    monkeypatch.setattr(EmojiDecoding, "close", closed)
    return told


def test_a_generator_that_never_started_closes_its_decoding(
    backend: EmojiBackend, database: PatchDatabase, counted: list[str]
) -> None:
    decode(backend, database, ["pizza"], DAID).close()
    assert counted == ["start", "close"]
    counted.clear()
    decode_together([Request(backend, database, "pizza", settings) for settings in (DAID, FAID)]).close()
    assert counted == ["start", "start", "close", "close"]
    counted.clear()
    run = decode(backend, database, ["pizza"], DAID)
    del run  # nobody closed it
    gc.collect()
    assert counted == ["start", "close"]


@pytest.mark.parametrize("second", [replace(DAID, styles=("oil",), cfg_scale=1.0), replace(FAID, styles=("oil",))])
def test_what_began_is_closed_when_another_group_fails(
    backend: EmojiBackend, database: PatchDatabase, counted: list[str], second: DecodeSettings
) -> None:
    with pytest.raises(ConfigError, match="styles"):
        decode_together([Request(backend, database, "pizza", settings) for settings in (DAID, second)])
    assert counted == ["start", "close"]


def test_a_group_that_fails_under_way_closes_the_others(
    backend: EmojiBackend, database: PatchDatabase, counted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = decode_together([Request(backend, database, "pizza", settings) for settings in (DAID, FAID)])
    next(run)

    def failing(self: EmojiDecoding, codes: Any) -> None:
        raise ConfigError("out of luck")

    monkeypatch.setattr(EmojiDecoding, "blends", failing)
    with pytest.raises(ConfigError, match="out of luck"):
        next(run)
    assert sorted(counted) == ["close", "close", "start", "start"]


def test_seeds_of_rows_wrap_around(backend: EmojiBackend, database: PatchDatabase) -> None:
    last = replace(DAID, seed=2**32 - 1)
    both = list(decode(backend, database, ["pizza", "pizza"], last))
    assert codes_of(both, 0) == codes_of(decode(backend, database, ["pizza"], last))
    assert codes_of(both, 1) == codes_of(decode(backend, database, ["pizza"], replace(DAID, seed=0)))
    assert codes_of(both, 0) != codes_of(both, 1)


def test_only_other_settings_make_the_model_read_anew(
    backend: EmojiBackend, database: PatchDatabase, counted: list[str]
) -> None:
    weights = [Change(p, weights=((p, 0.0),), others=2.0) for p in (9, 20, 30)]
    list(decode(backend, database, ["pizza"], DAID, [*weights, Change(40, code=3)]))
    assert counted == ["start", "close"]
    counted.clear()
    list(decode(backend, database, ["pizza"], DAID, [*weights, Change(40, settings=replace(DAID, gate=1.0))]))
    assert counted == ["start", "close", "start", "replay", "close"]


def test_every_code_follows_from_its_record(backend: EmojiBackend, database: PatchDatabase) -> None:
    for (record,) in decode(backend, database, ["pizza"], DAID):
        blend = blend_step(record.logits, neighbours_of(record.retrieval), DAID)
        assert race(DAID.seed, record.position, len(record.logits)).draw(blend.blended) == record.code


@pytest.mark.parametrize("context", [Context(), Context(2), Context(1, "zero")])
def test_retrieves_where_the_context_allows_and_asks_for_what_is_there(context: Context) -> None:
    backend = tiny_backend()
    database = tiny_database(backend, context=context)
    steps = [step[0] for step in decode(backend, database, ["pizza"], DAID)]
    asked = [s.position for s in steps if isinstance(s.retrieval, Retrieval)]
    assert asked == retrieving_positions(context, backend.grid).tolist()
    grid = np.array([s.code for s in steps]).reshape(1, backend.grid.height, backend.grid.width)
    for step in steps:
        if isinstance(step.retrieval, Skipped):
            assert step.retrieval.reason
        else:
            expected = context_codes(context, grid, np.array([step.position]))[0, 0]
            assert step.retrieval.query.tolist() == expected.tolist()


def test_filters_limit_where_neighbours_come_from(backend: EmojiBackend, database: PatchDatabase) -> None:
    def images(settings: DecodeSettings) -> set[int]:
        found = [neighbours_of(step[0].retrieval) for step in decode(backend, database, ["pizza"], settings)]
        return {int(i) for n in found if n is not None for i in database.provenance(n.entries)[0]}

    assert {database.metadata[i].style for i in images(replace(DAID, styles=("flat",)))} == {"flat"}
    near = images(replace(DAID, caption_filter=3))
    assert len(near) <= 3
    assert all("pizza" in database.metadata[i].caption for i in near)


@pytest.mark.parametrize("prompt", ["猫", "3d style", "a xyzzy!"])
def test_a_prompt_without_a_known_word_filters_nothing(
    prompt: str, backend: EmojiBackend, database: PatchDatabase
) -> None:
    filtered, off = replace(DAID, caption_filter=3), replace(DAID, caption_filter=0)
    assert codes_of(decode(backend, database, [prompt], filtered)) == codes_of(decode(backend, database, [prompt], off))
    assert why_unfiltered(backend, prompt, filtered) == "no word of this prompt is known"
    assert why_unfiltered(backend, prompt, off) is None
    assert why_unfiltered(backend, prompt, replace(filtered, method="model")) is None
    assert why_unfiltered(backend, f"{prompt} 🍕", filtered) is None


def test_prompts_that_look_alike_are_drawn_alike(backend: EmojiBackend, database: PatchDatabase) -> None:
    settings = replace(DAID, caption_filter=3)
    expected = codes_of(decode(backend, database, ["a pizza, 3d style"], settings))
    for prompt in (
        "a 🍕, 3d style",
        "a\u200b pi\u00adzza, \uff13\u2010\uff44\u3000style",
        "\ufeffa pizza, 3d\u2011style\u200d",
    ):
        assert codes_of(decode(backend, database, [prompt], settings)) == expected
        together = decode_together([Request(backend, database, prompt, settings)])
        assert codes_of(together) == expected


def test_errors_come_before_the_first_step(backend: EmojiBackend, database: PatchDatabase) -> None:
    with pytest.raises(ConfigError, match="database: got none"):
        decode(backend, None, ["pizza"], DAID)
    with pytest.raises(ConfigError, match="styles"):
        decode(backend, database, ["pizza"], replace(DAID, styles=("oil",)))
    with pytest.raises(ConfigError, match="another codebook"):
        decode(tiny_backend(seed=1), database, ["pizza"], DAID)
    for settings in (DAID, replace(DAID, method="model")):
        with pytest.raises(ConfigError, match="prompt"):
            decode(backend, database, [""], settings)


# -- going on from codes that are there -------------------------------------------------------------------------------

PLAIN = replace(DAID, method="model")


@pytest.mark.parametrize("settings", [PLAIN, DAID, FAID, BOTH, replace(DAID, cfg_scale=1.0)], ids=str)
@pytest.mark.parametrize("first", [1, 8, 21, 63])
def test_going_on_gives_what_an_uninterrupted_run_gives(
    backend: EmojiBackend, database: PatchDatabase, settings: DecodeSettings, first: int
) -> None:
    prompts = ["pizza, 3d style", "a green dog"]
    whole = list(decode(backend, database, ["pizza, 3d style"], settings))
    codes = codes_of(whole)
    rest = list(decode(backend, database, ["pizza, 3d style"], settings, (), codes[:first], first))
    assert codes_of(rest) == codes[first:]
    for ours, theirs in zip(rest, whole[first:], strict=True):
        assert ours[0].position == theirs[0].position
        assert_close(ours[0].logits, theirs[0].logits)
        if (mine := ours[0].faid) is not None and (other := theirs[0].faid) is not None:
            assert_close(mine.compatibility, other.compatibility)
            assert_close(mine.share, other.share)
    both = list(decode(backend, database, prompts, settings, (), codes[:first], first))
    assert codes_of(both) == codes[first:]


def test_nothing_is_left_after_the_last_position(backend: EmojiBackend, database: PatchDatabase) -> None:
    codes = codes_of(decode(backend, database, ["pizza"], DAID))
    assert list(decode(backend, database, ["pizza"], DAID, (), codes, len(codes))) == []


@pytest.mark.parametrize("settings", [PLAIN, DAID, FAID], ids=lambda s: s.method)
def test_given_codes_are_taken_and_recorded(
    backend: EmojiBackend, database: PatchDatabase, settings: DecodeSettings
) -> None:
    given = [int(code) for code in np.random.default_rng(0).integers(48, size=20)]
    steps = list(decode(backend, database, ["pizza"], settings, (), given))
    assert codes_of(steps)[:20] == given
    alone = list(decode(backend, database, ["pizza"], settings))
    np.testing.assert_array_equal(steps[0][0].logits, alone[0][0].logits)
    assert codes_of(steps) != codes_of(alone)
    again = decode(backend, database, ["pizza"], settings, (), codes_of(steps)[:30])
    assert codes_of(again) == codes_of(steps)


CHANGES: dict[str, Change] = {
    "weight": Change(30, settings=replace(DAID, retrieval_weight=0.9)),
    "method": Change(30, settings=PLAIN),
    "blenders": Change(30, settings=BOTH),
    "code": Change(30, code=7),
    "neighbours": Change(30, others=0.0, weights=((4, 2.0),)),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_branch_is_the_run_with_the_change(backend: EmojiBackend, database: PatchDatabase, name: str) -> None:
    settings = replace(DAID, faid_neighbours=BOTH.faid_neighbours)
    change = CHANGES[name]
    change = replace(change, settings=change.settings and replace(change.settings, faid_neighbours=4))
    parent = codes_of(decode(backend, database, ["pizza"], settings))
    whole = list(decode(backend, database, ["pizza"], settings, [change]))
    branch = list(decode(backend, database, ["pizza"], settings, [change], parent[:30], 30))
    assert codes_of(whole)[:30] == parent[:30]
    assert codes_of(whole)[30:] == codes_of(branch)
    for ours, theirs in zip(whole[30:], branch, strict=True):
        assert_close(ours[0].logits, theirs[0].logits)
    if name != "neighbours":
        assert codes_of(whole) != parent


def test_blenders_from_the_middle_are_those_of_a_run_that_always_had_them(
    backend: EmojiBackend, database: PatchDatabase
) -> None:
    """What FAiD makes of a position depends on the codes before it, not on the method that drew them."""
    settings = replace(DAID, faid_neighbours=FAID.faid_neighbours)
    mixed = list(decode(backend, database, ["pizza"], settings, [Change(20, settings=FAID)]))
    codes = codes_of(mixed)
    given = list(decode(backend, database, ["pizza"], FAID, (), codes))
    assert all(step[0].faid is None for step in mixed[:20])
    for ours, theirs in zip(mixed[20:], given[20:], strict=True):
        assert_close(ours[0].logits, theirs[0].logits)


def test_a_dropped_neighbour_is_out_of_the_blenders_too(backend: EmojiBackend, database: PatchDatabase) -> None:
    record = list(decode(backend, database, ["pizza"], FAID))[30][0]
    found = neighbours_of(record.retrieval)
    assert found is not None
    assert record.faid is not None
    dropped = Change(30, weights=tuple((int(entry), 0.0) for entry in found.entries[:6]))
    (changed,) = next(iter(list(decode(backend, database, ["pizza"], FAID, [dropped]))[30:]))
    assert changed.faid is not None
    assert (record.faid.present, changed.faid.present) == (4, 2)
    left = neighbours_of(changed.retrieval)
    assert left is not None
    assert left.codes.tolist() == found.codes.tolist()
    assert left.active.codes.tolist() == found.codes[6:].tolist()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ([Change(3), Change(3)], "two at one position"),
        ([Change(64)], "expected less than 64"),
        ([Change(3, code=48)], "expected less than 64 and 48"),
        ([Change(3, settings=replace(DAID, seed=6))], "got seed 6"),
        ([Change(3, settings=replace(DAID, faid_neighbours=3))], "3 features"),
        ([Change(3, settings=replace(DAID, styles=("oil",)))], "styles"),
    ],
)
def test_changes_that_do_not_fit_are_told_at_once(
    backend: EmojiBackend, database: PatchDatabase, changes: list[Change], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        decode(backend, database, ["pizza"], DAID, changes)


@pytest.mark.parametrize(("codes", "first"), [([1], 2), ([1], -1), ([0] * 65, 0), ([48], 0), ([-1], 0)])
def test_codes_that_do_not_fit_are_told_at_once(
    backend: EmojiBackend, database: PatchDatabase, codes: list[int], first: int
) -> None:
    with pytest.raises(ConfigError, match="codes: got"):
        decode(backend, database, ["pizza"], DAID, (), codes, first)


def test_blenders_that_a_change_asks_for_must_be_there(database: PatchDatabase) -> None:
    plain = tiny_backend(faid=False)
    with pytest.raises(ConfigError, match="got no FAiD weights"):
        decode(plain, database, ["pizza"], DAID, [Change(9, settings=replace(DAID, method="faid"))])
