"""Speed of Janus at its real shapes, with random weights: `python -m core bench --suite janus --device cuda --json`.

transformers' `generate` with its static cache, and the decoding of this project as it is launched plainly, with fixed
shapes (on CUDA a graph), and with guesses, take turns on one device with the same weights; greedy with guidance, so
that their codes can be compared. What is drawn is noise, so how many guesses come true says nothing of trained weights:
what a pass with guesses costs does. Times are of the wall on a GPU, and of this process's processors on a CPU.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import platform
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm
from transformers import GenerationConfig, JanusForConditionalGeneration

from .. import threads
from ..backends.janus.captured import choose_launch
from ..backends.janus.decoding import DRAFTS, JanusDecoding
from ..backends.janus.device import check_dtype, choose_device, choose_dtype
from ..backends.janus.loading import Loading, Parts
from ..backends.janus.memory import enough_memory, needed, room
from ..backends.janus.sizes import Model
from ..backends.janus.weights import Weights
from ..daid import blend_step
from ..draw import race
from ..guidance import guide
from ..types import ConfigError, DecodeSettings, FloatArray
from .sizes import PRO, model_of

SHAPES: Final[Mapping[str, Mapping[str, int]]] = {
    "tiny": {
        "hidden_size": 256, "intermediate_size": 704, "num_hidden_layers": 8, "num_attention_heads": 8,
        "num_key_value_heads": 8,
    },
    "1b": PRO["Janus-Pro-1B"],
    "7b": PRO["Janus-Pro-7B"],
}  # fmt: skip
BEGIN, END, PAD, IMAGE = 1, 2, 0, 4
"""Token ids of the prompt's first and last ones, and of those between in the unconditional row."""
PROMPT: Final = 16
GUIDED: Final = DecodeSettings(method="model", cfg_scale=5.0)
BUFFER: Final = {"cuda": 2**31, "mps": 2**30, "cpu": 2**29}
"""Bytes that are read to see what a device can read: more than its caches hold."""
ROUNDS: Final = 12

Figures = dict[str, float | int | str]


@dataclass(frozen=True)
class Bench:
    """One model with random weights, on a device: this project's parts, and transformers' model of the same numbers."""

    model: Model
    parts: Parts
    reference: Any
    tokens: Tensor
    codes: int

    @classmethod
    def made(cls, model: Model, device: torch.device, dtype: torch.dtype, codes: int) -> Bench:
        """Both, with a prompt of random words."""
        tensors = {name: partial(random_tensor, name, shape, device, dtype) for name, shape in model.shapes.items()}
        loading = Loading(Weights(Path("random"), tensors), len(tensors), device, dtype)
        parts = Parts(model.config, model.sizes, loading, device)
        loading.close()
        words = torch.randint(8, model.sizes.words, (1, PROMPT), generator=torch.Generator().manual_seed(0))
        words[0, 0], words[0, -1] = BEGIN, IMAGE
        reference = reference_model(model, tensors, device)
        return cls(model, parts, reference, words.to(device), codes)

    @torch.inference_mode()
    def decoding(self, launch: str) -> JanusDecoding:
        """A new generation of this project's."""
        unconditional = torch.full_like(self.tokens, PAD)
        unconditional[0, 0], unconditional[0, -1] = BEGIN, IMAGE
        rows = torch.cat([self.tokens, unconditional]).cpu()
        how = choose_launch(launch, self.parts.words.device)
        padding = torch.zeros(2, dtype=torch.long)
        return JanusDecoding(self.parts, self.model.sizes.grid, rows, padding, True, None, how)

    def generated(self) -> list[int]:
        """Codes of transformers' `generate`, whose static cache is as long as for a whole picture."""
        self.reference.model.vision_model.config.num_image_tokens = self.codes
        generated = self.reference.generate(
            self.tokens, attention_mask=torch.ones_like(self.tokens), generation_mode="image", do_sample=False,
            guidance_scale=GUIDED.cfg_scale, max_length=PROMPT + self.model.sizes.grid.positions,
        )  # fmt: skip
        codes: list[int] = generated[0].tolist()
        return codes

    def greedy(self, launch: str) -> list[int]:
        """The likeliest code at every position."""
        decoding, codes = self.decoding(launch), []
        for _ in range(self.codes):
            chosen = guide(decoding.logits(), [GUIDED]).argmax(axis=-1)
            codes.append(int(chosen[0]))
            decoding.append(chosen)
        decoding.close()
        return codes

    def guessed(self) -> tuple[list[int], int]:
        """The same codes with guesses, and how many passes they took; what the last pass said is the next guess."""
        decoding, codes, passes = self.decoding("captured"), list[int](), 0
        guess = np.zeros(DRAFTS, np.int64)
        while len(codes) < self.codes:
            drafts = guess[: min(DRAFTS, self.codes - len(codes) - 1)]
            ahead = decoding.logits(None, drafts[None])
            likeliest = [int(guide(ahead.at(place), [GUIDED]).argmax()) for place in range(1 + len(drafts))]
            passes += 1
            right = next((n for n, code in enumerate(drafts) if code != likeliest[n]), len(drafts))
            for code in likeliest[: 1 + right]:
                codes.append(code)
                decoding.append(np.array([code]))
            rest = likeliest[1 + right :]
            guess = np.array([*rest, *[codes[-1]] * (DRAFTS - len(rest))])
        decoding.close()
        return codes, passes


