"""Which requests reach Gradio: those that the page and its clients make; others are refused where they come in.

Gradio serves more than this page needs (recordings, other people's addresses, links to states, an editor), and answers
calls of the wrong form with status 500. Here they get an answer of their own, in one line, and nothing is begun.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NoReturn
from urllib.parse import parse_qsl

from gradio.data_classes import FileData
from pydantic import ValidationError
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.uploads import Uploads

MOST_BYTES = 2**20
"""Of a call: files are uploaded, and what is left is text and numbers."""

LONGEST_NAME = 128
"""Of a session or an event."""

CLOSED = re.compile(
    r"/gradio_api/(process_recording|vibe-|undo-vibe|deep_link|proxy=|custom_component/|stream/|run-history/|runs/?$|dev/"
    r"|profiling/|file=https?:|file/https?:)|/(monitoring|pwa_icon)(/|$)"
)
"""What Gradio serves and nothing of this page asks for."""

CALL = re.compile(r"/gradio_api/(queue/join|(?:run|api|call)/(?:v2/)?([^/]+)/?|component_server/?|cancel|reset/?)$")
NUMBERED, PAST_THE_QUEUE, BY_NAME = ("queue/join", "run/", "api/"), ("run/", "api/"), "call/v2/"

KINDS: Mapping[str, tuple[type, ...]] = {
    "session_hash": (str,), "event_id": (str,), "oauth_token": (str,), "fn_index": (int,), "trigger_id": (int,),
    "simple_format": (bool,), "batched": (bool,),
}  # fmt: skip
"""What the fields of a call are, where they are there; FastAPI cannot answer all that are wrong."""


class Refused(Exception):
    """A request that goes no further, with the status and the line that are answered."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


class Doors:
    """Looks at a request before Gradio does. uploads: the only files that a call may name.

    Gradio downloads a file for whatever input names an address on the web, whoever asks, and keeps it.
    """

    def __init__(self, app: ASGIApp, uploads: Uploads) -> None:
        self.app, self.uploads = app, uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on, or refuse it."""
        path = path_of(scope) if scope["type"] == "http" else ""
        call = CALL.search(path) if scope.get("method") == "POST" else None
        try:
            if CLOSED.match(path) or names_a_page(scope, path):
                raise Refused(404, "there is nothing here")
            if call:
                receive = again(await checked(scope, receive, call[1], call[2] or "", self.uploads), receive)
        except Refused as refused:
            said = {"detail": refused.reason, "error": refused.reason}
            return await JSONResponse(said, refused.status)(scope, receive, send)
        past = call is not None and call[1].startswith(PAST_THE_QUEUE)
        await self.app(scope, receive, told(send) if past else send)


def names_a_page(scope: Scope, path: str) -> bool:
    """Whether the page is asked for by the name of another one: there is one alone, and it has none."""
    return path in ("", "/") and bool(dict(parse_qsl(scope.get("query_string", b"").decode("latin-1"))).get("page"))


def path_of(scope: Scope) -> str:
    """The path of a request below where the page is served."""
    path, root = str(scope["path"]), str(scope.get("root_path", "")).rstrip("/")
    return path.removeprefix(root) if root else path


def again(body: bytes, receive: Receive) -> Receive:
    """Receives a body that was read already, and then what else comes."""
    first: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def received() -> Message:
        return first.pop() if first else await receive()

    return received


def told(send: Send) -> Send:
    """Sends a mistake of the caller's as one; Gradio says 500 of whatever an event past the queue does not take."""
    begun: list[Message] = []

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] == 500:
            begun.append(message)
            return
        if begun:
            start = begun.pop()
            error = b'"error":null' not in message.get("body", b"").replace(b" ", b"")
            await send({**start, "status": 422} if error else start)
        await send(message)

    return sent


