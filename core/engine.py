"""The decoding loop: model, neighbours, blend, draw, record; one code per prompt and turn, from any position on."""

from __future__ import annotations

import time
from collections.abc import Generator, Hashable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

import numpy as np

from .backends.complete import complete, drafting, prompt_limit, settling
from .backends.protocol import Backend, Decoding, Settling, SmallBackend
from .context import retrieving_positions
from .drafts import Forecast, Passes
from .guidance import guide
from .inputs.prompt import clean_prompt
from .lookup import Trail, active, look_up, remember
from .patches.following import check_following
from .patches.protocol import Database, check_caption_encoder
from .snapshots import Memory, remembered, resume
from .ties import Drawn, draw
from .trace import Trace
from .types import (
    Change,
    ConfigError,
    DecodeSettings,
    FaidStep,
    FloatArray,
    IntArray,
    Neighbours,
    Retrieval,
    Seconds,
    Skipped,
    StepRecord,
    check_changes,
    neighbours_of,
    settings_at,
)

Step = tuple[StepRecord, ...]
Steps = Generator[Step, None, None]


@dataclass(frozen=True, slots=True)
class Request:
    """One picture: what to draw, with which model and settings, and the database for methods that retrieve.

    changes: what differs from the settings at some positions; codes: those of the first positions, given and not drawn;
    memory: what is remembered of other pictures of whoever asks, so that codes which these share are not read anew;
    likely: codes of the first positions that are good guesses, such as those of the picture that this one branches
    from, which save time and change nothing.
    """

    backend: SmallBackend
    database: Database | None
    prompt: str
    settings: DecodeSettings
    changes: tuple[Change, ...] = ()
    codes: tuple[int, ...] = ()
    memory: Memory | None = None
    likely: tuple[int, ...] = ()

    @property
    def pass_key(self) -> tuple[Hashable, ...]:
        """What decides how the model runs, where nothing has changed yet."""
        settings = self.settings
        blends = (settings.faid_neighbours, settings.record_unblended) if settings.blends else ()
        return (id(self.backend), settings.cfg_scale != 1, settings.negative_share > 0, *blends)

    def batch_key(self, first: int) -> tuple[Hashable, ...]:
        """How the model runs from position `first` on; requests with an equal one are rows of one batch."""
        return tuple((begin, self.at(begin).pass_key) for begin in self.cuts(first))

    def cuts(self, first: int) -> tuple[int, ...]:
        """Where from `first` on the model has to read the codes so far: there, and where the settings change."""
        news = {change.position for change in self.changes if change.settings is not None}
        return (first, *sorted(position for position in news if first < position < self.backend.grid.positions))

    def at(self, position: int) -> Request:
        """The request with the settings of a position."""
        return replace(self, settings=settings_at(self.settings, self.changes, position))

    @property
    def past(self) -> Memory | None:
        """What is remembered of pictures with the same keys and values; None without a memory, and with blenders."""
        model, settings = complete(self.backend), self.settings
        if self.memory is None or settings.blends:
            return None
        prompt = clean_prompt(self.prompt, prompt_limit(self.backend))
        weights = (model.fingerprint, model.faid, model.description)
        return self.memory.about((weights, prompt, settings.cfg_scale != 1, settings.negative_share > 0))

    def unread(self, first: int) -> int:
        """How many of the codes before a position the model has to read before it can go on there."""
        past = self.at(first).past
        return first - (past.knows(np.array(self.codes[:first], np.int64)) if past else 0)

    @property
    def segment_key(self) -> tuple[Hashable, ...]:
        """What the segment of the database that may be retrieved from depends on."""
        settings = self.settings
        if not settings.retrieves:
            return ()
        prompt = self.prompt if settings.caption_filter else ""
        return (id(self.database), settings.styles, settings.caption_filter, prompt)


