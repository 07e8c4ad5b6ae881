"""What is sent: events, endpoints, files, routes; each as the requests that it takes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from hypothesis import strategies as st

from tests.abuse import files
from tests.abuse.payloads import KINDS, NUMBERS, TEXTS, any_of, inputs, places, values
from tests.abuse.target import Event, Target
from tests.abuse.wire import JSON, encoded

API = "/gradio_api"
SEVERAL = ("bring",)
"""Events that take several files at once."""

ATTACKERS = ("attacker1", "attacker2", "attacker3")


@dataclass(frozen=True, slots=True)
class Attack:
    """One request, and what is listened to afterwards.

    kind: for tables; follow: the session whose stream brings the answer of an event, "" for none.
    """

    kind: str
    method: str
    path: str
    body: bytes | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    follow: str = ""

    def __str__(self) -> str:
        """What is needed to do it again."""
        body = f" {self.body[:600]!r}" if self.body else ""
        return f"{self.method} {self.path[:300]}{body}"


def sessions() -> st.SearchStrategy[Any]:
    """Whose a call is said to be: an attacker's most of the time."""
    return st.one_of(any_of(ATTACKERS), any_of(ATTACKERS), any_of([*TEXTS[:12], None, 7]))


@st.composite
def calls(draw: st.DrawFn, target: Target, event: Event, uploaded: tuple[str, ...]) -> Attack:
    """An event or an endpoint of the page, over the queue or past it."""
    data = draw(inputs(target, event, uploaded))
    session = draw(any_of(ATTACKERS)) if draw(st.integers(0, 9)) else draw(sessions())
    number: Any = event.number if draw(st.integers(0, 29)) else draw(any_of([*NUMBERS[:8], None, "0", 99999]))
    body: dict[str, Any] = {"data": data, "session_hash": session, "fn_index": number}
    if draw(st.booleans()):
        body["event_data"] = draw(st.one_of(sent(target), values(target)))
    if not draw(st.integers(0, 9)):
        strange = any_of(["trigger_id", "batched", "simple_format", "event_id", "oauth_token", "request"])
        body[draw(strange)] = draw(values(target))
    way = draw(any_of(["queue/join"] * 4 + ["run/predict", f"run/{event.name}", f"call/{event.name}", "api/x"]))
    follow = session if isinstance(session, str) and way in ("queue/join", f"call/{event.name}") else ""
    return Attack(event.name, "POST", f"{API}/{way}", encoded(body), JSON, follow)


def sent(target: Target) -> st.SearchStrategy[dict[str, Any]]:
    """What scripts of components send, with runs of others and positions that are none."""
    return st.fixed_dictionaries(
        {},
        optional={
            "run": st.one_of(any_of([*target.runs, "sweep", "fan", ""]), values(target)),
            "step": st.one_of(st.integers(-2, 300), values(target)),
            "name": values(target),
            "code": values(target),
            "weights": values(target),
            "words": values(target),
            "image": values(target),
            "settings": values(target),
        },
    )


@st.composite
def component_calls(draw: st.DrawFn, target: Target, component: int, name: str) -> Attack:
    """A function that the script of a component calls, or that there is not."""
    body: Any = {
        "data": draw(st.one_of(sent(target), values(target))),
        "component_id": component if draw(st.integers(0, 9)) else draw(values(target)),
        "fn_name": name if draw(st.integers(0, 9)) else draw(values(target)),
        "session_hash": draw(any_of(ATTACKERS)) if draw(st.integers(0, 9)) else draw(values(target)),
    }
    return Attack(f"component: {name or '-'}", "POST", f"{API}/component_server", encoded(body), JSON)


BOUNDARY = "abuseabuseabuse"


