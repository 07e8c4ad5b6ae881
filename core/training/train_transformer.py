"""Train the embedded transformers on the CPU: `python -m core.training.train_transformer --data data`.

Pictures become token grids once, with their colour variants; an interrupted run goes on where its checkpoint was. The
run `--novice` leaves out one style and some concepts; `--start-from` begins with the weights that another run had
before its learning rate fell.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.optim.swa_utils import AveragedModel
from tqdm import tqdm

from ..backends import checkpoint
from ..backends.emoji.backend import EmojiBackend, load_tokenizer
from ..backends.emoji.text import STYLES, Caption, TextEncoder
from ..backends.emoji.tokenizer import VQTokenizer
from ..backends.emoji.transformer import ARTransformer, Condition, TransformerConfig, conditions
from ..engine import decode
from ..inputs.arguments import add_numbers, numbers, program
from ..types import CodeArray, ConfigError, DecodeSettings
from . import data, loop
from .colour import VARIANTS, colour_name, recolour

FLAT = "flat"
"""Name of the state that a run keeps from the end of its flat learning rate, for other runs to start from."""


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """How long and how fast, and how often a part of the condition is changed or left out."""

    seed: int = 0
    steps: int = 4000
    batch: int = 16
    muon_rate: float = 2e-3
    learning_rate: float = 8e-4
    flat: float = 0.6
    average: float = 0.995
    average_from: float = 0.6
    draft: float = 0.5
    variants: float = 0.35
    no_caption: float = 0.1
    no_style: float = 0.15
    no_colour: float = 0.15
    no_delta: float = 0.25
    no_canvas: float = 0.3
    checkpoint_every: int = 250


@dataclass(frozen=True, slots=True)
class GridSet:
    """Token grids of the pictures and what is said of them.

    grids: [N, 1 + number of variants, 16, 16] uint16, the picture itself and its colour variants in that order;
    coloured: [N] whether the variants exist; colours: name of the dominant hue, "" for none or a mixed one.
    """

    grids: CodeArray
    coloured: np.ndarray[tuple[int], np.dtype[np.bool_]]
    colours: tuple[str, ...]
    items: tuple[data.Item, ...]

    def select(self, split: str, novice: bool = False) -> GridSet:
        """Only the pictures of one side, for the novice without those that it must not see."""
        keep = [n for n, item in enumerate(self.items) if item.split == split and not (novice and item.unseen)]
        return self._chosen(keep)

    def thinned(self, count: int) -> GridSet:
        """About `count` of the pictures, evenly spread."""
        return self._chosen(list(range(0, len(self.items), max(1, len(self.items) // count))))

    @property
    def fingerprint(self) -> str:
        """Hash of everything in it."""
        return loop.hash_of(repr((self.items, self.colours)), self.coloured, self.grids)

    def _chosen(self, keep: list[int]) -> GridSet:
        colours, items = tuple(self.colours[n] for n in keep), tuple(self.items[n] for n in keep)
        return GridSet(self.grids[keep], self.coloured[keep], colours, items)


def tokenise(dataset: data.DataSet, tokenizer: VQTokenizer, cache: Path) -> GridSet:
    """Token grids of all iconic pictures and of their colour variants, kept in `cache` for the next run."""
    chosen = [n for n, item in enumerate(dataset.items) if item.iconic]
    items = tuple(dataset.items[n] for n in chosen)
    pictures = dataset.pictures[chosen]
    colours = tuple(colour_name(picture) or "" for picture in pictures)
    stamp = loop.hash_of(checkpoint.fingerprint(tokenizer.state_dict()), repr((items, VARIANTS)), pictures)

    def make() -> dict[str, loop.AnyArray]:
        grids, coloured = [], []
        for picture in tqdm(pictures, desc="token grids", unit="picture"):
            variants = [v for colour in VARIANTS if (v := recolour(picture, colour)) is not None]
            coloured.append(bool(variants))
            grids.append(tokenizer.encode(np.stack([picture, *(variants or [picture] * len(VARIANTS))])))
        return {"grids": np.stack(grids), "coloured": np.array(coloured)}

    kept = loop.cached(cache, stamp, make)
    return GridSet(kept["grids"], kept["coloured"], colours, items)


class Captioner:
    """Draws what a training picture is called this time, as tensors."""

    def __init__(self, encoder: TextEncoder, model: ARTransformer, settings: TrainSettings) -> None:
        self.encoder, self.model, self.settings = encoder, model, settings

    def caption(self, item: data.Item, colour: str, variant: bool, rng: np.random.Generator) -> Caption:
        """The label, sometimes with or as a tag, in front of it the colour: always for a variant, else sometimes."""
        label = data.family(item.label) if variant else item.label
        draw = rng.random()
        tag = str(rng.choice(item.tags)) if item.tags else label
        text = label if draw < 0.8 else f"{label} {tag}" if draw < 0.93 else tag
        named = bool(colour) and (variant or rng.random() < 0.2)
        text = f"{colour} {text}" if named else text
        text = f"a {text}" if rng.random() < 0.4 else text
        encoded = self.encoder.encode(text)
        style = None if rng.random() < self.settings.no_style else item.style
        shown = encoded.colour or (colour if named or rng.random() < 0.3 else None)
        if rng.random() < self.settings.no_colour:
            shown = None
        return replace(encoded, style=style, colour=shown or None)

    def condition(self, captions: Sequence[Caption], rng: np.random.Generator) -> Condition:
        """Tensors of the captions; some rows lose everything (for guidance), some their learned word pieces."""
        made = conditions(captions, self.encoder, self.model)
        drop = torch.from_numpy(rng.random(len(captions)) < self.settings.no_caption)
        keep = (~drop).unsqueeze(1)
        static = torch.from_numpy(rng.random(len(captions)) < self.settings.no_delta).unsqueeze(1)
        return Condition(
            made.vectors * keep.unsqueeze(2),
            made.piece_ids * (keep & ~static),
            made.present & keep,
            made.style * ~drop,
            made.colour * ~drop,
        )


def corrupt(codes: Tensor, mask_code: int, rng: np.random.Generator) -> Tensor:
    """Inputs [B, S] with some codes replaced by another picture's or by the mask, few in most rows, many in some.

    Against overfitting on the codes before and against the mistakes of the model's own samples. The rows that lose
    nine codes in ten teach the condition: otherwise the codes before give style and colour away.
    """
    batch, positions = codes.shape
    kind = rng.random((batch, 1))
    strength = rng.random((batch, 1))
    rate = np.where(kind < 0.6, 0.12 * strength, np.where(kind < 0.85, 0.1 + 0.3 * strength, 0.9))
    replaced = torch.from_numpy(rng.random((batch, positions)) < rate)
    other = codes.roll(1, dims=0)
    masked = torch.from_numpy(rng.random((batch, positions)) < 0.5)
    return torch.where(replaced, torch.where(masked, torch.full_like(codes, mask_code), other), codes)


def kept_canvas(batch: int, positions: int, share: float, rng: np.random.Generator) -> Tensor:
    """[B, S, 1] with zeros where a position must do without its canvas: half of them, in that share of the rows.

    Otherwise a canvas that knows the training pictures by heart would leave the codes before unread.
    """
    blank = (rng.random((batch, 1)) < share) & (rng.random((batch, positions)) < 0.5)
    return torch.from_numpy(~blank).unsqueeze(-1).float()


def sampling_weights(items: Sequence[data.Item]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Probability of each picture: what visitors type first counts twice, the many faces less."""
    weights = np.ones(len(items))
    for n, item in enumerate(items):
        if data.family(item.label) in data.POPULAR:
            weights[n] = 2.0
        elif "face" in item.label.split():
            weights[n] = 0.7
    share: np.ndarray[tuple[int], np.dtype[np.float64]] = weights / weights.sum()
    return share


