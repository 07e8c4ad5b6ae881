"""What happened at one position of a trace, worked out once: the page, the endpoints and the figures read it here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..daid import Blend, blend_step, kl_ceiling, model_distribution, neighbour_shares
from ..draw import LEAST, Distribution, Luck, Race, hindsight
from ..trace import Trace, entropy, kl_divergence, neighbours
from ..types import METHODS, DecodeSettings, FloatArray, IntArray, Neighbours, Skipped, StepRecord


@dataclass(frozen=True)
class Explanation:
    """What decided the code of one position, as distributions [V], and what the same luck takes from each of them.

    blend: the model as it was, blenders and retrieved features included, the neighbours, and what the code was drawn
    from. nothing: had nothing been retrieved at this position, the blenders, if any, running on blank features; None
    when that was not recorded. bare: without the blenders, too; None without FAiD, or when it was not recorded.
    luck: for a code that was not drawn, noise in hindsight, given that it won under `nothing`; that of the run where it
    cannot have won. All else follows from these, and is worked out when it is asked for.
    """

    trace: Trace
    position: int
    blend: Blend
    nothing: Distribution | None
    bare: Distribution | None
    luck: Luck

    # -- what was recorded --------------------------------------------------------------------------------------------

    @property
    def step(self) -> StepRecord:
        """The record."""
        return self.trace.steps[self.position]

    @property
    def settings(self) -> DecodeSettings:
        """Those of this position."""
        return self.trace.settings_at(self.position)

    @property
    def drawn(self) -> bool:
        """Whether the code was drawn; if not, somebody chose it, or an image gave it."""
        return self.trace.drawn(self.position)

    @property
    def reason(self) -> str | None:
        """Why nothing was looked up; None where it was."""
        answer = self.step.retrieval
        return answer.reason if isinstance(answer, Skipped) else None

    @property
    def found(self) -> Neighbours | None:
        """The K neighbours, where something was looked up."""
        return neighbours(self.step)

    # -- the codes ----------------------------------------------------------------------------------------------------

    @cached_property
    def taken(self) -> int:
        """The code that retrieval leads to: the step's where it was drawn."""
        return self.luck.draw(self.blend.blended)

    @cached_property
    def without(self) -> int | None:
        """The code had nothing been retrieved here: the step's where it was not drawn; None when not known."""
        if self.nothing is None:
            return None
        return self.taken if self.nothing is self.blend.blended else self.luck.draw(self.nothing)

    @cached_property
    def unmixed(self) -> int:
        """The code before DAiD mixes: of the model, with what FAiD made of the retrieved features."""
        return self.taken if self.blend.model is self.blend.blended else self.luck.draw(self.blend.model)

    @cached_property
    def unblended(self) -> int | None:
        """The code with nothing retrieved and no blenders; None without FAiD, or when not known."""
        return None if self.bare is None else self.luck.draw(self.bare)

    @cached_property
    def own(self) -> int:
        """The code that the run's own luck takes: the step's where it was drawn."""
        return self.trace.pick(self.position)

    @property
    def flip(self) -> bool:
        """Whether retrieval changed the code: with the same luck another one, had nothing been retrieved here."""
        return self.without not in (None, self.taken)

    @property
    def shift(self) -> bool:
        """Whether the blenders by themselves, on blank features, changed the code that the model takes without them."""
        return None not in (self.unblended, self.without) and self.unblended != self.without

    # -- the race -----------------------------------------------------------------------------------------------------

    @cached_property
    def runner_up(self) -> int:
        """The code that came second in what the code was drawn from; the winner where no other one can be drawn."""
        return _next_best(self.luck, self.blend.blended, self.taken)

    @cached_property
    def runner_up_without(self) -> int | None:
        """The code that would have come second had nothing been retrieved; None when not known."""
        if self.nothing is None or self.without is None:
            return None
        same = self.nothing is self.blend.blended
        return self.runner_up if same else _next_best(self.luck, self.nothing, self.without)

    @cached_property
    def margin(self) -> float:
        """By how much the code won, in nats: inf where no other one could, NaN where there was no race."""
        return _margin(self.luck, self.blend.blended)

    @property
    def margin_without(self) -> float:
        """The same had nothing been retrieved; NaN, too, when not known."""
        if self.nothing is None:
            return math.nan
        return self.margin if self.nothing is self.blend.blended else _margin(self.luck, self.nothing)

    # -- the distributions --------------------------------------------------------------------------------------------

    @cached_property
    def entropies(self) -> tuple[float, float, float]:
        """In nats: without anything retrieved, of the neighbours, and of what was drawn from; NaN: not known."""
        parts = (self.nothing, self.blend.retrieval, self.blend.blended)
        first, second, third = (math.nan if part is None else entropy(part) for part in parts)
        return first, second, third

    @cached_property
    def moved(self) -> float:
        """How far retrieval moved the distribution: KL to what was drawn from, in nats; NaN where it is not known."""
        return math.nan if self.nothing is None else kl_divergence(self.nothing, self.blend.blended)

    @property
    def named(self) -> tuple[int, ...]:
        """The codes to list whatever their chances: those that were or would have been taken, and those behind them."""
        codes = (self.step.code, self.taken, self.without, self.unblended, self.runner_up, self.runner_up_without)
        return tuple(code for code in codes if code is not None)

    # -- the neighbours -----------------------------------------------------------------------------------------------

    @cached_property
    def shares(self) -> Distribution:
        """Share [K] of the retrieval distribution that each neighbour brings."""
        if not self.found:
            return np.zeros(0)
        return neighbour_shares(self.found, self.settings.retrieval_temperature, self.settings.aggregate)

    @cached_property
    def places(self) -> tuple[IntArray, IntArray, IntArray]:
        """Image numbers, rows and columns [K] of the neighbours."""
        return self.trace.provenance(self.position)

    @cached_property
    def compatibilities(self) -> Mapping[int, list[float]]:
        """By entry, the compatibility 0..1 of a neighbour's feature in every blender that it went through."""
        if self.step.faid is None or self.found is None:
            return {}
        through = self.found.active.entries[: self.step.faid.present].tolist()
        return {entry: self.step.faid.compatibility[:, column].tolist() for column, entry in enumerate(through)}


