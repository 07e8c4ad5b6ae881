"""Train the VQ tokenizer on the CPU: `python -m core.training.train_tokenizer --data data --out assets/models/emoji`.

Small crops first, whole pictures at the end; an interrupted run goes on where its last checkpoint was. With
`--start-from FOLDER` a run begins with the weights of an earlier tokenizer, which may have had fewer blocks.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from ..backends import checkpoint
from ..backends.emoji.backend import load_tokenizer
from ..backends.emoji.tokenizer import TokenizerConfig, VQTokenizer
from ..backends.pixels import to_pixels
from ..inputs.arguments import add_numbers, numbers, program
from ..types import ConfigError
from . import data, loop
from .colour import HUES, recolour


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """How long and how fast; one step sees `crops` 64-pixel crops or `wholes` whole pictures."""

    seed: int = 0
    crop_steps: int = 2800
    whole_steps: int = 3200
    crops: int = 24
    wholes: int = 8
    learning_rate: float = 1.2e-3
    commitment: float = 0.25
    code_decay: float = 0.99
    restart_until: float = 0.75
    average: float = 0.998
    checkpoint_every: int = 200

    @property
    def steps(self) -> int:
        """Length of the run."""
        return self.crop_steps + self.whole_steps


class CodeUpdater:
    """Spherical moving average of the code vectors, and the restart of codes that nothing uses."""

    def __init__(self, codebook: Tensor, decay: float) -> None:
        self.codebook, self.decay = codebook, decay
        self.sums = codebook.clone()
        self.counts = torch.ones(len(codebook))

    def seed(self, latents: Tensor, rng: torch.Generator) -> None:
        """Start from latents [N, d] of real pictures."""
        chosen = torch.randint(len(latents), (len(self.codebook),), generator=rng)
        self.codebook.copy_(latents[chosen])
        self.sums.copy_(self.codebook)
        self.counts.fill_(1.0)

    def update(self, latents: Tensor, codes: Tensor, rng: torch.Generator, restart: bool) -> None:
        """Move every code towards the latents [N, d] that chose it, and dead ones to a random latent."""
        used = torch.zeros_like(self.counts).index_add_(0, codes, torch.ones(len(codes)))
        sums = torch.zeros_like(self.sums).index_add_(0, codes, latents)
        self.counts.mul_(self.decay).add_(used, alpha=1 - self.decay)
        self.sums.mul_(self.decay).add_(sums, alpha=1 - self.decay)
        if restart:
            dead = self.counts < 0.02 * len(codes) / len(self.counts)
            chosen = torch.randint(len(latents), (int(dead.sum()),), generator=rng)
            self.sums[dead] = latents[chosen]
            self.counts[dead] = 1.0
        self.codebook.copy_(F.normalize(self.sums, dim=1))

    def state(self) -> dict[str, Tensor]:
        """For the checkpoint."""
        return {"sums": self.sums, "counts": self.counts}

    def load(self, state: dict[str, Tensor]) -> None:
        """From the checkpoint."""
        self.sums.copy_(state["sums"])
        self.counts.copy_(state["counts"])


def batch(pictures: data.Pictures, count: int, crop: bool, rng: np.random.Generator) -> Tensor:
    """[count, 3, 64 or 128, same] pixels: random pictures, a third recoloured, half mirrored."""
    chosen = []
    for index in rng.integers(len(pictures), size=count):
        picture = pictures[index]
        if rng.random() < 0.35:
            variant = recolour(picture, str(rng.choice(list(HUES))))
            picture = picture if variant is None else variant
        if rng.random() < 0.5:
            picture = picture[:, ::-1]
        if crop:
            top, left = rng.integers(0, 65, size=2)
            picture = picture[top : top + 64, left : left + 64]
        chosen.append(picture)
    return to_pixels(np.stack(chosen)).contiguous(memory_format=torch.channels_last)


def gradient_loss(output: Tensor, target: Tensor) -> Tensor:
    """L1 of horizontal and vertical differences at three scales: keeps edges and thin lines."""
    total = output.new_zeros(())
    for _ in range(3):
        for dim in (2, 3):
            total = total + (output.diff(dim=dim) - target.diff(dim=dim)).abs().mean()
        output, target = F.avg_pool2d(output, 2), F.avg_pool2d(target, 2)
    return total / 3


def train_step(model: VQTokenizer, pixels: Tensor, settings: TrainSettings) -> tuple[Tensor, Tensor, Tensor]:
    """Loss, latents [N, d] and their codes [N] of one batch."""
    latents = model.latents(pixels)
    codes = model.nearest_codes(latents)
    vectors = model.codebook[codes]
    output = model.pixels(latents + (vectors - latents).detach())
    commitment = (1 - (latents * vectors).sum(-1)).mean()
    output = output.float()
    loss = F.l1_loss(output, pixels) + F.mse_loss(output, pixels) + gradient_loss(output, pixels)
    loss = loss + settings.commitment * commitment
    return loss, latents.detach().flatten(0, 2), codes.flatten()


def held_out_psnr(model: VQTokenizer, pictures: data.Pictures) -> float:
    """Mean peak signal-to-noise ratio of reconstructions, in dB."""
    restored = model.decode(model.encode(pictures)).astype(np.float64)
    error = ((restored - pictures) ** 2).mean(axis=(1, 2, 3))
    return float((10 * np.log10(255**2 / np.maximum(error, 1e-9))).mean())


def perplexity(model: VQTokenizer, pictures: data.Pictures) -> float:
    """exp(entropy) of the code frequencies: how many codes are effectively in use."""
    counts = np.bincount(model.encode(pictures).ravel(), minlength=model.config.codes)
    shares = counts[counts > 0] / counts.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def inherit(new: VQTokenizer, old: VQTokenizer) -> None:
    """Take the weights of a tokenizer with as many blocks or fewer; an added block begins as the identity."""
    for grown, source in ((new.encoder, old.encoder), (new.decoder, old.decoder)):
        left = list(source)
        for module in grown:
            if left and type(module) is type(left[0]):
                module.load_state_dict(left.pop(0).state_dict())
        if left:
            raise ConfigError("start-from: got a tokenizer of other blocks, expected no more than the new one has")
    new.codebook.copy_(old.codebook)


def train(
    dataset: data.DataSet, out: Path, run: Path, settings: TrainSettings, start_from: Path | None = None
) -> VQTokenizer:
    """Train, or go on with the run in `run`, and write the averaged weights to `out`."""
    torch.manual_seed(settings.seed)
    held = np.array([item.split != "train" and item.iconic for item in dataset.items])
    held_out, pictures = dataset.pictures[held], dataset.pictures[~held]
    model, old = VQTokenizer(TokenizerConfig()), None if start_from is None else load_tokenizer(start_from)
    begun = "" if old is None else checkpoint.fingerprint(old.state_dict())
    stamp = loop.stamp("tokenizer", settings, loop.hash_of(repr(dataset.items), dataset.pictures), start=begun)
    if old is not None:
        inherit(model, old)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = loop.averaged(model, settings.average)
    updater = CodeUpdater(model.codebook, settings.code_decay)
    optimizer = torch.optim.AdamW(model.parameters(), settings.learning_rate, betas=(0.9, 0.95), weight_decay=0.01)
    start = 0
    if (state := loop.load_state(run, stamp)) is not None:
        model.load_state_dict(state["model"])
        average.load_state_dict(state["average"])
        updater.load(state["codes"])
        optimizer.load_state_dict(state["optimizer"])
        start = int(state["step"])
    compiled = torch.compile(train_step)
    progress = tqdm(range(start, settings.steps), initial=start, total=settings.steps, desc="tokenizer", mininterval=5)
    for step in progress:
        rng = np.random.default_rng((settings.seed, step))
        picker = torch.Generator().manual_seed(settings.seed * 1_000_003 + step)
        crop = step < settings.crop_steps
        pixels = batch(pictures, settings.crops if crop else settings.wholes, crop, rng)
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * loop.cosine(step, settings.steps, 100)
        with loop.mixed_precision():
            loss, latents, codes = compiled(model, pixels, settings)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step == 20 and start_from is None:
            updater.seed(latents, picker)
        else:
            updater.update(latents, codes, picker, restart=20 < step < settings.restart_until * settings.steps)
        average.update_parameters(model)
        if (step + 1) % settings.checkpoint_every == 0 or step + 1 == settings.steps:
            psnr = held_out_psnr(eval_copy(average), held_out[:64])
            rate = len(pixels) * (progress.format_dict["rate"] or 0)
            progress.write(
                f"step {step + 1}: loss {loss.item():.3f}, held-out PSNR {psnr:.2f} dB, {rate:.0f} "
                f"{'crops' if crop else 'images'}/s"
            )
            loop.save_state(run, stamp, {
                "model": model.state_dict(), "average": average.state_dict(), "codes": updater.state(),
                "optimizer": optimizer.state_dict(), "step": step + 1,
            })  # fmt: skip
    return finish(average, held_out, out, run)


def finish(average: torch.optim.swa_utils.AveragedModel, held_out: data.Pictures, out: Path, run: Path) -> VQTokenizer:
    """Write the averaged weights to `out`, judge what was written and draw a contact sheet."""
    final = eval_copy(average)
    checkpoint.save_weights(out, "tokenizer", final, bits=8)
    checkpoint.write_config(out, "tokenizer", asdict(final.config))
    checkpoint.load_weights(out, "tokenizer", final)  # judge what was written
    print(f"held-out PSNR {held_out_psnr(final, held_out):.2f} dB, code perplexity {perplexity(final, held_out):.0f}")
    sample = held_out[np.linspace(0, len(held_out) - 1, 24).astype(int)]
    restored = final.decode(final.encode(sample))
    loop.contact_sheet([sample[:12], restored[:12], sample[12:], restored[12:]], run / "contact_sheet.png")
    return final


def eval_copy(average: torch.optim.swa_utils.AveragedModel) -> VQTokenizer:
    """The averaged tokenizer, ready to encode: its codes are unit vectors again."""
    inner: VQTokenizer = average.module  # type: ignore[assignment]
    model = VQTokenizer(inner.config)
    model.load_state_dict(inner.state_dict())
    model.codebook.copy_(F.normalize(model.codebook, dim=1))
    return model.eval()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where everything is read and written, and the settings."""
    loop.add_folders(parser, "tokenizer")
    parser.add_argument("--start-from", type=Path, help="folder of a tokenizer to begin with, instead of from nothing")
    add_numbers(parser, TrainSettings)


def run(chosen: argparse.Namespace) -> int:
    """Train it."""
    settings = numbers(chosen, TrainSettings)
    train(data.load(chosen.data), chosen.out, chosen.run, settings, chosen.start_from)
    return 0


if __name__ == "__main__":
    raise SystemExit(program(__doc__, add_arguments, run))