async def checked(scope: Scope, receive: Receive, kind: str, name: str, uploads: Uploads) -> bytes:
    """The body of a call of the right form; Refused for any other."""
    headers = dict(scope["headers"])
    if not headers.get(b"content-type", b"").startswith(b"application/json"):
        refuse(415, "content: expected application/json")
    body = await whole(receive)
    values = parsed(body, strict=kind.startswith(("cancel", "reset")))
    for field, kinds in KINDS.items():
        value = values.get(field)
        if value is not None and (not isinstance(value, kinds) or (bool not in kinds and isinstance(value, bool))):
            refuse(422, f"{field}: expected {kinds[0].__name__} or null")
        if isinstance(value, str) and not 0 < len(value) <= LONGEST_NAME:  # an empty session would break the queue
            refuse(422, f"{field}: expected 1 to {LONGEST_NAME} characters, or null")
    blocks = scope["app"].get_blocks()
    if kind.startswith("component_server"):
        check_component(values, blocks.blocks)
    elif not kind.startswith(("cancel", "reset")):
        check_event(values, blocks.fns, kind, name)
    check_files(values, None if kind.startswith(PAST_THE_QUEUE) else uploads)
    return body


async def whole(receive: Receive) -> bytes:
    """A body as far as bodies may be long; Refused for a longer one."""
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            refuse(400, "the request was cut off")
        parts.append(message.get("body", b""))
        size, more = size + len(parts[-1]), message.get("more_body", False)
        if size > MOST_BYTES:
            refuse(413, f"content: got more than {MOST_BYTES} bytes, the most of a call; upload files instead")
    return b"".join(parts)


def parsed(body: bytes, strict: bool) -> dict[str, Any]:
    """The JSON object of a body; strict: in which every number is one."""
    try:
        values = json.loads(body, parse_constant=refuse_constant if strict else None)
        json.dumps(values, ensure_ascii=False).encode()  # lone surrogates have no bytes
    except (ValueError, RecursionError):
        refuse(400, "content: expected JSON")
    if not isinstance(values, dict):
        refuse(422, "content: expected a JSON object")
    return values


def refuse_constant(name: str) -> NoReturn:
    """NaN and its like, which JSON does not have."""
    raise ValueError(name)


def check_component(values: Mapping[str, Any], components: Mapping[int, Any]) -> None:
    """Refused for a function of a component that it does not offer."""
    number, name = values.get("component_id"), values.get("fn_name")
    component = components.get(number) if isinstance(number, int) else None
    function = getattr(component, name, None) if isinstance(name, str) else None
    if not getattr(function, "_is_server_fn", False):
        refuse(404, "function: there is none of this name")
    if not isinstance(values.get("session_hash"), str) or "data" not in values:
        refuse(422, "function: expected a session and data")


def check_event(values: Mapping[str, Any], events: Mapping[int, Any], kind: str, name: str) -> None:
    """Refused for an event that there is not, or with other values than it takes."""
    number, data = values.get("fn_index"), values.get("data")
    if number is not None and number not in events:
        refuse(404, "event: there is none of this number")
    if kind == "queue/join" and number is None:
        refuse(422, "event: expected its number")
    if number is None and not any(event.api_name == name for event in events.values()):
        refuse(404, "endpoint: there is none of this name")
    if kind.startswith(BY_NAME):
        return
    if not isinstance(data, list):
        refuse(422, "data: expected a list")
    if number is not None and kind.startswith(NUMBERED) and len(data) < len(events[number].inputs):
        refuse(422, f"data: got {len(data)} values, expected {len(events[number].inputs)}")


def check_files(value: Any, uploads: Uploads | None) -> None:
    """Refused for what says that it is a file and is none of those that wait to be read; None: for every file."""
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for part in parts:
        check_files(part, uploads)
    if isinstance(value, dict) and "path" in value and "meta" in value:
        if uploads is None:
            refuse(422, "data: got a file, expected none")
        try:
            path = FileData(**value).path
        except (ValidationError, TypeError, AttributeError):
            refuse(422, "data: expected files as they were uploaded")
        if not uploads.holds(path):
            refuse(400, "file: it was not uploaded here, or has been read; choose it again")


def refuse(status: int, reason: str) -> NoReturn:
    """End a request here."""
    raise Refused(status, reason)
