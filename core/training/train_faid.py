"""Tune the embedded model for FAiD on the CPU: `python -m core.training.train_faid --data data`.

The transformer stays as it is; blenders, their retrieval norms and an output head of their own learn. Half of the
pictures are ones that the transformer has never seen: on those that it knows by heart, neighbours could teach nothing.
Neighbours come from the shipped database without the picture itself and without its whole family (other styles, other
colours of the same thing). For some pictures they come from those in its own style only, and the condition is silent
about the style: then the neighbours alone tell it. `--retrieval 0` trains the control: the same parameters, equally
long, nothing retrieved. `--novice` tunes the novice, without what it must not see; most of its lessons are in styles
that nobody drew (invented.py), since neighbours can tell it little of the styles that it knows.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from ..backends import checkpoint
from ..backends.blend_pass import BlendPass, parallel_pass
from ..backends.emoji.backend import EmojiBackend
from ..backends.emoji.text import TextEncoder
from ..backends.emoji.transformer import ARTransformer, Condition, FaidConfig, TunedFaid, conditions
from ..context import Context, context_codes, retrieving_positions
from ..inputs.arguments import add_numbers, numbers, program
from ..patches.catalogue import open_database
from ..patches.database import PatchDatabase
from ..patches.protocol import ImageInfo
from ..types import CodeArray, FloatArray
from . import data, loop
from .invented import STYLES, redrawn
from .train_transformer import Captioner, TrainSettings, corrupt

NOTHING = -1
HELD_OUT = ("validation", "pair")
CONTROL = "control"
"""Folder of the control, in that of its model."""
FILTERS = (32, 256)
"""Caption filters that neighbours are looked up with, once each; then the last of them within the picture's style."""
KINDS = len(FILTERS) + 1
INVENTED, INVENTED_LESSONS = (*STYLES[::3], *STYLES[1::3]), 24
"""Invented styles that the novice's blenders learn from, and how many pictures of each."""
LESSONS, NOVICE_LESSONS = 1000, 400
"""About how many pictures are learned from: looking up their neighbours takes longer than learning from them, and the
wider contexts that the novice looks up take longest."""
NOISE, PASSED_ON, MEANING = 0.3, 0.1, 4.0
"""What blenders begin with: scale of torch's initial weights, of the features that they add to the hidden state, and
how much the last raises the logit of a code that all neighbours have, before the output norm, which divides by 3."""

Int16Array = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class FaidSettings:
    """How long and how fast; which pictures, and how often something is left out.

    seen: share of pictures that the transformer was trained on; retrieval: share of pictures that retrieve (0: the
    control); same_style: share of pictures whose neighbours, not the condition, tell the style; unguided_every: each so
    many steps one without captions and blenders, for guidance.
    """

    seed: int = 0
    steps: int = 250
    batch: int = 24
    neighbours: int = 10
    learning_rate: float = 1e-3
    head_rate: float = 1.5e-4
    average: float = 0.99
    average_from: float = 0.6
    seen: float = 0.5
    retrieval: float = 0.9
    same_style: float = 0.33
    unguided_every: int = 10
    checkpoint_every: int = 100


# -- What is learned from ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Lessons:
    """Pictures as codes with what they retrieve.

    grids: [N, H, W]; neighbours: [N, KINDS, S, K] int16 codes, nearest first, NOTHING where nothing was retrieved.
    """

    grids: CodeArray
    items: tuple[data.Item, ...]
    neighbours: Int16Array

    @property
    def fingerprint(self) -> str:
        """Hash of everything in it."""
        return loop.hash_of(repr(self.items), self.grids, self.neighbours)


