"""A database as a place: what is said of it, who may see it, and where things stand in it."""

from __future__ import annotations

import base64
import gc
import io
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import numpy as np
import pytest
from gradio_client import Client
from PIL import Image

from app import holdings, own
from app.holdings import Sampled
from app.library import Library
from app.session import Session
from app.tabs.database import layout
from app.tabs.database.holding import Holdings
from core.analysis.holdings import MOST_CONTEXTS
from core.assets import licences
from core.backends.emoji.backend import EmojiBackend
from core.context import context_codes
from core.patches.catalogue import FOLDER
from core.patches.database import PatchDatabase
from core.patches.protocol import ImageInfo
from core.patches.released import ReleasedDatabase
from core.trace import Trace, neighbours
from core.types import ConfigError
from tests.app.asking import PROMPT, defaults, last, somebody, uploaded
from tests.app.fake import SIDE, FakeBackend, disc, fake_database
from tests.released import write_released

BACKEND = FakeBackend()
DISCS = fake_database(BACKEND, images=12)


@pytest.fixture(scope="module")
def session() -> Session:
    return Session.over(Library({"fake": BACKEND}, {"all": DISCS, "half": DISCS.subset(range(6))}))


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> ReleasedDatabase:
    folder = write_released(tmp_path_factory.mktemp("released"), BACKEND.codebook, DISCS.grids)
    return ReleasedDatabase.open(folder, BACKEND.codebook, BACKEND.grid)


@pytest.fixture
def places(session: Session) -> Holdings:
    return Holdings(session.library)


@pytest.fixture
def calls(session: Session, places: Holdings) -> dict[str, Any]:
    """What the script may call, by name."""
    return {call.__name__: call for call in layout.served(session, places)}


def pixels(text: str) -> np.ndarray[Any, Any]:
    """A picture from base64."""
    with Image.open(io.BytesIO(base64.b64decode(text))) as image:
        return np.asarray(image.convert("RGB"))


def bring(session: Session, who: str, seed: int) -> None:
    """Give a visitor a picture of their own."""
    image = disc(BACKEND.grid, seed).repeat(SIDE, axis=0).repeat(SIDE, axis=1)
    brought = own.Brought((f"mine {seed}",), (image,), ())
    grids = BACKEND.encode_images(image[None])
    collections = session.library.own
    collections.keep(collections.begin(who), own.database_of(BACKEND, brought, grids))


def drawn(session: Session, who: str, database: str = "all") -> str:
    """Id of a run."""
    base = defaults()
    asked = replace(base, database=database, settings=replace(base.settings, caption_filter=0))
    return last(session.drawing.draw(who, PROMPT, lambda: asked)).kept


# ---------------------------------------------------------------------------------------------------------------------
# What is in it


def test_an_overview_counts_what_there_is_and_is_json() -> None:
    found = json.loads(json.dumps(holdings.overview(DISCS, Sampled.of(DISCS))))
    assert (found["size"], found["sampled"], found["entries"]) == (12, 12, 12 * 210)
    assert found["styles"] == [["3d", 6], ["flat", 6]]
    assert found["repeats"]["distinct"] == DISCS.unique_contexts
    assert found["repeats"]["repeated"] == DISCS.repeated_contexts
    counts = np.bincount(DISCS.grids.ravel())
    code, count, _ = found["codes"]["most"][0]
    assert (code, count, found["codes"]["used"]) == (counts.argmax(), counts.max(), (counts > 0).sum())
    assert found["captions"][3] == "disc number 3"
    for kind in ("captions", "contexts"):
        points = found["maps"][kind]
        assert len(points["x"]) == len(points["y"]) == 12
        assert (min(points["x"]), max(points["x"]), min(points["y"]), max(points["y"])) == (0, 1000, 0, 1000)
        assert set(points["thumbs"]) <= set(found["thumbs"])


def test_tiles_show_the_codes_that_they_stand_for() -> None:
    """The fake model's codes are colours: each tile, cut from a real picture, encodes to its code again."""
    found = holdings.overview(DISCS, Sampled.of(DISCS))
    sheet, side = pixels(found["tile_sheet"]), holdings.TILE

    def colour(tile: int) -> np.ndarray[Any, Any]:
        row, col = divmod(tile, found["columns"])
        cell: np.ndarray[Any, Any] = sheet[row * side : (row + 1) * side, col * side : (col + 1) * side]
        return cell.mean(axis=(0, 1))

    for code, _, tile in found["codes"]["most"][:8]:
        meant = BACKEND.decode_codes(np.array([[[code]]], np.uint16))[0].mean(axis=(0, 1))
        assert np.abs(colour(tile) - meant).max() < 40  # the pictures are encoded with losses
    blank = found["repeats"]["frequent"][0]
    assert len(blank["tiles"]) == 4
    assert blank["followers"][0][2] >= 0