def optimizers(model: ARTransformer, settings: TrainSettings) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the blocks, AdamW at a lower rate for everything else."""
    matrices = [p for p in model.layers.parameters() if p.ndim == 2]
    chosen = {id(p) for p in matrices}
    rest = [p for p in model.parameters() if id(p) not in chosen]
    return [
        torch.optim.Muon(matrices, lr=settings.muon_rate, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, lr=settings.learning_rate, betas=(0.9, 0.95), weight_decay=0.01),
    ]


def transformer_nats(model: ARTransformer, condition: Condition, inputs: Tensor, target: Tensor) -> Tensor:
    """Mean cross-entropy in nats per code."""
    return cross_entropy(model(inputs, model.modulate(condition)), target)


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Nats per code of logits [B, S, V] for codes [B, S]."""
    return F.cross_entropy(logits.flatten(0, 1).float(), target.flatten())


def losses(model: ARTransformer, condition: Condition, inputs: Tensor, target: Tensor, kept: Tensor) -> Tensor:
    """[2] nats per code of the model, and of the draft that its canvas alone makes."""
    modulation = model.modulate(condition)
    logits = model(inputs, replace(modulation, canvas=modulation.canvas * kept))
    return torch.stack([cross_entropy(logits, target), cross_entropy(model.draft(modulation), target)])


