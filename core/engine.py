"""The decoding loop: model, neighbours, blend, sample, record; one code per prompt and turn."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch

from core.backends.protocol import Backend, Decoding
from core.context import context_codes, skip_reason
from core.daid import blend_step, sample
from core.database import PatchDatabase
from core.types import (
    ConfigError,
    DecodeSettings,
    FaidStep,
    FloatArray,
    Grid,
    IntArray,
    Neighbours,
    Retrieval,
    Seconds,
    Skipped,
    StepRecord,
)

Step = tuple[StepRecord, ...]
Steps = Generator[Step, None, None]


def decode(backend: Backend, database: PatchDatabase | None, prompts: Sequence[str], settings: DecodeSettings) -> Steps:
    """Generate one image per prompt; yields, for every position, one record per prompt.

    Row i draws its uniforms from seed + i, so it equals a run of its own with that seed. Closing the generator cancels
    the run. Raises ConfigError at once for a bad prompt, and when the settings ask for a database or for FAiD weights
    that are not there or do not fit.
    """
    views: list[PatchDatabase | None] = [None] * len(prompts)
    if settings.retrieves:
        views = [_view(backend, database, prompt, settings) for prompt in prompts]
    decoding = backend.start(prompts, settings.cfg_scale != 1, settings.faid_neighbours if settings.blends else 0)
    return _run(backend.grid, decoding, views, settings)


def uniforms(seed: int, count: int) -> npt.NDArray[np.float64]:
    """The uniforms [count] in [0, 1) of a run; the same on every machine."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, generator=generator, dtype=torch.float64).numpy()


def _view(backend: Backend, database: PatchDatabase | None, prompt: str, settings: DecodeSettings) -> PatchDatabase:
    """The part of the database that one prompt may retrieve from."""
    if database is None:
        raise ConfigError(f"database: got none, expected one for method {settings.method}; or take method model")
    if database.codebook.fingerprint != backend.codebook.fingerprint or database.grid != backend.grid:
        raise ConfigError(f"database: made for another codebook or grid than backend {backend.name}; build it again")
    view = database.with_styles(settings.styles)
    if settings.caption_filter == 0:
        return view
    vector = backend.embed_captions([prompt])[0]
    return view.subset(view.nearest_captions(vector, settings.caption_filter))


def _run(grid: Grid, decoding: Decoding, views: Sequence[PatchDatabase | None], settings: DecodeSettings) -> Steps:
    """The one loop. Retrieval reads the codes so far, so nothing but `codes` and the decoding carries over."""
    rows = range(len(views))
    codes = np.zeros((len(views), grid.height, grid.width), np.int64)
    randoms = np.stack([uniforms(settings.seed + row, grid.positions) for row in rows])
    try:
        for position in range(grid.positions):
            begin = time.perf_counter()
            answers = [_retrieve(view, row, position, settings) for view, row in zip(views, codes, strict=True)]
            searched = time.perf_counter()
            logits, unblended = _predict(decoding, answers, settings)
            predicted = time.perf_counter()
            chosen = np.array([_choose(logits[row], answers[row], randoms[row, position], settings) for row in rows])
            blends = _blends(decoding, chosen, unblended) if settings.blends else [None for _ in rows]
            seconds = Seconds(predicted - searched, searched - begin, time.perf_counter() - predicted)
            codes.reshape(len(views), -1)[:, position] = chosen
            yield tuple(
                StepRecord(
                    position, logits[row], answers[row], float(randoms[row, position]), int(chosen[row]), blends[row],
                    seconds,
                )
                for row in rows
            )  # fmt: skip
            decoding.append(chosen)
    finally:
        decoding.close()


def _predict(
    decoding: Decoding, answers: Sequence[Retrieval | Skipped], settings: DecodeSettings
) -> tuple[FloatArray, FloatArray | None]:
    """Guided logits [B, V] of the next codes and, if asked for, what they would be without the blenders here."""
    if not settings.blends:
        return guide(*decoding.logits(None), settings.cfg_scale), None
    unblended = guide(*decoding.logits(None), settings.cfg_scale) if settings.record_unblended else None
    return guide(*decoding.logits([neighbours_of(answer) for answer in answers]), settings.cfg_scale), unblended


def _blends(decoding: Decoding, chosen: IntArray, unblended: FloatArray | None) -> Sequence[FaidStep]:
    """What the blenders did, with the logits without them if those were asked for."""
    blends = decoding.blends(chosen)
    return blends if unblended is None else [replace(b, unblended=u) for b, u in zip(blends, unblended, strict=True)]


def guide(conditional: FloatArray, unconditional: FloatArray | None, scale: float) -> FloatArray:
    """Classifier-free guidance on logits [B, V]: uncond + scale * (cond - uncond)."""
    if unconditional is None:
        return conditional
    guided: FloatArray = unconditional + np.float32(scale) * (conditional - unconditional)
    return guided


def _retrieve(
    view: PatchDatabase | None, codes: npt.NDArray[np.int64], position: int, settings: DecodeSettings
) -> Retrieval | Skipped:
    """What the position retrieves, from the codes [H, W] before it."""
    if view is None:
        return Skipped("retrieval is off")
    if (reason := skip_reason(view.context, view.grid, position)) is not None:
        return Skipped(reason)
    query = context_codes(view.context, codes[None], np.array([position]))[0]
    neighbours = view.search(query, settings.n_neighbours, position, settings.position_weight)[0]
    return Retrieval(query[0], neighbours)


def neighbours_of(answer: Retrieval | Skipped) -> Neighbours | None:
    """The neighbours, if there was a retrieval."""
    return answer.neighbours if isinstance(answer, Retrieval) else None


def _choose(logits: FloatArray, answer: Retrieval | Skipped, u: float, settings: DecodeSettings) -> int:
    """The code that u picks from the blend."""
    return sample(blend_step(logits, neighbours_of(answer), settings).blended, u)
