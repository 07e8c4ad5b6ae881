"""The steps of the Dockerfile, run where no engine for containers is: in a folder of their own, and then as its user,
on a file system that is read-only but for /tmp, without a home."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fnmatch import fnmatch
from pathlib import Path
from urllib.request import urlopen

import pytest
from gradio_client import Client

from tests.app.serving import END_SECONDS, free_port, wait_for

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8")
READS_EVERYTHING = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
"""The borrowed Python may lie in a folder of root's, which the user could not enter."""

INSIDE = 'mount --options remount,ro,bind / && mount -t tmpfs tmpfs /tmp && exec "$@"'
ALONE = ("unshare", "--mount", "--", "sh", "-c", INSIDE, "sh")


def steps(kind: str) -> list[str]:
    """What stands behind an instruction, each time that it does."""
    joined = re.sub(r"\\\n", " ", TEXT)
    return re.findall(rf"^{kind} +(.*)$", joined, re.MULTILINE)


def environment() -> dict[str, str]:
    """All that the image sets."""
    return dict(pair.split("=", 1) for line in steps("ENV") for pair in shlex.split(line))


def may_be_apart() -> str:
    """Why no file system can be made read-only here; "" where that works."""
    if sys.platform != "linux" or os.getuid() != 0:
        return "only root may make a file system read-only, for itself, on Linux"
    if Path("/tmp") in (ROOT, *ROOT.parents):
        return f"{ROOT} is in /tmp, which is another one there"
    missing = [name for name in ("unshare", "setpriv", "mount") if shutil.which(name) is None]
    if missing:
        return f"{missing[0]} is not installed"
    done = subprocess.run([*ALONE, "true"], capture_output=True, text=True, check=False)
    return done.stderr.strip() and f"no file system of its own: {done.stderr.strip()}"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder that the COPY steps make of what .dockerignore leaves of the files that git knows.

    It is no folder in /tmp, which is another one inside.
    """
    if why := may_be_apart():
        pytest.skip(f"the image is not run here: {why}")
    folder = ROOT / ".pytest_cache" / "image"
    shutil.rmtree(folder, ignore_errors=True)
    sent = tmp_path_factory.mktemp("sent")
    for name in sent_files():
        (sent / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, sent / name)
    folder.mkdir(parents=True)
    for line in steps("COPY"):
        *sources, target = shlex.split(line)
        for source in sources:
            copied = sent / source
            assert copied.exists(), f"COPY {source}: .dockerignore keeps it back"
            if copied.is_dir():
                shutil.copytree(copied, folder / target)
            else:
                shutil.copyfile(copied, folder / target / source)
    yield folder
    shutil.rmtree(folder)


def sent_files() -> list[str]:
    """Files that git knows and .dockerignore lets through: later lines count more, ** stands for any folders."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    return [name for name in listed.split("\0") if name and (ROOT / name).is_file() and is_sent(name, patterns)]


def is_sent(name: str, patterns: list[str]) -> bool:
    """As the builder decides it: by the file's own place, and by those of the folders that it is in."""
    places, sent = [name, *map(str, Path(name).parents)][:-1], True
    for pattern in patterns:
        bare = pattern.removeprefix("!")
        found = [Path(place).name for place in places] if bare.startswith("**/") else places
        if any(fnmatch(place, bare.removeprefix("**/")) for place in found):
            sent = pattern.startswith("!")
    return sent


def test_only_what_is_needed_is_sent() -> None:
    sent = sent_files()
    tops = {name.split("/")[0] for name in sent}
    assert tops == {"app.py", "LICENSE", "requirements.txt", "app", "core", "assets"}
    patterns = ["*", "!app", "**/*.pyi", "**/__pycache__"]
    told = {"app/ui.py": True, "app/tabs/a.pyi": False, "app/__pycache__/ui.pyc": False, "tests/x.py": False}
    assert {name: is_sent(name, patterns) for name in told} == told