@torch.inference_mode()
def captioned_nats(model: ARTransformer, captioner: Captioner, grids: GridSet, shuffled: bool = False) -> float:
    """Nats per code of pictures under their own captions with style (or, shuffled, under another picture's)."""
    labels = [item.label for item in grids.items]
    if shuffled:
        labels = labels[1:] + labels[:1]
    captions = [replace(captioner.encoder.encode(t), style=i.style) for t, i in zip(labels, grids.items, strict=True)]
    codes = torch.from_numpy(grids.grids[:, 0].astype(np.int64)).flatten(1)
    total = 0.0
    for first in range(0, len(codes), 32):
        part = codes[first : first + 32]
        condition = conditions(captions[first : first + 32], captioner.encoder, model)
        total += float(transformer_nats(model, condition, part, part)) * len(part)
    return total / len(codes)


def trained_variants(label: str) -> list[int]:
    """Which colour variants of a concept are learned from; the others are held out."""
    return [1 + n for n, colour in enumerate(VARIANTS) if not data.colour_held_out(label, colour)]


class Batches:
    """Training batches: a pure function of the seed and the step, so that a resumed run sees the same."""

    def __init__(self, grids: GridSet, captioner: Captioner, settings: TrainSettings) -> None:
        self.grids, self.captioner, self.settings = grids, captioner, settings
        self.weights = sampling_weights(grids.items)
        self.variants = [
            trained_variants(item.label) if grids.coloured[n] else [] for n, item in enumerate(grids.items)
        ]

    def draw(self, step: int) -> tuple[Condition, Tensor, Tensor, Tensor]:
        """The condition, corrupted inputs [B, S], targets [B, S] and the kept canvas [B, S, 1]."""
        settings, grids = self.settings, self.grids
        rng = np.random.default_rng((settings.seed, step))
        captions, codes = [], []
        for n in rng.choice(len(grids.items), size=settings.batch, p=self.weights):
            variant = int(rng.choice(self.variants[n] or [0])) if rng.random() < settings.variants else 0
            colour = VARIANTS[variant - 1] if variant else grids.colours[n]
            captions.append(self.captioner.caption(grids.items[n], colour, variant > 0, rng))
            codes.append(grids.grids[n, variant].reshape(-1))
        target = torch.from_numpy(np.stack(codes).astype(np.int64))
        inputs = corrupt(target, self.captioner.model.config.codes, rng)
        kept = kept_canvas(len(target), target.shape[1], settings.no_canvas, rng)
        return self.captioner.condition(captions, rng), inputs, target, kept