def test_a_large_database_is_sampled() -> None:
    sampled = Sampled.of(DISCS, most=5)
    found = holdings.overview(DISCS, sampled)
    assert (found["size"], found["sampled"], found["entries"]) == (12, 5, 12 * 210)
    assert found["repeats"]["entries"] == 5 * 210
    assert found["images"] == sampled.images.tolist()


def test_of_a_released_database_only_what_it_knows_is_told(released: ReleasedDatabase) -> None:
    sampled = Sampled.of(released)
    found = holdings.overview(released, sampled)
    inner = DISCS.grids[:, 1:, 1:-1]
    assert not found["knows_images"]
    assert found["maps"]["captions"] is None
    assert (found["tile_sheet"], found["thumb_sheet"], found["styles"]) == ("", "", [])
    assert found["codes"]["cells"] == inner.size
    assert found["codes"]["used"] == len(np.unique(inner))
    assert found["repeats"]["entries"] == 12 * 14 * 12  # rows 2 to 15, columns 2 to 13
    whole = context_codes(DISCS.context, DISCS.grids, sampled.positions)
    assert np.array_equal(context_codes(released.context, sampled.grids, sampled.positions), whole)
    with pytest.raises(ConfigError, match="no captions"):
        holdings.containing(released, ["disc"], 3)
    with pytest.raises(ConfigError, match="reaches to the edge"):
        holdings.cell_context(released, released.image_codes(0), 17, inner=True)


def test_a_database_without_pictures_has_grey_tiles() -> None:
    bare = PatchDatabase.build(BACKEND.codebook, DISCS.grids, [ImageInfo(f"disc {i}") for i in range(12)])
    found = holdings.overview(bare, Sampled.of(bare))
    assert (found["tile_sheet"], found["thumb_sheet"], found["maps"]["captions"]) == ("", "", None)
    assert {tile for _, _, tile in found["codes"]["most"]} == {-1}
    assert holdings.portrait(bare, 3, None)["picture"] == ""


# ---------------------------------------------------------------------------------------------------------------------
# Where things stand


def test_a_neighbourhood_is_found_where_it_came_from(calls: dict[str, Any]) -> None:
    answer = calls["find_patch"]({"key": "all", "image": 4, "position": 120})
    nearest = answer["found"][0]
    assert (nearest["distance"], answer["exact"] >= 1) == (0, True)
    assert (4, 7, 8) in {(one["image"], one["row"], one["column"]) for one in answer["found"][: answer["exact"]]}
    assert sum(count for _, count in answer["followers"]) <= answer["exact"]
    crop = pixels(nearest["crop"])
    assert crop.shape == (5 * SIDE, 5 * SIDE, 3)
    assert (nearest["top"], nearest["left"]) == (nearest["row"] - 2, nearest["column"] - 2)


def test_a_position_of_a_run_finds_its_neighbours(session: Session, calls: dict[str, Any]) -> None:
    run = drawn(session, "ann")
    trace = session.visits.find("ann", run).trace
    answer = calls["find_patch"]({"key": "all", "run": run, "position": 120})
    near = neighbours(trace.steps[120])
    assert near is not None
    assert [one["entry"] for one in answer["found"]] == near.entries[:24].tolist()
    assert answer["query"] == trace.steps[120].retrieval.query.tolist()  # type: ignore[union-attr]


def test_pictures_that_share_contexts_are_alike(calls: dict[str, Any]) -> None:
    """Whatever shares most with a picture of the database, given as codes, is that picture."""
    itself = calls["find_like"]({"key": "all", "codes": DISCS.grids[4].ravel().tolist()})
    assert itself["found"][0]["image"] == 4
    assert itself["found"][0]["count"] == itself["contexts"] <= MOST_CONTEXTS
    others = calls["find_like"]({"key": "all", "image": 4})
    assert 4 not in {one["image"] for one in others["found"]}


def test_words_are_parts_of_captions_and_whole_words_come_first(calls: dict[str, Any]) -> None:
    found = calls["find_words"]({"key": "all", "words": "Number 1"})
    assert [one["image"] for one in found["found"]] == [1, 10, 11]
    assert (found["total"], found["searched"]) == (3, 12)
    assert [one["image"] for one in calls["find_words"]({"key": "all", "words": "FLAT 1"})["found"]] == [1, 11]


