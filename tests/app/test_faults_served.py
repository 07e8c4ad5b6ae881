"""A page whose decoding process is killed, and whose disk gives out: one line, and everything goes on afterwards."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from subprocess import Popen
from typing import Any

import httpx
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from app.decoding.scheduler import LOST
from tests.app.asking import PROMPT, wait_until
from tests.app.serving import files_in, running_on
from tests.load.watching import PROC, tree

pytestmark = pytest.mark.skipif(not PROC.is_dir(), reason="processes are found in /proc, which this system lacks")
PAUSE = 0.02
Running = tuple["Popen[bytes]", str]


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faults") / "disk"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def server(disk: Path) -> Iterator[Running]:
    with running_on(disk, PAUSE, "beside") as running:
        yield running


@pytest.fixture(scope="module")
def caller(server: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    connected = Client(server[1], verbose=False, download_files=tmp_path_factory.mktemp("downloads"))
    yield connected
    connected.close()


def decoding(server: Popen[bytes]) -> int:
    """The process that draws: the server's child that is no helper of Python's."""
    found: list[int] = []

    def is_there() -> bool:
        found[:] = [pid for pid in tree(server.pid)[1:] if "spawn_main" in told(pid, "cmdline")]
        return len(found) == 1

    wait_until(is_there)
    return found[0]


def told(pid: int, name: str) -> str:
    try:
        return (PROC / str(pid) / name).read_text(errors="replace")
    except OSError:
        return ""


def sent_by(pid: int) -> int:
    """How often a process has written: what it draws goes to the server position by position, in two writes at most."""
    return next(int(line.split()[1]) for line in told(pid, "io").splitlines() if line.startswith("syscw"))


def zombies(server: Popen[bytes]) -> list[int]:
    return [pid for pid in tree(server.pid)[1:] if ") Z " in told(pid, "stat")]


def drawn(caller: Client, **more: Any) -> dict[str, Any]:
    run: dict[str, Any] = caller.submit(PROMPT, api_name="/generate", **more).result(60)[0]
    return run


def test_killed_while_it_loads_what_waits_is_drawn_by_the_next_one(server: Running, caller: Client) -> None:
    first = decoding(server[0])
    job = caller.submit(PROMPT, api_name="/generate")
    os.kill(first, signal.SIGKILL)
    assert job.result(60)[0]["run"]
    assert decoding(server[0]) != first
    assert zombies(server[0]) == []


def test_killed_in_mid_run_the_visitor_is_told_and_the_next_one_is_served(server: Running, caller: Client) -> None:
    drawn(caller)  # so that it has loaded, and is busy with nothing but the next one
    busy = decoding(server[0])
    before = sent_by(busy)
    job = caller.submit(PROMPT, api_name="/generate")
    wait_until(lambda: sent_by(busy) > before + 2)
    os.kill(busy, signal.SIGKILL)
    with pytest.raises(AppError) as error:
        job.result(60)
    assert LOST in str(error.value)
    assert "\n" not in str(error.value)
    assert drawn(caller)["run"]


def test_killed_while_nobody_waits_it_leaves_no_zombie_and_nobody_notices(server: Running, caller: Client) -> None:
    os.kill(decoding(server[0]), signal.SIGKILL)
    wait_until(lambda: len(tree(server[0].pid)) <= 2 and not zombies(server[0]))
    assert httpx.get(f"{server[1]}/health").json()["status"] == "ok"
    assert drawn(caller)["run"]
    assert zombies(server[0]) == []


def test_a_disk_that_is_gone_is_told_and_what_was_there_is_there_when_it_is_back(
    server: Running, caller: Client, disk: Path
) -> None:
    run = drawn(caller)["run"]
    before, aside = files_in(disk), disk.with_name("aside")
    disk.rename(aside)
    disk.write_bytes(b"not a folder")
    try:
        with pytest.raises(AppError) as error:
            drawn(caller)
        assert "the server cannot write to its disk" in str(error.value)
        assert "\n" not in str(error.value)
        upload = httpx.post(f"{server[1]}/gradio_api/upload", files={"files": ("a.png", b"a picture")})
        assert (upload.status_code, upload.text.count("\n")) == (507, 0)
        assert "no room" in upload.text
        assert caller.predict(run, 3, api_name="/step")["run"] == run
    finally:
        disk.unlink()
        aside.rename(disk)
    assert files_in(disk) == before
    assert caller.predict(run, 3, api_name="/step")["run"] == run
    kept = Path(caller.submit(PROMPT, trace=True, api_name="/generate").result(60)[0]["trace"])
    assert kept.stat().st_size > 1000
    answer = httpx.post(f"{server[1]}/gradio_api/upload", files={"files": ("a.png", b"a picture")})
    assert answer.status_code == 200


def test_when_the_server_is_killed_nothing_of_it_runs_on(server: Running, caller: Client) -> None:
    children = tree(server[0].pid)[1:]
    assert decoding(server[0]) in children
    os.kill(server[0].pid, signal.SIGKILL)
    server[0].wait()
    wait_until(lambda: not any((PROC / str(pid)).exists() for pid in children))
