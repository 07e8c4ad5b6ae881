"""What the rows of `copying` say: how much is copied, over retrieval weights, and what likelihoods give away."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np

from ..types import METHODS
from .arms import method_of
from .drawing import PLAIN
from .findings import Block, Cell, Line, Plot, Section, Sheet, Shown, Table
from .held import spread
from .membership import FALSE_ALARMS, LEAST_SHARE, Array, area, blended, least, of_two, true_alarms
from .statistics import Estimate, difference, mean
from .suite import Row

REAL: Final = "real"
COPY: Final = 0.75
"""SSCD's cosine from which on a picture counts as a copy (`extractors.sscd`)."""

WEIGHTS: Final = (0.1, 0.4, 0.8)
"""Of the likelihoods under DAiD."""

GIVEN, GUIDED = "log p(x | prompt)", "less log p(x)"
SMALLEST: Final = f"Min-{LEAST_SHARE:.0%} of that"
"""Scores that tell members, as the heads of their columns."""

SHOWN: Final = 4
"""Prompts on the contact sheet, each with the picture that it shares most codes with."""

NAMES: Final[Mapping[str, str]] = {
    "largest": "largest copied region",
    "share": "copied share",
    "sources": "sources",
    "nearest": "codes of the nearest picture",
    "sscd": "SSCD, nearest",
    "copies": f"SSCD above {COPY}",
}

COPIED_TEXT: Final = """\
How much of a picture stands in the database. A copied region is connected positions whose codes, and the codes \
around them, stand in one image at one offset (core/analysis/copying.py): its largest, in positions; the share of \
positions in such regions; from how many images they come. Codes of the nearest picture: the largest share of codes \
that one image of the database has at the same places. All pictures are looked up in the same way, whatever drew \
them. Plain ground is found anywhere, so that no figure means copying by itself: "real" are held-out pictures that \
the model has not learned from and the database does not hold, looked up as well. An arm's number is its retrieval \
weight (lambda), before the gate; lambda = 0 is "model" and "faid"; other names are arms with settings of their own."""

MEMBERSHIP_TEXT: Final = f"""\
Whether likelihoods tell pictures of the database ("member") from held-out ones. Scores, all in nats per code: log \
p(x | prompt); what the prompt adds, log p(x | prompt) - log p(x), the guided likelihood by which Kowalczuk et al. \
2025 (arXiv 2502.02514) attack image autoregressive models; and Min-K% of the latter, the mean over the least likely \
{LEAST_SHARE:.0%} of the codes (Shi et al. 2024). With DAiD the first is of the mixed distribution, with FAiD of \
what the blenders predict; what is taken off is always the model alone without a prompt. Temperature is 1, nothing \
is truncated. AUC: how often a member scores above another, 0.5 being a guess; TPR: share of members found while \
{FALSE_ALARMS:.0%} of the others are taken for members, where 0.01 is a guess. Sides differ in more than that the \
model has not seen them: of those that ship, "test" shows concepts that it knows no picture of, and "pair" known \
concepts in a known style that was left out. A high AUC against "test" alone says little of memory."""


def found(rows: Sequence[Row]) -> Sequence[Section]:
    """The sections of a run."""
    by_kind = {kind: [row for row in rows if row.about["kind"] == kind] for kind in ("drawn", "real", "likelihood")}
    return [*copied(by_kind["drawn"], by_kind["real"]), *membership(by_kind["likelihood"])]


def copied(drawn: Sequence[Row], real: Sequence[Row]) -> Iterator[Section]:
    """Figures of every arm, and of real pictures."""
    arms = list(dict.fromkeys(str(row.about["arm"]) for row in _in_order(drawn)))
    said = {arm: _said([row for row in drawn if row.about["arm"] == arm]) for arm in arms}
    if real:
        said[REAL] = _said(real)
    if not said:
        return
    names = [name for name in NAMES if all(name in figures for figures in said.values())]
    head = ("pictures", *(NAMES[name] for name in names))
    values: list[tuple[Cell, ...]] = [(arm, *(mean(each[name]) for name in names)) for arm, each in said.items()]
    blocks: list[Block] = [Table(head, tuple(values))]
    if pairs := tuple(row for arm in arms for row in _pairs(arm, drawn, names)):
        blocks.append(Table(head, pairs, note=f"Less {PLAIN}, or as named; of the same prompts and seeds."))
    blocks += [
        _plot(name, [arm for arm in arms if method_of(arm)[0] in METHODS], said) for name in ("share", "largest")
    ]
    blocks += _sheet(drawn, arms)
    own = {str(row.about["arm"]): row.about["compared"]["changes"] for row in drawn if "compared" in row.about}
    told = "".join(f"\n\n{arm}: {changes}." for arm, changes in own.items())
    yield Section("What is copied", COPIED_TEXT + told, tuple(blocks))


def _in_order(drawn: Sequence[Row]) -> list[Row]:
    """Methods as they are named, each by weight."""
    methods = tuple(METHODS)

    def place(row: Row) -> tuple[int, float]:
        method, weight = method_of(str(row.about["arm"]))
        return methods.index(method) if method in methods else len(methods), weight or 0.0

    return sorted(drawn, key=place)


def _said(rows: Sequence[Row]) -> dict[str, list[float]]:
    """Figures of all pictures of some rows, in order."""
    each = [row.details["copied"] for row in rows]
    said = {name: [float(v) for kept in each for v in kept[name]] for name in each[0] if all(name in k for k in each)}
    if "sscd" in said:
        said["copies"] = [float(value > COPY) for value in said["sscd"]]
    return said


