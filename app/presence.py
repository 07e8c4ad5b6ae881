"""Which tabs are there, as far as the web server sees it, and the way from a request to its visit."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Final, cast
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from app.visitors import Visitors

PLACE: Final = "gradio_api/loupe/here"
"""Where a page says that it is there, with {tab, token, again}; see `here`."""

STREAM: Final = re.compile("/queue/data/?$")
"""What a tab holds open while it waits for events."""

KEY: Final = "loupe.visitors"
LONGEST: Final = 200
MOST_BYTES: Final = 2000
END_SECONDS: Final = 5.0


class Streams:
    """The streams that are open, by tab."""

    def __init__(self) -> None:
        self._open: dict[str, set[asyncio.Task[None]]] = {}
        self._ended: set[asyncio.Task[None]] = set()

    async def carry(self, tab: str, work: Coroutine[Any, Any, None]) -> bool:
        """Serve a stream of a tab to its end; whether it was let, and not ended from here."""
        task = asyncio.ensure_future(work)
        self._open.setdefault(tab, set()).add(task)
        try:
            await task
        except asyncio.CancelledError:
            if task not in self._ended:
                raise
            return False
        finally:
            self._ended.discard(task)
            self._open[tab].discard(task)
            if not self._open[tab]:
                del self._open[tab]
        return True

    async def end(self, tab: str) -> None:
        """End all that a tab has open: it has lost them, though this side may not know that for minutes."""
        tasks = set(self._open.get(tab, ()))
        self._ended |= tasks
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=END_SECONDS)


class Presence:
    """Tells visitors which tabs hold a stream open, and lets those who handle a request find its visit."""

    def __init__(self, app: ASGIApp, visitors: Visitors, streams: Streams) -> None:
        self.app, self.visitors, self.streams = app, visitors, streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        scope[KEY] = self.visitors
        tab = _streaming(scope)
        if not tab:
            await self.app(scope, receive, send)
            return
        with self.visitors.present(tab):
            if not await self.streams.carry(tab, self._serve(scope, receive, send)):
                with suppress(Exception):  # nobody may be listening
                    await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


def _streaming(scope: Scope) -> str:
    """The tab that a request opens a stream for, "" for other requests."""
    if scope["type"] != "http" or not STREAM.search(scope["path"]):
        return ""
    query: str = scope["query_string"].decode("latin-1")
    return parse_qs(query).get("session_hash", [""])[0]


def visitors_of(request: Request | None) -> Visitors | None:
    """The visits of the server that a request came to; None where nobody keeps any, as in a call without a server."""
    return cast("Visitors | None", request.scope.get(KEY)) if request else None


def here(visitors: Visitors, streams: Streams) -> Route:
    """Where pages say that they are there: the answer has the token to keep, and by what to know this server again.

    again: the tab has lost its streams, which end.
    """
    server = secrets.token_hex(4)

    async def answer(request: Request) -> Response:
        said = await _said(request)
        tab, token = said.get("tab"), said.get("token")
        if not (isinstance(tab, str) and isinstance(token, str) and 0 < len(tab) <= LONGEST >= len(token)):
            return PlainTextResponse("here: expected a tab and a token; reload the page", status_code=400)
        if said.get("again") is True:
            await streams.end(tab)
        found = {"token": visitors.arrive(tab, token), "server": server}
        return JSONResponse(found, headers={"Cache-Control": "no-store"})

    return Route(f"/{PLACE}", answer, methods=["POST"])


async def _said(request: Request) -> dict[str, Any]:
    """What a request says, as far as it is short; whatever it is, it becomes an object."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            return {}
    try:
        said = json.loads(body)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
