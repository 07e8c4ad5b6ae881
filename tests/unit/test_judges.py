"""The judges on pictures that are made so that the right answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from core.evaluation.judges import (
    Classifier,
    Gallery,
    Pictures,
    codes_used,
    copied_share,
    gradients,
    layout,
    palette,
    roughened,
    shrunk,
    surface,
    texture,
)

WHITE, RED, BLUE = (255, 255, 255), (220, 30, 30), (30, 30, 220)


def picture(shape: str, colour: tuple[int, int, int], shift: int = 0) -> Pictures:
    """[128, 128, 3]: a disc, square, bar or ring on white."""
    rows, columns = np.mgrid[:128, :128] - 64 - shift
    radius = np.hypot(rows, columns)
    inside = {
        "disc": radius < 40,
        "square": np.maximum(abs(rows), abs(columns)) < 36,
        "bar": (abs(rows) < 12) & (abs(columns) < 56),
        "ring": (radius < 44) & (radius > 26),
    }[shape]
    return np.where(inside[..., None], np.array(colour, np.uint8), np.uint8(255)).astype(np.uint8)


SHAPES = ("disc", "square", "bar", "ring")


@pytest.fixture(scope="module")
def gallery() -> Gallery:
    pictures = np.stack([picture(shape, colour) for colour in (RED, BLUE) for shape in SHAPES])
    return Gallery.of(pictures, SHAPES * 2, ["red"] * 4 + ["blue"] * 4)


def test_shrinking_takes_means_of_squares() -> None:
    values = np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1)
    assert shrunk(values, 2)[0, :, :, 0].tolist() == [[2.5, 4.5], [10.5, 12.5]]


def test_features_of_a_white_picture_are_empty() -> None:
    white = np.full((1, 128, 128, 3), 255, np.uint8)
    assert not layout(white).any()
    assert not gradients(white).any()
    assert palette(white)[0, -1] == 1
    assert palette(white).sum() == 1
    assert texture(white).reshape(6, 9)[:, 0].tolist() == [1.0] * 6  # everything is flat


def test_gradients_tell_upright_from_level_edges() -> None:
    upright = np.full((1, 128, 128, 3), 255, np.uint8)
    upright[:, :, 64:] = 0
    first = gradients(upright).reshape(8, 8, 8).sum(axis=(0, 1))
    level = gradients(upright.transpose(0, 2, 1, 3)).reshape(8, 8, 8).sum(axis=(0, 1))
    assert first.argmax() == 0  # the direction of change is across
    assert level.argmax() == 4  # a right angle is half of the eight orientations away


def test_moved_shapes_are_still_taken_for_themselves(gallery: Gallery) -> None:
    moved = np.stack([picture(shape, RED, shift=3) for shape in SHAPES])
    assert gallery.ranks(moved, SHAPES, ["red"] * 4).tolist() == [1, 1, 1, 1]


def test_a_gallery_without_the_own_style_does_not_reward_copies(gallery: Gallery) -> None:
    # a red disc that is called a bar: the red disc is left out, the blue one is not
    ranks = gallery.ranks(picture("disc", RED)[None], ["bar"], ["red"])
    assert ranks[0] > 1
    assert gallery.ranks(picture("disc", RED)[None], ["disc"], None).tolist() == [1]


def test_guessing_has_the_mean_reciprocal_rank_of_a_harmonic_sum(gallery: Gallery) -> None:
    assert gallery.random_mrr() == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 4) / 4)


def test_a_classifier_learns_what_can_be_told_and_not_what_cannot() -> None:
    rng = np.random.default_rng(0)
    labels = ["a", "b"] * 100
    told = np.where(np.array(labels) == "a", 1.0, -1.0)[:, None]
    rows = (told * [2, 0] + rng.normal(size=(200, 2))).astype(np.float32)
    learned = Classifier.learn(rows[:150], labels[:150])
    assert learned.accuracy(rows[150:], labels[150:]) > 0.9
    blind = Classifier.learn(rows[:150, 1:], labels[:150])
    assert 0.3 < blind.accuracy(rows[150:, 1:], labels[150:]) < 0.7


def test_a_style_shows_in_the_surface() -> None:
    rng = np.random.default_rng(0)
    flat = np.stack([picture(shape, RED) for shape in SHAPES * 3])
    rough = np.clip(flat.astype(np.int64) + rng.integers(-40, 40, flat.shape), 0, 255).astype(np.uint8)
    rows = surface(np.concatenate([flat, rough]))
    labels = ["flat"] * 12 + ["rough"] * 12
    learned = Classifier.learn(rows[::2], labels[::2])
    assert learned.accuracy(rows[1::2], labels[1::2]) == 1


def test_copied_share_is_that_of_the_nearest_source() -> None:
    sources = np.array([[[1, 2], [3, 4]], [[5, 6], [7, 8]]])
    grids = np.array([[[5, 6], [7, 0]], [[1, 1], [1, 1]], [[9, 9], [9, 9]]])
    assert copied_share(grids, sources).tolist() == [0.75, 0.25, 0.0]


def test_codes_are_counted_as_roots_of_their_shares() -> None:
    grids = np.array([[[0, 0], [0, 2]], [[1, 1], [1, 1]]], np.uint16)
    assert codes_used(grids, 3).tolist() == [pytest.approx([0.75**0.5, 0, 0.5]), [0, 1, 0]]


def test_roughening_replaces_a_share_of_the_codes_by_similar_ones() -> None:
    angles = np.linspace(0, 2 * np.pi, 100, endpoint=False)
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    grids = np.full((20, 16, 16), 50, np.uint16)
    rough = roughened(grids, vectors, 0.25, np.random.default_rng(0))
    changed = rough[rough != 50].astype(int)
    assert len(changed) / rough.size == pytest.approx(0.25, abs=0.02)
    assert set(changed.tolist()) == {*range(44, 50), *range(51, 57)}  # the twelve nearest directions
    assert (grids == 50).all()
