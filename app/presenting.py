"""How the page is told of runs: messages to the stepper, sheets of several pictures, comparisons, and packed traces."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache, partial
from threading import Lock
from typing import Final, Generic, TypeVar

import numpy as np

from app import arrivals, links, packing, pictures
from app.branches import Plan
from app.decoding.ticket import Waiting
from app.figures.position import Seen
from app.figures.words import settings_line
from app.library import Library
from app.looks import BUDGET_SECONDS, looks_of
from app.pictures import RGB
from app.plans import MOST_COMPARED, Batch, labels
from app.runs import Runs
from app.sheets import Compared, Comparison, Sheet
from app.views import Asked, State, Update, notice_of, sentences
from app.visits import Kept, Visits
from core.trace import Trace
from core.types import ArragError, ConfigError, IntArray, StepRecord

PREVIEWS: Final = 1_000
LAST: Final = 1_000_000
"""Numbers of a run's messages: those before it has begun, its previews by how many patches they show, the last one."""

OWN_LOOKS: Final = 256
"""Most pictures of a visitor's own database that looks are made of anew; larger ones hold a shared one, and look so."""

NOT_BEGUN: Final = "Stopped before it had begun."
PREVIEW_QUALITY: Final = 75
THUMBNAILS_KEPT: Final = 4096

Result = TypeVar("Result")
logger = logging.getLogger(__name__)


