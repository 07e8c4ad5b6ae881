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
    found = file_name(replace(runs[0] if runs else drawn(session, "plain"), name=name))
    assert len(f"{found}-compared.webp".encode()) < 120
    assert found.startswith("loupe-")
    assert found.endswith("-seed4294967295")
    assert set(found) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert "--" not in found


def test_what_if_knows_whether_the_model_has_blenders(session: Session) -> None:
    preview = preview_of(session)
    for model, can_blend in (("plain", False), ("blends", True)):
        assert preview({"run": drawn(session, model).id, "step": 40})["can_blend"] is can_blend
