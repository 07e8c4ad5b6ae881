"""What the server holds: models and databases, loaded once, and the runs that visitors have under way."""

from __future__ import annotations

import itertools
import logging
import os
import secrets
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import numpy as np

from app import arrivals, branches, own, packing, pictures, zerogpu
from app.branches import Onward, Plan
from app.pictures import RGB
from app.plans import MOST_COMPARED, Batch, labels
from app.sheets import Compared, Comparison, Sheet
from app.tour import Recording
from app.views import METHOD_NAMES, Asked, State, Update, notice_of, sentences
from app.visits import Kept, Visits
from core import threads
from core.backends.protocol import Backend
from core.database import Database, PatchDatabase
from core.deployment import Deployment
from core.engine import Request, Step, Steps, decode, decode_together
from core.prompt import clean_prompt
from core.trace import Trace
from core.types import ArragError, Change, CodeArray, ConfigError, DecodeSettings, IntArray, Method, StepRecord

THUMBNAILS_KEPT = 4096
PREVIEW_SECONDS = 0.1
PREVIEW_SHARE = 0.25
"""Previews may cost at most this share of the time, however slow the decoder is."""

Result = TypeVar("Result")
logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Run:
    """One generation that a visitor has under way; one that was superseded ends without leaving anything behind."""

    visitor: str
    number: int
    stopped: threading.Event = field(default_factory=threading.Event)
    superseded: threading.Event = field(default_factory=threading.Event)


