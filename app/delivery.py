"""How the page reaches a browser: its scripts and style sheets as files, at addresses that change when they do, and
what proxies between them have to be told."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.stage.recording import FILE as STAGE_FILE
from app.tabs import found

APP = Path(__file__).parent
PREFIX = "gradio_api/loupe"
"""Below what Gradio's Node server, where there is one, hands on to this one."""

SHARED = ("client", "connection", "stepper", "head", "rail", "share", "stage")
SHEETS = (
    "stage/stage.css", "stepper/stepper.css", "page.css", "connection/connection.css", "head/head.css", "rail/rail.css",
    "share/share.css",
)  # fmt: skip
"""That of the stepper sets the variables that the others use."""

STAGE, EXAMPLE = "stage/stage.js", "stage/example.json"
STYLE = "page.css"
CONNECTION = "connection/connection.js"
"""Runs before Gradio asks for the first event."""

EMBEDDED = "share/embedded.js"
"""Runs before anything else is here, so that what an embedded page hides is never seen."""

FIRST = ("connection/", "stage/")
TYPES = {".js": "text/javascript", ".css": "text/css", ".json": "application/json", ".webp": "image/webp"}
"""Said here, because what the machine takes the endings for may be wrong."""

FLOWING = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}
"""For caches and what compresses on the way, and for nginx, which would gather messages."""

HERE = re.compile(r"(localhost|127\.[\d.]+|\[::1\])(:\d+)?")
ORIGIN = re.compile(r"https?://[\w.-]+(:\d+)?|https?://\[[\da-f:]+\](:\d+)?", re.ASCII)

FOREVER = "public, max-age=31536000, immutable"
VEIL = (
    "<style>.gradio-container { visibility: hidden; animation: loupe-late 0s 4s forwards } "
    "@keyframes loupe-late { to { visibility: visible } }</style>"
)
"""Hides the page until its style sheet, which ends that, is here, or for four seconds."""

LOADER = """// events: %(events)s
const early = [[props.value, false]];  // until the module is here, and takes them
let receive = (...value) => early.push(value);
watch("value", () => receive(props.value, true));
import(new URL(%(address)s, document.baseURI)).then(({ mount }) => {
  receive = mount({ element, trigger, server }) ?? (() => {});
  early.forEach((value) => receive(...value));
}, () => { element.textContent = "This part of the page could not be loaded. Reload the page."; });
"""


@lru_cache(maxsize=1)
def published() -> Mapping[str, bytes]:
    """All files by their place: every script where it lies in app/, and all style sheets as one."""
    tabs = found()
    scripts = [*APP.glob("*.js"), *(file for room in SHARED for file in (APP / room).glob("*.js"))]
    scripts += [file for tab in tabs for file in tab.scripts]
    sheets = [*(APP / name for name in SHEETS), *(file for tab in tabs for file in tab.styles)]
    files = {file.relative_to(APP).as_posix(): file.read_bytes() for file in scripts}
    files |= {f"tabs/{tab.name}/{name}": file.read_bytes() for tab in tabs for name, file in tab.files.items()}
    return {**files, EXAMPLE: STAGE_FILE.read_bytes(), STYLE: b"\n".join(sheet.read_bytes() for sheet in sheets)}


@lru_cache(maxsize=1)
def version() -> str:
    """What the files are known by: another one for other content."""
    digest = hashlib.sha256()
    for name, content in sorted(published().items()):
        digest.update(f"{name} {len(content)} ".encode() + content)
    return digest.hexdigest()[:16]


def address(name: str) -> str:
    """Where a file is, seen from the page: a relative address, so that no proxy need be known."""
    return f"{PREFIX}/{version()}/{name}"


def loader(script: Path, events: Sequence[str] = ()) -> str:
    """What Gradio runs for a component: a constant that imports its module and hands it every value, in order.

    script: the module's file, whose `mount({element, trigger, server})` makes the component and returns what takes its
    values (if it takes any): each with whether it is new, or what the component was made with. events: names that the
    module may trigger; Gradio finds them here.
    """
    place = address(script.relative_to(APP).as_posix())
    return LOADER % {"events": ", ".join(map(json.dumps, events)), "address": json.dumps(place)}


def links(stage: bool = True) -> str:
    """What the head of the page must hold: the style sheet, and all scripts, so that none waits for another.

    stage: whether the first screen is the finished example.
    """
    style = f'<link rel="stylesheet" href="{address(STYLE)}">'
    connection = f'<script type="module" async src="{address(CONNECTION)}"></script>'
    first = f'<script type="module" async src="{address(STAGE)}"></script>'  # before the page itself is awake
    embedded = f'<script type="module" src="{address(EMBEDDED)}"></script>'
    needed = (name for name in published() if name.endswith(".js") and (stage or not name.startswith("stage/")))
    scripts = sorted(needed, key=lambda name: not name.startswith(FIRST))
    preloads = [f'<link rel="modulepreload" href="{address(name)}">' for name in scripts]
    return "".join([VEIL, connection, first if stage else "", style, embedded, *preloads])


def route() -> Route:
    """The route that serves the files."""
    return Route(f"/{PREFIX}/{{version}}/{{name:path}}", serve)


async def serve(request: Request) -> Response:
    """One file, which a browser may keep; those of another version are not here."""
    name = request.path_params["name"]
    content = published().get(name) if request.path_params["version"] == version() else None
    if content is None:
        return PlainTextResponse("no such file", status_code=404)
    headers = {"Cache-Control": FOREVER, "X-Content-Type-Options": "nosniff"}
    return Response(content, headers=headers, media_type=TYPES[Path(name).suffix])


class Addressed:
    """Tells Gradio where a browser has the page when the proxy between them does not.

    The page itself is told that it is where it is. With what it sends then, a browser says where it comes from, and
    whether that is the same place; where it does not say this, it is believed by a server that is asked as this machine
    is, which proxies beside it do.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and (place := place_of(scope)):
            scope = {**scope, "headers": [*scope["headers"], (b"x-gradio-server", place.encode())]}
        await self.app(scope, receive, send)


def place_of(scope: Scope) -> str:
    """Where the page is, seen from the browser that sends a request; "" where that is left to Gradio."""
    headers = Headers(scope=scope)
    if "X-Forwarded-Host" in headers:
        return ""
    if is_page(scope):
        return "."
    origin, site = headers.get("Origin", ""), headers.get("Sec-Fetch-Site")
    own = site == "same-origin" or (site is None and HERE.fullmatch(headers.get("Host", "")))
    return origin if own and ORIGIN.fullmatch(origin) else ""


def is_page(scope: Scope) -> bool:
    """Whether a request is for the page itself."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    return path.rstrip("/") == root.rstrip("/")


class Flowing:
    """Asks whatever stands between server and browser to hand on each message of an event stream as it comes."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""

        async def send_on(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if headers.get("Content-Type", "").startswith("text/event-stream"):
                    headers.update(FLOWING)
            await send(message)

        await self.app(scope, receive, send_on)


class Squeezed:
    """Compresses the page itself, which Gradio does not: it goes by the endings of addresses, and "/" has none."""

    def __init__(self, app: ASGIApp) -> None:
        self.app, self.squeezed = app, GZipMiddleware(app, compresslevel=6)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        squeezed = scope["type"] == "http" and is_page(scope)
        await (self.squeezed if squeezed else self.app)(scope, receive, send)


MIDDLEWARE = (Squeezed, Flowing, Addressed)
"""What every request and every answer goes through, the first one outermost."""
