"""A database over HTTP: which calls come in, how many at once, and what is answered to those that do not."""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import numpy as np
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ... import __version__
from ..protocol import Database
from .http_client import DATABASE_HEADER
from .served import FORMAT, Limits, Served
from .wire import Refused

logger = logging.getLogger("arrag.database")
BODY_SECONDS: Final = 20.0
"""In which a body has come."""

Handler = Callable[[Request], Awaitable[Response]]


class Desk:
    """Works on calls in threads, so many at a time; others wait, and are refused where too many do."""

    def __init__(self, served: Served) -> None:
        self._served, self._limits = served, served.limits
        self._threads = ThreadPoolExecutor(self._limits.at_once, "database")
        self._slots = asyncio.Semaphore(self._limits.at_once)
        self.waiting = self.working = 0

    async def answer(self, call: str, body: bytes, of: str) -> bytes:
        """The answer to a call; Refused when there is none, or none in time."""
        if self.waiting >= self._limits.waiting:
            raise Refused(503, f"busy: {self.waiting} calls wait already; ask again later")
        self.waiting += 1
        try:
            await asyncio.wait_for(self._slots.acquire(), self._limits.seconds)
        except (TimeoutError, asyncio.TimeoutError):
            raise Refused(503, f"busy: no turn in {self._limits.seconds:g} s; ask again later") from None
        finally:
            self.waiting -= 1
        self.working += 1
        until = time.monotonic() + self._limits.seconds
        work = asyncio.get_running_loop().run_in_executor(self._threads, self._served.answer, call, body, of, until)
        work.add_done_callback(self._free)  # also when nobody waits any more: the thread is taken until then
        done, _ = await asyncio.wait({work}, timeout=self._limits.seconds + 1)
        if not done:
            raise Refused(504, f"{call}: got no answer in {self._limits.seconds:g} s; ask for fewer at once")
        return work.result()

    def _free(self, work: asyncio.Future[bytes]) -> None:
        self.working -= 1
        self._slots.release()
        if not work.cancelled():
            work.exception()  # is told to who waits; of one that nobody waits for, nothing is to be said

    def close(self) -> None:
        """Begin nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True, slots=True)
class Office:
    """What the handlers share. token: that of who may ask, "" for everybody; began: on time.monotonic."""

    served: Served
    desk: Desk
    token: str
    began: float

    async def call(self, request: Request) -> Response:
        """POST /v1/CALL: arrays in, arrays out."""
        self._admit(request)
        body = await asyncio.wait_for(whole(request, self.served.limits.bytes), BODY_SECONDS)
        of = request.headers.get(DATABASE_HEADER, "")
        data = await self.desk.answer(str(request.path_params["call"]), body, of)
        return Response(data, media_type="application/octet-stream", headers={"Cache-Control": "no-store"})

    async def health(self, request: Request) -> Response:
        """GET /health: how busy it is; without a token, and without a word of what it holds."""
        told = {
            "status": "ok", "version": __version__, "working": self.desk.working, "waiting": self.desk.waiting,
            "seconds": round(time.monotonic() - self.began, 1),
        }  # fmt: skip
        return JSONResponse(told, headers={"Cache-Control": "no-store"})

    async def manifest(self, request: Request) -> Response:
        """GET /manifest: which database it is, for people and for monitoring."""
        self._admit(request)
        view = self.served.database
        return JSONResponse(
            {
                "format": FORMAT, "version": __version__, "codebook": view.codebook.fingerprint,
                "fingerprint": view.fingerprint, "images": len(view.images), "entries": len(view),
                "grid": [view.grid.height, view.grid.width], "styles": list(view.styles), "notice": view.notice,
            },
            headers={"Cache-Control": "no-store"},
        )  # fmt: skip

    def _admit(self, request: Request) -> None:
        """Refused without the token."""
        given = request.headers.get("Authorization", "").encode("latin-1", "replace")
        if self.token and not hmac.compare_digest(given, f"Bearer {self.token}".encode()):
            raise Refused(401, "token: got none, or another one, expected that of this server")


async def whole(request: Request, most: int) -> bytes:
    """A body as far as bodies may be long; Refused for a longer one."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > most:
        raise Refused(413, f"content: got {int(announced):,} bytes, expected at most {most:,}")
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise Refused(413, f"content: got more than {most:,} bytes, expected at most that")
        parts.append(part)
    return b"".join(parts)


def guarded(handler: Handler) -> Handler:
    """A handler whose failures are one line with the right status; those that nobody foresaw are in the log."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except Refused as refused:
            return refusal(refused.status, refused.reason, refused.kind)
        except (TimeoutError, asyncio.TimeoutError):
            return refusal(408, f"content: got no whole call in {BODY_SECONDS:g} s")
        except ClientDisconnect:
            return refusal(400, "content: the call was cut off")
        except Exception:
            logger.exception("a call came to nothing: %s", request.url.path)
            return refusal(500, "the server made a mistake, which its log tells; nothing was changed")

    return answer


def refusal(status: int, reason: str, kind: str = "") -> Response:
    """An error as JSON."""
    headers = {"Cache-Control": "no-store"}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if status == 503:
        headers["Retry-After"] = "1"
    return JSONResponse({"error": reason, "kind": kind}, status, headers)


async def not_here(request: Request, error: Exception) -> Response:
    """What there is not, or not by this method."""
    status = error.status_code if isinstance(error, HTTPException) else 404
    return refusal(status, "there is nothing here; expected POST /v1/CALL, GET /health or GET /manifest")


def application(database: Database, token: str = "", limits: Limits | None = None) -> Starlette:
    """The server of a database, as an ASGI application."""
    served = Served(database, limits)
    office = Office(served, Desk(served), token, time.monotonic())

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        office.desk.close()

    routes = [
        Route("/v1/{call}", guarded(office.call), methods=["POST"]),
        Route("/health", guarded(office.health), methods=["GET"]),
        Route("/manifest", guarded(office.manifest), methods=["GET"]),
    ]
    return Starlette(routes=routes, exception_handlers={HTTPException: not_here}, lifespan=lifespan)


def warm(database: Database) -> None:
    """Search once, so that indexes are made before anybody waits for them."""
    database.search(np.zeros((1, database.context.size), np.int64), 1)