def known_pieces(encoder: TextEncoder, items: Sequence[data.Item]) -> Tensor:
    """Word pieces of the training captions and tags and of the colours, ascending."""
    texts = {item.label for item in items} | {tag for item in items for tag in item.tags} | set(VARIANTS)
    ids = {int(piece) for text in texts for piece in encoder.encode(text).pieces}
    return torch.tensor(sorted(ids), dtype=torch.int64)


def train(
    grids: GridSet,
    encoder: TextEncoder,
    run: Path,
    settings: TrainSettings,
    novice: bool = False,
    start_from: Path | None = None,
) -> ARTransformer:
    """Train, or go on with the run in `run`; the transformer with the averaged weights.

    start_from: the run whose weights at the end of its flat learning rate this one begins with, None for new ones.
    """
    torch.manual_seed(settings.seed)
    sides = {side: grids.select(side) for side in ("validation", "pair")}
    # the word pieces that can be learned are those of all pictures, so that a run can start from another one
    known = known_pieces(encoder, grids.select("train").items)
    model = ARTransformer(TransformerConfig(known_pieces=len(known)))
    model.known.copy_(known)
    average = loop.averaged(model, settings.average)
    steppers = optimizers(model, settings)
    begun = None if start_from is None else flat_state(start_from, novice)["model"]
    learned = loop.hash_of(grids.fingerprint, encoder.fingerprint)
    stamp = loop.stamp("transformer", settings, learned, novice, checkpoint.fingerprint(begun) if begun else "")
    start = restore(model, average, steppers, loop.load_state(run, stamp), settings)
    if start == 0 and begun:
        model.load_state_dict(begun)
    captioner = Captioner(encoder, model, settings)
    batches = Batches(grids.select("train", novice), captioner, settings)
    judged = sides | {"known": batches.grids.thinned(64)}
    compiled = torch.compile(losses)
    progress = tqdm(
        range(start, settings.steps), initial=start, total=settings.steps, desc="transformer", mininterval=5
    )
    recent, since = list[list[float]](), time.monotonic()
    for step in progress:
        batch = batches.draw(step)
        # at this length plain attention is faster on a CPU than the fused one, above all backward
        with loop.mixed_precision(), sdpa_kernel(SDPBackend.MATH):
            parts = compiled(model, *batch)
        (parts[0] + settings.draft * parts[1]).backward()  # type: ignore[no-untyped-call]
        recent.append(parts.tolist())
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        descend(steppers, settings, loop.cosine(step, settings.steps, 100, settings.flat))
        if step >= settings.average_from * settings.steps:
            average.update_parameters(model)
        done = step + 1
        if done == int(settings.flat * settings.steps):
            loop.save_state(run, stamp, {"model": model.state_dict()}, FLAT)
        if done % settings.checkpoint_every == 0 or done == settings.steps:
            now = copy_of(average.module if average.n_averaged > 0 else model)
            rate = settings.batch * len(recent) / (time.monotonic() - since)
            loss, draft = np.mean(recent, axis=0)
            figures = report(now, captioner, judged)
            progress.write(f"step {done}: loss {loss:.3f}, draft {draft:.3f}; {figures}; {rate:.1f} images/s")
            recent, since = [], time.monotonic()
            loop.save_state(run, stamp, {
                "model": model.state_dict(), "average": average.state_dict(), "step": done,
                "optimizers": [optimizer.state_dict() for optimizer in steppers],
            })  # fmt: skip
    return copy_of(average.module)


def descend(steppers: Sequence[torch.optim.Optimizer], settings: TrainSettings, factor: float) -> None:
    """One step of the optimizers, their rates multiplied by a factor."""
    for optimizer, rate in zip(steppers, (settings.muon_rate, settings.learning_rate), strict=True):
        for group in optimizer.param_groups:
            group["lr"] = rate * factor
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


def restore(
    model: ARTransformer,
    average: AveragedModel,
    steppers: Sequence[torch.optim.Optimizer],
    state: Mapping[str, Any] | None,
    settings: TrainSettings,
) -> int:
    """Fill everything from the state of an interrupted run; its step, 0 for a new run."""
    if state is None:
        return 0
    step = int(state["step"])
    model.load_state_dict(state["model"])
    for optimizer, saved in zip(steppers, state["optimizers"], strict=True):
        optimizer.load_state_dict(saved)
    if step > settings.average_from * settings.steps:
        average.load_state_dict(state["average"])
    return step


