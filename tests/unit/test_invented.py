"""Invented art styles: what they change, and that a database of one is news."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.backends.emoji.backend import EmojiBackend
from core.context import Context
from core.training import data, train_faid
from core.training.invented import STYLES, redrawn
from tests.tiny import CODES

PLAIN = "as it is", "as they are", "as they are"


def picture(size: int = 16) -> data.Pictures:
    """A red square in the upper left of white paper."""
    pixels = np.full((1, size, size, 3), 255, np.uint8)
    pixels[0, 2:6, 2:6] = (200, 30, 40)
    return pixels


def test_a_style_changes_shape_colour_and_surface_as_its_name_says() -> None:
    original = picture()
    assert np.array_equal(redrawn(original, PLAIN), original)
    assert np.array_equal(redrawn(original, ("upside down", *PLAIN[1:])), original[:, ::-1])
    assert np.array_equal(redrawn(original, ("on its side", *PLAIN[1:])), np.rot90(original, axes=(1, 2)))
    assert np.array_equal(redrawn(original, ("as it is", "negative", "as they are")), 255 - original)
    assert tuple(redrawn(original, ("as it is", "green, blue, red", "as they are"))[0, 3, 3]) == (30, 40, 200)
    assert tuple(redrawn(original, ("as it is", "navy on cream", "as they are"))[0, 0, 0]) == (255, 245, 220)
    assert len(np.unique(redrawn(original, ("as it is", "as they are", "mosaic")).reshape(-1, 3), axis=0)) <= 4


@pytest.mark.parametrize("style", STYLES)
def test_every_style_makes_other_pictures_of_the_same_size(style: tuple[str, str, str]) -> None:
    original = picture()
    made = redrawn(original, style)
    assert made.shape == original.shape
    assert made.dtype == np.uint8
    assert not np.array_equal(made, original)


def test_the_novice_learns_from_invented_styles_without_what_it_must_not_see(backend: EmojiBackend) -> None:
    pixels = backend.tokenizer.config.grid.height * 8
    labels = ["pizza", "dog", "car", "red heart", "blue heart", "cactus"]
    items = [
        data.Item(label, style, label, (), label != "car", "train")
        for style in ("3d", "noto", "twemoji", "flat")
        for label in labels
    ]
    pictures = np.random.default_rng(0).integers(0, 256, size=(len(items), pixels, pixels, 3)).astype(np.uint8)
    dataset = data.DataSet(pictures, tuple(items))
    invented = train_faid.invented_styles(dataset)
    assert [style.style for style in invented] == list(train_faid.INVENTED)
    assert len(set(train_faid.INVENTED)) == len(invented) < len(STYLES)
    for style in invented:
        names = {(items[n].label, items[n].style) for n in (*style.database, *style.lessons)}
        assert not any(data.is_unseen(*name) for name in names)
        assert len({name[1] for name in names}) == 1
        assert {items[n].label for n in style.database} == {"pizza", "dog", "red heart", "blue heart"}
        assert {items[n].label for n in style.lessons} == {"pizza", "dog", "car", "red heart", "blue heart"}
    lessons = train_faid.invented_lessons(dataset, backend, Context(radius=2, border="zero"), 3)
    assert {item.style for item in lessons.items} == {data.UNSEEN_STYLE}
    assert not any(item.iconic for item in lessons.items)
    assert lessons.neighbours.shape[0] == sum(len(style.lessons) for style in invented)
    found = lessons.neighbours[lessons.neighbours != train_faid.NOTHING]
    assert found.size
    assert found.max() < CODES


def test_lessons_are_joined_in_order(backend: EmojiBackend) -> None:
    one = train_faid.Lessons(
        np.zeros((1, 2, 2), np.uint16), (data.Item("a", "3d", "a", (), True, "train"),), np.ones((1, 3, 4, 2), np.int16)
    )
    other = replace(one, grids=one.grids + 1)
    both = train_faid.joined([one, other])
    assert both.grids[:, 0, 0].tolist() == [0, 1]
    assert len(both.items) == len(both.neighbours) == 2
