"""What the rows of the suite `likelihood` say; a pure function of them.

Everything that chooses or learns looks at the validation side alone; what it chose is reported on every side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..types import ConfigError
from . import adaptive, exposure
from .choice import Axes, Blend, Part, Tried, nats_of, over_counts, over_weights, ranked, speaking
from .findings import Cell, Line, Plot, Section, Table
from .held import SIDES, VALIDATION
from .scores import Numbers
from .statistics import difference, mean
from .suite import Row

LOSSES = "Nats per code; less is better."
ORDER = {side: number for number, side in enumerate(SIDES)}
SHOWN = 5
"""How many of the best settings are shown."""

SIGNS = (
    "distance of the nearest", "entropy of the model", "peak of the model", "entropy of the look-up",
    "peak of the look-up", "neighbours that have the model's favourite", "the favourite is among them",
)  # fmt: skip
"""What the adaptive gate goes by, at every position."""

METHOD = (
    "Held-out pictures are read with their true codes before every position, at temperature 1, without guidance and "
    "without truncation, so that all codes have a probability and nats compare. λ, τ, K, aggregation, gate and caption "
    "filter of DAiD, and the caption filter of FAiD, are those that are best on the validation side, out of {tried:,} "
    "combinations; nothing was chosen on the other sides. Figures are means over pictures with 95 % intervals of a "
    "bootstrap over pictures (Efron and Tibshirani 1993); differences are paired by picture. Random: as many entries "
    "of the database, taken at random, at the same distances. Blank: FAiD with nothing retrieved, which is what its "
    "tuned head is worth. Control: the same blenders and head, tuned for as many steps on the same pictures, that "
    "never retrieved: FAiD - control is what retrieval is worth beyond tuning alone. "
    "As set: with the settings that pictures are drawn with here."
)


@dataclass(frozen=True)
class Side:
    """The rows of one side."""

    rows: tuple[Row, ...]

    def stacked(self, name: str) -> Numbers:
        """An array of every row, [N, ...]."""
        return np.stack([np.asarray(row.array(name), np.float64) for row in self.rows])

    def has(self, arm: str) -> bool:
        """Whether every row has a pass."""
        return all(arm in row.figures for row in self.rows)

    @cached_property
    def nearest(self) -> Numbers:
        """Distances [N, F, S] of the nearest neighbours."""
        return self.stacked("nearest")

    @cached_property
    def retrieved(self) -> Numbers:
        """Probabilities [N, F, K, T, A, S] of the true codes under the neighbours."""
        return self.stacked("retrieved")

    def part(self, model: str, retrieved: str = "retrieved") -> Part:
        """What a pass of a model mixes with what was looked up."""
        looked_up = self.retrieved if retrieved == "retrieved" else self.stacked(retrieved)
        return Part(tuple(row.key for row in self.rows), self.stacked(model), looked_up, self.nearest)

    def signs(self, chosen: Blend) -> Numbers:
        """What the adaptive gate goes by [N, S, D], as `SIGNS`."""
        f, k, t, _ = chosen.looked_up
        agree = self.stacked("agree")[:, f, k]
        nearest = np.where(np.isfinite(self.nearest[:, f]), self.nearest[:, f], 0.0)
        return np.stack(
            [
                nearest, self.stacked("model_entropy"), self.stacked("model_peak"), self.stacked("entropy")[:, f, k, t],
                self.stacked("peak")[:, f, k, t], agree, (agree > 0).astype(np.float64),
            ],
            axis=-1,
        )  # fmt: skip


@dataclass(frozen=True)
class Chosen:
    """What validation pictures choose: blends for DAiD over the model, and over FAiD; FAiD's caption filter."""

    axes: Axes
    page: Blend
    daid: tuple[Tried, ...]
    faid: int | None
    both: tuple[Tried, ...]


def choose(validation: Side) -> Chosen:
    """Look at the validation side, and at nothing else."""
    details = validation.rows[0].details
    axes, page = Axes.from_json(details["axes"]), Blend(**details["page"])
    daid = ranked(validation.part("model"), axes)
    faid, both = None, list[Tried]()
    if validation.has("faid_0"):
        nats = [nats_of(validation.stacked(f"faid_{n}")).mean() for n in range(len(axes.filters))]
        faid = int(np.argmin(nats))
        both = ranked(validation.part(f"faid_{faid}"), axes)
    return Chosen(axes, page, tuple(daid), faid, tuple(both))


