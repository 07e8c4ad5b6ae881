"""The suites `likelihood` and `swap`: on a tiny model, and what they find in rows that are made by hand."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.backends.emoji.backend import EmojiBackend
from core.evaluation.findings import Section, Table
from core.evaluation.likelihood import grid_logits
from core.evaluation.likelihood_findings import Side, choose, chosen_settings
from core.evaluation.statistics import Estimate
from core.evaluation.suite import Measured, Subject
from core.evaluation.suites import likelihood, swap
from core.patches.database import PatchDatabase
from core.types import ConfigError, DecodeSettings
from tests.closeness import assert_close
from tests.rows import MemoryRow, rows_of

DRAWING = DecodeSettings(n_neighbours=4, faid_neighbours=2)
OPTIONS = {"count": 2, "drawn": 1, "validation": "", "test": "", "control": ""}


@pytest.fixture(scope="module")
def sides(database: PatchDatabase, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Two held-out sides of the tiny model."""
    folder = tmp_path_factory.mktemp("held")
    for side, images in (("validation", [0, 1, 2, 3]), ("test", [4, 5, 6, 7])):
        database.subset(images).save(folder / side)
    return {side: str(folder / side) for side in ("validation", "test")}


def subject_of(backend: EmojiBackend, database: PatchDatabase | None) -> Subject:
    return Subject("tiny", backend, "tiny", database, DRAWING)


@pytest.fixture(scope="module")
def rows(backend: EmojiBackend, database: PatchDatabase, sides: dict[str, str]) -> list[MemoryRow]:
    """A run of the suite `likelihood`, with a control that is the model itself."""
    control = {"control": "tests.tiny_control:load"}
    work = likelihood.SUITE.open(subject_of(backend, database), OPTIONS | sides | control)
    assert [item.key for item in work.items()] == [item.key for item in work.items()]
    return rows_of(work)


def test_a_picture_is_scored_as_its_logits_say(
    rows: list[MemoryRow], backend: EmojiBackend, sides: dict[str, str]
) -> None:
    row = next(row for row in rows if row.key == "held-test-00003")
    held = PatchDatabase.load(Path(sides["test"]), backend.codebook)
    logits = grid_logits(backend, [str(row.about["prompt"])], np.asarray(held.grids)[3:4])[0].astype(np.float64)
    chances = np.exp(logits - logits.max(axis=1, keepdims=True))
    chances /= chances.sum(axis=1, keepdims=True)
    true = np.asarray(held.grids)[3].ravel()
    assert_close(row.array("model"), chances[np.arange(len(true)), true])
    assert row.figures["model"]["nats"] == pytest.approx(-np.log(chances[np.arange(len(true)), true]).mean(), rel=1e-4)
    assert_close(row.array("control"), row.array("faid_blank"))  # the control is the same model, and retrieves nothing
    assert not np.allclose(row.array("faid_0"), row.array("faid_blank"))


def test_a_run_says_everything(rows: list[MemoryRow]) -> None:
    found = {section.title: section for section in likelihood.SUITE.findings(rows, OPTIONS)}
    assert list(found) == [
        "Held-out likelihood", "What validation chooses", "Over the retrieval weight and the number of neighbours",
        "By row", "Where it helps", "A weight for every position", "True pictures and the model's own",
    ]  # fmt: skip
    arms = [str(row[0]) for row in table_of(found["Held-out likelihood"]).rows]
    assert {"model", "DAiD", "FAiD", "FAiD and DAiD", "DAiD, random entries", "FAiD, blank", "control"} <= set(arms)


def test_a_run_that_has_just_begun_chooses_nothing(rows: list[MemoryRow]) -> None:
    tested = [row for row in rows if row.about["side"] == "test"]
    (section,) = likelihood.SUITE.findings(tested, OPTIONS)
    assert "nothing could be chosen" in section.text


def test_settings_are_chosen_on_validation_even_where_the_test_side_would_choose_others() -> None:
    made = [by_hand("validation", 1.0), by_hand("test", 0.0)]
    assert choose(Side(tuple(row for row in made if row.about["side"] == "validation"))).daid[0].blend.weight == 0.9
    nats = table_of(likelihood.SUITE.findings(made, OPTIONS)[0])
    (daid,) = [row for row in nats.rows if row[0] == "DAiD"]
    assert nats.head[1:] == ("validation, chosen on", "test")
    chosen, tested = daid[1:]
    assert isinstance(chosen, Estimate)
    assert isinstance(tested, Estimate)
    assert chosen.value == pytest.approx(-math.log(0.1 * 0.5 + 0.9))
    assert tested.value == pytest.approx(-math.log(0.1 * 0.5))  # with 0.1 it would have been -log(0.45)


