"""What the answers say: DPG-Bench's score as published and mended, by category, and differences between arms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from ..findings import Cell, Section, Sheet, Shown, Table
from ..statistics import Estimate, difference, mean, share
from ..suite import Row
from .questions import Answers, Question, Scored, as_published, mended

HOW: Final = """DPG-Bench (Hu et al. 2024, ELLA, arXiv 2403.05135): a model is asked every question of a prompt's \
table about each of its pictures; yes counts 1. A question whose parents were answered no counts 0. A picture's score \
is the mean over its questions, a prompt's the mean over its pictures, the benchmark's the mean over prompts, times \
100.

As published: as the released scorer computes it (github.com/TencentQQGYLab/ELLA), which skips the first row of the \
table (its issue 61), gates questions in the order of the table, leaves out prompts whose gates name a question that \
is not there, and scores categories by the answers to the last picture without gating (its issue 60). Mended: every \
row counts, questions are gated by all that they depend on, and categories are scored by gated answers to all \
pictures. Both are computed from the same answers.

Intervals hold 95 % of resampled runs; prompts are resampled, with all their pictures and questions."""

SUBSTITUTE: Final = (
    "Not comparable with published figures: these were judged by {judges}, and published ones by mPLUG-large "
    "(damo/mplug_visual-question-answering_coco_large_en of modelscope). Arms are comparable with each other."
)

RELEASED: Final = Table(
    ("model", "DPG-Bench"),
    (("Janus-Pro", 77.26), ("Janus-Pro, DAiD", 77.88), ("Janus-Pro, FAiD", 79.36)),
    digits=2,
    note="Source: README of the code that the authors of AR-RAG released; which way of the two is not said there. "
    "Nothing here was measured by this project.",
)

PUBLISHED, MENDED = "as published", "mended"
ON_SHEET = 8
"""Prompts on the contact sheet."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What one prompt's pictures of an arm are worth, both ways; published is None where that leaves it out."""

    mended: Scored
    published: Scored | None


def judged(questions: Sequence[Question], answers: Answers) -> Judged | None:
    """Both ways; None where no picture was asked about."""
    return Judged(mended(questions, answers), as_published(questions, answers)) if answers else None


def answers_of(shots: Sequence[Mapping[str, Any]]) -> Answers:
    """The answers that a row keeps of some pictures, of those that were asked about."""
    return [{int(row): bool(yes) for row, yes in shot["answers"].items()} for shot in shots if "answers" in shot]


def sections(rows: Sequence[Row]) -> list[Section]:
    """All findings; rows: of the suite dpg."""
    arms = list(dict.fromkeys(arm for row in rows for arm in row.details["arms"]))
    by_arm = {arm: {row.key: one for row in rows if (one := _judged(row, arm))} for arm in arms}
    there = {arm: ones for arm, ones in by_arm.items() if ones}
    found = [Section("DPG-Bench", _told(rows), tuple(_overall(there)) if there else ())]
    if there:
        found.append(Section("DPG-Bench: categories", "", tuple(_categories(there))))
    blocks = [block for block in (_left_out(rows, there), _unreadable(rows), _sheet(rows, arms)) if block is not None]
    return [
        *found,
        Section("DPG-Bench: pictures", "", tuple(blocks)),
        Section("DPG-Bench: released figures", "", (RELEASED,)),
    ]


def _judged(row: Row, arm: str) -> Judged | None:
    questions = [Question.from_json(values) for values in row.details["questions"]]
    return judged(questions, answers_of(row.details["arms"].get(arm, ())))


def _told(rows: Sequence[Row]) -> str:
    """How it was measured, and by what."""
    parts = [HOW]
    judges = dict.fromkeys(str(row.details["judges"]) for row in rows if row.details["judges"])
    if judges and not all(row.details["published"] for row in rows if row.details["judges"]):
        parts.append(SUBSTITUTE.format(judges=" / ".join(judges)))
    reasons = dict.fromkeys(reason for row in rows for reason in row.unavailable.values())
    return "\n\n".join([*parts, *(f"Unavailable: {reason}." for reason in reasons)])


Scores = Mapping[str, Mapping[str, Judged]]
"""[arm][key of the item]."""