def explain(trace: Trace, position: int) -> Explanation:
    """What decided the code of a position, and what retrieval and blenders each changed there."""
    step, settings = trace.steps[position], trace.settings_at(position)
    drawn = trace.drawn(position)
    if not drawn:  # truncation may exclude a code that was not drawn, so it is left aside
        settings = replace(settings, top_k=0, top_p=1.0)
    blend = blend_step(step.logits, neighbours(step), settings)
    nothing, bare = _without(step, blend, settings)
    luck, certain = trace.luck(position), nothing if nothing is not None else blend.blended
    if not drawn and trace.rule == "gumbel" and certain[step.code] >= LEAST:
        luck = hindsight(trace.settings.seed, position, certain, step.code)
    return Explanation(trace, position, blend, nothing, bare, luck)


def ceiling(trace: Trace, position: int) -> float:
    """The most that `Explanation.moved` can be, by the weight before the gate; see `core.daid.kl_ceiling`.

    0 where nothing is mixed; infinite where nothing bounds it: with blenders, and for another mix than DAiD's.
    """
    settings = trace.settings_at(position)
    if trace.steps[position].faid is not None:
        return math.inf
    if not settings.mixes:
        return 0.0
    linear = METHODS[settings.method].mix == METHODS["daid"].mix
    return kl_ceiling(settings.retrieval_weight) if linear else math.inf


def top_codes(blend: Blend, keep: Sequence[int], count: int, others: Sequence[Distribution | None] = ()) -> IntArray:
    """The `count` codes to list: those of `keep`, then the likeliest under the blend's distributions or the others.

    Ordered by the blended probability, then by the model's, then by number.
    """
    known = [other for other in (blend.retrieval, *others) if other is not None]
    score = np.maximum.reduce([blend.model, blend.blended, *known])
    score[list(keep)] = np.inf
    chosen = largest(score, count)
    order = np.lexsort((chosen, -blend.model[chosen], -blend.blended[chosen]))
    return chosen[order]


def largest(values: Distribution | FloatArray, count: int) -> IntArray:
    """Places of the `count` largest of values [V], the largest first and equal ones in their order."""
    if count >= len(values):
        return np.argsort(-values, kind="stable")
    least = np.partition(values, -count)[-count]
    above = np.flatnonzero(values > least)
    ties = np.flatnonzero(values == least)[: count - len(above)]
    return np.concatenate([above[np.argsort(-values[above], kind="stable")], ties])


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


def _next_best(luck: Luck, distribution: Distribution, winner: int) -> int:
    """The code that would be drawn if the winner could not be; the winner where no other one has a probability."""
    others = distribution.copy()
    others[winner] = 0
    return luck.draw(others) if others.any() else winner


def _margin(luck: Luck, distribution: Distribution) -> float:
    """By how much the winner of a race is ahead, in nats; NaN where there was no race."""
    return luck.margin(distribution) if isinstance(luck, Race) else math.nan
