"""Classifier-free guidance: by hand, for rows with settings of their own, and with negative prompts or without."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from core.backends.emoji.backend import EmojiBackend
from core.backends.emoji.lean import LeanTransformer
from core.backends.protocol import Predicted
from core.engine import decode
from core.guidance import guide
from core.types import DecodeSettings
from tests.closeness import assert_close

PLAIN = DecodeSettings(seed=5, method="model", temperature=1.0, top_p=1.0)


def row(cfg_scale: float, negative_share: float = 0.5) -> DecodeSettings:
    return DecodeSettings(cfg_scale=cfg_scale, negative_share=negative_share)


def test_guidance_by_hand() -> None:
    conditional, unconditional = np.array([[1.0, 2.0]], np.float32), np.array([[0.0, 3.0]], np.float32)
    negative = np.array([[-2.0, 7.0]], np.float32)
    plain = Predicted(conditional, unconditional)
    assert guide(plain, [row(2.0)]).tolist() == [[2.0, 1.0]]
    assert guide(plain, [row(0.0)]).tolist() == [[0.0, 3.0]]
    both = Predicted(conditional, unconditional, negative)
    assert guide(both, [row(2.0, 0.0)]).tolist() == [[2.0, 1.0]]
    assert guide(both, [row(2.0, 0.5)]).tolist() == [[3.0, -1.0]]  # away from -1, 5
    assert guide(both, [row(2.0, 1.0)]).tolist() == [[4.0, -3.0]]
    alone = guide(Predicted(conditional), [row(2.0)])
    assert alone.tolist() == [[1.0, 2.0]]
    assert not np.shares_memory(alone, conditional)


def test_every_row_is_guided_by_its_own_settings() -> None:
    three = [np.repeat(np.array([values], np.float32), 3, axis=0) for values in ([1.0, 2.0], [0.0, 3.0], [-2.0, 7.0])]
    rows = [row(2.0, 0.5), row(0.0, 1.0), row(3.0, 0.0)]
    got = guide(Predicted(*three), rows)
    assert got.tolist() == [[3.0, -1.0], [-2.0, 7.0], [3.0, 0.0]]
    assert got.dtype == np.float32


def test_by_default_half_of_what_guidance_turns_away_from_is_the_negative_prompt(backend: EmojiBackend) -> None:
    """As the embedded model had it when it mixed its rows itself."""
    prompt, settings = "a red heart, 3d style", PLAIN
    assert settings.negative_share == 0.5
    (record,) = next(decode(backend, None, [prompt], settings))
    decoding = backend.start([prompt], True, 0, negatives=True)
    predicted = decoding.logits(None)
    assert predicted.unconditional is not None
    assert predicted.negative is not None
    away = (predicted.unconditional + predicted.negative) / 2
    assert_close(record.logits, (away + 2 * (predicted.conditional - away))[0])
    assert np.abs(predicted.negative - predicted.unconditional).max() > 0.01


def test_without_a_share_no_negative_rows_are_computed(backend: EmojiBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[int] = []
    logits_of = LeanTransformer.logits

    def counted(self: LeanTransformer, *arguments: Any) -> Any:
        logits = logits_of(self, *arguments)
        rows.append(len(logits))
        return logits

    monkeypatch.setattr(LeanTransformer, "logits", counted)
    prompts, plain = ["a red heart, 3d style", "pizza"], PLAIN
    for settings, expected in (
        (plain, 5),  # nothing is mixed up with a plain pizza
        (replace(plain, negative_share=0.0), 4),
        (replace(plain, cfg_scale=1.0), 2),
    ):
        rows.clear()
        run = decode(backend, None, prompts, settings)
        next(run)
        run.close()
        assert rows == [expected]
    decoding = backend.start(prompts, True, 0)
    predicted, off = decoding.logits(None), replace(plain, negative_share=0.0)
    (first, _) = next(decode(backend, None, prompts, off))
    np.testing.assert_array_equal(first.logits, guide(predicted, [off, off])[0])
    (mixed, _) = next(decode(backend, None, prompts, plain))
    assert np.abs(mixed.logits - first.logits).max() > 0.01