def test_what_a_run_used_a_picture_for(session: Session, calls: dict[str, Any]) -> None:
    run = drawn(session, "ann")
    used = layout.used_by(session.visits.find("ann", run))
    answer = calls["portrait"]({"key": "all", "image": used["images"][0], "run": run})
    assert sum(use["share"] for use in answer["used"]) / 256 == pytest.approx(used["shares"][0], abs=1e-4)
    assert answer["source"] == "fake discs"
    assert answer["codes"] == DISCS.image_codes(used["images"][0]).ravel().tolist()
    assert calls["portrait"]({"key": "all", "image": 3, "run": "nope"})["used"] is None


def test_collections_that_ship_have_licences() -> None:
    shipped = PatchDatabase.load(FOLDER / "emoji", EmojiBackend.load().codebook)
    sources = {info.source for info in shipped.metadata}
    assert len(sources) == 4
    assert sources <= set(licences())
    assert licences()["@iconify-json/twemoji 1.2.5"].startswith("CC BY 4.0, Twitter")
    assert holdings.named(DISCS, 3)["licence"] == ""


def test_what_narrowed_the_look_ups_of_a_run_is_said(session: Session) -> None:
    kept = session.visits.find("ann", drawn(session, "ann"))

    def filters(**settings: Any) -> list[str]:
        changed: Trace = replace(kept.trace, settings=replace(kept.trace.settings, **settings))
        return layout.filters_of(changed)

    assert filters(caption_filter=0) == []
    assert filters(caption_filter=4, position_weight=0.3) == ["a caption filter", "a position term"]
    assert filters(caption_filter=0, styles=("flat",)) == ["a choice of styles"]


REFUSED: list[tuple[str, dict[str, Any] | str, str]] = [
    ("overview", {"key": "nope"}, "not here any more"),
    ("overview", {"key": ["all"]}, "not here any more"),
    ("overview", "all", "not here any more"),
    ("portrait", {"key": "all", "image": 12}, "image: got no. 12"),
    ("portrait", {"key": "half", "image": 7}, "expected one of 6 up to 5"),
    ("portrait", {"key": "all", "image": "1"}, "image: got no. '1'"),
    ("portrait", {"key": "all", "image": 1.0}, "image: got no. 1.0"),
    ("portrait", {"key": "all", "image": float("nan")}, "image: got no. nan"),
    ("portrait", {"key": "all", "image": 2**70}, "image: got no."),
    ("find_words", {"key": "all", "words": " ,"}, "words: got none"),
    ("find_words", {"key": "all", "words": "x" * 101}, "words: got more than"),
    ("find_words", {"key": "all"}, "words: got more than"),
    ("find_patch", {"key": "all", "image": 1, "position": 256}, "position: got 256"),
    ("find_patch", {"key": "all", "image": 1, "position": "5"}, "position: got '5'"),
    ("find_patch", {"key": "all", "image": 1, "position": 2}, "first row: there is nothing above"),
    ("find_patch", {"key": "all", "run": "nope", "position": 40}, "no picture in the stepper"),
    ("find_like", {"key": "all", "codes": [1, 2]}, "codes: expected 256 whole numbers from 0 to 1023"),
    ("find_like", {"key": "all", "codes": [1024] * 256}, "codes: expected 256"),
    ("find_like", {"key": "all", "codes": [True] * 256}, "codes: expected 256"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "wrong", "said"), REFUSED)
def test_whatever_comes_from_a_browser_is_checked(calls: dict[str, Any], name: str, wrong: Any, said: str) -> None:
    answer = calls[name](wrong)
    assert list(answer) == ["error"]
    assert said in answer["error"]


# ---------------------------------------------------------------------------------------------------------------------
# Which databases, and whose


def test_the_database_of_the_settings_and_that_of_the_run_are_told_apart(session: Session, places: Holdings) -> None:
    run = drawn(session, "ann")
    same = layout.offers(session, places, "ann", run, "all")
    assert [offer["where"] for offer in same["offers"]] == ["settings"]
    assert (same["same"], same["used"]["key"], same["lost"]) == (True, "all", False)
    other = layout.offers(session, places, "ann", run, "half")
    assert [(offer["where"], offer["key"]) for offer in other["offers"]] == [("settings", "half"), ("run", "all")]
    assert layout.offers(session, places, "bob", run, "all")["used"] is None
    nothing = layout.offers(session, places, "ann", "", "all")
    assert (nothing["used"], nothing["lost"]) == (None, False)


def test_the_pictures_of_a_visitor_are_reached_by_a_key_that_nobody_can_guess(
    session: Session, places: Holdings, calls: dict[str, Any]
) -> None:
    bring(session, "ann", 40)
    key = places.key("ann", "yours")
    assert key != "yours"
    assert places.key("ann", "yours") == key
    assert calls["overview"]({"key": key})["captions"] == ["mine 40"]
    assert "error" in calls["overview"]({"key": "yours"})
    assert "error" in calls["overview"]({"key": places.key("bob", "yours")})
    both = calls["overview"]({"key": places.key("ann", "both")})
    assert (both["size"], both["context"]["border"]) == (13, "zero")
    session.library.own.forget("ann")
    assert "not here any more" in calls["overview"]({"key": key})["error"]


