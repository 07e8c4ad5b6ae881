"""DPG-Bench's table of questions, and how answers become scores. Pure functions.

Two ways: as the released scorer has them (github.com/TencentQQGYLab/ELLA, dpg_bench/compute_dpg_bench.py), and with its
known faults mended. Released: the first row of the table is skipped (issue 61 there); of rows of one item that do not
stand together only the last ones count; a question is gated by its parents in the order of the table; a prompt with a
parent that is not there is left out; categories are those of the tuple, and their scores are of the answers to the last
picture as they were, without gating (issue 60 there). Mended: every row counts, a question is gated by its parents,
theirs, and so on, and categories are scored by the gated answers to all pictures.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ...types import ConfigError
from ..given import read_text

OPTION: Final = "questions"
COLUMNS: Final = (
    "item_id", "proposition_id", "dependency", "category_broad", "category_detailed", "tuple",
    "question_natural_language",
)  # fmt: skip
"""Those of the table that are read; `text` and `keywords` are not, as the prompts' files say what is drawn."""

MAY_BE_EMPTY: Final = "category_detailed"
"""As of the category global, which has no parts."""

DELIMITERS: Final = (",", ";", "\t")
MOST: Final = 1000
"""Questions of one item."""

FIRST_ROW: Final = 2
"""Number of the first row below the head, which the released scorer skips."""


@dataclass(frozen=True, slots=True)
class Question:
    """A row of the table; row: its number in the file, without empty ones, the head being the first.

    number: of the question within its prompt; parents: numbers of the questions whose answers have to be yes, too;
    broad, detailed: its category; named: the category as its tuple names it, such as "attribute - color".
    """

    row: int
    number: int
    parents: tuple[int, ...]
    broad: str
    detailed: str
    named: str
    text: str

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Question:
        """A question from `dataclasses.asdict` by way of JSON."""
        return cls(**{**values, "parents": tuple(values["parents"])})