def _overall(there: Scores) -> Iterator[Table]:
    """The benchmark's score by arm, and what each gains over the first."""
    lines: list[tuple[Cell, ...]] = [
        (way, *(_mean(list(_by_prompt(ones, way).values())) for ones in there.values())) for way in (PUBLISHED, MENDED)
    ]
    yield Table(("DPG-Bench", *there), tuple(lines), 2, "Points of 100; n counts prompts.")
    first, *others = there
    if not others:
        return
    lines = []
    for way in (PUBLISHED, MENDED):
        base, cells = _by_prompt(there[first], way), list[Cell]()
        for arm in others:
            ours = _by_prompt(there[arm], way)
            keys = [key for key in ours if key in base]
            pair = [ours[key] for key in keys], [base[key] for key in keys]
            cells.append(difference(*pair) if keys else "not judged")
        lines.append((way, *cells))
    head = ("DPG-Bench", *(f"{arm} - {first}" for arm in others))
    yield Table(head, tuple(lines), 2, "Points of 100; paired by prompt.")


def _by_prompt(ones: Mapping[str, Judged], way: str) -> dict[str, float]:
    """Points of each prompt that counts."""
    scored = {key: one.published if way == PUBLISHED else one.mended for key, one in ones.items()}
    return {key: 100 * one.score for key, one in scored.items() if one is not None}


def _mean(values: Sequence[float]) -> Estimate | str:
    return mean(values) if values else "not judged"


def _categories(there: Scores) -> Iterator[Table]:
    """Scores by category, broad ones first, both ways."""
    for way in (PUBLISHED, MENDED):
        by_arm = {arm: _by_category(list(ones.values()), way) for arm, ones in there.items()}
        names = sorted({name for found in by_arm.values() for name in found})
        lines = tuple(
            (kind, category, *(_category(found.get((kind, category), ())) for found in by_arm.values()))
            for kind, category in names
        )
        note = f"{way.capitalize()}. Points of 100, the mean over all questions of a category; n counts prompts."
        yield Table(("kind", f"category, {way}", *there), lines, 2, note)


def _by_category(ones: Sequence[Judged], way: str) -> dict[tuple[str, str], list[tuple[float, float]]]:
    """Sum of points and number of answers, a pair for each prompt, by kind and name of category."""
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for one in ones:
        scored = one.published if way == PUBLISHED else one.mended
        if scored is None:
            continue
        for kind, categories in (("broad", scored.broad), ("detailed", scored.categories)):
            for name, values in categories.items():
                found.setdefault((kind, name), []).append((100 * sum(values), float(len(values))))
    return found


def _category(pairs: Sequence[tuple[float, float]]) -> Estimate | str:
    return share(np.array(pairs, np.float64)) if pairs else "not judged"


def _left_out(rows: Sequence[Row], there: Scores) -> Table | None:
    """The prompts that the released scorer would leave out; None where there are none."""
    items = {row.key: str(row.about["item"]) for row in rows}
    lines = tuple(
        (arm, items[key]) for arm, ones in there.items() for key, one in ones.items() if one.published is None
    )
    note = "Left out as published: a parent of a question is not there, as the first row is skipped."
    return Table(("arm", "item"), lines, note=note) if lines else None


def _unreadable(rows: Sequence[Row]) -> Table | None:
    """The pictures that could not be read; None where all were."""
    lines = tuple(
        (str(row.about["item"]), arm, n, str(shot["unreadable"]))
        for row in rows for arm, shots in row.details["arms"].items() for n, shot in enumerate(shots)
        if "unreadable" in shot
    )  # fmt: skip
    note = "Pictures that are missing or unreadable; they are left out of every figure."
    return Table(("item", "arm", "picture", "reason"), lines, note=note) if lines else None


def _sheet(rows: Sequence[Row], arms: Sequence[str]) -> Sheet | None:
    """Some prompts, every arm."""
    cells = tuple(cell for row in rows[:ON_SHEET] for arm in arms for cell in _cells(row, arm))
    return Sheet("dpg", "Some prompts", cells, 4 * min(len(arms), 2)) if cells else None


def _cells(row: Row, arm: str) -> list[Shown]:
    shots = [shot for shot in row.details["arms"].get(arm, ()) if "unreadable" not in shot]
    found = []
    for n, shot in enumerate(shots):
        answers = shot.get("answers", {})
        told = f"{sum(answers.values())} of {len(answers)} yes" if answers else "not judged"
        found.append(Shown(row.key, arm, n, f"{row.about['item']} ({arm}): {told}"))
    return found