def flat_state(run: Path, novice: bool = False) -> dict[str, Any]:
    """What a run kept from the end of its flat learning rate; ConfigError when it has not come so far.

    The novice must not begin with weights that have seen what it must not see.
    """
    path = run / f"{FLAT}.pt"
    state = loop.read_state(path)
    if state is None:
        raise ConfigError(f"start-from: got no {FLAT}.pt in {run}, expected a run that came so far; train it first")
    if novice and (side := state["stamp"].get("side")) != loop.NOVICE:
        raise ConfigError(
            f"{path}: got a run of side {side!r}, expected {loop.NOVICE!r}; start from a novice's, or none"
        )
    return state


def report(model: ARTransformer, captioner: Captioner, sides: Mapping[str, GridSet]) -> str:
    """Nats per code on some sides, and on validation pictures under another one's caption."""
    figures = ", ".join(f"{name} {captioned_nats(model, captioner, side):.3f}" for name, side in sides.items())
    wrong = captioned_nats(model, captioner, sides["validation"], shuffled=True)
    return f"nats a code: {figures}, validation with a wrong caption {wrong:.3f}"


def copy_of(module: nn.Module) -> ARTransformer:
    """A transformer with the same weights, for judging and shipping."""
    model = ARTransformer(module.config)  # type: ignore[arg-type]
    model.load_state_dict(module.state_dict())
    return model.eval()


SHEET_PROMPTS = (
    "pizza", "red apple", "dog face", "red heart", "cat face", "automobile", "house", "sun", "banana", "rose",
    "rocket", "fish", "panda", "penguin", "strawberry", "hamburger", "birthday cake", "evergreen tree", "ghost",
    "octopus", "butterfly", "guitar", "umbrella", "crown",
    "blue cat face", "green heart", "purple house", "pineapple", "polar bear", "basketball", "dragon", "skateboard",
)  # fmt: skip


def contact_sheet(backend: EmojiBackend, path: Path) -> None:
    """Every prompt in the four styles, then without one, sampled with the default settings and no retrieval."""
    settings = DecodeSettings(method="model", seed=1)
    rows = []
    for style in [name for name, _ in STYLES] + [""]:
        prompts = [f"{prompt}, {style} style" if style else prompt for prompt in SHEET_PROMPTS]
        steps = list(decode(backend, None, prompts, settings))
        codes = np.array([[record.code for record in step] for step in steps], np.uint16).T
        rows.append(backend.decode_codes(codes.reshape(len(prompts), backend.grid.height, backend.grid.width)))
    half = len(SHEET_PROMPTS) // 2
    loop.contact_sheet([row[:half] for row in rows] + [row[half:] for row in rows], path)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where everything is read and written, and the settings."""
    loop.add_folders(parser, "transformer")
    loop.add_model(parser)
    parser.add_argument("--start-from", type=Path, help="folder of the run to begin with, instead of from nothing")
    add_numbers(parser, TrainSettings)


def run(chosen: argparse.Namespace) -> int:
    """Train it, write it and draw a contact sheet."""
    settings = numbers(chosen, TrainSettings)
    grids = tokenise(data.load(chosen.data), load_tokenizer(chosen.model), chosen.run / "grids.npz")
    final = train(grids, TextEncoder.load(chosen.model), chosen.run, settings, chosen.novice, chosen.start_from)
    checkpoint.save_weights(chosen.out, "transformer", final, bits=8)
    checkpoint.write_config(chosen.out, "transformer", asdict(final.config))
    contact_sheet(EmojiBackend.load(chosen.out, chosen.model), chosen.run / "contact_sheet.png")
    return 0


if __name__ == "__main__":
    raise SystemExit(program(__doc__, add_arguments, run))
