"""The metrics of a run as plotly figures; pure, and free of colours that suit only a light or only a dark page.

Backgrounds are transparent, and app/tabs/metrics/metrics.css gives text and lines the colours of the page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from core.analysis.metrics import PARTS, Metrics

MODEL, RETRIEVAL, BLENDED, FLIP = "#0072b2", "#e69f00", "#009e73", "#d55e00"
"""Okabe-Ito, as in the stepper."""

DISTRIBUTIONS = ("without look-up", "look-up", "mix")
COLOURS = (MODEL, RETRIEVAL, BLENDED)
DASHES = ("solid", "dash", "dot")
"""Of the lines of the distributions, so that they differ without colour, too."""
CEILING = "ceiling: -ln(1 - λ) at the full λ"
"""The line that KL stays below; a gate lowers λ, and so the KL, further."""
HEIGHT, SIZE = 230, 11.5
"""Of a chart and of its letters, in pixels."""


def entropy_chart(metrics: Metrics) -> go.Figure:
    """Mean entropy of each row of the picture, of the three distributions."""
    lines = [
        go.Scatter(
            x=_numbers(range(len(rows))),
            y=_numbers(rows),
            name=name,
            mode="lines+markers",
            line={"color": colour, "width": 2, "dash": DASHES[DISTRIBUTIONS.index(name)]},
            marker={"size": 5},
            hovertemplate=f"row %{{x}}, {name}: %{{y:.3f}} nats<extra></extra>",
        )
        for name, colour, rows in entropy_rows(metrics)
    ]
    return _figure(lines, "row", "entropy (nats)")


def entropy_rows(metrics: Metrics) -> list[tuple[str, str, Sequence[float]]]:
    """Name, colour and means by row of the distributions that a run has."""
    means = [metrics.by_row(metrics.entropy[:, place]) for place in range(3)]
    return [
        (name, colour, row.tolist())
        for name, colour, row in zip(DISTRIBUTIONS, COLOURS, means, strict=True)
        if np.isfinite(row).any()
    ]


def kl_chart(metrics: Metrics) -> go.Figure:
    """How far retrieval moved the distribution at every position, and how far it could have at most."""
    known = np.isfinite(metrics.kl).any()
    bars = go.Bar(
        x=_numbers(range(len(metrics.kl))),
        y=_numbers(metrics.kl),
        marker={"color": BLENDED, "line": {"width": 0}},
        customdata=[divmod(position, metrics.grid.width) for position in range(len(metrics.kl))],
        hovertemplate="position %{x}, row %{customdata[0]}, column %{customdata[1]}: %{y:.3f} nats<extra></extra>",
        showlegend=False,
    )
    missing = "" if known else "not recorded in this run"
    lines = [ceiling_line(metrics)] if metrics.has_ceiling else []
    return _figure([bars, *lines], position_title(metrics), "KL (nats)", missing)


def ceiling_line(metrics: Metrics) -> go.Scatter:
    """The most that KL can be at every position: a gap where nothing bounds it."""
    return go.Scatter(
        x=_numbers(range(len(metrics.ceiling))),
        y=_numbers(metrics.ceiling),
        name=CEILING,
        mode="lines",
        line={"color": FLIP, "width": 1.5, "dash": "dash", "shape": "hvh"},
        hovertemplate="at most %{y:.3f} nats<extra></extra>",
        showlegend=True,
    )


def distance_chart(metrics: Metrics) -> go.Figure:
    """How far all neighbours, and the nearest of each position, are from the context that was looked up."""
    edges, everything, nearest = metrics.distance_shares()
    middles = (edges[:-1] + edges[1:]) / 2
    bars = [
        go.Bar(
            x=_numbers(middles),
            y=_numbers(100 * shares),
            width=float(edges[1] - edges[0]),
            name=name,
            marker={"color": colour, "line": {"width": 0}},
            opacity=0.75,
            hovertemplate=f"about %{{x:.2f}}, {name}: %{{y:.1f}} %<extra></extra>",
        )
        for name, colour, shares in (("all neighbours", RETRIEVAL, everything), ("the nearest", MODEL, nearest))
    ]
    figure = _figure(bars, "squared L2 distance", "share (%)", missing_neighbours(metrics))
    return figure.update_layout(barmode="overlay", bargap=0)


def effective_chart(metrics: Metrics) -> go.Figure:
    """How many neighbours speak at every position, and the mean of each row."""
    spoke = metrics.effective > 0
    positions = np.flatnonzero(spoke)
    rows = metrics.by_row(np.where(spoke, metrics.effective, np.nan).astype(np.float32))
    dots = go.Scatter(
        x=_numbers(positions),
        y=_numbers(metrics.effective[spoke]),
        name="position",
        mode="markers",
        marker={"color": RETRIEVAL, "size": 4, "opacity": 0.7},
        hovertemplate="position %{x}: %{y:.2f} neighbours<extra></extra>",
    )
    line = go.Scatter(
        x=_numbers(row_middles(metrics)),
        y=_numbers(rows),
        name="mean of the row",
        mode="lines",
        line={"color": MODEL, "width": 2},
        hovertemplate="mean of the row: %{y:.2f}<extra></extra>",
    )
    return _figure([dots, line], position_title(metrics), "effective neighbours", missing_neighbours(metrics))


def time_chart(metrics: Metrics) -> go.Figure:
    """What the time of every position went to."""
    positions = _numbers(range(len(metrics.milliseconds)))
    areas = [
        go.Scatter(
            x=positions,
            y=_numbers(metrics.milliseconds[:, place]),
            name=part,
            mode="lines",
            stackgroup="parts",
            line={"color": COLOURS[place], "width": 0.5},
            hovertemplate=f"position %{{x}}, {part}: %{{y:.2f}} ms<extra></extra>",
        )
        for place, part in enumerate(PARTS)
    ]
    figure = _figure(areas, position_title(metrics), "time (ms)")
    figure.update_yaxes(range=[0, 1.05 * metrics.usual_milliseconds], rangemode="normal")
    return figure.add_annotation(
        text=outside_text(metrics),
        showarrow=False,
        x=1,
        y=1,
        xref="paper",
        yref="paper",
        xanchor="right",
        yanchor="top",
    )


def outside_text(metrics: Metrics) -> str:
    """How many positions took longer than the chart shows; empty when none did."""
    whole = metrics.milliseconds.sum(axis=1)
    count = int((whole > 1.05 * metrics.usual_milliseconds).sum())
    return f"{count} above, up to {whole.max():.0f} ms" if count else ""


def position_title(metrics: Metrics) -> str:
    """What the axis of positions says."""
    return f"position ({metrics.grid.width} in a row)"


def row_middles(metrics: Metrics) -> list[float]:
    """Position of the middle of each row that was drawn."""
    width, count = metrics.grid.width, len(metrics.effective)
    return [start + (min(width, count - start) - 1) / 2 for start in range(0, count, width)]


def missing_neighbours(metrics: Metrics) -> str:
    """Why there is nothing to show of neighbours; empty when there is."""
    return "" if len(metrics.distances) else "nothing was looked up in this run"


@dataclass(frozen=True, slots=True)
class Chart:
    """A figure with its heading and what it says, in a sentence."""

    heading: str
    meaning: str
    draw: Callable[[Metrics], go.Figure]


CHARTS: Mapping[str, Chart] = {
    "entropy": Chart(
        "Entropy by row",
        "How undecided the model without look-up, the neighbours, and their mix are.",
        entropy_chart,
    ),
    "kl": Chart(
        "KL by position",
        "How far look-ups moved the distribution; 0: not at all. Mixing with λ cannot move it above the line.",
        kl_chart,
    ),
    "distances": Chart("Distances", "Of neighbours to the context that was looked up; 0: the same.", distance_chart),
    "effective": Chart(
        "Effective number of neighbours",
        "As many equal shares would be as even as theirs; 1: one speaks alone.",
        effective_chart,
    ),
    "time": Chart("Time", "Milliseconds for the model, the search and the mix.", time_chart),
}
"""By name, in the order of the page."""


def _numbers(values: Sequence[float] | range | np.ndarray) -> list[float | None]:
    """Plain numbers for JSON, None where there is none."""
    return [float(value) if np.isfinite(value) else None for value in values]


def _figure(traces: Sequence[object], across: str, up: str, missing: str = "") -> go.Figure:
    """A figure in the quiet style of the page; `missing` is said in its middle."""
    axis = {
        "showgrid": False,
        "zeroline": False,
        "showline": True,
        "ticks": "outside",
        "ticklen": 3,
        "fixedrange": True,
    }
    figure = go.Figure(traces)
    figure.update_layout(
        template="none",
        height=HEIGHT,
        margin={"l": 52, "r": 8, "t": 26, "b": 40, "pad": 0},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "IBM Plex Sans, system-ui, sans-serif", "size": SIZE},
        legend={"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom", "traceorder": "normal"},
        hovermode="closest",
        xaxis={**axis, "title": {"text": across, "standoff": 6, "font": {"size": SIZE}}},
        yaxis={
            **axis,
            "title": {"text": up, "standoff": 6, "font": {"size": SIZE}},
            "showgrid": True,
            "rangemode": "tozero",
        },
        dragmode=False,
    )
    if missing:
        figure.add_annotation(text=missing, showarrow=False, x=0.5, y=0.5, xref="paper", yref="paper")
    return figure