def decode(
    backend: SmallBackend,
    database: Database | None,
    prompts: Sequence[str],
    settings: DecodeSettings | None = None,
    changes: Sequence[Change] = (),
    codes: Sequence[int] = (),
    first: int = 0,
) -> Steps:
    """Generate one image per prompt; yields, for every position from `first` on, one record per prompt.

    Row i draws with seed + i (modulo 2^32), so it equals a run of its own with that seed. Closing the generator cancels
    the run. settings: None takes those that the model draws well with; changes: what differs from them at some
    positions. codes: those of the first positions, given instead of drawn; the ones before `first` are read in one
    pass, as what the method at `first` makes of them, and have no records. So a branch at position p is `decode` with
    another change, `codes` of its parent and `first=p`; a run that was interrupted goes on in the same way; and an
    image is inspected with `codes` alone.

    Where the settings change, the model reads the codes so far anew. Raises ConfigError at once for a bad prompt, for
    changes or codes that do not fit, and when the settings ask for a database or for FAiD weights that are not there.
    """
    settings = settings or complete(backend).defaults
    asked = Request(backend, database, "", settings, tuple(changes), tuple(codes))
    _check(asked, first)
    seeds = [(settings.seed + row) % 2**32 for row in range(len(prompts))]
    return _batch(
        backend, [_reseeded(replace(asked, prompt=prompt), seed) for prompt, seed in zip(prompts, seeds, strict=True)],
        first,
    )  # fmt: skip


def generate(
    backend: SmallBackend,
    database: Database | None,
    prompt: str,
    settings: DecodeSettings | None = None,
    changes: Sequence[Change] = (),
) -> Trace:
    """One picture, drawn to its end: its trace. Arguments and errors as in `decode`."""
    settings = settings or complete(backend).defaults
    records = [step[0] for step in decode(backend, database, [prompt], settings, changes)]
    return Trace.record(backend, database, prompt, settings, records, changes)


def decode_together(requests: Sequence[Request], first: int = 0) -> Steps:
    """Generate one image per request, position by position; yields, for each from `first` on, one record per request.

    Every image equals a run of its own with the request's seed, changes and codes. Requests that differ only in what
    happens outside of the model are rows of one batch, the others take turns. Otherwise as `decode`; ConfigError, too,
    when the token grids of the models differ.
    """
    if len({request.backend.grid for request in requests}) != 1:
        raise ConfigError(f"requests: got {len(requests)} of different grids, expected at least one, all of one grid")
    groups: dict[tuple[Hashable, ...], list[int]] = {}
    for number, request in enumerate(requests):
        _check(request, first)
        groups.setdefault(request.batch_key(first), []).append(number)
    batches = [[requests[number] for number in numbers] for numbers in groups.values()]
    with ExitStack() as begun:
        runs = [begun.enter_context(closing(_batch(batch[0].backend, batch, first))) for batch in batches]
        begun.pop_all()  # from here on the runs are closed by what takes turns
    return _started(_in_turns(runs, np.argsort(np.concatenate(list(groups.values())))))


def _started(steps: Steps) -> Steps:
    """A generator that has run to its first, empty yield: closing it ends what it holds even if it is never asked."""
    next(steps)
    return steps


def _in_turns(runs: Sequence[Steps], order: IntArray) -> Steps:
    """Several batches, one position of each after the other; order: [B] where each request is among their rows."""
    try:
        yield ()
        for steps in zip(*runs, strict=True):
            rows = [record for step in steps for record in step]
            yield tuple(rows[place] for place in order)
    finally:
        for run in runs:
            run.close()


@dataclass(frozen=True, slots=True)
class _Part:
    """Positions first..end-1 of a run, in which no settings change and which are decoded with one state of the model.

    rows: what each picture asks for here; views: the part of the database that each may retrieve from, None where
    nothing is retrieved.
    """

    rows: Sequence[Request]
    views: Sequence[Database | None]
    first: int
    end: int

    @property
    def settings(self) -> DecodeSettings:
        """Those of the first row: as far as the model is concerned, they are those of all rows."""
        return self.rows[0].settings if self.rows else DecodeSettings()

    @property
    def pasts(self) -> list[Memory | None]:
        """What is remembered for each row."""
        return [row.past for row in self.rows]


