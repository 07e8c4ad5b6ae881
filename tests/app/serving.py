"""Serve the page over the fake model in a process of its own.

Usage: python -m tests.app.serving PORT SECONDS_PER_CODE [plain] [mcp], plain being a model without blenders.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from app.session import Session
from app.ui import build, launch_options
from tests.app.fake import FakeBackend, fake_database

ROOT = Path(__file__).parents[2]
START_SECONDS = 120


@contextmanager
def served(pause: float, blenders: bool = True, mcp: bool = False) -> Iterator[str]:
    """Address of a running page whose model takes `pause` seconds a code and may have blenders; mcp: with its tools."""
    port = free_port()
    kinds = [*([] if blenders else ["plain"]), *(["mcp"] if mcp else [])]
    command = [sys.executable, "-m", "tests.app.serving", str(port), str(pause), *kinds]
    environment = {**os.environ, "GRADIO_ANALYTICS_ENABLED": "False", "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL) as process:
        try:
            yield wait_for(process, f"http://127.0.0.1:{port}")
        finally:
            process.terminate()


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def wait_for(process: subprocess.Popen[bytes], url: str) -> str:
    """The address, once it answers."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urlopen(url, timeout=START_SECONDS):
                return url
        except URLError:
            time.sleep(0.1)
    raise RuntimeError(f"the page did not start within {START_SECONDS} s")


def main(port: str, pause: str, *kinds: str) -> None:
    """Serve until terminated."""
    backend = FakeBackend(pause=float(pause), faid=None if "plain" in kinds else "fake-blenders")
    page = build(Session({"fake": backend}, {"all": fake_database(backend, images=40)}))
    page.launch(server_name="127.0.0.1", server_port=int(port), mcp_server="mcp" in kinds, **launch_options())


if __name__ == "__main__":
    main(*sys.argv[1:])
