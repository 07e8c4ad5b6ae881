"""The server under load: one that is started for it, in a temporary folder of its own, or one that runs already."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.app.serving import free_port, wait_for

ROOT = Path(__file__).parents[2]
END_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Server:
    """Where a server answers, its process (None: not known), its folder of temporary files and its log (if started)."""

    url: str
    pid: int | None
    temporary: Path | None = None
    log: Path | None = None


@contextmanager
def started(port: int | None = None) -> Iterator[Server]:
    """A page as `make run` serves it, with one thread, until the block ends."""
    port = port or free_port()
    with tempfile.TemporaryDirectory(prefix="load-", ignore_cleanup_errors=True) as folder:
        temporary, log = Path(folder, "temporary"), Path(folder, "log")
        temporary.mkdir()
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "GRADIO_TEMP_DIR": str(temporary)}
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "app.py", "--port", str(port)], cwd=ROOT, env=environment, stdout=output, stderr=output
            )
            try:
                wait_for(lambda: process.poll() is None, f"http://127.0.0.1:{port}")
                yield Server(f"http://127.0.0.1:{port}", process.pid, temporary, log)
            finally:
                process.send_signal(signal.SIGINT)
                try:
                    process.wait(END_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
