"""Held-out likelihood: by hand where it can be, and against the transformer's own teacher-forced pass."""

from __future__ import annotations

import math
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from core.backends.emoji.backend import EmojiBackend
from core.backends.emoji.transformer import conditions
from core.context import context_codes, retrieving_positions
from core.evaluation import bench
from core.evaluation.likelihood import (
    PLAIN,
    HeldOut,
    Observation,
    blend_trials,
    faid_nats,
    grid_logits,
    logits_in_turn,
    nats_per_code,
    random_entries,
    retrieve,
)
from core.patches.database import PatchDatabase
from core.training.train_faid import NOTHING, blending_of
from core.types import Neighbours
from tests.closeness import assert_close

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
    shape = (2, backend.grid.height, backend.grid.width)
    grids = np.random.default_rng(0).integers(0, backend.codebook.size, size=shape)
    model, prompts = backend.transformer, ["a red heart", "pizza"]
    condition = conditions([backend.encoder.encode(prompt) for prompt in prompts], backend.encoder, model)
    with torch.inference_mode():
        expected = model(torch.from_numpy(grids).flatten(1), model.modulate(condition)).numpy()
    assert_close(grid_logits(backend, prompts, grids), expected)
    assert_close(logits_in_turn(backend, prompts, grids), expected)


def test_teacher_forcing_with_blenders_equals_the_parallel_pass(backend: EmojiBackend, database: PatchDatabase) -> None:
    grids = np.asarray(database.grids)[:2].astype(np.int64)
    model, tuned, prompts, count = backend.transformer, backend.tuned, ["a red heart", "pizza"], 3
    assert tuned is not None
    found = [retrieve(grid, database, replace(PLAIN, n_neighbours=5)) for grid in grids]
    codes = [[(n.codes[:count] if n is not None else [NOTHING] * count) for n in picture] for picture in found]
    condition = conditions([backend.encoder.encode(prompt) for prompt in prompts], backend.encoder, model)
    with torch.inference_mode():
        blending = blending_of(model, tuned, torch.from_numpy(np.array(codes)))
        expected = model(torch.from_numpy(grids).flatten(1), model.modulate(condition), tuned.head, blending).numpy()
    decoded = logits_in_turn(backend, prompts, grids, found, count)
    assert_close(decoded, expected)
    assert_close(grid_logits(backend, prompts, grids, found, count), expected)
    assert not np.allclose(decoded, grid_logits(backend, prompts, grids), atol=1e-2)


def test_observations_ask_with_the_true_context(backend: EmojiBackend, database: PatchDatabase) -> None:
    grid = np.asarray(database.grids[4])
    found = retrieve(grid, database, replace(PLAIN, n_neighbours=1))
    places = set(retrieving_positions(database.context, database.grid).tolist())
    assert [n is not None for n in found] == [p in places for p in range(backend.grid.positions)]
    # the image itself is in the database, so its own context is found at distance 0
    assert all(n.distances[0] == 0 for n in found if n is not None)


def test_random_entries_are_entries_of_the_database_at_the_same_positions(database: PatchDatabase) -> None:
    found = retrieve(np.asarray(database.grids[4]), database, replace(PLAIN, n_neighbours=4))
    changed = random_entries(found, database, np.random.default_rng(0))
    assert [n is None for n in changed] == [n is None for n in found]
    for old, new in zip(found, changed, strict=True):
        if old is not None and new is not None:
            images, rows, columns = database.provenance(new.entries)
            assert new.codes.tolist() == np.asarray(database.grids)[images, rows, columns].tolist()
            assert len(new) == len(old)
    assert any(
        o is not None and n is not None and (o.codes != n.codes).any() for o, n in zip(found, changed, strict=True)
    )


def held_side(backend: EmojiBackend, database: PatchDatabase) -> HeldOut:
    held = object.__new__(HeldOut)
    held.backend, held.grids, held.prompts = backend, np.asarray(database.grids)[:2], ["pizza", "dog"]
    return held


def test_faid_figures_by_another_way(backend: EmojiBackend, database: PatchDatabase) -> None:
    held = held_side(backend, database)
    faid = replace(PLAIN, method="faid", n_neighbours=3, faid_neighbours=3)
    figures = faid_nats(held, database, faid, replace(faid, retrieval_weight=0.4, gate=0.0))
    codes = torch.from_numpy(held.grids.astype(np.int64)).flatten(1)

    def nats(logits: np.ndarray) -> float:  # type: ignore[type-arg]
        return float(torch.nn.functional.cross_entropy(torch.from_numpy(logits).flatten(0, 1), codes.flatten()))

    found = held.found(database, faid)
    assert figures["nll_faid"] == pytest.approx(nats(held.logits(found, 3)), abs=1e-4)
    assert figures["nll_faid_off"] == pytest.approx(nats(held.logits([[None] * 64] * 2, 3)), abs=1e-4)
    assert len({round(value, 4) for value in figures.values()}) == 4
    # the pictures are in the database, so that what is retrieved is right
    assert figures["nll_faid_daid"] < figures["nll_faid"] - 0.1


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
    found = retrieve(grid, database, replace(PLAIN, n_neighbours=5))
    parts = zip(logits, grid.ravel().tolist(), found, strict=True)
    seen = [Observation(row, code, neighbours) for row, code, neighbours in parts]
    tried = blend_trials(seen, replace(PLAIN, n_neighbours=5))
    assert len(tried) == 150
    for trial in tried[::17]:
        assert trial.nats == pytest.approx(nats_per_code(seen, trial.settings))


def test_the_start_of_a_page_is_timed_until_it_answers() -> None:
    page = (
        "import sys, http.server as http; port = int(sys.argv[sys.argv.index('--port') + 1]);"
        "http.HTTPServer(('127.0.0.1', port), http.SimpleHTTPRequestHandler).serve_forever()"
    )
    assert 0 < bench.page_start_seconds([sys.executable, "-c", page]) < 60
    assert math.isnan(bench.page_start_seconds([sys.executable, "-c", "raise SystemExit(1)"]))
