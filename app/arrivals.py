"""Traces that come from outside: read within limits, and told where they come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from app import packing, pictures
from app.costs import MOST_FOUND
from app.pictures import RGB
from app.views import Asked, notice_of, sentences
from core.backends.protocol import Backend
from core.patches.protocol import Database
from core.trace import Trace, neighbours
from core.types import ArragError, CodeArray, Grid, TraceError

MAX_FILE_BYTES, MAX_UNPACKED = 32 * 2**20, 128 * 2**20
MAX_SIDE, MAX_CODES, MAX_SOURCES = 64, 32768, 5000
"""Most rows and columns, codes of a codebook, and source images of a trace that the page shows."""
MAX_SHARES = 4_000_000
"""Of every source at every position: what an opened trace may ask for when its sources are counted."""

MOST_DECODED = 64
"""Sources of a trace whose pictures are decoded for one view, each with a pass of the decoder; the others are grey."""

PLAIN_SIDE = 8
ELSEWHERE = "another database"


@dataclass(frozen=True, slots=True)
class PlainColours:
    """Stands in for a tokenizer that is not here: every code has a colour of its own, which means nothing else."""

    size: int
    grid: Grid
    reach = 0

    def decode_codes(self, grids: CodeArray) -> RGB:
        """Plain squares [N, 8 H, 8 W, 3] of token grids [N, H, W]."""
        colours = np.random.default_rng(0).integers(40, 226, (self.size, 3)).astype(np.uint8)
        picture: RGB = colours[grids].repeat(PLAIN_SIDE, axis=1).repeat(PLAIN_SIDE, axis=2)
        return picture

    def atlas(self) -> bytes:
        """The squares of all codes as one encoded picture."""
        squares = self.decode_codes(np.arange(self.size, dtype=np.uint16)[:, None, None])
        return pictures.encoded(pictures.table_of(squares))


def decoder_of(trace: Trace, backends: Mapping[str, Backend]) -> Backend | PlainColours:
    """Whatever makes pictures of a trace's codes: a model with its codebook, or plain colours without one."""
    for backend in backends.values():
        if backend.codebook.fingerprint == trace.origin.codebook and backend.grid == trace.grid:
            return backend
    return PlainColours(trace.origin.codes, trace.grid)


def database_of(trace: Trace, databases: Mapping[str, Database]) -> str | None:
    """The name of the database that a trace looked into, None when it is not here."""
    wanted = trace.origin.database
    return next((name for name, database in databases.items() if database.fingerprint == wanted), None)


def holds(database: Database, trace: Trace) -> bool:
    """Whether a database has all source pictures of a trace under their numbers, looked up in the same way."""
    if database.context != trace.origin.context or not np.isin(list(trace.sources), database.images).all():
        return False
    return all(np.array_equal(database.image_codes(image), source.codes) for image, source in trace.sources.items())


def source_pictures(
    trace: Trace,
    drawn: bytes,
    decoder: Backend | PlainColours,
    database: Database | None,
    thumbnail: Callable[[int], RGB | None] | None = None,
    most: int = MOST_DECODED,
) -> packing.Pictures:
    """Where the pictures of a trace's sources are: in the database it looked into, or else in their codes.

    thumbnail: remembers small pictures of that database, if something does; most: as in `decoded_sources`.
    """
    if database is None or not holds(database, trace):
        return decoded_sources(trace, drawn, decoder, most)
    small = thumbnail or partial(pictures.thumbnail_of, database)
    return packing.Pictures(drawn, database.picture, small, decoder.decode_codes, getattr(decoder, "reach", None))


def decoded_sources(
    trace: Trace, drawn: bytes, decoder: Backend | PlainColours, most: int = MOST_DECODED
) -> packing.Pictures:
    """Pictures of a trace's sources from their token grids, for a database that is not here.

    The first `most` that are asked for have one; packing asks for those that count most first.
    """
    made: dict[int, bytes] = {}

    def source(image: int) -> bytes | None:
        if image not in made and len(made) < most:
            made[image] = pictures.encoded(decoder.decode_codes(trace.sources[image].codes[None])[0], quality=75)
        return made.get(image)

    def thumbnail(image: int) -> RGB | None:
        picture = source(image)
        return pictures.thumbnail(picture) if picture else None

    return packing.Pictures(drawn, source, thumbnail, decoder.decode_codes, getattr(decoder, "reach", None))