def random_tensor(name: str, shape: tuple[int, ...], device: torch.device, dtype: torch.dtype) -> Tensor:
    """Numbers that follow from the name, of about the spread of trained ones: activations keep their size."""
    if len(shape) == 1:
        return torch.full(shape, float("norm" in name and name.endswith("weight")), device=device, dtype=dtype)
    inputs = math.prod(shape[1:]) if "embed" not in name else 1
    generator = torch.Generator(device).manual_seed(zlib.crc32(name.encode()))
    return torch.empty(shape, device=device, dtype=dtype).normal_(std=inputs**-0.5, generator=generator)


def reference_model(model: Model, tensors: Mapping[str, Callable[[], Tensor]], device: torch.device) -> Any:
    """transformers' model with these numbers; what drawing codes does not need has none, or any."""
    config = copy.deepcopy(model.config)
    config.vision_config.num_hidden_layers = 1
    with torch.device("meta"):
        made: Any = JanusForConditionalGeneration(config).eval()
    drawn = {name: read() for name, read in tensors.items() if not name.startswith("model.vqmodel.")}
    made.load_state_dict(drawn, strict=False, assign=True)
    made.model.vision_model.to_empty(device=device)  # which generate asks for the device
    language = made.model.language_model
    language.rotary_emb = type(language.rotary_emb)(config.text_config).to(device)  # no tensor of the files
    made.generation_config = GenerationConfig(bos_token_id=BEGIN, eos_token_id=END, pad_token_id=PAD)
    made.generation_config.generation_kwargs = {"boi_token_id": IMAGE}
    return made


def read_bytes(bench: Bench, entries: float) -> float:
    """Bytes that one guided code reads: layers, head and aligner once, and so many entries of keys and values."""
    names = ("model.language_model.layers.", "model.generation_head.", "model.generation_aligner.")
    numbers = sum(math.prod(shape) for name, shape in bench.model.shapes.items() if name.startswith(names))
    llama = bench.model.sizes.llama
    cache = 2 * entries * llama.layers * 2 * llama.key_heads * llama.head_width
    return (numbers + cache) * bench.parts.words.element_size()


