"""DPG-Bench's scores on answers that were worked out by hand, its files, and whole runs with scripted answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.backends.emoji.backend import EmojiBackend
from core.evaluation.dpg import layout
from core.evaluation.dpg.questions import Question, as_published, check, mended, read_table
from core.evaluation.findings import Table
from core.evaluation.statistics import Estimate
from core.evaluation.suite import Pixels, Subject
from core.evaluation.suites.dpg import SUITE, DpgWork
from core.patches.database import PatchDatabase
from core.types import ConfigError
from tests.closeness import assert_close
from tests.rows import rows_of
from tests.traces import SETTINGS

HEAD = (
    "item_id,text,keywords,proposition_id,dependency,category_broad,category_detailed,tuple,question_natural_language"
)
ROWS = (
    'dogs,"two dogs, wet",,1,0,entity,whole,entity - whole (dogs),Are there dogs?',
    "dogs,,,2,1,other,count,other - count (dogs == 2),Are there two dogs?",
    'dogs,,,3,"1, 2",attribute,color,"attribute - color (dogs, red)",Are the dogs red?',
    "cat,,,1,0,entity,whole,entity - whole (cat),Is there a cat?",
    "cat,,,2,1,global,,global - (photo),Is it a photo?",
)


def table(path: Path, rows: Sequence[str] = ROWS, head: str = HEAD) -> str:
    """A table of questions."""
    path.write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    return str(path)


def ask(number: int, parents: tuple[int, ...] = (), row: int = 0, named: str = "entity - whole") -> Question:
    """A question; its row is 10 beyond its number if it is not said."""
    broad, _, detailed = named.partition(" - ")
    return Question(row or number + 10, number, parents, broad, detailed, named, "?")


def said(*yes: bool, first: int = 11) -> dict[int, bool]:
    """Answers to the questions of rows from `first` on."""
    return dict(enumerate(yes, first))


# -- scores -----------------------------------------------------------------------------------------------------------


def test_questions_are_gated_by_all_that_they_depend_on() -> None:
    chain = [ask(1), ask(2, (1,)), ask(3, (2,)), ask(4)]
    assert mended(chain, [said(True, True, True, True)]).score == 1
    assert mended(chain, [said(False, True, True, True)]).score == 1 / 4  # the grandchild goes, too
    assert mended(chain, [said(True, False, True, True)]).score == 2 / 4
    assert mended([ask(1), ask(2), ask(3, (1, 2))], [said(True, False, True)]).score == 1 / 3
    assert mended(chain, [said(True, True, True, True), said(False, True, True, False)]).score == 1 / 2


def test_the_order_of_the_table_matters_only_as_published() -> None:
    turned = [ask(3, (2,), 11), ask(2, (1,), 12), ask(1, (), 13)]  # children before their parents
    answers = [said(True, True, False)]
    assert mended(turned, answers).score == 0
    published = as_published(turned, answers)
    assert published is not None
    assert published.score == 1 / 3  # question 3 was asked before 2 was gated


def test_categories_as_published_are_the_last_picture_without_gates() -> None:
    questions = [ask(1), ask(2, (1,), named="other - count")]
    answers = [said(True, True), said(False, True)]
    published, ours = as_published(questions, answers), mended(questions, answers)
    assert published is not None
    assert published.score == ours.score == 1 / 2
    assert published.categories == {"entity - whole": [0], "other - count": [1]}
    assert published.broad == {"entity": [0], "other": [1]}
    assert ours.categories == {"entity - whole": [1, 0], "other - count": [1, 0]}


def test_the_first_row_is_skipped_as_published() -> None:
    lone = [ask(1, row=2), ask(2, row=3)]
    published = as_published(lone, [said(False, True, first=2)])
    assert published is not None
    assert published.score == 1
    assert mended(lone, [said(False, True, first=2)]).score == 1 / 2
    gated = [ask(1, row=2), ask(2, (1,), 3)]  # the scorer fails on the parent that it skipped
    assert as_published(gated, [said(True, True, first=2)]) is None
    assert mended(gated, [said(True, True, first=2)]).score == 1
    assert as_published([ask(1, row=2)], [said(True, first=2)]) is None


def test_what_the_released_reader_keeps() -> None:
    apart = [ask(1, row=11), ask(2, row=12), ask(3, row=20)]  # rows of another item stand between
    published = as_published(apart, [{11: False, 12: False, 20: True}])
    assert published is not None
    assert published.score == 1
    after_a_no = [ask(1), ask(2, (1, 9))]  # no is found before the parent that is not there
    assert as_published(after_a_no, [said(False, True)]) is not None
    assert as_published(after_a_no, [said(True, True)]) is None


@pytest.mark.parametrize(
    ("questions", "told"),
    [
        ([ask(1, (2,)), ask(2, (1,)), ask(3)], r"wait for each other \(rows 11, 12\)"),
        ([ask(1, (1,))], r"\(rows 11\)"),
        ([ask(1), ask(2, (7,))], "parent 7 in row 12"),
        ([ask(1), ask(1, row=15)], r"question 1 twice \(rows 11 and 15\)"),
        ([ask(n) for n in range(1, 1002)], "at most 1000"),
    ],
)
def test_gates_that_mean_nothing_are_told_with_their_rows(questions: list[Question], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        check("dogs", questions)


# -- files ------------------------------------------------------------------------------------------------------------


def test_tables_are_read_with_marks_and_other_delimiters(tmp_path: Path) -> None:
    plain = read_table(table(tmp_path / "q.csv"))
    assert [question.parents for question in plain["dogs"]] == [(), (1,), (1, 2)]
    assert [question.row for question in plain["dogs"]] == [2, 3, 4]
    assert plain["cat"][0].named == "entity - whole"
    assert (plain["cat"][1].broad, plain["cat"][1].detailed, plain["cat"][1].named) == ("global", "", "global -")
    text = (tmp_path / "q.csv").read_text(encoding="utf-8").replace('"1, 2"', "1.0 & 2")
    other = text.replace('"two dogs, wet"', "wet").replace('"attribute - color (dogs, red)"', "attribute - color (red)")
    other = "\ufeff" + other.replace(",", ";").replace("1.0 & 2", "1.0,2") + "\n;;\n"
    (tmp_path / "q.csv").write_text(other, encoding="utf-8", newline="\r\n")
    again = read_table(str(tmp_path / "q.csv"))
    assert [question.parents for question in again["dogs"]] == [(), (1,), (1, 2)]


@pytest.mark.parametrize(
    ("rows", "head", "told"),
    [
        (ROWS, "a,b", "without the columns item_id"),
        ((), HEAD, "without any question"),
        ((ROWS[0].replace(",1,0,", ",one,0,"),), HEAD, "row 2: got 'one' for proposition_id"),
        ((ROWS[0].replace(",1,0,", ",1,none,"),), HEAD, "row 2: got 'none' for dependency"),
        ((ROWS[0].replace(",1,0,", ",0,0,"),), HEAD, "proposition_id 0"),
        ((ROWS[0], "dogs,,,2"), HEAD, "row 3: got nothing for dependency"),
        ((ROWS[0], 'dogs,"' + "x" * 200_000), HEAD, "damaged"),
    ],
)
def test_tables_that_cannot_be_read_are_told(tmp_path: Path, rows: Sequence[str], head: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        read_table(table(tmp_path / "q.csv", rows, head))


def test_four_pictures_are_one_and_four_again(tmp_path: Path) -> None:
    pictures = [np.full((4, 6, 3), 40 * n, np.uint8) for n in range(4)]
    layout.write(tmp_path, "dogs", pictures)
    read = layout.reader(tmp_path, {"dogs-1": "dogs"})
    for n, picture in enumerate(pictures):
        assert np.array_equal(read("dogs-1", n), picture)
    assert "no picture 5" in str(read("dogs-1", 4))
    assert "dogs.png" in str(layout.reader(tmp_path / "none", {"k": "dogs"})("k", 0))


# -- runs -------------------------------------------------------------------------------------------------------------


@dataclass
class Script:
    """Says yes to all but the questions with this word, and to these about dark pictures alone."""

    word: str = "two"
    name: str = "a script"
    published: bool = False

    def answers(self, pixels: Pixels, questions: Sequence[str]) -> Sequence[str]:
        """As it always says."""
        return ["Yes " if self.word not in question or pixels.mean() < 50 else "no" for question in questions]


@pytest.fixture
def subject(backend: EmojiBackend, database: PatchDatabase) -> Subject:
    return Subject("tiny", backend, "tiny", database, SETTINGS)


@pytest.fixture
def given(tmp_path: Path) -> dict[str, Any]:
    """Options of a small benchmark."""
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "dogs.txt").write_text("two dogs,\nwet", encoding="utf-8")
    (tmp_path / "prompts" / "cat.txt").write_text("\ufeffa cat", encoding="utf-8")
    usual = {"count": 0, "methods": "", "pictures": [], "answerer": "", "export": ""}
    return {**usual, "prompts": str(tmp_path / "prompts"), "questions": table(tmp_path / "q.csv")}


def scripted(work: DpgWork) -> DpgWork:
    """With a judge that is given as an object."""
    work._answerer = Script()
    return work


def test_a_run_scores_both_ways_and_exports_what_it_can_judge_again(
    subject: Subject, given: dict[str, Any], tmp_path: Path
) -> None:
    for arm, grey in (("plain", 200), ("dark", 0)):
        (tmp_path / arm).mkdir()
        for item in ("dogs", "cat"):
            Image.new("RGB", (8, 8), (grey,) * 3).save(tmp_path / arm / f"{item}.png")
    rows = rows_of(
        scripted(SUITE.open(subject, {**given, "pictures": [str(tmp_path / "plain"), str(tmp_path / "dark")]}))
    )
    assert [row.key for row in rows] == ["cat", "dogs"]
    cat, dogs = rows
    assert cat.figures["plain"] == {"dpg": 100.0, "dpg_as_published": 100.0}
    assert_close(dogs.figures["plain"]["dpg"], 100 / 3)  # not two of them, so that their colour counts neither
    assert "dpg_as_published" not in dogs.figures["plain"]  # the first row is skipped, and others depend on it
    main, categories, pictures, released = SUITE.findings(rows, given)
    assert "Not comparable" in main.text
    scores, gains = (block for block in main.blocks if isinstance(block, Table))
    values = {row[0]: [cell.value for cell in row[1:] if isinstance(cell, Estimate)] for row in scores.rows}
    assert values["as published"] == [100.0, 100.0]
    assert_close(values["mended"], [200 / 3, 100.0])
    assert_close(gains.rows[1][1].value, 100 / 3)  # type: ignore[union-attr]
    assert any("other - count" in row for block in categories.blocks for row in block.rows)  # type: ignore[union-attr]
    assert pictures.blocks[0].rows == (("plain", "dogs"), ("dark", "dogs"))  # type: ignore[union-attr]
    assert "README" in released.blocks[0].note  # type: ignore[union-attr]


def test_drawn_pictures_are_kept_where_nothing_judges(subject: Subject, given: dict[str, Any], tmp_path: Path) -> None:
    out = tmp_path / "out"
    work = SUITE.open(subject, {**given, "methods": "model", "questions": "", "export": str(out), "count": 1})
    (row,) = rows_of(work)
    assert row.figures == {}
    assert "dpg_bench.csv" in row.unavailable["dpg"]
    assert "BSD-3-Clause" in row.unavailable["dpg"]
    whole = np.asarray(Image.open(out / "model" / "cat.png"))
    assert whole.shape == (128, 128, 3)
    assert np.array_equal(whole[:64, :64], row.pixels("model")[0])
    assert SUITE.findings([row], given)[0].title == "DPG-Bench"


def test_a_bad_item_is_told_when_it_is_measured(subject: Subject, given: dict[str, Any], tmp_path: Path) -> None:
    given["questions"] = table(tmp_path / "q.csv", [ROWS[3], ROWS[1]])
    work = scripted(SUITE.open(subject, given))
    assert len(work.items()) == 2
    with pytest.raises(ConfigError, match="parent 1 in row 3"):
        work.measure(work.items()[1])


def test_prompts_that_the_model_does_not_take_are_left_out_and_told(
    subject: Subject, given: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "prompts" / "long.txt").write_text("two dogs " * 40, encoding="utf-8")
    work = scripted(SUITE.open(subject, given))
    assert [item.key for item in work.items()] == ["cat", "dogs"]
    told = work.measure(work.items()[0]).unavailable["longer prompts"]
    assert told == "1 of 3 are left out, since tiny takes 1 to 300 characters; no figure is of them"
    for name in ("cat.txt", "dogs.txt"):
        (tmp_path / "prompts" / name).unlink()
    with pytest.raises(ConfigError, match="no prompt of at most 300 characters"):
        SUITE.open(subject, given)


def test_what_cannot_be_measured_is_told_at_once(subject: Subject, given: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "twice").mkdir()
    for name in ("A b.txt", "a-b.txt"):
        (tmp_path / "twice" / name).write_text("a cat", encoding="utf-8")
    for wrong, told in (
        ({"prompts": ""}, "give --prompts"),
        ({"prompts": str(tmp_path / "empty")}, "without any .txt"),
        ({"prompts": str(tmp_path / "twice")}, "file name"),
        (
            {"questions": table(tmp_path / "o.csv", [ROWS[0].replace("dogs,", "birds,", 1)])},
            "without any of the prompts",
        ),
        ({"answerer": "core.types:nothing"}, "expected a function"),
    ):
        with pytest.raises(ConfigError, match=told):
            SUITE.open(subject, {**given, **wrong})
