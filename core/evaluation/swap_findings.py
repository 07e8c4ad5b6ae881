"""What the rows of the suite `swap` say; a pure function of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .choice import Axes, Blend, Part, nats_of, ranked
from .findings import Cell, Section, Sheet, Shown, Table
from .held import VALIDATION, spread
from .scores import Numbers
from .statistics import difference, mean
from .suite import Row, arms

HELD, ALONE = "held", "alone"
SHOWN = 8
"""Prompts on the contact sheet, spread over all."""

SEEN_AS = {"style": "judged to be in the style", "mrr": "MRR of the concept", "first": "concept in first place"}
"""Figures of the judges trained here."""

LIKELIHOOD = (
    "Held-out pictures{style}, of which no database has a variant, read as in the suite `likelihood`: with their true "
    "codes before every position, at temperature 1, without guidance. For each database λ, τ, K and gate of DAiD are "
    "those that are best on its validation pictures; nothing was chosen on the others. Blank: FAiD with nothing "
    "retrieved, which is what its tuned head is worth without any database. Differences are paired by picture."
)
PICTURES = (
    "The same prompts and seeds with each database: prompts for pictures{style} in the second database. "
    "DAiD takes from the picture whose caption is nearest, cell by cell (λ 0.7, τ 0.3, no gate, K 64, position term "
    "0.3). Judged by the judges trained here: a classifier of styles, and a gallery of real pictures that names the "
    "concept. Copied: share of the codes that equal those of the nearest picture of a database, place by place: what "
    "retrieval brings here is for the most part a copy."
)


def sections(rows: Sequence[Row], style: str) -> list[Section]:
    """Likelihood, then pictures; what was not measured yet is left out."""
    held = [row for row in rows if row.about["kind"] == HELD]
    drawn = [row for row in rows if row.about["kind"] != HELD]
    said = f" in the style {style}" if style else ""
    found = [_likelihood(held, said)] if any(row.about["side"] == VALIDATION for row in held) else []
    return found + ([_pictures(drawn, said)] if drawn else [])


def _stacked(rows: Sequence[Row], name: str) -> Numbers:
    return np.stack([np.asarray(row.array(name), np.float64) for row in rows])


def _part(rows: Sequence[Row], model: str, database: str) -> Part:
    keys = tuple(row.key for row in rows)
    retrieved, nearest = (_stacked(rows, f"{database}-{name}") for name in ("retrieved", "nearest"))
    return Part(keys, _stacked(rows, model), retrieved, nearest)


def _likelihood(rows: Sequence[Row], style: str) -> Section:
    """Nats of the pictures that chose and of the others, by database and method."""
    validation = [row for row in rows if row.about["side"] == VALIDATION]
    sides = {"validation, chosen on": validation}
    if others := [row for row in rows if row.about["side"] != VALIDATION]:
        sides[" and ".join(sorted({str(row.about["side"]) for row in others}, reverse=True))] = others
    databases, axes = list(rows[0].about["databases"]), Axes.from_json(rows[0].details["axes"])
    blends, settings = dict[str, tuple[str, str, Blend | None]](), list[tuple[Cell, ...]]()
    tuned = all("blank" in row.figures for row in rows)
    if tuned:
        blends["FAiD, blank"] = ("blank", databases[0], None)
    for name in databases:
        passes = [("DAiD", "model"), *([("FAiD and DAiD", f"{name}-faid")] if tuned else [])]
        for method, model in passes:
            best = ranked(_part(validation, model, name), axes)[0].blend
            blends[f"{method}, {name}"] = (model, name, best)
            settings.append((f"{method}, {name}", best.said(axes)))
        if tuned:
            blends[f"FAiD, {name}"] = (f"{name}-faid", name, None)
    nats = {side: {ALONE: nats_of(_stacked(chosen, "model"))} for side, chosen in sides.items()}
    for side, chosen in sides.items():
        nats[side] |= {arm: _part(chosen, model, name).nats(blend) for arm, (model, name, blend) in blends.items()}
    names = list(next(iter(nats.values())))
    table: list[tuple[Cell, ...]] = [(arm, *(mean(side[arm]) for side in nats.values())) for arm in names]
    moved: list[tuple[Cell, ...]] = [
        (arm, *(difference(side[arm], side[ALONE]) for side in nats.values())) for arm in names if arm != ALONE
    ]
    own, other = databases[:2]
    moved += [
        (
            f"{method}, {other} - {own}",
            *(difference(s[f"{method}, {other}"], s[f"{method}, {own}"]) for s in nats.values()),
        )
        for method in ("DAiD", "FAiD", "FAiD and DAiD")
        if f"{method}, {other}" in names
    ]
    head = ("", *nats)
    return Section(
        f"Likelihood of held-out pictures{style}",
        LIKELIHOOD.format(style=style),
        (
            Table(head, tuple(table), 3, "Nats per code; less is better."),
            Table(head, tuple(moved), 3, "Difference to the model alone, and of the second database to the first."),
            Table(("", "settings that validation chose"), tuple(settings)),
        ),
    )


def _said(rows: Sequence[Row], way: str) -> dict[str, list[float]]:
    """What was said of all pictures of an arm, in order."""
    each = [row.details["judged"][way] for row in rows]
    return {name: [value for said in each for value in said[name]] for name in each[0]}


def _pictures(rows: Sequence[Row], style: str) -> Section:
    """What is drawn with every database."""
    ways = list(arms(rows))
    said = {way: _said(rows, way) for way in ways}
    names = list(said[ALONE])
    heads = [SEEN_AS.get(name, name.replace("-", " from ", 1)) for name in names]
    table, moved = list[tuple[Cell, ...]](), list[tuple[Cell, ...]]()
    for way in ways:
        ours, alone = ([said[one][name] for name in names] for one in (way, ALONE))
        table.append((way, *(mean(values) for values in ours)))
        if way != ALONE:
            moved.append((way, *(difference(a, b) for a, b in zip(ours, alone, strict=True))))
    places = [(row.key, n, f"{w['concept']}, {w['style']}") for row in rows for n, w in enumerate(row.about["wanted"])]
    chosen = [places[place] for place in spread(len(places), SHOWN)]
    shown = tuple(Shown(key, way, n, f"{prompt}: {way}") for key, n, prompt in chosen for way in ways)
    return Section(
        f"Pictures{style}",
        PICTURES.format(style=style),
        (
            Table(("", *heads), tuple(table), 2),
            Table(("", *heads), tuple(moved), 2, "Difference to the model alone, paired by prompt and seed."),
            Sheet(
                "swap-pictures", "Alone, and with every database, in this order: " + ", ".join(ways), shown, len(ways)
            ),
        ),
    )
