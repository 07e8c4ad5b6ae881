"""A recorded generation: saved without pickle, checked when loaded, and everything that can be derived from it."""

from __future__ import annotations

import hashlib
import io
import json
import math
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from core.backends.protocol import Backend
from core.context import Context, entry_places, retrieving_positions
from core.daid import Blend, blend_step, model_distribution
from core.database import Database
from core.draw import LEAST, Distribution, Luck, Rule, UnitInterval, hindsight, race
from core.engine import check_changes, neighbours_of, settings_at, why_unfiltered
from core.prompt import clean_prompt
from core.threads import machine
from core.types import (
    MAX_POSITIONS,
    Change,
    CodeArray,
    DecodeSettings,
    FaidStep,
    FloatArray,
    Grid,
    IntArray,
    Neighbours,
    Retrieval,
    Seconds,
    Skipped,
    StepRecord,
    TraceError,
)

FORMAT = "ar-rag trace"
VERSION = 4
READABLE = (2, 3, 4)
"""Version 2 knows no changes and no given codes; 2 and 3 were drawn by inverse CDF and tell of FAiD less."""
MAX_BYTES = 512 * 2**20
MAX_JSON, MAX_VALUES = 16 * 2**20, 1_000_000
"""Bytes of the JSON part, and lists, objects and values in it: a short text can become gigabytes of empty lists."""
MAX_SOURCES, MAX_NEIGHBOURS = 65536, 2**24


@dataclass(frozen=True, slots=True)
class Source:
    """One image that neighbours came from; codes: its token grid [H, W]."""

    image: int
    caption: str
    style: str
    concept: str
    source: str
    codes: CodeArray


@dataclass(frozen=True, slots=True)
class Origin:
    """Which model and database made a trace, by name and hash; codes: size V of the codebook.

    faid: hash of FAiD's weights, None for a method without it; database: None for method model. machine: version,
    instructions and threads of the arithmetic, None for a trace that does not say; with others, last digits differ.
    """

    backend: str
    model: str
    faid: str | None
    codebook: str
    codes: int
    database: str | None
    context: Context
    machine: str | None = None