def read_table(path: str) -> dict[str, tuple[Question, ...]]:
    """The questions of every item, in the order of the file; ConfigError that names the row of what cannot be read."""
    text = read_text(path, OPTION)
    head = text.split("\n", 1)[0]
    delimiter = max(DELIMITERS, key=head.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    found: dict[str, list[Question]] = {}
    try:
        names = [name.strip() for name in next(rows)]
        if missing := [name for name in COLUMNS if name not in names]:
            got = f"got {path} without the columns {', '.join(missing)}"
            raise ConfigError(f"{OPTION}: {got}; expected DPG-Bench's table, comma-separated, with a head")
        there = (cells for cells in rows if any(cell.strip() for cell in cells))
        for number, cells in enumerate(there, start=FIRST_ROW):
            item, question = _question(number, dict(zip(names, cells, strict=False)))
            found.setdefault(item, []).append(question)
    except csv.Error as error:
        raise ConfigError(f"{OPTION}: got {path}, damaged after line {rows.line_num} ({error})") from None
    if not found:
        raise ConfigError(f"{OPTION}: got {path} without any question, expected at least one")
    return {item: tuple(questions) for item, questions in found.items()}


def _question(row: int, cells: Mapping[str, str]) -> tuple[str, Question]:
    """Item and question of a row."""
    where = f"{OPTION}, row {row}"
    if missing := [name for name in COLUMNS if name != MAY_BE_EMPTY and not cells.get(name, "").strip()]:
        raise ConfigError(f"{where}: got nothing for {missing[0]}, expected something")
    item, broad, detailed, named, text = (
        cells.get(name, "").strip() for name in ("item_id", *COLUMNS[3:5], "tuple", "question_natural_language")
    )
    parents = tuple(_number(where, "dependency", part) for part in cells["dependency"].split(","))
    number = _number(where, "proposition_id", cells["proposition_id"])
    if number == 0:
        raise ConfigError(f"{where}: got proposition_id 0, expected a number from 1 on, as 0 stands for no parent")
    tuple_category = named.split("(")[0].strip()
    return item, Question(row, number, tuple(p for p in parents if p), broad, detailed, tuple_category, text)


def _number(where: str, name: str, text: str) -> int:
    """A whole number, also as "3.0", which tables that went through a spreadsheet have."""
    found = re.fullmatch(r"([0-9]{1,6})(\.0+)?", text.strip())
    if not found:
        raise ConfigError(f"{where}: got {text!r:.40} for {name}, expected whole numbers from 0 on")
    return int(found[1])


def check(item: str, questions: Sequence[Question]) -> None:
    """ConfigError that names the rows of questions whose gates mean nothing: double numbers, parents that are not
    there, and questions that are gated by themselves in the end.
    """
    if len(questions) > MOST:
        raise ConfigError(f"{OPTION}, item {item}: got {len(questions)} questions, expected at most {MOST}")
    by_number: dict[int, Question] = {}
    for question in questions:
        if other := by_number.get(question.number):
            rows = f"rows {other.row} and {question.row}"
            raise ConfigError(f"{OPTION}, item {item}: got question {question.number} twice ({rows}), expected it once")
        by_number[question.number] = question
    for question in questions:
        for parent in question.parents:
            if parent not in by_number:
                got = f"got parent {parent} in row {question.row}, which no question has for its number"
                raise ConfigError(f"{OPTION}, item {item}: {got}; mend the table")
    if waiting := by_number.keys() - _parents_first(by_number):
        rows = ", ".join(str(by_number[number].row) for number in sorted(waiting))
        raise ConfigError(
            f"{OPTION}, item {item}: got questions that wait for each other (rows {rows}); mend the table"
        )


def _parents_first(by_number: Mapping[int, Question]) -> list[int]:
    """The questions in an order in which parents come first; without those that wait for themselves in the end."""
    left, order = dict(by_number), list[int]()
    while ready := [number for number, each in left.items() if not any(parent in left for parent in each.parents)]:
        order += ready
        for number in ready:
            del left[number]
    return order


# -- Scores -----------------------------------------------------------------------------------------------------------

Answers = Sequence[Mapping[int, bool]]
"""For each picture of a prompt, whether each question, by its row in the table, was answered yes."""


@dataclass(frozen=True, slots=True)
class Scored:
    """What the answers about one prompt are worth.

    score: 0..1, the mean over pictures of the share of questions; categories: [category] the scores that count for it;
    broad: the same by broad category.
    """

    score: float
    categories: Mapping[str, Sequence[float]]
    broad: Mapping[str, Sequence[float]]


def mended(questions: Sequence[Question], answers: Answers) -> Scored:
    """Gated through all ancestors. questions: that `check` has nothing against; answers: of at least one picture."""
    gated = [_gated(questions, each) for each in answers]
    categories: dict[str, list[float]] = {}
    broad: dict[str, list[float]] = {}
    for each in gated:
        for question, score in zip(questions, each, strict=True):
            name = f"{question.broad} - {question.detailed}" if question.detailed else question.broad
            categories.setdefault(name, []).append(score)
            broad.setdefault(question.broad, []).append(score)
    return Scored(sum(sum(each) / len(each) for each in gated) / len(gated), categories, broad)


def _gated(questions: Sequence[Question], answers: Mapping[int, bool]) -> list[float]:
    """1 for every question that was answered yes as all were that it depends on, else 0."""
    by_number = {question.number: question for question in questions}
    holds: dict[int, bool] = {}
    for number in _parents_first(by_number):
        question = by_number[number]
        holds[number] = answers[question.row] and all(holds[parent] for parent in question.parents)
    return [float(holds[question.number]) for question in questions]


def as_published(questions: Sequence[Question], answers: Answers) -> Scored | None:
    """What the released scorer makes of the same answers; None where it would leave the prompt out."""
    kept = _as_read(questions)
    scores = [_gated_in_order(kept, each) for each in answers]
    known = [score for score in scores if score is not None]
    if not known or len(known) < len(scores):
        return None
    categories: dict[str, list[float]] = {}
    broad: dict[str, list[float]] = {}
    for question in kept.values():
        plain = float(answers[-1][question.row])
        categories.setdefault(question.named, []).append(plain)
        broad.setdefault(question.named.split("-")[0].strip(), []).append(plain)
    return Scored(sum(known) / len(known), categories, broad)


def _gated_in_order(kept: Mapping[int, Question], answers: Mapping[int, bool]) -> float | None:
    """The score of one picture; None where a parent that is looked at is not there, on which the scorer fails."""
    gated = {number: float(answers[question.row]) for number, question in kept.items()}
    for number, question in kept.items():
        for parent in question.parents:
            if parent not in gated:
                return None
            if gated[parent] == 0:
                gated[number] = 0.0
                break
    return sum(gated.values()) / len(gated) if gated else None


def _as_read(questions: Sequence[Question]) -> dict[int, Question]:
    """The questions of an item that the released reader keeps, by number, in its order.

    It skips the table's first row, starts anew where another item stands between two rows, and of a number that is
    there twice keeps the last row in the place of the first.
    """
    kept: dict[int, Question] = {}
    before = None
    for question in questions:
        if question.row == FIRST_ROW:
            continue
        if before is not None and question.row != before + 1:
            kept = {}
        kept[question.number] = question
        before = question.row
    return kept
