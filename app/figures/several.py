"""Several runs as one figure: a sweep over two settings, or a row of runs that are compared."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from app.figures.sheet import INK, SOFT, Sheet, lines_of
from app.figures.words import settings_of
from app.pictures import RGB
from app.plans import AXES, Axis, labels
from app.sheets import changed_codes
from app.visits import Kept
from core.types import ConfigError

MARGIN, GAP, BESIDE = 32.0, 14.0, 104.0
LARGE, SMALL = 220.0, 150.0
"""Width of a picture in points: in a row of a few, and in a table."""

FOOT = "AR-RAG Loupe · this file says in itself how to draw them"

LEAST = 560.0
"""Width of the narrowest figure, for its heading."""


def headings(runs: Sequence[Kept], columns: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What sets the columns apart, and what the rows, from the settings of the runs themselves.

    A row alone has what `plans.labels` says, and no heading of its own. ConfigError for a table that is not full.
    """
    if not runs or columns < 1 or len(runs) % columns:
        raise ConfigError(f"figure: got {len(runs)} pictures in {columns} columns, expected full rows; draw them again")
    if len(runs) == columns:
        return labels(runs), ("",)
    first_row, first_column = runs[:columns], runs[::columns]
    return _labelled(first_row), _labelled(first_column)


def _labelled(runs: Sequence[Kept]) -> tuple[str, ...]:
    """What the runs of a row or a column differ by, for each; "" where they differ by nothing."""
    varying = [axis for axis in AXES if len({getattr(run.asked.settings, axis.field) for run in runs}) > 1]
    return tuple(", ".join(_label(axis, run) for axis in varying) for run in runs)


def _label(axis: Axis, run: Kept) -> str:
    return axis.label(getattr(run.asked.settings, axis.field))


def several_figure(runs: Sequence[Kept], pictures: Sequence[RGB], columns: int) -> Image.Image:
    """A figure of runs in rows of `columns`, each with how many codes differ from the first; pictures: [S, S, 3]."""
    across, down = headings(runs, columns)
    side = LARGE if len(runs) == columns <= 4 else SMALL
    beside = BESIDE if any(down) else 0.0
    width = max(LEAST, 2 * MARGIN + beside + columns * (side + GAP) - GAP)
    rows = len(runs) // columns
    sheet = Sheet(width, 400 + rows * (max(p.shape[0] / p.shape[1] for p in pictures) * side + 60))
    top = _title(sheet, runs, width - 2 * MARGIN) + 16
    top = _across(sheet, top, across, side, beside)
    changed = changed_codes(runs)
    for row in range(rows):
        if down[row]:
            sheet.text(MARGIN, top + side / 2 - 10, down[row], 14, bold=True, width=BESIDE - 8)
        bottom = top
        for col in range(columns):
            place = row * columns + col
            left = MARGIN + beside + col * (side + GAP)
            box = sheet.picture(left, top, side, pictures[place])
            note = "the first" if not place else f"{changed[place]} of {len(runs[place].trace.steps)} differ"
            bottom = max(bottom, sheet.text(left, top + box[3] + 3, note, 12, SOFT, width=side))
        top = bottom + 10
    told = f"Below each picture: how many of its codes differ from the first. {FOOT}"
    return sheet.cut(sheet.text(MARGIN, top + 4, told, 12, SOFT, width=width - 2 * MARGIN) + 20)


def _title(sheet: Sheet, runs: Sequence[Kept], room: float) -> float:
    """The prompt, and what the runs have in common; returns what is below."""
    prompts = {run.trace.prompt for run in runs}
    title = f"“{prompts.pop()}”" if len(prompts) == 1 else "Several prompts"
    top = sheet.text(MARGIN, 24, title, 22, INK, bold=True, width=room)
    return sheet.text(MARGIN, top + 2, common_line(runs), 14, SOFT, width=room)


def common_line(runs: Sequence[Kept]) -> str:
    """What is said of a run in a line, as far as all agree of whom it can be said: without a look-up, there is no K."""
    said = [settings_of(run.asked) for run in runs]
    kinds = dict.fromkeys(kind for parts in said for kind in parts)
    agreed = [{parts[kind] for parts in said if kind in parts} for kind in kinds]
    return " · ".join(texts.pop() for texts in agreed if len(texts) == 1) or "different settings"


def _across(sheet: Sheet, top: float, across: Sequence[str], side: float, beside: float) -> float:
    """The headings of the columns; returns what is below."""
    tall = max(len(lines_of(text, 14, side, bold=True)) for text in across)
    for col, text in enumerate(across):
        sheet.text(MARGIN + beside + col * (side + GAP), top, text, 14, INK, bold=True, width=side)
    return top + tall * 14 * 1.35 + 4
