"""A trace in a notebook: the page that replays it, in a frame. Alone in a cell, a trace shows itself so."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

from app import arrivals, packing, pictures
from app.branches import Plan
from app.files import page_file
from app.looks import Looks, looks_of
from app.painting import Painting
from core.backends import EMBEDDED, load_backend
from core.backends.complete import complete
from core.backends.protocol import Backend, SmallBackend
from core.patches.catalogue import DATABASES, open_database
from core.patches.protocol import Database
from core.trace import Trace

HEIGHT = 900
FRAME = '<iframe srcdoc="{page}" sandbox="allow-scripts" style="width: 100%; height: {height}px; border: 0"></iframe>'


@dataclass(frozen=True, slots=True)
class Shown:
    """What a notebook displays of a trace."""

    page: bytes

    def _repr_html_(self) -> str:
        """The page in a frame, which can reach nothing outside of itself."""
        return FRAME.format(page=html.escape(self.page.decode("utf-8")), height=HEIGHT)


def show(trace: Trace, backend: SmallBackend | None = None, database: Database | None = None) -> Shown:
    """The trace, for the last line of a cell.

    backend, database: those that it was made with; None finds those that ship. Without the model codes are squares of
    plain colours, without the database the pictures of the sources are decoded from their codes.
    """
    backends = embedded(trace.origin.backend) if backend is None else {trace.origin.backend: complete(backend)}
    databases = shipped(trace.origin.backend) if database is None else {"database": database}
    decoder, asked = arrivals.decoder_of(trace, backends), arrivals.asked_of(trace, backends, databases)
    codes = pictures.continued_grid(trace.codes.tolist(), trace.grid)
    seconds = trace.seconds.model + trace.seconds.search + trace.seconds.blend
    painting, found = Painting(), databases.get(asked.database)
    kept = Plan(trace.prompt, asked).finished(trace, pictures.encoded(painting.picture(decoder, codes)), seconds)
    quick = painting.is_quick(decoder)
    images = arrivals.source_pictures(
        trace, kept.picture, decoder, found, most=arrivals.MOST_DECODED if quick else 0
    )  # fmt: skip
    images = images if quick else replace(images, decode=None)
    if isinstance(decoder, arrivals.PlainColours):
        atlas = decoder.atlas()
    else:
        side = decoder.pixels // decoder.grid.width
        others = None if quick else Looks.unknown(decoder.codebook.size, side)
        atlas = looks_of(decoder, found, others).encoded()
    packed = packing.pack_trace(trace, kept.id, images, seconds, asked)
    return Shown(page_file(kept, packed, atlas)[1])


@cache
def embedded(name: str) -> Mapping[str, Backend]:
    """The model of that name, if it is one that ships."""
    return {name: load_backend(name)} if name in EMBEDDED else {}


@cache
def shipped(name: str) -> Mapping[str, Database]:
    """The databases that ship, for a model of that name, if it is one that ships."""
    return {database: open_database(database, model) for model in embedded(name).values() for database in DATABASES}
