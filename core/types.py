"""The data that flows through the engine: frozen dataclasses and the error tree."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

Aggregate = Literal["sum", "nearest"]
Follow = Literal["off", "exact", "near"]
Way = Literal["searched", "bounded", "named", "kept"]

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
CodeArray = npt.NDArray[np.uint16]


class ArragError(Exception):
    """Base of all errors that a user can cause and mend; the message says got, expected, remedy."""


class ConfigError(ArragError):
    """A setting or an argument is outside of what is allowed."""


class CheckpointError(ArragError):
    """Model weights are missing, damaged or of another shape."""


class DatabaseError(ArragError):
    """A patch database is missing, damaged or made for another codebook."""


class TraceError(ArragError):
    """A recorded trace is damaged, of another version, or not a trace at all."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Height and width of a token grid, in codes; positions run in raster order."""

    height: int
    width: int

    @property
    def positions(self) -> int:
        """Number of codes in the grid."""
        return self.height * self.width

    def row_col(self, position: int) -> tuple[int, int]:
        """Row and column of a raster position."""
        return divmod(position, self.width)


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The K retrieved entries of one query, ascending by distance.

    codes: [K] what came next in the source image; distances: [K] squared L2 between contexts, plus the position
    term where one is set; entries: [K] numbers of the entries in the database, which gives their provenance; weights:
    [K] factors >= 0 that a `Change` put on their mass in the retrieval distribution, None where there is no change;
    lost: share (0..1) of the images asked that did not answer, because a machine that holds them was away.
    """

    codes: IntArray
    distances: FloatArray
    entries: IntArray
    weights: FloatArray | None = None
    lost: float = 0.0

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def active(self) -> Neighbours:
        """Those that have a say: all but the ones with weight 0."""
        if self.weights is None or self.weights.all():
            return self
        kept = self.weights > 0
        return Neighbours(self.codes[kept], self.distances[kept], self.entries[kept], self.weights[kept], self.lost)


@dataclass(frozen=True, slots=True)
class Followed:
    """What following did for the look-up of one position.

    candidates: how many entries go on from those found to the left and above; way: "searched" where too few of them
    were known, "bounded" where the K-th nearest of them bounded the search, "named" where K of them are at distance 0,
    which names the context whose entries are the answer, "kept" where the nearest of them were taken for the answer.
    All but the last one give the answer of a plain search.
    """

    candidates: int
    way: Way

    @property
    def saved(self) -> bool:
        """Whether nothing was searched."""
        return self.way in ("named", "kept")


@dataclass(frozen=True, slots=True)
class Retrieval:
    """What one position asked (codes of its context, e.g. TL, T, TR, L) and what came back.

    followed: what following did, None where sources are not followed.
    """

    query: IntArray
    neighbours: Neighbours
    followed: Followed | None = None


@dataclass(frozen=True, slots=True)
class Skipped:
    """Why a position retrieved nothing."""

    reason: str


@dataclass(frozen=True, slots=True)
class FaidStep:
    """What the L blenders of a model did at one position, for the K features that went through them.

    layers: [L] numbers of the decoder layers that have a blender; hops: [H] radii of their windows; present: how many
    of the K features came from neighbours, the nearest first, the others being blank; compatibility: [L, K] in 0..1;
    hop_weights: [L, H] of sum 1; share: [L] norm of what was added relative to the hidden state that it was added to;
    start_cosine, code_cosine: [L, K] cosine of the feature that leaves a blender to the one that entered the first, and
    to the feature of the code that was taken, 0 where there is none to compare.
    blank, unblended: [V] logits that the model would have had at this position alone, None unless they were asked for:
    with the same blenders had nothing been retrieved, and without the blenders. The first one tells what retrieval
    changed, the second one what the blenders change by themselves.
    """

    layers: IntArray
    hops: IntArray
    present: int
    compatibility: FloatArray
    hop_weights: FloatArray
    share: FloatArray
    start_cosine: FloatArray
    code_cosine: FloatArray
    blank: FloatArray | None = None
    unblended: FloatArray | None = None


@dataclass(frozen=True, slots=True)
class Seconds:
    """Wall-clock time of one position, split by part; a batch shares one measurement."""

    model: float
    search: float
    blend: float


@dataclass(frozen=True, slots=True)
class StepRecord:
    """Everything that decided the code of one position.

    logits: [V] float32 after guidance and before temperature; faid: what the blenders did, None for methods without
    them; u: the uniform of a position that was drawn by inverse CDF, which only old traces have. The noise that decides
    otherwise follows from seed and position, see `core.draw.race`. guess: the code that was guessed before the model
    was asked (see `core.drafts`), None where none was; begins: whether a pass of the model begins here, False where one
    that began before predicted this position, too; settled: whether the race was all but tied (see `core.ties`).
    """

    position: int
    logits: FloatArray
    retrieval: Retrieval | Skipped
    code: int
    faid: FaidStep | None
    seconds: Seconds
    u: float | None = None
    guess: int | None = None
    begins: bool = True
    settled: bool = False


@dataclass(frozen=True, slots=True)
class Method:
    """What a method does with what is looked up.

    label, meaning: for people; mix: the class that mixes the neighbours into the model's distribution, as
    "module:Class", "" for none (see `core.daid.Mix`); blends: whether the blenders of FAiD get their features.
    """

    label: str
    meaning: str
    mix: str = ""
    blends: bool = False


METHODS: Mapping[str, Method] = {
    "model": Method("Model only", "no retrieval"),
    "daid": Method("DAiD", "mix the distribution of the retrieved codes into the model's", mix=".daid:Daid"),
    "faid": Method("FAiD", "blend the retrieved features into its hidden states", blends=True),
    "faid+daid": Method("FAiD + DAiD", "both", mix=".daid:Daid", blends=True),
}
"""All methods, by the name that settings know them by. A new one is a class in a file of its own and a line here."""


@dataclass(frozen=True, slots=True)
class DecodeSettings:
    """Settings of one generation; validated when made.

    temperature, top_k (0: off) and top_p (1: off) shape the model's distribution before the blend. cfg_scale (1: off)
    is that of guidance; negative_share (0: off) is how much of what it turns away from is the negative prompt, for
    models that have one. retrieval_weight
    is lambda (0..1); retrieval_temperature is tau, in units of squared L2; n_neighbours is K (0: all entries);
    gate (0: off) scales lambda by exp(-d_min / gate); caption_filter (0: off) keeps the n images whose captions are
    nearest to the prompt; position_weight (0: off) adds w * (drow^2 + dcol^2) to the distance; styles (empty: all)
    filters the database by art style. faid_neighbours is how many of the K, the nearest, go through the blenders of
    FAiD; record_unblended also records what the model would have predicted had nothing been retrieved, and without
    the blenders (one more pass per position). follow is whether look-ups go on from what was found to the left and
    above: "exact" finds the same with smaller searches, "near" takes what goes on for the answer wherever the nearest
    of it is within follow_within (squared L2), which may miss nearer entries.
    """

    seed: int = 0
    method: str = "daid"
    temperature: float = 0.7
    top_k: int = 0
    top_p: float = 0.95
    cfg_scale: float = 2.0
    negative_share: float = 0.5
    retrieval_weight: float = 0.1
    retrieval_temperature: float = 0.1
    n_neighbours: int = 64
    aggregate: Aggregate = "sum"
    gate: float = 0.5
    caption_filter: int = 32
    position_weight: float = 0.0
    styles: tuple[str, ...] = ()
    faid_neighbours: int = 10
    record_unblended: bool = False
    follow: Follow = "off"
    follow_within: float = 0.1

    def __post_init__(self) -> None:
        for name, kind, low, high in _LIMITS:
            object.__setattr__(self, name, _number(name, getattr(self, name), kind, low, high))
        _check_choice("method", self.method, tuple(METHODS))
        _check_choice("aggregate", self.aggregate, get_args(Aggregate))
        _check_choice("follow", self.follow, get_args(Follow))
        if not isinstance(self.record_unblended, bool):
            raise ConfigError(f"record_unblended: got {self.record_unblended!r}, expected true or false")
        if not isinstance(self.styles, tuple) or not all(isinstance(s, str) for s in self.styles):
            raise ConfigError(f"styles: got {self.styles!r}, expected a tuple of style names")

    @property
    def mixes(self) -> bool:
        """Whether the distribution of the neighbours is mixed into the model's."""
        return METHODS[self.method].mix != "" and self.retrieval_weight > 0

    @property
    def blends(self) -> bool:
        """Whether FAiD's blenders are attached to the model."""
        return METHODS[self.method].blends

    @property
    def retrieves(self) -> bool:
        """Whether a database is asked at all."""
        return self.mixes or self.blends

    @classmethod
    def from_json(cls, values: object) -> DecodeSettings:
        """Settings from a JSON object; unknown names are an error, missing ones take their defaults."""
        if not isinstance(values, dict):
            raise ConfigError(f"settings: got {type(values).__name__}, expected a JSON object")
        known = {f.name for f in fields(cls)}
        if unknown := sorted(str(k) for k in set(values) - known):
            expected = ", ".join(sorted(known))
            raise ConfigError(f"settings: got unknown {', '.join(unknown)}; expected some of {expected}")
        arguments: dict[str, Any] = dict(values)
        if isinstance(arguments.get("styles"), list):
            arguments["styles"] = tuple(arguments["styles"])
        return cls(**arguments)


