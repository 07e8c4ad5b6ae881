"""Starts the folder of a Space as a Space would, with a stand-in for `spaces`, and draws in it.

`python -m tests.space.trial` does so in an environment of its own, into which it installs what the folder requires.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from gradio_client import Client
from gradio_client.exceptions import AppError

from app.space.card import GRADIO, Card
from app.space.folder import build
from tests.app.serving import free_port, wait_for

ROOT = Path(__file__).parents[2]
STAND_IN = ROOT / "tests" / "space" / "stand_in"
SETTINGS = {"seed": 3}


@dataclass(frozen=True, slots=True)
class Space:
    """A running Space: its address, its process, and the file in which the stand-in says what happens."""

    url: str
    pid: int
    log: Path

    def events(self, kind: str) -> list[dict[str, Any]]:
        """What happened of a kind."""
        lines = self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []
        return [event for event in map(json.loads, lines) if event["event"] == kind]

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """The service lends nothing meanwhile."""
        flag = self.log.with_name(f"{self.log.name}.refuse")
        flag.touch()
        yield
        flag.unlink()

    def draw(self, prompt: str) -> dict[str, Any]:
        """Draw a picture as a script does, with a token such as the Hub gives visitors."""
        with tempfile.TemporaryDirectory() as folder:
            client = Client(self.url, verbose=False, download_files=folder, headers={"x-ip-token": "a.b.c"})
            run: dict[str, Any] = client.predict(prompt, settings=SETTINGS, api_name="/generate")[0]
            client.close()
            return run


@contextmanager
def started(folder: Path, python: str | Path, work: Path, **variables: str) -> Iterator[Space]:
    """The Space of a folder, started as the Hub does; work: for files that are needed meanwhile."""
    port, log = free_port(), work / "spaces.jsonl"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("ARRAG_", "GRADIO_"))},
        "SPACES_ZERO_GPU": "true", "SPACES_GRADIO_AUTO_WRAP": "true", "SPACES_STAND_IN": str(log),
        "SPACES_ZERO_DEVICE_API_URL": "http://127.0.0.1:9",
        "SYSTEM": "spaces", "SPACE_ID": "me/loupe", "GRADIO_SERVER_NAME": "127.0.0.1", "GRADIO_SERVER_PORT": str(port),
        "GRADIO_TEMP_DIR": str(work / "gradio"), "HOME": str(work), "PYTHONPATH": str(STAND_IN),
        **variables,
    }  # fmt: skip
    with (work / "said").open("w+", encoding="utf-8") as said:
        process = subprocess.Popen([str(python), "app.py"], cwd=folder, env=environment, stdout=said, stderr=said)
        try:
            try:
                url = wait_for(lambda: process.poll() is None, f"http://127.0.0.1:{port}")
            except RuntimeError:
                said.seek(0)
                raise RuntimeError(f"the Space did not start: {said.read()[-2000:]}") from None
            yield Space(url, process.pid, log)
        finally:
            process.terminate()
            process.wait(30)


def embedded_draws(folder: Path, python: str | Path, work: Path) -> None:
    """The models that ship draw on the CPU: a function is registered, and never called."""
    with started(folder, python, work) as space:
        run = space.draw("a red heart")
        assert len(run["codes"]) == 256
        assert imported_first(space)
        assert [event["name"] for event in space.events("registered")] == ["unused"]
        assert [event["registered"] for event in space.events("started")] == [1]
        assert space.events("asked") == space.events("running") == []


def lent_draws(folder: Path, python: str | Path, work: Path) -> None:
    """Another model draws where the GPU is, for a time that is then measured; refusals and errors reach the visitor."""
    paths = os.pathsep.join([str(STAND_IN), str(ROOT)])  # the tests' model; app and core are those of the folder
    with started(folder, python, work, PYTHONPATH=paths, ARRAG_BACKEND="tests.space.model:load") as space:
        for _ in range(2):
            run = space.draw("a disc")
            assert len(run["codes"]) == 256
        assert imported_first(space)
        first, second = space.events("asked")
        assert first["known"]
        assert first["token"] == "a.b.c"
        assert first["seconds"] == 30  # before anything was measured
        assert 15 <= second["seconds"] < first["seconds"]
        assert {event["pid"] for event in space.events("running")}.isdisjoint({space.pid})
        with space.refusing():
            told = error_of(space, "a disc")
        assert re.search(r"ZeroGPU quota exceeded: You have exceeded your free ZeroGPU quota \(\d+s .*Try again", told)
        assert "got a broken one, expected a whole one; mend it" in error_of(space, "a broken disc")
        assert len(space.draw("a disc")["codes"]) == 256


def imported_first(space: Space) -> bool:
    """Whether the server imported `spaces` once, and before anything that imports torch."""
    return [event["before"] for event in space.events("imported") if event["pid"] == space.pid] == [[]]


def error_of(space: Space, prompt: str) -> str:
    """What a visitor is told whose picture cannot be drawn."""
    try:
        space.draw(prompt)
    except AppError as error:
        return str(error)
    raise AssertionError(f"{prompt!r} was drawn")


# ---------------------------------------------------------------------------------------------------------------------
# In an environment of its own


def clean_environment(folder: Path, requirements: Path) -> Path:
    """The Python of a new environment with what a Space requires, but for torch and `spaces`.

    torch is the version that is here, because where this runs there may be no builds of others without CUDA.
    """
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    wanted = [line for line in requirements.read_text(encoding="utf-8").splitlines() if line and line[0] != "-"]
    others = [line for line in wanted if not line.startswith(("torch", "spaces"))]
    install = [str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    subprocess.run([*install, f"torch=={torch.__version__}", *others, f"gradio=={GRADIO}"], check=True)
    return python


def main() -> None:
    """Write the folder, make the environment, and try both kinds of models."""
    with tempfile.TemporaryDirectory() as place:
        folder, work = Path(place, "space"), Path(place, "work")
        build(folder, Card())
        python = clean_environment(Path(place, "venv"), folder / "requirements.txt")
        sys.stdout.write(f"Python {sys.version.split()[0]}, torch {torch.__version__}, a stand-in for spaces\n")
        for number, trial in enumerate((embedded_draws, lent_draws)):
            (work / str(number)).mkdir(parents=True)
            trial(folder, python, work / str(number))
            sys.stdout.write(f"{trial.__name__}: {' '.join((trial.__doc__ or '').split())}\n")


if __name__ == "__main__":
    main()
