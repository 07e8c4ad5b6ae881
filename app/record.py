"""Record what the page shows before any model runs: python -m app.record (under a minute).

Draws the example set of pixel art and the pictures that show what it does, the run of the guided tour with its words,
and what the first screen shows. To be run again whenever the model, its tokenizer, the database or the way of drawing
has changed; the pictures of the examples are drawn by core.evaluation.sheets.
"""

from __future__ import annotations

import argparse

import numpy as np

from app import own, packing, pictures
from app.examples import FOLDER as EXAMPLES
from app.examples import Tile, examples
from app.looks import looks_of
from app.stage import recording
from app.tabs.learn.recording import FOLDER, TOUR_ID, Recording, stops_of
from core import threads
from core.backends import load_backend
from core.backends.protocol import Backend
from core.engine import decode
from core.patches.catalogue import open_database
from core.patches.database import PatchDatabase
from core.trace import Trace
from core.training.draw_sprites import draw_sprites


def record_tour(tile: Tile, backend: Backend, database: PatchDatabase) -> Recording:
    """The run of the tour: the one of a tile."""
    asked, prompt = tile.asked, tile.prompt
    steps = [step[0] for step in decode(backend, database, [prompt], asked.settings)]
    trace = Trace.record(backend, database, prompt, asked.settings, steps)
    codes = trace.codes.astype(np.uint16).reshape(trace.grid.height, trace.grid.width)
    drawn = pictures.encoded(backend.decode_codes(codes[None])[0])
    sources = packing.Pictures(drawn, database.picture, lambda image: pictures.thumbnail_of(database, image),
                               backend.decode_codes, getattr(backend, "reach", None))  # fmt: skip
    seconds = trace.seconds
    packed = packing.pack_trace(trace, TOUR_ID, sources, seconds.model + seconds.search + seconds.blend, asked)
    told = packing.header_of(packed)["summary"]
    stops = stops_of(trace, told["start"], told["share"])
    return Recording(prompt, trace.grid, len(trace.steps), packed, looks_of(backend, database).encoded(), stops)


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
    return own.database_of(backend, brought, grids)


def main() -> None:
    """Command line."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    threads.pin()
    draw_sprites(EXAMPLES / "pixels")
    tile = examples().swap[-1]
    novice = load_backend(tile.asked.model)
    unseen = open_database(tile.asked.database, novice)
    record_tour(tile, novice, unseen).save(FOLDER)
    recording.save(recording.record(novice, unseen))
    backend = load_backend("emoji")
    yours = taken(backend)
    for tile in examples().own:
        record_tile(tile, backend, yours)


if __name__ == "__main__":
    main()
