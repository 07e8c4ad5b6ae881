"""What a picture costs: every arm in every turn, and paired medians of what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from core.backends.complete import complete
from core.backends.emoji.backend import EmojiBackend
from core.commands.work.evaluating.embedded import asked
from core.evaluation.embedded import ENTRIES, LIKELIHOOD, Entry, with_arm
from core.evaluation.findings import Plot, Table
from core.evaluation.statistics import Estimate
from core.evaluation.store import StoredRow
from core.evaluation.suite import Row, Subject
from core.evaluation.suites import SUITES
from core.evaluation.suites.latency import PARTS, SUITE, UNHEARD
from core.patches.database import PatchDatabase
from core.types import METHODS, DecodeSettings

SETTINGS = DecodeSettings(n_neighbours=4, caption_filter=0, cfg_scale=1.0)


def test_a_turn_times_every_method(backend: EmojiBackend, database: PatchDatabase) -> None:
    work = SUITE.open(Subject("tiny", complete(backend), "tiny", database, SETTINGS), {"count": 3})
    items = work.items()
    assert [item.about["turn"] for item in items] == [0, 1, 2]
    assert len({item.about["prompt"] for item in items}) == 3
    measured = work.measure(items[1])
    assert list(measured.figures) == ["model", UNHEARD, "daid", "faid", "faid+daid"]
    for arm, figures in measured.figures.items():
        assert figures["positions"] == 64
        assert figures["cpu"] > 0
        assert sum(figures[part] for part in PARTS) == pytest.approx(figures["seconds"])
        assert (figures["search"] > 0) or arm == "model"
    assert set(measured.details) == {"processor", "arithmetic", "load"}


def test_what_cannot_be_drawn_is_no_arm(backend: EmojiBackend, database: PatchDatabase) -> None:
    plain = Subject("tiny", complete(backend), "none", None, SETTINGS)
    assert list(SUITE.open(plain, {"count": 1})._arms) == ["model"]
    unheard = replace(plain, database=database, settings=replace(SETTINGS, retrieval_weight=0))
    found = SUITE.open(unheard, {"count": 1})._arms
    assert set(found) == {UNHEARD, *METHODS}
    assert all(settings.retrieves for arm, settings in found.items() if arm != "model")


def rows_of(*seconds: tuple[float, float]) -> Sequence[Row]:
    """Turns in which model and DAiD took so many seconds."""
    details = {"processor": "a", "arithmetic": "b", "load": 1.5}
    shares = {"model": 0.5, "search": 0.25, "blend": 0.125, "rest": 0.125}
    return [
        StoredRow(
            Path(), f"turn-{n}", {}, details=details, figures={
                arm: {"seconds": s, "cpu": s / 2, "positions": 10.0, **{k: v * s for k, v in shares.items()}}
                for arm, s in (("model", model), ("daid", daid))
            },
        )
        for n, (model, daid) in enumerate(seconds)
    ]  # fmt: skip


def test_medians_are_paired() -> None:
    whole, parts = SUITE.findings(rows_of((2, 3), (4, 8), (10, 20)), {"count": 3})
    (table,) = whole.blocks
    assert isinstance(table, Table)
    model, daid = table.rows
    assert model[:4] == ("model", Estimate(2, 1, 5, 3), "", "")
    values = [cell.value for cell in daid[1:] if isinstance(cell, Estimate)]
    assert values == [4, 2, 2, 8, 400]  # the medians of 0.5, 2, 5 and of 1.5, 2, 2
    by_part, plot = parts.blocks
    assert isinstance(by_part, Table)
    assert isinstance(plot, Plot)
    shown = by_part.rows[1][-1]
    assert isinstance(shown, Estimate)
    assert shown.value == pytest.approx(0.25)
    assert plot.labels == ("model", "daid")
    assert [line.y for line in plot.lines][1] == (1, 2)


def test_what_is_measured_of_the_embedded_models_can_be_asked_for(tmp_path: Path) -> None:
    assert len({entry.name for entry in ENTRIES}) == len(ENTRIES)
    for entry in ENTRIES:
        assert entry.suite in SUITES
        chosen = asked(entry, tmp_path, 2)
        assert (chosen.suite, chosen.backend, chosen.database) == (entry.suite, entry.model, entry.database)
        assert entry.options.items() <= chosen.options.items()
    drawing = [with_arm(entry, "chosen=daid,gate=0") for entry in ENTRIES if entry.compares]
    assert [asked(entry, tmp_path, 1).options["arms"] for entry in drawing] == [["chosen=daid,gate=0"]] * 2
    assert LIKELIHOOD.options["control"].endswith(".backends.emoji.backend:load_control")
    chosen = asked(Entry("latency", "novice", "unseen", {"count": 3}, {"n_neighbours": 8}), tmp_path, 1)
    assert (chosen.options, chosen.neighbours, chosen.backend) == ({"count": 3}, "8", "novice")
