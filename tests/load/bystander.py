"""Somebody who draws nothing and asks for little: how long /step takes beside the load, in a process of its own.

Usage: python -m tests.load.bystander URL RUN SESSION PAUSE; a line "end" on standard input ends it, and it answers with
the seconds of every call as JSON. It imports little, so that it takes little from what it measures.
"""

from __future__ import annotations

import json
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from urllib.request import Request, urlopen

PAUSE = 0.25
PATIENCE = 60


@dataclass(slots=True)
class Calls:
    """Seconds of each call, known once the block ends in which they were made."""

    seconds: list[float] = field(default_factory=list)


@contextmanager
def beside(url: str, run: str, session: str, pause: float = PAUSE) -> Iterator[Calls]:
    """Steps through a kept run of a session for as long as the block takes."""
    command = [sys.executable, "-m", "tests.load.bystander", url, run, session, str(pause)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    calls = Calls()
    try:
        yield calls
    finally:
        output, _ = process.communicate("end\n", timeout=PATIENCE + 10)
        calls.seconds.extend(json.loads(output))


def step(url: str, run: str, session: str, position: int) -> float:
    """Seconds of one call of /step, from asking to the whole answer; infinite when it is refused."""
    begun = monotonic()
    body = json.dumps({"data": [run, position, 4], "session_hash": session}).encode()
    asked = Request(f"{url}/gradio_api/call/step", body, {"Content-Type": "application/json"})
    with urlopen(asked, timeout=PATIENCE) as answer:
        event = json.load(answer)["event_id"]
    with urlopen(f"{url}/gradio_api/call/step/{event}", timeout=PATIENCE) as answer:
        told = answer.read()
    return monotonic() - begun if told.startswith(b"event: complete") else float("inf")


def main() -> None:
    """Call until told to end."""
    url, run, session, pause = sys.argv[1:]
    seconds: list[float] = []
    while not select.select([sys.stdin], [], [], float(pause))[0]:
        seconds.append(step(url, run, session, len(seconds) % 200))
    sys.stdout.write(json.dumps(seconds))


if __name__ == "__main__":
    main()