OFF: Mapping[str, Any] = {"caption_filter": 0, "position_weight": 0.0, "styles": (), "follow": "off"}
"""The settings that a database may refuse to search by, as they are when they ask for nothing."""

MEANINGS: Mapping[str, str] = {
    "seed": "seed of the run; the same seed and settings give the same picture",
    "method": " | ".join(f"{name} ({method.meaning})" for name, method in METHODS.items()),
    "temperature": "sampling temperature of the model's distribution",
    "top_k": "keep the k likeliest codes of the model; 0: off",
    "top_p": "keep the fewest codes of the model that hold this share of the mass; 1: off",
    "cfg_scale": "classifier-free guidance; 1: off, which saves time",
    "negative_share": "how much of what guidance turns away from is a negative prompt (the embedded model's own: "
    "without the colour, in the style that it mixes up) instead of no prompt; 0: off",
    "retrieval_weight": "lambda: share of the retrieval distribution in the blend, 0..1",
    "retrieval_temperature": "tau: softmax temperature over distances, in units of squared L2",
    "n_neighbours": "K: entries retrieved per position; 0: the whole database",
    "aggregate": "sum (mass of all neighbours with a code) | nearest (of the nearest one only)",
    "gate": "scale lambda by exp(-d_min / gate), so that far neighbours do not speak; 0: off",
    "caption_filter": "retrieve only from the n images whose captions are nearest to the prompt; 0: off",
    "position_weight": "add w * (drow^2 + dcol^2) to the distance; 0: off",
    "faid_neighbours": "how many of the K, the nearest, go through the blenders of FAiD",
    "record_unblended": "for FAiD, also compute each position with nothing retrieved and without the blenders, which "
    "tells flips; takes longer",
    "styles": "retrieve only from these art styles, such as 3d,noto; empty: all",
    "follow": "off (every position searches) | exact (entries that go on from those found to the left and above bound "
    "the search; the same neighbours) | near (and are the answer where one of them is near; other neighbours)",
    "follow_within": "for follow near: how near, in squared L2, such an entry has to be",
}
"""What every setting means, in one line."""


