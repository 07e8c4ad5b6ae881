"""What there is to choose from, for all and for one visitor."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from app.library import Library
from app.session import Session
from app.views import Asked, called
from core.patches.segments.database import SegmentedDatabase
from core.patches.tending.merge import merge
from core.types import DecodeSettings
from tests.app.asking import asked, defaults, last
from tests.app.fake import FakeBackend, fake_database
from tests.app.serving import SESSIONS
from tests.app.test_views import unpack


@pytest.fixture(scope="module")
def session() -> Session:
    backend = FakeBackend()
    return Session.over(
        Library({"fake": backend, "other": FakeBackend(name="other")}, {"all": fake_database(backend, images=12)})
    )


def test_methods_with_blenders_need_a_model_that_has_some(session: Session) -> None:
    assert session.library.methods == ("model", "daid", "faid", "faid+daid")
    plain = FakeBackend(faid=None)
    assert Library({"plain": plain}, {"all": fake_database(plain, images=2)}).methods == ("model", "daid")


def test_methods_with_retrieval_need_a_database(tmp_path: Path) -> None:
    library = Library({"fake": FakeBackend()}, {})
    assert library.methods == library.methods_of("ann") == ("model",)
    assert library.start == Asked("fake", "", DecodeSettings(method="model"))
    Image.new("RGB", (64, 64), "red").save(tmp_path / "red.png")
    list(library.bring("ann", [tmp_path / "red.png"]))
    assert "daid" in library.methods_of("ann")
    assert library.methods_of("bob") == ("model",)


def test_what_a_visitor_finds_chosen_works_with_a_released_database() -> None:
    session = SESSIONS["released"](0.0)
    assert session.library.start == Asked("fake", "released", DecodeSettings(caption_filter=0))
    assert last(session.drawing.draw("ann", "sun", lambda: session.library.start)).state == "ready"


def test_own_pictures_are_joined_with_the_embedded_ones_whatever_comes_first(tmp_path: Path) -> None:
    backend = FakeBackend()
    small, emoji = fake_database(backend, images=3), fake_database(backend, images=5)
    merge([small], tmp_path / "segments")
    first = SegmentedDatabase.open(tmp_path / "segments", backend.codebook)
    library = Library({"fake": backend}, {"mine": first, "small": small, "emoji": emoji})
    Image.new("RGB", (64, 64), "red").save(tmp_path / "red.png")
    list(library.bring("ann", [tmp_path / "red.png"]))
    assert list(library.databases_of("ann")) == ["mine", "small", "emoji", "yours", "both"]
    both = library.own.database("ann", "both")
    assert both is not None
    assert len(both.images) == 6
    assert library.start.database == "mine"
    assert called("a/folder/") == called("hf:folder") == "folder"


def test_model_alone_needs_no_database() -> None:
    session = Session.over(Library({"fake": FakeBackend()}, {}))
    assert session.library.styles == ()
    assert last(session.drawing.draw("ann", "sun", lambda: asked(DecodeSettings(method="model")))).state == "ready"
    assert "database" in last(session.drawing.draw("ann", "sun", defaults)).message


def test_a_visitor_chooses_model_and_database(session: Session) -> None:
    update = last(session.drawing.draw("ann", "sun", lambda: asked(DecodeSettings(), model="other")))
    facts = dict(unpack(update.file)[0]["facts"])
    assert (facts["model"], facts["database"]) == ("other", "all")
    assert "database" not in dict(
        unpack(last(session.drawing.draw("ann", "sun", lambda: asked(DecodeSettings(method="model")))).file)[0]["facts"]
    )


@pytest.mark.parametrize(("kind", "said"), [("model", "fake, other"), ("database", "all")])
def test_a_model_or_database_that_is_not_there_is_told(session: Session, kind: str, said: str) -> None:
    update = last(session.drawing.draw("ann", "sun", lambda: asked(DecodeSettings(), **{kind: "secret"})))
    assert update.state == "error"
    assert f"{kind}: got 'secret', expected one of {said}" in update.message