@dataclass(frozen=True, slots=True)
class _Sequences:
    """What parts hand on: codes [B, S], of which those to come are filled in, and what is fixed for all positions.

    given: how many of the first codes of each row are not drawn; changes: those of each row by position.
    """

    codes: IntArray
    given: Sequence[int]
    changes: Sequence[Mapping[int, Change]]

    def known(self) -> IntArray:
        """Codes [B, S] that are given or that a change says, -1 where one is drawn."""
        codes = np.full_like(self.codes, -1)
        for row, (given, changes) in enumerate(zip(self.given, self.changes, strict=True)):
            codes[row, :given] = self.codes[row, :given]
            for position, change in changes.items():
                codes[row, position] = codes[row, position] if change.code is None else change.code
        return codes


def _batch(backend: SmallBackend, requests: Sequence[Request], first: int) -> Steps:
    """The run of requests that share every pass of the model, from position `first` on."""
    model, limit = complete(backend), prompt_limit(backend)
    requests = [replace(request, backend=model, prompt=clean_prompt(request.prompt, limit)) for request in requests]
    parts = _parts(requests, first)
    if any(part.settings.blends for part in parts) and model.faid is None:
        raise ConfigError(f"backend {model.name}: got no FAiD weights, expected some; take method model or daid")
    codes = np.zeros((len(requests), model.grid.positions), np.int64)
    for row, request in zip(codes, requests, strict=True):
        row[: len(request.codes)] = request.codes
    changes = [{change.position: change for change in request.changes} for request in requests]
    state = _start(model, parts[0]) if parts else None  # which checks the prompts
    given = [len(request.codes) for request in requests]
    return _started(_run(model, parts, state, _Sequences(codes, given, changes)))


def _check(request: Request, first: int) -> None:
    """Raise ConfigError unless changes and codes fit the model, and the codes cover the positions before `first`."""
    check_changes(request.settings, request.changes, request.backend.grid, request.backend.codebook.size)
    _check_codes(request.codes, first, request.backend)
    _check_codes(request.likely, 0, request.backend)


def _reseeded(request: Request, seed: int) -> Request:
    """The request with another seed, which no change of it changes."""
    settings = [None if change.settings is None else replace(change.settings, seed=seed) for change in request.changes]
    changes = [replace(change, settings=new) for change, new in zip(request.changes, settings, strict=True)]
    return replace(request, settings=replace(request.settings, seed=seed), changes=tuple(changes))


def _check_codes(codes: Sequence[int], first: int, backend: SmallBackend) -> None:
    """Raise ConfigError unless the given codes fit the model, and cover the positions before `first`."""
    if not 0 <= first <= len(codes) <= backend.grid.positions:
        expected = f"expected {first} to {backend.grid.positions}, for those before the first position"
        raise ConfigError(f"codes: got {len(codes)} given codes, {expected}")
    if len(codes) and not 0 <= min(codes) <= max(codes) < backend.codebook.size:
        raise ConfigError(f"codes: got {min(codes)}..{max(codes)}, expected 0..{backend.codebook.size - 1}")


def _parts(requests: Sequence[Request], first: int) -> list[_Part]:
    """The positions from `first` on, cut where the settings change, which is at the same ones for all rows."""
    if not requests:
        return []
    parts = []
    for begin, end in pairwise((*requests[0].cuts(first), requests[0].backend.grid.positions)):
        rows = [request.at(begin) for request in requests]
        parts.append(_Part(rows, _views(rows), begin, end))
    return [part for part in parts if part.first < part.end]


def _views(rows: Sequence[Request]) -> list[Database | None]:
    """What each row may retrieve from; equal ones are made once, so that rows share their caches."""
    views: dict[tuple[Hashable, ...], Database | None] = {}
    for row in rows:
        if (name := row.segment_key) not in views:
            views[name] = _view(row)
    return [views[row.segment_key] for row in rows]


def _start(backend: Backend, part: _Part) -> Decoding:
    """A new state of the model for a part."""
    settings, prompts = part.settings, [row.prompt for row in part.rows]
    features = settings.faid_neighbours if settings.blends else 0
    return backend.start(prompts, settings.cfg_scale != 1, features, settings.negative_share > 0)


