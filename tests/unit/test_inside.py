"""The inside of the model: that what is shown is what the model computes, how it is read, and how a trace keeps it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

from core.analysis.inside import kept_small, lens_at, look_at, look_inside
from core.backends.complete import inspecting
from core.backends.emoji.backend import EmojiBackend
from core.backends.emoji.transformer import attention_mask, conditions
from core.backends.protocol import Inspection, SmallBackend, Stage
from core.guidance import guide
from core.patches.database import PatchDatabase
from core.trace import Trace, neighbours
from core.types import Change, ConfigError, DecodeSettings, FloatArray, TraceError
from tests.closeness import assert_close
from tests.tampering import Tampering, rewrite, with_array, with_meta
from tests.tiny import tiny_backend
from tests.traces import FAID, SETTINGS, traced

BEFORE = [(0, "start"), (0, "before"), (0, "after"), (0, "end"), (1, "end"), (2, "before"), (2, "after"), (2, "end")]


@pytest.fixture(scope="module")
def looked(backend: EmojiBackend, blended: Trace) -> Inspection:
    """The inside of the run with FAiD."""
    return look_inside(backend, blended)


def chances_of(logits: FloatArray) -> Any:
    """Probabilities [n, V] of logits."""
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


# -- What is shown ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [SETTINGS, FAID], ids=["daid", "faid"])
def test_the_last_lens_is_what_was_recorded(
    backend: EmojiBackend, database: PatchDatabase, settings: DecodeSettings
) -> None:
    """Without guidance the recorded logits are those of the pass with the prompt."""
    trace = traced(backend, database, replace(settings, cfg_scale=1.0))
    seen = look_inside(backend, trace)
    recorded = chances_of(np.stack([step.logits for step in trace.steps]))
    assert_close(seen.chances[-1, :, 0], recorded.max(axis=1))
    assert_close(seen.taken[-1], recorded[np.arange(len(recorded)), trace.codes])
    assert seen.stages[-1] == Stage(2, "end")


def test_with_guidance_it_is_the_row_that_the_prompt_has(
    backend: EmojiBackend, blended: Trace, looked: Inspection
) -> None:
    """The decoding that was recorded, step by step: what it predicts with the prompt is the last lens."""
    settings = blended.settings
    decoding = backend.start([blended.prompt], True, settings.faid_neighbours, True)
    for step in blended.steps[:24]:
        found = neighbours(step)
        predicted = decoding.logits([None if found is None else found.active])
        assert_close(guide(predicted, [settings])[0], step.logits)
        (chances,) = chances_of(predicted.conditional)
        assert_close(looked.chances[-1, step.position, 0], chances.max())
        decoding.append(np.array([step.code]))
    decoding.close()


def test_attention_sums_to_one_over_what_came_before(looked: Inspection) -> None:
    attention = looked.attention.astype(np.float64)
    assert looked.words == ("a", "red", "heart", "(start)")
    assert attention.shape == (3, 4, 64, 4 + 63)
    np.testing.assert_allclose(attention.sum(axis=-1), 1, atol=1e-3)
    for position in range(64):
        assert not attention[:, :, position, 4 + position :].any()
        assert attention[:, :, position, : 4 + position].all()


def test_attention_is_what_mixes_the_values(backend: EmojiBackend) -> None:
    """Weights times values, through the output matrix, is what the attention of a layer puts out."""
    model = backend.transformer
    modulation = model.modulate(conditions([backend.encoder.encode("a red heart")], backend.encoder, model))
    x = model.entries(torch.arange(12)[None], modulation)
    rotary, mask = model.rotary[:, : x.shape[1]], attention_mask(modulation.visible, x.shape[1], 0)
    attention = cast(Any, model.layers[1]).self_attn
    with torch.inference_mode():
        values = attention._projected(x, rotary)[1]
        mixed = (attention.weights(x, rotary, mask) @ values).transpose(1, 2).flatten(2)
        assert_close(attention.output(mixed).numpy(), attention(x, rotary, mask).numpy())


def test_a_blender_shows_before_and_after_and_only_from_its_position_on(
    backend: EmojiBackend, blended: Trace, looked: Inspection
) -> None:
    """Other neighbours at one position change what is after its first blender, and nothing that came before."""
    assert [(stage.layer, stage.place) for stage in looked.stages] == BEFORE
    given = [found.active if (found := neighbours(step)) else None for step in blended.steps]
    position = next(p for p, found in enumerate(given) if found is not None)
    given[position] = None
    other = inspecting(backend).inspect(blended.prompt, blended.codes, given, blended.settings.faid_neighbours)
    before, after = looked.stages.index(Stage(0, "before")), looked.stages.index(Stage(0, "after"))
    assert_close(other.chances[before, position], looked.chances[before, position])
    assert np.abs(other.taken[after, position] - looked.taken[after, position]) > 1e-5
    assert_close(other.taken[:, :position], looked.taken[:, :position])
    assert_close(other.attention[0].astype(np.float32), looked.attention[0].astype(np.float32))
    gone = replace_at(given, position, next(found for found in reversed(given) if found is not None))
    again = inspecting(backend).inspect(blended.prompt, blended.codes, gone, blended.settings.faid_neighbours)
    assert np.abs(again.taken[after, position] - other.taken[after, position]) > 1e-5


def replace_at(values: list[Any], place: int, value: Any) -> list[Any]:
    return [*values[:place], value, *values[place + 1 :]]


def test_it_can_be_stopped_between_layers(backend: EmojiBackend, trace: Trace) -> None:
    asked = iter([False, True])
    with pytest.raises(ConfigError, match="it was stopped before the last layer"):
        look_inside(backend, trace, lambda: next(asked))


# -- What is refused --------------------------------------------------------------------------------------------------


def test_models_that_show_nothing_say_so(trace: Trace) -> None:
    small = SimpleNamespace(name="small", grid=None, codebook=None, start=None, decode_codes=None)
    with pytest.raises(ConfigError, match="backend small: it shows nothing of its inside; add inspect to it"):
        look_inside(cast(SmallBackend, small), trace)


def test_another_model_than_the_one_that_drew_is_refused(trace: Trace) -> None:
    with pytest.raises(ConfigError, match="expected the one that drew it"):
        look_inside(tiny_backend(seed=1), trace)


def test_blenders_that_came_on_the_way_are_refused(backend: EmojiBackend, changed: Trace) -> None:
    with pytest.raises(ConfigError, match="changed at position 30"):
        look_inside(backend, changed)


def test_a_change_of_what_is_mixed_leaves_the_pass_as_it_is(
    backend: EmojiBackend, database: PatchDatabase, trace: Trace
) -> None:
    mixed = replace(trace, changes=(Change(9, settings=replace(SETTINGS, retrieval_weight=0.9)),))
    assert_close(look_inside(backend, mixed).taken, look_inside(backend, trace).taken)


# -- How it is read ---------------------------------------------------------------------------------------------------

HAND = Inspection(
    words=("sun", "(start)"),
    heads=2,
    attention=np.array(
        [
            [[[0.5, 0.5, 0], [0.25, 0.25, 0.5]], [[0, 1, 0], [0, 0, 1]]],
            [[[1, 0, 0], [0.5, 0.5, 0]], [[0, 1, 0], [1, 0, 0]]],
        ],
        np.float16,
    ),
    stages=(Stage(0, "start"), Stage(0, "end"), Stage(1, "end")),
    codes=np.array([[[3, 1], [2, 1]], [[3, 2], [1, 2]], [[3, 0], [1, 0]]], np.uint16),
    chances=np.full((3, 2, 2), 0.5, np.float32),
    taken=np.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]], np.float32),
)
"""Two layers of two heads over two positions."""


@pytest.mark.parametrize(
    ("position", "layer", "head", "words", "cells"),
    [
        (0, None, None, [0.375, 0.625], []),
        (1, None, None, [0.4375, 0.1875], [0.375]),
        (1, 0, None, [0.125, 0.125], [0.75]),
        (1, 0, 1, [0, 0], [1]),
        (1, 1, 0, [0.5, 0.5], [0]),
    ],
)
def test_attention_of_all_of_a_layer_and_of_a_head(
    position: int, layer: int | None, head: int | None, words: list[float], cells: list[float]
) -> None:
    look = look_at(HAND, position, layer, head)
    assert (look.words.tolist(), look.cells.tolist()) == (words, cells)


def test_the_lens_of_a_position_by_stage() -> None:
    read = lens_at(HAND, 1)
    assert [(lens.stage.place, lens.codes.tolist(), round(lens.taken, 6)) for lens in read] == [
        ("start", [2, 1], 0.2),
        ("end", [1, 2], 0.4),
        ("end", [1, 0], 0.6),
    ]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ((2, None, None), "position: got 2, expected 0 to 1"),
        ((0, 2, None), "layer: got 2, expected 0 to 1"),
        ((0, 0, -1), "head: got -1, expected 0 to 1"),
        ((0, None, 0), "head: got one without a layer"),
    ],
)
def test_what_is_not_there_is_told(asked: tuple[int, int | None, int | None], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        look_at(HAND, *asked)


def test_a_trace_keeps_the_mean_over_heads_and_says_so_of_a_head() -> None:
    small = kept_small(HAND)
    assert small.attention[:, 0, 1].tolist() == [[0.125, 0.125, 0.75], [0.75, 0.25, 0]]
    assert look_at(small, 1, 0).cells.tolist() == [0.75]
    with pytest.raises(ConfigError, match="only the mean over heads is kept in this trace"):
        look_at(small, 1, 0, 1)


# -- How a trace keeps it ---------------------------------------------------------------------------------------------


@pytest.fixture
def kept(blended: Trace, looked: Inspection, tmp_path: Path) -> Path:
    """The file of a run whose inside was kept."""
    replace(blended, inside=kept_small(looked)).save(tmp_path / "kept.npz")
    return tmp_path / "kept.npz"


def test_it_comes_back_from_the_file(kept: Path, looked: Inspection) -> None:
    found, small = Trace.load(kept).inside, kept_small(looked)
    assert found is not None
    assert (found.words, found.heads, found.stages, found.note) == (small.words, 4, small.stages, small.note)
    for name in ("attention", "codes", "chances", "taken"):
        np.testing.assert_array_equal(getattr(found, name), getattr(small, name))


def test_a_trace_without_it_has_nothing_of_it(saved: Path) -> None:
    def nothing(members: dict[str, bytes]) -> None:
        assert not [name for name in members if "inside" in name]
        assert b'"inside"' not in members["meta.json"]

    assert Trace.load(rewrite(saved, nothing)).inside is None


META: dict[str, Any] = {"words": ["a", "red", "heart", "(start)"], "heads": 4, "stages": [[0, "end"]], "note": ""}
DAMAGED: dict[str, Tampering] = {
    "a number": with_meta(inside=3),
    "no words": with_meta(inside={**META, "words": []}),
    "words that are numbers": with_meta(inside={**META, "words": [1]}),
    "a word of another length": with_meta(inside={**META, "words": ["x" * 101]}),
    "no heads": with_meta(inside={**META, "heads": 0}),
    "heads that are text": with_meta(inside={**META, "heads": "4"}),
    "a note that is too long": with_meta(inside={**META, "note": "x" * 1001}),
    "stages that are numbers": with_meta(inside={**META, "stages": [0]}),
    "an unknown stage": with_meta(inside={**META, "stages": [[0, "middle"]]}),
    "a stage of a layer that is not there": with_meta(inside={**META, "stages": [[3, "end"]] * 8}),
    "fewer stages than rows": with_meta(inside=META),
    "attention of another sum": with_array("inside_attention", lambda a: a / 2),
    "attention to what comes later": with_array("inside_attention", lambda a: np.flip(a, axis=-1).copy()),
    "attention that is no number": with_array("inside_attention", lambda a: a * np.nan),
    "a code that is not there": with_array("inside_codes", lambda a: a + 48),
    "a chance above one": with_array("inside_chances", lambda a: a + 1),
    "another shape": with_array("inside_taken", lambda a: a[:, :-1]),
    "another type": with_array("inside_taken", lambda a: a.astype(np.float64)),
    "missing arrays": lambda members: members.pop("inside_codes.npy") and None,
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_insides_are_refused_in_one_line(kept: Path, name: str) -> None:
    with pytest.raises(TraceError) as refused:
        Trace.load(rewrite(kept, DAMAGED[name]))
    assert "\n" not in str(refused.value)