def multipart(name: str, content: bytes, part: str = "files") -> bytes:
    """A form with one file."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{part}"; filename="{name}"\r\n\r\n'
    return head.encode("utf-8", "surrogatepass") + content + f"\r\n--{BOUNDARY}--\r\n".encode()


@st.composite
def uploads(draw: st.DrawFn) -> Attack:
    """A file, with a name and a content of any kind, whole or cut off."""
    body = multipart(draw(any_of(files.NAMES)), draw(files.contents()), draw(any_of(["files", "x"])))
    cut = body if draw(st.integers(0, 9)) else body[: draw(st.integers(0, len(body)))]
    form = f"multipart/form-data; boundary={BOUNDARY}"
    kind = draw(any_of([*[form] * 8, "multipart/form-data", "application/json", "text/plain"]))
    where = draw(any_of(["", "", "?upload_id=x", "?upload_id=" + "y" * 5000]))
    route = "upload" if draw(st.integers(0, 9)) else "component_server"
    return Attack(route, "POST", f"{API}/{route}{where}", cut, {"Content-Type": kind})


SERVING = (
    f"{API}/file=", f"{API}/file/", f"{API}/proxy=", "/static/", "/assets/", "/svelte/", "/file=", f"{API}/loupe/x/",
    f"{API}/custom_component/x/client/component/", f"{API}/stream/",
)  # fmt: skip
HEADERS: tuple[Mapping[str, str], ...] = (
    {}, {}, {"Range": "bytes=0-"}, {"Range": "bytes=-5-9,x"}, {"Host": "169.254.169.254"}, {"Cookie": "access-token=1"},
    {"X-Forwarded-Host": "evil.example"},
)  # fmt: skip


@st.composite
def reads(draw: st.DrawFn, target: Target) -> Attack:
    """A file that is not there to be read, by a route that serves files; the path is written in some way."""
    where = draw(any_of(places(target)))
    once = quote(where, safe="")
    ways = [where, once, quote(once, safe=""), f"/{where}", where.replace("/", "//"), where.replace("..", "%2e%2e")]
    written, route = draw(any_of([*ways, f"{where}\x00.png"])), draw(any_of(SERVING))
    method = draw(any_of(["GET", "GET", "HEAD", "POST"]))
    return Attack(f"read {route}", method, route + written, None, draw(any_of(HEADERS)))


METHODS = ("__init__", "preprocess", "render", "get_config", "_is_server_fn", "")
"""Members of components that are no functions for their scripts."""

REPEATED = ("draw_", "begin_", "partial_")
"""Begins of the names of events of which there are many that do the same."""

QUERIES = (
    "?session_hash=attacker1", "?deep_link=../x", "?page=x", "?upload_id=x", "?__theme=x", "?all_endpoints=1",
    "?deep_link=" + "a" * 4000,
)  # fmt: skip
ROUTES = (
    "config", "gradio_api/info", "gradio_api/openapi.json", "gradio_api/app_id", "gradio_api/token", "gradio_api/user",
    "gradio_api/login_check", "gradio_api/dev/reload", "gradio_api/deep_link", "gradio_api/queue/status", "monitoring",
    "monitoring/summary", "monitoring/x", "gradio_api/vibe-code", "gradio_api/vibe-edit", "gradio_api/undo-vibe-edit",
    "gradio_api/vibe-starter-queries", "gradio_api/process_recording", "gradio_api/startup-events", "pwa_icon/-1",
    "pwa_icon/99999", "manifest.json", "robots.txt", "theme.css", "gradio_api/upload_progress", "gradio_api/cancel",
    "gradio_api/reset", "gradio_api/run-history/records", "gradio_api/runs", "gradio_api/profiling/traces", "login",
    "logout", "docs", "redoc", "openapi.json", "health", "metrics", "gradio_api/mcp", "gradio_api/mcp/sse",
    "gradio_api/mcp/schema", "gradio_api/stream/x", "gradio_api/stream/x/close", "gradio_api/queue/data",
    "gradio_api/stream/x/y/1/playlist.m3u8", "gradio_api/call/v2/generate", "gradio_api/call/v2/nothing",
    "gradio_api/call/generate/x", "gradio_api/call/nothing", "gradio_api/file=", "gradio_api/component_server", "",
)  # fmt: skip


@st.composite
def routes(draw: st.DrawFn, target: Target, route: str) -> Attack:
    """Something else that Gradio serves, in ways in which it is not meant to be called."""
    method = draw(any_of(["GET", "POST", "GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"]))
    query = draw(any_of(["", *QUERIES, f"?url={quote(target.bait)}"]))
    names = ("session_hash", "fn_index", "event_id", "data", "hash", "prompt")
    strange = st.fixed_dictionaries({}, optional={name: values(target) for name in names})
    content = draw(st.one_of(st.none(), strange.map(encoded), values(target).map(encoded), st.binary(max_size=60)))
    headers = draw(any_of([JSON, {"Content-Type": "text/plain"}, {**JSON, "Content-Encoding": "gzip"}, {}]))
    return Attack(f"route {route}", method, f"/{route}{query}", content, headers)


def campaign(target: Target, uploaded: tuple[str, ...]) -> list[st.SearchStrategy[Attack]]:
    """All ways to attack; taken in turn, every event, function and route has its share."""
    found: list[st.SearchStrategy[Attack]] = []
    for event in target.map.events:
        found += [calls(target, event, uploaded)] * (1 if event.name.startswith(REPEATED) else 2)
    served = [component_calls(target, *each) for each in target.map.served]
    wrong = [component_calls(target, target.map.components[0], name) for name in METHODS]
    found += [*served, *served, *wrong, *(routes(target, route) for route in ROUTES)]
    return [*found, *[uploads()] * 30, *[reads(target)] * 40]


def opened(path: str, event: Event, session: str) -> Attack:
    """An event whose first input is a file, and whose others are as nobody means harm by them."""
    given = {"path": path, "orig_name": "x", "meta": {"_type": "gradio.FileData"}}
    rest = [KINDS.get(kind, (None,))[0] for kind in event.kinds[1:]]
    several = event.name in SEVERAL
    body = {"data": [[given] if several else given, *rest], "session_hash": session, "fn_index": event.number}
    return Attack(f"open: {event.name}", "POST", f"{API}/queue/join", json.dumps(body).encode(), JSON, session)