def chosen_settings(rows: Sequence[Row]) -> dict[str, Any]:
    """The settings of DAiD that validation pictures choose, of the rows of a run; ConfigError where it has none yet."""
    validation = Side(tuple(row for row in rows if row.about["side"] == VALIDATION and row.about["kind"] == "held"))
    if not validation.rows:
        raise ConfigError("likelihood: got no validation picture that is measured, expected some to choose by")
    chosen = choose(validation)
    return chosen.daid[0].blend.settings(chosen.axes)


def arms_of(side: Side, chosen: Chosen) -> dict[str, Numbers]:
    """Nats per code [N] of the pictures of a side, by arm."""
    plain, best = side.part("model"), chosen.daid[0].blend
    arms = {"model": plain.nats(), "DAiD": plain.nats(best), "DAiD, as set": plain.nats(chosen.page)}
    arms["DAiD, random entries"] = side.part("model", "retrieved_random").nats(best)
    if chosen.faid is not None and side.has(faid := f"faid_{chosen.faid}"):
        mixed = side.part(faid)
        arms |= {"FAiD": mixed.nats(), "FAiD and DAiD": mixed.nats(chosen.both[0].blend)}
        arms["FAiD, random entries"] = nats_of(side.stacked("faid_random"))
        arms["FAiD, blank"] = nats_of(side.stacked("faid_blank"))
    if side.has("control"):
        arms["control"] = nats_of(side.stacked("control"))
    return arms


def sections(held: Sequence[Row], drawn: Sequence[Row]) -> list[Section]:
    """Everything that was found."""
    names = sorted({str(row.about["side"]) for row in held}, key=lambda name: (ORDER.get(name, len(ORDER)), name))
    sides = {name: Side(tuple(row for row in held if row.about["side"] == name)) for name in names}
    if VALIDATION not in sides:
        return [Section("Held-out likelihood", "No validation picture was measured yet, so nothing could be chosen.")]
    chosen = choose(sides[VALIDATION])
    others = {name: side for name, side in sides.items() if name != VALIDATION}
    arms = {name: arms_of(side, chosen) for name, side in sides.items()}
    found = [_nats(arms, chosen), _choice(arms, chosen)]
    found += [_curves(sides, chosen), _by_row(others or sides, chosen), _where(sides, chosen)]
    found.append(_adaptive(sides, chosen))
    found += exposure.sections(held, drawn, chosen.daid[0].blend, chosen.axes)
    return found


def _nats(arms: dict[str, dict[str, Numbers]], chosen: Chosen) -> Section:
    """The main tables."""
    names = list(dict.fromkeys(arm for side in arms.values() for arm in side))
    head = ("", *(f"{side}{', chosen on' if side == VALIDATION else ''}" for side in arms))
    rows: list[tuple[Cell, ...]] = []
    moved: list[tuple[Cell, ...]] = []
    for arm in names:
        rows.append((arm, *(mean(side[arm]) if arm in side else "" for side in arms.values())))
        if arm != "model":
            moved.append((arm, *(_against(side, arm, "model") for side in arms.values())))
    pairs = [("FAiD", "FAiD, blank"), ("FAiD", "FAiD, random entries"), ("FAiD", "control"), ("FAiD and DAiD", "FAiD")]
    pairs += [("FAiD, blank", "control")]
    beside: list[tuple[Cell, ...]] = [
        (f"{ours} - {theirs}", *(_against(side, ours, theirs) for side in arms.values()))
        for ours, theirs in pairs
        if all(ours in side and theirs in side for side in arms.values())
    ]
    return Section(
        "Held-out likelihood",
        METHOD.format(tried=len(chosen.daid)),
        (
            Table(head, tuple(rows), 3, LOSSES),
            Table(head, tuple(moved), 3, "Difference to the model alone, paired by picture: below 0 retrieval helps."),
            *([Table(head, tuple(beside), 3, "Differences between arms, paired by picture.")] if beside else []),
        ),
    )


def _against(side: dict[str, Numbers], ours: str, theirs: str) -> Cell:
    return difference(side[ours], side[theirs]) if ours in side and theirs in side else ""


