"""Judge what the embedded models draw: `python -m core evaluate identify --json`.

One part asks whether pictures show the concept, style and colour that the prompt names, and how much of them is copied;
the other asks what a database of a style and concepts that the novice has never seen does to its pictures. The suite
`identify` is both; `trained` and `unseen` are one each; `sampler` compares settings on prompts that judge nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from PIL import Image
from tqdm import tqdm

from .. import threads
from ..assets import ASSETS
from ..backends import Backend, load_backend
from ..engine import decode
from ..patches.catalogue import open_database
from ..patches.database import PatchDatabase
from ..training.colour import VARIANTS, recolour
from ..training.data import UNSEEN_STYLE, colour_held_out, family
from ..types import CodeArray, ConfigError, DecodeSettings, FloatArray, IntArray
from .judges import Classifier, Gallery, Pictures, codes_used, copied_share, in_parts, palette, roughened, surface
from .likelihood import CHOSEN, CHOSEN_FAID, Found, HeldOut, nats_per_code

SIDES = ("validation", "test", "pair")
TUNING_SHARE = 4
"""Prompts of one concept in four are for choosing settings; the others are judged."""

ROWS = 50
"""Pictures that are generated at once."""

ROUGHENED = (0.15, 0.3)
"""Shares of codes that are replaced by similar ones in the pictures that the style judge learns from besides."""

UNSEEN_BLEND = DecodeSettings(
    method="daid",
    retrieval_weight=0.7,
    retrieval_temperature=0.3,
    gate=0.0,
    caption_filter=1,
    n_neighbours=64,
    position_weight=0.3,
    styles=(UNSEEN_STYLE,),
)
"""How the novice draws what it has never seen: from the one picture whose caption is nearest, cell by cell."""

UNSEEN_LIKELIHOOD = replace(CHOSEN, retrieval_weight=0.2, retrieval_temperature=0.6, n_neighbours=64, gate=4.0)
UNSEEN_FAID = replace(CHOSEN_FAID, position_weight=0.1)
UNSEEN_BOTH = replace(UNSEEN_LIKELIHOOD, retrieval_weight=0.125, n_neighbours=256, gate=6.0)
"""What DAiD mixes, what FAiD blends, and what DAiD mixes beside it, where they guess held-out pictures of which the
database has no variant; chosen on validation ones."""

Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Subject:
    """What one picture is to show."""

    concept: str
    style: str
    colour: str = ""

    @property
    def prompt(self) -> str:
        """The words for it."""
        name = f"{self.colour} {family(self.concept)}" if self.colour else self.concept
        return f"{name}, {self.style} style"


@dataclass(frozen=True, slots=True)
class Sample:
    """Generated pictures [N, 128, 128, 3] of the subjects and their token grids [N, H, W]."""

    subjects: tuple[Subject, ...]
    pictures: Pictures
    grids: CodeArray


# -- What is judged ---------------------------------------------------------------------------------------------------


def generate(
    backend: Backend, database: PatchDatabase | None, subjects: Sequence[Subject], settings: DecodeSettings, seeds: int
) -> Sample:
    """Every subject with each of `seeds` seeds."""
    grids = []
    for turn in range(seeds):
        for first in range(0, len(subjects), ROWS):
            part = subjects[first : first + ROWS]
            chosen = replace(settings, seed=settings.seed + 1000 * turn + first)
            steps = decode(backend, database, [subject.prompt for subject in part], chosen)
            codes = [
                [record.code for record in step] for step in tqdm(steps, total=backend.grid.positions, leave=False)
            ]
            grids.append(np.array(codes, np.uint16).T.reshape(len(part), backend.grid.height, backend.grid.width))
    stacked = np.concatenate(grids)
    return Sample(tuple(subjects) * seeds, backend.decode_codes(stacked), stacked)


def for_tuning(concept: str) -> bool:
    """Whether prompts of a concept choose settings, so that they may not judge them."""
    return hashlib.sha256(concept.encode()).digest()[0] % TUNING_SHARE == 0


def drawn(subjects: Sequence[Subject], count: int) -> list[Subject]:
    """`count` of the subjects, the same at every call, as many of every style as of any other."""
    order = np.random.default_rng(0).permutation(len(subjects))
    queues: dict[str, list[Subject]] = {}
    for n in order.tolist():
        queues.setdefault(subjects[n].style, []).append(subjects[n])
    turns = zip(*(queues[style] for style in sorted(queues)), strict=False)
    return [subject for turn in turns for subject in turn][:count]


def subjects_of(database: PatchDatabase, tuning: bool) -> list[Subject]:
    """The pictures of a database as subjects: those for tuning, or those for judging."""
    infos = [database.metadata[n] for n in database.images.tolist()]
    return [Subject(info.caption, info.style) for info in infos if for_tuning(info.caption) == tuning]


def combinations(database: PatchDatabase, tuning: bool) -> list[Subject]:
    """Coloured subjects whose combination of concept and colour was held out of training, in the style of a picture."""
    found = [
        Subject(subject.concept, subject.style, colour)
        for subject in subjects_of(database, tuning)
        for colour in VARIANTS
        if colour_held_out(subject.concept, colour) and "heart" not in subject.concept
    ]
    known = {(subject.concept, subject.style) for subject in found if is_coloured(database, subject)}
    return [subject for subject in found if (subject.concept, subject.style) in known]


def is_coloured(database: PatchDatabase, subject: Subject) -> bool:
    """Whether the subject's picture has a dominant hue, so that it can be given a colour at all."""
    return recolour(original(database, subject), VARIANTS[0]) is not None