@dataclass(frozen=True, slots=True)
class Trace:
    """All that decided an image, position by position; a run that was stopped has fewer steps than positions.

    rule: how the codes were drawn; the noise of "gumbel" follows from seed and position.

    settings: those of the first position; changes: what somebody changed, by position, the settings from there on
    included; given: how many of the first codes were not drawn, but are those of an image; unfiltered: why the caption
    filter did nothing, None when it did its work or was off.
    """

    prompt: str
    settings: DecodeSettings
    origin: Origin
    grid: Grid
    steps: tuple[StepRecord, ...]
    sources: Mapping[int, Source]
    changes: tuple[Change, ...] = ()
    given: int = 0
    unfiltered: str | None = None
    rule: Rule = "gumbel"

    @classmethod
    def record(
        cls,
        backend: Backend,
        database: Database | None,
        prompt: str,
        settings: DecodeSettings,
        steps: Sequence[StepRecord],
        changes: Sequence[Change] = (),
        given: int = 0,
    ) -> Trace:
        """The trace of one prompt's records, with the sources of its neighbours; changes and given as in `decode`.

        The prompt is recorded as it was read, see `clean_prompt`. Raises TraceError for records that are not those of
        the first positions, or that this model and this database cannot have made.
        """
        prompt = clean_prompt(prompt)
        changes = check_changes(settings, changes, backend.grid, backend.codebook.size)
        everything = [settings, *(c.settings for c in changes if c.settings is not None)]
        used = database if any(part.retrieves for part in everything) else None
        _check_records(backend, used, steps)
        origin = Origin(
            backend=backend.name,
            model=backend.fingerprint,
            faid=backend.faid if any(part.blends for part in everything) else None,
            codebook=backend.codebook.fingerprint,
            codes=backend.codebook.size,
            database=used.fingerprint if used else None,
            context=used.context if used else Context(),
            machine=machine(),
        )
        unfiltered = next(filter(None, (why_unfiltered(backend, prompt, part) for part in everything)), None)
        made = cls(
            prompt, settings, origin, backend.grid, tuple(steps), _sources(used, steps), changes,
            min(given, len(steps)), unfiltered,
        )  # fmt: skip
        _check_draws(made)
        return made

    @property
    def complete(self) -> bool:
        """Whether every position has a code."""
        return len(self.steps) == self.grid.positions

    @property
    def codes(self) -> IntArray:
        """The codes [n] that were taken, in raster order."""
        return np.array([step.code for step in self.steps], dtype=np.int64)

    @property
    def codes_sha256(self) -> str:
        """SHA-256 of the codes as little-endian uint16, in hexadecimal: equal for equal pictures of a model."""
        return hashlib.sha256(self.codes.astype("<u2").tobytes()).hexdigest()

    @property
    def all_settings(self) -> tuple[DecodeSettings, ...]:
        """The settings of the first position, and all others that a change brought."""
        return (self.settings, *(change.settings for change in self.changes if change.settings is not None))

    def settings_at(self, position: int) -> DecodeSettings:
        """The settings that a position was decoded with."""
        return settings_at(self.settings, self.changes, position)

    def change_at(self, position: int) -> Change | None:
        """What somebody changed at a position, if anything."""
        return next((change for change in self.changes if change.position == position), None)

    def drawn(self, position: int) -> bool:
        """Whether the code of a position was drawn; if not, somebody chose it, or it is one of an image."""
        change = self.change_at(position)
        return position >= self.given and (change is None or change.code is None)

    def blend(self, position: int) -> Blend:
        """Model, retrieval and blended distribution [V] of a position."""
        step = self.steps[position]
        return blend_step(step.logits, neighbours(step), self.settings_at(position))

    def luck(self, position: int) -> Luck:
        """The randomness of a position: what this run drew its code with, and what any branch of it draws with."""
        u = self.steps[position].u
        if self.rule == "gumbel" or u is None:
            return race(self.settings.seed, position, self.origin.codes)
        return UnitInterval(u)

    def pick(self, position: int) -> int:
        """The code that the luck of a position takes from the blend: the step's, unless that was not drawn."""
        step = self.steps[position]
        return step.code if self.drawn(position) else self.luck(position).draw(self.blend(position).blended)

    def explain(self, position: int) -> Explanation:
        """What decided the code of a position, and what retrieval and blenders each changed there."""
        step, settings = self.steps[position], self.settings_at(position)
        if not self.drawn(position):  # truncation may exclude a code that was not drawn, so it is left aside
            settings = replace(settings, top_k=0, top_p=1.0)
        blend = blend_step(step.logits, neighbours(step), settings)
        nothing, bare = _without(step, blend, settings)
        luck, certain = self.luck(position), nothing if nothing is not None else blend.blended
        if not self.drawn(position) and self.rule == "gumbel" and certain[step.code] >= LEAST:
            luck = hindsight(self.settings.seed, position, certain, step.code)
        return Explanation(blend, nothing, bare, luck)

    @property
    def flips_known(self) -> bool:
        """Whether the trace tells where retrieval changed the code."""
        return all(step.faid is None or step.faid.blank is not None for step in self.steps)

    def flips(self) -> IntArray:
        """Positions where retrieval changed the code that was drawn, without those that do not tell.

        See `Explanation.flip`; codes that were not drawn have `flips_in_hindsight`.
        """
        return self._where(lambda position: self.drawn(position) and self.explain(position).flip)

    def flips_in_hindsight(self) -> IntArray:
        """Positions of codes that were not drawn, where retrieval would have changed them, had the model drawn them."""
        return self._where(lambda position: not self.drawn(position) and self.explain(position).flip)

    def shifts(self) -> IntArray:
        """Positions where the blenders by themselves changed the code that was drawn (see `Explanation.shift`)."""
        return self._where(lambda position: self.drawn(position) and self.explain(position).shift)

    def _where(self, holds: Callable[[int], bool]) -> IntArray:
        """The positions of which something holds."""
        return np.array([step.position for step in self.steps if holds(step.position)], dtype=np.int64)

    def surprise(self) -> FloatArray:
        """-ln of the probability that every code had [n, 2], in nats: for the model, and for what DAiD mixes.

        At temperature 1 and without truncation, so that it is finite; the model is the one with blenders where there
        were some.
        """
        return np.array([self._surprise(step) for step in self.steps], np.float32).reshape(-1, 2)

    def _surprise(self, step: StepRecord) -> tuple[float, float]:
        plain = replace(self.settings_at(step.position), temperature=1.0, top_k=0, top_p=1.0)
        blend = blend_step(step.logits, neighbours(step), plain)
        chances = (blend.model[step.code], blend.blended[step.code])
        model, blended = (-math.log(max(float(chance), 1e-300)) for chance in chances)
        return model, blended

    def provenance(self, position: int) -> tuple[IntArray, IntArray, IntArray]:
        """Image numbers, rows and columns [K] of a position's neighbours."""
        found = neighbours(self.steps[position])
        return entry_places(self.origin.context, self.grid, found.entries if found else np.zeros(0, np.int64))

    @property
    def retrieving_positions(self) -> int:
        """Number of positions that asked the database."""
        return sum(isinstance(step.retrieval, Retrieval) for step in self.steps)

    @property
    def seconds(self) -> Seconds:
        """Time of the whole run, by part."""
        parts = [step.seconds for step in self.steps]
        return Seconds(sum(p.model for p in parts), sum(p.search for p in parts), sum(p.blend for p in parts))

    def save(self, path: Path) -> None:
        """Write one npz file: arrays and, as meta.json, everything else.

        Raises TraceError, and writes nothing, for a trace that `load` would refuse.
        """
        arrays, data = _to_arrays(self), _json_bytes(_to_meta(self))
        _from_parts(_read_json(data), arrays)
        partial = path.with_name(path.name + ".partial")
        try:
            with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr("meta.json", data)
                for name, array in arrays.items():
                    with archive.open(f"{name}.npy", "w") as file:
                        np.lib.format.write_array(file, array, allow_pickle=False)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: Path, max_bytes: int = MAX_BYTES) -> Trace:
        """Read a trace; TraceError says what is wrong with a file that is damaged, hostile or of another version.

        max_bytes: what it may unpack to.
        """
        try:
            with zipfile.ZipFile(path) as archive:
                return _from_archive(archive, max_bytes)
        except TraceError as error:
            raise TraceError(f"{path.name}: {error}") from None
        except OSError as error:
            raise TraceError(f"{path.name}: cannot be read ({error.strerror or 'damaged'}); check the path") from None
        except Exception as error:  # a hostile file can raise whatever zipfile, zlib, json and numpy raise
            raise TraceError(f"{path.name}: not a trace, or damaged ({error}); record it again") from None


