"""What codes look like: in place as the decoder makes it, elsewhere as the mean of real pictures."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from app import looks
from app.looks import Looks, in_place, looks_of, places_of
from app.pictures import ATLAS_COLUMNS
from app.session import Session
from app.views import step_arrays
from core.backends import load_backend
from core.backends.protocol import Backend
from core.patches.catalogue import open_database
from core.trace import Trace
from core.types import DecodeSettings
from tests.app.asking import asked, last
from tests.app.fake import FakeBackend, fake_database
from tests.app.stocked import stock
from tests.app.test_views import unpack
from tests.closeness import assert_close


@pytest.fixture(scope="module")
def session() -> Session:
    """One whose pictures have 256 patches."""
    return Session.over(stock(side=16))


@pytest.fixture(scope="module")
def emoji() -> Backend:
    return load_backend("emoji")


def test_a_look_is_the_mean_of_the_patches_of_a_code() -> None:
    backend = FakeBackend()
    database = fake_database(backend, images=3)
    found = looks_of(backend, database)
    side = found.patches.shape[1]
    pictures = [looks._opened(database.picture(int(i)), backend.grid, side) for i in database.images]
    codes = np.concatenate([database.image_codes(int(i)).ravel() for i in database.images])
    cells = np.concatenate([looks.cells_of(picture, side) for picture in pictures if picture is not None])
    assert (np.flatnonzero(found.seen) == np.unique(codes)).all()
    for code in np.unique(codes)[:5]:
        assert np.abs(found.patches[code] - cells[codes == code].mean(axis=0)).max() <= 0.5


def test_the_atlas_has_every_code_at_its_number_and_marks_those_that_are_no_mean() -> None:
    patches = np.arange(40, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), np.uint8)
    with Image.open(io.BytesIO(Looks(patches, np.arange(40) != 33).encoded())) as image:
        atlas = np.asarray(image.convert("RGB")).astype(int)
    assert atlas.shape == (2 * 4, 4 * ATLAS_COLUMNS, 3)
    assert abs(atlas[1:3, 4 * 7 + 1 : 4 * 7 + 3] - 7).max() < 12  # but for the file's loss
    assert atlas[4:8, 4:8].max() > 60 > atlas[4:8, 8:12].max()


def test_a_patch_in_place_is_what_the_decoder_makes_there(emoji: Backend) -> None:
    database = open_database("emoji", emoji)
    grid = database.image_codes(int(database.images[100]))
    codes = np.unique(grid)
    wanted = [(position, int(codes[position % len(codes)])) for position in range(5, 256, 25)]
    exact = in_place(emoji.decode_codes, grid, wanted).astype(float)
    swapped = grid.copy().reshape(-1)
    swapped[wanted[3][0]] = wanted[3][1]
    picture = emoji.decode_codes(swapped.reshape(1, 16, 16))[0]
    assert_close(exact[3], looks.cells_of(picture, 8)[wanted[3][0]].astype(float))
    near = in_place(emoji.decode_codes, grid, wanted, reach=2).astype(float)
    assert np.median(np.abs(near - exact).mean(axis=(1, 2, 3))) < 4
    own = [(position, int(grid.reshape(-1)[position])) for position in range(0, 256, 30)]
    whole = looks.cells_of(emoji.decode_codes(grid[None])[0], 8)
    assert (in_place(emoji.decode_codes, grid, own, reach=2) == whole[::30]).all()  # the code that is there: exact


def test_nothing_wanted_is_nothing_made() -> None:
    assert len(in_place(FakeBackend().decode_codes, np.zeros((16, 16), np.uint16), [])) == 0


def test_a_run_has_the_patches_of_what_it_changed(traced: Trace) -> None:
    backend, arrays = FakeBackend(), step_arrays(traced)
    places = places_of(traced, arrays, backend.decode_codes, seconds=60.0)  # on a busy machine, too
    flips = np.flatnonzero(arrays["pick"] != arrays["without"])
    assert len(flips) > 0
    assert np.isfinite(places.seen[flips]).all()
    assert np.isnan(np.delete(places.seen, flips)).all()
    position = int(flips[np.nanargmax(places.seen[flips])])
    codes = traced.codes.astype(np.uint16).reshape(16, 16)
    for name in ("pick", "without"):
        number = places.index[position, arrays["top_code"][position] == arrays[name][position]][0]
        exact = in_place(backend.decode_codes, codes, [(position, int(arrays[name][position]))])[0]
        assert (places.patches[number] == exact).all()


def test_what_takes_too_long_is_left_out(traced: Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "AT_ONCE", 1)
    places = places_of(traced, step_arrays(traced), FakeBackend().decode_codes, seconds=0.0)
    assert len(places.patches) == 1
    assert (places.index >= 0).sum() == 1


def test_the_stepper_gets_them(session: Session) -> None:
    update = last(session.drawing.draw("una", "a disc", lambda: asked(DecodeSettings(retrieval_weight=0.8, gate=0.0))))
    header, arrays = unpack(update.file)
    start = header["summary"]["start"]
    assert arrays["pick"][start] != arrays["without"][start]
    assert (arrays["in_place"].reshape(256, -1)[start] >= 0).sum() >= 2
    assert header["blobs"]["patches"][1] > 0
