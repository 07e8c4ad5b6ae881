"""Runs that go on from others: branches, paused runs, runs from an image, and the tree that they make."""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass, fields, replace
from typing import Literal

import numpy as np

from app.views import METHOD_NAMES, Asked
from app.visits import Kept
from core.trace import Trace
from core.types import Change, ConfigError, DecodeSettings, IntArray, StepRecord

Onward = Literal["patch", "row", "end"]
SHORT = {
    "retrieval_weight": "λ",
    "retrieval_temperature": "τ",
    "n_neighbours": "K",
    "gate": "gate",
    "aggregate": "aggregate",
    "temperature": "temperature",
    "cfg_scale": "CFG",
}
"""What settings are called in the names of branches; others go by their own names."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run is to do.

    steps: kept from another run, its first ones; changes: those of the whole run; given: codes of an image, which are
    taken instead of drawn ones; pause: how many codes to stop after, 0 for never; name: what to call it, "" for its
    prompt; parent, branch_step: as in Kept; replaces: id of the run that it goes on with; seconds: what that took;
    likely: codes that are good guesses, those of the run that it branches from.
    """

    prompt: str
    asked: Asked
    steps: tuple[StepRecord, ...] = ()
    changes: tuple[Change, ...] = ()
    given: tuple[int, ...] = ()
    pause: int = 0
    name: str = ""
    parent: str = ""
    branch_step: int = -1
    replaces: str = ""
    seconds: float = 0.0
    likely: tuple[int, ...] = ()

    @property
    def codes(self) -> list[int]:
        """The codes that are there already."""
        return [step.code for step in self.steps] + list(self.given[len(self.steps) :])

    @property
    def retrieves(self) -> bool:
        """Whether a database is asked anywhere."""
        everything = [self.asked.settings, *(c.settings for c in self.changes if c.settings is not None)]
        return any(settings.retrieves for settings in everything)

    def finished(self, trace: Trace, picture: bytes, seconds: float, ahead: Trace | None = None) -> Kept:
        """The run that came of it, complete or as far as it came, by a name that nobody can guess; see Kept."""
        name, run = self.name or trace.prompt, secrets.token_urlsafe(16)
        return Kept(run, trace, self.asked, seconds, picture, name, self.parent, self.branch_step, ahead)


def branch(kept: Kept, change: Change) -> Plan:
    """Another run that shares the codes before the change; what the run changed there or later does not count."""
    trace, position = kept.trace, change.position
    last = min(len(trace.steps), trace.grid.positions - 1)
    if not 0 <= position <= last:
        raise ConfigError(f"position: got {position}, expected 0 to {last}; step to a drawn patch")
    if change == Change(position):
        raise ConfigError("branch: got no change, expected one: other settings, a code, or other weights of neighbours")
    return going_on(kept, position, change, f"{describe(change, trace.settings_at(position))} at {position}")


def going_on(kept: Kept, position: int, change: Change, name: str) -> Plan:
    """The rest of a run from one of its positions on, with a change there, which may be none."""
    trace = kept.trace
    earlier = tuple(old for old in trace.changes if old.position < position)
    return Plan(
        prompt=trace.prompt,
        asked=kept.asked,
        steps=_kept(trace, position),
        changes=earlier if change == Change(position) else (*earlier, change),
        given=_given(trace, position),
        name=name,
        parent=kept.id,
        branch_step=position,
        likely=tuple(step.code for step in trace.steps),
    )


def onward(kept: Kept, how: Onward, code: int | None = None) -> Plan:
    """The rest of a run that was paused: a patch, the rest of the row, or all of it; code: taken for the next one."""
    trace = kept.trace
    count, width, whole = len(trace.steps), trace.grid.width, trace.grid.positions
    if trace.complete:
        raise ConfigError("go on: got a finished picture, expected a paused one; branch from it instead")
    pauses = {"patch": count + 1, "row": (count // width + 1) * width, "end": 0}
    if how not in pauses:
        raise ConfigError(f"go on: got {how!r:.20}, expected one of {', '.join(pauses)}")
    chosen = () if code is None else (Change(count, code=code),)
    return Plan(
        prompt=trace.prompt,
        asked=kept.asked,
        steps=_kept(trace, count),
        changes=(*trace.changes, *chosen),
        given=_given(trace, count),
        pause=pauses[how] if pauses[how] < whole else 0,
        name=kept.name,
        parent=kept.parent,
        branch_step=kept.branch_step,
        replaces=kept.id,
        seconds=kept.seconds,
    )


def _kept(trace: Trace, count: int) -> tuple[StepRecord, ...]:
    """The first steps, for a run that goes on from them; none of an old rule, whose codes are read anew, as given."""
    return trace.steps[:count] if trace.rule == "gumbel" else ()


def _given(trace: Trace, count: int) -> tuple[int, ...]:
    """Which of the first codes of a run that goes on are not drawn by it."""
    return tuple(trace.codes[: min(trace.given, count) if trace.rule == "gumbel" else count].tolist())


def describe(change: Change, before: DecodeSettings) -> str:
    """A change in a few words."""
    said = []
    if change.settings is not None:
        for field in fields(DecodeSettings):
            value = getattr(change.settings, field.name)
            if value == getattr(before, field.name):
                continue
            if field.name == "method":
                said.append(METHOD_NAMES[change.settings.method])
            else:
                said.append(
                    f"{SHORT.get(field.name, field.name)} {value if isinstance(value, str) else _number(value)}"
                )
    dropped = sum(factor == 0 for _, factor in change.weights)
    if change.others == 0:
        said.append(f"{len(change.weights) - dropped} pinned")
    elif dropped:
        said.append(f"{dropped} dropped")
    if weighed := sum(factor not in (0, 1) for _, factor in change.weights):
        said.append(f"{weighed} weighed")
    if change.code is not None:
        said.append(f"code {change.code}")
    return ", ".join(said) or "the same"


def _number(value: object) -> str:
    """A setting's value, short."""
    return f"{value:g}" if isinstance(value, (int, float)) and not isinstance(value, bool) else str(value)


def differing(codes: IntArray, others: IntArray) -> list[int]:
    """Positions that two runs have and where their codes differ."""
    count = min(len(codes), len(others))
    return [int(p) for p in np.flatnonzero(codes[:count] != others[:count])]


def change_from(values: object, before: DecodeSettings, position: int) -> Change:
    """What somebody entered, as a change at a position; ConfigError for what makes no sense.

    values: {settings: {name: value}, weights: [[entry, factor]], others: factor, code: number or null}, all optional;
    settings that are not named stay as they were.
    """
    if not isinstance(values, dict):
        raise ConfigError(f"change: got {type(values).__name__}, expected an object")
    named = values.get("settings") or {}
    if not isinstance(named, dict):
        raise ConfigError(f"change settings: got {type(named).__name__}, expected an object")
    settings = DecodeSettings.from_json({**asdict(before), **named})
    change = Change.from_json({**values, "position": position, "settings": None})
    return replace(change, settings=None if settings == before else settings)
