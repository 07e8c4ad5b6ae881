"""What the rows of `generation` say: distances with intervals, paired differences, adherence, pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from .distances import NEAREST, CmmdTo, FrechetTo, KernelTo, clip_scores, density_and_coverage
from .drawing import PLAIN
from .findings import Block, Cell, Section, Sheet, Shown, Table
from .held import spread
from .jackknife import difference as difference_without
from .jackknife import estimate, leave_out
from .seeing import SHAPES, SURFACE
from .statistics import Estimate, difference, mean
from .suite import Row
from .wavelets import wavelet_distance_to

Features = npt.NDArray[np.generic]
To = Callable[[Any, Any], Any]

REFERENCES: Final = ("held-out", "database", "reference")
"""Kinds of real pictures that drawn ones are compared with."""

BOUND: Final = "reconstruction"
SHOWN: Final = 8
"""Prompts on the contact sheet."""

DISTANCES: Final[Mapping[str, tuple[str, To]]] = {
    "FWD": ("", wavelet_distance_to),
    "FD on the judges' shapes": (SHAPES, FrechetTo),
    "FD on the judges' surface": (SURFACE, FrechetTo),
    "KID on the judges' shapes x 1000": (SHAPES, KernelTo),
    "Inception FID": ("inception", FrechetTo),
    "KID x 1000 (Inception)": ("inception", KernelTo),
    "FD-DINOv2": ("dinov2", FrechetTo),
    "CMMD": ("clip", CmmdTo),
}
"""By name: what is compared ("": the pixels), and how."""

DISTANCES_TEXT: Final = f"""\
How near drawn pictures are to real ones as a set. FWD is the Fréchet wavelet distance (Veeramacheneni et al. 2024, \
arXiv 2312.15289; Haar, packets of at least 16 coefficients a side), which needs no trained network. FD is the \
Fréchet distance of two Gaussians, KID the unbiased kernel distance of Binkowski et al. 2018, on what the judges of \
this project look at: shapes (layout of colours and histograms of gradients, by which they tell concepts) and \
surface (colours and texture, by which they tell styles). Nothing was trained on photographs for them, and they are \
not FID. Density and coverage: Naeem et al. 2020, with the {NEAREST} nearest real pictures, on the shapes; more is \
better, less elsewhere. All of them depend on how many pictures are compared, so only rows of one table are \
comparable.

Intervals hold 95 %: of distances by leaving out one of twelve groups of drawn pictures in turn (jackknife: a \
bootstrap draws pictures twice, and moves such figures), of density and coverage by bootstrap over drawn and over \
real pictures. The real pictures are taken as given. Every arm draws the same prompts with the same seeds, and \
differences are paired.

"{BOUND}" is what the tokenizer makes of the very pictures that the prompts ask for: what a perfect model would \
draw. "held-out", where it is a row, is as many other real pictures."""

ADHERENCE_TEXT: Final = """\
Whether the judges of this project take a picture for what its prompt names. Concept: mean reciprocal rank of the \
right concept among all, by real pictures in other styles only, so that a copy of the picture itself does not count. \
Style and colour: share that a linear classifier names rightly; colours are ones that the concept was not trained \
in."""


COPIED: Final = "copied"
MEASURES: Final = (
    ("asked", "concept", "concept, mean reciprocal rank", 1),
    ("asked", "style", "style right", 1),
    ("coloured", "colour", "colour right", 1),
    ("asked", COPIED, "codes of the nearest picture of the database", -1),
)
"""Kind of prompts, what is said of a picture, its name, and which way is better."""


@dataclass(frozen=True)
class Seen:
    """Rows of one kind, in the order of their keys: all features and pictures of an arm."""

    rows: Sequence[Row]

    @property
    def arms(self) -> list[str]:
        """Those with pictures."""
        return list(dict.fromkeys(arm for row in self.rows for arm in row.figures if row.figures[arm].get("pictures")))

    def features(self, kind: str, arm: str) -> Features:
        """[N, F] of a kind; of "" the pictures [N, H, W, 3] themselves."""
        if kind:
            return np.concatenate([row.array(f"{kind}-{arm}") for row in self._with(arm)])
        return np.stack([pixels for row in self._with(arm) for pixels in row.pixels(arm)])

    def judged(self, arm: str, what: str) -> list[float]:
        """What judges said of each picture; none where they did not."""
        said = [row.details.get("judged", {}).get(arm, {}).get(what, []) for row in self.rows]
        return [float(value) for values in said for value in values]

    @property
    def compared(self) -> dict[str, dict[str, str]]:
        """Arms of one's own that are compared with their method as set, see `arms.compared`."""
        return dict(self.rows[0].about.get("compared", {})) if self.rows else {}

    @cached_property
    def networks(self) -> dict[str, str]:
        """Names of the networks whose features are there."""
        return dict(self.rows[0].details.get("networks", {})) if self.rows else {}

    def _with(self, arm: str) -> list[Row]:
        return [row for row in self.rows if row.figures.get(arm, {}).get("pictures")]


