"""The suite generation: what it draws and compares with, and what it says of rows that are made by hand."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.backends.emoji.backend import EmojiBackend
from core.evaluation import real, wanted
from core.evaluation.arms import arm_text, arms_of, compared, method_of, own_arms, possible_methods
from core.evaluation.findings import Section, Sheet, Table
from core.evaluation.generation_findings import found
from core.evaluation.identify import for_tuning
from core.evaluation.seeing import fitted, judged, judges_of
from core.evaluation.statistics import Estimate
from core.evaluation.suite import Drawn, Measured, Subject
from core.evaluation.suites.generation import SUITE, GenerationWork
from core.patches.database import PatchDatabase
from core.types import ConfigError
from tests.closeness import assert_close
from tests.rows import MemoryRow, rows_of
from tests.traces import SETTINGS


@pytest.fixture(scope="module")
def subject(backend: EmojiBackend, database: PatchDatabase) -> Subject:
    return Subject("tiny", backend, "tiny", database, SETTINGS)


def options(**changes: Any) -> dict[str, Any]:
    parser = argparse.ArgumentParser()
    SUITE.add_arguments(parser)
    return vars(parser.parse_args([])) | changes


@pytest.fixture(scope="module")
def rows(subject: Subject) -> list[MemoryRow]:
    """A small run: four prompts, two methods."""
    return rows_of(SUITE.open(subject, options(count=4, methods="model,daid", real=8)))


def table(section: Section, n: int = 0) -> Table:
    block = section.blocks[n]
    assert isinstance(block, Table)
    return block


def cells(of: Table) -> dict[str, dict[str, Any]]:
    return {str(row[0]): dict(zip(of.head, row, strict=True)) for row in of.rows}


def test_arms_are_methods_and_weights(subject: Subject, backend: EmojiBackend) -> None:
    assert possible_methods(subject) == ("model", "daid", "faid", "faid+daid")
    assert possible_methods(Subject("tiny", backend, "none", None, SETTINGS)) == ("model",)
    arms = arms_of(subject, "", "0.2,0.05")
    assert list(arms) == ["model", "daid-0.2", "daid-0.05", "faid", "faid+daid-0.2", "faid+daid-0.05"]
    assert arms["faid+daid-0.05"].retrieval_weight == 0.05
    assert list(arms_of(subject, "daid", "")) == ["daid"]
    assert (method_of("faid+daid-0.05"), method_of("model")) == (("faid+daid", 0.05), ("model", None))
    for methods, weights in (("dai", ""), ("daid", "0"), ("daid", "much"), ("daid", "1.5")):
        with pytest.raises(ConfigError, match="expected"):
            arms_of(subject, methods, weights)


def test_arms_of_ones_own_are_a_method_with_other_settings(subject: Subject) -> None:
    text = arm_text("wide", "daid", {"gate": 0.0, "n_neighbours": 9, "aggregate": "nearest"})
    assert text == "wide=daid,gate=0.0,n_neighbours=9,aggregate=nearest"
    assert own_arms([text]) == {"wide": ("daid", {"gate": 0.0, "n_neighbours": 9, "aggregate": "nearest"})}
    arms = arms_of(subject, "model,daid", "", [text])
    assert arms["wide"] == replace(SETTINGS, method="daid", gate=0.0, n_neighbours=9, aggregate="nearest")
    assert compared(subject, arms, [text])["wide"]["as_set"] == "daid"
    weighed = arms_of(subject, "daid", f"0.7,{SETTINGS.retrieval_weight:g}", [text])
    assert compared(subject, weighed, [text])["wide"]["as_set"] == f"daid-{SETTINGS.retrieval_weight:g}"
    assert compared(subject, arms_of(subject, "model", "", [text]), [text]) == {}


@pytest.mark.parametrize(
    "text",
    ["wide", "daid=daid,gate=0", "real=daid,gate=0", "Wide=daid", "wide=dai", "wide=daid,gates=0", "wide=daid,gate=off",
     "wide=daid,seed=3", "wide=daid,gate=-1", "wide=daid,gate"],
)  # fmt: skip
def test_what_is_no_arm_is_told(subject: Subject, text: str) -> None:
    with pytest.raises(ConfigError, match="expected"):
        arms_of(subject, "model", "", [text])


def test_prompts_are_captions_that_choose_no_settings(database: PatchDatabase, tmp_path: Path) -> None:
    asked = wanted.captions_of(database, 5)
    assert len(asked) == 5
    for one in asked:
        info = database.image_info(one.image)
        assert (one.concept, one.style) == (info.caption, info.style)
        assert one.prompt == f"{info.caption}, {info.style} style"
        assert not for_tuning(one.concept)
    (tmp_path / "prompts.txt").write_text("a dog\n\n  a red heart \r\nmore\n", encoding="utf-8")
    assert [one.prompt for one in wanted.in_file(str(tmp_path / "prompts.txt"), 2)] == ["a dog", "a red heart"]
    (tmp_path / "prompts.txt").write_text("a dog\n" + "x" * 1001, encoding="utf-8")
    with pytest.raises(ConfigError, match="in line 2"):
        wanted.in_file(str(tmp_path / "prompts.txt"), 2)


def test_every_arm_draws_the_same_prompts_with_seeds_that_draw_again(rows: list[MemoryRow]) -> None:
    asked = [row for row in rows if row.about["kind"] == "asked"]
    drawn = [one for row in asked for one in row.measured.pictures["daid"]]
    assert [one.settings.seed for one in drawn] == [SETTINGS.seed + n for n in range(4)]
    plain = [one for row in asked for one in row.measured.pictures["model"]]
    assert [one.prompt for one in plain] == [one.prompt for one in drawn]
    assert all(one.linkable for one in drawn)


def test_real_pictures_leave_out_what_is_asked_for(subject: Subject, database: PatchDatabase) -> None:
    asked = [one.image for one in wanted.captions_of(database, 4)]
    others = real.of_database(subject.backend, database, 100, asked)
    assert isinstance(others, real.Restored)
    assert "keeps no pictures" in others.note
    assert len(others) == len(database.images) - 4
    assert_close(others.read(0), real.restored(subject.backend, database, sorted(set(range(12)) - set(asked))).read(0))


def test_pictures_of_a_folder_are_brought_to_size_and_bad_ones_told(subject: Subject, tmp_path: Path) -> None:
    Image.new("RGB", (30, 50), "red").save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"nothing")
    given = real.given_reference(subject.backend, str(tmp_path), 10)
    shot = given.read(0)
    assert not isinstance(shot, str)
    assert shot.shape == (64, 64, 3)
    assert shot[0, 0].tolist() == [255, 0, 0]
    assert "b.png" in str(given.read(1))
    work = GenerationWork(subject, options(count=1, methods="model", reference=str(tmp_path)))
    measured = work.measure(next(item for item in work.items() if item.about["kind"] == "reference"))
    assert list(measured.unavailable) == ["reference 1"]
    assert measured.figures["reference"]["pictures"] == 1
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="without pictures"):
        real.given_reference(subject.backend, str(tmp_path / "empty"), 1)


def test_no_real_pictures_are_an_error_that_says_what_to_give(backend: EmojiBackend, tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("a dog", encoding="utf-8")
    alone = Subject("tiny", backend, "none", None, SETTINGS)
    with pytest.raises(ConfigError, match="give --reference"):
        SUITE.open(alone, options(prompts=str(tmp_path / "prompts.txt")))
    with pytest.raises(ConfigError, match="give --prompts FILE"):
        SUITE.open(alone, options())


def test_judges_need_pictures_of_known_styles(backend: EmojiBackend, database: PatchDatabase) -> None:
    assert "with pictures of known styles" in str(judges_of(backend, database))
    assert "in memory" in str(judges_of(backend, None))


def test_what_is_missing_is_told_with_every_drawn_row(rows: list[MemoryRow]) -> None:
    told = next(row for row in rows if row.about["kind"] == "asked").unavailable
    assert sorted(told) == ["CMMD and CLIPScore", "FD-DINOv2", "Inception FID", "prompt adherence"]


def test_a_run_says_its_distances_with_intervals(rows: list[MemoryRow]) -> None:
    sections = found(rows)
    assert [section.title for section in sections] == ["Distances to real pictures: database", "Pictures"]
    values, pairs = cells(table(sections[0])), cells(table(sections[0], 1))
    assert list(values) == ["model", "daid", "reconstruction"]
    assert list(pairs) == ["daid"]
    for name in ("FWD", "FD on the judges' shapes", "density"):
        assert isinstance(values["daid"][name], Estimate)
        assert values["daid"][name].n == 4
        assert_close(pairs["daid"][name].value, values["daid"][name].value - values["model"][name].value, least=1.0)
    assert values["daid"]["coverage"].n == 8  # of the real ones
    sheet = sections[1].blocks[0]
    assert isinstance(sheet, Sheet)
    assert {(one.arm, one.item) for one in sheet.shown} == {("model", "asked-00000"), ("daid", "asked-00000")}


def test_the_same_pictures_are_no_farther_than_the_model_alone(rows: list[MemoryRow]) -> None:
    """Where an arm draws what the model draws, all differences are 0, with no interval."""
    copied = [_with_copy(row) if row.about["kind"] == "asked" else row for row in rows]
    pairs = cells(table(found(copied)[0], 1))
    assert all((e.value, e.low, e.high) == (0, 0, 0) for e in list(pairs["daid"].values())[1:])


def _with_copy(row: MemoryRow) -> MemoryRow:
    arrays = {name: row.array(name.replace("-daid", "-model")) for name in row.measured.arrays}
    pictures = dict.fromkeys(row.measured.pictures, row.measured.pictures["model"])
    return MemoryRow(row.key, row.about, Measured(row.figures, pictures, arrays, row.details))


def by_hand(said: Mapping[str, Mapping[str, list[float]]]) -> MemoryRow:
    """A row of judged pictures without any picture."""
    about = {"kind": "asked", "wanted": [], "first": 0}
    details = {"judged": said, "networks": {}, "judges": {"style_judge_accuracy": 0.75}}
    return MemoryRow("asked-00000", about, Measured({arm: {"pictures": 2.0} for arm in said}, details=details))


def test_adherence_is_the_mean_of_what_judges_said_paired_by_picture() -> None:
    row = by_hand({"model": {"concept": [1, 0.5], "style": [1, 0]}, "daid": {"concept": [0.5, 0.5], "style": [1, 1]}})
    sections = [section for section in found([row]) if section.title == "What was asked for"]
    concept, style = (cells(table(sections[0], n)) for n in (0, 1))
    assert concept["model"]["concept, mean reciprocal rank"].value == 0.75
    assert concept["daid"]["less model"].value == -0.25
    assert (concept["daid"]["less model"].low, concept["daid"]["less model"].high) == (-0.5, 0)
    assert style["daid"]["less model"].value == 0.5
    assert "style judge accuracy 0.75" in sections[0].text


def test_a_comparison_says_what_is_better_and_what_is_not() -> None:
    said = {"concept": [0.5] * 4, "style": [1.0, 0, 1, 0], "copied": [0.2, 0.3, 0.2, 0.3]}
    other = {"concept": [1.0] * 4, "style": [0.0, 1, 1, 0], "copied": [0.5, 0.6, 0.5, 0.6]}
    row = by_hand({"model": said, "daid": said, "wide": other})
    row = replace(row, about={**row.about, "compared": {"wide": {"as_set": "daid", "changes": "gate 0.0"}}})
    (section,) = [section for section in found([row]) if section.title == "Pictures drawn as wide and as daid"]
    values = cells(table(section))
    assert values["concept, mean reciprocal rank"]["wide - daid"].value == 0.5
    assert values["style right"]["wide - daid"].value == 0
    assert "better: concept, mean reciprocal rank; worse: codes of the nearest picture" in section.text
    assert "no difference that shows: style right" in section.text
    assert "Neither is better in everything." in section.text


class Judge:
    """Says what it is told."""

    def __init__(self, names: tuple[str, ...], says: list[str]) -> None:
        self.names, self.says = names, says

    def predict(self, features: Any) -> list[str]:
        return self.says[: len(features)]


class Judges:
    """As `identify.Judges`, scripted."""

    def __init__(self) -> None:
        self.style, self.colour = Judge(("3d", "flat"), ["3d", "3d"]), Judge(("red",), ["red", "blue"])
        self.gallery = self
        self.concepts = ("dog", "heart")

    def looks(self, pictures: Any, grids: Any) -> Any:
        return grids

    def ranks(self, pictures: Any, concepts: Any, styles: Any) -> Any:
        return np.array([1, 4])


def test_only_what_is_asked_for_and_known_is_judged() -> None:
    pictures = [Drawn(np.zeros((64, 64, 3), np.uint8), "", SETTINGS, np.zeros((2, 2), np.uint16)) for _ in range(2)]
    judges: Any = Judges()
    both = [wanted.Wanted("", "dog", "3d"), wanted.Wanted("", "heart", "flat")]
    assert judged(judges, both, pictures) == {"concept": [1, 0.25], "style": [1, 0]}
    assert judged(judges, [wanted.Wanted("a dog"), wanted.Wanted("a cat")], pictures) == {}
    red = [wanted.Wanted("", "dog", "3d", "red")] * 2
    assert judged(judges, red, pictures) == {"colour": [1, 0]}


def test_pictures_are_fitted_to_what_judges_take() -> None:
    assert fitted(np.zeros((2, 64, 64, 3), np.uint8)).shape == (2, 128, 128, 3)
    large = np.zeros((1, 384, 384, 3), np.uint8)
    assert fitted(large) is large