def _view(request: Request) -> Database | None:
    """The part of the database that a request may retrieve from; None where nothing is retrieved."""
    backend, database, settings = complete(request.backend), request.database, request.settings
    if not settings.retrieves:
        return None
    if database is None:
        raise ConfigError(f"database: got none, expected one for method {settings.method}; or take method model")
    if database.codebook.fingerprint != backend.codebook.fingerprint or database.grid != backend.grid:
        raise ConfigError(f"database: made for another codebook or grid than backend {backend.name}; build it again")
    check_following(database, settings)
    view = database.with_styles(settings.styles)
    if settings.caption_filter == 0:
        return view
    check_caption_encoder(database, backend.caption_encoder)
    vector = backend.embed_captions([request.prompt])[0]
    chosen = view.nearest_captions(vector, settings.caption_filter)
    each = len(retrieving_positions(view.context, view.grid))
    return view if len(chosen) * each == len(view) else view.subset(chosen)


def _run(backend: Backend, parts: Sequence[_Part], state: Decoding | None, sequences: _Sequences) -> Steps:
    """One part after the other, each with a state of its own; that of the first is there already.

    Begins with an empty step, see `_started`.
    """
    decoding = state
    try:
        yield ()
        for part in parts:
            decoding = decoding or _start(backend, part)
            trail: Trail = [{} for _ in part.rows]
            if part.first:
                _catch_up(decoding, part, sequences, trail)
            with remembered(decoding, part.pasts, sequences.codes):
                yield from _decode(decoding, part, sequences, trail)
            decoding.close()
            decoding = None
    finally:
        if decoding is not None:
            decoding.close()


def _catch_up(decoding: Decoding, part: _Part, sequences: _Sequences, trail: Trail) -> None:
    """Bring a new state to the first position of a part: from what is remembered of each row, or by reading codes."""
    codes = sequences.codes[:, : part.first]
    resumed = resume(decoding, part.pasts, codes)
    replayed = _replayed(part, sequences, trail, part.settings.blends and not resumed)
    if not resumed:
        decoding.replay(codes, replayed)


def _replayed(part: _Part, sequences: _Sequences, trail: Trail, blended: bool) -> list[list[Neighbours | None]] | None:
    """What the blenders of a part get at the positions before it, None unless blended; and the trail to there.

    Both are as if the part had begun with the picture, so that a run that goes on follows what it would have followed.
    """
    ways = {row.settings.follow for row in part.rows}
    if blended or "near" in ways:
        first = 0
    else:  # exact answers do not depend on those before them: those that are followed from here are enough
        first = part.first if ways == {"off"} else max(0, part.first - part.rows[0].backend.grid.width)
    answers = [_retrieve_all(part, sequences, position, trail) for position in range(first, part.first)]
    return [[active(answer) for answer in row] for row in answers] if blended else None


def _decode(decoding: Decoding, part: _Part, sequences: _Sequences, trail: Trail) -> Steps:
    """The one loop. Retrieval reads the codes so far; the trail and the passes follow from them and from the seed:
    nothing else carries over."""
    settings, known = [row.settings for row in part.rows], sequences.known()
    passes = _passes(decoding, part, known)
    for position in range(part.first, part.end):
        begin = time.perf_counter()
        answers = _retrieve_all(part, sequences, position, trail)
        searched = time.perf_counter()
        passes.ask(position, part.views, [active(answer) for answer in answers])
        logits, others = _predict(decoding, answers, settings)
        predicted = time.perf_counter()
        drawn = _draw_all(decoding, part, sequences.codes[:, :position], known[:, position], logits, answers)
        chosen = np.array([one.code for one in drawn], np.int64)
        blends = _blends(decoding, chosen, others) if part.settings.blends else [None for _ in drawn]
        seconds = Seconds(predicted - searched, searched - begin, time.perf_counter() - predicted)
        sequences.codes[:, position] = chosen
        guess, begins = passes.took(position, chosen)
        yield tuple(
            StepRecord(position, one.logits, answer, one.code, blend, seconds, None, guess, begins, one.settled)
            for one, answer, blend in zip(drawn, answers, blends, strict=True)
        )
        decoding.append(chosen)


