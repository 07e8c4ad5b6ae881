"""A recorded generation: saved without pickle, checked when loaded, and everything that can be derived from it."""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from core.backends.protocol import Backend
from core.context import Context, entry_places, retrieving_positions
from core.daid import Blend, Distribution, blend_step, model_distribution, sample
from core.database import Database
from core.engine import check_changes, neighbours_of, settings_at
from core.types import (
    ArragError,
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
VERSION = 3
READABLE = (2, 3)
"""Version 2 knows no changes and no given codes; otherwise it is the same."""
MAX_BYTES = 512 * 2**20
MAX_POSITIONS = 65536


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

    faid: hash of FAiD's weights, None for a method without it; database: None for method model.
    """

    backend: str
    model: str
    faid: str | None
    codebook: str
    codes: int
    database: str | None
    context: Context


@dataclass(frozen=True, slots=True)
class Trace:
    """All that decided an image, position by position; a run that was stopped has fewer steps than positions.

    settings: those of the first position; changes: what somebody changed, by position, the settings from there on
    included; given: how many of the first codes were not drawn, but are those of an image.
    """

    prompt: str
    settings: DecodeSettings
    origin: Origin
    grid: Grid
    steps: tuple[StepRecord, ...]
    sources: Mapping[int, Source]
    changes: tuple[Change, ...] = ()
    given: int = 0

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
        """The trace of one prompt's records, with the sources of its neighbours; changes and given as in `decode`."""
        changes = check_changes(settings, changes, backend.grid, backend.codebook.size)
        everything = [settings, *(c.settings for c in changes if c.settings is not None)]
        used = database if any(part.retrieves for part in everything) else None
        origin = Origin(
            backend=backend.name,
            model=backend.fingerprint,
            faid=backend.faid if any(part.blends for part in everything) else None,
            codebook=backend.codebook.fingerprint,
            codes=backend.codebook.size,
            database=used.fingerprint if used else None,
            context=used.context if used else Context(),
        )
        sources = _sources(used, steps)
        return cls(prompt, settings, origin, backend.grid, tuple(steps), sources, changes, min(given, len(steps)))

    @property
    def complete(self) -> bool:
        """Whether every position has a code."""
        return len(self.steps) == self.grid.positions

    @property
    def codes(self) -> IntArray:
        """The codes [n] that were sampled, in raster order."""
        return np.array([step.code for step in self.steps], dtype=np.int64)

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
        """Whether u drew the code of a position; if not, somebody chose it, or it is one of an image."""
        change = self.change_at(position)
        return position >= self.given and (change is None or change.code is None)

    def blend(self, position: int) -> Blend:
        """Model, retrieval and blended distribution [V] of a position."""
        step = self.steps[position]
        return blend_step(step.logits, neighbours(step), self.settings_at(position))

    def pick(self, position: int) -> int:
        """The code that u picks at a position: the step's, unless that was not drawn."""
        step = self.steps[position]
        return step.code if self.drawn(position) else sample(self.blend(position).blended, step.u)

    def without_retrieval(self, position: int) -> Distribution | None:
        """The distribution [V] without retrieval at this position; None when FAiD took part and it was not recorded."""
        step = self.steps[position]
        if step.faid is None:
            return self.blend(position).model
        if step.faid.unblended is None:
            return None
        settings = self.settings_at(position)
        return model_distribution(step.faid.unblended, settings.temperature, settings.top_k, settings.top_p)

    def code_without_retrieval(self, position: int) -> int | None:
        """The code that the same uniform picks without retrieval at this position; None when that was not recorded."""
        alone = self.without_retrieval(position)
        return None if alone is None else sample(alone, self.steps[position].u)

    @property
    def flips_known(self) -> bool:
        """Whether the trace tells where retrieval changed the code."""
        return all(step.faid is None or step.faid.unblended is not None for step in self.steps)

    def flips(self) -> IntArray:
        """Positions where retrieval changed what u picks; without those where that was not recorded."""
        without = [self.code_without_retrieval(step.position) for step in self.steps]
        positions = range(len(self.steps))
        changed = [p for p, code in zip(positions, without, strict=True) if code not in (None, self.pick(p))]
        return np.array(changed, dtype=np.int64)

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
        """Write one npz file: arrays and, as meta.json, everything else."""
        arrays, meta = _to_arrays(self), _to_meta(self)
        partial = path.with_name(path.name + ".partial")
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("meta.json", json.dumps(meta, ensure_ascii=False))
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w") as file:
                    np.lib.format.write_array(file, array, allow_pickle=False)
        partial.replace(path)

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
        except (zipfile.BadZipFile, ArragError, ValueError, TypeError, KeyError, EOFError, RuntimeError) as error:
            raise TraceError(f"{path.name}: not a trace, or damaged ({error}); record it again") from None


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
        "u": np.array([s.u for s in steps], "<f8"),
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
    unblended = [blend.unblended for blend in blends if blend.unblended is not None]
    return {f"faid_{name}": array for name, array in arrays.items()} | {
        "faid_layers": blends[0].layers.astype("<i4"),
        "faid_hops": blends[0].hops.astype("<i4"),
        "faid_present": np.array([blend.present for blend in blends], "<i4"),
        "faid_unblended": np.array(unblended, "<f4").reshape(len(unblended), trace.origin.codes),
    }


_FAID_NUMBERS = ("compatibility", "hop_weights", "share", "start_cosine", "code_cosine")
_FAID_DIMENSIONS = {
    "faid_compatibility": 3, "faid_hop_weights": 3, "faid_share": 2, "faid_start_cosine": 3, "faid_code_cosine": 3,
    "faid_layers": 1, "faid_hops": 1, "faid_present": 1, "faid_unblended": 2,
}  # fmt: skip

_NO_NEIGHBOURS = Neighbours(np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros(0, np.int64))


def _from_archive(archive: zipfile.ZipFile, max_bytes: int) -> Trace:
    """Read and check every member; nothing is allocated before its size was checked."""
    if sum(member.file_size for member in archive.infolist()) > max_bytes:
        raise TraceError(f"unpacks to more than {max_bytes >> 20} MB, expected less; choose a smaller one")
    if "meta.json" not in archive.namelist():
        raise TraceError("no meta.json inside, expected a trace saved by this program; choose another file")
    meta = json.loads(archive.read("meta.json"))
    if not isinstance(meta, dict) or meta.get("format") != FORMAT or meta.get("version") not in READABLE:
        raise TraceError(f"expected format {FORMAT!r}, version {VERSION}; record it again with this program")
    origin_meta = dict(meta["origin"])
    origin = Origin(**{**origin_meta, "context": Context(**origin_meta["context"])})
    grid = Grid(**meta["grid"])
    _check_meta(meta, origin, grid)
    course = _course(meta, origin, grid)
    arrays = {name: _read_array(archive, name) for name in _EXPECTED}
    _check_shapes(arrays, _shapes(arrays, meta, origin, grid) | _faid_shapes(arrays, course, origin))
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
    )