@dataclass(frozen=True, slots=True)
class Explanation:
    """What decided the code of one position, as distributions [V], and what the same luck takes from each of them.

    blend: the model as it was, blenders and retrieved features included, the neighbours, and what the code was drawn
    from. nothing: had nothing been retrieved at this position, the blenders, if any, running on blank features; None
    when that was not recorded. bare: without the blenders, too; None without FAiD, or when it was not recorded.
    luck: for a code that was not drawn, noise in hindsight, given that it won under `nothing`; that of the run where it
    cannot have won.
    """

    blend: Blend
    nothing: Distribution | None
    bare: Distribution | None
    luck: Luck

    @property
    def taken(self) -> int:
        """The code that retrieval leads to: the step's where it was drawn."""
        return self.luck.draw(self.blend.blended)

    @property
    def without(self) -> int | None:
        """The code had nothing been retrieved here: the step's where it was not drawn; None when not known."""
        return None if self.nothing is None else self.luck.draw(self.nothing)

    @property
    def unmixed(self) -> int:
        """The code before DAiD mixes: of the model, with what FAiD made of the retrieved features."""
        return self.luck.draw(self.blend.model)

    @property
    def unblended(self) -> int | None:
        """The code with nothing retrieved and no blenders; None without FAiD, or when not known."""
        return None if self.bare is None else self.luck.draw(self.bare)

    @property
    def flip(self) -> bool:
        """Whether retrieval changed the code: with the same luck another one, had nothing been retrieved here."""
        return self.without not in (None, self.taken)

    @property
    def shift(self) -> bool:
        """Whether the blenders by themselves, on blank features, changed the code that the model takes without them."""
        return None not in (self.unblended, self.without) and self.unblended != self.without


def _without(
    step: StepRecord, blend: Blend, settings: DecodeSettings
) -> tuple[Distribution | None, Distribution | None]:
    """The distributions [V] had nothing been retrieved, and without blenders; None where they are not recorded."""
    if step.faid is None:
        return blend.model, None
    nothing, bare = (
        None if logits is None else model_distribution(logits, settings.temperature, settings.top_k, settings.top_p)
        for logits in (step.faid.blank, step.faid.unblended)
    )
    return nothing, bare


def neighbours(step: StepRecord) -> Neighbours | None:
    """The neighbours of a step, if it retrieved."""
    return neighbours_of(step.retrieval)


def entropy(distribution: Distribution) -> float:
    """Entropy in nats."""
    positive = distribution[distribution > 0]
    return float(-(positive * np.log(positive)).sum())


def kl_divergence(p: Distribution, q: Distribution) -> float:
    """KL(p || q) in nats; q is floored at 1e-12, so a code that q excludes counts heavily but finitely."""
    shown = p > 0
    return float((p[shown] * np.log(p[shown] / np.maximum(q[shown], 1e-12))).sum())


