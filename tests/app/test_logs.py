"""The log: one line a record, whoever says it, and no prompts unless that is asked for."""

from __future__ import annotations

import io
import json
import logging
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from app import logs
from app.journal import Journal, short
from app.library import Library
from app.logs import Form
from app.session import Session
from tests.app.asking import defaults
from tests.app.fake import FakeBackend, fake_database

PROMPT = "a secret disc"


@contextmanager
def written(form: Form, monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What is written to the log meanwhile; the logging of the tests is as before in the end."""
    stream, root, before = io.StringIO(), logging.getLogger(), logging.raiseExceptions
    handlers, level = root.handlers[:], root.level
    monkeypatch.setattr(sys, "stderr", stream)
    try:
        with logs.kept(form):
            yield stream
    finally:
        root.handlers[:], logging.raiseExceptions = handlers, before
        root.setLevel(level)
        logging.captureWarnings(False)


def drawn(prompts: bool) -> Session:
    """A session in which somebody has drawn."""
    backend = FakeBackend()
    library = Library({"fake": backend}, {"all": fake_database(backend, images=12)})
    session = Session.over(library, journal=Journal(prompts=prompts))
    list(session.drawing.draw("ann-with-a-long-token", PROMPT, defaults))
    list(session.drawing.draw("ann-with-a-long-token", f"{PROMPT} {'x' * 400}", defaults))
    return session


def test_a_run_is_a_line_of_json(monkeypatch: pytest.MonkeyPatch) -> None:
    with written("json", monkeypatch) as stream:
        session = drawn(prompts=False)
    (run,) = session.visits.runs("ann-with-a-long-token")
    done, failed = map(json.loads, stream.getvalue().splitlines())
    assert (done["message"], done["level"], done["from"]) == ("run", "info", "arrag")
    assert (done["outcome"], done["model"], done["database"], done["method"]) == ("finished", "fake", "all", "daid")
    assert (done["run"], done["visitor"]) == (short(run.id), short("ann-with-a-long-token"))
    assert done["positions"] == 256
    assert done["drew"] > 0
    assert (failed["outcome"], failed["error"]) == ("failed", "ConfigError")


@pytest.mark.parametrize("form", ["plain", "json"])
@pytest.mark.parametrize("prompts", [False, True])
def test_prompts_and_whole_names_are_not_told(form: Form, prompts: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    with written(form, monkeypatch) as stream:
        session = drawn(prompts)
    (run,) = session.visits.runs("ann-with-a-long-token")
    assert (PROMPT in stream.getvalue()) == prompts
    assert "token" not in stream.getvalue()
    assert run.id not in stream.getvalue()


def test_everything_goes_the_same_way(monkeypatch: pytest.MonkeyPatch) -> None:
    other = logging.getLogger("uvicorn")
    other.addHandler(logging.StreamHandler(io.StringIO()))
    other.propagate = False
    with written("json", monkeypatch) as stream:
        logs.take_over()
        logging.getLogger("uvicorn.error").error("no room")
        logging.getLogger("httpx").info("GET / 200")
        print("* Running on", "http://127.0.0.1", file=sys.stdout)  # noqa: T201
        try:
            raise ValueError("of Gradio")
        except ValueError:
            traceback.print_exc()
            logging.getLogger("arrag").exception("a run failed")
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("old", DeprecationWarning, stacklevel=1)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["from"] for line in lines][:2] == ["uvicorn.error", "stdout"]
    assert lines[1]["message"] == "* Running on http://127.0.0.1"
    assert {"stderr", "arrag", "py.warnings"} == {line["from"] for line in lines[2:]}
    (failed,) = (line for line in lines if line["from"] == "arrag")
    assert failed["trouble"].endswith("ValueError: of Gradio")


def test_a_plain_line_stays_one_and_can_be_taken_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    with written("plain", monkeypatch) as stream:
        told = {"database": 'a "b" c', "drew": 0.5}
        logging.getLogger("arrag").info("first\nsecond\x1b[31m\u2028", extra={logs.TOLD: told})
        try:
            raise ValueError("two\nlines")
        except ValueError:
            logging.getLogger("arrag").exception("a run failed")
    first, second = stream.getvalue().splitlines()
    assert first.endswith('INFO arrag: first | second [31m  database="a \\"b\\" c" drew=0.5')
    assert first[:4].isdigit()
    assert second.endswith("ValueError: two | lines")
