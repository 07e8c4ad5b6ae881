"""The files that a page fetches: whose they are, for how long they are here, and who makes room for whom."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from app import handed
from app.handed import Files


class Clock:
    """A clock that goes when it is told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def files(clock: Clock) -> Files:
    return Files(clock)


def fetch(files: Files, path: str) -> tuple[int, bytes]:
    """What the server answers for a path."""
    answer = TestClient(Starlette(routes=[handed.route(files)])).get(f"/gradio_api/file={path}")
    return answer.status_code, answer.content


def test_a_file_is_fetched_and_lies_nowhere(files: Files) -> None:
    path = files.put("ann", b"a run", "../../run.npz")
    assert (Path(path).name, Path(path).parent.parent.name) == ("run.npz", handed.PLACE)
    assert not Path(path).exists()
    assert fetch(files, path) == (200, b"a run")
    assert fetch(files, path + "x")[0] == 404


def test_a_browser_saves_what_it_must_not_run(files: Files) -> None:
    client = TestClient(Starlette(routes=[handed.route(files)]))
    page, picture = (
        client.get(f"/gradio_api/file={files.put('ann', b'<script>', name)}").headers for name in ("a.html", "a.webp")
    )
    assert page["content-type"] == "application/octet-stream"
    assert page["content-disposition"] == 'attachment; filename="a.html"'
    assert picture["content-type"] == "image/webp"
    for headers in (page, picture):
        assert headers["x-content-type-options"] == "nosniff"
        assert "private" in headers["cache-control"]


def test_one_content_has_one_address_for_each_visitor(files: Files) -> None:
    one, same, other = (files.put(owner, b"an atlas", "atlas.webp") for owner in ("ann", "ann", "bob"))
    assert one == same
    assert one != other
    assert Files().put("ann", b"an atlas", "atlas.webp") != one  # nobody can work it out
    files.forget("ann")
    assert files.find(one) is None
    assert files.find(other) is not None


def test_files_go_by_age_and_those_that_are_fetched_at_once_soon_after(files: Files, clock: Clock) -> None:
    lasting, once = files.put("ann", b"1", "a.webp"), files.put("ann", b"2", "b.bin", once=True)
    for path in (lasting, once):
        fetch(files, path)
    clock.now = handed.SECONDS_FETCHED - 1
    assert fetch(files, once) == (200, b"2")  # the line may have been cut
    clock.now = handed.SECONDS_FETCHED
    assert fetch(files, once)[0] == 404
    assert fetch(files, lasting) == (200, b"1")
    clock.now = handed.SECONDS_KEPT
    assert fetch(files, lasting)[0] == 404
    files.sweep()
    assert not files._files


def test_a_visitor_keeps_the_newest_files(files: Files) -> None:
    bobs = files.put("bob", b"bob's", "a.bin")
    paths = [files.put("ann", bytes([number]), "a.bin") for number in range(handed.FILES_KEPT + 3)]
    assert [files.find(path) is not None for path in paths] == [False] * 3 + [True] * handed.FILES_KEPT
    assert files.find(bobs)


def test_whoever_has_most_makes_room(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handed, "BYTES_KEPT", 100)
    bobs = files.put("bob", bytes(20), "a.bin")
    anns = [files.put("ann", bytes([number]) * 30, "a.bin") for number in range(5)]
    assert [files.find(path) is not None for path in anns] == [False, False, False, True, True]
    assert files.find(bobs)
    huge = files.put("bob", bytes(500), "a.bin")
    assert files.find(huge)  # what is just handed out is there for whoever waits for it
