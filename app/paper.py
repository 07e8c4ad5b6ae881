"""The metrics of a run as matplotlib figures for a paper: sizes of one and two columns, nothing that needs a font.

In SVG every glyph is a path, so the file looks the same everywhere. Figures are made without pyplot and without global
settings, so that requests can draw at the same time.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from app.charts import (
    CEILING,
    COLOURS,
    FLIP,
    MODEL,
    RETRIEVAL,
    entropy_rows,
    missing_neighbours,
    outside_text,
    position_title,
    row_middles,
)
from core.analysis.metrics import PARTS, Metrics
from core.types import ConfigError

Format = Literal["png", "svg"]

WIDTHS: Mapping[str, float] = {"one column": 3.35, "two columns": 6.9}
"""In inches: 85 and 175 mm, as most two-column papers have them."""

DPI = 300
TEXT, SMALL = 8, 7
"""Sizes in points at the printed width."""

INK = "#222222"


def entropy_panel(axes: Axes, metrics: Metrics) -> None:
    """Mean entropy of each row, of the three distributions."""
    for (name, colour, rows), marker in zip(entropy_rows(metrics), "osD", strict=False):
        axes.plot(range(len(rows)), rows, color=colour, label=name, linewidth=1, marker=marker, markersize=2.5)
    _label(axes, "row", "entropy (nats)")
    _key(axes)


def kl_panel(axes: Axes, metrics: Metrics) -> None:
    """How far retrieval moved the distribution at every position, and how far it could have at most."""
    axes.bar(range(len(metrics.kl)), np.nan_to_num(metrics.kl), width=1, color=COLOURS[2], linewidth=0)
    if metrics.has_ceiling:
        most = np.where(np.isfinite(metrics.ceiling), metrics.ceiling, np.nan)
        axes.step(range(len(most)), most, where="mid", color=FLIP, linewidth=0.8, linestyle="--", label=CEILING)
        _key(axes)
    _label(axes, position_title(metrics), "KL (nats)")
    _say(axes, "" if np.isfinite(metrics.kl).any() else "not recorded")


def distance_panel(axes: Axes, metrics: Metrics) -> None:
    """How far all neighbours, and the nearest of each position, are."""
    edges, everything, nearest = metrics.distance_shares()
    for name, colour, shares in (("all neighbours", RETRIEVAL, everything), ("the nearest", MODEL, nearest)):
        axes.stairs(100 * shares, edges, color=colour, label=name, linewidth=1, fill=True, alpha=0.3)
        axes.stairs(100 * shares, edges, color=colour, linewidth=1)
    _label(axes, "squared L2 distance", "share (%)")
    _key(axes)
    _say(axes, missing_neighbours(metrics))


def effective_panel(axes: Axes, metrics: Metrics) -> None:
    """How many neighbours speak at every position, and the mean of each row."""
    spoke = metrics.effective > 0
    rows = metrics.by_row(np.where(spoke, metrics.effective, np.nan).astype(np.float32))
    axes.scatter(np.flatnonzero(spoke), metrics.effective[spoke], color=RETRIEVAL, s=4, linewidths=0, label="position")
    axes.plot(row_middles(metrics), rows, color=MODEL, linewidth=1, label="mean of the row")
    _label(axes, position_title(metrics), "effective neighbours")
    _key(axes)
    _say(axes, missing_neighbours(metrics))


def time_panel(axes: Axes, metrics: Metrics) -> None:
    """What the time of every position went to."""
    axes.stackplot(range(len(metrics.milliseconds)), metrics.milliseconds.T, labels=PARTS, colors=COLOURS, linewidth=0)
    _label(axes, position_title(metrics), "time (ms)")
    axes.set_ylim(0, 1.05 * metrics.usual_milliseconds)
    axes.text(1, 1, outside_text(metrics), transform=axes.transAxes, ha="right", va="top", fontsize=SMALL, color=INK)
    _key(axes)


PANELS: Mapping[str, Callable[[Axes, Metrics], None]] = {
    "entropy": entropy_panel,
    "kl": kl_panel,
    "distances": distance_panel,
    "effective": effective_panel,
    "time": time_panel,
}
"""By the names of app/charts.py."""

ALL = "all"
"""The name of the figure that has every panel."""

MOSAICS: Mapping[str, tuple[float, tuple[tuple[str, ...], ...]]] = {
    "one column": (8.2, tuple((name,) for name in PANELS)),
    "two columns": (3.9, (("entropy",) * 2 + ("distances",) * 2 + ("effective",) * 2, ("kl",) * 3 + ("time",) * 3)),
}
"""Height in inches and arrangement of the figure with every panel."""


def paper_figure(metrics: Metrics, name: str, width: str) -> Figure:
    """One panel by name, or ALL of them with letters; width is one of WIDTHS. ConfigError for another name."""
    if name not in (*PANELS, ALL) or width not in WIDTHS:
        expected = f"one of {', '.join((*PANELS, ALL))} in {' or '.join(WIDTHS)}"
        raise ConfigError(f"figure: got {name!r} in {width!r}, expected {expected}")
    if name == ALL:
        return _with_every_panel(metrics, width)
    figure = Figure(figsize=(WIDTHS[width], 2.1 if width == "one column" else 2.6), layout="constrained")
    PANELS[name](figure.add_subplot(), metrics)
    return figure


def _with_every_panel(metrics: Metrics, width: str) -> Figure:
    """All panels, (a) to (e)."""
    height, mosaic = MOSAICS[width]
    figure = Figure(figsize=(WIDTHS[width], height), layout="constrained")
    for letter, (name, axes) in zip("abcde", figure.subplot_mosaic([list(row) for row in mosaic]).items(), strict=True):
        PANELS[name](axes, metrics)
        axes.set_title(f"({letter})", loc="left", pad=14, fontsize=TEXT, color=INK)  # above the key
    return figure


def rendered(figure: Figure, kind: Format) -> bytes:
    """A figure as a file: PNG of DPI dots an inch, or SVG with glyphs as paths."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=DPI, metadata={"Date": None} if kind == "svg" else None)
    return buffer.getvalue()


def _label(axes: Axes, across: str, up: str) -> None:
    """Axes with their names, without the box."""
    axes.set_xlabel(across, fontsize=TEXT, color=INK)
    axes.set_ylabel(up, fontsize=TEXT, color=INK)
    axes.tick_params(labelsize=SMALL, width=0.6, length=2.5, colors=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_linewidth(0.6)
    axes.set_ylim(bottom=0)
    axes.margins(x=0.01)


def _key(axes: Axes) -> None:
    """The key, without a frame, above the panel."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(
            fontsize=SMALL, frameon=False, ncols=3, loc="lower right", bbox_to_anchor=(1, 0.98), borderaxespad=0,
            handlelength=1.2, columnspacing=1,
        )  # fmt: skip


def _say(axes: Axes, missing: str) -> None:
    """Why a panel is empty, if it is."""
    if missing:
        axes.text(0.5, 0.5, missing, transform=axes.transAxes, ha="center", va="center", fontsize=SMALL, color=INK)
