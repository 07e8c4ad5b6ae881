"""The files that the page and scripts fetch: in memory, each for a visitor, and not for longer than it is needed.

Gradio serves files of its cache folder. These have addresses in there, too, so that its clients fetch them as they
fetch any other file, but nothing lies at them: `route` answers instead.
"""

from __future__ import annotations

import hashlib
import secrets
import shutil
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from gradio.utils import get_upload_folder
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Match, Route
from starlette.types import Scope

FILES_KEPT: Final = 8
"""Of one visitor, the newest: a comparison has four traces, the looks of codes, and a picture."""

BYTES_KEPT: Final = 256 * 2**20
"""Of all visitors together; the oldest of whoever has most make room."""

SECONDS_KEPT: Final = 900.0
SECONDS_FETCHED: Final = 60.0
"""How long a file stays at most, and one that the page fetches at once, after it was fetched."""

PLACE: Final = "handed"
SHOWN: Final = {".webp": "image/webp", ".png": "image/png"}
"""What a browser may show by itself; everything else it saves."""


@dataclass(frozen=True, slots=True)
class Handed:
    """One file: whose it is, where it seems to lie, what is in it, and until when (by the clock of `Files`).

    once: whether it is fetched at once, and then not again.
    """

    owner: str
    path: str
    data: bytes
    until: float
    once: bool


class Files:
    """The files of all visitors, by addresses that nobody can guess; of "", what is nobody's own."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._files: OrderedDict[str, Handed] = OrderedDict()
        self._secret, self._clock, self._lock = secrets.token_bytes(32), clock, threading.Lock()
        self._for_agents = False

    def serve_agents(self) -> None:
        """From now on pictures lie where they seem to, too: Gradio's MCP server reads them there, for agents to see."""
        self._for_agents = True

    def put(self, owner: str, data: bytes, name: str, once: bool = False) -> str:
        """Where a file is to be fetched, as a path in Gradio's cache folder; the same one for the same content."""
        digest = hashlib.blake2b(f"{owner}\0".encode() + data, digest_size=32, key=self._secret).hexdigest()
        path = str(Path(get_upload_folder()).resolve() / PLACE / digest / Path(name).name)
        with self._lock:
            self._files[path] = Handed(owner, path, data, self._clock() + SECONDS_KEPT, once)
            self._files.move_to_end(path)
            self._make_room(owner)
            if self._for_agents and Path(path).suffix in SHOWN:
                Path(path).parent.mkdir(parents=True, exist_ok=True)
                Path(path).write_bytes(data)
        return path

    def _drop(self, path: str) -> None:
        """Drop a file, wherever it is."""
        del self._files[path]
        if self._for_agents:
            shutil.rmtree(Path(path).parent, ignore_errors=True)

    def _make_room(self, owner: str) -> None:
        """Drop what is over, more than `owner` may have, and old files until the rest fits; the newest one stays."""
        now = self._clock()
        mine = [path for path, file in self._files.items() if file.owner == owner]
        gone = [path for path, file in self._files.items() if file.until <= now]
        for path in {*gone, *mine[:-FILES_KEPT]}:
            self._drop(path)
        held: Counter[str] = Counter()
        for file in self._files.values():
            held[file.owner] += len(file.data)
        old = list(self._files.values())[:-1]
        while old and sum(held.values()) > BYTES_KEPT:
            oldest = max(old, key=lambda file: held[file.owner])
            old.remove(oldest)
            held[oldest.owner] -= len(oldest.data)
            self._drop(oldest.path)

    def find(self, path: str) -> Handed | None:
        """The file that is to be fetched there; None when there is none, or none any more."""
        with self._lock:
            found = self._files.get(path)
            return found if found and found.until > self._clock() else None

    def fetched(self, path: str) -> None:
        """A file has been fetched: one that is fetched once stays for a moment, in case the line was cut."""
        with self._lock:
            found = self._files.get(path)
            if found and found.once:
                self._files[path] = replace(found, until=min(found.until, self._clock() + SECONDS_FETCHED))

    def sweep(self) -> None:
        """Drop what is over."""
        with self._lock:
            self._make_room("")

    def forget(self, owner: str) -> None:
        """Drop everything of a visitor."""
        with self._lock:
            for path in [path for path, file in self._files.items() if file.owner == owner]:
                self._drop(path)

    def clear(self) -> None:
        """Drop everything of everybody."""
        with self._lock:
            for path in list(self._files):
                self._drop(path)


class _Fetching(Route):
    """Serves what is among the files; Gradio answers for everything else."""

    def __init__(self, files: Files) -> None:
        super().__init__("/gradio_api/file={path:path}", self._serve)
        self._files = files

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether a request is for one of the files."""
        match, found = super().matches(scope)
        if match is Match.NONE or self._files.find(found["path_params"]["path"]) is None:
            return Match.NONE, {}
        return match, found

    async def _serve(self, request: Request) -> Response:
        """One file, which no proxy may keep, and which a browser does not run as a page."""
        path = request.path_params["path"]
        found = self._files.find(path)
        if found is None:
            return PlainTextResponse("this file is not here any more", status_code=404)
        shown = SHOWN.get(Path(path).suffix)
        headers = {"Cache-Control": "private, max-age=60", "X-Content-Type-Options": "nosniff"}
        if shown is None:
            headers["Content-Disposition"] = f'attachment; filename="{Path(path).name}"'
        task = BackgroundTask(self._files.fetched, path) if request.method == "GET" else None
        return Response(found.data, 200, headers, shown or "application/octet-stream", task)


def route(files: Files) -> Route:
    """The route at which the files are fetched, below Gradio's own address for files."""
    return _Fetching(files)