def test_what_was_worked_out_goes_with_its_database(session: Session, places: Holdings) -> None:
    bring(session, "ann", 41)
    places.worked(places.find(places.key("ann", "yours")))
    assert places.worked(DISCS) is places.worked(DISCS)
    assert len(places._worked) == 2
    session.library.own.forget("ann")
    gc.collect()
    assert len(places._worked) == 1


def test_few_keys_are_remembered(session: Session, places: Holdings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.tabs.database.holding.KEYS_KEPT", 2)
    keys = [places.key(who, "yours") for who in ("ann", "bob", "cid")]
    assert list(places._keys) == keys[1:]


def test_a_run_whose_database_is_gone_says_so(session: Session, places: Holdings) -> None:
    bring(session, "ann", 42)
    run = drawn(session, "ann", "yours")
    assert layout.offers(session, places, "ann", run, "yours")["same"]
    session.library.own.forget("ann")
    gone = layout.offers(session, places, "ann", run, "all")
    assert (gone["lost"], gone["used"], len(gone["offers"])) == (True, None, 1)


def test_nothing_is_asked_while_another_tab_is_open(session: Session, places: Holdings) -> None:
    show = layout.on_open(session, places)
    assert show("metrics", "", "all", somebody()) == gr.skip()
    assert show("database", "", "all", somebody())["kind"] == "offers"


# ---------------------------------------------------------------------------------------------------------------------
# What runs a model


def event(**asked: Any) -> gr.EventData:
    """An event of the script."""
    found: Any = SimpleNamespace(_data=asked)
    return found  # type: ignore[no-any-return]


def test_captions_near_in_meaning_are_those_of_the_caption_filter(session: Session, places: Holdings) -> None:
    meaning = layout.on_meaning(session, places)
    found = meaning("fake", event(key="all", words="disc number 7"))
    assert (found["kind"], found["found"][0]["image"], found["found"][0]["likeness"]) == (
        "meaning", 7, pytest.approx(1, abs=1e-3),
    )  # fmt: skip
    assert "knows no word" in meaning("fake", event(key="all", words="12"))["error"]
    assert "model: got 'nope'" in meaning("nope", event(key="all", words="disc"))["error"]
    assert "words: got" in meaning("fake", event(key="all", words=None))["error"]


def test_a_model_without_captions_of_its_own_says_so(places: Holdings) -> None:
    mute = FakeBackend(caption_encoder="")
    with pytest.raises(ConfigError, match="no caption encoder"):
        layout.near_in_meaning(Session.over(Library({"fake": mute}, {"all": DISCS})), DISCS, "fake", "disc")


def test_an_uploaded_picture_becomes_codes_or_a_line(session: Session, tmp_path: Path) -> None:
    image = disc(BACKEND.grid, 4).repeat(SIDE, axis=0).repeat(SIDE, axis=1)
    Image.fromarray(image).save(tmp_path / "a.png")
    good = uploaded(session, "a.png", (tmp_path / "a.png").read_bytes())
    bad = uploaded(session, "bad.png", b"nothing")
    read = layout.on_upload(session)
    assert read(str(good), "fake") == {"kind": "uploaded", "codes": DISCS.grids[4].ravel().tolist()}
    assert "bad.png" in read(str(bad), "fake")["error"]
    assert not good.parent.exists()
    assert not bad.parent.exists()
    assert "got nothing" in read(str(tmp_path / "a.png"), "fake")["error"]  # no upload
    assert "got nothing" in read(None, "fake")["error"]


# ---------------------------------------------------------------------------------------------------------------------
# Endpoints


def test_scripts_find_pictures_and_patches(client: Client) -> None:
    found = client.predict("number 1", limit=2, api_name="/find_pictures")
    assert [one["caption"] for one in found["pictures"]] == ["disc number 1", "disc number 10"]
    assert (found["total"], found["searched"], found["database"]) == (13, 40, "all")
    image = found["pictures"][0]["image"]
    near = client.predict(120, picture=image, limit=5, api_name="/find_patches")
    assert near["patches"][0]["distance"] == 0
    assert near["exact"] >= 1
    assert len(near["patches"]) == 5
    run, _ = client.predict(PROMPT, settings={"caption_filter": 0}, api_name="/generate")
    step = client.predict(run["run"], 120, limit=5, api_name="/step")
    near = client.predict(120, run=run["run"], limit=5, api_name="/find_patches")
    assert near["context"] == step["context"]
    assert [one["entry"] for one in near["patches"]] == [one["entry"] for one in step["neighbours"]]