@dataclass(frozen=True, slots=True)
class Change:
    """What somebody changed at one position of a run.

    weights: (entry, factor) pairs, the factor being put on the mass of that neighbour here, 0 dropping it; others: the
    factor of all neighbours that are not named, so that 0 pins the named ones; settings: those from this position on,
    None leaving them as they are; code: taken here whatever the blend says, None for the one that is drawn.
    """

    position: int
    weights: tuple[tuple[int, float], ...] = ()
    others: float = 1.0
    settings: DecodeSettings | None = None
    code: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "position", _number("change position", self.position, int, 0, MAX_POSITIONS - 1))
        if not isinstance(self.weights, tuple) or not all(isinstance(w, tuple) and len(w) == 2 for w in self.weights):
            raise ConfigError(f"change weights: got {self.weights!r:.80}, expected pairs of an entry and a factor")
        numbers = (
            (
                _number("change weights: entry", entry, int, 0, 2**63 - 1),
                _number("change weights: factor", factor, float, 0, MAX_FACTOR),
            )
            for entry, factor in self.weights
        )
        object.__setattr__(self, "weights", tuple(numbers))
        if len({entry for entry, _ in self.weights}) != len(self.weights):
            raise ConfigError("change weights: got an entry twice, expected every entry once")
        object.__setattr__(self, "others", _number("change others", self.others, float, 0, MAX_FACTOR))
        if self.settings is not None and not isinstance(self.settings, DecodeSettings):
            raise ConfigError(f"change settings: got {type(self.settings).__name__}, expected settings or none")
        if self.code is not None:
            object.__setattr__(self, "code", _number("change code", self.code, int, 0, 65535))

    def weighed(self, neighbours: Neighbours) -> Neighbours:
        """The neighbours with this change's factors; those that are named but were not found have no effect."""
        if not self.weights and self.others == 1:
            return neighbours
        factors = np.full(len(neighbours), self.others, np.float32)
        for entry, factor in self.weights:
            factors[neighbours.entries == entry] = factor
        return replace(neighbours, weights=factors)

    @classmethod
    def from_json(cls, values: object) -> Change:
        """A change from a JSON object; unknown names are an error, missing ones take their defaults."""
        if not isinstance(values, dict) or "position" not in values:
            raise ConfigError(f"change: got {values!r:.80}, expected a JSON object with a position")
        if unknown := sorted(str(name) for name in set(values) - {f.name for f in fields(cls)}):
            raise ConfigError(f"change: got unknown {', '.join(unknown)}; expected weights, others, settings or code")
        arguments: dict[str, Any] = dict(values)
        if isinstance(weights := arguments.get("weights"), list):
            arguments["weights"] = tuple(tuple(w) if isinstance(w, list) else w for w in weights)
        if isinstance(arguments.get("settings"), dict):
            arguments["settings"] = DecodeSettings.from_json(arguments["settings"])
        return cls(**arguments)


