"""The server that is abused: the page over the fake model in a folder of its own, with things in it to be stolen."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from tests.abuse.wire import Wire
from tests.app.serving import free_port, wait_for

ROOT = Path(__file__).parents[2]
END_SECONDS = 20
QUIET = ("matplotlib", "fontconfig", "__pycache__", ".cache", "loupe-runs-")
"""Parts of names of files that libraries write for themselves when they are first used, and where runs are kept."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event or endpoint of the page, as its configuration says: its number, name, and kinds of its inputs."""

    number: int
    name: str
    kinds: tuple[str, ...]
    queued: bool


@dataclass(frozen=True, slots=True)
class Map:
    """What can be called: events, (component, function) pairs of components, and numbers of all components."""

    events: tuple[Event, ...]
    served: tuple[tuple[int, str], ...]
    components: tuple[int, ...]

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Map:
        """The map of a page, by what it tells every browser."""
        kinds = {part["id"]: part["type"] for part in config["components"]}
        events = [
            Event(
                each["id"],
                each["api_name"],
                tuple(kinds.get(i, "") for i in each["inputs"]),
                each["queue"] is not False,
            )
            for each in config["dependencies"]
            if each["backend_fn"]
        ]
        served = [(part["id"], name) for part in config["components"] for name in part["props"].get("server_fns") or ()]
        return cls(tuple(events), tuple(served), tuple(kinds))


@dataclass(frozen=True, slots=True)
class Target:
    """A server with its surroundings.

    place: everything around it, of which only `temporary` and `uploads` are its own to write; secret: a file outside;
    mark: what that file and the victim's prompt hold, and no answer may; bait: address of a listener that nobody but a
    server led astray would ask, which counts in `bitten`; victim: session and runs of somebody else; log: what it says.
    """

    url: str
    pid: int
    place: Path
    secret: Path
    mark: str
    bait: str
    bitten: list[str] = field(repr=False)
    map: Map = field(repr=False)
    victim: str = ""
    runs: tuple[str, ...] = ()

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.place / "log"

    def outside(self) -> dict[str, tuple[int, int]]:
        """Size and time of every file that is not the server's to write."""
        own = (self.place / "temporary", self.place / "log")
        return {
            str(path): (path.stat().st_size, path.stat().st_mtime_ns)
            for path in self.place.rglob("*")
            if path.is_file()
            and not any(path.is_relative_to(o) for o in own)
            and not any(q in str(path) for q in QUIET)
        }


@contextmanager
def target(port: int | None = None, modes: Sequence[str] = ()) -> Iterator[Target]:
    """A server over the fake model, with a victim who has drawn; modes: as `tests.app.serving` takes them."""
    port, mark = port or free_port(), f"mark{secrets.token_hex(6)}"
    with tempfile.TemporaryDirectory(prefix="abuse-", ignore_cleanup_errors=True) as folder, _bait() as (bait, bitten):
        place = Path(folder).resolve()
        for name in ("temporary", "uploads", "home", "work"):
            (place / name).mkdir()
        secret = place / "home" / "secret.txt"
        secret.write_text(f"{mark} must not be told", encoding="utf-8")
        process = _start(port, place, modes)
        try:
            url = wait_for(lambda: process.poll() is None, f"http://127.0.0.1:{port}")
            with urlopen(f"{url}/config") as answer:
                found = Map.of(json.load(answer))
            victim = secrets.token_hex(6)
            runs = tuple(_draw(Wire(url), victim, f"a disc, {mark}") for _ in range(2))
            yield Target(url, process.pid, place, secret, mark, bait, bitten, found, victim, runs)
        finally:
            process.terminate()
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _start(port: int, place: Path, modes: Sequence[str]) -> subprocess.Popen[bytes]:
    """The process of a server, whose home, working and temporary folders are in a place of their own."""
    own = {
        "GRADIO_TEMP_DIR": "temporary", "TMPDIR": "uploads", "HOME": "home", "MPLCONFIGDIR": "home/matplotlib",
        "XDG_CACHE_HOME": "home/.cache",
    }  # fmt: skip
    environment = {**os.environ, **{name: str(place / where) for name, where in own.items()}}
    environment |= {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.app.serving", str(port), "0", "usual", *modes]
    with (place / "log").open("wb") as output:
        return subprocess.Popen(command, cwd=place / "work", env=environment, stdout=output, stderr=output)


def _draw(wire: Wire, session: str, prompt: str) -> str:
    """Id of a run that a session has drawn."""
    told = wire.call("generate", [prompt, "fake", "all", {"seed": 1}, False], session)
    if not told.done:
        raise RuntimeError(f"the victim's picture was not drawn: {told.text[:500]}")
    return str(told.output[0]["run"])


@contextmanager
def _bait() -> Iterator[tuple[str, list[str]]]:
    """Address of a listener that nobody has to ask, and what it was asked."""
    bitten: list[str] = []

    class Listener(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            bitten.append(self.path)
            self.send_response(204)
            self.end_headers()

        do_HEAD = do_POST = do_GET

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Listener)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/bait", bitten
    finally:
        server.shutdown()
        server.server_close()
