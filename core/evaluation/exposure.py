"""Exposure bias: what look-ups and the model are like on pictures that the model draws, against true ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .choice import Axes, Blend
from .findings import Cell, Line, Plot, Section, Sheet, Shown, Table
from .scores import Numbers
from .statistics import difference, mean
from .suite import Row

SOURCE = (
    "Wang et al. 2023 (arXiv 2305.14625) find that mixing in neighbours lowers the perplexity of text and does not "
    "better what is generated: on text of its own the entropy of what is retrieved grows faster than that of the "
    "model. Here: the entropy of the model, that of the retrieval distribution, and the distance of the nearest "
    "neighbour, on held-out pictures and on ones that the model draws from the same prompts."
)
LOOKS = ("entropy of the model", "entropy of the look-up", "distance of the nearest")


def sections(held: Sequence[Row], drawn: Sequence[Row], chosen: Blend, axes: Axes) -> list[Section]:
    """The comparison, paired by prompt; none where nothing was drawn."""
    true = {row.about["picture"]: row for row in held}
    pairs = [(true[row.about["picture"]], row) for row in drawn if row.about["picture"] in true]
    if not pairs:
        return []
    looks = [[_looks(row, chosen) for row in pair] for pair in pairs]  # [n][true, drawn][look][H]
    table, plots = list[tuple[Cell, ...]](), list[Plot]()
    for number, name in enumerate(LOOKS):
        ours, theirs = (np.stack([pair[n][number] for pair in looks]) for n in (1, 0))
        means = np.nanmean(theirs, axis=1), np.nanmean(ours, axis=1)
        table.append((name, mean(means[0]), mean(means[1]), difference(means[1], means[0])))
        if number < 2:
            plots.append(_plot(number, name, theirs, ours))
    said = f"τ {axes.temperatures[chosen.temperature]:g}, K {axes.counts[chosen.count]}, caption filter "
    text = (
        f"{SOURCE}\n\nOne seed; drawn without retrieval, with guidance and truncation as set; then read like the "
        "held-out pictures: at temperature 1, without either. Only positions that look something up count. Look-ups "
        f"with {said}{axes.filters[chosen.filter]}."
    )
    head = ("nats, or squared L2", "held-out", "drawn", "drawn - held-out")
    sheet = Sheet("likelihood-drawn", "The pictures that were drawn", tuple(_shown(row) for _, row in pairs))
    return [Section("True pictures and the model's own", text, (Table(head, tuple(table), 3), *plots, sheet))]


def _looks(row: Row, chosen: Blend) -> list[Numbers]:
    """The looks of a picture, means [H] over each row of its grid; NaN for a row that looks nothing up."""
    f, k, t, _ = chosen.looked_up
    nearest = np.asarray(row.array("nearest"), np.float64)[f]
    there = np.isfinite(nearest)
    values = (row.array("model_entropy"), row.array("entropy")[f, k, t], nearest)
    shape = int(row.about["height"]), int(row.about["width"])
    return [_by_row(np.where(there, np.asarray(value, np.float64), 0.0), there, shape) for value in values]


def _by_row(values: Numbers, there: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], shape: tuple[int, int]) -> Numbers:
    count = there.reshape(shape).sum(axis=1)
    return np.where(count > 0, values.reshape(shape).sum(axis=1) / np.maximum(count, 1), np.nan)


def _plot(number: int, name: str, theirs: Numbers, ours: Numbers) -> Plot:
    """A look by row, of true pictures and of drawn ones."""
    lines = list[Line]()
    for label, values in (("held-out", theirs), ("drawn", ours)):
        rows = [row for row in range(values.shape[1]) if not np.isnan(values[:, row]).any()]
        found = [mean(values[:, row]) for row in rows]
        lines.append(
            Line(
                label, tuple(map(float, rows)), tuple(e.value for e in found), tuple(e.low for e in found),
                tuple(e.high for e in found),
            )
        )  # fmt: skip
    return Plot(f"likelihood-exposure-{number}", name.capitalize(), "row of the grid", "nats", tuple(lines))


def _shown(row: Row) -> Shown:
    return Shown(row.key, "drawn", 0, str(row.about["prompt"]))
