"""Held-out likelihood: by hand where it can be, and against the transformer's own teacher-forced pass."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from core.backends.emoji import EmojiBackend
from core.context import context_codes, retrieving_positions
from core.database import PatchDatabase
from core.evaluation import bench
from core.evaluation.likelihood import PLAIN, Observation, blend_trials, nats_per_code, observe, teacher_forced
from core.transformer import conditions
from core.types import Neighbours

UNIFORM = np.zeros(8, np.float32)
SURE = Neighbours(np.array([3]), np.array([0.0], np.float32), np.array([0]))


def test_nats_by_hand() -> None:
    settings = replace(PLAIN, retrieval_weight=0.5, gate=0.0)
    assert nats_per_code([Observation(UNIFORM, 3, None)], settings) == pytest.approx(math.log(8))
    assert nats_per_code([Observation(UNIFORM, 3, SURE)], settings) == pytest.approx(-math.log(0.5 / 8 + 0.5))
    assert nats_per_code([Observation(UNIFORM, 2, SURE)], settings) == pytest.approx(-math.log(0.5 / 8))
    both = [Observation(UNIFORM, 3, SURE), Observation(UNIFORM, 3, None)]
    expected = (-math.log(0.5 / 8 + 0.5) + math.log(8)) / 2
    assert nats_per_code(both, settings) == pytest.approx(expected)
    assert nats_per_code(both, replace(settings, method="model")) == pytest.approx(math.log(8))


def test_teacher_forcing_equals_the_parallel_pass(backend: EmojiBackend) -> None:
    codes = np.random.default_rng(0).integers(0, backend.codebook.size, size=backend.grid.positions)
    model = backend.transformer
    condition = conditions([backend.encoder.encode("a red heart")], backend.encoder, model)
    with torch.inference_mode():
        expected = model(torch.from_numpy(codes)[None], model.modulate(condition))[0].numpy()
    np.testing.assert_allclose(teacher_forced(backend, "a red heart", codes), expected, rtol=1e-4, atol=1e-5)


def test_observations_ask_with_the_true_context(backend: EmojiBackend, database: PatchDatabase) -> None:
    grid = np.asarray(database.grids[4])
    logits = np.zeros((backend.grid.positions, backend.codebook.size), np.float32)
    seen = observe(logits, grid, database, replace(PLAIN, n_neighbours=1))
    places = set(retrieving_positions(database.context, database.grid).tolist())
    assert [o.neighbours is not None for o in seen] == [p in places for p in range(backend.grid.positions)]
    assert [o.code for o in seen] == grid.ravel().tolist()
    # the image itself is in the database, so its own context is found at distance 0
    assert all(o.neighbours.distances[0] == 0 for o in seen if o.neighbours is not None)


def test_the_benchmark_oracle_notices_a_wrong_answer(database: PatchDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    grid = np.asarray(database.grids)[:1]
    query = context_codes(database.context, grid, retrieving_positions(database.context, database.grid))[0, 5]
    assert bench._is_exact(database, query, 8)
    wrong = database.search(np.roll(query, 1)[None], 8)
    monkeypatch.setattr(PatchDatabase, "search", lambda self, queries, k: wrong)
    assert not bench._is_exact(database, query, 8)


def test_choosing_scores_every_blend_as_the_blend_itself_does(backend: EmojiBackend, database: PatchDatabase) -> None:
    rng = np.random.default_rng(0)
    grid = np.roll(np.asarray(database.grids[4]), 1, axis=0)
    logits = rng.normal(size=(backend.grid.positions, backend.codebook.size)).astype(np.float32)
    seen = observe(logits, grid, database, replace(PLAIN, n_neighbours=5))
    tried = blend_trials(seen, replace(PLAIN, n_neighbours=5))
    assert len(tried) == 150
    for trial in tried[::17]:
        assert trial.nats == pytest.approx(nats_per_code(seen, trial.settings))