def device_rates(device: torch.device, now: Callable[[], float]) -> Figures:
    """10^9 bytes a second that the device reads for a sum, and moves, read and written, for a copy."""
    buffer = torch.ones(BUFFER[device.type] // 4, device=device)
    other = torch.empty_like(buffer)
    rates = []
    for _ in range(ROUNDS):
        begin = now()
        buffer.sum()
        read = now()
        other.copy_(buffer)
        rates.append([buffer.nbytes / (read - begin), 2 * buffer.nbytes / (now() - read)])
    read_rate, copy_rate = np.median(np.array(rates[1:]), axis=0) / 1e9
    return {"device_read_gb_per_second": round(read_rate, 1), "device_copy_gb_per_second": round(copy_rate, 1)}


def pass_figures(bench: Bench, now: Callable[[], float]) -> Figures:
    """Milliseconds of passes in the middle of what is measured: plain, fixed, fixed with guesses; and of recording.

    No guess comes true. A code is appended within the time, as the next pass may begin then.
    """
    middle = np.zeros((1, bench.codes // 2), np.int64)
    guess, other = np.ones((1, DRAFTS), np.int64), np.zeros(1, np.int64)
    cases = {"plain": ("plain", None), "captured": ("captured", None), "guesses": ("captured", guess)}
    decodings = {name: bench.decoding(launch) for name, (launch, _) in cases.items()}
    times: dict[str, list[float]] = {name: [] for name in cases}
    for decoding in decodings.values():
        decoding.replay(middle, None)
    for _ in range(ROUNDS):
        for name, decoding in decodings.items():
            begin = now()
            decoding.logits(None, cases[name][1])
            decoding.append(other)
            times[name].append(1e3 * (now() - begin))
    typical = {name: float(np.median(taken[1:])) for name, taken in times.items()}
    for decoding in decodings.values():
        decoding.close()
    figures: Figures = {f"{name}_pass_ms": round(value, 3) for name, value in typical.items()}
    figures["captured_first_pass_ms"] = round(times["captured"][0], 3)
    figures["guesses_pass_cost"] = round(typical["guesses"] / typical["captured"], 3)
    return figures


def host_figures(codes: int, clock: Callable[[], float]) -> Figures:
    """Milliseconds of the processor between two passes: noise, guidance, distribution and draw of one code."""
    logits: FloatArray = np.random.default_rng(0).normal(size=codes).astype(np.float32)
    times = []
    for position in range(ROUNDS):
        begin = clock()
        noise = race(0, position, codes)
        made = clock()
        noise.draw(blend_step(logits, None, GUIDED).blended)
        times.append([made - begin, clock() - made])
    noise_ms, draw_ms = 1e3 * np.median(np.array(times[1:]), axis=0)
    return {"host_noise_ms": round(float(noise_ms), 3), "host_draw_ms": round(float(draw_ms), 3)}


def error_figures(bench: Bench, positions: int = 8) -> Figures:
    """How far fixed passes are from plain ones on the same codes, relative to the size of the logits."""
    fixed, plain, worst = bench.decoding("captured"), bench.decoding("plain"), 0.0
    for code in range(min(positions, bench.codes)):
        got, expected = (guide(decoding.logits(), [GUIDED]) for decoding in (fixed, plain))
        worst = max(worst, float(np.abs(got - expected).max() / np.sqrt(np.mean(expected**2))))
        for decoding in (fixed, plain):
            decoding.append(np.array([code]))
    fixed.close()
    return {"captured_error": float(f"{worst:.1e}")}


def loop_figures(bench: Bench, runs: int, compiled: bool, now: Callable[[], float]) -> Figures:
    """Codes a second, medians of runs that take turns, and how many codes are those of `generate` from the first on."""
    launches = ["plain", "captured", *(["compiled"] if compiled else [])]
    times, passes = [], 0
    expected, found = list[int](), dict[str, list[int]]()
    for _ in tqdm(range(runs + 1), desc="pictures"):
        marks = [now()]
        expected = bench.generated()
        marks.append(now())
        for launch in launches:
            found[launch] = bench.greedy(launch)
            marks.append(now())
        found["guesses"], passes = bench.guessed()
        times.append(np.diff([*marks, now()]))
    taken = np.array(times[1:])
    names = ["generate", *launches, "guesses"]
    figures: Figures = {
        f"{name}_codes_per_second": round(bench.codes / value, 2)
        for name, value in zip(names, np.median(taken, axis=0), strict=True)
    }
    for column, name in enumerate(names[1:], start=1):
        figures[f"{name}_speedup"] = round(float(np.median(taken[:, 0] / taken[:, column])), 2)
        figures[f"{name}_codes_as_generate"] = leading(found[name], expected)
    return figures | {"passes": passes, "passes_if_all_come_true": math.ceil(bench.codes / (1 + DRAFTS))}


def leading(codes: list[int], expected: list[int]) -> int:
    """How many are equal before the first that differs."""
    return next((n for n, (one, other) in enumerate(zip(codes, expected, strict=True)) if one != other), len(codes))


def clock_of(device: torch.device) -> Callable[[], float]:
    """Seconds when all work that was begun is done: of the wall for a GPU, of this process for a CPU."""
    if device.type == "cpu":
        return time.process_time
    wait = torch.cuda.synchronize if device.type == "cuda" else torch.mps.synchronize

    def now() -> float:
        wait()
        return time.perf_counter()

    return now


def shaped(size: str, layers: int | None) -> Model:
    """A model of that size, with fewer layers if so."""
    values = SHAPES[size]
    if layers is not None and layers > values["num_hidden_layers"]:
        got = f"got {layers}, expected at most {values['num_hidden_layers']} for {size}"
        raise ConfigError(f"--layers: {got}; leave it out for all of them")
    return model_of({**values, "num_hidden_layers": layers or values["num_hidden_layers"]})


def check_memory(model: Model, device: torch.device, dtype: torch.dtype) -> None:
    """ConfigError where this project's model and transformers' do not fit beside one another."""
    there, expected = room(device), 2 * needed(model, dtype) + 2 * BUFFER[device.type]
    if there is not None and expected > there.free:
        got = f"got {there.free / 1e9:.1f} GB free on {device.type}, expected {expected / 1e9:.1f} GB"
        remedy = "take --dtype bfloat16, fewer --layers, or --size 1b"
        raise ConfigError(f"memory: {got} for this model and transformers' beside it; {remedy}")


def device_name(device: torch.device) -> str:
    """What it is, for the record."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()


def run(chosen: argparse.Namespace) -> int:
    """Measure and print."""
    threads.pin()
    device = choose_device(chosen.device)
    check_dtype(chosen.dtype)
    model = shaped(chosen.size, chosen.layers)
    if chosen.codes > model.sizes.grid.positions:
        got = f"got {chosen.codes}, expected at most {model.sizes.grid.positions}"
        raise ConfigError(f"--codes: {got}, those of a whole picture")
    dtype = choose_dtype(chosen.dtype, device, model)
    check_memory(model, device, dtype)
    now = clock_of(device)
    with enough_memory(device):
        bench = Bench.made(model, device, dtype, chosen.codes)
        figures = figures_of(bench, chosen, now)
    told: Figures = {
        "size": chosen.size, "layers": model.sizes.llama.layers, "codes": chosen.codes,
        "device": f"{device.type}: {device_name(device)}", "dtype": str(dtype).removeprefix("torch."),
        "torch": torch.__version__, "threads": torch.get_num_threads(),
    }  # fmt: skip
    told |= figures
    print(json.dumps(told) if chosen.json else "\n".join(f"{name:32} {value}" for name, value in told.items()))
    return 0


def figures_of(bench: Bench, chosen: argparse.Namespace, now: Callable[[], float]) -> Figures:
    """All that is measured, and what follows from it."""
    device = bench.parts.words.device
    figures: Figures = device_rates(device, now) | pass_figures(bench, now) | error_figures(bench)
    figures |= loop_figures(bench, chosen.runs, chosen.compiled, now)
    figures |= host_figures(bench.model.sizes.codes, time.process_time)
    whole = PROMPT + bench.model.sizes.grid.positions
    read = read_bytes(bench, whole) / 1e9
    rate = read / (1e-3 * float(figures["captured_pass_ms"]))
    return figures | {
        "read_gb_a_code": round(read, 4),
        "captured_gb_per_second": round(rate, 1),
        "captured_share_of_device": round(rate / float(figures["device_read_gb_per_second"]), 3),
    }
