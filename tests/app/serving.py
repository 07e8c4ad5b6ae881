"""Serve the page over the fake model in a process of its own.

Usage: python -m tests.app.serving PORT SECONDS_PER_CODE KIND [ssr] [mcp] [demo], KIND being one of SESSIONS.
"""

from __future__ import annotations

import multiprocessing
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import faiss
import torch

from app import drawing
from app.command_line import NO_ANALYTICS
from app.decoding.lines import InProcess
from app.library import Library
from app.reading import Given
from app.session import Session
from app.tabs.read import layout as read
from app.ui import build, launch_options
from core.patches.released import ReleasedDatabase
from core.types import Grid
from tests.app.fake import FakeBackend, code_of, disc, fake_database
from tests.app.stocked import stock
from tests.released import write_released

ROOT = Path(__file__).parents[2]
START_SECONDS = 300
LONG_SECONDS = 60.0
"""Between the first preview of a model that draws at once and the next: more of them are most of the work of a draw."""
END_SECONDS = 20
"""In which a server has ended even on a busy machine, which does it in ten when it is not."""

FORKS = multiprocessing.get_context("spawn" if sys.platform == "win32" else "forkserver")
FORKS.set_forkserver_preload([__name__])  # torch and Gradio load once, not for every page, where there are forks


@contextmanager
def served(pause: float, kind: str = "usual", *modes: str) -> Iterator[str]:
    """Address of a running page whose model takes `pause` seconds a code, in a process of its own.

    modes: "ssr" for a page behind Gradio's Node server, "mcp" for one with tools for agents, "demo" for one that a
    proxy serves below /demo.
    """
    port = free_port()
    process = FORKS.Process(target=serve, args=(port, pause, kind, *modes), daemon=True)
    process.start()
    try:
        yield wait_for(process.is_alive, f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        process.join()


@contextmanager
def served_on(folder: Path) -> Iterator[str]:
    """Address of a page whose temporary files, its own and Gradio's, lie in a folder."""
    with running_on(folder) as (_, url):
        yield url


@contextmanager
def running_on(folder: Path, pause: float = 0.0, kind: str = "usual") -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """The same with its process, which may have children."""
    environment = {**os.environ, "GRADIO_TEMP_DIR": str(folder), "TMPDIR": str(folder), "TEMP": str(folder)}
    port = free_port()
    command = [sys.executable, "-m", "tests.app.serving", str(port), str(pause), kind]
    process = subprocess.Popen(command, cwd=ROOT, env=environment)
    try:
        yield process, wait_for(lambda: process.poll() is None, f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        process.wait()


def files_in(folder: Path) -> dict[Path, bytes]:
    """Everything that lies in a folder, but for kept runs, see `runs_in`."""
    found = (path for path in folder.rglob("*") if path.is_file() and not is_of_runs(path))
    return {path: path.read_bytes() for path in found}


def runs_in(folder: Path) -> list[Path]:
    """The files of kept runs below a folder."""
    return [path for path in folder.rglob("*") if path.is_file() and is_of_runs(path) and path.name != "lock"]


def is_of_runs(path: Path) -> bool:
    """Whether a path is below where runs are kept."""
    return any(part.startswith("loupe-runs-") for part in path.parts)


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def wait_for(alive: Callable[[], bool], url: str) -> str:
    """The address, once it answers."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and alive():
        try:
            with urlopen(url, timeout=START_SECONDS):
                return url
        except URLError:
            time.sleep(0.1)
    raise RuntimeError(f"the page did not start within {START_SECONDS} s")


def wait_for_port(alive: Callable[[], bool], port: int) -> None:
    """Return once something listens on a port of this machine."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and alive():
        try:
            with socket.create_connection(("127.0.0.1", port)):
                return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"nothing listens on port {port}")


def usual(backend: FakeBackend) -> Session:
    """One model, and 40 pictures to look up."""
    return Session.over(Library({"fake": backend}, {"all": fake_database(backend, images=40)}))


def released(backend: FakeBackend) -> Session:
    """A database in the format of the paper's authors, which is found chosen, and the usual one."""
    database = fake_database(backend, images=40)
    with tempfile.TemporaryDirectory() as folder:
        write_released(Path(folder), backend.codebook, database.grids)
        opened = ReleasedDatabase.open(Path(folder), backend.codebook, backend.grid)
    return Session.over(Library({"fake": backend}, {"released": opened, "all": database}))


def held_out(backend: FakeBackend) -> Session:
    """Two held-out pictures to read."""
    pictures = [(seed, tuple(code_of(disc(backend.grid, seed)).ravel().tolist())) for seed in (901, 902)]
    offered = tuple(Given(f"disc {seed}", f"held-out disc {seed}", codes, "held out") for seed, codes in pictures)
    read.held_out = lambda backend: offered  # in a process of its own
    return usual(backend)


def beside(pause: float) -> Session:
    """Small pictures, drawn in a process beside the server, which is started at once; see `running_on`."""
    session = Session.over(stock(), InProcess(partial(stock, pause)))
    session.decoder.warm()
    return session


SESSIONS: Mapping[str, Callable[[float], Session]] = {
    "usual": lambda pause: usual(FakeBackend(pause)),
    "plain": lambda pause: usual(FakeBackend(pause, faid=None)),
    "large": lambda pause: usual(FakeBackend(pause, grid=Grid(24, 24))),
    "released": lambda pause: released(FakeBackend(pause)),
    "held out": lambda pause: held_out(FakeBackend(pause)),
    "beside": lambda pause: beside(pause),
}
"""Kinds of pages. plain: no blenders; large: as many positions as Janus-Pro draws; the others: see there."""


def serve(port: int, pause: float, kind: str, *modes: str) -> None:
    """Serve until terminated."""
    os.environ.update(NO_ANALYTICS, GRADIO_ANALYTICS_ENABLED="False")  # as app.py does
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    session = SESSIONS[kind](pause)
    if not pause:
        drawing.PREVIEW_SECONDS = LONG_SECONDS  # in a process of its own
    if "mcp" in modes:
        session.files.serve_agents()
    options = {**launch_options(session), "ssr_mode": "ssr" in modes, "mcp_server": "mcp" in modes, "quiet": True}
    options["root_path"] = "/demo" if "demo" in modes else None
    build(session).launch(server_name="127.0.0.1", server_port=port, **options)


if __name__ == "__main__":
    serve(int(sys.argv[1]), float(sys.argv[2]), *sys.argv[3:])
