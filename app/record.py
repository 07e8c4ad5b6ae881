"""Record what the page shows before any model runs: python -m app.record (under a minute).

Draws the example set of pixel art and the pictures that show what it does, and the run of the guided tour with its
words. To be run again whenever the model, its tokenizer, the database or the way of drawing has changed; the pictures
of the first example are drawn by core.evaluation.sheets.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np

from app import own, packing, pictures
from app.examples import FOLDER as EXAMPLES
from app.examples import Tile, examples
from app.tabs.learn.recording import FOLDER, TOUR_ID, Recording, stops_of
from app.views import Asked
from core import threads
from core.backends import load_backend
from core.backends.protocol import Backend
from core.engine import decode
from core.patches.catalogue import open_database
from core.patches.database import PatchDatabase
from core.trace import Trace
from core.training.draw_sprites import draw_sprites
from core.types import DecodeSettings

PROMPT = "a red apple, 3d style"
SETTINGS = DecodeSettings(seed=7, retrieval_weight=0.35, gate=0.5, n_neighbours=64, caption_filter=32)


def record_tour(backend: Backend, database: PatchDatabase) -> Recording:
    """The run of the tour, over the blenders as well where the model has some."""
    settings = replace(SETTINGS, method="faid+daid", record_unblended=True) if backend.faid else SETTINGS
    steps = [step[0] for step in decode(backend, database, [PROMPT], settings)]
    trace = Trace.record(backend, database, PROMPT, settings, steps)
    codes = trace.codes.astype(np.uint16).reshape(trace.grid.height, trace.grid.width)
    drawn = pictures.encoded(backend.decode_codes(codes[None])[0])
    sources = packing.Pictures(drawn, database.picture, lambda image: pictures.thumbnail_of(database, image))
    seconds = trace.seconds
    asked = Asked("emoji", "emoji", settings)
    packed = packing.pack_trace(trace, TOUR_ID, sources, seconds.model + seconds.search + seconds.blend, asked)
    return Recording(PROMPT, trace.grid, len(trace.steps), packed, pictures.atlas_of(backend), stops_of(trace))


def record_tile(tile: Tile, backend: Backend, database: PatchDatabase) -> None:
    """The picture of a tile."""
    settings = tile.asked.settings
    used = database if settings.retrieves else None
    codes = [step[0].code for step in decode(backend, used, [tile.prompt], settings)]
    grid = np.array(codes, np.uint16).reshape(1, backend.grid.height, backend.grid.width)
    tile.picture.write_bytes(pictures.encoded(backend.decode_codes(grid)[0]))


def taken(backend: Backend) -> PatchDatabase:
    """The example set as a visitor's pictures."""
    *_, brought = own.read_pictures(examples().brought, backend.pixels)
    assert isinstance(brought, own.Brought)
    *_, grids = own.encode(backend, brought.images)
    assert not isinstance(grids, own.Progress)
    return own.databases_of(backend, brought, grids, None)[own.YOURS]


def main() -> None:
    """Command line."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    threads.pin()
    draw_sprites(EXAMPLES / "pixels")
    backend = load_backend("emoji")
    record_tour(backend, open_database("emoji", backend)).save(FOLDER)
    yours = taken(backend)
    for tile in examples().own:
        record_tile(tile, backend, yours)


if __name__ == "__main__":
    main()
