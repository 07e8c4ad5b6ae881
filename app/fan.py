"""Ways of going on from one position of a run, drawn to the end together: other codes, other luck, other settings.

Pure: what to draw, and what is told of it; imports no gradio.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from app import branches
from app.branches import Plan
from app.plans import AXES, Axis, Batch
from app.views import METHOD_NAMES
from app.visits import Kept
from core.analysis.explain import largest
from core.trace import Trace
from core.types import Change, ConfigError, DecodeSettings

MOST = 16
"""Pictures of one fan."""

FEW = 0.1
"""Share of the later patches below which a way is said to change few of them."""

_BY_FIELD = {axis.field: axis for axis in AXES}
_WEIGHT, _COUNT = _BY_FIELD["retrieval_weight"], _BY_FIELD["n_neighbours"]
KINDS: Mapping[str, tuple[str, tuple[Axis, ...]]] = {
    "codes": ("The code here", ()),
    "seeds": ("The luck from here on", ()),
    "weights": ("λ", (_WEIGHT,)),
    "neighbours": ("K", (_COUNT,)),
    "both": ("λ and K", (_WEIGHT, _COUNT)),
}
"""What can differ between the ways: what it is called, and the settings that do."""


@dataclass(frozen=True, slots=True)
class Fan(Batch):
    """Ways of going on from a position of a run.

    kept: the run; kind: one of KINDS; ways: one plan for each, all with the same first steps; own: which of them goes
    on as the run itself does, -1 for none.
    """

    kept: Kept | None = None
    position: int = 0
    kind: str = "codes"
    ways: tuple[Plan, ...] = ()
    own: int = -1

    def plans(self, prompt: str) -> tuple[Plan, ...]:
        """The ways; the prompt is that of the run."""
        return self.ways


@dataclass(frozen=True, slots=True)
class Way:
    """What came of one way.

    id: of its run; code: at the position; chance: of that code in what it was drawn from, 0..1; differs: later
    positions whose codes are not those of the run that it went on from; later: how many later ones both have; own:
    whether it goes on as the run itself does.
    """

    id: str
    label: str
    code: int
    chance: float
    differs: tuple[int, ...]
    later: int
    own: bool


def fan(kept: Kept, position: int, kind: str, count: int) -> Fan:
    """The ways of going on from a drawn position, at most `count` codes or seeds, the run's own among them.

    Raises ConfigError for a position without later ones, and for settings that change nothing there.
    """
    trace = kept.trace
    if not 0 <= position < min(len(trace.steps), trace.grid.positions - 1):
        last = min(len(trace.steps), trace.grid.positions - 1) - 1
        raise ConfigError(f"from here: got position {position}, expected 0 to {last}; step back to where ways may part")
    if kind not in KINDS:
        raise ConfigError(f"from here: got {kind!r:.20}, expected one of {', '.join(KINDS)}")
    if not 2 <= count <= MOST:
        raise ConfigError(f"from here: got {count} pictures, expected 2 to {MOST}")
    if kind == "codes":
        labels, ways, own = _codes(kept, position, count)
    elif kind == "seeds":
        labels, ways, own = _seeds(kept, position, count)
    else:
        labels, ways, own = _settings(kept, position, KINDS[kind][1])
    return Fan(tuple(way.asked for way in ways), tuple(labels), ("",), kept, position, kind, tuple(ways), own)


Ways = tuple[Sequence[str], Sequence[Plan], int]
"""Labels, plans, and which of them is the run's own."""


def _codes(kept: Kept, position: int, count: int) -> Ways:
    """The likeliest codes of what was drawn from; the one that was taken is among them, however unlikely."""
    trace, before = kept.trace, _change_at(kept.trace, position)
    blended, taken = trace.blend(position).blended, int(trace.codes[position])
    likely = [int(code) for code in largest(blended, count) if blended[code] > 0]
    codes = likely if taken in likely else [*likely[: count - 1], taken]
    if codes == [taken]:
        raise ConfigError(f"from here: no other code than {taken} can be drawn at {position}; step to another patch")
    changes = [replace(before, code=code) for code in codes]
    ways = [branches.going_on(kept, position, change, f"code {change.code} at {position}") for change in changes]
    return [f"code {code}" for code in codes], ways, codes.index(taken)


def _seeds(kept: Kept, position: int, count: int) -> Ways:
    """The run's own seed, and those after it, which draw all from the position on; what is before it is given."""
    change = replace(_change_at(kept.trace, position), code=None)
    own = branches.going_on(kept, position, change, kept.name)
    first = kept.trace.settings.seed
    seeds = [(first + number) % 2**32 for number in range(count)]
    ways = [own, *(_reseeded(own, seed, f"seed {seed} from {position}") for seed in seeds[1:])]
    return [f"seed {seed}" for seed in seeds], ways, 0