def _pairs(arm: str, drawn: Sequence[Row], names: Sequence[str]) -> Iterator[tuple[Cell, ...]]:
    """An arm less the model alone, and one of one's own less its method as set."""
    if arm != PLAIN:
        yield from _less(arm, PLAIN, arm, drawn, names)
    for like in dict.fromkeys(row.about["compared"]["as_set"] for row in drawn if _is_own(row, arm)):
        yield from _less(arm, like, f"{arm} - {like}", drawn, names)


def _is_own(row: Row, arm: str) -> bool:
    return row.about["arm"] == arm and "compared" in row.about


def _less(arm: str, base: str, label: str, drawn: Sequence[Row], names: Sequence[str]) -> Iterator[tuple[Cell, ...]]:
    """An arm less another one, over the batches that both have; nothing where there are none, yet."""
    ours, theirs = ({row.about["first"]: row for row in drawn if row.about["arm"] == name} for name in (arm, base))
    if both := sorted(set(ours) & set(theirs)):
        one, other = _said([ours[first] for first in both]), _said([theirs[first] for first in both])
        yield (label, *(difference(one[name], other[name]) for name in names))


def _plot(name: str, arms: Sequence[str], said: Mapping[str, Mapping[str, Sequence[float]]]) -> Plot:
    """A figure over the retrieval weight; what is mixed with weight 0 is the method without mixing."""
    by_method: dict[str, dict[float, Estimate]] = {}
    for arm in arms:
        method, weight = method_of(arm)
        own = f"{method}+daid" if method == "faid" else "daid" if method == PLAIN else method
        by_method.setdefault(own, {})[weight or 0.0] = mean(said[arm][name])
    lines = [_line(method, points) for method, points in by_method.items()]
    if REAL in said:
        last = max(weight for points in by_method.values() for weight in points)
        lines.append(_line("held-out real pictures", dict.fromkeys((0.0, last), mean(said[REAL][name]))))
    return Plot(f"copying-{name}", NAMES[name], "retrieval weight (lambda)", NAMES[name], tuple(lines))


def _line(name: str, points: Mapping[float, Estimate]) -> Line:
    x = sorted(points)
    return Line(
        name,
        tuple(x),
        tuple(points[at].value for at in x),
        tuple(points[at].low for at in x),
        tuple(points[at].high for at in x),
    )


def _sheet(drawn: Sequence[Row], arms: Sequence[str]) -> Iterator[Sheet]:
    """A row for an arm: pictures, each followed by the one of the database that shares most codes with it."""
    first = {arm: next(row for row in drawn if row.about["arm"] == arm) for arm in arms}
    shown = list[Shown]()
    for arm, row in first.items():
        wanted, copied = row.about["wanted"], row.details["copied"]["nearest"]
        for n in spread(len(wanted), SHOWN):
            shown.append(Shown(row.key, arm, n, f"{wanted[n]['prompt']}: {arm}"))
            shown.append(Shown(row.key, f"{arm}-source", n, f"nearest: {copied[n]:.0%} of the codes"))
    if shown:
        title = "The same prompts and seeds in every row, each with what has most of its codes in the database"
        yield Sheet("copying-pictures", title, tuple(shown), 2 * SHOWN)


def membership(rows: Sequence[Row]) -> Iterator[Section]:
    """AUC and true alarms of every score, members against each other side."""
    sides = {side: [row for row in rows if row.about["side"] == side] for side in _sides(rows)}
    scores = {side: _scores(found) for side, found in sides.items()}
    others = [side for side in sides if side != "member"]
    if "member" not in sides or not others:
        return
    blocks = list[Block]()
    for side in others:
        ours, theirs = scores["member"], scores[side]
        values: list[tuple[Cell, ...]] = [
            (arm, *(of_two(ours[arm, score], theirs[arm, score], area) for score in (GIVEN, GUIDED, SMALLEST)),
             of_two(ours[arm, GUIDED], theirs[arm, GUIDED], true_alarms))
            for arm in dict.fromkeys(arm for arm, _ in ours)
        ]  # fmt: skip
        n = f"{len(next(iter(ours.values())))} members, {len(next(iter(theirs.values())))} others"
        head = ("likelihood", *(f"AUC, {score}" for score in (GIVEN, GUIDED, SMALLEST)), f"TPR at {FALSE_ALARMS:.0%}")
        blocks.append(Table(head, tuple(values), note=f"Members against {side}: {n}. TPR: of {GUIDED!r}."))
    yield Section("What likelihoods give away", MEMBERSHIP_TEXT, tuple(blocks))


def _sides(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(str(row.about["side"]) for row in rows))


def _scores(rows: Sequence[Row]) -> dict[tuple[str, str], Array]:
    """Scores [N] of a side's pictures, by likelihood and score."""
    model, without, retrieved, shares = (
        np.concatenate([row.array(name).astype(np.float64) for row in rows])
        for name in ("model", "unconditional", "retrieved", "shares")
    )
    likelihoods: dict[str, Array] = {PLAIN: model}
    likelihoods |= {f"daid-{weight:g}": blended(model, retrieved, shares, weight) for weight in WEIGHTS}
    if "faid" in rows[0].details.get("likelihoods", ()):
        faid = np.concatenate([row.array("faid").astype(np.float64) for row in rows])
        likelihoods["faid"] = faid
        likelihoods |= {f"faid+daid-{weight:g}": blended(faid, retrieved, shares, weight) for weight in WEIGHTS}
    found: dict[tuple[str, str], Array] = {}
    for arm, values in likelihoods.items():
        guided = values - without
        found[arm, GIVEN] = values.mean(axis=1)
        found[arm, GUIDED] = guided.mean(axis=1)
        found[arm, SMALLEST] = least(guided)
    return found