def original(database: PatchDatabase, subject: Subject) -> Pictures:
    """The picture [128, 128, 3] of a concept in a style."""
    number = next(
        n
        for n in database.images.tolist()
        if (database.metadata[n].caption, database.metadata[n].style) == (subject.concept, subject.style)
    )
    return opened(database, number)


def opened(database: PatchDatabase, image: int) -> Pictures:
    """The picture [128, 128, 3] of an image of the database."""
    encoded = database.picture(image)
    if not encoded:
        raise ConfigError(
            f"database: image {image} has no picture, expected one to judge by; take the embedded database"
        )
    return np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB"))


def held_out_sides(backend: Backend) -> list[PatchDatabase]:
    """Pictures that no model has learned from, as token grids."""
    return [PatchDatabase.load(ASSETS / "heldout" / side, backend.codebook) for side in SIDES]


class Judges:
    """The gallery and the classifiers, made from the pictures of the database and of the held-out sides.

    held: those sides, None for the ones that ship; every: the style and the colour are learned from every n-th picture
    of the database; originals: pictures of the database [N, ...]; others: decoded ones of the held-out sides, which
    only have codes.
    """

    def __init__(
        self, backend: Backend, database: PatchDatabase, held: Sequence[PatchDatabase] | None = None, every: int = 1
    ) -> None:
        self._backend, self._every = backend, every
        self.database, self.held = database, held_out_sides(backend) if held is None else list(held)
        self.originals = np.stack([opened(database, n) for n in tqdm(database.images.tolist(), desc="pictures")])
        grids, other_grids = np.asarray(database.grids)[database.images], [np.asarray(s.grids) for s in self.held]
        self.size, self.restored = backend.codebook.size, backend.decode_codes(grids[::every])
        self.other_grids = np.concatenate([grids[:0], *other_grids])
        self.others = backend.decode_codes(self.other_grids) if len(self.other_grids) else self.restored[:0]
        infos = [database.metadata[n] for n in database.images.tolist()]
        self.infos, self.other_infos = infos, [info for side in self.held for info in side.metadata]
        everything = [*infos, *self.other_infos]
        pictures = np.concatenate([self.originals, self.others])
        concepts, styles = [info.caption for info in everything], [info.style for info in everything]
        self.gallery = Gallery.of(pictures, concepts, styles)
        self.style = self._learn_style(backend, grids[::every])
        self.colour = Classifier.learn(*coloured(self.restored[::2]))

    def _learn_style(self, backend: Backend, grids: CodeArray) -> Classifier:
        """From the pictures of the database as the tokenizer restores them, smooth and roughened."""
        rng, rows = np.random.default_rng(0), [self.looks(self.restored, grids)]
        for share in ROUGHENED:
            rough = roughened(grids, backend.codebook.vectors, share, rng)
            rows.append(self.looks(backend.decode_codes(rough), rough))
        return Classifier.learn(np.concatenate(rows), [info.style for info in self.infos[:: self._every]] * len(rows))

    def looks(self, pictures: Pictures, grids: CodeArray) -> FloatArray:
        """[N, 566 + V] what the style judge looks at: the surface of decoded pictures, and which codes they use."""
        return np.hstack([in_parts(surface, pictures), codes_used(grids, self.size)])

    def own_figures(self) -> Figures:
        """How good the judges are on pictures that they have not learned from; nothing where there are none."""
        if not self.other_infos:
            return {}
        styles = [info.style for info in self.other_infos]
        return {
            "style_judge_accuracy": self.style.accuracy(self.looks(self.others, self.other_grids), styles),
            "colour_judge_accuracy": self.colour.accuracy(*coloured(self.others)),
        }

    def reconstructions(self, subjects: Sequence[Subject]) -> Pictures:
        """What the tokenizer makes of the subjects' own pictures: what a perfect model would draw."""
        number = {
            (info.caption, info.style): n for n, info in zip(self.database.images.tolist(), self.infos, strict=True)
        }
        images = [number[subject.concept, subject.style] for subject in subjects]
        return self._backend.decode_codes(np.asarray(self.database.grids)[images])