def found(rows: Sequence[Row]) -> Sequence[Section]:
    """The sections of a run."""
    kinds = {str(row.about["kind"]) for row in rows}
    seen = {kind: Seen([row for row in rows if row.about["kind"] == kind]) for kind in kinds}
    drawn = seen.get("asked", Seen([]))
    sections = [distances(seen, name) for name in REFERENCES if name in seen and drawn.rows]
    return [*sections, *adherence(seen), *comparisons(seen), *pictures(drawn)]


def distances(seen: Mapping[str, Seen], reference: str) -> Section:
    """Distances to one kind of real pictures, and differences to the model alone."""
    real, drawn = seen[reference], seen["asked"]
    sets = {arm: (drawn, arm) for arm in drawn.arms}
    sets |= {name: (seen[name], name) for name in (BOUND, "held-out") if name in seen and name != reference}
    measures = {name: how for name, how in DISTANCES.items() if how[0] in ("", SHAPES, SURFACE, *real.networks)}
    head = ("pictures", *measures, "density", "coverage")
    values, pairs = list[tuple[Cell, ...]](), list[tuple[Cell, ...]]()
    parts = {name: _measured(sets, real, reference, how) for name, how in measures.items()}
    near = {arm: _near(_of(*sets[arm], _size(sets)), real, reference) for arm in sets}
    for arm, (rows, _) in sets.items():
        count = _size(sets)
        cells = [_scaled(name, estimate(*parts[name][arm], count)) for name in measures]
        values.append((arm, *cells, mean(near[arm][0]), mean(near[arm][1])))
        if rows is drawn and arm != PLAIN and PLAIN in sets:
            less = [_scaled(n, difference_without(parts[n][arm], parts[n][PLAIN], count)) for n in measures]
            base = near[PLAIN]
            pairs.append((arm, *less, difference(near[arm][0], base[0]), difference(near[arm][1], base[1])))
    note = str(real.rows[0].about["note"])
    networks = "".join(f" {name}." for name in real.networks.values())
    blocks: list[Block] = [Table(head, tuple(values), note=f"Compared with {note}.{networks}")]
    if pairs:
        blocks.append(Table(head, tuple(pairs), note=f"Less {PLAIN}, of the same prompts and seeds."))
    return Section(f"Distances to real pictures: {reference}", DISTANCES_TEXT, tuple(blocks))


def _size(sets: Mapping[str, tuple[Seen, str]]) -> int:
    """Pictures of each set that are compared: as many as the smallest has."""
    return min(len(rows.features(SHAPES, arm)) for rows, arm in sets.values())


def _of(rows: Seen, arm: str, count: int, kind: str = SHAPES) -> Features:
    """The features of `count` pictures, spread over them."""
    ours = rows.features(kind, arm)
    return ours[spread(len(ours), count)]


def _measured(
    sets: Mapping[str, tuple[Seen, str]], real: Seen, reference: str, how: tuple[str, To]
) -> dict[str, tuple[float, Sequence[float]]]:
    """A distance of every set to the real ones, whole and without each group."""
    kind, make = how
    theirs, found = real.features(kind, reference), dict[str, tuple[float, Sequence[float]]]()
    count = _size(sets)
    for name, (rows, arm) in sets.items():
        found[name] = leave_out(make(_of(rows, arm, count, kind), theirs).of, count)
    return found


def _near(ours: Features, real: Seen, reference: str) -> tuple[Any, Any]:
    """Density by drawn picture, and coverage by real one."""
    theirs = real.features(SHAPES, reference)
    return density_and_coverage(ours.astype(np.float64), theirs.astype(np.float64))


def _scaled(name: str, value: Estimate) -> Estimate:
    """Kernel distances are told in thousandths."""
    if "x 1000" not in name:
        return value
    return Estimate(1000 * value.value, 1000 * value.low, 1000 * value.high, value.n)


