"""Requests as they go over the wire, without a client that would mend them, and what is answered."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse, IncompleteRead
from time import monotonic
from typing import Any
from urllib.parse import urlparse

PATIENCE = 30
"""Seconds within which every call has to be answered."""

GLANCE = 0.3
"""Seconds for which a stream of events is looked at that nobody waits for: it has no end."""

MOST = 4_000_000
"""Bytes of an answer that are looked at."""

JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Told:
    """What was answered: status (0: the connection ended without one), text, and the seconds that it took.

    closed: whether the answer came to its end in time; output: of an event, what its handler returned.
    """

    status: int
    text: str
    seconds: float
    closed: bool = True
    output: Any = None

    @property
    def done(self) -> bool:
        """Whether an event came to a good end."""
        return self.output is not None


class Wire:
    """Sends requests to one server; every one has a connection of its own."""

    def __init__(self, url: str, patience: float = PATIENCE) -> None:
        where = urlparse(url)
        self._host, self._port, self._patience = where.hostname or "", where.port, patience

    def send(self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Told:
        """One request, and its answer as far as it comes in time."""
        begun = monotonic()
        connection = HTTPConnection(self._host, self._port or 80, timeout=self._patience)
        try:
            connection.putrequest(method, _path(path))
            for name, value in {**(headers or {}), "Content-Length": str(len(body or b""))}.items():
                connection.putheader(name, value.encode("latin-1", "replace"))
            connection.endheaders(body)
            answer = connection.getresponse()
            endless = "event-stream" in answer.headers.get("Content-Type", "")
            content, whole = _read(connection, answer, GLANCE if endless else self._patience)
            return Told(answer.status, content.decode("utf-8", "replace"), monotonic() - begun, whole or endless)
        except TimeoutError:
            return Told(0, "", monotonic() - begun, closed=False)
        except (OSError, HTTPException) as error:
            return Told(0, f"{type(error).__name__}", monotonic() - begun)
        finally:
            connection.close()

    def stream(self, path: str, until: str = "") -> Told:
        """A stream of events, up to the one that ends with what it waits for, or to its own end."""
        begun, lines = monotonic(), []
        connection = HTTPConnection(self._host, self._port or 80, timeout=self._patience)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            for line in answer:  # heartbeats come in between, so that no line is later than the patience
                lines.append(line.decode("utf-8", "replace"))
                late = monotonic() - begun > self._patience
                if late or (until and until in lines[-1] and "process_completed" in lines[-1]):
                    return Told(answer.status, "".join(lines), monotonic() - begun, closed=not late)
            return Told(answer.status, "".join(lines), monotonic() - begun)
        except TimeoutError:
            return Told(0, "".join(lines), monotonic() - begun, closed=False)
        except (OSError, HTTPException) as error:
            return Told(0, "".join(lines) + type(error).__name__, monotonic() - begun)
        finally:
            connection.close()

    def call(self, endpoint: str, data: list[Any], session: str) -> Told:
        """A public endpoint, to its end."""
        begun = self.send(
            "POST", f"/gradio_api/call/{endpoint}", encoded({"data": data, "session_hash": session}), JSON
        )
        if begun.status != 200:
            return begun
        told = self.stream(f"/gradio_api/call/{endpoint}/{json.loads(begun.text)['event_id']}")
        event, _, rest = told.text.rpartition("event: ")[2].partition("\n")
        output = json.loads(rest.removeprefix("data: ").strip() or "null") if event == "complete" else None
        return Told(told.status, told.text, told.seconds, told.closed, output)


def _read(connection: HTTPConnection, answer: HTTPResponse, seconds: float) -> tuple[bytes, bool]:
    """What comes of an answer in some seconds, and whether that was all."""
    parts, end = [], monotonic() + seconds
    while (left := end - monotonic()) > 0 and sum(map(len, parts)) < MOST:
        if connection.sock:
            connection.sock.settimeout(left)
        try:
            part = answer.read1(65536)
        except TimeoutError:
            break
        except IncompleteRead as cut:  # Gradio cuts a stream off after it has said what is wrong
            return b"".join([*parts, cut.partial]), bool(parts)
        if not part:
            return b"".join(parts), True
        parts.append(part)
    return b"".join(parts), sum(map(len, parts)) >= MOST


def encoded(value: object) -> bytes:
    """JSON as bytes; what JSON has no words for, such as NaN, goes out as Python writes it."""
    return json.dumps(value, default=str).encode("utf-8", "surrogatepass")


def _path(path: str) -> str:
    """A path that a request line can hold."""
    return "".join(
        char if "!" <= char <= "~" else "".join(f"%{byte:02x}" for byte in char.encode("utf-8", "replace"))
        for char in path
    )
