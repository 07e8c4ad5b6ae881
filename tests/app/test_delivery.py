"""Scripts and style sheets as files: where they are, what they are, and for how long."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from urllib.error import HTTPError
from urllib.parse import urljoin
from urllib.request import Request, urlopen

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request as Asked
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from app import delivery
from app.delivery import APP, STYLE, address, loader, published, version
from app.library import Library
from app.stage.stage import is_drawn_by
from tests.app.fake import FakeBackend, fake_database

IMPORT = re.compile(r'from "([^"]+)"')


def test_every_import_of_a_module_leads_to_a_module() -> None:
    scripts = {name: content.decode() for name, content in published().items() if name.endswith(".js")}
    for name, text in scripts.items():
        for there in IMPORT.findall(text):
            assert urljoin(f"/{name}", there).removeprefix("/") in scripts, f"{name} imports {there}"


def test_the_page_begins_with_the_example_where_its_model_is() -> None:
    assert "stage/stage.js" in delivery.links()
    assert "stage/" not in delivery.links(stage=False)
    backend = FakeBackend()
    assert not is_drawn_by(Library({"fake": backend}, {"all": fake_database(backend, images=2)}))
    assert is_drawn_by(Library.load())


def test_files_are_served_with_their_types_and_may_be_kept_for_ever(url: str) -> None:
    for name, kind in (("stepper/stepper.js", "text/javascript"), (STYLE, "text/css")):
        with urlopen(f"{url}/{address(name)}") as answer:
            assert answer.headers["Content-Type"] == f"{kind}; charset=utf-8"
            assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
            assert answer.read() == published()[name]


@pytest.mark.parametrize("name", ["stepper/stepper.py", "../ui.py", "%2e%2e/ui.py", "replay/replay.js", "no.js", ""])
def test_nothing_else_is_served(url: str, name: str) -> None:
    with pytest.raises(HTTPError) as refused:
        urlopen(f"{url}/{delivery.PREFIX}/{version()}/{name}")
    refused.value.close()
    assert refused.value.code == 404


def test_another_version_is_not_here(url: str) -> None:
    with pytest.raises(HTTPError) as refused:
        urlopen(f"{url}/{delivery.PREFIX}/0123456789abcdef/{STYLE}")
    refused.value.close()
    assert refused.value.code == 404
    assert "immutable" not in (refused.value.headers["Cache-Control"] or "")


def test_the_version_follows_the_content(monkeypatch: pytest.MonkeyPatch) -> None:
    files = dict(published())
    versions = {version()}
    for change in ({STYLE: b"other"}, {"new.js": b""}, {}):
        monkeypatch.setattr(delivery, "published", lambda change=change: {**files, **change})
        versions.add(version.__wrapped__())
    assert len(versions) == 3


def test_files_are_found_below_a_path_of_a_proxy() -> None:
    page = Starlette(routes=[Mount("/demo", routes=[delivery.route()])])
    answer = TestClient(page).get(urljoin("/demo/", address(STYLE)))
    assert answer.content == published()[STYLE]


def test_a_loader_is_constant_and_names_its_events() -> None:
    code = loader(APP / "rail" / "rail.js", ["pick"])
    assert json.dumps(address("rail/rail.js")) in code
    assert '"pick"' in code
    assert len(code) < 800


def test_the_page_itself_is_compressed(url: str) -> None:
    with urlopen(Request(url, headers={"Accept-Encoding": "gzip"})) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        assert len(answer.read()) < 80_000
    with urlopen(url) as answer:
        assert answer.headers["Content-Encoding"] is None


@pytest.mark.parametrize(
    ("root", "path", "squeezed"), [("", "/", True), ("", "/trace.bin", False), ("/d", "/d/", True)]
)
def test_only_the_page_is_compressed(root: str, path: str, squeezed: bool) -> None:
    async def answer(request: Asked) -> PlainTextResponse:
        return PlainTextResponse("x" * 10_000)

    app = Starlette(routes=[Route("/{path:path}", answer)], middleware=[Middleware(delivery.Squeezed)])
    client = TestClient(app, root_path=root)
    assert (client.get(path).headers.get("content-encoding") == "gzip") == squeezed


PAGE, HOST = "http://loupe.example:81", {"Host": "127.0.0.1:7860"}
TLS = {"Host": "arrag:7860", "Origin": "https://loupe.example", "Sec-Fetch-Site": "same-origin"}


@pytest.mark.parametrize(
    ("path", "headers", "place"),
    [
        ("/", HOST, "."),
        ("/", {**HOST, "X-Forwarded-Host": "loupe.example"}, None),
        ("/gradio_api/queue/join", {**HOST, "Origin": PAGE}, PAGE),
        ("/gradio_api/queue/join", TLS, "https://loupe.example"),
        ("/gradio_api/queue/join", {**HOST, "Origin": PAGE, "X-Forwarded-Host": "loupe.example"}, None),
        ("/gradio_api/queue/join", {"Host": "loupe.example", "Origin": "http://other.example"}, None),
        ("/gradio_api/queue/join", {**HOST, "Origin": "http://other.example", "Sec-Fetch-Site": "cross-site"}, None),
        ("/gradio_api/queue/join", {**HOST, "Origin": "null"}, None),
        ("/gradio_api/queue/join", {**HOST, "Origin": "http://a/b"}, None),
        ("/gradio_api/queue/join", HOST, None),
    ],
)  # fmt: skip
def test_the_page_is_where_its_browser_says(path: str, headers: dict[str, str], place: str | None) -> None:
    async def told(request: Asked) -> PlainTextResponse:
        return PlainTextResponse(request.headers.get("x-gradio-server", "nothing"))

    app = Starlette(routes=[Route("/{path:path}", told, methods=["POST"])], middleware=[Middleware(delivery.Addressed)])
    assert TestClient(app).post(path, headers=headers).text == (place or "nothing")


def test_streams_are_to_be_handed_on_as_they_come() -> None:
    async def stream(request: Asked) -> StreamingResponse:
        async def said() -> AsyncIterator[str]:
            yield "data: 1\n\n"

        kind = "text/event-stream" if request.url.path == "/stream" else "text/plain"
        return StreamingResponse(said(), media_type=kind, headers={"Cache-Control": "max-age=5"})

    app = Starlette(routes=[Route("/{path:path}", stream)], middleware=[Middleware(delivery.Flowing)])
    flowing, other = (TestClient(app).get(path).headers for path in ("/stream", "/other"))
    assert (flowing["X-Accel-Buffering"], flowing["Cache-Control"]) == ("no", "no-cache, no-transform")
    assert ("X-Accel-Buffering" in other, other["Cache-Control"]) == (False, "max-age=5")
