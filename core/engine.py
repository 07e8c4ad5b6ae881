"""The decoding loop: model, neighbours, blend, sample, record; one code per prompt and turn."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence

import numpy as np
import numpy.typing as npt
import torch

from core.backends.protocol import Backend
from core.context import context_codes, skip_reason
from core.daid import blend_step, sample
from core.database import PatchDatabase
from core.types import ConfigError, DecodeSettings, FloatArray, Neighbours, Retrieval, Seconds, Skipped, StepRecord

Step = tuple[StepRecord, ...]
Steps = Generator[Step, None, None]


def decode(backend: Backend, database: PatchDatabase | None, prompts: Sequence[str], settings: DecodeSettings) -> Steps:
    """Generate one image per prompt; yields, for every position, one record per prompt.

    Row i draws its uniforms from seed + i, so it equals a run of its own with that seed. Closing the generator cancels
    the run. Raises ConfigError at once when the settings ask for a database that is not there or does not fit.
    """
    views: list[PatchDatabase | None] = [None] * len(prompts)
    if settings.retrieves:
        views = [_view(backend, database, prompt, settings) for prompt in prompts]
    return _run(backend, views, prompts, settings)


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


def _run(
    backend: Backend, views: Sequence[PatchDatabase | None], prompts: Sequence[str], settings: DecodeSettings
) -> Steps:
    """The one loop. Retrieval reads the codes so far, so nothing but `codes` and the decoding carries over."""
    grid = backend.grid
    codes = np.zeros((len(prompts), grid.height, grid.width), np.int64)
    randoms = np.stack([uniforms(settings.seed + row, grid.positions) for row in range(len(prompts))])
    decoding = backend.start(prompts, guided=settings.cfg_scale != 1)
    try:
        for position in range(grid.positions):
            begin = time.perf_counter()
            logits = guide(*decoding.logits(), settings.cfg_scale)
            predicted = time.perf_counter()
            answers = [_retrieve(view, row, position, settings) for view, row in zip(views, codes, strict=True)]
            searched = time.perf_counter()
            chosen = [
                _choose(logits[row], answers[row], randoms[row, position], settings) for row in range(len(prompts))
            ]
            seconds = Seconds(predicted - begin, searched - predicted, time.perf_counter() - searched)
            codes.reshape(len(prompts), -1)[:, position] = chosen
            yield tuple(
                StepRecord(position, logits[row], answers[row], float(randoms[row, position]), chosen[row], seconds)
                for row in range(len(prompts))
            )
            decoding.append(np.array(chosen))
    finally:
        decoding.close()


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
