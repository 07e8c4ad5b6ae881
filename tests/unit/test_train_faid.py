"""Tuning for FAiD: what is learned from, what may be retrieved for it, and a real short run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from core.backends.emoji.backend import EmojiBackend
from core.backends.emoji.transformer import FaidConfig, TunedFaid
from core.context import Context, context_codes, retrieving_positions
from core.patches.database import PatchDatabase
from core.patches.protocol import ImageInfo
from core.training import data, loop, train_faid
from core.training.train_faid import KINDS, NOTHING, Batches, FaidSettings, Lessons, neighbour_codes
from core.training.train_transformer import Captioner, TrainSettings
from core.types import ConfigError, IntArray
from tests.tiny import CODES, SIDE

SETTINGS = FaidSettings(steps=4, batch=4, neighbours=3, checkpoint_every=2)


def item(label: str, iconic: bool = True, split: str = "train") -> data.Item:
    return data.Item(label, "3d", label, (), iconic, split)


def random_grids(count: int) -> IntArray:
    return np.random.default_rng(1).integers(0, CODES, size=(count, SIDE, SIDE))


def informed_lessons(backend: EmojiBackend, count: int = 12) -> Lessons:
    """Pictures whose neighbours are always right, which pictures of noise cannot be guessed without."""
    grids, places = random_grids(count), retrieving_positions(Context(), backend.grid)
    found = np.full((count, KINDS, backend.grid.positions, 3), NOTHING, np.int16)
    found[:, :, places] = grids.reshape(count, 1, -1, 1)[:, :, places]
    items = tuple(item(("pizza", "dog", "car")[n % 3], iconic=n % 2 == 0) for n in range(count))
    return Lessons(grids.astype(np.uint16), items, found)


@pytest.fixture(scope="module")
def captioner(backend: EmojiBackend) -> Captioner:
    return Captioner(backend.encoder, backend.transformer, TrainSettings())


def test_a_picture_and_its_family_are_never_its_neighbours(backend: EmojiBackend) -> None:
    pixels = backend.tokenizer.config.grid.height * 8
    pictures = np.random.default_rng(0).integers(0, 256, size=(4, pixels, pixels, 3)).astype(np.uint8)
    labels = ["red heart", "blue heart", "pizza", "dog"]
    grids = backend.encode_images(pictures)
    database = PatchDatabase.build(
        backend.codebook, grids, [ImageInfo(label, "3d", label, "test") for label in labels],
        captions=backend.embed_captions(labels),
    )  # fmt: skip
    made = train_faid.lessons(data.DataSet(pictures, tuple(map(item, labels))), "train", backend, database, 2)
    places = retrieving_positions(Context(), backend.grid)
    alone = database.subset([2, 3])
    queries = context_codes(Context(), grids[:1], places)[0]
    assert made.neighbours[0, 0][places].tolist() == [n.codes.tolist() for n in alone.search(queries, 2)]
    with_itself = neighbour_codes(grids[0], backend.embed_captions(labels[:1])[0], database, "3d", 2)
    assert (with_itself[0, places, 0] == grids[0].ravel()[places]).all()  # which would give everything away
    assert (np.delete(made.neighbours, places, axis=2) == NOTHING).all()


def test_pictures_that_the_transformer_never_saw_are_learned_from_but_not_judged_by() -> None:
    items = (item("a"), item("b", iconic=False), item("c", split="validation"), item("d", False, "validation"))
    dataset = data.DataSet(np.zeros((4, 2, 2, 3), np.uint8), items)
    assert [i.label for i in train_faid.pictures_of(dataset, "train")[1]] == ["a", "b"]
    assert [i.label for i in train_faid.pictures_of(dataset, "validation")[1]] == ["c"]


def test_batches_follow_from_seed_and_step_and_the_control_retrieves_nothing(
    backend: EmojiBackend, captioner: Captioner
) -> None:
    lessons = informed_lessons(backend)
    batches = Batches(lessons, captioner, Context(), SETTINGS)
    first, again, other = (batches.draw(step) for step in (3, 3, 4))
    assert torch.equal(first.inputs, again.inputs)
    assert torch.equal(first.neighbours, again.neighbours)
    assert not torch.equal(first.target, other.target)
    assert (first.neighbours != NOTHING).any()
    control = Batches(lessons, captioner, Context(), replace(SETTINGS, retrieval=0.0)).draw(3)
    assert (control.neighbours == NOTHING).all()
    assert torch.equal(control.inputs, first.inputs)


def test_the_share_of_seen_pictures_is_as_set(backend: EmojiBackend, captioner: Captioner) -> None:
    batches = Batches(informed_lessons(backend), captioner, Context(), replace(SETTINGS, seen=0.25))
    assert batches.shares[::2].sum() == pytest.approx(0.25)
    assert batches.shares.sum() == pytest.approx(1)


def test_what_a_replaced_code_would_give_away_is_not_retrieved(backend: EmojiBackend, captioner: Captioner) -> None:
    batches = Batches(informed_lessons(backend), captioner, Context(), SETTINGS)
    replaced = np.zeros((1, SIDE * SIDE), bool)
    replaced[0, 2 * SIDE + 3] = True
    below_and_right = {2 * SIDE + 4, 3 * SIDE + 2, 3 * SIDE + 3, 3 * SIDE + 4}
    assert set(np.flatnonzero(batches.misled(replaced)[0]).tolist()) == below_and_right


def test_random_neighbours_are_the_same_codes_elsewhere(backend: EmojiBackend) -> None:
    found = informed_lessons(backend).neighbours[:, 0]
    mixed = train_faid.shuffled(found)
    assert ((mixed == NOTHING) == (found == NOTHING)).all()
    assert np.array_equal(np.sort(mixed.ravel()), np.sort(found.ravel()))
    assert (mixed != found).mean() > 0.4


def test_a_few_steps_teach_the_blenders_to_use_their_neighbours(backend: EmojiBackend, captioner: Captioner) -> None:
    torch.manual_seed(0)
    lessons, model = informed_lessons(backend), backend.transformer.requires_grad_(False)
    settings = replace(SETTINGS, batch=12, learning_rate=3e-3, head_rate=3e-3)
    tuned = TunedFaid(FaidConfig(1, 1), model.config)
    batches = Batches(lessons, captioner, Context(), settings)
    optimizer = train_faid.optimizer_of(tuned, settings)
    for group in optimizer.param_groups:
        group["lr"] = group["peak"]
    for step in range(60):
        train_faid.tuned_nats(model, tuned, batches.draw(step), guided=True).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()
    found = lessons.neighbours[:, 0]
    on, random, off = (
        train_faid.side_nats(model, tuned, backend.encoder, lessons, codes)
        for codes in (found, train_faid.shuffled(found), np.full_like(found, NOTHING))
    )
    assert on < min(random, off) - 0.1


def test_an_interrupted_run_goes_on_as_if_nothing_had_happened(
    backend: EmojiBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lessons = informed_lessons(backend)
    sides = {"train": lessons, "validation": lessons, "pair": lessons}
    before = {name: value.clone() for name, value in backend.transformer.state_dict().items()}
    whole = train_faid.train(sides, backend, Context(), tmp_path / "whole", SETTINGS).state_dict()
    save = loop.save_state

    def save_then_stop(folder: Path, stamp: loop.Stamp, state: dict[str, object]) -> None:
        save(folder, stamp, state)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop, "save_state", save_then_stop)
        with pytest.raises(KeyboardInterrupt):
            train_faid.train(sides, backend, Context(), tmp_path / "cut", SETTINGS)
    resumed = train_faid.train(sides, backend, Context(), tmp_path / "cut", SETTINGS).state_dict()
    for name, value in whole.items():
        # sums in bf16 vary a little, which the optimizer blows up where gradients are tiny; a step moves 1e-5 or more
        assert float((resumed[name] - value).abs().mean()) < 5e-6, name
    with pytest.raises(ConfigError, match="side 'everything', expected side 'novice'"):
        train_faid.train(sides, backend, Context(), tmp_path / "cut", SETTINGS, novice=True)
    with pytest.raises(ConfigError, match=r"retrieval 0\.9, expected retrieval 0\.0"):
        train_faid.train(sides, backend, Context(), tmp_path / "cut", replace(SETTINGS, retrieval=0.0))
    with pytest.raises(ConfigError, match="got a run with data"):
        train_faid.train(sides, backend, Context(2, "zero"), tmp_path / "cut", SETTINGS)
    with pytest.raises(ConfigError, match="got a run with start"):
        train_faid.train(sides, replace(backend, mixed_up={}), Context(), tmp_path / "cut", SETTINGS)
    assert all(torch.equal(value, before[name]) for name, value in backend.transformer.state_dict().items())
