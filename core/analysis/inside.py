"""The inside of the model in a finished run: which pass shows it, and what there is of one position.

The numbers are a model's: `look_inside` asks the one that made the trace. What came of it can be kept in the trace.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..backends.complete import complete, inspecting
from ..backends.protocol import Inspection, SmallBackend, Stage, never
from ..trace import Trace, neighbours
from ..types import ConfigError, FloatArray, IntArray, Neighbours

SEARCHED_BY = ("n_neighbours", "caption_filter", "position_weight", "styles")
"""Settings that decide which neighbours the blenders get."""


def look_inside(backend: SmallBackend, trace: Trace, stopped: Callable[[], bool] = never) -> Inspection:
    """Attention and lens of all positions of a run, by one pass of the model that made it.

    Raises ConfigError for another model than that, for one that shows nothing, and for a run whose blenders were
    changed on the way: the model then read the codes before the change anew, with neighbours that no trace holds.
    """
    shown, model, origin = inspecting(backend), complete(backend), trace.origin
    theirs = (origin.model, origin.faid)
    if theirs != (model.fingerprint, model.faid if origin.faid is not None else None):
        got = f"got a run of {origin.backend} ({origin.model}) and the model {model.name} ({model.fingerprint})"
        raise ConfigError(f"inside: {got}, expected the one that drew it; draw the picture again")
    codes = trace.codes
    if not trace.settings.blends and not any(settings.blends for settings in trace.all_settings):
        return shown.inspect(trace.prompt, codes, stopped=stopped)
    _check_blenders(trace)
    features = trace.settings.faid_neighbours
    return shown.inspect(trace.prompt, codes, _blended(trace), features, stopped)


def _check_blenders(trace: Trace) -> None:
    """ConfigError where the blenders of a run came, went, or got other neighbours, in the middle of it."""
    first = trace.settings
    for change in trace.changes:
        new = change.settings or first
        if new.blends != first.blends or any(getattr(new, name) != getattr(first, name) for name in SEARCHED_BY):
            raise ConfigError(
                f"inside: got a run whose blenders or look-ups were changed at position {change.position}: what they "
                "got before it is not recorded; take a run without that change"
            )


def _blended(trace: Trace) -> list[Neighbours | None]:
    """What the blenders got at each position."""
    return [found.active if (found := neighbours(step)) is not None else None for step in trace.steps]


def kept_small(inspection: Inspection) -> Inspection:
    """The same with the mean attention over the heads of each layer alone: what a trace keeps."""
    mean = inspection.attention.astype(np.float32).mean(axis=1, keepdims=True)
    return replace(inspection, attention=mean.astype(np.float16))


@dataclass(frozen=True, slots=True)
class Look:
    """What one position looks at: words: [T] weights of the words; cells: [p] those of the codes before it; sum 1."""

    words: FloatArray
    cells: FloatArray


def look_at(inspection: Inspection, position: int, layer: int | None = None, head: int | None = None) -> Look:
    """The attention of a position: of one head, the mean of a layer (head None), or of all layers (layer None).

    Raises ConfigError for a layer, a head or a position that is not there.
    """
    layers, heads, positions, _ = inspection.attention.shape
    _check("position", position, positions)
    rows: FloatArray = inspection.attention[:, :, position].astype(np.float32)
    if layer is not None:
        _check("layer", layer, layers)
        rows = rows[layer : layer + 1]
    if head is not None:
        if layer is None:
            raise ConfigError("head: got one without a layer, expected both; give the layer, too")
        if heads < inspection.heads:
            raise ConfigError("head: only the mean over heads is kept in this trace; look inside with the model itself")
        _check("head", head, heads)
        rows = rows[:, head : head + 1]
    mean: FloatArray = rows.mean(axis=(0, 1))
    words = len(inspection.words)
    return Look(mean[:words], mean[words : words + position])


@dataclass(frozen=True, slots=True)
class Lens:
    """What the lens reads at one stage of a position.

    codes: [C] the likeliest, with their chances [C]; taken: the chance of the code that was taken.
    """

    stage: Stage
    codes: IntArray
    chances: FloatArray
    taken: float


def lens_at(inspection: Inspection, position: int) -> Sequence[Lens]:
    """All stages of a position, in the order in which it passes them; ConfigError for one that is not there."""
    _check("position", position, inspection.codes.shape[1])
    return [
        Lens(
            stage,
            inspection.codes[number, position].astype(np.int64),
            inspection.chances[number, position],
            float(inspection.taken[number, position]),
        )
        for number, stage in enumerate(inspection.stages)
    ]


def _check(name: str, number: int, count: int) -> None:
    if not 0 <= number < count:
        raise ConfigError(f"{name}: got {number}, expected 0 to {count - 1}")