def coloured(pictures: Pictures) -> tuple[npt.NDArray[np.float32], list[str]]:
    """Palettes of the pictures in every colour that they can be given, and the names of the colours."""
    rows, names = [], []
    for picture in pictures:
        variants = [(recolour(picture, colour), colour) for colour in VARIANTS]
        rows += [variant for variant, _ in variants if variant is not None]
        names += [colour for variant, colour in variants if variant is not None]
    return in_parts(palette, np.stack(rows)), names


# -- Figures ----------------------------------------------------------------------------------------------------------


def reciprocal(ranks: IntArray) -> float:
    """Mean reciprocal rank."""
    return float((1 / ranks).mean())


def identification(judges: Judges, sample: Sample) -> Figures:
    """Whether pictures are taken for their concept, by all pictures and by those in other styles only."""
    concepts, styles = [s.concept for s in sample.subjects], [s.style for s in sample.subjects]
    other = judges.gallery.ranks(sample.pictures, concepts, styles)
    return {
        "mrr_other_style": reciprocal(other),
        "top1_other_style": float((other == 1).mean()),
        "mrr": reciprocal(judges.gallery.ranks(sample.pictures, concepts, None)),
    }


def style_accuracy(judges: Judges, sample: Sample) -> float:
    """Share of pictures that are judged to be in the style that was asked for."""
    return judges.style.accuracy(judges.looks(sample.pictures, sample.grids), [s.style for s in sample.subjects])


def style_by_codes(database: PatchDatabase, sample: Sample) -> float:
    """Share of pictures of trained subjects that are in the style asked for, judged by the subject's own pictures.

    Of the real pictures of the concept, one in each style, the one that shares most codes, place by place, tells the
    style. It needs no classifier, and works only for what was trained.
    """
    grids, infos = np.asarray(database.grids), database.metadata
    right = 0
    for subject, grid in zip(sample.subjects, sample.grids, strict=True):
        own = [n for n in database.images.tolist() if infos[n].caption == subject.concept]
        shared = [(grids[n] == grid).mean() for n in own]
        right += infos[own[int(np.argmax(shared))]].style == subject.style
    return right / len(sample.subjects)


def identify(backend: Backend, judges: Judges, settings: DecodeSettings, count: int, seeds: int) -> Figures:
    """Figures of the model alone on trained prompts, held-out (concept, style) pairs and held-out colours."""
    subjects = drawn(subjects_of(judges.database, tuning=False), count)
    sample = generate(backend, None, subjects, settings, seeds)
    figures = {f"identify_{name}": value for name, value in identification(judges, sample).items()}
    perfect = Sample(tuple(subjects), judges.reconstructions(subjects), sample.grids[: len(subjects)])
    bound = identification(judges, perfect)
    figures |= {"identify_bound_mrr": bound["mrr_other_style"], "identify_bound_top1": bound["top1_other_style"]}
    figures |= {"identify_random_mrr": judges.gallery.random_mrr(), "style_accuracy": style_accuracy(judges, sample)}
    figures["style_by_codes"] = style_by_codes(judges.database, sample)
    figures["copied_code_share"] = float(copied_share(sample.grids, np.asarray(judges.database.grids)).mean())
    pairs = [Subject(info.caption, info.style) for info in judges.held[SIDES.index("pair")].metadata]
    combos = generate(backend, None, pairs, settings, seeds)
    figures |= {"combo_mrr": identification(judges, combos)["mrr_other_style"]}
    figures["combo_style_accuracy"] = style_accuracy(judges, combos)
    combined = drawn(combinations(judges.database, tuning=False), count * seeds)  # there are many: each one once
    hues = generate(backend, None, combined, settings, 1)
    wanted = [subject.colour for subject in hues.subjects]
    figures["colour_accuracy"] = judges.colour.accuracy(in_parts(palette, hues.pictures), wanted)
    return figures