def _check_records(backend: Backend, database: Database | None, steps: Sequence[StepRecord]) -> None:
    """TraceError unless the records are those of the first positions, and of this model and database."""
    if [step.position for step in steps] != list(range(len(steps))) or not 0 < len(steps) <= backend.grid.positions:
        shown = ", ".join(str(step.position) for step in steps[:3])
        raise TraceError(
            f"records: got {len(steps)}, of positions {shown or 'none'}..., expected those of 0, 1, 2 and so on to "
            f"{backend.grid.positions - 1} at most; put those of the parent before those of a branch"
        )
    codes = backend.codebook.size
    for step in steps:
        if step.u is not None:
            raise TraceError("records: got one that was drawn by an older version; give its code instead")
        if step.logits.shape != (codes,) or not 0 <= step.code < codes:
            raise TraceError(f"records: got code {step.code} of {len(step.logits)}, expected those of {codes} codes")
        if (found := neighbours(step)) and not _holds(database, found.entries):
            raise TraceError(
                f"records: got entries {found.entries.min()}..{found.entries.max()} at position {step.position}, "
                "expected those of the database; give the one that the run retrieved from"
            )


def _check_draws(trace: Trace) -> None:
    """TraceError unless the noise of the trace's seed draws its codes; the runs of several prompts have a seed each."""
    for step in trace.steps:
        if not trace.drawn(step.position) or step.u is not None:
            continue
        code = trace.luck(step.position).draw(trace.blend(step.position).blended)
        if code != step.code:
            raise TraceError(
                f"records: got code {step.code} at position {step.position}, but seed {trace.settings.seed} with these "
                f"settings draws {code}; give the settings of the run (row i of several prompts has the seed + i)"
            )


