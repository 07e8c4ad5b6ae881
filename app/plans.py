"""Several pictures of one prompt that are drawn together: what to ask for, and what to call each; imports no gradio."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from app.branches import Plan
from app.views import CHOICE_NAMES, METHOD_NAMES, Asked
from app.visits import Kept, Listed
from core.types import METHODS, ConfigError, DecodeSettings

MOST_COMPARED = 4
MOST_VALUES = 6
"""Of one axis of a sweep."""

WEIGHTS = (0.0, 0.1, 0.3, 0.6)
"""Retrieval weights that are compared with one click."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Pictures to draw, in rows: one for each heading `across` in each row, one row for each heading `down`."""

    asked: tuple[Asked, ...]
    across: tuple[str, ...]
    down: tuple[str, ...] = ("",)

    def plans(self, prompt: str) -> tuple[Plan, ...]:
        """What to do for each picture; all plans have the same number of steps already."""
        return tuple(Plan(prompt, asked) for asked in self.asked)


# ---------------------------------------------------------------------------------------------------------------------
# Comparisons


def methods_plan(asked: Asked, methods: Sequence[str]) -> Batch:
    """The same request with every method."""
    return Batch(tuple(_with(asked, method=method) for method in methods), tuple(METHOD_NAMES[m] for m in methods))


def weights_plan(asked: Asked) -> Batch:
    """The same request with several retrieval weights; a method that does not mix becomes the one that does."""
    own = METHODS[asked.settings.method]
    mixing = (name for name, method in METHODS.items() if method.mix and method.blends == own.blends)
    method = asked.settings.method if own.mix else next(mixing)
    plans = tuple(_with(asked, method=method, retrieval_weight=weight) for weight in WEIGHTS)
    return Batch(plans, tuple(f"λ {weight:g}" for weight in WEIGHTS))


def databases_plan(asked: Asked, databases: Sequence[str]) -> Batch:
    """The same request over several databases; ConfigError for a method that asks none."""
    if not asked.settings.retrieves:
        raise ConfigError("databases: got a method that looks nothing up; choose another method, and λ over 0")
    chosen = databases[:MOST_COMPARED]
    return Batch(tuple(replace(asked, database=name) for name in chosen), tuple(map(_shown, chosen)))


def models_plan(asked: Asked, models: Sequence[str]) -> Batch:
    """The same request with several models."""
    chosen = models[:MOST_COMPARED]
    return Batch(tuple(replace(asked, model=name) for name in chosen), tuple(map(_shown, chosen)))


def labels(runs: Sequence[Kept]) -> tuple[str, ...]:
    """For each run, in what it differs from the others; its name when that is nothing."""
    facts = [_facts(run) for run in runs]
    names = list(dict.fromkeys(name for found in facts for name in found))
    telling = [name for name in names if len({found[name] for found in facts if name in found}) > 1]
    shown = [[found[name] for name in telling if name in found] for found in facts]
    for parts, run in zip(shown, runs, strict=True):
        parts += [f"branch at {run.branch_step}"] if run.parent in {other.id for other in runs} else []
    return tuple(", ".join(parts) or run.name for parts, run in zip(shown, runs, strict=True))


def brief(run: Kept | Listed) -> str:
    """A run in a few words: its method, and what it looked up with which weight."""
    settings = run.asked.settings
    words = [METHOD_NAMES[settings.method]]
    words += [AXES[0].label(settings.retrieval_weight)] if _may_mix(settings) else []
    words += [_shown(run.asked.database)] if settings.retrieves else []
    return ", ".join(words)


def _facts(run: Kept) -> dict[str, str]:
    """What sets a run apart, by kind, in the order in which it is shown; only what has an effect with its method."""
    asked, settings = run.asked, run.asked.settings
    found = {"prompt": f"“{run.trace.prompt}”", "model": _shown(asked.model), "method": METHOD_NAMES[settings.method]}
    if settings.retrieves:
        found["database"] = _shown(asked.database)
    for axis in AXES:
        if axis.has_effect(settings):
            found[axis.field] = axis.label(getattr(settings, axis.field))
    found |= {
        field.name: f"{field.name.replace('_', ' ')} {_plain(getattr(settings, field.name))}"
        for field in fields(settings)
        if field.name not in {"method", *(axis.field for axis in AXES)}
    }
    return found


def _plain(value: Any) -> str:
    """A setting as text."""
    return ", ".join(value) or "all" if isinstance(value, tuple) else f"{value}"


def _shown(name: str) -> str:
    """What a model or database is called on the page."""
    return CHOICE_NAMES.get(name, name)


def _with(asked: Asked, **changes: Any) -> Asked:
    """The same request with some settings changed."""
    return replace(asked, settings=replace(asked.settings, **changes))