def unseen(backend: Backend, judges: Judges, settings: DecodeSettings, count: int, seeds: int) -> Figures:
    """What the database of what the novice has never seen does to its pictures and to its likelihood.

    The style rate is that of pictures that are judged to be in the unseen style when the prompt asks for it. The
    likelihood is that of held-out pictures in that style, of which the database has no variant.
    """
    database = open_database("unseen", backend)
    flat = [s for s in subjects_of(judges.database, tuning=False) if s.style == UNSEEN_STYLE]
    subjects, figures = drawn(flat, count), Figures()
    off = replace(settings, method="model")
    on = replace(
        UNSEEN_BLEND, seed=settings.seed, temperature=settings.temperature, top_p=settings.top_p,
        cfg_scale=settings.cfg_scale,
    )  # fmt: skip
    for name, chosen in (("off", off), ("faid", replace(on, method="faid")), ("on", on)):
        sample = generate(backend, database, subjects, chosen, seeds)
        figures[f"unseen_style_rate_{name}"] = style_accuracy(judges, sample)
        figures[f"unseen_identify_mrr_{name}"] = reciprocal(
            judges.gallery.ranks(sample.pictures, [s.concept for s in sample.subjects], None)
        )
    return figures | unseen_likelihood(backend, database)


def unseen_likelihood(backend: Backend, database: PatchDatabase) -> Figures:
    """Nats per code of held-out pictures in the unseen style: of the model, and with FAiD and DAiD over the database.

    blank is FAiD with nothing retrieved: what its head alone, tuned on pictures that no model knows, is worth.
    """
    losses: dict[str, list[float]] = {f"unseen_nll_{name}": [] for name in ("off", "daid", "blank", "faid", "on")}
    daid, faid, both, count = UNSEEN_LIKELIHOOD, UNSEEN_FAID, UNSEEN_BOTH, UNSEEN_FAID.faid_neighbours
    for side in SIDES:
        held = HeldOut(backend, side, styles=(UNSEEN_STYLE,))
        mixed, beside, near = (held.found(database, settings) for settings in (daid, both, faid))
        nothing: list[Found] = [[None] * backend.grid.positions for _ in held.grids]
        plain, blended = held.observations(held.logits(), mixed), held.observations(held.logits(near, count), beside)
        blank = held.observations(held.logits(nothing, count), nothing)
        off = replace(daid, method="model")
        for name, seen, settings in (
            ("off", plain, off), ("daid", plain, daid), ("blank", blank, off), ("faid", blended, off),
            ("on", blended, both),
        ):  # fmt: skip
            losses[f"unseen_nll_{name}"] += [nats_per_code(seen, settings)] * len(held.grids)
    return {name: float(np.mean(values)) for name, values in losses.items()}


def sampler(backend: Backend, judges: Judges, settings: DecodeSettings, count: int, seeds: int) -> Figures:
    """Print what each choice of guidance, temperature and top-p scores on the tuning prompts; the best MRR."""
    subjects, best = drawn(subjects_of(judges.database, tuning=True), count), 0.0
    for scale, temperature, top_p in itertools.product(SCALES, TEMPERATURES, TOP_PS):
        chosen = replace(settings, cfg_scale=scale, temperature=temperature, top_p=top_p)
        sample = generate(backend, None, subjects, chosen, seeds)
        figures = identification(judges, sample) | {"style_accuracy": style_accuracy(judges, sample)}
        best = max(best, figures["mrr_other_style"])
        scores = ", ".join(f"{name} {value:.3f}" for name, value in figures.items())
        print(f"cfg {scale:g}, temperature {temperature:g}, top-p {top_p:g}: {scores}", flush=True)
    return {"sampler_best_mrr": best}


SCALES, TEMPERATURES, TOP_PS = (1.5, 2.0, 3.0), (0.5, 0.7), (0.95,)
"""What `sampler` tries."""

SUITES: dict[str, tuple[tuple[str, Callable[[Backend, Judges, DecodeSettings, int, int], Figures]], ...]] = {
    "identify": (("emoji", identify), ("novice", unseen)),
    "trained": (("emoji", identify),),
    "unseen": (("novice", unseen),),
    "sampler": (("emoji", sampler),),
}


def run(chosen: argparse.Namespace) -> int:
    """Print the figures of a suite."""
    threads.pin()
    backend, settings = load_backend("emoji"), DecodeSettings(method="model")
    judges = Judges(backend, open_database("emoji", backend))
    figures = judges.own_figures()
    for name, suite in SUITES[chosen.what]:
        figures |= suite(load_backend(name), judges, settings, chosen.count, chosen.seeds)
    rounded = {name: round(value, 4) for name, value in figures.items()}
    print(json.dumps(rounded) if chosen.json else "\n".join(f"{name:28} {value}" for name, value in rounded.items()))
    return 0
