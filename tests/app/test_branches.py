"""Branches, pauses, hand-picked codes and runs from an image, over the fake model."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app import branches, pictures, whatif
from app.library import Library
from app.rail import tree
from app.session import Session
from app.tabs.whatif.layout import outcome_of
from app.views import Asked, Update
from app.visits import Kept, Listed
from core.trace import neighbours
from core.types import Change, ConfigError, DecodeSettings
from tests.app.fake import FakeBackend, fake_database
from tests.app.test_views import unpack

SETTINGS = DecodeSettings(seed=3, n_neighbours=24, retrieval_weight=0.5, gate=0.0)
ASKED = Asked("fake", "all", SETTINGS)


@pytest.fixture(scope="module")
def session() -> Session:
    backend = FakeBackend()
    return Session.over(Library({"fake": backend}, {"all": fake_database(backend, images=12)}))


def last(updates: Iterator[Update]) -> Update:
    return list(updates)[-1]


@pytest.fixture(scope="module")
def whole(session: Session) -> Kept:
    """A finished run."""
    return session.visits.find("maker", last(session.drawing.draw("maker", "a disc", lambda: ASKED)).kept)


def given_to(session: Session, who: str, run: Kept) -> Kept:
    """The run, kept for a visitor of their own."""
    session.visits.keep(who, run)
    return run


def paused(session: Session, who: str, steps: int) -> Kept:
    """A run that was paused after so many patches."""
    plan = branches.Plan("a disc", ASKED, pause=steps)
    return session.visits.find(who, last(session.drawing.carry_out(who, lambda: plan)).kept)


# -- branches ---------------------------------------------------------------------------------------------------------


def test_a_branch_is_a_full_trace_that_shares_its_beginning(session: Session, whole: Kept) -> None:
    parent = given_to(session, "branch", whole)
    change = Change(100, settings=replace(SETTINGS, retrieval_weight=1.0, retrieval_temperature=2.0))
    update = last(session.drawing.branch("branch", parent.id, change))
    kept = session.visits.find("branch", update.kept)
    assert (kept.parent, kept.branch_step, kept.name) == (parent.id, 100, "λ 1, τ 2 at 100")
    assert kept.trace.complete
    assert kept.trace.changes == (change,)
    assert kept.trace.steps[:100] == parent.trace.steps[:100]
    assert kept.trace.codes.tolist() != parent.trace.codes.tolist()
    assert [s.u for s in kept.trace.steps] == [s.u for s in parent.trace.steps]
    header, arrays = unpack(update.file)
    assert arrays["parent"].tolist() == parent.trace.codes.tolist()
    assert dict(header["facts"])["changed at"] == "100"
    assert session.visits.find("branch", parent.id).trace is parent.trace


def test_a_branch_of_a_branch_keeps_the_earlier_change_only(session: Session, whole: Kept) -> None:
    parent = given_to(session, "again", whole)
    first = last(session.drawing.branch("again", parent.id, Change(50, code=7))).kept
    second = last(session.drawing.branch("again", first, Change(120, code=9))).kept
    before = last(session.drawing.branch("again", second, Change(20, code=5))).kept
    changes = [session.visits.find("again", run).trace.changes for run in (first, second, before)]
    assert changes == [(Change(50, code=7),), (Change(50, code=7), Change(120, code=9)), (Change(20, code=5),)]
    nodes = tree.tree(session.visits.runs("again"))
    assert [node.parent for node in nodes] == ["", parent.id, first, second]
    assert [node.level for node in nodes] == [1, 2, 3, 4]
    assert branches.differing(session.visits.find("again", first).trace.codes, parent.trace.codes) == [50]
    assert nodes[0].tags == ("DAiD", "seed 3")
    assert nodes[1].tags == ("from 50", "1 differs", "1 by hand")
    assert nodes[2].tags[0] == "from 120"
    assert nodes[2].tags[2] == "2 by hand"


@pytest.mark.parametrize("position", [-1, 256, 1000])
def test_a_branch_outside_of_the_picture_is_refused(session: Session, whole: Kept, position: int) -> None:
    parent = given_to(session, "outside", whole)
    with pytest.raises(ConfigError, match=r"position|change"):
        branches.branch(parent, Change(position, code=1))


def test_a_branch_without_a_change_is_refused(session: Session, whole: Kept) -> None:
    parent = given_to(session, "nothing", whole)
    update = last(session.drawing.branch("nothing", parent.id, Change(9)))
    assert update.state == "error"
    assert "got no change" in update.message


def test_nobody_branches_from_what_another_visitor_drew(session: Session, whole: Kept) -> None:
    run = given_to(session, "ann", whole).id
    for updates in (session.drawing.branch("bob", run, Change(9, code=1)), session.drawing.go_on("bob", run, "end")):
        assert "not kept any more" in last(updates).message


def test_changes_are_named_in_a_few_words() -> None:
    changes = {
        Change(1, settings=replace(SETTINGS, method="faid", n_neighbours=8)): "FAiD, K 8",
        Change(1, weights=((3, 0.0), (4, 0.0), (5, 2.0))): "2 dropped, 1 weighed",
        Change(1, weights=((3, 1.0),), others=0.0): "1 pinned",
        Change(1, code=77): "code 77",
        Change(1): "the same",
    }
    assert {branches.describe(change, SETTINGS): said for change, said in changes.items()} == {
        said: said for said in changes.values()
    }


# -- pauses -----------------------------------------------------------------------------------------------------------


def test_a_paused_run_goes_on_to_what_it_would_have_been(session: Session, whole: Kept) -> None:
    given_to(session, "pause", whole)
    run = paused(session, "pause", 21)
    assert (len(run.trace.steps), run.trace.complete) == (21, False)
    for how, steps in (("patch", 22), ("patch", 23), ("row", 32), ("row", 48), ("end", 256)):
        update = last(session.drawing.go_on("pause", run.id, how))  # type: ignore[arg-type]
        assert update.state == ("ready" if steps == 256 else "stopped")
        with pytest.raises(ConfigError, match="not kept"):
            session.visits.find("pause", run.id)  # it has become a longer one
        run = session.visits.find("pause", update.kept)
        assert len(run.trace.steps) == steps
        assert run.trace.codes.tolist() == whole.trace.codes[:steps].tolist()
    assert run.trace.changes == ()
    assert len(session.visits.runs("pause")) == 2


def test_the_next_code_can_be_chosen_by_hand(session: Session) -> None:
    run = paused(session, "hand", 40)
    assert run.ahead is not None
    offered = whatif.answer(run, 40, None)
    assert offered["ahead"] is True
    code = int(offered["codes"][1][0])
    update = last(session.drawing.go_on("hand", run.id, "patch", code))
    kept = session.visits.find("hand", update.kept)
    assert kept.trace.codes[40] == code
    assert kept.trace.changes == (Change(40, code=code),)
    assert not kept.trace.drawn(40)
    arrays = unpack(update.file)[1]
    assert arrays["drawn"].tolist() == [1] * 40 + [0]
    assert arrays["own"][40] == offered["after"]["code"]
    assert arrays["without"][40] == code  # in hindsight
    final = session.visits.find("hand", last(session.drawing.go_on("hand", kept.id, "end")).kept)
    assert final.trace.complete
    assert final.trace.codes[40] == code


def test_branches_of_a_paused_run_stay_its_branches(session: Session) -> None:
    run = paused(session, "stay", 40)
    child = last(session.drawing.branch("stay", run.id, Change(10, code=3))).kept
    longer = last(session.drawing.go_on("stay", run.id, "row")).kept
    assert session.visits.find("stay", child).parent == longer


def test_a_paused_run_can_branch_at_its_next_patch(session: Session) -> None:
    run = paused(session, "edge", 40)
    change = Change(40, settings=replace(SETTINGS, method="model"))
    kept = session.visits.find("edge", last(session.drawing.branch("edge", run.id, change)).kept)
    assert (len(kept.trace.steps), kept.branch_step) == (256, 40)


def test_going_on_with_a_finished_picture_or_in_an_unknown_way_is_refused(session: Session, whole: Kept) -> None:
    assert "finished picture" in last(session.drawing.go_on("done", given_to(session, "done", whole).id, "end")).message
    run = paused(session, "done", 5)
    assert "expected one of patch, row, end" in last(session.drawing.go_on("done", run.id, "week")).message  # type: ignore[arg-type]
    assert "code" in last(session.drawing.go_on("done", run.id, "patch", 5000)).message
    assert "code" in last(session.drawing.go_on("done", run.id, "patch", "7")).message  # type: ignore[arg-type]


def test_a_paused_run_and_one_from_an_image_say_so(session: Session) -> None:
    run = paused(session, "said", 21)
    assert tree.tags(Listed.of(run), None) == ("DAiD", "seed 3", "paused at 21")
    read = branches.Plan("a disc", ASKED, given=tuple(range(256)))
    image = session.visits.find("said", last(session.drawing.carry_out("said", lambda: read)).kept)
    assert tree.tags(Listed.of(image), None) == ("DAiD", "image")
    other = replace(image, parent=run.id, branch_step=0)
    assert tree.tags(Listed.of(other), Listed.of(image)) == ("from 0", "0 differ")


def test_pausing_keeps_the_record_of_the_next_patch(slow: Session) -> None:
    run = slow.drawing.draw("stop", "a disc", lambda: ASKED)
    next(run)
    slow.runs.stop("stop")
    kept = slow.visits.find("stop", last(run).kept)
    assert kept.ahead is not None
    assert len(kept.ahead.steps) == len(kept.trace.steps) + 1


def test_a_branch_is_shown_beside_the_run_it_came_from(session: Session, whole: Kept) -> None:
    parent = given_to(session, "beside", whole)
    branch = session.visits.find("beside", last(session.drawing.branch("beside", parent.id, Change(200, code=7))).kept)
    told = outcome_of(session)(branch.id)
    places = np.flatnonzero(branch.trace.codes != parent.trace.codes).tolist()
    assert places[0] == 200
    assert (told["run"], told["parent"], told["name"]) == (branch.id, parent.id, "a disc")
    assert (told["places"], told["both"]) == (places, 256)
    assert Image.open(io.BytesIO(base64.b64decode(told["picture"]))).size == (256, 256)
    shorter = replace(branch, trace=replace(branch.trace, steps=branch.trace.steps[:201]))
    assert whatif.outcome(shorter, parent)["both"] == 201
    for nobody in (parent.id, "not there", None, {"a": 1}):
        assert "not kept any more" in outcome_of(session)(nobody)["error"]


# -- what if ----------------------------------------------------------------------------------------------------------


def test_an_answer_promises_what_the_branch_takes(session: Session, whole: Kept) -> None:
    parent = given_to(session, "ask", whole)
    found = neighbours(parent.trace.steps[120])
    assert found is not None
    values = {"settings": {"retrieval_weight": 1}, "weights": [[int(found.entries[0]), 0]], "others": 1, "code": None}
    told = whatif.answer(parent, 120, values)
    assert told["said"] == "λ 1, 1 dropped"
    assert told["neighbours"][0]["shares"][1] == 0
    assert sum(near["shares"][0] for near in told["neighbours"]) == pytest.approx(1, abs=1e-6)
    assert told["settings"]["retrieval_weight"] == 1
    assert told["recorded"]["retrieval_weight"] == 0.5
    change = whatif.wanted(parent.trace, 120, values)
    kept = session.visits.find("ask", last(session.drawing.branch("ask", parent.id, change)).kept)
    assert kept.trace.codes[120] == told["after"]["code"]
    # asked again, the branch shows the weights that made it
    again = whatif.answer(kept, 120, None)
    assert again["change"]["weights"] == ((int(found.entries[0]), 0.0),)
    assert again["before"]["code"] == again["after"]["code"] == told["after"]["code"]


def test_an_answer_about_a_position_without_neighbours_says_why(session: Session, whole: Kept) -> None:
    told = whatif.answer(given_to(session, "skip", whole), 5, None)
    assert told["neighbours"] == []
    assert "first row" in told["skipped"]


@pytest.mark.parametrize(
    "values",
    [
        [], "x", 7, {"settings": 3}, {"settings": {"evil": 1}}, {"settings": {"retrieval_weight": 2}},
        {"settings": {"seed": "1"}}, {"weights": 3}, {"weights": [[1]]}, {"weights": [["a", 1]]}, {"others": -1},
        {"code": "7"}, {"evil": 1},
    ],
)  # fmt: skip
def test_hostile_questions_are_refused_in_one_line(session: Session, whole: Kept, values: object) -> None:
    with pytest.raises(ConfigError) as caught:
        whatif.answer(given_to(session, "hostile", whole), 20, values)
    assert "\n" not in str(caught.value)


def test_questions_about_positions_that_are_not_there_are_refused(session: Session, whole: Kept) -> None:
    kept = given_to(session, "where", whole)
    for step in (-1, 256, 10**9):
        with pytest.raises(ConfigError, match="position"):
            whatif.answer(kept, step, None)


# -- from an image ----------------------------------------------------------------------------------------------------


def test_an_uploaded_image_becomes_codes(session: Session, tmp_path: Path) -> None:
    cells = np.zeros((16, 16, 3), np.uint8)
    cells[..., 0] = 255
    (tmp_path / "a.png").write_bytes(encoded_png(cells.repeat(8, axis=0).repeat(8, axis=1)))
    codes = session.library.codes_of("fake", tmp_path / "a.png")
    assert set(codes.ravel().tolist()) == {7 << 7}


def test_images_are_made_square_on_white_and_turned_upright() -> None:
    wide = np.zeros((10, 40, 3), np.uint8)
    picture = pictures.opened(encoded_png(wide), "image", 40)
    assert picture.shape == (40, 40, 3)
    assert (picture[0], picture[20]) == (pytest.approx(255), pytest.approx(0))
    clear = io.BytesIO()
    half = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    half.paste((255, 0, 0, 255), (0, 0, 8, 4))
    half.save(clear, "PNG")
    assert (pictures.opened(clear.getvalue(), "image", 8)[4:] == 255).all()


@pytest.mark.parametrize(
    "data", [b"", b"GIF89a", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"\x89PNG\r\n\x1a\n", b"x" * 99]
)
def test_files_that_are_no_images_are_refused(data: bytes) -> None:
    with pytest.raises(ConfigError, match="image: not a readable picture"):
        pictures.opened(data, "image", 16)


@pytest.mark.parametrize(("mode", "side"), [("P", 9000), ("1", 11_600), ("1", 14_000)])
def test_bombs_are_refused_before_they_are_unpacked(mode: str, side: int) -> None:
    bomb = io.BytesIO()
    Image.new(mode, (side, side)).save(bomb, "PNG")
    with pytest.raises(ConfigError, match="image: got"):
        pictures.opened(bomb.getvalue(), "image", 16)


def encoded_png(cells: np.ndarray) -> bytes:  # type: ignore[type-arg]
    buffer = io.BytesIO()
    Image.fromarray(cells).save(buffer, "PNG")
    return buffer.getvalue()