class Presenting:
    """Makes messages; the pictures that all of them share are made once, before the first visitor waits for them."""

    def __init__(self, library: Library, runs: Runs, visits: Visits) -> None:
        self._library, self._runs, self._visits = library, runs, visits
        self._thumbnail = lru_cache(maxsize=THUMBNAILS_KEPT)(self._make_thumbnail)
        self._looks = {name: _Later(partial(self._looks_in, name)) for name in library.databases or ("",)}
        _in_background(self._warm_up)

    # -----------------------------------------------------------------------------------------------------------------
    # One picture

    def begun(self, number: int, prompt: str) -> Update:
        """Answers a click, before there is anything to see."""
        return Update(number, 0, "streaming", prompt=prompt, grid=self._library.grid)

    def setting_out(self, kept: Kept, steps: int) -> Update:
        """Answers a click on going on from a kept run, with its picture up to there."""
        trace, number = kept.trace, self._runs.number()
        return Update(number, 0, "streaming", "", trace.prompt, steps, trace.grid, kept.picture)

    def preview(self, number: int, plan: Plan, steps: Sequence[StepRecord]) -> Update:
        """The picture as far as it is drawn."""
        backend = self._library.backend(plan.asked.model)
        codes = pictures.continued_grid([step.code for step in steps], backend.grid)
        picture = pictures.encoded(backend.decode_codes(codes[None])[0], PREVIEW_QUALITY)
        count = len(steps)
        return Update(number, PREVIEWS + count, "streaming", "", plan.prompt, count, backend.grid, picture)

    def waiting(self, number: int, prompt: str, news: Waiting, said: int) -> Update:
        """What is to be known by somebody who waits, for the said-th time."""
        return Update(number, said, "streaming", waiting_words(news), prompt, grid=self._library.grid)

    def not_begun(self, number: int) -> Update:
        """The end of a run that was stopped before it had begun; what is in the stepper stays."""
        return Update(number, LAST, "error", NOT_BEGUN)

    def done(self, number: int, kept: Kept) -> Update:
        """The end of a run for those who only want its id."""
        return Update(number, LAST, "ready" if kept.trace.complete else "stopped", kept=kept.id)

    def shown(self, number: int, visitor: str, kept: Kept) -> Update:
        """The whole trace of a run for the stepper."""
        trace = kept.trace
        grid, count = trace.grid, len(trace.steps)
        packed, atlas = self.packed(visitor, kept)
        paused = f"Paused after {count} of {grid.positions} patches: step through them, or go on."
        message = sentences("" if trace.complete else paused, notice_of(trace))
        state: State = "ready" if trace.complete else "stopped"
        step = kept.branch_step if kept.parent and trace.complete else -1
        return Update(
            number, LAST, state, message, trace.prompt, count, grid, b"", packed, atlas, kept.id, step, visitor
        )  # fmt: skip

    def failed(self, number: int, error: Exception) -> Update:
        """The end of a run that came to nothing."""
        return Update(number, LAST, "error", error_message(error))

    def refusal(self, error: Exception) -> Update:
        """What the stepper says when something could not be begun."""
        return self.tell(error_message(error))

    def tell(self, message: str) -> Update:
        """Something that the visitor has to know; what is in the stepper stays."""
        return Update(self._runs.number(), 0, "error", message=message)

    def picture(self, trace: Trace, asked: Asked) -> bytes:
        """The encoded picture of a trace, complete or as far as it came, which says how it was made."""
        return pictures.encoded(self.image(trace), about=links.about_run(trace, asked))

    def image(self, trace: Trace) -> RGB:
        """The picture of a trace, complete or as far as it came."""
        codes = pictures.continued_grid([step.code for step in trace.steps], trace.grid)
        image: RGB = arrivals.decoder_of(trace, self._library.backends).decode_codes(codes[None])[0]
        return image

    def seen(self, visitor: str, kept: Kept) -> Seen:
        """What a figure of one of its positions shows of a run."""
        trace, sources = kept.trace, self._sources(visitor, kept)
        codes = pictures.continued_grid([step.code for step in trace.steps], trace.grid)
        decode = arrivals.decoder_of(trace, self._library.backends).decode_codes

        def source(image: int) -> RGB | None:
            data = sources.source(image)
            return None if data is None else pictures.decoded(data)

        return Seen(decode(codes[None])[0], codes, decode, source, trace.prompt, settings_line(kept.asked))

    # -----------------------------------------------------------------------------------------------------------------
    # Several pictures

    def sheet_begun(self, number: int, prompt: str, plan: Batch) -> Sheet:
        """Answers a click on several pictures, and begins them, before there is anything to see."""
        return Sheet(number, 0, "streaming", prompt=prompt, plan=plan, grid=self._library.grid)

    def sheet_waiting(self, sheet: Sheet, news: Waiting, said: int) -> Sheet:
        """A sheet that waits for its turn, for the said-th time."""
        return replace(sheet, number=said, message=waiting_words(news))

    def sheet_preview(self, sheet: Sheet, steps: Sequence[Sequence[StepRecord]]) -> Sheet:
        """All pictures of a sheet as far as they are drawn."""
        picture, counts = pictures.encoded(self._table(sheet, steps), PREVIEW_QUALITY), self._counts(sheet, steps)
        drawn = sum(map(len, steps))
        return replace(sheet, number=PREVIEWS + drawn, steps=sum(counts) // len(counts), counts=counts, picture=picture)

    def sheet_not_begun(self, number: int) -> Sheet:
        """The end of a sheet that was stopped before it had begun."""
        return Sheet(number, LAST, "error", NOT_BEGUN)

    def sheet_done(self, sheet: Sheet, steps: Sequence[Sequence[StepRecord]], runs: Sequence[Kept]) -> Sheet:
        """A sheet with its finished runs, complete or as far as they came."""
        counts, last = self._counts(sheet, steps), sheet.grid.positions
        fewest, most = min(counts), max(counts)
        came = f"{fewest}" if fewest == most else f"{fewest} to {most}"
        stopped = "" if fewest == last else f"Stopped after {came} of {last} patches of each picture."
        return replace(
            sheet,
            number=LAST,
            state="stopped" if stopped else "ready",
            message=sentences(stopped, *dict.fromkeys(notice_of(run.trace) for run in runs)),
            steps=sum(counts) // len(counts),
            counts=counts,
            picture=pictures.encoded(self._table(sheet, steps)),
            runs=tuple(runs),
        )

    def _counts(self, sheet: Sheet, steps: Sequence[Sequence[StepRecord]]) -> tuple[int, ...]:
        """How many patches each picture has."""
        return tuple(len(sheet.before) + len(records) for records in steps)

    def _table(self, sheet: Sheet, steps: Sequence[Sequence[StepRecord]]) -> RGB:
        """All pictures of a sheet, in the rows of its plan; those that have no patch are not looked at."""
        drawn = [[*sheet.before, *(record.code for record in records)] for records in steps]
        grids = np.stack([pictures.continued_grid(codes or [0], sheet.grid) for codes in drawn])
        decoder = self._library.backend(sheet.plan.asked[0].model)
        return pictures.table_of(decoder.decode_codes(grids), len(sheet.plan.across))

    def sheet_failed(self, number: int, error: Exception) -> Sheet:
        """The end of a sheet that came to nothing."""
        return Sheet(number, LAST, "error", error_message(error))

    def compare(self, visitor: str, runs: object) -> Comparison:
        """Some kept runs of a visitor side by side; what does not work is told in the comparison."""
        number = self._runs.number()
        try:
            if not isinstance(runs, list) or not 1 <= len(runs) <= MOST_COMPARED:
                raise ConfigError(f"compare: expected 1 to {MOST_COMPARED} pictures; choose them again")
            return self.compared(number, visitor, [self._visits.find(visitor, str(run)) for run in runs])
        except Exception as error:
            return Comparison(number, LAST, "error", error_message(error))

    def compared(self, number: int, visitor: str, runs: Sequence[Kept], message: str = "") -> Comparison:
        """Runs side by side, with their traces; ConfigError for one whose codes no model here can decode."""
        backends = self._library.backends
        if any(isinstance(arrivals.decoder_of(run.trace, backends), arrivals.PlainColours) for run in runs):
            raise ConfigError("compare: got a picture of another codebook than that of the models here; take others")
        compared = [
            Compared(run.id, label, self._file(visitor, run, None))
            for run, label in zip(runs, labels(runs), strict=True)
        ]
        prompts = {run.trace.prompt for run in runs}
        prompt = prompts.pop() if len(prompts) == 1 else ""
        return Comparison(
            number, LAST, "ready", message, prompt, tuple(compared), self._atlas(visitor, runs[0]), visitor
        )

    # -----------------------------------------------------------------------------------------------------------------
    # Packed traces

    def packed(self, visitor: str, kept: Kept) -> tuple[bytes, bytes]:
        """What the stepper needs of a run: the packed trace, and the patch pictures of all codes."""
        parent = next((run.codes for run in self._visits.runs(visitor) if run.id == kept.parent), None)
        return self._file(visitor, kept, parent), self._atlas(visitor, kept)

    def _file(self, visitor: str, kept: Kept, parent: IntArray | None) -> bytes:
        """The file that the page gets of a run; parent: codes of the run that it branched from, while that is kept."""
        share = BUDGET_SECONDS / max(1, self._runs.count)
        sources = replace(self._sources(visitor, kept), seconds=share)
        return packing.pack_trace(kept.trace, kept.id, sources, kept.seconds, kept.asked, parent)

    def _sources(self, visitor: str, kept: Kept) -> packing.Pictures:
        """Where the pictures of a run's sources are: in the database it looked into, or else in their codes."""
        name, decoder = kept.asked.database, arrivals.decoder_of(kept.trace, self._library.backends)
        database = self._library.databases_of(visitor).get(name)
        thumbnail = partial(self._thumbnail, name) if name in self._library.databases else None
        return arrivals.source_pictures(kept.trace, kept.picture, decoder, database, thumbnail)

    def _atlas(self, visitor: str, kept: Kept) -> bytes:
        """How all codes look in the pictures of the database of a run."""
        decoder = arrivals.decoder_of(kept.trace, self._library.backends)
        if isinstance(decoder, arrivals.PlainColours):
            return decoder.atlas()
        database = self._library.databases_of(visitor).get(kept.asked.database)
        if kept.asked.database in self._looks:
            return self._looks[kept.asked.database].result()
        if database is not None and len(database.images) <= OWN_LOOKS:
            return looks_of(decoder, database).encoded()
        return next(iter(self._looks.values())).result()

    def _looks_in(self, name: str) -> bytes:
        """How all codes look in a database of all."""
        return looks_of(self._library.first, self._library.databases.get(name)).encoded()

    def _warm_up(self) -> None:
        """Make looks, and thumbnails of the first database, before the first visitor has to wait for them."""
        for later in self._looks.values():
            later.result()
        for name, database in list(self._library.databases.items())[:1]:
            for image in database.images[:THUMBNAILS_KEPT]:
                self._thumbnail(name, int(image))

    def _make_thumbnail(self, name: str, image: int) -> RGB | None:
        """Small picture of an image of a database of all; remembered."""
        return pictures.thumbnail_of(self._library.databases[name], image)


def waiting_words(news: Waiting) -> str:
    """How long it will be, in words; nothing of what has begun."""
    if not news.before:
        return ""
    before = "1 picture" if news.before == 1 else f"{news.before} pictures"
    return f"{before} before yours, about {max(1, round(news.seconds))}\xa0s"


def error_message(error: Exception) -> str:
    """What a visitor reads; what was not foreseen goes to the log and is not shown."""
    if isinstance(error, ArragError):
        return str(error)
    logger.exception("a run failed", exc_info=error)
    return "Something went wrong on the server. Try again; if it stays, reload the page or connect anew."


class _Later(Generic[Result]):
    """Work that is done once, when its result is first asked for; who asks meanwhile waits."""

    def __init__(self, work: Callable[[], Result]) -> None:
        self._work, self._lock, self._done = work, Lock(), Future[Result]()

    def result(self) -> Result:
        """What came of it; its error, for all who ask."""
        with self._lock:
            if not self._done.done():
                try:
                    self._done.set_result(self._work())
                except Exception as error:
                    self._done.set_exception(error)
        return self._done.result()


def _in_background(work: Callable[[], Result]) -> Future[Result]:
    """Start work in a thread of its own."""
    executor = ThreadPoolExecutor(1, thread_name_prefix="background")
    future = executor.submit(work)
    executor.shutdown(wait=False)
    return future
