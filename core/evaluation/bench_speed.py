"""How fast a picture is drawn and read against the loop as it was: `python -m core bench --suite speed --json`.

One thread, CPU time, both in turns; ratios are medians of pairs. The plain loop is `core.evaluation.plain_loop`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F

from ..backends.emoji.backend import EmojiBackend
from ..engine import decode
from ..patches.catalogue import open_database
from ..patches.database import PatchDatabase
from ..types import DecodeSettings, StepRecord
from . import bench_drafts
from .pairs import Paired, paired
from .plain_loop import PlainDecoding, plain_picture

PROMPTS = ("a red heart, 3d style", "pizza", "guitar", "a kitten", "purple house", "pineapple")
NAMES = {"model": "lean_speedup", "daid": "lean_speedup_daid", "faid": "lean_speedup_faid"}
MIDDLE, REPEATS = 128, 50
"""The position whose parts are timed, and how often each is done to time it."""


def figures(runs: int) -> dict[str, float | int]:
    """Everything this suite measures, in one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        backend = EmojiBackend.load()
        database = open_database("emoji", backend)
        found: dict[str, float | int] = {}
        for method in NAMES:
            found |= picture_figures(backend, database, method, runs)
        found |= bench_drafts.figures(backend, database, runs)
        return found | reading_figures(backend, runs) | part_figures(backend, runs)
    finally:
        torch.set_num_threads(threads)


@dataclass(frozen=True, slots=True)
class Drawn:
    """A picture that was timed: its records, and how long it took by the wall clock, as the records tell theirs."""

    records: Sequence[StepRecord]
    seconds: float

    @property
    def codes(self) -> list[int]:
        """The codes that were drawn."""
        return [record.code for record in self.records]

    def share(self, part: str) -> float:
        """The share of a part of `Seconds` in the whole."""
        told: float = sum(getattr(record.seconds, part) for record in self.records)
        return told / self.seconds


def picture_figures(backend: EmojiBackend, database: PatchDatabase, method: str, runs: int) -> dict[str, float | int]:
    """A picture of a method, plain and as it is drawn now: the speed-up, milliseconds a position by part, and how many
    of the pictures that were compared, the warm-up among them, have the same codes."""
    before, after = list[Drawn](), list[Drawn]()

    def draw(drawn: list[Drawn], way: Callable[..., list[StepRecord]], seed: int) -> None:
        fresh, settings = database.subset(database.images), DecodeSettings(method=method, seed=seed)
        begin = time.perf_counter()
        records = way(backend, fresh, PROMPTS[seed % len(PROMPTS)], settings)
        drawn.append(Drawn(records, time.perf_counter() - begin))

    timed = paired(partial(draw, before, plain_picture), partial(draw, after, picture), runs, f"pictures, {method}")
    name = NAMES[method]
    found: dict[str, float | int] = {
        name: round(timed.speedup, 3),
        f"{name}_compared": len(before),
        f"{name}_same": sum(old.codes == new.codes for old, new in zip(before, after, strict=True)),
    }
    for when, seconds, pictures in (("before", timed.before, before), ("after", timed.after, after)):
        found |= {f"{method}_{part}_{when}": value for part, value in position_parts(seconds, pictures).items()}
    return found


def picture(backend: EmojiBackend, database: PatchDatabase, prompt: str, settings: DecodeSettings) -> list[StepRecord]:
    """A picture by the engine: its records."""
    return [step[0] for step in decode(backend, database, [prompt], settings)]


def position_parts(seconds: float, pictures: Sequence[Drawn]) -> dict[str, float]:
    """Milliseconds of CPU time a position, of pictures that take so many seconds of it: all, and by part, in the
    proportions of the wall clock (medians).

    records: what is left, that of beginning a picture, making records and going on to the next position.
    """
    all_ms = 1000 * seconds / len(pictures[0].records)
    names = ("model", "search", "blend")
    parts = {f"{name}_ms": all_ms * float(np.median([drawn.share(name) for drawn in pictures])) for name in names}
    parts |= {"records_ms": all_ms - sum(parts.values()), "position_ms": all_ms}
    return {name: round(value, 4) for name, value in parts.items()}


def reading_figures(backend: EmojiBackend, runs: int) -> dict[str, float]:
    """Logits of all positions of a picture that is given: one plain step after the other, and in one block."""
    positions = backend.grid.positions
    codes = np.random.default_rng(0).integers(0, backend.codebook.size, (1, positions))

    def one_by_one(seed: int) -> None:
        decoding = PlainDecoding(backend, PROMPTS[0])
        for position in range(positions):
            decoding.logits(position, codes[0])

    def block(seed: int) -> None:
        decoding = backend.start([PROMPTS[0]], guided=True, negatives=True)
        decoding.logits(None, codes[:, :-1])
        for position in range(positions):
            decoding.logits()
            decoding.append(codes[:, position])
        decoding.close()

    return {"read_speedup": round(paired(one_by_one, block, runs, "reading").speedup, 2)}


@torch.inference_mode()
def part_figures(backend: EmojiBackend, runs: int) -> dict[str, float]:
    """Milliseconds of one step in the middle of a picture with three rows: all, its products of matrices (linear), its
    attention, and the rest, which is norms, turning, gates, masks and what runs them; plain and lean."""
    codes = np.random.default_rng(0).integers(0, backend.codebook.size, (1, backend.grid.positions))
    plain, decoding = PlainDecoding(backend, PROMPTS[0]), backend.start([PROMPTS[0]], guided=True, negatives=True)
    for position in range(MIDDLE):
        plain.logits(position, codes[0])
    decoding.replay(codes[:, :MIDDLE], None)
    lean, rows, length = backend.lean, 3, backend.lean.prefix + MIDDLE
    x, hidden = torch.randn(rows, len(lean.start)), torch.randn(rows, backend.transformer.config.hidden)
    shape = (rows, lean.heads, length, len(lean.start) // lean.heads)
    keys, values, mask = torch.randn(shape), torch.randn(shape), torch.zeros(rows, 1, 1, length)

    def products(seed: int) -> None:
        for layer in lean.layers:
            for weight in (layer.qkv, layer.output, layer.gate_up):
                torch.mm(x, weight)
            torch.mm(hidden, layer.down)
        torch.addmm(lean.head[1], x, lean.head[0])

    def attention(seed: int) -> None:
        for _ in lean.layers:
            F.scaled_dot_product_attention(keys[:, :, -1:], keys, values, attn_mask=mask)

    steps = _step_ms(lambda seed: plain.logits(MIDDLE, codes[0]), lambda seed: decoding.logits(), runs)
    inside = _step_ms(products, attention, runs)
    found = {"step_linear_ms": inside.before, "step_attention_ms": inside.after}
    for when, whole in (("before", steps.before), ("after", steps.after)):
        found |= {f"step_{when}_ms": whole, f"step_rest_{when}_ms": whole - inside.before - inside.after}
    return {name: round(value, 4) for name, value in found.items()} | {"step_speedup": round(steps.speedup, 3)}


def _step_ms(before: Callable[[int], object], after: Callable[[int], object], runs: int) -> Paired:
    """Medians in milliseconds of one time each."""

    def repeated(work: Callable[[int], object], seed: int) -> None:
        for _ in range(REPEATS):
            work(seed)

    timed = paired(partial(repeated, before), partial(repeated, after), runs, "steps")
    return Paired(1000 * timed.before / REPEATS, 1000 * timed.after / REPEATS, timed.speedup)
