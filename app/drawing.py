"""How pictures are drawn for visitors: one, one that goes on from another, or several of one prompt together."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, Final, NamedTuple, Protocol

from app import arrivals, branches
from app.branches import Onward, Plan
from app.costs import TooMuch, check_cost
from app.decoding.job import Job
from app.decoding.ticket import Ticket, Waiting
from app.fan import Fan
from app.journal import Journal, Outcome, Ran
from app.library import Library
from app.painting import QUICK_SECONDS
from app.plans import Batch
from app.presenting import Presenting
from app.runs import Busy, Run, Runs
from app.sheets import Comparison, Sheet
from app.speeds import Speeds
from app.views import Asked, Update
from app.visits import Kept, Visits
from app.waiting import Progress, waiting_words, while_told
from core.backends.protocol import Backend
from core.inputs.prompt import clean_prompt
from core.patches.database import PatchDatabase
from core.trace import Trace
from core.types import Change, ConfigError, DatabaseError, StepRecord

PREVIEW_SECONDS: Final = 0.1
PREVIEW_SHARE: Final = 0.1
"""Previews may cost at most this share of the time between them, those of all visitors together, however slow the
decoder is."""

SLOWEST_SECONDS: Final = 15.0
"""A preview that takes longer is not made: who waits hears nothing meanwhile."""

WAITING_SECONDS: Final = 2.0
"""Between two messages to a visitor who waits."""


class Decoder(Protocol):
    """What draws: `app.decoding.scheduler.Scheduler`, or `app.decoding.lent.Lent` where GPUs are lent."""

    def draw(self, visitor: str, jobs: Sequence[Job]) -> Ticket:
        """A ticket for some pictures of a visitor."""
        ...


class Drawing:
    """Draws, tells how far it has come, and keeps what came of it for the visitor; errors are messages like others.

    Plans are made by functions, so that the errors of what a visitor entered are told like all others. A run goes on
    and is kept when nobody listens any more. tab: whose older run ends when something newer begins; None for scripts,
    whose runs stand beside each other, and who are told of the end alone.
    """

    def __init__(
        self,
        library: Library,
        runs: Runs,
        visits: Visits,
        presenting: Presenting,
        decoder: Decoder,
        journal: Journal,
        speeds: Speeds,
    ) -> None:
        self._library, self._runs, self._visits, self._presenting = library, runs, visits, presenting
        self._decoder, self._journal, self._speeds = decoder, journal, speeds

    # -----------------------------------------------------------------------------------------------------------------
    # One picture

    def begin(self, visitor: str, prompt: str, tab: str = "") -> Update:
        """Answer a click at once; older ones of this tab end, also those that still wait for their turn."""
        return self._presenting.begun(self._runs.begin(visitor, tab), prompt)

    def draw(
        self,
        visitor: str,
        prompt: str,
        asked: Callable[[], Asked],
        tab: str | None = "",
        begun: int | None = None,
        pause: int = 0,
    ) -> Iterator[Update]:
        """Generate one picture: updates while it is being drawn, then one with the trace.

        begun: number of the update that answered the click; nothing is drawn after a newer one. pause: after how many
        patches to pause, 0 for never.
        """
        if begun is not None and tab is not None:
            if not self._runs.is_newest(visitor, tab, begun):
                return
            if self._runs.was_ended(visitor, tab, begun):
                yield self._presenting.not_begun(self._runs.number())
                return
        yield from self.carry_out(visitor, lambda: Plan(self._cleaned(prompt), asked(), pause=pause), tab)

    def _cleaned(self, prompt: str) -> str:
        """A prompt in one spelling; ConfigError for one that no model here takes."""
        return clean_prompt(prompt, self._library.prompt_limit)

    def branch(self, visitor: str, run: str, change: Change, tab: str | None = "") -> Iterator[Update]:
        """Draw another picture from a kept one, with a change at one of its positions."""
        yield from self.carry_out(visitor, lambda: branches.branch(self._source(visitor, run), change), tab)

    def go_on(
        self, visitor: str, run: str, how: Onward, code: int | None = None, tab: str | None = ""
    ) -> Iterator[Update]:
        """Go on with a paused picture; code: taken for the next patch."""
        yield from self.carry_out(visitor, lambda: branches.onward(self._source(visitor, run), how, code), tab)

    def _source(self, visitor: str, run: str) -> Kept:
        """A run that another one is to start from; ConfigError when what it looked into is not here any more."""
        found = self._visits.find(visitor, run)
        database = self._library.databases_of(visitor).get(found.asked.database)
        if found.trace.origin.database and not (database and arrivals.holds(database, found.trace)):
            raise ConfigError("database: what this picture looked into is not here any more; draw another picture")
        return found

    def carry_out(self, visitor: str, plan: Callable[[], Plan], tab: str | None = "") -> Iterator[Update]:
        """Do what a plan says: updates while the picture is being drawn, then one with the trace, or with an error."""
        if tab is not None:
            self._runs.supersede(visitor, tab)

        def work(run: Run[Update]) -> None:
            try:
                self._draw(run, plan())
            except Exception as error:
                self._ended_by(visitor, error)
                run.tell(self._presenting.failed(run.number, error))

        try:
            run = self._runs.start(visitor, tab, work)
        except Busy as error:
            self._journal.refused(visitor, error.reason)
            yield self._presenting.failed(self._runs.number(), error)
            return
        yield from run.follow()

    def follow(self, visitor: str, tab: str, is_there: Callable[[str], bool]) -> Iterator[Update]:
        """Go on with what this tab has under way, or one that is gone: its updates; none without such a picture."""
        for run in reversed(self._runs.under_way(visitor)):
            left = run.tab == tab or not is_there(run.tab or "")
            if left and isinstance(run.newest, Update):
                run.tab = tab
                yield from run.follow()
                return

    def _draw(self, run: Run[Update], plan: Plan) -> None:
        """Previews at their pace, then the final update; the finished run is kept for its visitor."""
        started, pace = time.perf_counter(), self._pace(run, [plan])
        backend = self._library.backend(plan.asked.model)
        database = self._library.database_of(run.visitor, plan.asked) if plan.retrieves else None
        steps, ahead, failure = self._steps(run, plan, pace)
        if run.superseded.is_set():
            self._write_down(run, plan, "", "gone", len(steps) - len(plan.steps), started, pace)
            return
        if not steps or (len(steps) == len(plan.steps) and ahead is None):
            run.tell(self._presenting.not_begun(run.number))
            return

        def recorded(records: Sequence[StepRecord]) -> Trace:
            settings, given = plan.asked.settings, len(plan.given)
            return Trace.record(backend, database, plan.prompt, settings, records, plan.changes, given)

        seconds = plan.seconds + time.perf_counter() - started
        try:
            trace, longer = recorded(steps), recorded([*steps, ahead]) if ahead else None
        except DatabaseError:  # a database elsewhere that broke the run off cannot say where its neighbours are from
            if failure is None:
                raise
            raise failure from None
        if pace.says_making():
            run.tell(self._presenting.making(run.number, plan, steps, pace.cost))
        kept = plan.finished(trace, self._presenting.picture(trace, plan.asked), seconds, longer)
        self._visits.keep(run.visitor, kept, plan.replaces)
        outcome: Outcome = "finished" if trace.complete else "paused"
        self._write_down(run, plan, kept.id, outcome, len(steps) - len(plan.steps), started, pace)
        if run.tab is None:
            run.tell(self._presenting.done(run.number, kept))
            return
        with self._journal.counts.timed("packing"):
            shown = self._presenting.shown(run.number, run.visitor, kept)
        if failure is not None:
            self._ended_by(run.visitor, failure)
            shown = self._presenting.broken_off(shown, failure)
        run.tell(shown)

    def _ended_by(self, visitor: str, error: Exception) -> None:
        """A run that came to nothing, for the journal."""
        if isinstance(error, TooMuch):
            self._journal.refused(visitor, "cost")
        else:
            self._journal.failed(visitor, error)

    def _write_down(
        self, run: Run[Any], plan: Plan, kept: str, outcome: Outcome, positions: int, started: float, pace: _Pace
    ) -> None:
        """A picture that has ended, for the journal: how long it waited, and how long it was drawn."""
        now, asked = time.perf_counter(), plan.asked
        waited = (pace.began or now) - started
        method, drew = asked.settings.method, now - started - waited
        self._journal.ran(
            Ran(run.visitor, kept, plan.prompt, asked.model, asked.database, method, outcome, positions, drew, waited)
        )

    def _steps(self, run: Run[Update], plan: Plan, pace: _Pace) -> _Drawn:
        """The picture as it grows, for somebody who looks also when it is broken off."""
        steps = list(plan.steps)
        try:
            ahead = self._grown(run, plan, pace, steps)
        except Exception as failure:
            if len(steps) == len(plan.steps) or run.tab is None:
                raise
            return _Drawn(steps, None, failure)
        return _Drawn(steps, ahead, None)

    def _grown(self, run: Run[Update], plan: Plan, pace: _Pace, steps: list[StepRecord]) -> StepRecord | None:
        """Add to the steps as they come; returns the next one if it was stopped or paused before that."""
        ticket = self._decoder.draw(run.visitor, self._jobs(run.visitor, [plan]))
        with closing(iter(ticket)) as come:  # which ends the ticket
            for news in come:
                if isinstance(news, Waiting):
                    if run.stopped.is_set():
                        break
                    if pace.may_say():
                        words = waiting_words(news, pace.reading)
                        run.tell(self._presenting.waiting(run.number, plan.prompt, words, pace.said))
                    continue
                _, record = news
                if steps and (run.stopped.is_set() or len(steps) == plan.pause):
                    return record
                steps.append(record)
                pace.progress.came()
                said = pace.words()
                with pace.preview() as due:
                    if due:
                        run.tell(self._presenting.preview(run.number, plan, steps, said))
                    elif said != pace.told:
                        run.tell(self._presenting.progress(run.number, plan, steps, said))
                pace.told = said
        return None

    def _jobs(self, visitor: str, plans: Sequence[Plan]) -> list[Job]:
        """What is to be drawn for some plans; TooMuch where that costs more than there is."""
        theirs = self._library.theirs(visitor, [plan.asked for plan in plans])
        jobs = [Job.of(visitor, plan, self._library.grid.positions, theirs) for plan in plans]
        cost = check_cost([job.request(self._library) for job in jobs], jobs[0].first)
        self._visits.check_room(visitor, cost.nbytes)
        return jobs

    # -----------------------------------------------------------------------------------------------------------------
    # Several pictures

    def begin_together(self, visitor: str, prompt: str, tab: str = "") -> Sheet:
        """Answer a click at once; an older run of this tab ends."""
        self._runs.stop(visitor, tab)
        return self._presenting.sheet_begun(self._runs.number(), prompt, Batch((), ()))

    def draw_compared(
        self, visitor: str, prompt: str, plan: Callable[[], Batch], tab: str | None = ""
    ) -> Iterator[Sheet | Comparison]:
        """Generate a few pictures of one prompt together, keep them, and end with their comparison."""
        for sheet in self.draw_together(visitor, prompt, plan, tab):
            compared = self._presenting.compared
            yield compared(sheet.run, visitor, sheet.runs, sheet.message) if sheet.runs else sheet

    def draw_together(
        self, visitor: str, prompt: str, plan: Callable[[], Batch], tab: str | None = ""
    ) -> Iterator[Sheet]:
        """Generate a few pictures of one prompt together and keep them; the last sheet has them."""

        def keep(runs: Sequence[Kept]) -> None:
            for run in reversed(runs):  # the first one is then the newest, and stands first where they are listed
                self._visits.keep(visitor, run)

        yield from self._sheets_of(visitor, prompt, plan, keep, tab)

    def draw_sweep(self, visitor: str, prompt: str, plan: Callable[[], Batch], tab: str | None = "") -> Iterator[Sheet]:
        """Generate many pictures of one prompt together; only those that are opened later become runs of the visit."""
        yield from self._sheets_of(visitor, prompt, plan, lambda runs: self._visits.lay_out(visitor, runs), tab)

    def draw_fan(self, visitor: str, run: str, plan: Callable[[Kept], Fan], tab: str | None = "") -> Iterator[Sheet]:
        """Draw a kept run to its end in many ways together, which are laid out as those of a sweep are."""

        def keep(runs: Sequence[Kept]) -> None:
            self._visits.lay_out(visitor, runs, "fan")

        yield from self._sheets_of(visitor, None, lambda: plan(self._source(visitor, run)), keep, tab)

    def _sheets_of(
        self,
        visitor: str,
        prompt: str | None,
        plan: Callable[[], Batch],
        keep: Callable[[Sequence[Kept]], None],
        tab: str | None,
    ) -> Iterator[Sheet]:
        """Generate several pictures: sheets while they are being drawn, then one with the runs, or with an error.

        prompt: None where the plans have their own; keep: what becomes of the runs.
        """
        if tab is not None:
            self._runs.stop(visitor, tab)

        def work(run: Run[Sheet]) -> None:
            try:
                wanted = "" if prompt is None else self._cleaned(prompt)
                self._draw_sheet(run, plan(), wanted, keep)
            except Exception as error:
                self._ended_by(visitor, error)
                run.tell(self._presenting.sheet_failed(run.number, error))

        try:
            run = self._runs.start(visitor, tab, work)
        except Busy as error:
            self._journal.refused(visitor, error.reason)
            yield self._presenting.sheet_failed(self._runs.number(), error)
            return
        yield from run.follow()

    def _draw_sheet(self, run: Run[Sheet], plan: Batch, prompt: str, keep: Callable[[Sequence[Kept]], None]) -> None:
        """Previews at their pace, then the finished runs; each is as long as all of them took."""
        started, plans = time.perf_counter(), plan.plans(prompt)
        theirs = self._library.theirs(run.visitor, plan.asked)
        begun = self._presenting.sheet_begun(run.number, plans[0].prompt, plan)
        sheet = replace(begun, before=tuple(step.code for step in plans[0].steps))
        run.tell(sheet)
        pace = self._pace(run, plans)
        steps = self._sheet_steps(run, sheet, plans, pace)
        if run.gone.is_set():
            return
        if not all(steps):
            run.tell(self._presenting.sheet_not_begun(run.number))
            return
        seconds = time.perf_counter() - started
        kept, said = list[Kept](), itertools.count(1)
        for one, records in zip(plans, steps, strict=True):
            making = partial(self._drawn, one, theirs, records, seconds)

            def tell(made: int = len(kept)) -> None:
                run.tell(self._presenting.sheet_making(sheet, steps, made, next(said)))

            kept.append(while_told(making, tell) if pace.says_making() else making())
        keep(kept)
        for one, made, records in zip(plans, kept, steps, strict=True):
            outcome: Outcome = "finished" if made.trace.complete else "paused"
            self._write_down(run, one, made.id, outcome, len(records), started, pace)
        run.tell(self._presenting.sheet_done(sheet, steps, kept))

    def _sheet_steps(self, run: Run[Sheet], sheet: Sheet, plans: Sequence[Plan], pace: _Pace) -> list[list[StepRecord]]:
        """The new steps of each picture, while the sheet shows how they grow; none where it was stopped too soon."""
        steps, shown = [list[StepRecord]() for _ in plans], sheet
        ticket, cut = self._decoder.draw(run.visitor, self._jobs(run.visitor, plans)), False
        with closing(iter(ticket)) as come:  # which ends the ticket
            for news in come:
                if isinstance(news, Waiting):
                    if run.stopped.is_set() and not any(steps):
                        break
                    if pace.may_say():
                        run.tell(self._presenting.sheet_waiting(sheet, waiting_words(news, pace.reading), pace.said))
                    continue
                row, record = news
                steps[row].append(record)
                if run.stopped.is_set() and not cut:
                    ticket.cut()
                    cut = True
                pace.progress.came()
                said = pace.words()
                with pace.preview() as due:
                    if due:
                        shown = self._presenting.sheet_preview(sheet, steps, said)
                        run.tell(shown)
                    elif said != pace.told:
                        shown = self._presenting.sheet_progress(shown, steps, said)
                        run.tell(shown)
                pace.told = said
        return steps

    def _pace(self, run: Run[Any], plans: Sequence[Plan]) -> _Pace:
        """When to tell of the drawing of some plans."""
        positions = sum((plan.pause or self._library.grid.positions) - len(plan.steps) for plan in plans)
        model, presenting = plans[0].asked.model, self._presenting
        return _Pace(
            run.tab is not None,
            lambda: self._runs.count,
            Progress(positions),
            lambda: presenting.preview_seconds(model, len(plans)),
            self._library.backend(model) if self._speeds.is_slow(model) else None,
            partial(self._speeds.told_reading, model),
        )

    def _drawn(
        self, plan: Plan, theirs: Mapping[str, PatchDatabase], records: Sequence[StepRecord], seconds: float
    ) -> Kept:
        """One of several pictures that were drawn together."""
        backend, settings = self._library.backend(plan.asked.model), plan.asked.settings
        database = self._library.database(plan.asked, theirs) if plan.retrieves else None
        everything, given = [*plan.steps, *records], len(plan.given)
        trace = Trace.record(backend, database, plan.prompt, settings, everything, plan.changes, given)
        return plan.finished(trace, self._presenting.picture(trace, plan.asked), seconds)


class _Drawn(NamedTuple):
    """The steps of a picture; ahead: the next one, where it was stopped or paused; failure: what broke it off."""

    steps: list[StepRecord]
    ahead: StepRecord | None
    failure: Exception | None


class _Pace:
    """When something may be told of a run, whose previews take time.

    shown: whether anybody looks; others: how many runs there are in all, which share the time for previews; progress:
    how fast codes come; cost: seconds that a preview takes, 0 while that is not known; slow: the model, if it is one
    of which it is said how long it takes; reading: what is said while it reads so many codes; began: when the first
    record was there, 0 before; told: what was said last.
    """

    def __init__(
        self,
        shown: bool,
        others: Callable[[], int],
        progress: Progress,
        cost: Callable[[], float],
        slow: Backend | None,
        reading: Callable[[int], str] = lambda codes: "",
    ) -> None:
        self.progress, self.reading, self.told, self.said = progress, reading, "", 0
        self._shown, self._others, self._cost, self._slow = shown, others, cost, slow
        self._due = self._say_due = self.began = 0.0

    @property
    def cost(self) -> float:
        """Seconds that a preview takes, or the pictures of all codes."""
        return self._cost()

    def says_making(self) -> bool:
        """Whether it is told that pictures are being made of codes."""
        return self._shown and self.cost >= QUICK_SECONDS

    def may_say(self) -> bool:
        """Whether somebody who waits is to be told so now."""
        now = time.perf_counter()
        if now < self._say_due:
            return False
        self._say_due, self.said = now + WAITING_SECONDS, self.said + 1
        return True

    def words(self) -> str:
        """What is said now of the time that is left; what was said last, while it is too soon for something else."""
        if self._slow is None or not self._shown or not self.progress.is_due():
            return self.told
        return self.progress.words(self._slow, self._cost())

    @contextmanager
    def preview(self) -> Iterator[bool]:
        """Whether a preview is due, which is made inside of the context.

        A slow one is not begun when it is known to cost too much, nor so late that the finished picture would wait.
        """
        begun, cost = time.perf_counter(), self._cost()
        if not self.began:
            self.began = begun
            self._due = begun + (self._rest(cost) if cost >= QUICK_SECONDS else 0.0)
        in_time = cost < QUICK_SECONDS or cost < min(self.progress.left, SLOWEST_SECONDS)
        due = self._shown and begun >= self._due and in_time
        yield due
        if due:
            ended = time.perf_counter()
            self._due = ended + self._rest(ended - begun)

    def _rest(self, cost: float) -> float:
        """Seconds until the next preview."""
        return max(PREVIEW_SECONDS, cost / PREVIEW_SHARE * max(1, self._others()))
