"""Calls to a database server over HTTP: connections that are kept, limits of time, and another try where it helps.

Standard library alone: it follows no redirects, and asks no proxy, whatever the environment says.
"""

from __future__ import annotations

import json
import os
import ssl
import threading
import time
import weakref
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any, Final
from urllib.parse import urlsplit

from ... import __version__
from ...types import DatabaseError
from .links import TOKEN
from .wire import Refused

CONNECT_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 60.0
PAUSES: Final = (0.0, 0.1, 0.4, 1.5)
"""Seconds before each try: all calls are reads, which may be made twice."""

MOST_BYTES: Final = 256 << 20
"""Of an answer."""

IDLE_KEPT: Final = 8
DATABASE_HEADER: Final = "X-Arrag-Database"
START: Final = "`database serve`"


class HttpLink:
    """Calls to one server. Safe to share between threads, and in a process that was forked."""

    def __init__(
        self, address: str, token: str = "", seconds: float = ANSWER_SECONDS, pauses: tuple[float, ...] = PAUSES
    ) -> None:
        self.where = address.rstrip("/")
        self._parts, self._seconds, self._pauses = urlsplit(self.where), seconds, pauses
        self._headers = {"Content-Type": "application/octet-stream", "User-Agent": f"arrag/{__version__}"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        self._tls = ssl.create_default_context() if self._parts.scheme == "https" else None
        self._idle: list[HTTPConnection] = []
        self._process, self._lock = os.getpid(), threading.Lock()
        weakref.finalize(self, _close, self._idle)

    def ask(self, call: str, body: bytes, of: str = "") -> bytes:
        """The answer to a call; Refused for a mistake of the caller, DatabaseError in one line for all that fails."""
        failed: Refused | OSError | HTTPException | None = None
        for pause in self._pauses:
            time.sleep(pause)
            try:
                return self._answer(call, body, of)
            except TimeoutError as error:
                raise DatabaseError(f"{self.where}: got no answer in time ({_words(error)}); {_ADVICE}") from None
            except ssl.SSLError as error:
                raise DatabaseError(f"{self.where}: got no safe connection ({_words(error)}); check it") from None
            except Refused as refused:
                if refused.status != 503:
                    raise
                failed = refused
            except (OSError, HTTPException) as error:
                failed = error
        if isinstance(failed, Refused):
            raise DatabaseError(f"{self.where}: {failed.reason}")
        raise DatabaseError(f"{self.where}: got no answer ({_words(failed)}), expected a database server; {_ADVICE}")

    def _answer(self, call: str, body: bytes, of: str) -> bytes:
        """One try, on a connection that is open or on a new one."""
        while True:
            connection, used = self._connection()
            try:
                connection.request(
                    "POST", f"{self._parts.path}/v1/{call}", body, {**self._headers, DATABASE_HEADER: of}
                )
                response = connection.getresponse()
                data = response.read(MOST_BYTES + 1)
                if response.length and len(data) <= MOST_BYTES:
                    raise HTTPException("the answer was cut off")
            except (OSError, HTTPException) as error:
                connection.close()
                if used and not isinstance(error, TimeoutError):
                    continue  # the server has closed what was kept, as it may: the next one may be older still
                raise
            self._keep(connection, response, data)
            return self._checked(response, data)

    def _connection(self) -> tuple[HTTPConnection, bool]:
        """A connection of this process, and whether it was used before."""
        with self._lock:
            if self._process != os.getpid():
                self._process = os.getpid()
                _close(self._idle)  # here alone: the other process keeps its own
            if self._idle:
                return self._idle.pop(), True
        host, port = self._parts.hostname or "", self._parts.port
        made: HTTPConnection = (
            HTTPConnection(host, port, timeout=CONNECT_SECONDS)
            if self._tls is None
            else HTTPSConnection(host, port, timeout=CONNECT_SECONDS, context=self._tls)
        )
        made.connect()
        if made.sock is not None:
            made.sock.settimeout(self._seconds)
        return made, False

    def _keep(self, connection: HTTPConnection, response: HTTPResponse, data: bytes) -> None:
        """Use a connection again, unless the server closes it or its answer was not read to the end."""
        if not response.will_close and len(data) <= MOST_BYTES:
            with self._lock:
                if len(self._idle) < IDLE_KEPT:
                    self._idle.append(connection)
                    return
        connection.close()

    def _checked(self, response: HTTPResponse, data: bytes) -> bytes:
        """A good answer; Refused or DatabaseError for another one."""
        if len(data) > MOST_BYTES:
            raise DatabaseError(f"{self.where}: got more than {MOST_BYTES >> 20} MB, expected less; ask for fewer")
        if response.status == 200 and response.getheader("Content-Type") == "application/octet-stream":
            return data
        if 300 <= response.status < 400:
            raise DatabaseError(f"{self.where}: got a redirect ({response.status}), which is not followed; {_ADVICE}")
        said = _said(data)
        if response.status == 401 and said is not None:
            raise DatabaseError(f"{self.where}: {said['error']}; set {TOKEN} to the one that it was started with")
        if said is None:
            got = f"got status {response.status} of another kind of server"
            raise DatabaseError(f"{self.where}: {got}, expected {START}; {_ADVICE}")
        raise Refused(response.status, str(said["error"]), str(said.get("kind", "")))


_ADVICE: Final = f"check the address, and that {START} runs there"


def _said(data: bytes) -> dict[str, Any] | None:
    """What an error of a database server says; None for one of something else."""
    try:
        said = json.loads(data[:65536])
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) and isinstance(said.get("error"), str) else None


def _close(connections: list[HTTPConnection]) -> None:
    """Close all, and keep none."""
    while connections:
        connections.pop().close()


def _words(error: BaseException | None) -> str:
    """What went wrong, in short."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    said = " ".join(str(error).split())
    return said[:100] if said.isprintable() and said else type(error).__name__