def _holds(database: Database | None, entries: IntArray) -> bool:
    """Whether a database, which may be a view of a larger one, has all of these entries."""
    if database is None or entries.min() < 0:
        return False
    per_image = len(retrieving_positions(database.context, database.grid))
    return bool(np.isin(entries // per_image, database.images).all())


def _sources(database: Database | None, steps: Sequence[StepRecord]) -> dict[int, Source]:
    """The images that the neighbours of these steps came from, by their number."""
    entries = [found.entries for step in steps if (found := neighbours(step)) is not None]
    if database is None or not entries:
        return {}
    images = np.unique(database.provenance(np.unique(np.concatenate(entries)))[0])
    return {int(image): _source(database, int(image)) for image in images}


def _source(database: Database, image: int) -> Source:
    info = database.image_info(image)
    return Source(image, info.caption, info.style, info.concept, info.source, database.image_codes(image))


def _to_meta(trace: Trace) -> dict[str, Any]:
    sources = [{k: v for k, v in asdict(s).items() if k != "codes"} for s in trace.sources.values()]
    return {
        "format": FORMAT,
        "version": VERSION,
        "prompt": trace.prompt,
        "settings": asdict(trace.settings),
        "changes": [asdict(change) for change in trace.changes],
        "given": trace.given,
        "unfiltered": trace.unfiltered,
        "draw": trace.rule,
        "origin": asdict(trace.origin),
        "grid": asdict(trace.grid),
        "skipped": [s.retrieval.reason if isinstance(s.retrieval, Skipped) else None for s in trace.steps],
        "sources": sources,
    }


def _to_arrays(trace: Trace) -> dict[str, npt.NDArray[Any]]:
    steps, height, width = trace.steps, trace.grid.height, trace.grid.width
    found = [neighbours(step) or _NO_NEIGHBOURS for step in steps]
    blank = np.zeros(trace.origin.context.size, np.int64)
    queries = [s.retrieval.query if isinstance(s.retrieval, Retrieval) else blank for s in steps]
    seconds = [(s.seconds.model, s.seconds.search, s.seconds.blend) for s in steps]
    sources = [s.codes for s in trace.sources.values()]
    return _faid_arrays(trace) | {
        "logits": np.array([s.logits for s in steps], "<f4").reshape(len(steps), trace.origin.codes),
        "u": np.array([s.u for s in steps if s.u is not None], "<f8"),
        "codes": np.array([s.code for s in steps], "<i4"),
        "seconds": np.array(seconds, "<f4").reshape(len(steps), 3),
        "queries": np.array(queries, "<i4").reshape(len(steps), len(blank)),
        "counts": np.array([len(n) for n in found], "<i4"),
        "neighbour_codes": np.concatenate([n.codes for n in [_NO_NEIGHBOURS, *found]]).astype("<i4"),
        "neighbour_distances": np.concatenate([n.distances for n in [_NO_NEIGHBOURS, *found]]).astype("<f4"),
        "neighbour_entries": np.concatenate([n.entries for n in [_NO_NEIGHBOURS, *found]]).astype("<i8"),
        "source_codes": np.array(sources, "<u2").reshape(len(sources), height, width),
    }


def _faid_arrays(trace: Trace) -> dict[str, npt.NDArray[Any]]:
    """What the blenders did, as arrays; all of them are empty without FAiD."""
    blends = [step.faid for step in trace.steps if step.faid is not None]
    if not blends:
        return {name: np.zeros((0,) * dimensions, _EXPECTED[name]) for name, dimensions in _FAID_DIMENSIONS.items()}
    arrays = {name: np.array([getattr(blend, name) for blend in blends], "<f4") for name in _FAID_NUMBERS}
    unblended, blank = ([x for x in column if x is not None] for column in (
        (blend.unblended for blend in blends), (blend.blank for blend in blends)
    ))  # fmt: skip
    return {f"faid_{name}": array for name, array in arrays.items()} | {
        "faid_layers": blends[0].layers.astype("<i4"),
        "faid_hops": blends[0].hops.astype("<i4"),
        "faid_present": np.array([blend.present for blend in blends], "<i4"),
        "faid_unblended": np.array(unblended, "<f4").reshape(len(unblended), trace.origin.codes),
        "faid_blank": np.array(blank, "<f4").reshape(len(blank), trace.origin.codes),
    }


_FAID_NUMBERS = ("compatibility", "hop_weights", "share", "start_cosine", "code_cosine")
_FAID_DIMENSIONS = {
    "faid_compatibility": 3, "faid_hop_weights": 3, "faid_share": 2, "faid_start_cosine": 3, "faid_code_cosine": 3,
    "faid_layers": 1, "faid_hops": 1, "faid_present": 1, "faid_unblended": 2, "faid_blank": 2,
}  # fmt: skip

_NO_NEIGHBOURS = Neighbours(np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros(0, np.int64))


def _from_archive(archive: zipfile.ZipFile, max_bytes: int) -> Trace:
    """Read and check every member; nothing is allocated before its size was checked."""
    if sum(member.file_size for member in archive.infolist()) > max_bytes:
        raise TraceError(f"unpacks to more than {max_bytes >> 20} MB, expected less; choose a smaller one")
    if "meta.json" not in archive.namelist():
        raise TraceError("no meta.json inside, expected a trace saved by this program; choose another file")
    if archive.getinfo("meta.json").file_size > MAX_JSON:
        raise TraceError(f"meta.json: got more than {MAX_JSON >> 20} MB, expected less; choose another file")
    meta = _read_json(archive.read("meta.json"))
    added = set(_ADDED) if meta["version"] < 4 else set()
    arrays = {name: _read_array(archive, name) for name in _EXPECTED if name not in added}
    return _from_parts(
        meta, arrays | {name: np.zeros((0,) * _FAID_DIMENSIONS[name], _EXPECTED[name]) for name in added}
    )


def _json_bytes(meta: object) -> bytes:
    """JSON as UTF-8; TraceError for half a character, which can be escaped in JSON but neither shown nor saved."""
    try:
        return json.dumps(meta, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise TraceError("meta.json: got half of a character, expected texts in Unicode; record it again") from None


def _read_json(data: bytes) -> dict[str, Any]:
    """The JSON part of a trace of a version that can be read; its size is checked before it is parsed."""
    values = sum(data.count(mark) for mark in (b",", b"[", b"{"))
    if len(data) > MAX_JSON or values > MAX_VALUES:
        raise TraceError(f"meta.json: got {len(data)} bytes with {values} values, expected {MAX_VALUES} at most")
    meta = json.loads(data)
    if not isinstance(meta, dict) or meta.get("format") != FORMAT or meta.get("version") not in READABLE:
        raise TraceError(f"expected format {FORMAT!r}, version {VERSION}; record it again with this program")
    if b"\\u" in data:
        _json_bytes(meta)
    return meta


def _from_parts(meta: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]) -> Trace:
    """A trace from its JSON part and its arrays, all of it checked."""
    origin_meta = dict(meta["origin"])
    origin = Origin(**{**origin_meta, "context": Context(**origin_meta["context"])})
    grid = Grid(**meta["grid"])
    _check_meta(meta, origin, grid)
    course = _course(meta, origin, grid)
    _check_shapes(arrays, _shapes(arrays, course, meta, origin, grid) | _faid_shapes(arrays, course, origin))
    _check_ranges(arrays, origin, course)
    _check_sources(arrays, meta, origin, grid)
    steps = _to_steps(arrays, meta["skipped"], course)
    _check_faid(arrays, steps, course, origin)
    return Trace(
        prompt=meta["prompt"],
        settings=course.settings,
        origin=origin,
        grid=grid,
        steps=steps,
        sources={
            s["image"]: Source(**s, codes=c) for s, c in zip(meta["sources"], arrays["source_codes"], strict=True)
        },
        changes=course.changes,
        given=course.given,
        unfiltered=meta.get("unfiltered"),
        rule=course.rule,
    )


@dataclass(frozen=True, slots=True)
class _Course:
    """What a file says of how its steps came about; at: the settings of every step.

    blended: positions of the steps that had blenders; recorded: of those that were also recorded without them.
    """

    settings: DecodeSettings
    changes: tuple[Change, ...]
    given: int
    rule: Rule
    at: tuple[DecodeSettings, ...]
    blended: IntArray
    recorded: IntArray


def _course(meta: dict[str, Any], origin: Origin, grid: Grid) -> _Course:
    """Settings, changes and given codes of a file, checked."""
    settings, steps = DecodeSettings.from_json(meta["settings"]), len(meta["skipped"])
    listed, given = meta.get("changes", []), meta.get("given", 0)
    if not isinstance(listed, list) or len(listed) > grid.positions:
        raise TraceError("meta.json: expected a list of changes, one for a position at most")
    if not isinstance(given, int) or isinstance(given, bool) or not 0 <= given <= steps:
        raise TraceError(f"meta.json: got {given!r:.40} given codes, expected 0 to {steps}")
    rule: Any = meta.get("draw", "inverse cdf") if meta["version"] == VERSION else "inverse cdf"
    if rule not in get_args(Rule):
        raise TraceError(f"meta.json: got codes drawn by {rule!r:.40}, expected one of {', '.join(get_args(Rule))}")
    changes = check_changes(settings, [Change.from_json(values) for values in listed], grid, origin.codes)
    news = {change.position: change.settings for change in changes if change.settings is not None}
    at = list(accumulate(range(steps), lambda last, position: news.get(position, last), initial=settings))[1:]
    blended = np.flatnonzero([here.blends for here in at])
    recorded = np.flatnonzero([here.blends and here.record_unblended for here in at])
    return _Course(settings, changes, given, rule, tuple(at), blended, recorded)


_EXPECTED: dict[str, str] = {
    "logits": "<f4",
    "u": "<f8",
    "codes": "<i4",
    "seconds": "<f4",
    "queries": "<i4",
    "counts": "<i4",
    "neighbour_codes": "<i4",
    "neighbour_distances": "<f4",
    "neighbour_entries": "<i8",
    "source_codes": "<u2",
    "faid_compatibility": "<f4",
    "faid_hop_weights": "<f4",
    "faid_share": "<f4",
    "faid_start_cosine": "<f4",
    "faid_code_cosine": "<f4",
    "faid_layers": "<i4",
    "faid_hops": "<i4",
    "faid_present": "<i4",
    "faid_unblended": "<f4",
    "faid_blank": "<f4",
}
_ADDED = ("faid_blank",)
"""Arrays that files before version 4 lack."""


def _read_array(archive: zipfile.ZipFile, name: str) -> npt.NDArray[Any]:
    """One array, after its header was compared with the size of the member."""
    data = archive.read(f"{name}.npy")
    file = io.BytesIO(data)
    version = np.lib.format.read_magic(file)
    if version != (1, 0):
        raise TraceError(f"{name}: got npy version {version}, expected (1, 0)")
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    expected = np.dtype(_EXPECTED[name])
    if dtype != expected or int(np.prod(shape, dtype=object)) * expected.itemsize != len(data) - file.tell():
        raise TraceError(f"{name}: got {dtype} {shape}, expected {expected} of the member's size")
    array: npt.NDArray[Any] = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    return array


def _check_meta(meta: dict[str, Any], origin: Origin, grid: Grid) -> None:
    """TraceError unless the JSON part has the types that the rest relies on."""
    optional = [text for text in (origin.faid, origin.database, origin.machine) if text is not None]
    texts = (meta["prompt"], origin.backend, origin.model, origin.codebook, *optional)
    if not all(isinstance(text, str) and len(text) <= 2000 for text in texts):
        raise TraceError("meta.json: expected short texts for prompt and origin")
    numbers = (origin.codes, grid.height, grid.width)
    if not all(isinstance(n, int) and not isinstance(n, bool) and 1 <= n <= 65536 for n in numbers):
        raise TraceError(f"meta.json: got codes and grid {numbers}, expected whole numbers from 1 to 65536")
    if grid.positions > MAX_POSITIONS:
        raise TraceError(f"meta.json: got {grid.height} x {grid.width} positions, expected {MAX_POSITIONS} at most")
    if not isinstance(meta["skipped"], list) or not 0 < len(meta["skipped"]) <= grid.positions:
        raise TraceError("meta.json: expected one skip reason (or null) per step, and no more steps than positions")
    reasons = [*meta["skipped"], meta.get("unfiltered")]
    if not all(reason is None or (isinstance(reason, str) and len(reason) <= 200) for reason in reasons):
        raise TraceError("meta.json: expected the reasons of skipped positions and filters to be short texts or null")
    _check_listed(meta["sources"])


def _check_listed(sources: Any) -> None:
    """TraceError unless the JSON part lists different sources with texts."""
    if not isinstance(sources, list) or len(sources) > MAX_SOURCES:
        raise TraceError(f"meta.json: expected a list of sources, {MAX_SOURCES} at most")
    if len({s["image"] for s in sources}) != len(sources):
        raise TraceError("meta.json: expected a list of different sources")
    for source in sources:
        if set(source) != {"image", "caption", "style", "concept", "source"} or not isinstance(source["image"], int):
            raise TraceError("meta.json: expected image, caption, style, concept and source for every source")
        if not all(isinstance(v, str) for k, v in source.items() if k != "image"):
            raise TraceError("meta.json: expected the texts of a source to be texts")


Shapes = dict[str, tuple[int, ...]]


def _shapes(
    arrays: dict[str, npt.NDArray[Any]], course: _Course, meta: dict[str, Any], origin: Origin, grid: Grid
) -> Shapes:
    """The shapes that the steps must have."""
    steps, found = len(meta["skipped"]), int(arrays["counts"].sum(dtype=np.int64))
    if found > MAX_NEIGHBOURS:
        raise TraceError(f"counts: got {found} neighbours, expected {MAX_NEIGHBOURS} at most; record fewer of them")
    return {
        "logits": (steps, origin.codes),
        "u": (steps if course.rule == "inverse cdf" else 0,),
        "codes": (steps,),
        "seconds": (steps, 3),
        "queries": (steps, origin.context.size),
        "counts": (steps,),
        "neighbour_codes": (found,),
        "neighbour_distances": (found,),
        "neighbour_entries": (found,),
        "source_codes": (len(meta["sources"]), grid.height, grid.width),
    }


def _faid_shapes(arrays: dict[str, npt.NDArray[Any]], course: _Course, origin: Origin) -> Shapes:
    """The shapes that the record of the blenders must have, with the numbers of blenders and hops that are there."""
    steps, features = len(course.blended), course.settings.faid_neighbours
    if not steps:
        return {name: (0,) * dimensions for name, dimensions in _FAID_DIMENSIONS.items()}
    layers, hops = arrays["faid_layers"].size, arrays["faid_hops"].size
    known = course.rule == "gumbel" or arrays["faid_blank"].size > 0  # older traces do not tell
    if not 1 <= layers <= 1000 or not 1 <= hops <= 3:
        raise TraceError(f"faid_layers: got {layers} blenders with {hops} hops, expected at least one, and 1 to 3 hops")
    return {
        "faid_compatibility": (steps, layers, features),
        "faid_hop_weights": (steps, layers, hops),
        "faid_share": (steps, layers),
        "faid_start_cosine": (steps, layers, features),
        "faid_code_cosine": (steps, layers, features),
        "faid_layers": (layers,),
        "faid_hops": (hops,),
        "faid_present": (steps,),
        "faid_unblended": (len(course.recorded), origin.codes),
        "faid_blank": (len(course.recorded), origin.codes) if known else (0, *arrays["faid_blank"].shape[1:]),
    }


def _check_shapes(arrays: dict[str, npt.NDArray[Any]], shapes: Shapes) -> None:
    """TraceError unless every array has its shape."""
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise TraceError(f"{name}: got shape {arrays[name].shape}, expected {shape}")


def _check_ranges(arrays: dict[str, npt.NDArray[Any]], origin: Origin, course: _Course) -> None:
    """TraceError unless every number is finite and lies in its range."""
    last, unit, cosine = origin.codes - 1, (0, 1), (-1.001, 1.001)  # a cosine may be rounded over its end
    ranges: dict[str, tuple[float | None, float | None]] = {
        "u": unit, "codes": (0, last), "queries": (-1, last), "counts": (0, None), "seconds": (0, 1e9),
        "neighbour_codes": (0, last), "neighbour_distances": (0, None), "neighbour_entries": (0, None),
        "source_codes": (0, last),
        "faid_compatibility": unit, "faid_hop_weights": unit, "faid_share": (0, None), "faid_start_cosine": cosine,
        "faid_code_cosine": cosine, "faid_layers": (0, None), "faid_hops": (1, 3),
        "faid_present": (0, course.settings.faid_neighbours),
    }  # fmt: skip
    for name, (low, high) in ranges.items():
        values = arrays[name]
        inside = np.isfinite(values) & (values >= low if low is not None else True)
        if not (inside & (values <= high if high is not None else True)).all():
            raise TraceError(f"{name}: got a value outside of {low}..{high}, or one that is not finite")
    for name in ("logits", "faid_unblended", "faid_blank"):  # -inf excludes a code, which is no damage
        if not np.isfinite(arrays[name].max(axis=-1, initial=-np.inf)).all():
            raise TraceError(f"{name}: got a number that is none, or no finite maximum, expected finite logits")


def _check_sources(arrays: dict[str, npt.NDArray[Any]], meta: dict[str, Any], origin: Origin, grid: Grid) -> None:
    """TraceError unless every neighbour comes from one of the sources."""
    images = arrays["neighbour_entries"] // max(1, len(retrieving_positions(origin.context, grid)))
    if not np.isin(images, [s["image"] for s in meta["sources"]]).all():
        raise TraceError("neighbour_entries: got an entry of an image that is not among the sources")


def _check_faid(
    arrays: dict[str, npt.NDArray[Any]], steps: Sequence[StepRecord], course: _Course, origin: Origin
) -> None:
    """TraceError unless the record of the blenders fits the methods, the neighbours and itself."""
    methods = [course.settings, *(change.settings for change in course.changes if change.settings is not None)]
    if any(settings.blends for settings in methods) != (origin.faid is not None):
        names = ", ".join(settings.method for settings in methods)
        raise TraceError(f"origin: got FAiD weights {origin.faid!r} for method {names}, which does not fit")
    for name in ("faid_layers", "faid_hops"):
        if (np.diff(arrays[name]) <= 0).any():
            raise TraceError(f"{name}: got {arrays[name].tolist()}, expected ascending numbers")
    heard = [len(found.heard) if (found := neighbours(steps[p])) else 0 for p in course.blended.tolist()]
    if (arrays["faid_present"] != np.minimum(np.array(heard, np.int64), course.settings.faid_neighbours)).any():
        raise TraceError("faid_present: got another number of features than neighbours that were found for them")
    if (np.abs(arrays["faid_hop_weights"].sum(-1, dtype=np.float64) - 1) > 1e-3).any():
        raise TraceError("faid_hop_weights: got weights of another sum, expected those of a blender to sum to 1")


def _to_steps(
    arrays: dict[str, npt.NDArray[Any]], skipped: Sequence[str | None], course: _Course
) -> tuple[StepRecord, ...]:
    """The records; skipped positions have no neighbours. The weights of neighbours follow from the changes."""
    changes = {change.position: change for change in course.changes}
    ends = np.cumsum(arrays["counts"])
    steps = []
    for position, reason in enumerate(skipped):
        part = slice(ends[position] - arrays["counts"][position], ends[position])
        answer: Retrieval | Skipped = Skipped(reason or "")
        if reason is None:
            found = Neighbours(
                arrays["neighbour_codes"][part].astype(np.int64),
                arrays["neighbour_distances"][part],
                arrays["neighbour_entries"][part],
            )
            weighed = changes[position].weighed(found) if position in changes else found
            answer = Retrieval(arrays["queries"][position].astype(np.int64), weighed)
        elif arrays["counts"][position]:
            raise TraceError(f"counts: got neighbours at position {position}, which retrieved nothing")
        seconds = Seconds(*(float(s) for s in arrays["seconds"][position]))
        u, code = float(arrays["u"][position]) if len(arrays["u"]) else None, int(arrays["codes"][position])
        faid = _to_faid(arrays, position, course) if course.at[position].blends else None
        steps.append(StepRecord(position, arrays["logits"][position], answer, code, faid, seconds, u))
    return tuple(steps)


def _to_faid(arrays: dict[str, npt.NDArray[Any]], position: int, course: _Course) -> FaidStep:
    """What the blenders did at one position, which is one of those that had some."""
    place, recorded = int(np.searchsorted(course.blended, position)), course.at[position].record_unblended
    others = {
        name: arrays[f"faid_{name}"][int(np.searchsorted(course.recorded, position))]
        for name in ("blank", "unblended")
        if recorded and arrays[f"faid_{name}"].size
    }
    return FaidStep(
        layers=arrays["faid_layers"].astype(np.int64),
        hops=arrays["faid_hops"].astype(np.int64),
        present=int(arrays["faid_present"][place]),
        **{name: arrays[f"faid_{name}"][place] for name in _FAID_NUMBERS},
        **others,
    )
