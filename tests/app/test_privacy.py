"""What a server leaves on its disk of those who ask it, through its endpoints and past them, and of ended visits."""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from unittest.mock import Mock
from urllib.parse import urlsplit

import gradio as gr
import httpx
import numpy as np
import pytest
from gradio.blocks import BlocksConfig
from gradio.state_holder import SessionState, StateHolder
from gradio_client import Client
from PIL import Image

from app import tidying
from app.page_states import PageStates
from app.session import Session
from core.trace import Trace
from tests.app.asking import PROMPT, STRONG, defaults, last, uploaded
from tests.app.serving import files_in, served_on

BOUNDARY = "a-boundary"


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the server's temporary files are."""
    return tmp_path_factory.mktemp("disk")


@pytest.fixture(scope="module")
def url(disk: Path) -> Iterator[str]:
    with served_on(disk) as address:
        yield address


def noise(size: int = 32) -> bytes:
    """A picture that is found again wherever it lies."""
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(4).integers(0, 255, (size, size, 3), np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def uploads_in(disk: Path) -> list[Path]:
    """What waits to be read, and what is just coming."""
    return [path for path in (disk / "uploads").rglob("*") if path.is_file()]


def test_what_scripts_fetch_lies_in_memory_alone(url: str, disk: Path, tmp_path: Path) -> None:
    before = files_in(disk)
    client = Client(url, verbose=False, download_files=tmp_path)
    run, picture = client.predict(PROMPT, settings=STRONG, trace=True, api_name="/generate")
    assert Trace.load(Path(run["trace"])).prompt == PROMPT
    with Image.open(picture) as image:
        assert image.size == (128, 128)
    client.close()
    assert files_in(disk) == before


def test_an_upload_is_taken_and_has_an_address_only_as_long_as_it_waits(url: str, disk: Path) -> None:
    paths = [httpx.post(f"{url}/gradio_api/upload", files={"files": ("a.png", noise())}).json() for _ in range(2)]
    assert [len(found) for found in paths] == [1, 1]
    assert paths[0] != paths[1]  # nobody's reading takes away what somebody else has uploaded
    assert all(Path(path).read_bytes() == noise() for (path,) in paths)
    assert {Path(path) for (path,) in paths} <= set(uploads_in(disk))


def test_uploads_that_cannot_be_taken_leave_nothing(url: str, disk: Path) -> None:
    before = uploads_in(disk)
    whole = part(noise())
    assert said(url, whole, 2**40).startswith("HTTP/1.1 413")
    assert b"got 1048576 MB" in answer(url, whole, 2**40)
    assert said(url, f"{len(whole):x}\r\n".encode() + whole + b"\r\n0\r\n\r\n", None).startswith("HTTP/1.1 411")
    assert said(url, b"no parts at all", 15).startswith("HTTP/1.1 4")
    assert httpx.post(f"{url}/gradio_api/upload", content=b"{}").status_code == 400
    too_large = httpx.post(f"{url}/gradio_api/upload", files={"files": ("a.bin", bytes(33 * 2**20))})
    assert (too_large.status_code, "maximum allowed size" in too_large.text) == (413, True)
    cut_off(url, whole[:-60], len(whole))
    deadline = time.monotonic() + 20
    while uploads_in(disk) != before and time.monotonic() < deadline:
        time.sleep(0.1)
    assert uploads_in(disk) == before


def test_no_event_takes_a_file_from_the_web_or_a_body_without_bound(url: str, disk: Path) -> None:
    """Gradio would download what any input names, a text among them, and keep it."""
    before = files_in(disk)
    event = {"fn_index": 0, "session_hash": "x", "event_data": None, "trigger_id": None}
    for path in ("http://127.0.0.1:1/a.bin", "https://example.org/a.bin", str(disk / "a.bin"), "/etc/hostname"):
        named = {"path": path, "meta": {"_type": "gradio.FileData"}}
        for place in ("queue/join", "run/predict", "call/generate"):
            refused = httpx.post(f"{url}/gradio_api/{place}", json={**event, "data": [{"deep": [named]}] * 50})
            past = place.startswith("run")  # where none is taken, uploaded or not
            assert refused.status_code == (422 if past else 400)
            assert ("got a file" if past else "not uploaded here") in refused.json()["detail"]
    large = httpx.post(f"{url}/gradio_api/queue/join", json={**event, "data": ["x" * 2**20]})
    assert large.status_code == 413
    assert httpx.post(f"{url}/gradio_api/queue/join", json={**event, "data": ["[" * 5000]}).status_code < 500
    assert files_in(disk) == before


def part(data: bytes) -> bytes:
    """The body of an upload with one file."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
    return head.encode() + data + f"\r\n--{BOUNDARY}--\r\n".encode()


def sent(url: str, body: bytes, length: int | None) -> socket.socket:
    """A line over which an upload was sent that says it is that long."""
    place = urlsplit(url)
    line = socket.create_connection((place.hostname, place.port), timeout=20)
    declared = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    head = f"POST /gradio_api/upload HTTP/1.1\r\nHost: {place.netloc}\r\n{declared}\r\nConnection: close\r\n"
    line.sendall(f"{head}Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n".encode() + body)
    return line


def answer(url: str, body: bytes, length: int | None) -> bytes:
    """All that the server answers."""
    with sent(url, body, length) as line:
        found = b""
        while piece := line.recv(65536):
            found += piece
        return found


def said(url: str, body: bytes, length: int | None) -> str:
    """The first line of the answer."""
    return answer(url, body, length).split(b"\r\n")[0].decode()


def cut_off(url: str, body: bytes, length: int) -> None:
    """An upload whose line breaks."""
    with sent(url, body, length):
        time.sleep(0.5)


# -- the end of a visit -----------------------------------------------------------------------------------------------


def test_a_visit_that_ends_leaves_nothing(session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    file = uploaded(session, "lantern.png", noise())
    with session.uploads.read(str(file)) as paths:
        list(session.library.bring("ann", paths))
    update = last(session.drawing.draw("ann", "sun", defaults))
    bobs = last(session.drawing.draw("bob", "sun", defaults))
    paths = [session.files.put(who, one.file, "trace.bin") for who, one in (("ann", update), ("bob", bobs))]
    session.leave("ann")
    assert session.visits.runs("ann") == ()
    assert list(session.library.own.databases("ann")) == []
    assert [session.files.find(path) is not None for path in paths] == [False, True]
    assert [kept.id for kept in session.visits.runs("bob")] == [bobs.kept]
    assert files_in(tmp_path) == {}


def test_gradio_keeps_no_copy_of_what_a_page_was_sent() -> None:
    config, box = BlocksConfig(Mock()), gr.Textbox(render=False)
    config.blocks[box._id] = box
    states = PageStates.of(Mock(default_config=config, blocks=config.blocks, state_session_capacity=9))
    page = states["a page"]
    page._update_value_in_config(box._id, "what somebody typed")
    page._update_config(box._id)
    page[box._id] = gr.Textbox("what somebody typed", render=False)
    assert page.config_values == {}
    assert page[box._id].value == "what somebody typed"
    assert page[box._id] is states["a page"][box._id]
    assert states["another page"][box._id] is box


def test_what_widgets_held_is_forgotten_with_their_page() -> None:
    holder, now = StateHolder(), datetime.now()
    for name, hours in (("open", 1), ("closed", 1), ("just closed", 0)):
        holder.session_data[name] = Mock(SessionState, is_closed=name != "open")
        holder.time_last_used[name] = now - timedelta(hours=hours)
    tidying.drop_closed(holder, now)
    assert list(holder.session_data) == ["open", "just closed"]
    tidying.drop_closed(holder, now + timedelta(hours=1))
    assert list(holder.session_data) == ["open"] == list(holder.time_last_used)