def adherence(seen: Mapping[str, Seen]) -> Iterator[Section]:
    """What judges say, where they were there."""
    blocks, good = list[Block](), dict[str, float]()
    for kind, what in (("asked", "concept"), ("asked", "style"), ("coloured", "colour")):
        drawn = seen.get(kind, Seen([]))
        said = {arm: drawn.judged(arm, what) for arm in drawn.arms}
        bound = seen[BOUND].judged(BOUND, what) if BOUND in seen else []
        rows: list[tuple[Cell, ...]] = [
            (arm, mean(values), difference(values, said[PLAIN]) if PLAIN in said and arm != PLAIN else "")
            for arm, values in said.items()
            if values
        ]
        rows += [(BOUND, mean(bound), "")] if bound and rows else []
        if rows:
            name = {"concept": "concept, mean reciprocal rank"}.get(what, f"{what} right")
            blocks.append(Table(("pictures", name, f"less {PLAIN}"), tuple(rows)))
            good |= drawn.rows[0].details.get("judges", {})
    scores = [*_clip_scores(seen.get("asked", Seen([])))]
    if blocks or scores:
        told = ", ".join(f"{name.replace('_', ' ')} {value:.2f}" for name, value in good.items())
        own = f"\n\nOn held-out pictures: {told}." if told else ""
        yield Section("What was asked for", ADHERENCE_TEXT + own, (*blocks, *scores))


def comparisons(seen: Mapping[str, Seen]) -> Iterator[Section]:
    """Arms of one's own against their method as set, by what judges say and by what is copied."""
    for arm, about in seen.get("asked", Seen([])).compared.items():
        like, rows = about["as_set"], list[tuple[Cell, ...]]()
        better, worse, open_ = list[str](), list[str](), list[str]()
        for kind, what, label, sign in MEASURES:
            drawn = seen.get(kind, Seen([]))
            ours, theirs = drawn.judged(arm, what), drawn.judged(like, what)
            if not ours or len(ours) != len(theirs):
                continue
            less = difference(ours, theirs)
            rows.append((label, mean(theirs), mean(ours), less))
            (better if sign * less.low > 0 and sign * less.high > 0 else
             worse if sign * less.low < 0 and sign * less.high < 0 else open_).append(label)  # fmt: skip
        if rows:
            text = f"{arm}: {about['changes']}. {like}: as the run sets it. The same prompts and seeds."
            table = Table(("", like, arm, f"{arm} - {like}"), tuple(rows))
            verdict = _verdict(arm, like, better, worse, open_)
            yield Section(f"Pictures drawn as {arm} and as {like}", f"{text}\n\n{verdict}", (table,))


def _verdict(arm: str, like: str, better: Sequence[str], worse: Sequence[str], same: Sequence[str]) -> str:
    """What intervals of paired differences say, in words."""
    parts = [f"{name}: {', '.join(labels)}" for name, labels in
             (("better", better), ("worse", worse), ("no difference that shows", same)) if labels]  # fmt: skip
    said = f"{arm} against {like} is {'; '.join(parts)}."
    if worse and better:
        return f"{said} Neither is better in everything."
    if worse or better:
        return f"{said} Nothing that shows speaks {'for' if worse else 'against'} {arm}."
    return said


def _clip_scores(drawn: Seen) -> Iterator[Table]:
    """CLIPScore, where its weights were given."""
    if "clip" not in drawn.networks:
        return
    texts = np.concatenate([row.array("texts") for row in drawn.rows]).astype(np.float32)
    said = {arm: clip_scores(drawn.features("clip", arm).astype(np.float32), texts) for arm in drawn.arms}
    rows: list[tuple[Cell, ...]] = [
        (arm, mean(values), difference(values, said[PLAIN]) if PLAIN in said and arm != PLAIN else "")
        for arm, values in said.items()
    ]
    note = f"Hessel et al. 2021: 2.5 max(cosine, 0), by {drawn.networks['clip']}."
    yield Table(("pictures", "CLIPScore", f"less {PLAIN}"), tuple(rows), note=note)


def pictures(drawn: Seen) -> Iterator[Section]:
    """The first prompts, an arm a row."""
    places = [(row.key, n, w["prompt"]) for row in drawn.rows for n, w in enumerate(row.about["wanted"])]
    chosen = [places[place] for place in spread(len(places), SHOWN)]
    shown = tuple(Shown(key, arm, n, f"{prompt}: {arm}") for arm in drawn.arms for key, n, prompt in chosen)
    if shown:
        sheet = Sheet("generation-pictures", "The same prompts and seeds in every row", shown, len(chosen))
        yield Section("Pictures", "Spread evenly over the prompts, chosen by nobody.", (sheet,))
