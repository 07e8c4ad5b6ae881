"""Traces as npz files: written without pickle, and checked when they are read."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import IO, Any, get_args

import numpy as np
import numpy.typing as npt

from .context import Context, retrieving_positions
from .draw import Rule
from .inputs.prompt import LONGEST_PROMPT
from .trace import Origin, Source, Trace, neighbours
from .trace_arrays import ARRAYS, FAID, FOLLOW, INSIDE, Arrays, Sizes, check_arrays, empty_arrays, read_array
from .trace_inside import check_inside, inside_arrays, inside_from, inside_meta, inside_sizes
from .types import (
    MAX_POSITIONS,
    Change,
    DecodeSettings,
    FaidStep,
    FloatArray,
    Followed,
    Grid,
    IntArray,
    Neighbours,
    Retrieval,
    Seconds,
    Skipped,
    StepRecord,
    TraceError,
    Way,
    check_changes,
)

FORMAT = "ar-rag trace"
VERSION = 4
READABLE = (2, 3, 4)
"""Version 2 knows no changes and no given codes; 2 and 3 were drawn by inverse CDF and tell of FAiD less."""
MAX_BYTES = 512 * 2**20
MAX_JSON, MAX_VALUES = 16 * 2**20, 1_000_000
"""Bytes of the JSON part, and lists, objects and values in it: a short text can become gigabytes of empty lists."""
MAX_SOURCES, MAX_NEIGHBOURS = 65536, 2**24


def save(trace: Trace, path: Path, compressed: bool = True) -> None:
    """Write one npz file; see `write`.

    Raises TraceError, and writes nothing, for a trace that `load` would refuse.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            write(trace, file, compressed)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write(trace: Trace, file: IO[bytes], compressed: bool = True) -> None:
    """Write an npz file into an open one: arrays and, as meta.json, everything else.

    compressed: smaller, and written ten times as slowly. Raises TraceError, and writes nothing, for a trace
    that `load` would refuse.
    """
    arrays, data = _to_arrays(trace), _json_bytes(_to_meta(trace))
    _from_parts(_read_json(data), empty_arrays((*FOLLOW, *INSIDE)) | arrays)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED) as archive:
        archive.writestr("meta.json", data)
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w") as entry:
                np.lib.format.write_array(entry, array, allow_pickle=False)


def load(path: Path, max_bytes: int = MAX_BYTES) -> Trace:
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
        "passes": {
            "guesses": [step.guess for step in trace.steps],
            "within": [step.position for step in trace.steps if not step.begins],
            "settled": [step.position for step in trace.steps if step.settled],
        },
        "lost": {str(p): found.lost for p in trace.incomplete if (found := neighbours(trace.steps[p])) is not None},
        "sources": sources,
        **({"followed": True} if any(_followed(step) for step in trace.steps) else {}),
        **inside_meta(trace.inside),
    }


def _to_arrays(trace: Trace) -> Arrays:
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
        **_follow_arrays(trace),
        **inside_arrays(trace.inside),
    }


def _followed(step: StepRecord) -> Followed | None:
    """What following did at a step, if it was asked to do anything."""
    return step.retrieval.followed if isinstance(step.retrieval, Retrieval) else None


def _follow_arrays(trace: Trace) -> Arrays:
    """What following did at every step that looked up, in the order of steps; nothing where sources are not followed.

    Ways are numbers in `_WAYS`, from 1 on; 0 is a look-up that followed nothing.
    """
    looked_up = [_followed(step) for step in trace.steps if isinstance(step.retrieval, Retrieval)]
    if not any(looked_up):
        return {}
    ways = [0 if one is None else 1 + _WAYS.index(one.way) for one in looked_up]
    candidates = [0 if one is None else one.candidates for one in looked_up]
    return {"follow_candidates": np.array(candidates, "<i4"), "follow_way": np.array(ways, "<i4")}


_WAYS: tuple[Way, ...] = get_args(Way)


def _faid_arrays(trace: Trace) -> Arrays:
    """What the blenders did, as arrays; all of them are empty without FAiD."""
    blends = [step.faid for step in trace.steps if step.faid is not None]
    if not blends:
        return empty_arrays(FAID)
    return {f"faid_{name}": np.array([getattr(blend, name) for blend in blends], "<f4") for name in _FAID_NUMBERS} | {
        "faid_layers": blends[0].layers.astype("<i4"),
        "faid_hops": blends[0].hops.astype("<i4"),
        "faid_present": np.array([blend.present for blend in blends], "<i4"),
        "faid_unblended": _rows([blend.unblended for blend in blends], trace.origin.codes),
        "faid_blank": _rows([blend.blank for blend in blends], trace.origin.codes),
    }


def _rows(logits: Sequence[FloatArray | None], codes: int) -> npt.NDArray[Any]:
    """The logits [n, V] that were recorded."""
    return np.array([row for row in logits if row is not None], "<f4").reshape(-1, codes)


