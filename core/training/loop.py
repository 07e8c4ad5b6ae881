"""What every training shares: a resumable run folder, the learning rate, the weight average, contact sheets."""

from __future__ import annotations

import argparse
import hashlib
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..types import ConfigError

AnyArray = npt.NDArray[Any]
Stamp = Mapping[str, str | int | float]
"""What a state belongs to: the training, its side and settings, hashes of the data and of the code."""

NOVICE = "novice"

TRAINED = ("faid.py", *(f"backends/emoji/{name}.py" for name in ("text", "tokenizer", "transformer")))
"""Modules of what is trained; those of how are all in this folder."""

REMEDY = "go on as it began, give another folder as --run, or delete this one"

BF16_INSTRUCTIONS = ("avx512_bf16", "amx_bf16")


def add_folders(parser: argparse.ArgumentParser, run: str) -> None:
    """Options of every training: where its data are, and where its results and its checkpoints go."""
    parser.add_argument("--data", type=Path, default=Path("data"), help="as core.training.data makes it")
    parser.add_argument("--out", type=Path, default=Path("assets/models/emoji"), help="folder of the model")
    parser.add_argument("--run", type=Path, default=Path("runs") / run, help="checkpoints and what is kept on the way")


def add_model(parser: argparse.ArgumentParser) -> None:
    """Options of what is trained on top of a tokenizer, for one of the two embedded models."""
    parser.add_argument(
        "--model", type=Path, default=Path("assets/models/emoji"), help="has the tokenizer and the text"
    )
    parser.add_argument("--novice", action="store_true", help="leave out what the novice must not see")


def averaged(module: nn.Module, decay: float) -> AveragedModel:
    """Exponential moving average of a module's parameters and buffers."""
    return AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)  # type: ignore[no-untyped-call]


def cosine(step: int, steps: int, warmup: int, flat: float = 0.0) -> float:
    """Learning rate factor: linear warm-up, flat for a share of the run, then a cosine down to 2 %."""
    if step < warmup:
        return (step + 1) / warmup
    progress = max(0.0, (step / steps - flat) / (1 - flat))
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


def mixed_precision() -> torch.autocast:
    """bf16 products where torch says that the processor has instructions for them; with AVX2 only, they are a hundred
    times slower than fp32. An older torch does not say, and multiplies in fp32."""
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return torch.autocast("cpu", torch.bfloat16, enabled=any(capabilities.get(name) for name in BF16_INSTRUCTIONS))


def stamp(training: str, settings: Any, data: str, novice: bool = False, start: str = "") -> Stamp:
    """The stamp of a run.

    settings: a dataclass of numbers; data: hash of everything that is learned from; novice: whether what the novice
    must not see is left out; start: hash of the weights that it begins with, "" for new ones.
    """
    return {
        "training": training,
        "side": NOVICE if novice else "everything",
        **asdict(settings),
        "start": start or "new weights",
        "data": data,
        "code": code_version(),
    }


def hash_of(*things: str | AnyArray) -> str:
    """Short hash of texts and arrays, with their sizes."""
    digest = hashlib.sha256()
    for thing in things:
        if isinstance(thing, str):
            digest.update(f"text {len(thing.encode())} ".encode() + thing.encode())
        else:
            digest.update(f"{thing.dtype.str} {thing.shape} ".encode())
            digest.update(np.ascontiguousarray(thing).data)
    return digest.hexdigest()[:16]


def code_version() -> str:
    """Hash of the sources of what is trained and of how; line ends do not count."""
    core = Path(__file__).resolve().parents[1]
    paths = [*(core / name for name in TRAINED), *sorted((core / "training").glob("*.py"))]
    return hash_of(*(text for path in paths for text in (path.name, path.read_text(encoding="utf-8"))))


def save_state(folder: Path, stamp: Stamp, state: Mapping[str, Any], name: str = "state") -> None:
    """Write a training state so that a cut-off write never damages the previous one."""
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{name}.partial"
    torch.save({**state, "stamp": dict(stamp)}, partial)
    os.replace(partial, folder / f"{name}.pt")


def load_state(folder: Path, stamp: Stamp) -> dict[str, Any] | None:
    """The state of an interrupted run, or None for a new one; ConfigError for what another run left there."""
    path = folder / "state.pt"
    if (state := read_state(path)) is None:
        return None
    found = state["stamp"]
    if differing := [name for name in {**stamp, **found} if found.get(name) != stamp.get(name)]:
        got = ", ".join(f"{name} {found.get(name)!r:.40}" for name in differing)
        expected = ", ".join(f"{name} {stamp.get(name)!r:.40}" for name in differing)
        raise ConfigError(f"{path}: got a run with {got}, expected {expected}; {REMEDY}")
    return state


def read_state(path: Path) -> dict[str, Any] | None:
    """A state of any run, None where there is no file; ConfigError when it is damaged or does not say whose it is."""
    if not path.exists():
        return None
    try:
        state = torch.load(path, weights_only=True)
    except Exception as error:  # torch raises nearly anything for a damaged file
        got = f"cannot be read ({type(error).__name__})"
        raise ConfigError(f"{path}: {got}, expected a training state; {REMEDY}") from None
    if not isinstance(state, dict) or not isinstance(state.get("stamp"), dict):
        raise ConfigError(f"{path}: got a state that does not say which run it is of, expected a stamp; {REMEDY}")
    return state


def cached(path: Path, stamp: str, make: Callable[[], Mapping[str, AnyArray]]) -> dict[str, AnyArray]:
    """Named arrays that are kept in a file; made anew unless it is whole, of this stamp and of this code."""
    wanted = f"{stamp} {code_version()}"
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as saved:
            if str(saved["stamp"]) == wanted:
                return {name: saved[name] for name in saved.files if name != "stamp"}
    except Exception:  # numpy raises nearly anything for a damaged file, which is no loss
        pass
    made = dict(make())
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("wb") as written:
        np.savez(written, stamp=np.array(wanted), **made)  # type: ignore[arg-type]  # named arrays, no flag
    os.replace(partial, path)
    return made


def contact_sheet(rows: Sequence[npt.NDArray[np.uint8]], path: Path) -> None:
    """Rows of [N, H, W, 3] pictures as one image."""
    height, width = rows[0].shape[1:3]
    sheet = np.full((len(rows) * height, max(map(len, rows)) * width, 3), 255, np.uint8)
    for r, pictures in enumerate(rows):
        for c, picture in enumerate(pictures):
            sheet[r * height : (r + 1) * height, c * width : (c + 1) * width] = picture
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet).save(path)
