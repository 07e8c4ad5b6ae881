"""Ways of going on from one position: what is drawn, that it equals single branches, and what is told of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from app.fan import Fan, Way, fan, sentence, ways_of
from app.session import Session
from app.sheets import Sheet
from app.tabs.fan.fan import FanOut
from app.views import Asked
from app.visits import Kept
from core.types import Change, ConfigError, DecodeSettings
from tests.app.asking import last
from tests.app.stocked import stock

ASKED = Asked("fake", "all", DecodeSettings(seed=3, n_neighbours=16, retrieval_weight=0.4, gate=0.0, caption_filter=0))
AT, POSITIONS = 45, 64
"""Where the ways part, of how many positions: small pictures, of which there are many here."""


@pytest.fixture(scope="module")
def session() -> Session:
    return Session.over(stock())


@pytest.fixture(scope="module")
def slow() -> Session:
    """The same with a model that takes a third of a second for a picture, so that there is time to stop one."""
    return Session.over(stock(0.005))


@pytest.fixture(scope="module")
def whole(session: Session) -> Kept:
    """A finished run."""
    return session.visits.find("maker", last(session.drawing.draw("maker", "a disc", lambda: ASKED)).kept)


def finished(session: Session, run: Kept, position: int, kind: str, count: int = 6) -> tuple[Fan, Sheet]:
    """A fan from a run, drawn to its end."""
    session.visits.keep("ann", run)
    *_, sheet = session.drawing.draw_fan("ann", run.id, lambda kept: fan(kept, position, kind, count))
    assert isinstance(sheet.plan, Fan), sheet.message
    return sheet.plan, sheet


@pytest.mark.parametrize("kind", ["codes", "weights", "both"])
def test_every_way_equals_a_branch_of_its_own(session: Session, whole: Kept, kind: str) -> None:
    made, sheet = finished(session, whole, AT, kind)
    assert len(sheet.runs) == len(made.across) == len(made.ways)
    for way, run in zip(made.ways, sheet.runs, strict=True):
        assert (run.parent, run.branch_step, run.trace.complete) == (whole.id, AT, True)
        assert run.trace.codes[:AT].tolist() == whole.trace.codes[:AT].tolist()
        if way.changes:
            single = last(session.drawing.branch("ann", whole.id, way.changes[-1]))
            assert session.visits.find("ann", single.kept).trace.codes.tolist() == run.trace.codes.tolist()
    assert len({tuple(run.trace.codes.tolist()) for run in sheet.runs}) > 2


def test_the_likeliest_codes_are_forced_with_the_same_luck(session: Session, whole: Kept) -> None:
    made, sheet = finished(session, whole, AT, "codes")
    ways = ways_of(made, sheet.runs)
    blended = whole.trace.blend(AT).blended
    assert [way.chance for way in ways] == pytest.approx(sorted(blended, reverse=True)[:6])
    assert [way.label for way in ways] == [f"code {way.code}" for way in ways]
    (own,) = [way for way in ways if way.own]
    assert (own.code, own.differs, own.later) == (whole.trace.codes[AT], (), POSITIONS - 1 - AT)
    for way, run in zip(ways, sheet.runs, strict=True):
        changed = np.flatnonzero(run.trace.codes != whole.trace.codes)
        assert way.differs == tuple(p for p in changed.tolist() if p > AT)


def test_a_code_that_was_taken_against_the_odds_is_among_them(session: Session, whole: Kept) -> None:
    least = int(np.argmin(np.where(whole.trace.blend(AT).blended > 0, whole.trace.blend(AT).blended, 2)))
    branch = last(session.drawing.branch("maker", whole.id, Change(AT, code=least)))
    forced = session.visits.find("maker", branch.kept)
    made = fan(forced, AT, "codes", 4)
    assert (made.across[-1], made.own) == (f"code {least}", 3)
    _, sheet = finished(session, forced, AT, "codes", 4)
    assert ways_of(made, sheet.runs)[3].differs == ()


def test_other_seeds_draw_the_rest_with_other_luck(session: Session, whole: Kept) -> None:
    made, sheet = finished(session, whole, AT, "seeds", 5)
    assert made.across == ("seed 3", "seed 4", "seed 5", "seed 6", "seed 7")
    ways = ways_of(made, sheet.runs)
    assert (ways[0].own, ways[0].differs) == (True, ())
    for run, seed in zip(sheet.runs[1:], range(4, 8), strict=True):
        trace = run.trace
        assert (trace.settings.seed, trace.given) == (seed, AT)
        assert trace.codes[:AT].tolist() == whole.trace.codes[:AT].tolist()
        drawn = [trace.luck(p).draw(trace.blend(p).blended) for p in range(AT, POSITIONS)]
        assert trace.codes[AT:].tolist() == drawn


def test_seeds_keep_the_changes_of_the_run(session: Session, whole: Kept) -> None:
    change = Change(20, settings=replace(ASKED.settings, retrieval_weight=0.9))
    changed = session.visits.find("maker", last(session.drawing.branch("maker", whole.id, change)).kept)
    made, sheet = finished(session, changed, AT, "seeds", 3)
    assert made.ways[0].changes == changed.trace.changes
    assert ways_of(made, sheet.runs)[0].differs == ()
    assert [run.trace.settings_at(AT).retrieval_weight for run in sheet.runs] == [0.9] * 3
    assert [run.trace.settings_at(AT).seed for run in sheet.runs] == [3, 4, 5]


def test_what_was_changed_at_the_position_stays(session: Session, whole: Kept) -> None:
    change = Change(AT, settings=replace(ASKED.settings, retrieval_weight=0.9), others=0.5)
    changed = session.visits.find("maker", last(session.drawing.branch("maker", whole.id, change)).kept)
    for way in fan(changed, AT, "codes", 3).ways:
        assert way.changes[-1] == replace(change, code=way.changes[-1].code)
    made = fan(changed, AT, "weights", 2)
    assert made.across[made.own] == "λ 0.9"
    assert {way.changes[-1].others for way in made.ways} == {0.5}


def test_settings_have_their_usual_values_and_that_of_the_run(whole: Kept) -> None:
    weights, counts, both = (fan(whole, AT, kind, 2) for kind in ("weights", "neighbours", "both"))
    assert weights.across == ("λ 0", "λ 0.1", "λ 0.2", "λ 0.4", "λ 0.8")
    assert weights.across[weights.own] == "λ 0.4"
    assert counts.across == ("K 1", "K 4", "K 16", "K 64", "K 256")
    assert len(both.across) == 16
    assert both.across[both.own] == "λ 0.4, K 16"
    assert weights.ways[weights.own].changes == (Change(AT, settings=ASKED.settings),)


@pytest.mark.parametrize("position", [-1, POSITIONS - 1, POSITIONS, 10**9])
def test_positions_without_later_ones_are_refused(whole: Kept, position: int) -> None:
    with pytest.raises(ConfigError, match=r"from here: got position .*, expected 0 to 62"):
        fan(whole, position, "codes", 4)


def test_what_makes_no_sense_is_refused(session: Session, whole: Kept) -> None:
    for kind, count, message in (("x", 4, "expected one of"), ("codes", 1, "2 to 16"), ("codes", 17, "2 to 16")):
        with pytest.raises(ConfigError, match=message):
            fan(whole, AT, kind, count)
    alone = replace(ASKED, settings=replace(ASKED.settings, method="model"))
    run = session.visits.find("maker", last(session.drawing.draw("maker", "a disc", lambda: alone)).kept)
    for kind in ("weights", "neighbours", "both"):
        with pytest.raises(ConfigError, match="changes nothing with Model only"):
            fan(run, AT, kind, 4)
    (sheet,) = session.drawing.draw_fan("ann", "nobody", lambda kept: fan(kept, AT, "codes", 4))
    assert (sheet.state, sheet.message) == ("error", "this picture is not kept any more; draw it again")


def test_a_fan_can_be_stopped_and_its_pictures_opened(slow: Session, whole: Kept) -> None:
    slow.visits.keep("eve", whole)
    drawing = slow.drawing.draw_fan("eve", whole.id, lambda kept: fan(kept, AT, "codes", 4))
    next(drawing), next(drawing)
    slow.runs.stop("eve")
    *_, sheet = drawing
    assert sheet.state == "stopped"
    assert AT < sheet.steps < POSITIONS
    assert f"Stopped after {sheet.steps} of {POSITIONS} patches" in sheet.message
    data = FanOut().postprocess(sheet)
    assert [way.later for way in data.ways] == [sheet.steps - AT - 1] * 4
    assert [run.id for run in slow.visits.runs("eve")] == [whole.id]
    opened = slow.opening.open("eve", sheet.runs[2].id, AT)
    assert (opened.kept, opened.step) == (sheet.runs[2].id, AT)
    assert [run.id for run in slow.visits.runs("eve")] == [whole.id, sheet.runs[2].id]


def test_a_sweep_and_a_fan_do_not_take_each_others_place(session: Session, whole: Kept) -> None:
    session.visits.lay_out("zoe", (replace(whole, id="swept"),))
    session.visits.lay_out("zoe", (replace(whole, id="fanned"),), "fan")
    session.visits.lay_out("zoe", (replace(whole, id="again"),), "fan")
    assert session.visits.find("zoe", "swept")
    assert session.visits.find("zoe", "again")
    with pytest.raises(ConfigError, match="not kept"):
        session.visits.find("zoe", "fanned")
    assert session.visits.runs("zoe") == ()


# -- in words ---------------------------------------------------------------------------------------------------------


def way(differs: int, own: bool = False, later: int = 20, chance: float = 0.25) -> Way:
    return Way("id", "label", 7, chance, tuple(range(differs)), later, own)


def test_the_sentence_is_computed_from_the_ways() -> None:
    ways = [way(0, own=True), way(1), way(2, chance=0.2), way(18, chance=0.1)]
    made = Fan((), (), ("",), kind="codes")
    assert sentence(made, ways) == (
        "Another code here changes 7.0 of the 20 later patches on average (1 to 18); 1 of 3 other ways changes fewer "
        "than one in ten. These 4 codes hold 80.0 % of what was drawn from. Codes that differ need not look different."
    )
    assert sentence(replace(made, kind="seeds"), ways).startswith("Other luck from here on changes 7.0 of the 20")
    assert "(all 1)" in sentence(replace(made, kind="weights"), ways[:2])
    assert sentence(replace(made, kind="weights"), ways).startswith("Another λ from here on changes")
    assert sentence(made, [way(0, own=True), way(0, later=0)]).startswith("Nothing comes after")
