"""The plain loop that speed is measured against, and how pairs are timed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from core.backends.emoji.backend import EmojiBackend
from core.daid import _truncate
from core.engine import decode
from core.evaluation.bench_speed import Drawn, position_parts
from core.evaluation.pairs import paired
from core.evaluation.plain_loop import plain_picture, truncated
from core.patches.database import PatchDatabase
from core.types import DecodeSettings, Seconds, Skipped, StepRecord
from tests.closeness import assert_close

PROMPT = "a red heart, 3d style"


@pytest.mark.processor
@pytest.mark.parametrize("method", ["model", "daid", "faid"])
def test_the_plain_loop_draws_what_the_engine_draws(
    backend: EmojiBackend, database: PatchDatabase, method: str
) -> None:
    settings = DecodeSettings(method=method, seed=3, caption_filter=6, n_neighbours=8, faid_neighbours=4)
    plain = plain_picture(backend, database, PROMPT, settings)
    now = [step[0] for step in decode(backend, database, [PROMPT], settings)]
    assert [record.code for record in plain] == [record.code for record in now]
    assert_close([record.logits for record in plain], [record.logits for record in now])
    for before, after in zip(plain, now, strict=True):
        assert (before.faid is None) == (after.faid is None) == (method != "faid")
        if before.faid is not None and after.faid is not None:
            assert_close(before.faid.code_cosine, after.faid.code_cosine)
            assert_close(before.faid.share, after.faid.share)


def test_truncation_as_it_was_is_truncation_as_it_is() -> None:
    mass = np.exp(2 * np.random.default_rng(0).normal(size=500).round(1))
    np.testing.assert_array_equal(truncated(mass, 0.9), _truncate(mass, 0, 0.9))


def test_pairs_take_turns_and_their_ratios_are_what_counts() -> None:
    """A machine that gets slower with every round: ratios of 3 all the same."""
    clock, order = [0.0], list[str]()

    def work(name: str, cost: float) -> Any:
        def done(seed: int) -> None:
            order.append(name)
            clock[0] += cost * (1 + seed)

        return done

    timed = paired(work("before", 3.0), work("after", 1.0), 3, clock=lambda: clock[0])
    assert (timed.before, timed.after, timed.speedup) == (6.0, 2.0, 3.0)
    assert "".join(name[0] for name in order) == "abbaabba"


def test_parts_of_a_position_add_up_to_all_of_it() -> None:
    logits = np.zeros(4, np.float32)
    record = StepRecord(0, logits, Skipped("retrieval is off"), 1, None, Seconds(model=0.3, search=0.1, blend=0.1))
    expected = {"position_ms": 600, "model_ms": 300, "search_ms": 100, "blend_ms": 100, "records_ms": 100}
    assert position_parts(1.2, [Drawn([record, record], 1.2)]) == pytest.approx(expected)
    busy = position_parts(0.6, [Drawn([record, record], 1.2)])  # half of the wall-clock time was somebody else's
    assert busy == pytest.approx({name: value / 2 for name, value in expected.items()})
