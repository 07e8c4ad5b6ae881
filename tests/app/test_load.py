"""Simulated visitors: what they count, and that they see what must not be."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.app.fake import FakeBackend
from tests.app.serving import usual
from tests.load.callers import Ledger
from tests.load.rounds import arrive, crowd
from tests.load.servers import Server
from tests.load.tally import Outcome, figures, percentile, state_of, table
from tests.load.watching import taken, tree
from tests.load.wishes import Wish, alone, complaints, granted, mixed_wish

PROMPTS = ("a disc", "another disc")
METHODS = ({"method": "daid"}, {"method": "model"}, {"method": "faid+daid"})


@pytest.fixture(scope="module")
def wishes() -> list[Wish]:
    """One of every kind, with the codes that have to come."""
    draw = alone(usual(FakeBackend()).library)
    return [granted(mixed_wish(number, PROMPTS, METHODS), draw) for number in (0, 4, 6)]


def test_every_visitor_gets_their_own(url: str, wishes: list[Wish], tmp_path: Path) -> None:
    with crowd(Server(url, None), 3, 0, wishes, [], tmp_path) as visitors:
        outcomes, seconds = arrive(visitors, 3)
    assert [outcome for outcome in outcomes if outcome.state != "done"] == []
    assert sum(outcome.pictures for outcome in outcomes) == 3 * (1 + 2 + 2)
    assert figures(outcomes, seconds)["failed"] == 0
    assert len(visitors.ledger.owners) == 15


def test_pictures_that_were_not_asked_for_are_seen(wishes: list[Wish]) -> None:
    wish = wishes[0]
    run: Mapping[str, Any] = {
        "prompt": wish.prompt,
        "settings": {**wish.settings, "gate": 1},
        "codes": list(wish.codes[0]),
    }
    assert complaints(wish, [run]) == []
    assert "another prompt" in complaints(wish, [{**run, "prompt": "somebody else's"}])[0]
    assert "other settings" in complaints(wish, [{**run, "settings": {**wish.settings, "seed": 1}}])[0]
    changed = [*run["codes"]]
    changed[7] ^= 1
    assert "from position 7" in complaints(wish, [{**run, "codes": changed}])[0]
    assert "0 pictures instead of 1" in complaints(wish, [])[0]


def test_a_run_of_two_visitors_is_seen() -> None:
    ledger = Ledger()
    assert ledger.enter("run", 1) == ""
    assert ledger.enter("run", 1) == ""
    assert "another visitor's" in ledger.enter("run", 2)
    assert ledger.foreign(2) == "run"
    assert ledger.foreign(1) is None


@pytest.mark.parametrize(
    ("message", "state"),
    [
        ("40 pictures wait already, the most at once; try again in a minute", "refused"),
        ("n_neighbours: got 0, the page offers 1 to 512", "failed"),
        ("Something went wrong on the server; try again", "failed"),
    ],
)
def test_polite_refusals_are_told_from_errors(message: str, state: str) -> None:
    assert state_of(message) == state


@pytest.mark.parametrize(
    ("values", "share", "found"), [([3, 1, 2], 0.5, 2), (range(1, 101), 0.95, 95), ([4], 0.95, 4), ([1, 2], 0.5, 1)]
)
def test_percentiles(values: Sequence[float], share: float, found: float) -> None:
    assert percentile(values, share) == found


def test_figures_count_what_is_done_only() -> None:
    outcomes = [
        Outcome("generate", 1.0, 1),
        Outcome("page", 3.0, 1, first=0.5),
        Outcome("generate", 9.0, 0, "refused", "wait"),
        Outcome("generate", 9.0, 1, "crossed", "other codes"),
    ]
    found = figures(outcomes, 4.0)
    assert (found["pictures"], found["pictures a second"]) == (2, 0.5)
    assert (found["picture p95 s"], found["first patch p50 s"]) == (3.0, 0.5)
    assert (found["refused"], found["crossed"], found["failed"]) == (1, 1, 0)
    shown = table({"one": found, "two": {"memory MB": 1234, "pictures": math.nan}})
    assert "1,234" in shown
    assert "1 x other codes" in shown


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc: what processes take cannot be read here")
def test_what_a_process_takes_is_read() -> None:
    mine = taken(os.getpid())
    assert mine is not None
    assert mine.megabytes > 10
    assert mine.threads >= 1
    assert os.getpid() in tree(os.getppid())
