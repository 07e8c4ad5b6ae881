"""How the page is told of runs: messages to the stepper, sheets of several pictures, comparisons, and packed traces."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache, partial
from threading import Thread
from typing import Final

import numpy as np

from app import arrivals, links, packing, pictures
from app.atlas import Atlas
from app.branches import Plan
from app.figures.position import Seen
from app.figures.words import settings_line
from app.library import Library
from app.looks import BUDGET_SECONDS, looks_of
from app.painting import Painting
from app.pictures import RGB
from app.plans import MOST_COMPARED, Batch, labels
from app.runs import Runs
from app.sheets import Compared, Comparison, Sheet
from app.shelf import Shelf
from app.views import Asked, State, Update, notice_of, sentences
from app.visits import Kept, Visits
from core.backends.speed import time_in_words
from core.trace import Trace
from core.types import ArragError, ConfigError, DatabaseError, IntArray, StepRecord

PREVIEWS: Final = 1_000
LAST: Final = 1_000_000
"""Numbers of a run's messages: those before it has begun, its previews by how many patches they show, the last one."""

OWN_LOOKS: Final = 256
"""Most pictures of a visitor's own database that looks are made of anew; larger ones hold a shared one, and look so."""

NOT_BEGUN: Final = "Stopped before it had begun."
PREVIEW_QUALITY: Final = 75
THUMBNAILS_KEPT: Final = 4096

logger = logging.getLogger(__name__)


