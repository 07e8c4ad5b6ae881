"""A server that is asked to end: what is being drawn is finished or handed back, in time; nothing is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from gradio_client import Client

from app import ending
from app.decoding.scheduler import STOPPING
from app.health import Health
from tests.app.serving import END_SECONDS, ROOT, free_port, wait_for
from tests.app.test_health import Under

if sys.platform == "win32":
    pytest.skip("Windows has no SIGTERM that a program could take", allow_module_level=True)


@dataclass
class Server:
    """A server that runs, its address, its folder for temporary files, and what it wrote in the end."""

    process: subprocess.Popen[str]
    url: str
    folder: Path

    def ended(self, number: int) -> tuple[float, list[dict[str, Any]]]:
        """Ask it to end; how long that took, and the lines of its log. It must end well."""
        begun = time.monotonic()
        self.process.send_signal(number)
        said, wrote = self.process.communicate(timeout=30)
        assert (self.process.returncode, said) == (0, "")
        return time.monotonic() - begun, [json.loads(line) for line in wrote.splitlines()]


@contextmanager
def serving(pause: float, folder: Path) -> Iterator[Server]:
    """A server over the fake model, in a process of its own."""
    port = free_port()
    command = [sys.executable, "-m", "tests.app.ended", str(port), str(pause)]
    places = {"TMPDIR": str(folder), "GRADIO_TEMP_DIR": str(folder / "gradio"), "OMP_NUM_THREADS": "1"}
    (folder / "gradio").mkdir()
    with subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **places}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Server(process, wait_for(lambda: process.poll() is None, f"http://127.0.0.1:{port}"), folder)
        finally:
            process.kill()


def drawing(server: Server, folder: Path) -> tuple[Client, Any]:
    """A client that draws, and what will come of it."""
    client = Client(server.url, verbose=False, download_files=folder)
    job = client.submit("a red disc", trace=True, api_name="/generate")
    deadline = time.monotonic() + 30
    while json.load(urlopen(f"{server.url}/health"))["drawing"] == 0:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return client, job


def files(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file()]


def test_an_idle_server_ends_at_once(tmp_path: Path) -> None:
    with serving(0.0, tmp_path) as server:
        seconds, lines = server.ended(signal.SIGTERM)
    assert seconds < END_SECONDS
    assert [line["from"] for line in lines] == ["arrag", "arrag"]
    assert files(tmp_path) == []


def test_what_is_being_drawn_is_finished(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    downloads = tmp_path_factory.mktemp("downloads")
    with serving(0.008, tmp_path) as server:
        client, job = drawing(server, downloads)
        seconds, lines = server.ended(signal.SIGINT)  # which is Ctrl-C; the other tests send SIGTERM
        run, picture = job.result(timeout=5)
        client.close()
    assert len(run["codes"]) == 256
    assert Path(picture).stat().st_size > 100
    assert Path(run["trace"]).stat().st_size > 10_000
    assert seconds < END_SECONDS
    assert [line["outcome"] for line in lines if line["message"] == "run"] == ["finished"]
    assert files(tmp_path) == []


def test_what_takes_longer_is_handed_back(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    refused: Future[tuple[int, str]] = Future()

    def late() -> None:
        """Who comes while it ends."""
        time.sleep(1)
        with pytest.raises(HTTPError) as unwell:
            urlopen(f"{server.url}/health")
        told = client.submit("a red disc", api_name="/generate").exception(timeout=5)
        refused.set_result((unwell.value.code, str(told)))
        unwell.value.close()

    downloads = tmp_path_factory.mktemp("downloads")
    with serving(0.1, tmp_path) as server:
        client, job = drawing(server, downloads)
        threading.Thread(target=late, daemon=True).start()
        seconds, lines = server.ended(signal.SIGTERM)
        run, _ = job.result(timeout=5)
        client.close()
    assert 3 < len(run["codes"]) < 200
    assert 6 < seconds < END_SECONDS
    assert refused.result(timeout=5) == (503, STOPPING)
    outcomes = [line["outcome"] for line in lines if line["message"] == "run"]
    assert sorted(outcomes) == ["paused"]
    assert files(tmp_path) == []


def test_a_server_that_loads_ends_at_once(tmp_path: Path) -> None:
    code = "import time; from app.ending import end_at_once; end_at_once(); print(1, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"1\n"
        process.terminate()
        assert process.wait(timeout=10) == 0


def test_what_hangs_does_not_hold_it_up(monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[int] = []
    monkeypatch.setattr(ending.os, "_exit", left.append)
    for name in ("FINISHING", "HANDING_BACK", "FETCHING", "LONGEST"):
        monkeypatch.setattr(ending, name, 0.1)
    health = Health(Under(drawing=1), ())
    ending.wind_up(health)
    assert health.ending
    time.sleep(0.3)
    assert left == [0]
