"""Files, words and the command line of a run are of that run, and what is not there is refused."""

from __future__ import annotations

import base64
import io
import json
import re
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app import links
from app.library import Library
from app.packing import MAGIC, header_of
from app.plans import sweep_plan
from app.session import Session
from app.share.citation import BIBTEX
from app.share.command import command_of
from app.share.making import KINDS, made, several
from app.share.share import linked, words_of
from app.views import Asked
from app.visits import Kept
from core.__main__ import main
from core.backends import load_backend
from core.backends.protocol import Backend
from core.patches.catalogue import open_database
from core.picture_file import KEY, read
from core.types import Change, ConfigError, DecodeSettings
from tests.app.stocked import stock

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def session() -> Session:
    """One whose pictures have 256 patches."""
    return Session.over(stock(side=16))


@pytest.fixture(scope="module")
def kept(session: Session) -> Kept:
    asked = Asked("fake", "all", DecodeSettings(seed=3, retrieval_weight=0.8, gate=0))
    *_, update = session.drawing.draw("saver", "a disc", lambda: asked)
    return session.visits.find("saver", update.kept)


def test_the_png_has_the_pixels_of_the_codes_and_says_how(session: Session, kept: Kept, tmp_path: Path) -> None:
    name, data = made(session, "saver", "picture", kept.id, -1)
    assert name == "a-disc_seed-3.png"
    path = tmp_path / name
    path.write_bytes(data)
    with Image.open(path) as picture:
        assert np.array_equal(np.asarray(picture), session.presenting.image(kept.trace))
    said = read(path)
    assert (said.prompt, said.settings, said.position) == ("a disc", kept.asked.settings, -1)
    assert said.codes_sha256 == kept.trace.codes_sha256


def test_a_position_says_the_run_and_where(session: Session, kept: Kept, tmp_path: Path) -> None:
    name, data = made(session, "saver", "position", kept.id, 100)
    assert name == "a-disc_position-100_seed-3.png"
    (tmp_path / name).write_bytes(data)
    said = read(tmp_path / name)
    assert said.position == 100
    assert said.link == links.link_of(kept, ("fake",), ("all",)) + "&step=100"


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_kind_of_file_is_made(session: Session, kept: Kept, kind: str) -> None:
    name, data = made(session, "saver", kind, kept.id, 5)
    assert name.startswith("a-disc_")
    assert len(data) > 500


def test_a_page_that_may_be_passed_on_does_not_open_the_run_to_whoever_has_it(session: Session, kept: Kept) -> None:
    _, data = made(session, "saver", "page", kept.id, 0)
    packed = [base64.b64decode(part) for part in re.findall(rb"[A-Za-z0-9+/=]{1000,}", data)]
    assert any(header_of(one)["id"] == "saved" for one in packed if one.startswith(MAGIC))
    assert not [one for one in (data, *packed) if kept.id.encode() in one]