def read_trace(path: Path) -> Trace:
    """A trace of a stranger; TraceError in one line for whatever else the file is."""
    name = path.name
    if (size := path.stat().st_size) > MAX_FILE_BYTES:
        raise TraceError(f"{name}: got {size >> 20} MB, expected at most {MAX_FILE_BYTES >> 20}; choose another file")
    try:
        trace = Trace.load(path, MAX_UNPACKED)
    except ArragError:
        raise
    except Exception as error:  # zip, deflate, npy and JSON have many ways to be damaged
        raise TraceError(f"{name}: not a trace, or damaged ({type(error).__name__}); choose another file") from None
    grid, codes, sources = trace.grid, trace.origin.codes, len(trace.sources)
    if max(grid.height, grid.width) > MAX_SIDE or codes > MAX_CODES or sources > MAX_SOURCES:
        got = f"got {grid.height} x {grid.width} positions, {codes} codes and {sources} sources"
        limits = f"{MAX_SIDE} x {MAX_SIDE}, {MAX_CODES} and {MAX_SOURCES}"
        raise TraceError(f"{name}: {got}, expected at most {limits}; read it with Trace.load instead")
    if (shares := len(trace.steps) * sources) > MAX_SHARES:
        got = f"got {len(trace.steps)} positions with {sources} sources, which is {shares} shares"
        raise TraceError(f"{name}: {got}, expected {MAX_SHARES} at most; read it with Trace.load instead")
    if (found := sum(len(near) for step in trace.steps if (near := neighbours(step)))) > MOST_FOUND:
        got = f"got {found:,} neighbours"
        raise TraceError(f"{name}: {got}, expected {MOST_FOUND:,} at most; read it with Trace.load instead")
    return trace


def asked_of(trace: Trace, backends: Mapping[str, Backend], databases: Mapping[str, Database]) -> Asked:
    """The model and database of a trace by their names here; others get a name that cannot be chosen."""
    origin = trace.origin
    here = [name for name, backend in backends.items() if backend.fingerprint == origin.model]
    other = "another model" if trace.rule == "gumbel" else "of an older version"
    model = here[0] if here else f"{origin.backend} ({other})"
    database = database_of(trace, databases) or (ELSEWHERE if origin.database else next(iter(databases), ""))
    return Asked(model, database, trace.settings)


def arrival_message(
    name: str,
    trace: Trace,
    backends: Mapping[str, Backend],
    databases: Mapping[str, Database],
    most: int = MOST_DECODED,
) -> str:
    """What a visitor has to know of a trace that was opened from a file; most: as in `decoded_sources`."""
    asked, origin = asked_of(trace, backends, databases), trace.origin
    notes = [f"Opened from {name}."]
    if trace.rule != "gumbel":  # fingerprints covered less then
        notes.append(
            "It comes from an older version, which drew by another rule; whether its model and database are those "
            f"here cannot be told, so {_decoded_words(most)}"
        )
    elif asked.model not in backends:
        notes.append(f"It was made by another model than those here ({origin.backend}, weights {origin.model}).")
    if trace.rule == "gumbel" and origin.database and database_of(trace, databases) is None:
        notes.append(f"Its database is not here: {_decoded_words(most)}")
        if (count := len(trace.sources)) > most > 0:
            notes.append(f"Of its {count} sources, {most} have a picture.")
    if isinstance(decoder_of(trace, backends), PlainColours):
        notes.append("No model here has its codebook: every code is a square of one colour instead of a patch.")
    if not trace.complete:
        notes.append(f"It has {len(trace.steps)} of {trace.grid.positions} patches.")
    return sentences(*notes, notice_of(trace))


def _decoded_words(most: int) -> str:
    """Which pictures the sources of a trace have whose database is not here."""
    if most:
        return "the pictures of its sources are decoded from their codes."
    return "its sources have no pictures, as decoding them from their codes would take minutes."


def check_sources(trace: Trace, databases: Mapping[str, Database]) -> None:
    """TraceError when a trace claims a database that is here, but not its pictures."""
    name = database_of(trace, databases)
    if name is not None and not holds(databases[name], trace):
        raise TraceError(f"sources: got other pictures than the database {name!r} has; the file was changed")