@dataclass(frozen=True, slots=True)
class _Course:
    """What a file says of how its steps came about; at: the settings of every step.

    blended: positions of the steps that had blenders; recorded: of those that were also recorded without them.
    """

    settings: DecodeSettings
    changes: tuple[Change, ...]
    given: int
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
    changes = check_changes(settings, [Change.from_json(values) for values in listed], grid, origin.codes)
    news = {change.position: change.settings for change in changes if change.settings is not None}
    at = list(accumulate(range(steps), lambda last, position: news.get(position, last), initial=settings))[1:]
    blended = np.flatnonzero([here.blends for here in at])
    recorded = np.flatnonzero([here.blends and here.record_unblended for here in at])
    return _Course(settings, changes, given, tuple(at), blended, recorded)


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
}


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
    optional = [text for text in (origin.faid, origin.database) if text is not None]
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
    if not all(reason is None or (isinstance(reason, str) and len(reason) <= 200) for reason in meta["skipped"]):
        raise TraceError("meta.json: expected skip reasons to be short texts or null")
    if not isinstance(meta["sources"], list) or len({s["image"] for s in meta["sources"]}) != len(meta["sources"]):
        raise TraceError("meta.json: expected a list of different sources")
    for source in meta["sources"]:
        if set(source) != {"image", "caption", "style", "concept", "source"} or not isinstance(source["image"], int):
            raise TraceError("meta.json: expected image, caption, style, concept and source for every source")
        if not all(isinstance(v, str) and len(v) <= 2000 for k, v in source.items() if k != "image"):
            raise TraceError("meta.json: expected the texts of a source to be short")


Shapes = dict[str, tuple[int, ...]]


def _shapes(arrays: dict[str, npt.NDArray[Any]], meta: dict[str, Any], origin: Origin, grid: Grid) -> Shapes:
    """The shapes that the steps must have."""
    steps, found = len(meta["skipped"]), int(arrays["counts"].sum())
    return {
        "logits": (steps, origin.codes),
        "u": (steps,),
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
        "u": unit, "codes": (0, last), "queries": (-1, last), "counts": (0, None), "seconds": (0, None),
        "neighbour_codes": (0, last), "neighbour_distances": (0, None), "neighbour_entries": (0, None),
        "source_codes": (0, last), "logits": (None, None),
        "faid_compatibility": unit, "faid_hop_weights": unit, "faid_share": (0, None), "faid_start_cosine": cosine,
        "faid_code_cosine": cosine, "faid_layers": (0, None), "faid_hops": (1, 3),
        "faid_present": (0, course.settings.faid_neighbours), "faid_unblended": (None, None),
    }  # fmt: skip
    for name, (low, high) in ranges.items():
        values = arrays[name]
        inside = np.isfinite(values) & (values >= low if low is not None else True)
        if not (inside & (values <= high if high is not None else True)).all():
            raise TraceError(f"{name}: got a value outside of {low}..{high}, or one that is not finite")


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
        u, code = float(arrays["u"][position]), int(arrays["codes"][position])
        faid = _to_faid(arrays, position, course) if course.at[position].blends else None
        steps.append(StepRecord(position, arrays["logits"][position], answer, u, code, faid, seconds))
    return tuple(steps)


def _to_faid(arrays: dict[str, npt.NDArray[Any]], position: int, course: _Course) -> FaidStep:
    """What the blenders did at one position, which is one of those that had some."""
    place, recorded = int(np.searchsorted(course.blended, position)), course.at[position].record_unblended
    unblended = arrays["faid_unblended"]
    return FaidStep(
        layers=arrays["faid_layers"].astype(np.int64),
        hops=arrays["faid_hops"].astype(np.int64),
        present=int(arrays["faid_present"][place]),
        unblended=unblended[int(np.searchsorted(course.recorded, position))] if recorded else None,
        **{name: arrays[f"faid_{name}"][place] for name in _FAID_NUMBERS},
    )
