"""The decoding loop: model, neighbours, blend, sample, record; one code per prompt and turn."""

from __future__ import annotations

import time
from collections.abc import Generator, Hashable, Sequence
from dataclasses import dataclass, replace

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


@dataclass(frozen=True, slots=True)
class Request:
    """One picture: what to draw, with which model and settings, and the database for methods that retrieve."""

    backend: Backend
    database: PatchDatabase | None
    prompt: str
    settings: DecodeSettings

    @property
    def model_pass(self) -> tuple[Hashable, ...]:
        """What decides how the model runs; requests with an equal one are rows of one batch."""
        settings = self.settings
        blends = (settings.faid_neighbours, settings.record_unblended) if settings.blends else ()
        return (id(self.backend), settings.cfg_scale != 1, *blends)


def decode(backend: Backend, database: PatchDatabase | None, prompts: Sequence[str], settings: DecodeSettings) -> Steps:
    """Generate one image per prompt; yields, for every position, one record per prompt.

    Row i draws its uniforms from seed + i, so it equals a run of its own with that seed. Closing the generator cancels
    the run. Raises ConfigError at once for a bad prompt, and when the settings ask for a database or for FAiD weights
    that are not there or do not fit.
    """
    rows = [replace(settings, seed=settings.seed + row) for row in range(len(prompts))]
    return _batch(backend, [Request(backend, database, *row) for row in zip(prompts, rows, strict=True)])


def decode_together(requests: Sequence[Request]) -> Steps:
    """Generate one image per request, all position by position; yields, for every position, one record per request.

    Every image equals a run of its own with the request's seed. Requests that differ only in what happens outside of
    the model are rows of one batch, the others take turns. Otherwise as `decode`; ConfigError, too, when the token
    grids of the models differ.
    """
    groups: dict[tuple[Hashable, ...], list[int]] = {}
    for number, request in enumerate(requests):
        groups.setdefault(request.model_pass, []).append(number)
    if len({request.backend.grid for request in requests}) != 1:
        raise ConfigError(f"requests: got {len(requests)} of different grids, expected at least one, all of one grid")
    batches = [[requests[number] for number in numbers] for numbers in groups.values()]
    runs = [_batch(batch[0].backend, batch) for batch in batches]
    return _in_turns(runs, np.argsort(np.concatenate(list(groups.values()))))


def _in_turns(runs: Sequence[Steps], order: IntArray) -> Steps:
    """Several batches, one position of each after the other; order: [B] where each request is among their rows."""
    try:
        for steps in zip(*runs, strict=True):
            rows = [record for step in steps for record in step]
            yield tuple(rows[place] for place in order)
    finally:
        for run in runs:
            run.close()


def _batch(backend: Backend, requests: Sequence[Request]) -> Steps:
    """The run of requests that share every pass of the model."""
    views: dict[tuple[Hashable, ...], PatchDatabase | None] = {}  # made once, so that rows share their caches
    for request in requests:
        if (name := _view_name(request)) not in views:
            views[name] = _view(request)
    first, prompts = requests[0].settings if requests else DecodeSettings(), [request.prompt for request in requests]
    decoding = backend.start(prompts, first.cfg_scale != 1, first.faid_neighbours if first.blends else 0)
    settings = [request.settings for request in requests]
    return _run(backend.grid, decoding, [views[_view_name(request)] for request in requests], settings)


def _view_name(request: Request) -> tuple[Hashable, ...]:
    """What the part of the database that a request may retrieve from depends on."""
    settings = request.settings
    filters = (id(request.database), settings.styles, settings.caption_filter, request.prompt)
    return filters if settings.retrieves else ()


def uniforms(seed: int, count: int) -> npt.NDArray[np.float64]:
    """The uniforms [count] in [0, 1) of a run; the same on every machine."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, generator=generator, dtype=torch.float64).numpy()


def _view(request: Request) -> PatchDatabase | None:
    """The part of the database that a request may retrieve from; None where nothing is retrieved."""
    backend, database, settings = request.backend, request.database, request.settings
    if not settings.retrieves:
        return None
    if database is None:
        raise ConfigError(f"database: got none, expected one for method {settings.method}; or take method model")
    if database.codebook.fingerprint != backend.codebook.fingerprint or database.grid != backend.grid:
        raise ConfigError(f"database: made for another codebook or grid than backend {backend.name}; build it again")
    view = database.with_styles(settings.styles)
    if settings.caption_filter == 0:
        return view
    vector = backend.embed_captions([request.prompt])[0]
    return view.subset(view.nearest_captions(vector, settings.caption_filter))


def _run(
    grid: Grid, decoding: Decoding, views: Sequence[PatchDatabase | None], settings: Sequence[DecodeSettings]
) -> Steps:
    """The one loop, over rows of one batch. Retrieval reads the codes so far: only they and the decoding carry over."""
    rows = range(len(views))
    codes = np.zeros((len(views), grid.height, grid.width), np.int64)
    randoms = np.stack([uniforms(row.seed, grid.positions) for row in settings])
    try:
        for position in range(grid.positions):
            begin = time.perf_counter()
            answers = [_retrieve(views[row], codes[row], position, settings[row]) for row in rows]
            searched = time.perf_counter()
            logits, unblended = _predict(decoding, answers, settings)
            predicted = time.perf_counter()
            u = randoms[:, position]
            chosen = np.array([_choose(logits[row], answers[row], u[row], settings[row]) for row in rows])
            blends = _blends(decoding, chosen, unblended) if settings[0].blends else [None for _ in rows]
            seconds = Seconds(predicted - searched, searched - begin, time.perf_counter() - predicted)
            codes.reshape(len(views), -1)[:, position] = chosen
            own = [logits[row].copy() for row in rows]  # so that a kept record does not hold on to those of the others
            yield tuple(
                StepRecord(position, own[row], answers[row], float(u[row]), int(chosen[row]), blends[row], seconds)
                for row in rows
            )
            decoding.append(chosen)
    finally:
        decoding.close()


def _predict(
    decoding: Decoding, answers: Sequence[Retrieval | Skipped], settings: Sequence[DecodeSettings]
) -> tuple[FloatArray, FloatArray | None]:
    """Guided logits [B, V] of the next codes and, if asked for, what they would be without the blenders here."""
    scales = np.array([[row.cfg_scale] for row in settings], np.float32)
    if not settings[0].blends:
        return guide(*decoding.logits(None), scales), None
    unblended = guide(*decoding.logits(None), scales) if settings[0].record_unblended else None
    return guide(*decoding.logits([neighbours_of(answer) for answer in answers]), scales), unblended


def _blends(decoding: Decoding, chosen: IntArray, unblended: FloatArray | None) -> Sequence[FaidStep]:
    """What the blenders did, with the logits without them if those were asked for."""
    blends = decoding.blends(chosen)
    if unblended is None:
        return blends
    return [replace(blend, unblended=row.copy()) for blend, row in zip(blends, unblended, strict=True)]


def guide(conditional: FloatArray, unconditional: FloatArray | None, scales: FloatArray) -> FloatArray:
    """Classifier-free guidance on logits [B, V] with scales [B, 1]: uncond + scale * (cond - uncond)."""
    if unconditional is None:
        return conditional
    guided: FloatArray = unconditional + scales * (conditional - unconditional)
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
