"""Which prompts are judged, and how pictures are generated for it."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from core.backends.emoji.backend import EmojiBackend
from core.contact_sheet import wrapped
from core.engine import decode
from core.evaluation import identify
from core.evaluation.identify import Subject
from core.patches.database import PatchDatabase
from core.patches.protocol import ImageInfo
from core.types import ConfigError, DecodeSettings
from tests.tiny import CODES, SIDE, tiny_database

SUBJECTS = [Subject(f"concept {n}", style) for n in range(60) for style in ("3d", "flat")]


def test_prompts_name_colour_concept_and_style() -> None:
    assert Subject("red apple", "3d").prompt == "red apple, 3d style"
    assert Subject("red apple", "3d", "teal").prompt == "teal apple, 3d style"


def test_a_draw_is_the_same_at_every_call_and_even_over_styles() -> None:
    chosen = identify.drawn(SUBJECTS, 40)
    assert chosen == identify.drawn(SUBJECTS, 40)
    assert Counter(subject.style for subject in chosen) == {"3d": 20, "flat": 20}
    assert len(set(chosen)) == 40


def test_settings_are_not_chosen_on_what_judges_them() -> None:
    tuning = {subject.concept for subject in SUBJECTS if identify.for_tuning(subject.concept)}
    assert 5 < len(tuning) < 25


def test_subjects_are_those_of_the_view(backend: EmojiBackend) -> None:
    database = tiny_database(backend)
    everything = identify.subjects_of(database, True) + identify.subjects_of(database, False)
    assert len(everything) == len(database.images)
    view = database.with_styles(["flat"])
    assert {s.style for s in identify.subjects_of(view, True) + identify.subjects_of(view, False)} == {"flat"}


def test_generated_pictures_equal_single_runs(backend: EmojiBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identify, "ROWS", 2)
    subjects, settings = [Subject(word, "3d") for word in ("pizza", "heart", "dog")], DecodeSettings(method="model")
    sample = identify.generate(backend, None, subjects, settings, 2)
    assert [subject.concept for subject in sample.subjects] == ["pizza", "heart", "dog"] * 2
    alone = decode(backend, None, ["dog, 3d style"], DecodeSettings(method="model", seed=2))
    assert sample.grids[2].ravel().tolist() == [step[0].code for step in alone]
    assert not np.array_equal(sample.grids[2], sample.grids[5])
    assert len(sample.pictures) == 6


def test_a_database_without_pictures_is_a_clear_error(backend: EmojiBackend) -> None:
    with pytest.raises(ConfigError, match="has no picture"):
        identify.opened(tiny_database(backend), 0)


def test_a_view_without_what_another_database_holds(backend: EmojiBackend) -> None:
    database = tiny_database(backend)
    flat = database.with_styles(["flat"])
    rest = database.without(flat)
    assert rest.styles == ("3d",)
    assert sorted([*rest.images, *flat.images]) == list(range(len(database.images)))
    assert len(database.without(database).images) == 0


def test_captions_of_a_sheet_take_two_lines_at_most() -> None:
    assert wrapped("pizza, 3d", 17) == "pizza, 3d"
    assert wrapped("smiling face with heart-eyes, twemoji", 17) == "smiling face with\nheart-eyes,"
    assert max(map(len, wrapped("x" * 99, 17).split("\n"))) == 17


def test_the_style_is_that_of_the_own_picture_that_shares_most_codes(backend: EmojiBackend) -> None:
    grids = np.arange(4 * SIDE * SIDE).reshape(4, SIDE, SIDE) % CODES
    infos = [ImageInfo("pizza", "3d", "a", "x"), ImageInfo("pizza", "flat", "b", "x"), ImageInfo("dog", "3d", "c", "x")]
    grids[1, 0, 0] = grids[0, 0, 0]
    database = PatchDatabase.build(backend.codebook, grids[:3], infos)
    mostly_flat = np.where(np.arange(SIDE)[None, :, None] < 2, grids[:1], grids[1:2])
    drawn = np.concatenate([grids[:1], mostly_flat, mostly_flat, grids[2:3]]).astype(np.uint16)
    subjects = (Subject("pizza", "3d"), Subject("pizza", "flat"), Subject("pizza", "3d"), Subject("dog", "3d"))
    sample = identify.Sample(subjects, np.zeros((4, 1, 1, 3), np.uint8), drawn)
    assert identify.style_by_codes(database, sample) == 3 / 4