def test_the_image_is_one_that_can_be_trusted() -> None:
    (user,), (entry,), (check,) = steps("USER"), steps("ENTRYPOINT"), steps("HEALTHCHECK")
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user), "a number, which Kubernetes can see not to be root's"
    assert json.loads(entry)[0] == "python", "no shell, which would keep SIGTERM to itself"
    assert json.loads(check.split("CMD ")[1])[0] == "python", "slim images have no curl"
    assert environment()["GRADIO_TEMP_DIR"].startswith("/tmp/")
    assert steps("EXPOSE") == [environment()["GRADIO_SERVER_PORT"]]
    assert not re.search(r"^(ADD|VOLUME)", TEXT, re.MULTILINE)


def test_what_is_installed_is_what_serving_needs(image: Path) -> None:
    """Without the network: what the requirements ask for is what these tests run with."""
    installs = [line for line in steps("RUN") if line.startswith("pip install")]
    assert len(installs) == 2
    assert "https://download.pytorch.org/whl/cpu" in installs[0]
    for line in installs:
        offline = re.sub(r"--index-url \S+", "", line).replace("pip install", "-m pip install --dry-run --no-index")
        done = subprocess.run(
            ["sh", "-c", f'"{sys.executable}" {offline}'], cwd=image, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert "Would install" not in done.stdout
    assert not re.search(r"^(pytest|playwright|transformers|mypy)", (image / "requirements.txt").read_text(), re.M)


def inside(image: Path, command: list[str], **more: str) -> list[str]:
    """A command as it runs in the container: its user, its environment and nothing else, read-only, no home."""
    user, group = steps("USER")[0].split(":")
    who = ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", "--no-new-privs", *READS_EVERYTHING]
    variables = {"PATH": "/usr/bin:/bin", **environment(), **more}
    program = [sys.executable, *command[1:]]
    return [*ALONE, *who, "env", "--ignore-environment", *(f"{k}={v}" for k, v in variables.items()), *program]


@contextmanager
def running(image: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The page, and its address."""
    port = str(free_port())
    command = inside(image, json.loads(steps("ENTRYPOINT")[0]), GRADIO_SERVER_PORT=port)
    with subprocess.Popen(command, cwd=image, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            yield process, wait_for(lambda: process.poll() is None, f"http://127.0.0.1:{port}")
        finally:
            with suppress(ProcessLookupError):
                process.kill()


@pytest.mark.timeout(300)
def test_it_serves_and_draws_as_nobody_on_a_read_only_file_system(image: Path, tmp_path: Path) -> None:
    (compiling,) = (line for line in steps("RUN") if line.startswith("python"))
    command = [sys.executable, *shlex.split(compiling)[1:]]
    subprocess.run(command, cwd=image, check=True)
    with running(image) as (process, url):
        who = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
        assert re.search(r"^Uid:\t10001\t10001", who, re.MULTILINE)
        with pytest.raises(OSError, match="Read-only file system"):
            Path(f"/proc/{process.pid}/root{image}/written").write_text("", encoding="utf-8")
        client = Client(url, verbose=False, download_files=tmp_path)
        run, picture = client.predict("a red heart", settings={"seed": 7}, trace=True, api_name="/generate")
        client.close()
        assert len(run["codes"]) == 256
        assert Path(picture).stat().st_size > 500
        port = url.rsplit(":", 1)[1]
        check = json.loads(steps("HEALTHCHECK")[0].split("CMD ")[1])
        subprocess.run(inside(image, check, GRADIO_SERVER_PORT=port), cwd=image, check=True)
        with urlopen(f"{url}/health") as told:
            assert json.load(told)["status"] == "ok"
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=30)
    assert process.returncode == 0, said
    assert time.monotonic() - begun < END_SECONDS
    assert "Traceback" not in said
    assert all(re.match(r"\S+Z (INFO|WARNING) ", line) for line in said.splitlines()), said