_FAID_NUMBERS = ("compatibility", "hop_weights", "share", "start_cosine", "code_cosine")
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
    there = [name for name, form in ARRAYS.items() if form.since <= meta["version"]]
    there = [name for name in there if name not in INSIDE or meta.get("inside") is not None]
    there = [name for name in there if name not in FOLLOW or meta.get("followed") is True]
    arrays = {name: read_array(archive, name) for name in there}
    return _from_parts(meta, arrays | empty_arrays(set(ARRAYS) - set(there)))


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


def _from_parts(meta: dict[str, Any], arrays: Arrays) -> Trace:
    """A trace from its JSON part and its arrays, all of it checked."""
    origin_meta = dict(meta["origin"])
    origin = Origin(**{**origin_meta, "context": Context(**origin_meta["context"])})
    grid = Grid(**meta["grid"])
    _check_meta(meta, origin, grid)
    schedule = _schedule(meta, origin, grid)
    sizes = _sizes(arrays, schedule, meta, origin, grid) | _faid_sizes(arrays, schedule, origin)
    check_arrays(arrays, sizes | inside_sizes(meta.get("inside"), arrays, len(meta["skipped"])))
    check_inside(arrays, meta.get("inside"))
    _check_sources(arrays, meta, origin, grid)
    steps = _passed(_to_steps(arrays, meta["skipped"], _lost(meta), schedule), meta, origin)
    _check_faid(arrays, steps, schedule, origin)
    return Trace(
        prompt=meta["prompt"],
        settings=schedule.settings,
        origin=origin,
        grid=grid,
        steps=steps,
        sources={
            s["image"]: Source(**s, codes=c) for s, c in zip(meta["sources"], arrays["source_codes"], strict=True)
        },
        changes=schedule.changes,
        given=schedule.given,
        unfiltered=meta.get("unfiltered"),
        rule=schedule.rule,
        inside=inside_from(meta.get("inside"), arrays),
    )


@dataclass(frozen=True, slots=True)
class _Schedule:
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


def _schedule(meta: dict[str, Any], origin: Origin, grid: Grid) -> _Schedule:
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
    return _Schedule(settings, changes, given, rule, tuple(at), blended, recorded)


def _check_meta(meta: dict[str, Any], origin: Origin, grid: Grid) -> None:
    """TraceError unless the JSON part has the types that the rest relies on."""
    optional = [text for text in (origin.faid, origin.database, origin.machine) if text is not None]
    texts = (meta["prompt"], origin.backend, origin.model, origin.codebook, *optional)
    if not all(isinstance(text, str) and len(text) <= LONGEST_PROMPT for text in texts):
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


def _sizes(arrays: Arrays, schedule: _Schedule, meta: dict[str, Any], origin: Origin, grid: Grid) -> Sizes:
    """Those of what every trace has."""
    steps, found = len(meta["skipped"]), int(arrays["counts"].sum(dtype=np.int64))
    if found > MAX_NEIGHBOURS:
        raise TraceError(f"counts: got {found} neighbours, expected {MAX_NEIGHBOURS} at most; record fewer of them")
    return {
        "steps": steps,
        "uniforms": steps if schedule.rule == "inverse cdf" else 0,
        "codes": origin.codes,
        "last code": origin.codes - 1,
        "context": origin.context.size,
        "found": found,
        "sources": len(meta["sources"]),
        "height": grid.height,
        "width": grid.width,
        "followed": meta["skipped"].count(None) if meta.get("followed") is True else 0,
        "last way": len(_WAYS),
    }


def _faid_sizes(arrays: Arrays, schedule: _Schedule, origin: Origin) -> Sizes:
    """Those of the record of the blenders, with the numbers of blenders and hops that are there."""
    layers, hops, blank = arrays["faid_layers"].size, arrays["faid_hops"].size, arrays["faid_blank"]
    if len(schedule.blended) and not (1 <= layers <= 1000 and 1 <= hops <= 3):
        raise TraceError(f"faid_layers: got {layers} blenders with {hops} hops, expected at least one, and 1 to 3 hops")
    known = schedule.rule == "gumbel" or blank.size > 0  # older traces do not tell
    return {
        "blended": len(schedule.blended),
        "recorded": len(schedule.recorded),
        "layers": layers,
        "hops": hops,
        "features": schedule.settings.faid_neighbours,
        "blank": len(schedule.recorded) if known else 0,
        "blank codes": origin.codes if known else blank.shape[-1],
    }


def _check_sources(arrays: Arrays, meta: dict[str, Any], origin: Origin, grid: Grid) -> None:
    """TraceError unless every neighbour comes from one of the sources."""
    images = arrays["neighbour_entries"] // max(1, len(retrieving_positions(origin.context, grid)))
    if not np.isin(images, [s["image"] for s in meta["sources"]]).all():
        raise TraceError("neighbour_entries: got an entry of an image that is not among the sources")