class Presenting:
    """Makes messages; the pictures that all of them share are made once, before the first visitor waits for them.

    painting: makes pictures of codes; shelf: where those are kept that take long.
    """

    def __init__(
        self, library: Library, runs: Runs, visits: Visits, painting: Painting | None = None, shelf: Shelf | None = None
    ) -> None:
        self._library, self._runs, self._visits = library, runs, visits
        self._painting, shelf = painting or Painting(), shelf or Shelf.of_user()
        self._thumbnail = lru_cache(maxsize=THUMBNAILS_KEPT)(self._make_thumbnail)
        self._atlases = {
            name: Atlas(library.first, library.databases.get(name), self._painting, lambda: runs.count == 0, shelf)
            for name in library.databases or ("",)
        }
        Thread(target=self._warm_up, name="background").start()

    # -----------------------------------------------------------------------------------------------------------------
    # One picture

    def begun(self, number: int, prompt: str) -> Update:
        """Answers a click, before there is anything to see."""
        return Update(number, 0, "streaming", prompt=prompt, grid=self._library.grid)

    def setting_out(self, kept: Kept, steps: int) -> Update:
        """Answers a click on going on from a kept run, with its picture up to there."""
        trace, number = kept.trace, self._runs.number()
        return Update(number, 0, "streaming", "", trace.prompt, steps, trace.grid, kept.picture)

    def preview(self, number: int, plan: Plan, steps: Sequence[StepRecord], message: str = "") -> Update:
        """The picture as far as it is drawn; message: what is said of the rest."""
        backend = self._library.backend(plan.asked.model)
        codes = pictures.continued_grid([step.code for step in steps], backend.grid)
        picture = pictures.encoded(self._painting.picture(backend, codes), PREVIEW_QUALITY)
        count = len(steps)
        return Update(number, PREVIEWS + count, "streaming", message, plan.prompt, count, backend.grid, picture)

    def preview_seconds(self, model: str, count: int = 1) -> float:
        """How long a preview of so many pictures takes, 0 while that is not known."""
        return count * self._painting.seconds(self._library.backend(model))

    def progress(self, number: int, plan: Plan, steps: Sequence[StepRecord], message: str) -> Update:
        """How far it has come between two previews."""
        count, grid = len(steps), self._library.backend(plan.asked.model).grid
        return Update(number, PREVIEWS + count, "streaming", message, plan.prompt, count, grid)

    def making(self, number: int, plan: Plan, steps: Sequence[StepRecord], seconds: float) -> Update:
        """All codes are there; their picture takes so many seconds."""
        message = f"Making the picture from its codes, which takes about {time_in_words(seconds)}."
        told = self.progress(number, plan, steps, message)
        return replace(told, number=told.number + 1)

    def waiting(self, number: int, prompt: str, words: str, said: int) -> Update:
        """What is to be known by somebody who waits, for the said-th time."""
        return Update(number, said, "streaming", words, prompt, grid=self._library.grid)

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

    def broken_off(self, shown: Update, error: Exception) -> Update:
        """The end of a run that something ended before it was done; what was drawn is there, to be gone on with."""
        return replace(shown, state="stopped", message=sentences(_sentence(error_message(error)), shown.message))

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
        return self._painting.picture(arrivals.decoder_of(trace, self._library.backends), codes)

    def seen(self, visitor: str, kept: Kept) -> Seen:
        """What a figure of one of its positions shows of a run."""
        trace, sources = kept.trace, self._sources(visitor, kept)
        codes = pictures.continued_grid([step.code for step in trace.steps], trace.grid)
        decode = partial(self._painting.pictures, arrivals.decoder_of(trace, self._library.backends))

        def source(image: int) -> RGB | None:
            data = sources.source(image)
            return None if data is None else pictures.decoded(data)

        return Seen(decode(codes[None])[0], codes, decode, source, trace.prompt, settings_line(kept.asked))

    # -----------------------------------------------------------------------------------------------------------------
    # Several pictures

    def sheet_begun(self, number: int, prompt: str, plan: Batch) -> Sheet:
        """Answers a click on several pictures, and begins them, before there is anything to see."""
        return Sheet(number, 0, "streaming", prompt=prompt, plan=plan, grid=self._library.grid)

    def sheet_waiting(self, sheet: Sheet, words: str, said: int) -> Sheet:
        """A sheet that waits for its turn, for the said-th time."""
        return replace(sheet, number=said, message=words)

    def sheet_progress(self, shown: Sheet, steps: Sequence[Sequence[StepRecord]], message: str) -> Sheet:
        """The preview that was shown last, with what is said of the rest now."""
        drawn, counts = sum(map(len, steps)), self._counts(shown, steps)
        return replace(shown, number=PREVIEWS + drawn, message=message, steps=sum(counts) // len(counts))

    def sheet_making(self, shown: Sheet, steps: Sequence[Sequence[StepRecord]], made: int, said: int) -> Sheet:
        """All codes are there, and so many pictures of them; told for the said-th time."""
        told = self.sheet_progress(shown, steps, f"Making picture {made + 1} of {len(steps)} from its codes.")
        return replace(told, number=told.number + said)

    def sheet_preview(self, sheet: Sheet, steps: Sequence[Sequence[StepRecord]], message: str = "") -> Sheet:
        """All pictures of a sheet as far as they are drawn; message: what is said of the rest."""
        picture, counts = pictures.encoded(self._table(sheet, steps), PREVIEW_QUALITY), self._counts(sheet, steps)
        drawn = sum(map(len, steps))
        mean = sum(counts) // len(counts)
        return replace(
            sheet, number=PREVIEWS + drawn, message=message, steps=mean, counts=counts, picture=picture
        )  # fmt: skip

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
        return pictures.table_of(self._painting.pictures(decoder, grids), len(sheet.plan.across))

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
        file = packing.pack_trace(kept.trace, kept.id, sources, kept.seconds, kept.asked, parent)
        self._atlas_of(kept).want(packing.shown_codes(file))
        return file

    def _sources(self, visitor: str, kept: Kept) -> packing.Pictures:
        """Where the pictures of a run's sources are: in the database it looked into, or else in their codes."""
        name, decoder = kept.asked.database, arrivals.decoder_of(kept.trace, self._library.backends)
        database = self._library.databases_of(visitor).get(name)
        thumbnail = partial(self._thumbnail, name) if name in self._library.databases else None
        decoded = self.decodes(kept.trace)
        found = arrivals.source_pictures(kept.trace, kept.picture, decoder, database, thumbnail, decoded)
        if not self._painting.is_quick(decoder):
            return replace(found, decode=None)  # a patch in its place would take a picture each
        return replace(found, each=self._painting.seconds(decoder))

    def decodes(self, trace: Trace) -> int:
        """How many sources of a trace are decoded for a view of it, where their database is not here."""
        decoder = arrivals.decoder_of(trace, self._library.backends)
        return arrivals.MOST_DECODED if self._painting.is_quick(decoder) else 0

    def _atlas_of(self, kept: Kept) -> Atlas:
        """The atlas of the database of a run, or that of another one, where it has none of its own."""
        return self._atlases.get(kept.asked.database) or next(iter(self._atlases.values()))

    def _atlas(self, visitor: str, kept: Kept) -> bytes:
        """How all codes look in the pictures of the database of a run."""
        decoder, atlas = arrivals.decoder_of(kept.trace, self._library.backends), self._atlas_of(kept)
        if isinstance(decoder, arrivals.PlainColours):
            return decoder.atlas()
        database = self._library.databases_of(visitor).get(kept.asked.database)
        shared = kept.asked.database in self._atlases
        if database is not None and not shared and len(database.images) <= OWN_LOOKS:
            others = None if self._painting.is_quick(decoder) else atlas.looks
            return looks_of(decoder, database, others).encoded()
        return atlas.encoded()

    def _warm_up(self) -> None:
        """Make looks, and thumbnails of the first database, before the first visitor has to wait for them."""
        try:
            for atlas in self._atlases.values():
                atlas.make()
            for name, database in list(self._library.databases.items())[:1]:
                for image in database.images[:THUMBNAILS_KEPT]:
                    self._thumbnail(name, int(image))
        except DatabaseError as error:  # of one elsewhere, which does not answer now
            logger.warning("looks and thumbnails wait until they are asked for: %s", error)

    def forget(self) -> None:
        """Drop the pictures that are remembered, which may be those of somebody who has left."""
        self._painting.forget()

    def _make_thumbnail(self, name: str, image: int) -> RGB | None:
        """Small picture of an image of a database of all; remembered."""
        return pictures.thumbnail_of(self._library.databases[name], image)


def _sentence(text: str) -> str:
    """A message with a stop behind it."""
    return text if text.endswith((".", "!", "?")) else f"{text}."


def error_message(error: Exception) -> str:
    """What a visitor reads; what was not foreseen goes to the log and is not shown."""
    if isinstance(error, ArragError):
        return str(error)
    logger.exception("a run failed", exc_info=error)
    return "Something went wrong on the server. Try again; if it stays, reload the page or connect anew."