def _passes(decoding: Decoding, part: _Part, known: IntArray) -> Passes:
    """The passes of a part: one picture guesses ahead, several share each pass; with blenders each position has one."""
    settings = [row.settings for row in part.rows]
    model = None if part.settings.blends else drafting(decoding)
    forecast = None
    if model is not None and len(settings) == 1 and model.draft_length:
        outlook = model.outlook()
        logits = np.zeros((known.shape[1], part.rows[0].backend.codebook.size), np.float32)
        likely = np.full(known.shape[1], -1)
        likely[: len(part.rows[0].likely)] = part.rows[0].likely
        forecast = Forecast(logits if outlook is None else guide(outlook, settings)[0], likely, settings[0])
    return Passes(model, settings, known, part.end, forecast)


@dataclass(frozen=True, slots=True)
class _Others:
    """Guided logits [B, V] that were not drawn from: had nothing been retrieved here, and without the blenders."""

    blank: FloatArray
    unblended: FloatArray


def _predict(
    decoding: Decoding, answers: Sequence[Retrieval | Skipped], settings: Sequence[DecodeSettings]
) -> tuple[FloatArray, _Others | None]:
    """Guided logits [B, V] of the next codes and, if asked for, what else is recorded of blenders."""
    if not settings[0].blends:
        return guide(decoding.logits(None), settings), None
    others = decoding.counterfactuals() if settings[0].record_unblended else None
    features = [active(answer) for answer in answers]
    predicted = decoding.logits(features)
    logits = guide(predicted, settings)
    if others is None:
        return logits, None
    # the other rows of guidance never have blenders, so they are the same ones
    blank, unblended = (guide(replace(predicted, conditional=conditional), settings) for conditional in others)
    nothing = np.array([not found for found in features])
    blank[nothing] = logits[nothing]  # the same pass, free of the rounding of another batch
    return logits, _Others(blank, unblended)


def _blends(decoding: Decoding, chosen: IntArray, others: _Others | None) -> Sequence[FaidStep]:
    """What the blenders did, with the logits that were not drawn from if those were asked for."""
    blends = decoding.blends(chosen)
    if others is None:
        return blends
    rows = zip(blends, others.blank, others.unblended, strict=True)
    return [replace(blend, blank=blank.copy(), unblended=bare.copy()) for blend, blank, bare in rows]


def _retrieve_all(part: _Part, sequences: _Sequences, position: int, trail: Trail) -> list[Retrieval | Skipped]:
    """What every prompt retrieves at a position, weighed by the change that is made there; it becomes their trail."""
    rows = zip(part.views, sequences.codes, part.rows, trail, strict=True)
    answers = [look_up(view, codes, position, row.settings, found) for view, codes, row, found in rows]
    changes = [changes.get(position) for changes in sequences.changes]
    weighed = [_weighed(answer, change) for answer, change in zip(answers, changes, strict=True)]
    for row, answer, found in zip(part.rows, weighed, trail, strict=True):
        if row.settings.follow != "off":
            remember(found, position, answer, row.backend.grid.width)
    return weighed


def _weighed(answer: Retrieval | Skipped, change: Change | None) -> Retrieval | Skipped:
    """An answer with the factors of a change on its neighbours."""
    if change is None or not isinstance(answer, Retrieval):
        return answer
    return replace(answer, neighbours=change.weighed(answer.neighbours))


def _draw_all(
    decoding: Decoding,
    part: _Part,
    codes: IntArray,
    known: IntArray,
    logits: FloatArray,
    found: Sequence[Retrieval | Skipped],
) -> list[Drawn]:
    """What each row takes after its codes [B, n]: the one that is known [B], or the one that its noise draws."""
    model = None if part.settings.blends else settling(decoding)
    drawn = []
    for row, asked in enumerate(part.rows):
        own = logits[row].copy()  # so that a kept record does not hold on to those of the others
        settle = None if model is None else partial(_settle, model, row, codes[row], asked.settings)
        if known[row] >= 0:
            drawn.append(Drawn(own, int(known[row])))
        else:
            drawn.append(draw(own, neighbours_of(found[row]), asked.settings, codes.shape[1], settle))
    return drawn


def _settle(model: Settling, row: int, codes: IntArray, settings: DecodeSettings) -> FloatArray:
    """Guided logits [V] of a row after its codes [n], whichever way these came."""
    logits: FloatArray = guide(model.settled(row, codes), [settings])[0]
    return logits