class Session:
    """Models and databases, shared by all visitors, and the live runs of each visitor, which nobody else can reach.

    All models share one codebook; the first model and the first database are what a visitor finds chosen.
    """

    def __init__(self, backends: Mapping[str, Backend], databases: Mapping[str, Database]) -> None:
        self.backends, self.databases = backends, databases
        self.grid = next(iter(backends.values())).grid
        self._draw = zerogpu.with_gpu(self._steps, self.grid.positions)
        self._draw_all = zerogpu.with_gpu(self._steps_together, MOST_COMPARED * self.grid.positions)
        self.visits = Visits()
        self.own = own.Collections()
        self._numbers = itertools.count(1)
        self._runs: dict[int, Run] = {}
        self._begun: dict[str, int] = {}
        self._lock = threading.Lock()
        self._thumbnail = lru_cache(maxsize=THUMBNAILS_KEPT)(self._make_thumbnail)
        self._atlas = in_background(lambda: make_atlas(next(iter(backends.values()))))
        in_background(self._warm_up)

    @classmethod
    def load(cls) -> Session:
        """What the environment asks for, or all that ships in assets/; ArragError says what is missing."""
        threads.pin()
        return cls(*Deployment.from_environment(os.environ, zerogpu.pixels_device()).load())

    @property
    def styles(self) -> tuple[str, ...]:
        """Art styles that databases can be filtered by."""
        return tuple(sorted({style for database in self.databases.values() for style in database.styles}))

    @property
    def methods(self) -> tuple[Method, ...]:
        """Methods that everybody can choose."""
        return self._methods_over(self.databases)

    def methods_of(self, visitor: str) -> tuple[Method, ...]:
        """Methods that a visitor can choose, who may have brought the only database that there is."""
        return self._methods_over(self.databases_of(visitor))

    def _methods_over(self, databases: Mapping[str, Database]) -> tuple[Method, ...]:
        """Those with retrieval only when there is a database, those with blenders only when a model has some."""
        if not databases:
            return ("model",)
        blenders = any(backend.faid for backend in self.backends.values())
        return tuple(method for method in METHOD_NAMES if blenders or not method.startswith("faid"))

    def choices(self, visitor: str) -> dict[str, tuple[str, ...]]:
        """What a visitor can choose from, by the name of what they choose."""
        databases = tuple(self.databases_of(visitor))
        methods = self.methods_of(visitor)
        return {"model": tuple(self.backends), "database": databases, "method": methods, "styles": self.styles}

    @property
    def start(self) -> Asked:
        """What a visitor finds chosen: the first model and database, and settings that these can do."""
        name, database = next(iter(self.databases.items()), ("", None))
        settings = DecodeSettings() if database else DecodeSettings(method="model")
        refused = database.refuses if database else {}
        nothing = {field: type(getattr(settings, field))() for field in refused}
        return Asked(next(iter(self.backends)), name, replace(settings, **nothing))

    def databases_of(self, visitor: str) -> dict[str, Database]:
        """What a visitor can choose from: the databases of all, then those of the pictures that they brought."""
        return {**self.databases, **self.own.databases(visitor)}

    def begin(self, visitor: str, prompt: str) -> Update:
        """Answer a click at once; older ones of this visitor end, also those that still wait for their turn."""
        self._supersede(visitor)
        number = self._begun[visitor] = next(self._numbers)
        return Update(number, 0, "streaming", prompt=prompt, grid=self.grid)

    def stop(self, visitor: str) -> None:
        """End what this visitor has under way, if there is anything; it still delivers what was drawn."""
        for run in self._under_way(visitor):
            run.stopped.set()

    def _supersede(self, visitor: str) -> None:
        """End what this visitor has under way, as there is something newer; nothing of it is kept."""
        for run in self._under_way(visitor):
            run.superseded.set()
            run.stopped.set()

    def _under_way(self, visitor: str) -> list[Run]:
        """The live runs of a visitor."""
        with self._lock:
            return [run for run in self._runs.values() if run.visitor == visitor]

    def draw(
        self, visitor: str, prompt: str, asked: Callable[[], Asked], beside: bool = False, begun: int | None = None
    ) -> Iterator[Update]:
        """Generate one picture: updates while it is being drawn, then one with the trace; errors are updates too.

        `asked` makes the request from what the visitor entered, so that its errors are told like all others. beside:
        what the visitor has under way goes on, as scripts expect; on the page a newer picture ends it. begun: number of
        the update that answered the click; nothing is drawn after a newer one.
        """
        if begun is not None and begun < self._begun.get(visitor, 0):
            return
        yield from self.carry_out(visitor, lambda: Plan(clean_prompt(prompt), asked()), beside)

    def branch(self, visitor: str, run: str, change: Change, beside: bool = False) -> Iterator[Update]:
        """Draw another picture from a kept one, with a change at one of its positions; beside: see `draw`."""
        yield from self.carry_out(visitor, lambda: branches.branch(self._source(visitor, run), change), beside)

    def go_on(self, visitor: str, run: str, how: Onward, code: int | None = None) -> Iterator[Update]:
        """Go on with a paused picture; code: taken for the next patch."""
        yield from self.carry_out(visitor, lambda: branches.onward(self._source(visitor, run), how, code))

    def _source(self, visitor: str, run: str) -> Kept:
        """A run that another one is to start from; ConfigError when what it looked into is not here any more."""
        found = self.visits.find(visitor, run)
        database = self.databases_of(visitor).get(found.asked.database)
        if found.trace.origin.database and not (database and arrivals.holds(database, found.trace)):
            raise ConfigError("database: what this picture looked into is not here any more; draw another picture")
        return found

    def carry_out(self, visitor: str, plan: Callable[[], Plan], beside: bool = False) -> Iterator[Update]:
        """Do what a plan says: updates while the picture is being drawn, then one with the trace, or with an error."""
        if not beside:
            self._supersede(visitor)
        run = self._open(visitor)
        try:
            yield from self._updates(visitor, run, plan())
        except Exception as error:
            yield Update(run.number, 1_000_000, "error", message=error_message(error))
        finally:
            self._close(run)

    def _open(self, visitor: str) -> Run:
        """Register a new run."""
        run = Run(visitor, next(self._numbers))
        with self._lock:
            self._runs[run.number] = run
        return run

    def _close(self, run: Run) -> None:
        """Forget a run that is over."""
        with self._lock:
            del self._runs[run.number]

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
        database = self._database(asked, theirs) if retrieves else None
        yield from decode(self.backends[asked.model], database, [prompt], asked.settings, changes, codes, first)

    def _steps_together(self, prompt: str, asked: Sequence[Asked], theirs: Mapping[str, PatchDatabase]) -> Steps:
        """Draw several pictures in the same way."""
        yield from decode_together([self._request(prompt, one, theirs) for one in asked])

    def _updates(self, visitor: str, run: Run, plan: Plan) -> Iterator[Update]:
        """Previews at their pace, then the final update; the finished run is kept for its visitor."""
        started = time.perf_counter()
        steps: list[StepRecord] = list(plan.steps)
        ahead: StepRecord | None = None
        backend = _one_of(self.backends, "model", plan.asked.model)
        database = self.database_of(visitor, plan.asked) if plan.retrieves else None
        settings, codes = plan.asked.settings, plan.codes
        theirs = self._theirs(visitor, [plan.asked])
        records = self._draw(plan.asked, theirs, plan.retrieves, plan.prompt, plan.changes, codes, len(plan.steps))
        with closing(_paced(records)) as paced:
            for (record,), due in paced:
                if steps and (run.stopped.is_set() or len(steps) == plan.pause):
                    ahead = record
                    break
                steps.append(record)
                if due:
                    yield self._preview(run, plan, steps, backend)
        if run.superseded.is_set():
            return

        def recorded(records: list[StepRecord]) -> Trace:
            return Trace.record(backend, database, plan.prompt, settings, records, plan.changes, len(plan.given))

        seconds = plan.seconds + time.perf_counter() - started
        kept = self._kept(plan, recorded(steps), recorded([*steps, ahead]) if ahead else None, seconds)
        self.visits.keep(visitor, kept, plan.replaces)
        yield self._shown(run.number, kept, visitor)

    def begin_together(self, visitor: str, prompt: str) -> Sheet:
        """Answer a click at once; an older run of this visitor ends."""
        self.stop(visitor)
        return Sheet(next(self._numbers), 0, "streaming", prompt=prompt, grid=self.grid)

    def draw_compared(self, visitor: str, prompt: str, plan: Callable[[], Batch]) -> Iterator[Sheet | Comparison]:
        """Generate a few pictures of one prompt together, keep them, and end with their comparison."""
        for sheet in self.draw_together(visitor, prompt, plan):
            yield self._comparison(visitor, sheet.run, sheet.runs, sheet.message) if sheet.runs else sheet

    def draw_together(
        self, visitor: str, prompt: str, plan: Callable[[], Batch], beside: bool = False
    ) -> Iterator[Sheet]:
        """Generate a few pictures of one prompt together and keep them; the last sheet has them. beside: see `draw`."""
        for sheet in self._sheets_of(visitor, prompt, plan, beside):
            for run in reversed(sheet.runs):  # the first one is then the newest, and stands first where they are listed
                self.visits.keep(visitor, run)
            yield sheet

    def draw_sweep(self, visitor: str, prompt: str, plan: Callable[[], Batch]) -> Iterator[Sheet]:
        """Generate many pictures of one prompt together; only those that are opened later become runs of the visit."""
        for sheet in self._sheets_of(visitor, prompt, plan):
            if sheet.runs:
                self.visits.lay_out(visitor, sheet.runs)
            yield sheet

    def compare(self, visitor: str, runs: object) -> Comparison:
        """Some kept runs of a visitor side by side; what does not work is told in the comparison."""
        number = next(self._numbers)
        try:
            if not isinstance(runs, list) or not 1 <= len(runs) <= MOST_COMPARED:
                raise ConfigError(f"compare: expected 1 to {MOST_COMPARED} pictures; choose them again")
            return self._comparison(visitor, number, [self.visits.find(visitor, str(run)) for run in runs])
        except Exception as error:
            return Comparison(number, 1_000_000, "error", error_message(error))

    def compare_with_parent(self, visitor: str, run: str) -> Comparison:
        """The run that a run branched from, and the run itself."""
        try:
            parent = self.visits.find(visitor, run).parent if run else ""
            if not parent:
                raise ConfigError("parent: the picture in the stepper is no branch of another one; branch it first")
        except ArragError as error:
            return Comparison(next(self._numbers), 1_000_000, "error", error_message(error))
        return self.compare(visitor, [parent, run])

    def open(self, visitor: str, run: str) -> Update:
        """A run for the stepper, and kept if it was on a sheet only; what does not work is told in the update."""
        try:
            self.visits.keep(visitor, self.visits.find(visitor, run))
            return self.show(visitor, run)
        except Exception as error:
            return Update(next(self._numbers), 0, "error", error_message(error))

    def _sheets_of(self, visitor: str, prompt: str, plan: Callable[[], Batch], beside: bool = False) -> Iterator[Sheet]:
        """Generate several pictures: sheets while they are being drawn, then one with the runs; errors are sheets too.

        `plan` makes the plan from what the visitor entered, so that its errors are told like all others.
        """
        if not beside:
            self.stop(visitor)
        run = self._open(visitor)
        try:
            yield from self._sheets(visitor, run, clean_prompt(prompt), plan())
        except Exception as error:
            yield Sheet(run.number, 1_000_000, "error", error_message(error))
        finally:
            self._close(run)

    def _sheets(self, visitor: str, run: Run, prompt: str, plan: Batch) -> Iterator[Sheet]:
        """Previews at their pace, then the finished runs; each is as long as all of them took."""
        started, last = time.perf_counter(), self.grid.positions
        theirs = self._theirs(visitor, plan.asked)
        requests = [self._request(prompt, asked, theirs) for asked in plan.asked]
        sheet = Sheet(run.number, 0, "streaming", "", prompt, plan, 0, self.grid)
        yield sheet
        steps: list[Step] = []
        with closing(_paced(self._draw_all(prompt, plan.asked, theirs))) as paced:
            for step, due in paced:
                steps.append(step)
                if run.stopped.is_set():
                    break
                if due:
                    picture = pictures.encoded(self._sheet_picture(requests[0].backend, steps, plan), quality=75)
                    yield replace(sheet, number=len(steps), steps=len(steps), picture=picture)
        seconds = time.perf_counter() - started
        rows = zip(requests, plan.asked, zip(*steps, strict=True), strict=True)
        runs = [self._drawn(request, asked, records, seconds) for request, asked, records in rows]
        done, count = len(steps) == last, len(steps)
        stopped = "" if done else f"Stopped after {count} of {last} patches of each picture."
        yield replace(
            sheet,
            number=999_999,
            state="ready" if done else "stopped",
            message=sentences(stopped, *dict.fromkeys(notice_of(kept.trace) for kept in runs)),
            steps=count,
            picture=pictures.encoded(self._sheet_picture(requests[0].backend, steps, plan)),
            runs=tuple(runs),
        )

    def _drawn(self, request: Request, asked: Asked, records: Sequence[StepRecord], seconds: float) -> Kept:
        """One of several pictures that were drawn together."""
        trace = Trace.record(request.backend, request.database, request.prompt, request.settings, records)
        return self._kept(Plan(request.prompt, asked), trace, None, seconds)

    def _sheet_picture(self, backend: Backend, steps: Sequence[Step], plan: Batch) -> RGB:
        """All pictures as far as they are drawn, in the rows of the plan."""
        drawn = [[record.code for record in records] for records in zip(*steps, strict=True)]
        grids = np.stack([pictures.continued_grid(codes, self.grid) for codes in drawn])
        return pictures.table_of(backend.decode_codes(grids), len(plan.across))

    def _request(self, prompt: str, asked: Asked, theirs: Mapping[str, PatchDatabase]) -> Request:
        """What a visitor asked for, by name, with the model and the database themselves."""
        backend = _one_of(self.backends, "model", asked.model)
        database = self._database(asked, theirs) if asked.settings.retrieves else None
        return Request(backend, database, prompt, asked.settings)

    def _theirs(self, visitor: str, asked: Sequence[Asked]) -> dict[str, PatchDatabase]:
        """Those databases of a visitor's own pictures that some requests ask."""
        wanted = {one.database for one in asked}
        return {name: found for name, found in self.own.databases(visitor).items() if name in wanted}

    def _comparison(self, visitor: str, number: int, runs: Sequence[Kept], message: str = "") -> Comparison:
        """Runs side by side, with their traces; ConfigError for one whose codes no model here can decode."""
        if any(isinstance(arrivals.decoder_of(run.trace, self.backends), arrivals.PlainColours) for run in runs):
            raise ConfigError("compare: got a picture of another codebook than that of the models here; take others")
        compared = [
            Compared(run.id, label, self._packed(visitor, run, None))
            for run, label in zip(runs, labels(runs), strict=True)
        ]
        prompts = {run.trace.prompt for run in runs}
        prompt = prompts.pop() if len(prompts) == 1 else ""
        return Comparison(number, 999_999, "ready", message, prompt, tuple(compared), self._atlas.result())

    def database_of(self, visitor: str, asked: Asked) -> Database:
        """The database of a request, without the image that may not be retrieved from."""
        return self._database(asked, self.own.databases(visitor))

    def _database(self, asked: Asked, theirs: Mapping[str, PatchDatabase]) -> Database:
        """The database of a request; theirs: those of the visitor's own pictures."""
        if asked.database in (own.YOURS, own.BOTH) and asked.database not in theirs:
            raise ConfigError("database: your pictures are not here any more; bring them again, or choose another one")
        database = _one_of({**self.databases, **theirs}, "database", asked.database)
        if asked.without < 0:
            return database
        return database.subset(database.images[database.images != asked.without])

    def show(self, visitor: str, run: str, step: int = -1) -> Update:
        """A run that was kept, as the newest thing to look at; ConfigError when it is not there any more."""
        return replace(self._shown(next(self._numbers), self.visits.find(visitor, run), visitor), step=step)

    def has_blenders(self, model: str) -> bool:
        """Whether a model has what FAiD needs."""
        return model in self.backends and self.backends[model].faid is not None

    def refusal(self, error: Exception) -> Update:
        """What the stepper says when something could not be begun."""
        return self.tell(error_message(error))

    def tell(self, message: str) -> Update:
        """Something that the visitor has to know; what is in the stepper stays."""
        return Update(next(self._numbers), 0, "error", message=message)

    def setting_out(self, kept: Kept, steps: int) -> Update:
        """Answer a click on going on from a kept run at once, with its picture up to there."""
        trace = kept.trace
        number = next(self._numbers)
        return Update(number, 0, "streaming", "", trace.prompt, steps, trace.grid, kept.picture)

    def open_file(self, visitor: str, path: Path) -> Update:
        """A trace from a file of the visitor's: it is shown and kept; what cannot be shown becomes a message."""
        self._supersede(visitor)
        try:
            trace = arrivals.read_trace(path)
            databases = self.databases_of(visitor)
            arrivals.check_sources(trace, databases)
            asked, seconds = arrivals.asked_of(trace, self.backends, databases), trace.seconds
            plan = Plan(trace.prompt, asked)
            kept = self._kept(plan, trace, None, seconds.model + seconds.search + seconds.blend)
            shown = self._shown(next(self._numbers), kept, visitor)
            message = arrivals.arrival_message(path.name, trace, self.backends, databases)
        except ArragError as error:
            return self.tell(str(error))
        except Exception as error:  # whatever a hostile file has left to fail on
            logger.warning("a trace could not be shown", exc_info=error)
            return self.tell(f"{path.name}: cannot be shown ({type(error).__name__}); choose another file")
        self.visits.keep(visitor, kept)
        return replace(shown, message=message)

    def bring(self, visitor: str, paths: Sequence[Path]) -> Iterator[own.Progress | own.Brought]:
        """Encode a visitor's pictures into databases of their own: progress, then what came of it.

        Raises ConfigError when none of the files can be taken.
        """
        backend = next(iter(self.backends.values()))
        for read in own.read_pictures(paths, backend.pixels):
            if isinstance(read, own.Progress):
                yield read
                continue
            for encoded in own.encode(backend, read.images):
                if isinstance(encoded, own.Progress):
                    yield encoded
                    continue
                first = next(iter(self.databases.values()), None)
                embedded = first if isinstance(first, PatchDatabase) else None
                self.own.keep(visitor, own.databases_of(backend, read, encoded, embedded))
            yield read

    def recorded(self, visitor: str, recording: Recording) -> Update:
        """A run that was recorded beforehand, for the stepper; no model takes part."""
        self._supersede(visitor)
        return recording.update(next(self._numbers))

    def leave(self, visitor: str) -> None:
        """A visitor has closed the page: the live run ends, and what was kept or brought goes."""
        self._supersede(visitor)
        self._begun.pop(visitor, None)
        self.visits.forget(visitor)
        self.own.forget(visitor)

    def _preview(self, run: Run, plan: Plan, steps: list[StepRecord], backend: Backend) -> Update:
        """The picture as far as it is drawn."""
        grid = backend.grid
        codes = pictures.continued_grid([step.code for step in steps], grid)
        picture = pictures.encoded(backend.decode_codes(codes[None])[0], quality=75)
        return Update(run.number, len(steps), "streaming", "", plan.prompt, len(steps), grid, picture)

    def _kept(self, plan: Plan, trace: Trace, ahead: Trace | None, seconds: float) -> Kept:
        """A finished run, complete or as far as it came."""
        codes = pictures.continued_grid([step.code for step in trace.steps], trace.grid)
        picture = pictures.encoded(arrivals.decoder_of(trace, self.backends).decode_codes(codes[None])[0])
        name, parent = plan.name or trace.prompt, plan.parent
        return Kept(
            secrets.token_urlsafe(16), trace, plan.asked, seconds, picture, name, parent, plan.branch_step, ahead
        )

    def _parent_codes(self, kept: Kept, visitor: str) -> IntArray | None:
        """Codes of the run that a run branched from, while that is kept."""
        return next((run.trace.codes for run in self.visits.runs(visitor) if run.id == kept.parent), None)

    def _shown(self, number: int, kept: Kept, visitor: str) -> Update:
        """The whole trace of a run for the stepper."""
        trace = kept.trace
        grid, count = trace.grid, len(trace.steps)
        packed, atlas = self.packed(visitor, kept)
        paused = f"Paused after {count} of {grid.positions} patches: step through them, or go on."
        message = sentences("" if trace.complete else paused, notice_of(trace))
        state: State = "ready" if trace.complete else "stopped"
        return Update(number, 999_999, state, message, trace.prompt, count, grid, b"", packed, atlas, kept.id)

    def packed(self, visitor: str, kept: Kept) -> tuple[bytes, bytes]:
        """What the stepper needs of a run: the packed trace, and the patch pictures of all codes."""
        file = self._packed(visitor, kept, self._parent_codes(kept, visitor))
        decoder = arrivals.decoder_of(kept.trace, self.backends)
        return file, decoder.atlas() if isinstance(decoder, arrivals.PlainColours) else self._atlas.result()

    def _packed(self, visitor: str, kept: Kept, parent: IntArray | None) -> bytes:
        """The file that the page gets of a run; parent: codes of the run that it branched from."""
        sources = self._sources(visitor, kept)
        return packing.pack_trace(kept.trace, kept.id, sources, kept.seconds, kept.asked, parent)

    def _sources(self, visitor: str, kept: Kept) -> packing.Pictures:
        """Where the pictures of a run's sources are: in the database it looked into, or else in their codes."""
        name = kept.asked.database
        database = self.databases_of(visitor).get(name)
        if database is None or not arrivals.holds(database, kept.trace):
            decoder = arrivals.decoder_of(kept.trace, self.backends)
            return arrivals.decoded_sources(kept.trace, kept.picture, decoder)
        if name in self.databases:
            return packing.Pictures(kept.picture, database.picture, lambda image: self._thumbnail(name, image))
        return packing.Pictures(kept.picture, database.picture, lambda image: small_picture(database, image))

    def codes_of(self, model: str, image: Path) -> CodeArray:
        """Token grid [H, W] of an image file that a visitor brought; ConfigError for what is none."""
        backend = _one_of(self.backends, "model", model)
        codes: CodeArray = backend.encode_images(own.read_picture(image, backend.pixels)[None])[0]
        return codes

    def _warm_up(self) -> None:
        """Make thumbnails of the first database before the first visitor has to wait for them."""
        for name, database in list(self.databases.items())[:1]:
            for image in database.images[:THUMBNAILS_KEPT]:
                self._thumbnail(name, int(image))

    def _make_thumbnail(self, name: str, image: int) -> RGB | None:
        """Small picture of an image of a database of all; remembered."""
        return small_picture(self.databases[name], image)