def neighbours_of(answer: Retrieval | Skipped) -> Neighbours | None:
    """The neighbours, if there was a retrieval."""
    return answer.neighbours if isinstance(answer, Retrieval) else None


def check_changes(settings: DecodeSettings, changes: Sequence[Change], grid: Grid, codes: int) -> tuple[Change, ...]:
    """The changes by position, for a run over a grid with a codebook of so many codes.

    Raises ConfigError for two changes at one position, for a position or a code that does not exist, and for settings
    that belong to a whole run.
    """
    ordered = tuple(sorted(changes, key=lambda change: change.position))
    if len({change.position for change in ordered}) != len(ordered):
        raise ConfigError("changes: got two at one position, expected one for each; put them together")
    for change in ordered:
        if change.position >= grid.positions or (change.code or 0) >= codes:
            got = f"position {change.position} and code {change.code}"
            raise ConfigError(f"change: got {got}, expected less than {grid.positions} and {codes}")
        new = change.settings or settings
        if (new.seed, new.faid_neighbours) != (settings.seed, settings.faid_neighbours):
            raise ConfigError(
                f"change settings: got seed {new.seed} and {new.faid_neighbours} features, expected those of the run, "
                f"{settings.seed} and {settings.faid_neighbours}; start another run for others"
            )
    return ordered


def settings_at(settings: DecodeSettings, changes: Sequence[Change], position: int) -> DecodeSettings:
    """The settings of a position: those of the last change before or at it, of changes in order."""
    news = [c.settings for c in changes if c.settings is not None and c.position <= position]
    return news[-1] if news else settings


MAX_POSITIONS = 65536
MAX_FACTOR = 1e6
"""Largest factor that a change may put on a neighbour."""

_LIMITS: tuple[tuple[str, type, float, float], ...] = (
    ("seed", int, 0, 2**32 - 1),
    ("temperature", float, 0.01, 10),
    ("top_k", int, 0, 65536),
    ("top_p", float, 0.01, 1),
    ("cfg_scale", float, 0, 20),
    ("negative_share", float, 0, 1),
    ("retrieval_weight", float, 0, 1),
    ("retrieval_temperature", float, 1e-4, 100),
    ("n_neighbours", int, 0, 100_000),
    ("gate", float, 0, 100),
    ("caption_filter", int, 0, 10_000_000),
    ("position_weight", float, 0, 100),
    ("faid_neighbours", int, 1, 1000),
    ("follow_within", float, 0, 100),
)


def _number(name: str, value: Any, kind: type, low: float, high: float) -> Any:
    """A number as a plain Python one, numpy's included; ConfigError unless it is of that kind and in [low, high].

    A whole number passes as a float.
    """
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        plain: float = int(value)
    elif kind is float and isinstance(value, (float, np.floating)):
        plain = float(value)
    else:
        plain = math.nan
    if not low <= plain <= high:  # which nan and what is infinite never is
        number = "a whole number" if kind is int else "a number"
        raise ConfigError(f"{name}: got {value!r:.80}, expected {number} from {_shown(low)} to {_shown(high)}")
    return plain


def _check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Raise ConfigError unless value is one of the choices."""
    if value not in choices:
        raise ConfigError(f"{name}: got {value!r}, expected one of {', '.join(choices)}")


def _shown(limit: float) -> str:
    """A limit in words: whole numbers with all of their digits."""
    return str(int(limit)) if float(limit).is_integer() else f"{limit:g}"