def _check_faid(arrays: Arrays, steps: Sequence[StepRecord], schedule: _Schedule, origin: Origin) -> None:
    """TraceError unless the record of the blenders fits the methods, the neighbours and itself."""
    methods = [schedule.settings, *(change.settings for change in schedule.changes if change.settings is not None)]
    if any(settings.blends for settings in methods) != (origin.faid is not None):
        names = ", ".join(settings.method for settings in methods)
        raise TraceError(f"origin: got FAiD weights {origin.faid!r} for method {names}, which does not fit")
    for name in ("faid_layers", "faid_hops"):
        if (np.diff(arrays[name]) <= 0).any():
            raise TraceError(f"{name}: got {arrays[name].tolist()}, expected ascending numbers")
    active = [len(found.active) if (found := neighbours(steps[p])) else 0 for p in schedule.blended.tolist()]
    if (arrays["faid_present"] != np.minimum(np.array(active, np.int64), schedule.settings.faid_neighbours)).any():
        raise TraceError("faid_present: got another number of features than neighbours that were found for them")
    if (np.abs(arrays["faid_hop_weights"].sum(-1, dtype=np.float64) - 1) > 1e-3).any():
        raise TraceError("faid_hop_weights: got weights of another sum, expected those of a blender to sum to 1")


def _lost(meta: dict[str, Any]) -> dict[int, float]:
    """Which share of the database did not answer, at the positions where that was so."""
    lost = meta.get("lost", {})
    searched = {str(position) for position, reason in enumerate(meta["skipped"]) if reason is None}
    if not isinstance(lost, dict) or not set(lost) <= searched:
        raise TraceError("lost: got other positions than those that asked the database, expected some of these")
    if not all(isinstance(share, float) and 0 < share <= 1 for share in lost.values()):
        raise TraceError("lost: got something else than shares of the database, expected numbers above 0, at most 1")
    return {int(position): share for position, share in lost.items()}


def _passed(steps: Sequence[StepRecord], meta: dict[str, Any], origin: Origin) -> tuple[StepRecord, ...]:
    """The records with what is told of the passes that predicted them; older traces tell nothing."""
    told = meta.get("passes", {"guesses": [None for _ in steps], "within": [], "settled": []})
    if not isinstance(told, dict) or set(told) != {"guesses", "within", "settled"}:
        raise TraceError("passes: expected guesses, within and settled; record it again")
    for name, end in (("guesses", origin.codes), ("within", len(steps)), ("settled", len(steps))):
        numbers = told[name]
        if not isinstance(numbers, list) or len(numbers) > len(steps) or not all(_below(n, end) for n in numbers):
            raise TraceError(f"passes: {name}: expected {len(steps)} numbers from 0 to {end - 1} at most")
    if len(told["guesses"]) != len(steps):
        raise TraceError(f"passes: got {len(told['guesses'])} guesses, expected one or null for each of {len(steps)}")
    within, settled = set(told["within"]), set(told["settled"])
    return tuple(
        replace(step, guess=guess, begins=step.position not in within, settled=step.position in settled)
        for step, guess in zip(steps, told["guesses"], strict=True)
    )


def _below(number: Any, end: int) -> bool:
    """Whether it is a whole number from 0 on and before the end, or none at all."""
    return number is None or (type(number) is int and 0 <= number < end)


def _to_steps(
    arrays: Arrays, skipped: Sequence[str | None], lost: Mapping[int, float], schedule: _Schedule
) -> tuple[StepRecord, ...]:
    """The records; skipped positions have no neighbours. The weights of neighbours follow from the changes."""
    changes = {change.position: change for change in schedule.changes}
    followed = _to_followed(arrays, skipped)
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
                lost=lost.get(position, 0.0),
            )
            weighed = changes[position].weighed(found) if position in changes else found
            answer = Retrieval(arrays["queries"][position].astype(np.int64), weighed, followed[position])
        elif arrays["counts"][position]:
            raise TraceError(f"counts: got neighbours at position {position}, which retrieved nothing")
        seconds = Seconds(*(float(s) for s in arrays["seconds"][position]))
        u, code = float(arrays["u"][position]) if len(arrays["u"]) else None, int(arrays["codes"][position])
        faid = _to_faid(arrays, position, schedule) if schedule.at[position].blends else None
        steps.append(StepRecord(position, arrays["logits"][position], answer, code, faid, seconds, u))
    return tuple(steps)


def _to_followed(arrays: Arrays, skipped: Sequence[str | None]) -> list[Followed | None]:
    """What following did at every step."""
    looked_up = iter(zip(arrays["follow_candidates"].tolist(), arrays["follow_way"].tolist(), strict=True))
    pairs = [next(looked_up, (0, 0)) if reason is None else (0, 0) for reason in skipped]
    return [Followed(candidates, _WAYS[way - 1]) if way else None for candidates, way in pairs]


def _to_faid(arrays: Arrays, position: int, schedule: _Schedule) -> FaidStep:
    """What the blenders did at one position, which is one of those that had some."""
    place, recorded = int(np.searchsorted(schedule.blended, position)), schedule.at[position].record_unblended
    others = {
        name: arrays[f"faid_{name}"][int(np.searchsorted(schedule.recorded, position))]
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
