"""The figures of a report, as PNG; the same bytes for the same plot and the same version of matplotlib."""

from __future__ import annotations

import io
import warnings
from typing import Final

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ..findings import Line, Plot

COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#555555", "#b8a800")
"""Told apart by people who see few colours: Okabe and Ito 2008, the yellow darkened."""
MARKS: Final = "osD^vPX*"
SIZE, DPI = (7.2, 4.2), 110


def png(plot: Plot) -> bytes:
    """A plot as a PNG file: lines, or bars where it has labels."""
    with matplotlib.style.context("default"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # letters that the font has not show as boxes
        figure = Figure(SIZE, DPI, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        (_bars if plot.labels else _lines)(axes, plot)
        axes.set_title(_plain(plot.title), fontsize=11, wrap=True)
        axes.set_xlabel(_plain(plot.x))
        axes.set_ylabel(_plain(plot.y))
        axes.grid(axis="y", color="#dddddd", linewidth=0.8)
        axes.set_axisbelow(True)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        if len(plot.lines) > 1:
            axes.legend(fontsize=9, frameon=False)
        held = io.BytesIO()
        figure.savefig(held, format="png", metadata={"Software": None})
    return held.getvalue()


def _lines(axes: Axes, plot: Plot) -> None:
    for number, line in enumerate(plot.lines):
        colour, mark = COLOURS[number % len(COLOURS)], MARKS[number % len(MARKS)]
        axes.plot(line.x, line.y, color=colour, marker=mark, markersize=4, linewidth=1.6, label=_plain(line.name))
        if _has_interval(line):
            axes.fill_between(line.x, line.low, line.high, color=colour, alpha=0.15, linewidth=0)


def _bars(axes: Axes, plot: Plot) -> None:
    count = max(1, len(plot.lines))
    width = 0.8 / count
    for number, line in enumerate(plot.lines):
        x, y = np.asarray(line.x) + (number - (count - 1) / 2) * width, np.asarray(line.y)
        error = np.stack([y - line.low, line.high - y]).clip(0) if _has_interval(line) else None
        axes.bar(
            x, y, width, color=COLOURS[number % len(COLOURS)], label=_plain(line.name), yerr=error,
            error_kw={"ecolor": "#222222", "capsize": 3, "elinewidth": 1},
        )  # fmt: skip
    axes.set_xticks(range(len(plot.labels)), [_plain(label) for label in plot.labels])
    longest = max(map(len, plot.labels))
    if longest * len(plot.labels) > 70:
        axes.tick_params(axis="x", labelrotation=30)


def _has_interval(line: Line) -> bool:
    return len(line.low) == len(line.high) == len(line.y) > 0


def _plain(text: str) -> str:
    """A text in which matplotlib sees no formula, and no name to hide."""
    return " ".join(text.split()).replace("$", r"\$").replace("_", "\u200a_", text.startswith("_"))