@pytest.mark.parametrize(
    ("who", "kind", "step", "message"),
    [
        ("saver", "secret", 0, "expected one of picture, position"),
        ("saver", ["picture"], 0, "expected one of picture, position"),
        ("saver", "position", 256, "got 256, expected 0 to 255"),
        ("saver", "position", None, "expected 0 to 255"),
        ("somebody else", "trace", 0, "not kept any more"),
    ],
)
def test_what_is_not_there_is_refused(
    session: Session, kept: Kept, who: str, kind: object, step: object, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        made(session, who, kind, kept.id, step)


def test_a_sweep_is_one_picture_with_all_settings_inside(session: Session) -> None:
    plan = sweep_plan(Asked("fake", "all", DecodeSettings(seed=3)), "retrieval_weight", "0, 0.8", "seed", "1, 2")
    *_, sheet = session.drawing.draw_sweep("sweeper of two", "a disc", lambda: plan)
    ids = [run.id for run in sheet.runs]
    name, data = several(session, "sweeper of two", "sweep", ids, 2)
    assert name == "a-disc_sweep_seed-1.png"
    with Image.open(io.BytesIO(data)) as picture:
        inside, shown = json.loads(picture.info[KEY]), picture.info["parameters"]
    pairs = [(one["settings"]["retrieval_weight"], one["settings"]["seed"]) for one in inside["pictures"]]
    assert pairs == [(0, 1), (0.8, 1), (0, 2), (0.8, 2)]
    assert [one["codes_sha256"] for one in inside["pictures"]] == [run.trace.codes_sha256 for run in sheet.runs]
    assert shown.splitlines()[0] == "a disc"
    assert shown.splitlines()[2].startswith("1. Seed: 1, Retrieval weight: 0")
    for bad in ([], "abcd", None, ids * 10, [*ids, "x"]):
        with pytest.raises(ConfigError):
            several(session, "sweeper of two", "sweep", bad, 2)
    with pytest.raises(ConfigError, match="full rows"):
        several(session, "sweeper of two", "sweep", ids, 3)


def test_words_are_of_the_run_and_link_or_reason(session: Session, kept: Kept) -> None:
    words = words_of(session)
    said = words({"run": kept.id, "step": 100})
    assert "Position 100 (row 6, column 4)" in said["caption"]
    assert "Position" not in words({"run": kept.id, "step": 5000})["caption"]
    assert said["command"].startswith("# No command draws it again everywhere: its model does not ship")
    assert said["citation"] == BIBTEX
    assert "not kept any more" in words({"run": "guess"})["error"]
    assert "not kept any more" in words(None)["error"]
    assert linked(session, "saver", kept.id) == (links.link_of(kept, ("fake",), ("all",)), "")
    assert linked(session, "saver", "")[1] == "Draw something first."
    *_, update = session.drawing.branch("saver", kept.id, Change(9, code=1))
    assert "changed by hand" in linked(session, "saver", update.kept)[1]


# ---------------------------------------------------------------------------------------------------------------------
# The command line


@pytest.fixture(scope="module")
def novice() -> Backend:
    return load_backend("novice")


def test_the_command_draws_the_same_codes(
    novice: Backend, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session.over(Library({"novice": novice}, {"unseen": open_database("unseen", novice)}))
    settings = replace(
        novice.defaults,
        seed=5,
        retrieval_weight=0.75,
        retrieval_temperature=0.3,
        gate=0.0,
        caption_filter=1,
        styles=("flat",),
    )
    *_, update = session.drawing.draw("ann", "-a 'pizza', $HOME", lambda: Asked("novice", "unseen", settings))
    kept = session.visits.find("ann", update.kept)
    command = command_of(kept, novice.defaults)
    words = shlex.split(command)
    assert words[:4] == ["python", "-m", "core", "generate"]
    monkeypatch.chdir(tmp_path)
    assert main(words[3:]) == 0
    assert json.loads(capsys.readouterr().out)["codes_sha256"] == kept.trace.codes_sha256
    assert (tmp_path / "a-pizza-home_seed-5.png").exists()


def test_what_no_command_draws_says_why(session: Session, kept: Kept) -> None:
    shipped = replace(kept, asked=replace(kept.asked, model="emoji", database="emoji"))
    assert "--seed=3 --retrieval-weight=0.8" in command_of(shipped, DecodeSettings())
    assert "--neighbours=64" in command_of(shipped, DecodeSettings(n_neighbours=5))
    assert "--database" not in command_of(
        replace(shipped, trace=replace(kept.trace, settings=replace(kept.asked.settings, method="model"))),
        DecodeSettings(),
    )
    by_hand = replace(shipped, trace=replace(kept.trace, changes=(Change(3, code=1),)))
    stopped = replace(shipped, trace=replace(kept.trace, steps=kept.trace.steps[:9]))
    own = replace(shipped, asked=replace(shipped.asked, database="yours"))
    for run, reason in ((by_hand, "changed by hand"), (stopped, "stopped"), (own, "database"), (kept, "model")):
        with pytest.raises(ConfigError, match=reason):
            command_of(run, DecodeSettings())


def test_the_citation_is_that_of_the_project() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"```bibtex\n{BIBTEX}```" in readme
    yaml = pytest.importorskip("yaml")
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    (paper,) = cited["references"]
    plain = re.sub("[{}]", "", BIBTEX)
    assert f"title     = {paper['title']}," in plain
    authors = " and ".join(f"{one['family-names']}, {one['given-names']}" for one in paper["authors"])
    assert f"author    = {authors}," in plain
    assert f"title   = {cited['title']}," in plain
    assert f"version = {cited['version']}," in plain
    assert f"year      = {paper['year']}," in plain
