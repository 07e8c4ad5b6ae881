"""A process that makes parts of builds: reads jobs from stdin, one JSON object a line, and answers on stdout.

`python -m core.patches.building.worker '{"name": "emoji", ...}'`. It ends when its stdin does, or its parent.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any, TextIO

from ... import threads
from ...backends import EMBEDDED, Backend, ModelSource, load_backend
from ...types import ArragError
from .facts import write_facts
from .parts import make_part


def main(model: dict[str, Any], jobs: TextIO, answers: TextIO) -> None:
    """Load a model, then do one job after the other."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent gets it, too, and says when to end
    parent = os.getppid()
    backend: Backend | None = None
    for line in jobs:
        try:
            backend = backend or loaded(model)
            _do(json.loads(line), backend, parent)
            answer: dict[str, Any] = {"done": True}
        except (ArragError, OSError) as error:
            name = type(error).__name__ if isinstance(error, ArragError) else "ArragError"
            answer = {"error": name, "message": _said(error)}
        except Exception as error:  # whatever somebody else's model raises: the next one would raise it as well
            traceback.print_exc()
            said = f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
            answer = {"error": "ConfigError", "message": f"backend {model['name']:.80}: it failed ({said}); mend it"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def loaded(model: dict[str, Any]) -> Backend:
    """The model of a choice, with as many threads as it takes anywhere else: sums are the same in every process."""
    name = str(model["name"])
    backend = load_backend(name, ModelSource(**{key: value for key, value in model.items() if key != "name"}))
    if "torch" in sys.modules:
        threads.pin(large=name not in EMBEDDED)
    return backend


def _do(job: dict[str, Any], backend: Backend, parent: int) -> None:
    """One job; ends the process when nobody waits for it any more."""
    if "facts" in job:
        write_facts(Path(job["facts"]), backend)
        return
    for _ in make_part(Path(job["folder"]), int(job["number"]), backend):
        if os.getppid() != parent:
            raise SystemExit(1)


def _said(error: ArragError | OSError) -> str:
    if isinstance(error, OSError):
        return f"{error.filename or 'file'}: {error.strerror or error}; check the path"
    return str(error)


def _own_stdout() -> TextIO:
    """What the parent reads; whatever else is printed goes to stderr."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), sys.stdin, _own_stdout())