# ---------------------------------------------------------------------------------------------------------------------
# Sweeps


@dataclass(frozen=True, slots=True)
class Axis:
    """A setting that can be swept: its field, what it is called, values to begin with, and when it changes anything."""

    field: str
    name: str
    symbol: str
    values: tuple[float, ...]
    has_effect: Callable[[DecodeSettings], bool] = lambda settings: True

    def label(self, value: float) -> str:
        """A value with the symbol."""
        return f"{self.symbol} {'all' if self.field == 'n_neighbours' and value == 0 else f'{value:g}'}"


def _may_mix(settings: DecodeSettings) -> bool:
    """Whether the method is one that mixes, whatever the weight."""
    return METHODS[settings.method].mix != ""


def _mixes(settings: DecodeSettings) -> bool:
    return settings.mixes


def _retrieves(settings: DecodeSettings) -> bool:
    return settings.retrieves


def _blends(settings: DecodeSettings) -> bool:
    return settings.blends


def _guided(settings: DecodeSettings) -> bool:
    return settings.cfg_scale != 1


AXES = (
    Axis("retrieval_weight", "Retrieval weight λ", "λ", (0, 0.1, 0.2, 0.4, 0.8), _may_mix),
    Axis("retrieval_temperature", "Retrieval temperature τ", "τ", (0.03, 0.1, 0.3, 1, 2), _mixes),
    Axis("n_neighbours", "Neighbours K", "K", (1, 4, 16, 64, 256), _retrieves),
    Axis("gate", "Gate", "gate", (0, 0.1, 0.5, 2), _mixes),
    Axis("caption_filter", "Caption filter", "captions", (0, 1, 8, 32, 128), _retrieves),
    Axis("position_weight", "Position term", "position", (0, 0.03, 0.1, 0.3), _retrieves),
    Axis("faid_neighbours", "Features through the blenders", "features", (1, 4, 10, 32), _blends),
    Axis("temperature", "Temperature", "temperature", (0.1, 0.4, 0.7, 1, 1.3)),
    Axis("cfg_scale", "CFG scale", "CFG", (1, 1.5, 2, 3, 5)),
    Axis("negative_share", "Negative prompt", "negative", (0, 0.25, 0.5, 1), _guided),
    Axis("seed", "Seed", "seed", (0, 1, 2, 3, 4)),
)
"""In the order in which they are offered; the first two are swept to begin with."""

_WHOLE = frozenset({"n_neighbours", "caption_filter", "faid_neighbours", "seed"})


def sweep_plan(asked: Asked, across: str, across_values: str, down: str, down_values: str) -> Batch:
    """The same request with every pair of values of two settings, which are named by their fields.

    Values are texts of numbers with commas between them. ConfigError for what is no such text, for values that a
    setting does not take, and for a setting that has no effect with the method.
    """
    first, second = _axis(across), _axis(down)
    if first is second:
        raise ConfigError(f"sweep: got {first.name} twice, expected two different settings")
    columns, rows = parse_values(across_values, first), parse_values(down_values, second)
    pairs = [(column, row) for row in rows for column in columns]
    plans = tuple(_with(asked, **{first.field: column, second.field: row}) for column, row in pairs)
    for axis in (first, second):
        if not any(axis.has_effect(plan.settings) for plan in plans):
            method = METHOD_NAMES[asked.settings.method]
            raise ConfigError(f"sweep: {axis.name} changes nothing with {method} and these settings; choose another")
    return Batch(plans, tuple(first.label(value) for value in columns), tuple(second.label(value) for value in rows))


def parse_values(text: str, axis: Axis) -> tuple[float, ...]:
    """The different numbers of a text, in its order; ConfigError for anything else."""
    words = [word for word in str(text).replace(";", ",").split(",") if word.strip()]
    example = ", ".join(f"{value:g}" for value in axis.values)
    expected = f"expected 1 to {MOST_VALUES} numbers with commas between them, such as {example}"
    if not 1 <= len(words) <= MOST_VALUES:
        raise ConfigError(f"{axis.name}: got {len(words)} values, {expected}")
    try:
        values = [float(word) for word in words]
    except ValueError:
        raise ConfigError(f"{axis.name}: got {str(text)[:40]!r}, {expected}") from None
    whole = axis.field in _WHOLE
    return tuple(dict.fromkeys(int(v) if whole and math.isfinite(v) and v.is_integer() else v for v in values))


def _axis(field: str) -> Axis:
    """The axis of that field; ConfigError when there is no such one."""
    for axis in AXES:
        if axis.field == field:
            return axis
    raise ConfigError(f"sweep: got {field!r}, expected one of {', '.join(axis.field for axis in AXES)}")