def test_what_validation_chooses_can_be_drawn_with() -> None:
    made = [by_hand("test", 0.0), by_hand("validation", 1.0)]
    assert chosen_settings(made) == {
        "retrieval_weight": 0.9, "retrieval_temperature": 0.1, "n_neighbours": 1, "aggregate": "sum", "gate": 0.0,
        "caption_filter": 0,
    }  # fmt: skip
    with pytest.raises(ConfigError, match="no validation picture"):
        chosen_settings(made[:1])


def by_hand(side: str, retrieved: float) -> MemoryRow:
    """A picture of four codes that the model gives 1/2 each, and the neighbours all or nothing."""
    axes = {"filters": [0], "counts": [1], "temperatures": [0.1], "weights": [0.1, 0.9], "gates": [0.0]}
    page = {"filter": 0, "count": 0, "temperature": 0, "aggregate": 0, "weight": 0.1, "gate": 0.0}
    arrays = {name: np.full(4, 0.5) for name in ("model", "model_entropy", "model_peak")}
    arrays |= {name: np.full((1, 1, 1, 2, 4), retrieved) for name in ("retrieved", "retrieved_random")}
    arrays |= {name: np.full((1, 1, 1, 4), 0.5) for name in ("entropy", "peak")}
    arrays |= {"nearest": np.zeros((1, 4)), "agree": np.full((1, 1, 4), 0.5)}
    about = {"kind": "held", "side": side, "picture": f"{side}-0", "height": 2, "width": 2}
    measured = Measured({"model": {"nats": math.log(2)}}, arrays=arrays, details={"axes": axes, "page": page})
    return MemoryRow(f"held-{side}-0", about, measured)


def table_of(section: Section) -> Table:
    """Its first table."""
    (table, *_) = [block for block in section.blocks if isinstance(block, Table)]
    return table


@pytest.mark.parametrize(
    ("changed", "said"), [({}, "another codebook"), ({"validation": "somewhere"}, "--validation and --test")]
)
def test_what_cannot_be_read_is_told(
    backend: EmojiBackend, database: PatchDatabase, changed: dict[str, str], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        likelihood.SUITE.open(subject_of(backend, database), OPTIONS | changed)


def test_likelihood_needs_a_database(backend: EmojiBackend, sides: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="give --database"):
        likelihood.SUITE.open(subject_of(backend, None), OPTIONS | sides)


def test_databases_are_swapped(
    backend: EmojiBackend, database: PatchDatabase, sides: dict[str, str], tmp_path: Path
) -> None:
    for name, style in (("own", "3d"), ("other", "flat")):
        database.with_styles([style]).save(tmp_path / name)
    own, other = str(tmp_path / "own"), str(tmp_path / "other")
    options: dict[str, Any] = {
        "databases": f"{own},{other},{own}+{other}",
        "new_style": "flat",
        "count": 1,
        "prompts": 2,
    }
    work = swap.SUITE.open(subject_of(backend, None), options | sides)
    rows = rows_of(work)
    (drawn,) = [row for row in rows if row.about["kind"] == "drawn"]
    assert list(drawn.figures) == ["alone", "own", "other", "own+other", "own+other-flat"]
    assert {"style", "mrr", "first"} == set(drawn.unavailable)  # the judges know no picture of this codebook
    assert drawn.measured.pictures["other"][0].settings.method == "daid"
    assert drawn.details["judged"]["alone"].keys() == {"copied-own", "copied-other", "copied-own+other"}
    first, second = drawn.measured.pictures["other"]
    assert (first.settings.seed, second.settings.seed) == (0, 1)
    likely, pictures = swap.SUITE.findings(rows, options)
    arms = {str(row[0]) for row in table_of(likely).rows}
    assert {"alone", "DAiD, own", "DAiD, other", "FAiD, own+other", "FAiD, blank"} <= arms
    assert "copied from other" in table_of(pictures).head


def test_one_database_cannot_be_swapped(backend: EmojiBackend, sides: dict[str, str]) -> None:
    options = {"databases": "emoji", "new_style": "", "count": 1, "prompts": 1}
    with pytest.raises(ConfigError, match="two or more"):
        swap.SUITE.open(subject_of(backend, None), options | sides)
