"""The example set: every sprite is a square of known colours, and the files are what the text draws."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from core.training.draw_sprites import INKS, OUT, SPRITES, read_sprites
from core.types import ConfigError

ROWS = "\n".join(["K......."] * 16)


def test_rows_of_eight_are_mirrored_and_squares_are_eight_pixels() -> None:
    picture = read_sprites(f"# palette\n\nbar\n{ROWS}")["bar"]
    assert picture.shape == (128, 128, 3)
    dark = tuple(bytes.fromhex(INKS["K"][1:]))
    assert (picture[:, :8] == dark).all()
    assert (picture[:, -8:] == dark).all()
    assert (picture[:, 8:-8] == 255).all()


@pytest.mark.parametrize("rows", [ROWS.replace("K", "?"), ROWS[:-9], ROWS + "....."])
def test_a_sprite_that_is_no_square_is_an_error(rows: str) -> None:
    with pytest.raises(ConfigError, match="sprite 'bar'"):
        read_sprites(f"bar\n{rows}")


def test_the_files_are_what_the_text_draws() -> None:
    sprites = read_sprites(SPRITES.read_text(encoding="utf-8"))
    assert len(sprites) == 24
    for name, picture in sprites.items():
        with Image.open(OUT / f"{name.replace(' ', '-')}.png") as image:
            assert np.array_equal(np.asarray(image.convert("RGB")), picture)
