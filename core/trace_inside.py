"""The inside of the model in a trace file: a part that a trace has when somebody looked and kept it."""

from __future__ import annotations

from typing import Any, Final, get_args

import numpy as np

from .backends.protocol import Inspection, Place, Stage
from .trace_arrays import Arrays, Sizes
from .types import TraceError

MOST_LAYERS: Final = 1000
MOST_WORDS: Final = 1000
LONGEST_WORD: Final = 100
LONGEST_NOTE: Final = 1000


def inside_meta(inside: Inspection | None) -> dict[str, Any]:
    """What stands of it in the JSON part: nothing where nobody looked."""
    if inside is None:
        return {}
    stages = [[stage.layer, stage.place] for stage in inside.stages]
    return {"inside": {"words": inside.words, "heads": inside.heads, "stages": stages, "note": inside.note}}


def inside_arrays(inside: Inspection | None) -> Arrays:
    """Its arrays: none where nobody looked."""
    if inside is None:
        return {}
    return {
        "inside_attention": inside.attention.astype("<f2"),
        "inside_codes": inside.codes.astype("<u2"),
        "inside_chances": inside.chances.astype("<f4"),
        "inside_taken": inside.taken.astype("<f4"),
    }


def inside_sizes(meta: Any, arrays: Arrays, steps: int) -> Sizes:
    """Lengths of its arrays, from its part of the JSON; TraceError for one that is not as it has to be."""
    if meta is None:
        return {f"inside {name}": 0 for name in ("layers", "heads", "keys", "stages", "likeliest")}
    _check_meta(meta)
    attention = arrays["inside_attention"].shape
    layers, heads = [*attention, 0, 0][:2]
    if not 1 <= layers <= MOST_LAYERS or heads not in (1, meta["heads"]):
        got = f"got {layers} layers with {heads} heads"
        raise TraceError(f"inside_attention: {got}, expected some layers, and 1 or {meta['heads']} heads")
    if any(stage[0] >= layers for stage in meta["stages"]):
        raise TraceError(f"meta.json: got a stage of a layer that is not there, expected less than {layers}")
    likeliest = arrays["inside_codes"].shape[-1]
    if not likeliest:
        raise TraceError("inside_codes: got no code for a stage, expected at least one")
    keys = len(meta["words"]) + steps - 1
    return {
        "inside layers": layers,
        "inside heads": heads,
        "inside keys": keys,
        "inside stages": len(meta["stages"]),
        "inside likeliest": likeliest,
    }


def _check_meta(meta: Any) -> None:
    """TraceError unless the part of the JSON has the types that the rest relies on."""
    if not isinstance(meta, dict) or set(meta) != {"words", "heads", "stages", "note"}:
        raise TraceError("meta.json: expected words, heads, stages and note of what was seen inside of the model")
    words, heads, stages, note = meta["words"], meta["heads"], meta["stages"], meta["note"]
    if not isinstance(words, list) or not 1 <= len(words) <= MOST_WORDS or not all(map(_is_word, words)):
        raise TraceError(f"meta.json: expected 1 to {MOST_WORDS} short words that the model looked at")
    if not _is_whole(heads) or not 1 <= heads <= MOST_LAYERS or not isinstance(note, str) or len(note) > LONGEST_NOTE:
        raise TraceError("meta.json: expected a number of heads, and a short note")
    if not isinstance(stages, list) or not 1 <= len(stages) <= 4 * MOST_LAYERS or not all(map(_is_stage, stages)):
        raise TraceError(f"meta.json: expected stages, each a layer and one of {', '.join(get_args(Place))}")


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= LONGEST_WORD


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_stage(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and _is_whole(value[0]) and value[1] in get_args(Place)


def check_inside(arrays: Arrays, meta: Any) -> None:
    """TraceError unless attention sums to 1, over the words and what came before each position alone."""
    if meta is None:
        return
    attention, words = arrays["inside_attention"].astype(np.float32), len(meta["words"])
    later = np.triu(np.ones((attention.shape[2], max(0, attention.shape[2] - 1)), bool))
    if (np.abs(attention.sum(axis=-1) - 1) > 0.01).any() or attention[..., words:][..., later].any():
        raise TraceError("inside_attention: got weights that do not sum to 1 over what came before; record it again")


def inside_from(meta: Any, arrays: Arrays) -> Inspection | None:
    """It again, from what was checked; None where nobody looked."""
    if meta is None:
        return None
    return Inspection(
        words=tuple(meta["words"]),
        heads=meta["heads"],
        attention=arrays["inside_attention"].astype(np.float16),
        stages=tuple(Stage(layer, place) for layer, place in meta["stages"]),
        codes=arrays["inside_codes"].astype(np.uint16),
        chances=arrays["inside_chances"].astype(np.float32),
        taken=arrays["inside_taken"].astype(np.float32),
        note=meta["note"],
    )
