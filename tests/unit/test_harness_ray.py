"""A run on a Ray cluster: the rows of one process, whatever its actors do."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ray = pytest.importorskip("ray", reason="Ray, of the extra `scale`, is not installed")

from core.backends import ModelSource  # noqa: E402
from core.evaluation import actors  # noqa: E402
from core.evaluation.actors import TRIES, run_on_ray  # noqa: E402
from core.evaluation.job import Job  # noqa: E402
from core.evaluation.record import begin, read_record  # noqa: E402
from core.evaluation.store import Shard, read_rows, writing  # noqa: E402
from core.evaluation.suite import Item, Measured  # noqa: E402
from core.types import ConfigError  # noqa: E402
from tests.clusters import cluster_of  # noqa: E402
from tests.tiny_suite import opened_tiny  # noqa: E402
from tests.unit.test_harness import Watched, content, measured  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own, of files that it leaves open


class Scripted:
    """Stands in for actors: an answer for each try of an item, in order."""

    def __init__(self, answers: dict[str, list[actors.Answer | str]]) -> None:
        self._answers = answers
        self.busy: dict[str, tuple[Item, int]] = {}
        self.given: list[tuple[str, int]] = []

    def give(self, item: Item, attempt: int) -> None:
        self.busy[item.key] = (item, attempt)
        self.given.append((item.key, attempt))

    def answer(self) -> tuple[Item, int, actors.Answer | str]:
        key, (item, attempt) = self.busy.popitem()
        return item, attempt, self._answers[key].pop(0)


def test_what_dies_is_tried_again_and_then_listed(tmp_path: Path) -> None:
    """Without a cluster."""
    found = opened_tiny()
    begin(tmp_path, found.record)
    items = [Item(f"item-{n}", {"number": n}) for n in range(3)]
    good: actors.Answer = ("", Measured({"model": {"nats": 1.0}}), "another machine")
    scripted: Any = Scripted(
        {"item-0": ["lost", "lost", good], "item-1": ["killed"] * TRIES, "item-2": [("no", None, "m")]}
    )
    watched = Watched()
    with writing(tmp_path, Shard(), found.record.identity, 5) as writer:
        actors._measure(deque((item, 1) for item in items), scripted, 2, writer, watched)
    rows = read_rows(tmp_path, found.record.identity)
    assert list(rows.done) == ["item-0"]
    assert {key: row.failed for key, row in rows.failed.items()} == {
        "item-1": f"its actor ended {TRIES} times (killed)", "item-2": "no",
    }  # fmt: skip
    assert "another machine" in rows.machines
    assert watched.steps == 3
    assert [attempt for key, attempt in scripted.given if key == "item-1"] == [1, 2, 3]


def test_an_actor_refuses_to_measure_something_else() -> None:
    with pytest.raises(ConfigError, match="ray: got another version"):
        actors.Measurer(job(), "another").measure(Item("item-0", {"number": 0}))


def job() -> Job:
    options = {"count": 5, "tiny_word": ""}
    return Job("tests.tiny_suite:SUITE", "tests.tiny_suite:tiny", ModelSource(), "none", {"method": "model"}, options)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with cluster_of(1) as made:
        yield made


def test_rows_are_those_of_one_process(cluster: Any, tmp_path: Path) -> None:
    measured(tmp_path / "here")
    assert run_on_ray(job(), tmp_path / "there", Shard(), 2, cluster.address, Watched()).failed == {}
    here, there = (
        read_rows(tmp_path / name, read_record(tmp_path / name).identity).done for name in ("here", "there")
    )  # fmt: skip
    assert [(key, row.about, row.figures, row.kept) for key, row in there.items()] == [
        (key, row.about, row.figures, row.kept) for key, row in here.items()
    ]
    files = [
        {name: data for name, data in content(tmp_path / name).items() if "/" in name} for name in ("here", "there")
    ]
    assert files[0] == files[1]