def _choice(arms: dict[str, dict[str, Numbers]], chosen: Chosen) -> Section:
    """What was chosen, and how far that is from the settings that pictures are drawn with."""
    ranking: list[tuple[Cell, ...]] = [
        (name, place + 1, trial.blend.said(chosen.axes), trial.nats)
        for name, tried in (("DAiD", chosen.daid), ("FAiD and DAiD", chosen.both))
        for place, trial in enumerate(tried[:SHOWN])
    ]
    rows: list[tuple[Cell, ...]] = [
        (side, mean(values["DAiD, as set"]), mean(values["DAiD"]), difference(values["DAiD"], values["DAiD, as set"]))
        for side, values in arms.items()
    ]
    filters = "" if chosen.faid is None else f" FAiD: caption filter {chosen.axes.filters[chosen.faid]}."
    best, page = chosen.daid[0].blend.said(chosen.axes), chosen.page.said(chosen.axes)
    text = (
        f"Chosen for DAiD: {best}.{filters} As set: {page}. Likelihood and pictures need not agree: pictures are drawn "
        "with guidance, at a lower temperature and truncated, and the model knows the concepts that it is asked for. "
        "How pictures differ is measured by the suites generation and copying, as their arm of settings of its own."
    )
    return Section(
        "What validation chooses",
        text + _on_edge(chosen),
        (
            Table(("", "place", "settings", "validation"), tuple(ranking), 4, LOSSES),
            Table(("side", "as set", "chosen", "chosen - as set"), tuple(rows), 4, LOSSES),
        ),
    )


def _on_edge(chosen: Chosen) -> str:
    """Whether more of something might be better still, as far as the grid tells."""
    axes, best = chosen.axes, chosen.daid[0].blend
    most = {"λ": best.weight == axes.weights[-1], "τ": best.temperature == len(axes.temperatures) - 1,
            "K": best.count == len(axes.counts) - 1}  # fmt: skip
    if named := [name for name, last in most.items() if last]:
        return f" The largest {' and '.join(named)} that was tried is best: more might be better still."
    return " No larger λ, τ or K that was tried is better."


def _line(name: str, x: Sequence[float], values: Sequence[Numbers]) -> Line:
    """Means over pictures with their intervals."""
    found = [mean(one) for one in values]
    return Line(
        name,
        tuple(map(float, x)),
        tuple(e.value for e in found),
        tuple(e.low for e in found),
        tuple(e.high for e in found),
    )


def _curves(sides: dict[str, Side], chosen: Chosen) -> Section:
    """Over lambda and over K, with everything else as it was chosen."""
    best, axes = chosen.daid[0].blend, chosen.axes
    by_weight, by_count, weights = list[Line](), list[Line](), (0.0, *axes.weights)
    for name, side in sides.items():
        part, base = side.part("model"), side.part("model").nats()
        random = side.part("model", "retrieved_random")
        by_weight.append(_line(name, weights, [one - base for one in over_weights(part, best, weights)]))
        by_weight.append(
            _line(f"{name}, random entries", weights, [one - base for one in over_weights(random, best, weights)])
        )
        by_count.append(_line(name, axes.counts, [one - base for one in over_counts(part, best, axes)]))
    note = "Difference to the model alone, paired by picture, with its interval."
    return Section(
        "Over the retrieval weight and the number of neighbours",
        "All other settings are those that validation chose for DAiD.",
        (
            Plot("likelihood-weight", "DAiD over λ", "retrieval weight λ", "nats per code", tuple(by_weight), (), note),
            Plot("likelihood-count", "DAiD over K", "neighbours K", "nats per code", tuple(by_count), (), note),
        ),
    )


def _by_row(sides: dict[str, Side], chosen: Chosen) -> Section:
    """The gain of every row of the grid."""
    lines = list[Line]()
    for name, side in sides.items():
        height, width = (int(side.rows[0].about[size]) for size in ("height", "width"))
        part = side.part("model")
        pairs = {"DAiD": part.probabilities(chosen.daid[0].blend)}
        if chosen.faid is not None:
            pairs["FAiD"] = side.stacked(f"faid_{chosen.faid}")
        for arm, ours in pairs.items():
            gained = (np.log(part.model) - np.log(ours)).reshape(-1, height, width).mean(axis=2)
            lines.append(_line(f"{arm}, {name}", range(height), list(gained.T)))
    note = "Difference to the model alone, paired by picture: below 0 retrieval helps there."
    return Section(
        "By row",
        "With the settings that validation chose.",
        (Plot("likelihood-rows", "Difference by row", "row of the grid", "nats per code", tuple(lines), (), note),),
    )


