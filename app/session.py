"""The server behind the page, part by part: each does one thing, and knows those above it only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from app import pictures
from app.counts import Counts
from app.decoding.lent import Lent
from app.decoding.lines import InProcess, InThread, Place
from app.decoding.scheduler import Scheduler
from app.drawing import Drawing
from app.handed import Files
from app.health import Health
from app.journal import Journal
from app.library import Library
from app.looking import Looking
from app.opening import Opening
from app.painting import Painting
from app.presenting import Presenting
from app.runs import Runs
from app.shelf import Shelf
from app.speeds import Speeds
from app.uploads import Uploads
from app.visitors import Visitors
from app.visits import Limits, Visits
from app.work import Work

GATHER: Final = 0.03
"""Seconds; a picture takes twenty times as long."""


@dataclass(frozen=True, slots=True)
class Session:
    """All that an event of the page may need; shared by all visitors, who are told apart by name.

    library: what there is to draw with; runs: what is under way; visits: what was drawn; presenting: how it is told;
    decoder: what draws, for all visitors; drawing: from a request to a finished run; opening: from a finished run, or a
    file of one, to the stepper; looking: from a finished run to the inside of its model; journal: where what happens
    is written down; health: how it is; uploads: what is not read yet; files: what is to be fetched;
    visitors: who is here; speeds: how fast the models are on this machine.
    """

    library: Library
    runs: Runs
    visits: Visits
    presenting: Presenting
    decoder: Scheduler | Lent
    drawing: Drawing
    opening: Opening
    looking: Looking
    journal: Journal
    health: Health
    uploads: Uploads
    files: Files
    visitors: Visitors
    speeds: Speeds

    @classmethod
    def over(cls, library: Library, place: Place | None = None, journal: Journal | None = None) -> Session:
        """A session that draws with what a library has.

        place: where the models run, by default in a thread; journal: by default one that counts nothing.
        """
        journal = journal or Journal()
        counts = journal.counts

        def ended(visit: str) -> None:
            session.leave(visit)

        def address(visit: str) -> str:
            return visitors.address_of(visit)

        limits = Limits.over(library.first.codebook.size, library.grid.positions)
        runs, visits = Runs(ended, address=address), Visits(limits)
        painting = Painting()
        speeds = Speeds(library, painting)
        presenting = Presenting(library, runs, visits, painting, Shelf.of_user())
        scheduler = Scheduler(library, place or InThread(library), counts.batched, GATHER if place else 0.0, address)
        decoder = Lent(library) if library.is_lent else scheduler
        drawing = Drawing(library, runs, visits, presenting, decoder, journal, speeds)
        opening, looking = Opening(library, runs, visits, presenting), Looking(library, runs, visits, painting)
        health = Health(Work(runs, decoder), tuple(library.backends))
        if isinstance(place, InProcess):
            counts.watch_process(lambda: place.pid)

        visitors = Visitors(ended, lambda visit: bool(visits.runs(visit) or library.own.databases(visit)))
        session = cls(
            library, runs, visits, presenting, decoder, drawing, opening, looking, journal, health, Uploads(), Files(),
            visitors, speeds,
        )  # fmt: skip
        session._watched(counts)
        return session

    def _watched(self, counts: Counts) -> None:
        """Let what goes up and down be counted."""
        counts.watch("waiting", lambda: self.decoder.waiting)
        counts.watch("drawing", lambda: self.decoder.drawing)
        counts.watch("visits", lambda: len(self.visitors.names()))
        counts.watch("kept runs", lambda: self.visits.count)
        counts.watch("kept bytes", lambda: self.visits.nbytes)
        counts.watch("brought bytes", lambda: self.library.own.nbytes)

    def leave(self, visitor: str) -> None:
        """A visit is over: what is under way ends; what was kept, brought, or to be fetched goes, from everywhere."""
        self.runs.forget(visitor)
        self.visits.forget(visitor)
        self.looking.forget(visitor)
        self.library.own.forget(visitor)
        self.decoder.forget(visitor)
        pictures.small.cache_clear()  # of pictures of anybody's
        self.presenting.forget()
        self.files.forget(visitor)

    def sweep(self) -> None:
        """End visits that are over, and remove what is by age."""
        self.visitors.sweep()
        self.uploads.sweep()
        self.files.sweep()
