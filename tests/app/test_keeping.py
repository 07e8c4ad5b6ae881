"""Names of the files that the page offers, and what What if may offer, of runs of a model with and without blenders."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.files import file_name
from app.library import Library
from app.session import Session
from app.tabs.whatif.layout import preview_of
from app.views import Asked
from app.visits import Kept
from core.types import DecodeSettings
from tests.app.asking import first_run
from tests.app.fake import FakeBackend, fake_database


@pytest.fixture(scope="module")
def session() -> Session:
    backends = {"plain": FakeBackend(faid=None), "blends": FakeBackend()}
    return Session.over(Library(backends, {"all": fake_database(backends["plain"], images=4)}))


def drawn(session: Session, model: str) -> Kept:
    *_, update = session.drawing.draw(model, "a disc", lambda: Asked(model, "all", DecodeSettings(seed=2**32 - 1)))
    return session.visits.find(model, update.kept)


@given(name=st.text(max_size=300))
def test_files_have_names_that_every_file_system_takes(session: Session, name: str) -> None:
    runs = session.visits.runs("plain")
    run = replace(first_run(session, "plain") if runs else drawn(session, "plain"), name=name)
    found = file_name(run, "position-139")
    assert len(f"{found}.webp".encode()) < 130
    assert found.endswith("_position-139_seed-4294967295")
    assert set(found) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_")
    assert not {"--", "-_", "__"} & {found[i : i + 2] for i in range(len(found))}
    assert found[0] not in "-_"


def test_files_say_what_they_are(session: Session) -> None:
    run = replace(drawn(session, "plain"), name="A pizza, flat style!")
    assert file_name(run) == "a-pizza-flat-style_seed-4294967295"
    assert file_name(run, "position-139") == "a-pizza-flat-style_position-139_seed-4294967295"
    assert file_name(replace(run, name="ピザ")) == "picture_seed-4294967295"


def test_what_if_knows_whether_the_model_has_blenders(session: Session) -> None:
    preview = preview_of(session)
    for model, can_blend in (("plain", False), ("blends", True)):
        assert preview({"run": drawn(session, model).id, "step": 40})["can_blend"] is can_blend