def _where(sides: dict[str, Side], chosen: Chosen) -> Section:
    """At how many positions it helps, by how much, and what it costs at the others."""
    rows = list[tuple[Cell, ...]]()
    for name, side in sides.items():
        part, best = side.part("model"), chosen.daid[0].blend
        passes = {"DAiD": (part.probabilities(best), part.weights(best) > 0)}
        if chosen.faid is not None:
            everywhere = np.ones(part.model.shape, np.bool_)
            passes["FAiD"] = side.stacked(f"faid_{chosen.faid}"), everywhere
        for arm, (ours, counted) in passes.items():
            gained = np.log(ours) - np.log(part.model)
            better = _shares(gained > 0, counted)
            up, down = gained[counted & (gained > 0)], gained[counted & (gained < 0)]
            rows.append((arm, name, mean(better), _median(up), _median(down), int(counted.sum())))
    head = ("", "side", "share of positions that improve", "median gain there", "median loss elsewhere", "positions")
    return Section(
        "Where it helps",
        "DAiD: of the positions where something was mixed in. FAiD: of all positions, since its head is another one "
        "everywhere. Gains are in nats; shares are means over pictures.",
        (Table(head, tuple(rows), 3),),
    )


def _shares(
    better: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], counted: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
) -> Numbers:
    """Share [n] of the counted positions that are better, of the pictures that have some."""
    some = counted.any(axis=1)
    if not some.any():
        return np.zeros(1)
    shares: Numbers = (better & counted)[some].sum(axis=1) / counted[some].sum(axis=1)
    return shares


def _median(values: Numbers) -> float | str:
    return float(np.median(values)) if len(values) else ""


def _adaptive(sides: dict[str, Side], chosen: Chosen) -> Section:
    """A weight for every position, against the fixed one."""
    best, validation = chosen.daid[0].blend, sides[VALIDATION]
    looks = {name: (side.part("model"), side.signs(best)) for name, side in sides.items()}
    part, signs = looks[VALIDATION]
    there = np.isfinite(validation.nearest[:, best.filter])
    retrieved = part.chances(best)
    if not there.any():
        return Section("A weight for every position", "Nothing was retrieved anywhere, so no gate could be learned.")
    gate = adaptive.learn(SIGNS, signs[there], part.model[there], retrieved[there])
    rows = list[tuple[Cell, ...]]()
    for name, (one, seen) in looks.items():
        fixed, model = one.nats(best), one.nats()
        weights = gate.weights(seen) * speaking(one.nearest[:, best.filter], 0.0)
        theirs = one.chances(best)
        ours = nats_of((1 - weights) * one.model + weights * theirs)
        used = weights[weights > 0]
        rows.append((
            name, mean(model), mean(fixed), mean(ours), difference(ours, fixed), difference(ours, model),
            float(np.mean(used)), float(np.quantile(used, 0.95)),
        ))  # fmt: skip
    head = (
        "side", "model", "fixed λ and gate", "adaptive λ", "adaptive - fixed", "adaptive - model", "mean λ",
        "95th percentile",
    )  # fmt: skip
    learned: list[tuple[Cell, ...]] = [
        (sign, float(coefficient), float(centre), float(scale))
        for sign, coefficient, centre, scale in zip(SIGNS, gate.coefficients, gate.centre, gate.scale, strict=True)
    ]
    learned.append(("bias", gate.bias, "", ""))
    return Section(
        "A weight for every position",
        f"{adaptive.SOURCES}\n\nLearned on the validation side alone, in {gate.turns} turns, with τ, K, aggregation "
        "and caption filter as chosen for the fixed weight; on validation its figure is therefore too good.",
        (
            Table(head, rows=tuple(rows), digits=4, note=LOSSES),
            Table(("sign", "coefficient of the standardised sign", "mean", "deviation"), tuple(learned), 3),
        ),
    )