def small_picture(database: Database, image: int) -> RGB | None:
    """Small picture of an image of a database."""
    picture = database.picture(image)
    return pictures.thumbnail(picture) if picture else None


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


def _one_of(choices: Mapping[str, Result], kind: str, name: str) -> Result:
    """What a visitor chose by name; ConfigError when there is no such thing."""
    if name not in choices:
        raise ConfigError(f"{kind}: got {name!r}, expected one of {', '.join(choices) or 'none'}")
    return choices[name]


def error_message(error: Exception) -> str:
    """What a visitor reads; what was not foreseen goes to the log and is not shown."""
    if isinstance(error, ArragError):
        return str(error)
    logger.exception("a run failed", exc_info=error)
    return "Something went wrong on the server. Try again; if it stays, reload the page or connect anew."


def make_atlas(backend: Backend) -> bytes:
    """Patch pictures of all codes of a backend, as one encoded picture; a few token grids are decoded at a time."""
    size, grid = backend.codebook.size, backend.grid
    grids = pictures.atlas_grids(size, grid)
    images = [backend.decode_codes(grids[start : start + 8]) for start in range(0, len(grids), 8)]
    return pictures.encoded(pictures.atlas_picture(np.concatenate(images), size, grid))


def in_background(work: Callable[[], Result]) -> Future[Result]:
    """Start work in a thread of its own."""
    executor = ThreadPoolExecutor(1, thread_name_prefix="background")
    future = executor.submit(work)
    executor.shutdown(wait=False)
    return future