def pictures_of(dataset: data.DataSet, split: str, novice: bool = False) -> tuple[data.Pictures, tuple[data.Item, ...]]:
    """Pictures of one side, or a part of them; to learn from, also those that the transformer has never seen."""
    side = [(n, item) for n, item in enumerate(dataset.items) if item.split == split]
    chosen = [n for n, item in side if (item.iconic or split == "train") and not (novice and item.unseen)]
    chosen = chosen[:: max(1, len(chosen) // (NOVICE_LESSONS if novice else LESSONS))]
    return dataset.pictures[chosen], tuple(dataset.items[n] for n in chosen)


def lessons(
    dataset: data.DataSet,
    split: str,
    backend: EmojiBackend,
    database: PatchDatabase,
    count: int,
    novice: bool = False,
) -> Lessons:
    """The pictures of one side with the codes of their `count` nearest neighbours of every kind."""
    pictures, items = pictures_of(dataset, split, novice)
    return looked_up(backend.encode_images(pictures), items, backend, database, count)


@dataclass(frozen=True, slots=True)
class Invented:
    """A style that nobody drew, and the numbers of the pictures that its database holds and that are learned from."""

    style: tuple[str, str, str]
    database: npt.NDArray[np.int64]
    lessons: npt.NDArray[np.int64]

    def items(self, dataset: data.DataSet, numbers: npt.NDArray[np.int64]) -> tuple[data.Item, ...]:
        """What those pictures are in this style: to the transformer, all invented styles are the unseen one."""
        return tuple(replace(dataset.items[n], style=data.UNSEEN_STYLE, iconic=False) for n in numbers)


def invented_styles(dataset: data.DataSet) -> list[Invented]:
    """Invented styles, each made from the pictures of a real one that the novice knows, in turn."""
    made, real = list[Invented](), [style for style in data.STYLES if style != data.UNSEEN_STYLE]
    for number, style in enumerate(INVENTED):
        side = [
            n
            for n, item in enumerate(dataset.items)
            if item.split == "train" and item.style == real[number % len(real)] and not item.unseen
        ]
        known = np.array([n for n in side if dataset.items[n].iconic])
        made.append(Invented(style, known, np.random.default_rng(number).permutation(side)[:INVENTED_LESSONS]))
    return made


def invented_lessons(dataset: data.DataSet, backend: EmojiBackend, context: Context, count: int) -> Lessons:
    """Pictures in invented styles, each with what a database of its style alone holds for it."""
    made = list[Lessons]()
    for invented in tqdm(invented_styles(dataset), desc="invented styles"):
        held, items = (invented.items(dataset, numbers) for numbers in (invented.database, invented.lessons))
        database = PatchDatabase.build(
            backend.codebook,
            backend.encode_images(redrawn(dataset.pictures[invented.database], invented.style)),
            [ImageInfo(item.label, item.style, item.concept, " ".join(invented.style)) for item in held],
            context,
            captions=backend.embed_captions([item.label for item in held]),
            caption_encoder=backend.caption_encoder,
        )
        grids = backend.encode_images(redrawn(dataset.pictures[invented.lessons], invented.style))
        made.append(looked_up(grids, items, backend, database, count))
    return joined(made)


def joined(parts: Sequence[Lessons]) -> Lessons:
    """Several lessons as one."""
    return Lessons(
        np.concatenate([part.grids for part in parts]),
        tuple(item for part in parts for item in part.items),
        np.concatenate([part.neighbours for part in parts]),
    )


def looked_up(
    grids: CodeArray, items: tuple[data.Item, ...], backend: EmojiBackend, database: PatchDatabase, count: int
) -> Lessons:
    """Pictures with what they retrieve from a database without their families; with a count of 0, with nothing."""
    if count == 0:
        return Lessons(grids, items, blank(len(items), backend.grid.positions))
    vectors = backend.embed_captions([item.label for item in items])
    families = np.array([data.family(database.metadata[n].caption) for n in database.images])

    @lru_cache(maxsize=2)
    def without(family: str) -> PatchDatabase:
        """The database without a family; pictures of one are neighbours in the data set."""
        return database.subset(database.images[families != family]) if family in families else database

    def look_up(number: int) -> Int16Array:
        item = items[number]
        return neighbour_codes(grids[number], vectors[number], without(data.family(item.label)), item.style, count)

    with ThreadPoolExecutor(2) as pool:
        found = list(tqdm(pool.map(look_up, range(len(items))), total=len(items), desc="neighbours", leave=False))
    return Lessons(grids, items, np.stack(found))


def blank(pictures: int, positions: int) -> Int16Array:
    """Neighbours [pictures, KINDS, positions, 1] of pictures that retrieve nothing; any count of them would do."""
    return np.full((pictures, KINDS, positions, 1), NOTHING, np.int16)


def neighbour_codes(
    grid: npt.NDArray[np.integer], caption: FloatArray, database: PatchDatabase, style: str, count: int
) -> Int16Array:
    """Codes [KINDS, S, count] that a picture [H, W] in a style, with this caption vector, retrieves."""
    places = retrieving_positions(database.context, database.grid)
    queries = context_codes(database.context, grid[None], places)[0]
    codes = np.full((KINDS, database.grid.positions, count), NOTHING, np.int16)
    alike = database.with_styles([style] if style in database.styles else [])
    for n, (kept, source) in enumerate([*((kept, database) for kept in FILTERS), (FILTERS[-1], alike)]):
        if n == KINDS - 1 and len(alike.images) == len(database.images):  # all of one style: what was found just now
            codes[n] = codes[n - 1]
            continue
        view = source.subset(source.nearest_captions(caption, kept))
        codes[n, places] = [found.codes for found in view.search(queries, count)]
    return codes


def cached_lessons(
    folder: Path, backend: EmojiBackend, database: PatchDatabase, run: Path, count: int, novice: bool
) -> dict[str, Lessons]:
    """Lessons of all sides of the data set in `folder`, kept in `run` for the next start."""
    dataset = data.load(folder)
    known = f"{database.fingerprint} {backend.fingerprint} {count} {FILTERS} {novice} {INVENTED}"
    stamp = loop.hash_of(known, repr(dataset.items), dataset.pictures)

    def kept(name: str, items: tuple[data.Item, ...], make: Callable[[], Lessons]) -> Lessons:
        def arrays() -> dict[str, loop.AnyArray]:
            found = make()
            return {"grids": found.grids, "neighbours": found.neighbours}

        saved = loop.cached(run / f"{name}.npz", stamp, arrays)
        return Lessons(saved["grids"], items, saved["neighbours"])

    made = {
        split: kept(
            split,
            pictures_of(dataset, split, novice)[1],
            partial(lessons, dataset, split, backend, database, count, novice),
        )
        for split in ("train", *HELD_OUT)
    }
    if novice:
        items = tuple(item for style in invented_styles(dataset) for item in style.items(dataset, style.lessons))
        look_up = partial(invented_lessons, dataset, backend, database.context, count)
        made["train"] = joined([made["train"], kept("invented", items, look_up)])
    return made


# -- A training step --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Batch:
    """Corrupted inputs and targets [B, S], their condition, and the codes of the neighbours [B, S, K]."""

    inputs: Tensor
    target: Tensor
    condition: Condition
    neighbours: Tensor


class Batches:
    """Training batches: a pure function of the seed and the step, so that a resumed run sees the same."""

    def __init__(self, pictures: Lessons, captioner: Captioner, context: Context, settings: FaidSettings) -> None:
        self.pictures, self.captioner, self.context, self.settings = pictures, captioner, context, settings
        seen = np.array([item.iconic for item in pictures.items])
        self.shares = np.where(seen, settings.seen / max(1, seen.sum()), (1 - settings.seen) / max(1, (~seen).sum()))
        self.shares /= self.shares.sum()

    def draw(self, step: int) -> Batch:
        """The batch of one step."""
        settings, pictures = self.settings, self.pictures
        rng = np.random.default_rng((settings.seed, step))
        chosen = rng.choice(len(pictures.items), size=settings.batch, p=self.shares)
        told = rng.random(len(chosen)) < settings.same_style  # by the neighbours which style it is
        named = [self.captioner.caption(pictures.items[n], "", False, rng) for n in chosen]
        captions = [replace(c, style=None) if quiet else c for c, quiet in zip(named, told, strict=True)]
        target = torch.from_numpy(pictures.grids[chosen].astype(np.int64)).flatten(1)
        inputs = corrupt(target, self.captioner.model.config.codes, rng)
        kinds = np.where(told, KINDS - 1, rng.integers(len(FILTERS), size=len(chosen)))
        found = pictures.neighbours[chosen, kinds, :, : settings.neighbours]
        silent = (rng.random(len(chosen)) >= settings.retrieval)[:, None] | self.misled((inputs != target).numpy())
        neighbours = torch.from_numpy(np.where(silent[..., None], NOTHING, found).astype(np.int64))
        return Batch(inputs, target, self.captioner.condition(captions, rng), neighbours)

    def misled(self, replaced: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Positions [B, S] with a replaced code in their context: what the true context found would give it away."""
        positions, grid = np.arange(replaced.shape[1]), self.captioner.model.config.grid
        touched = context_codes(self.context, replaced.reshape(-1, grid.height, grid.width).astype(np.int64), positions)
        return np.asarray((touched > 0).any(axis=-1), dtype=np.bool_)


def blending_of(model: ARTransformer, tuned: TunedFaid, neighbours: Tensor) -> BlendPass:
    """The blenders of one teacher-forced pass of the model, with neighbours [B, S, K]."""
    present = neighbours != NOTHING
    features = model.code_embedding(neighbours.clamp_min(0)) * present.unsqueeze(-1)
    return parallel_pass(tuned.blenders.collapse(), model.config.grid, model.config.prefix, features, present)


def tuned_nats(model: ARTransformer, tuned: TunedFaid, batch: Batch, guided: bool) -> Tensor:
    """Mean cross-entropy in nats per code; not guided: as the unconditional rows of guidance, not blended."""
    modulation = model.modulate(batch.condition if guided else batch.condition.null())
    blending = blending_of(model, tuned, batch.neighbours) if guided else None
    logits = model(batch.inputs, modulation, tuned.head, blending)
    return F.cross_entropy(logits.flatten(0, 1).float(), batch.target.flatten())


# -- Judging ----------------------------------------------------------------------------------------------------------


@torch.inference_mode()
def side_nats(
    model: ARTransformer,
    tuned: TunedFaid,
    encoder: TextEncoder,
    side: Lessons,
    found: Int16Array,
) -> float:
    """Nats per code of pictures under their own captions with style, with neighbours [N, S, K]."""
    captions = [replace(encoder.encode(item.label), style=item.style) for item in side.items]
    codes = torch.from_numpy(side.grids.astype(np.int64)).flatten(1)
    total = 0.0
    for first in range(0, len(codes), 16):
        part = slice(first, first + 16)
        modulation = model.modulate(conditions(captions[part], encoder, model))
        blending = blending_of(model, tuned, torch.from_numpy(found[part].astype(np.int64)))
        logits = model(codes[part], modulation, tuned.head, blending)
        total += float(F.cross_entropy(logits.flatten(0, 1), codes[part].flatten(), reduction="sum"))
    return total / codes.numel()


def report(model: ARTransformer, tuned: TunedFaid, encoder: TextEncoder, side: Lessons, count: int) -> str:
    """Held-out loss with what every caption filter finds, with random neighbours, and with none."""
    if (side.neighbours == NOTHING).all():
        return f"off {side_nats(model, tuned, encoder, side, side.neighbours[:, 0]):.4f}"
    kinds = {f"filter {kept}": side.neighbours[:, n, :, :count] for n, kept in enumerate(FILTERS)}
    found = kinds[f"filter {FILTERS[-1]}"]
    kinds |= {"random": shuffled(found), "off": np.full_like(found, NOTHING)}
    return ", ".join(f"{name} {side_nats(model, tuned, encoder, side, found):.4f}" for name, found in kinds.items())


def known(side: Lessons, count: int = 48) -> Lessons:
    """Some of the pictures that the transformer was trained on: what it draws well should not get worse."""
    chosen = [n for n, item in enumerate(side.items) if item.iconic]
    chosen = chosen[:: max(1, len(chosen) // count)][:count]
    return Lessons(side.grids[chosen], tuple(side.items[n] for n in chosen), side.neighbours[chosen])


def shuffled(found: Int16Array) -> Int16Array:
    """The same codes at random places, and nothing where nothing was retrieved."""
    mixed: Int16Array = found.copy()
    codes = found[found != NOTHING]
    mixed[found != NOTHING] = np.random.default_rng(0).permutation(codes)
    return mixed


# -- Training ---------------------------------------------------------------------------------------------------------


@torch.no_grad()
def fresh(model: ARTransformer) -> TunedFaid:
    """Blenders to start from: they pass the neighbours' features on, and the last adds what their codes mean.

    From random convolutions alone the neighbours are lost in the context, and the context disturbs what the model
    knows. So those begin small, and on top of them the centre of the window begins as the identity and, in the last
    blender, as the linear map that takes the feature of a code to the direction in which the head sees that code. The
    head begins as the model's own.
    """
    tuned = TunedFaid(FaidConfig(), model.config)
    tuned.head.load_state_dict(model.head.state_dict())
    features = F.rms_norm(model.code_embedding.weight[: model.config.codes], (model.config.width,))
    directions = model.head.weight - model.head.weight.mean(0)
    meaning = torch.linalg.lstsq(features, directions).solution  # [D, D] (input, output)
    meaning = meaning * (MEANING / ((features @ meaning) * directions).sum(-1).mean())
    for number in tuned.blenders.blended:
        blender, last = tuned.blenders.layer(number).blender, number == tuned.blenders.blended[-1]
        for hop in blender.hops:
            first, second = blender.convolutions(hop)
            for parameter in (*first.parameters(), *second.parameters()):
                parameter.mul_(NOISE)
            first.weight[:, :, 0, 0] += torch.eye(blender.width)
            second.weight[:, :, hop, hop] += meaning.t() if last else PASSED_ON * torch.eye(blender.width)
    return tuned


def optimizer_of(tuned: TunedFaid, settings: FaidSettings) -> torch.optim.Optimizer:
    """AdamW; the blenders learn faster than the head, which starts from the model's own."""
    groups = [
        {"params": tuned.blenders.parameters(), "peak": settings.learning_rate},
        {"params": tuned.head.parameters(), "peak": settings.head_rate},
    ]
    return torch.optim.AdamW(groups, betas=(0.9, 0.95), weight_decay=0.01)


def train(
    sides: Mapping[str, Lessons],
    backend: EmojiBackend,
    context: Context,
    run: Path,
    settings: FaidSettings,
    novice: bool = False,
) -> TunedFaid:
    """Train, or go on with the run in `run`; the averaged TunedFaid."""
    torch.manual_seed(settings.seed)
    model, encoder = backend.transformer.requires_grad_(False), backend.encoder
    captioner = Captioner(encoder, model, TrainSettings(no_style=0.2))
    tuned = fresh(model)
    average, optimizer, start = loop.averaged(tuned, settings.average), optimizer_of(tuned, settings), 0
    learned = loop.hash_of(repr(context), *(f"{name} {sides[name].fingerprint}" for name in sorted(sides)))
    stamp = loop.stamp("FAiD", settings, learned, novice, start=backend.fingerprint)
    if (state := loop.load_state(run, stamp)) is not None:
        for part, name in ((tuned, "tuned"), (average, "average"), (optimizer, "optimizer")):
            part.load_state_dict(state[name])
        start = int(state["step"])
    judged = {name: sides[name] for name in HELD_OUT} | {"known": known(sides["train"])}
    batches = Batches(sides["train"], captioner, context, settings)
    progress = tqdm(range(start, settings.steps), initial=start, total=settings.steps, desc="FAiD", mininterval=5)
    losses, since = list[float](), time.monotonic()
    for step in progress:
        batch = batches.draw(step)
        guided = (step + 1) % settings.unguided_every != 0
        with loop.mixed_precision():
            loss = tuned_nats(model, tuned, batch, guided)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(tuned.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * loop.cosine(step, settings.steps, 50)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if step >= settings.average_from * settings.steps:
            average.update_parameters(tuned)
        losses += [loss.item()] * guided
        if (step + 1) % settings.checkpoint_every == 0 or step + 1 == settings.steps:
            now = cast(TunedFaid, average.module if average.n_averaged > 0 else tuned)
            rate = settings.batch * settings.checkpoint_every / (time.monotonic() - since)
            figures = "; ".join(
                f"{name}: {report(model, now, encoder, side, settings.neighbours)}" for name, side in judged.items()
            )
            progress.write(f"step {step + 1}: loss {np.mean(losses):.3f}; {figures} nats a code; {rate:.1f} images/s")
            losses, since = [], time.monotonic()
            loop.save_state(run, stamp, {
                "tuned": tuned.state_dict(), "average": average.state_dict(),
                "optimizer": optimizer.state_dict(), "step": step + 1,
            })  # fmt: skip
    return cast(TunedFaid, average.module)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where everything is read and written, and the settings; --out has the transformer to tune."""
    loop.add_folders(parser, "faid")
    loop.add_model(parser)
    parser.add_argument("--database", default="", help="name or folder; by default what the transformer was trained on")
    add_numbers(parser, FaidSettings)


def run(chosen: argparse.Namespace) -> int:
    """Tune the model and write the blenders, or train the control and write it below the model."""
    settings, tunes = numbers(chosen, FaidSettings), chosen.retrieval > 0
    backend = EmojiBackend.load(chosen.out, chosen.model)
    database = open_database(chosen.database or ("seen" if chosen.novice else "emoji"), backend)
    count = settings.neighbours if tunes else 0
    sides = cached_lessons(chosen.data, backend, database, chosen.run, count, chosen.novice)
    folder = chosen.run / ("faid" if tunes else "control")
    tuned = train(sides, backend, database.context, folder, settings, chosen.novice)
    out = chosen.out if tunes else chosen.out / CONTROL
    checkpoint.save_weights(out, "faid", tuned, bits=8)
    checkpoint.write_config(out, "faid", asdict(FaidConfig()))
    return 0


if __name__ == "__main__":
    raise SystemExit(program(__doc__, add_arguments, run))
