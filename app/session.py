"""The server behind the page, part by part: each does one thing, and knows those above it only."""

from __future__ import annotations

from dataclasses import dataclass

from app.drawing import Drawing
from app.library import Library
from app.looking import Looking
from app.opening import Opening
from app.presenting import Presenting
from app.runs import Runs
from app.visits import Visits


@dataclass(frozen=True, slots=True)
class Session:
    """All that an event of the page may need; shared by all visitors, who are told apart by name.

    library: what there is to draw with; runs: what is under way; visits: what was drawn; presenting: how it is told;
    drawing: from a request to a finished run; opening: from a finished run, or a file of one, to the stepper; looking:
    from a finished run to the inside of its model.
    """

    library: Library
    runs: Runs
    visits: Visits
    presenting: Presenting
    drawing: Drawing
    opening: Opening
    looking: Looking

    @classmethod
    def over(cls, library: Library) -> Session:
        """A session that draws with what a library has."""
        runs, visits = Runs(), Visits()
        presenting = Presenting(library, runs, visits)
        drawing = Drawing(library, runs, visits, presenting)
        opening, looking = Opening(library, runs, visits, presenting), Looking(library, runs, visits)
        return cls(library, runs, visits, presenting, drawing, opening, looking)

    def leave(self, visitor: str) -> None:
        """A visitor has closed the page: the live run ends, and what was kept or brought goes."""
        self.runs.forget(visitor)
        self.visits.forget(visitor)
        self.looking.forget(visitor)
        self.library.own.forget(visitor)
