"""A recorded generation: saved without pickle, checked when loaded, and everything that can be derived from it."""

from __future__ import annotations

import hashlib
import importlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .backends.complete import complete, prompt_limit
from .backends.protocol import Inspection, SmallBackend, why_unfiltered
from .context import Context, entry_places, retrieving_positions
from .daid import Blend, blend_step
from .draw import Distribution, Luck, Rule, UnitInterval, race
from .inputs.prompt import clean_prompt
from .patches.protocol import Database
from .threads import machine
from .types import (
    Change,
    CodeArray,
    DecodeSettings,
    FloatArray,
    Grid,
    IntArray,
    Neighbours,
    Retrieval,
    Seconds,
    StepRecord,
    TraceError,
    check_changes,
    neighbours_of,
    settings_at,
)

if TYPE_CHECKING:
    from .analysis.explain import Explanation


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
    filter did nothing, None when it did its work or was off; inside: what a pass of the model showed afterwards, None
    unless somebody looked and kept it.
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
    inside: Inspection | None = None

    @classmethod
    def record(
        cls,
        backend: SmallBackend,
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
        prompt = clean_prompt(prompt, prompt_limit(backend))
        changes = check_changes(settings, changes, backend.grid, backend.codebook.size)
        everything = [settings, *(c.settings for c in changes if c.settings is not None)]
        used = database if any(part.retrieves for part in everything) else None
        _check_records(backend, used, steps)
        model = complete(backend)
        origin = Origin(
            backend=model.name,
            model=model.fingerprint,
            faid=model.faid if any(part.blends for part in everything) else None,
            codebook=backend.codebook.fingerprint,
            codes=backend.codebook.size,
            database=used.fingerprint if used else None,
            context=used.context if used else Context(),
            machine=machine(),
        )
        unfiltered = next(filter(None, (why_unfiltered(model, prompt, part) for part in everything)), None)
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
        """What decided the code of a position; see `core.analysis.explain`, which stands above."""
        from .analysis.explain import explain  # noqa: PLC0415

        return explain(self, position)

    def _repr_html_(self) -> str:
        """In a notebook: the page that replays it, see `app.notebook`, which stands above and is imported here."""
        page = importlib.import_module("app.notebook" if __package__ == "core" else f"{__package__}.app.notebook")
        shown: str = page.show(self)._repr_html_()
        return shown

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
    def incomplete(self) -> tuple[int, ...]:
        """Positions at which a part of the database did not answer (see `Neighbours.lost`)."""
        found = ((step.position, neighbours(step)) for step in self.steps)
        return tuple(position for position, near in found if near is not None and near.lost)

    @property
    def passes(self) -> int:
        """How many passes of the model predicted the codes: fewer than codes where guesses were right."""
        return sum(step.begins for step in self.steps)

    @property
    def seconds(self) -> Seconds:
        """Time of the whole run, by part."""
        parts = [step.seconds for step in self.steps]
        return Seconds(sum(p.model for p in parts), sum(p.search for p in parts), sum(p.blend for p in parts))

    def save(self, path: Path, compressed: bool = True) -> None:
        """Write one npz file; see `core.trace_file`, which stands above and is therefore imported here."""
        from . import trace_file  # noqa: PLC0415

        trace_file.save(self, path, compressed)

    @classmethod
    def load(cls, path: Path, max_bytes: int | None = None) -> Trace:
        """Read a trace; TraceError says what is wrong with the file. max_bytes: what it may unpack to."""
        from . import trace_file  # noqa: PLC0415

        return trace_file.load(path, trace_file.MAX_BYTES if max_bytes is None else max_bytes)


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


def _check_records(backend: SmallBackend, database: Database | None, steps: Sequence[StepRecord]) -> None:
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
    wanted, images = np.unique(entries // per_image), database.images  # ascending: millions are not sorted again
    places = np.searchsorted(images, wanted)
    return bool(places[-1] < len(images) and (images[places] == wanted).all())


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
