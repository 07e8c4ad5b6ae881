"""How pictures are drawn for visitors: one, one that goes on from another, or several of one prompt together."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Final

from app import arrivals, branches, zerogpu
from app.branches import Onward, Plan
from app.fan import Fan
from app.library import Library
from app.plans import MOST_COMPARED, Batch
from app.presenting import Presenting
from app.runs import Run, Runs
from app.sheets import Comparison, Sheet
from app.views import Asked, Update
from app.visits import Kept, Visits
from core.engine import Request, Step, Steps, decode, decode_together
from core.inputs.prompt import clean_prompt
from core.patches.database import PatchDatabase
from core.trace import Trace
from core.types import Change, ConfigError, StepRecord

PREVIEW_SECONDS: Final = 0.1
PREVIEW_SHARE: Final = 0.25
"""Previews may cost at most this share of the time, however slow the decoder is."""


class Drawing:
    """Draws, tells how far it has come, and keeps what came of it for the visitor; errors are messages like others.

    Plans are made by functions, so that the errors of what a visitor entered are told like all others. beside: what the
    visitor has under way goes on, as scripts expect; on the page something newer ends it.
    """

    def __init__(self, library: Library, runs: Runs, visits: Visits, presenting: Presenting) -> None:
        self._library, self._runs, self._visits, self._presenting = library, runs, visits, presenting
        self._draw = zerogpu.with_gpu(self._steps, library.grid.positions)
        self._draw_all = zerogpu.with_gpu(self._steps_together, MOST_COMPARED * library.grid.positions)

    # -----------------------------------------------------------------------------------------------------------------
    # One picture

    def begin(self, visitor: str, prompt: str) -> Update:
        """Answer a click at once; older ones of this visitor end, also those that still wait for their turn."""
        return self._presenting.begun(self._runs.begin(visitor), prompt)

    def draw(
        self,
        visitor: str,
        prompt: str,
        asked: Callable[[], Asked],
        beside: bool = False,
        begun: int | None = None,
        pause: int = 0,
    ) -> Iterator[Update]:
        """Generate one picture: updates while it is being drawn, then one with the trace.

        begun: number of the update that answered the click; nothing is drawn after a newer one. pause: after how many
        patches to pause, 0 for never.
        """
        if begun is None or self._runs.is_newest(visitor, begun):
            yield from self.carry_out(visitor, lambda: Plan(clean_prompt(prompt), asked(), pause=pause), beside)

    def branch(self, visitor: str, run: str, change: Change, beside: bool = False) -> Iterator[Update]:
        """Draw another picture from a kept one, with a change at one of its positions."""
        yield from self.carry_out(visitor, lambda: branches.branch(self._source(visitor, run), change), beside)

    def go_on(self, visitor: str, run: str, how: Onward, code: int | None = None) -> Iterator[Update]:
        """Go on with a paused picture; code: taken for the next patch."""
        yield from self.carry_out(visitor, lambda: branches.onward(self._source(visitor, run), how, code))

    def _source(self, visitor: str, run: str) -> Kept:
        """A run that another one is to start from; ConfigError when what it looked into is not here any more."""
        found = self._visits.find(visitor, run)
        database = self._library.databases_of(visitor).get(found.asked.database)
        if found.trace.origin.database and not (database and arrivals.holds(database, found.trace)):
            raise ConfigError("database: what this picture looked into is not here any more; draw another picture")
        return found

    def carry_out(self, visitor: str, plan: Callable[[], Plan], beside: bool = False) -> Iterator[Update]:
        """Do what a plan says: updates while the picture is being drawn, then one with the trace, or with an error."""
        if not beside:
            self._runs.supersede(visitor)
        with self._runs.live(visitor) as run:
            try:
                yield from self._updates(run, plan())
            except Exception as error:
                yield self._presenting.failed(run.number, error)

    def _updates(self, run: Run, plan: Plan) -> Iterator[Update]:
        """Previews at their pace, then the final update; the finished run is kept for its visitor."""
        started = time.perf_counter()
        backend = self._library.backend(plan.asked.model)
        database = self._library.database_of(run.visitor, plan.asked) if plan.retrieves else None
        steps, ahead = yield from self._previews(run, plan)
        if run.superseded.is_set():
            return

        def recorded(records: Sequence[StepRecord]) -> Trace:
            settings, given = plan.asked.settings, len(plan.given)
            return Trace.record(backend, database, plan.prompt, settings, records, plan.changes, given)

        seconds = plan.seconds + time.perf_counter() - started
        trace, longer = recorded(steps), recorded([*steps, ahead]) if ahead else None
        kept = plan.finished(trace, self._presenting.picture(trace, plan.asked), seconds, longer)
        self._visits.keep(run.visitor, kept, plan.replaces)
        yield self._presenting.shown(run.number, run.visitor, kept)

    def _previews(self, run: Run, plan: Plan) -> Generator[Update, None, tuple[list[StepRecord], StepRecord | None]]:
        """The picture as it grows; returns its steps, and the next one if it was stopped or paused before that."""
        steps = list(plan.steps)
        theirs = self._library.theirs(run.visitor, [plan.asked])
        records = self._draw(plan.asked, theirs, plan.retrieves, plan.prompt, plan.changes, plan.codes, len(plan.steps))
        with closing(_paced(records)) as paced:
            for (record,), due in paced:
                if steps and (run.stopped.is_set() or len(steps) == plan.pause):
                    return steps, record
                steps.append(record)
                if due:
                    yield self._presenting.preview(run.number, plan, steps)
        return steps, None

    def _steps(
        self,
        asked: Asked,
        theirs: Mapping[str, PatchDatabase],
        retrieves: bool,
        prompt: str,
        changes: Sequence[Change],
        codes: Sequence[int],
        first: int,
    ) -> Steps:
        """Draw one picture; all that goes in and out can be sent to another process (see zerogpu)."""
        database = self._library.database(asked, theirs) if retrieves else None
        backend = self._library.backends[asked.model]
        yield from decode(backend, database, [prompt], asked.settings, changes, codes, first)

    # -----------------------------------------------------------------------------------------------------------------
    # Several pictures

    def begin_together(self, visitor: str, prompt: str) -> Sheet:
        """Answer a click at once; an older run of this visitor ends."""
        self._runs.stop(visitor)
        return self._presenting.sheet_begun(self._runs.number(), prompt, Batch((), ()))

    def draw_compared(self, visitor: str, prompt: str, plan: Callable[[], Batch]) -> Iterator[Sheet | Comparison]:
        """Generate a few pictures of one prompt together, keep them, and end with their comparison."""
        for sheet in self.draw_together(visitor, prompt, plan):
            compared = self._presenting.compared
            yield compared(sheet.run, visitor, sheet.runs, sheet.message) if sheet.runs else sheet

    def draw_together(
        self, visitor: str, prompt: str, plan: Callable[[], Batch], beside: bool = False
    ) -> Iterator[Sheet]:
        """Generate a few pictures of one prompt together and keep them; the last sheet has them."""
        for sheet in self._sheets_of(visitor, prompt, plan, beside):
            for run in reversed(sheet.runs):  # the first one is then the newest, and stands first where they are listed
                self._visits.keep(visitor, run)
            yield sheet

    def draw_sweep(self, visitor: str, prompt: str, plan: Callable[[], Batch]) -> Iterator[Sheet]:
        """Generate many pictures of one prompt together; only those that are opened later become runs of the visit."""
        for sheet in self._sheets_of(visitor, prompt, plan):
            if sheet.runs:
                self._visits.lay_out(visitor, sheet.runs)
            yield sheet

    def draw_fan(self, visitor: str, run: str, plan: Callable[[Kept], Fan], beside: bool = False) -> Iterator[Sheet]:
        """Draw a kept run to its end in many ways together, which are laid out as those of a sweep are."""
        for sheet in self._sheets_of(visitor, None, lambda: plan(self._source(visitor, run)), beside):
            if sheet.runs:
                self._visits.lay_out(visitor, sheet.runs, "fan")
            yield sheet

    def _sheets_of(
        self, visitor: str, prompt: str | None, plan: Callable[[], Batch], beside: bool = False
    ) -> Iterator[Sheet]:
        """Generate several pictures: sheets while they are being drawn, then one with the runs, or with an error.

        prompt: None where the plans have their own.
        """
        if not beside:
            self._runs.stop(visitor)
        with self._runs.live(visitor) as run:
            try:
                wanted = "" if prompt is None else clean_prompt(prompt)
                yield from self._sheets(run, wanted, plan())
            except Exception as error:
                yield self._presenting.sheet_failed(run.number, error)

    def _sheets(self, run: Run, prompt: str, plan: Batch) -> Iterator[Sheet]:
        """Previews at their pace, then the finished runs; each is as long as all of them took."""
        started = time.perf_counter()
        theirs, plans = self._library.theirs(run.visitor, plan.asked), plan.plans(prompt)
        requests = [self._request(one, theirs) for one in plans]
        sheet = replace(
            self._presenting.sheet_begun(run.number, plans[0].prompt, plan),
            before=tuple(step.code for step in plans[0].steps),
        )
        yield sheet
        steps = yield from self._sheet_previews(run, sheet, plans, theirs)
        seconds = time.perf_counter() - started
        rows = zip(requests, plans, zip(*steps, strict=True), strict=True)
        kept = [self._drawn(request, one, records, seconds) for request, one, records in rows]
        yield self._presenting.sheet_done(sheet, steps, kept)

    def _sheet_previews(
        self, run: Run, sheet: Sheet, plans: Sequence[Plan], theirs: Mapping[str, PatchDatabase]
    ) -> Generator[Sheet, None, list[Step]]:
        """The sheet as its pictures grow; returns their new steps."""
        steps: list[Step] = []
        light = [replace(plan, steps=(), given=tuple(plan.codes)) for plan in plans]
        with closing(_paced(self._draw_all(light, len(sheet.before), theirs))) as paced:
            for step, due in paced:
                steps.append(step)
                if run.stopped.is_set():
                    break
                if due:
                    yield self._presenting.sheet_preview(sheet, steps)
        return steps

    def _drawn(self, request: Request, plan: Plan, records: Sequence[StepRecord], seconds: float) -> Kept:
        """One of several pictures that were drawn together."""
        everything, given = [*plan.steps, *records], len(plan.given)
        trace = Trace.record(
            request.backend, request.database, request.prompt, request.settings, everything, plan.changes, given
        )
        return plan.finished(trace, self._presenting.picture(trace, plan.asked), seconds)

    def _steps_together(self, plans: Sequence[Plan], first: int, theirs: Mapping[str, PatchDatabase]) -> Steps:
        """Draw several pictures in the same way as `_steps`; plans: without the steps that there are already."""
        yield from decode_together([self._request(plan, theirs) for plan in plans], first)

    def _request(self, plan: Plan, theirs: Mapping[str, PatchDatabase]) -> Request:
        """What a visitor asked for, by name, with the model and the database themselves."""
        backend = self._library.backend(plan.asked.model)
        database = self._library.database(plan.asked, theirs) if plan.retrieves else None
        return Request(backend, database, plan.prompt, plan.asked.settings, plan.changes, tuple(plan.codes))


def _paced(turns: Steps) -> Generator[tuple[Step, bool], None, None]:
    """The steps of a run, and with each whether a preview is due, which takes its time."""
    due = 0.0
    with closing(turns):
        for step in turns:
            begun = time.perf_counter()
            wanted = begun >= due
            yield step, wanted
            if wanted:
                ended = time.perf_counter()
                due = ended + max(PREVIEW_SECONDS, (ended - begun) / PREVIEW_SHARE)