def _reseeded(plan: Plan, seed: int, name: str) -> Plan:
    """A plan with another seed, whose codes so far are given."""

    def other(settings: DecodeSettings) -> DecodeSettings:
        return replace(settings, seed=seed)

    changes = [
        change if change.settings is None else replace(change, settings=other(change.settings))
        for change in plan.changes
    ]
    asked = replace(plan.asked, settings=other(plan.asked.settings))
    return replace(plan, asked=asked, changes=tuple(changes), given=tuple(plan.codes), name=name)


def _settings(kept: Kept, position: int, axes: Sequence[Axis]) -> Ways:
    """Every value of a setting, that of the run among them; of two settings, every pair of some."""
    here = kept.trace.settings_at(position)
    values = [_values(axis, here, len(axes) > 1) for axis in axes]
    pairs = list(itertools.product(*values))
    named: list[dict[str, Any]] = [dict(zip((axis.field for axis in axes), pair, strict=True)) for pair in pairs]
    found = [replace(here, **fields) for fields in named]
    for axis in axes:
        if not any(axis.has_effect(settings) for settings in found):
            method = METHOD_NAMES[here.method]
            raise ConfigError(f"from here: {axis.name} changes nothing with {method}; draw with another method")
    before = replace(_change_at(kept.trace, position), code=None)
    labels = [", ".join(axis.label(value) for axis, value in zip(axes, pair, strict=True)) for pair in pairs]
    ways = [
        branches.going_on(kept, position, replace(before, settings=settings), f"{label} at {position}")
        for settings, label in zip(found, labels, strict=True)
    ]
    return labels, ways, found.index(here) if here in found else -1


def _values(axis: Axis, here: DecodeSettings, paired: bool) -> list[float]:
    """The values of a setting: its usual ones with that of the run; beside another setting, four of the usual ones."""
    return list(axis.values[1:]) if paired else sorted({*axis.values, getattr(here, axis.field)})


def _change_at(trace: Trace, position: int) -> Change:
    """What the run changed at a position, if anything."""
    return trace.change_at(position) or Change(position)


# ---------------------------------------------------------------------------------------------------------------------
# What came of it


def ways_of(made: Fan, runs: Sequence[Kept]) -> list[Way]:
    """What came of each way, in the order of the fan."""
    rows = zip(runs, made.across, strict=True)
    return [_way(made, run, label, place == made.own) for place, (run, label) in enumerate(rows)]


def _way(made: Fan, run: Kept, label: str, own: bool) -> Way:
    at, parent = made.position, made.kept
    mine, theirs = run.trace.codes, parent.trace.codes if parent else run.trace.codes
    end = max(min(len(mine), len(theirs)), at + 1)
    differs = at + 1 + np.flatnonzero(mine[at + 1 : end] != theirs[at + 1 : end])
    code = int(mine[at])
    chance = float(run.trace.blend(at).blended[code])
    return Way(run.id, label, code, chance, tuple(differs.tolist()), end - at - 1, own)


def sentence(made: Fan, ways: Sequence[Way]) -> str:
    """What the ways say together, in figures: how much of the rest of the picture hangs on what was changed."""
    others = [way for way in ways if not way.own]
    later = min((way.later for way in others), default=0)
    if not later:
        return "Nothing comes after this patch in the picture that these ways part from."
    counts = [len(way.differs) for way in others]
    subject = {"codes": "Another code here", "seeds": "Other luck from here on"}.get(
        made.kind, f"Another {KINDS[made.kind][0]} from here on"
    )
    said = f"{subject} changes {_mean(counts)} of the {later} later patches on average ({_span(counts)})"
    few = sum(count < FEW * later for count in counts)
    parts = [f"{said}; {few or 'none'} of {len(others)} other ways change{'s' * (few < 2)} fewer than one in ten."]
    if made.kind == "codes":
        total = sum(way.chance for way in ways)
        parts.append(f"These {len(ways)} codes hold {100 * total:.1f} % of what was drawn from.")
    return " ".join([*parts, "Codes that differ need not look different."])


def _mean(counts: Sequence[int]) -> str:
    mean = float(np.mean(counts))
    return f"{mean:.0f}" if mean >= 10 else f"{mean:.1f}"


def _span(counts: Sequence[int]) -> str:
    return f"{min(counts)} to {max(counts)}" if min(counts) < max(counts) else f"all {counts[0]}"
