"""Drafts: guesses of the codes to come, so that one pass of the model predicts several positions.

The noise of every position is fixed in advance (`core.draw`), so a guess is right or wrong, and never taken with some
probability: a pass over guessed codes tells the logits of all its positions, each of which is blended with its own
neighbours and drawn in its turn; what follows the first wrong guess is thrown away. So drafts change how long a picture
takes, and not the picture. Predictive sampling (Wiggers & Hoogeboom 2020, arXiv 2002.09928) guesses with the model's
own last word, as speculative Jacobi decoding does (Teng et al. 2024, arXiv 2410.01699); REST (He et al. 2023, arXiv
2311.08252) with what was retrieved. Here the guess is the expected blend of both, drawn with the position's own noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .backends.protocol import Drafting
from .daid import gated_weight, neighbour_masses
from .draw import Distribution, race
from .guidance import guide
from .patches.protocol import Database
from .types import DecodeSettings, FloatArray, IntArray, Neighbours

READ = 128
"""How many known codes one pass reads."""

UNLIKELY = 0.02
"""Codes that the model finds less likely than this share of its likeliest one are no guess: most are cut off."""

SPEAKERS = 16
"""How many of the nearest neighbours say how their pictures go on."""


@dataclass(frozen=True, slots=True)
class Continuations:
    """How the pictures of n neighbours go on, at the positions from the one that they were found for on.

    codes: [n, P], -1 outside of the picture; shares: [n] what each has to say, of sum 1; weight: the retrieval weight
    after the gate.
    """

    codes: IntArray
    shares: Distribution
    weight: float


def continuations(
    database: Database, found: Neighbours, settings: DecodeSettings, position: int, count: int
) -> Continuations | None:
    """Those of the nearest neighbours of a position, for it and the ones after it, `count` in all; None where none
    has a say."""
    found = found.active
    if not found or not settings.mixes:
        return None
    images, rows, columns = database.provenance(found.entries[:SPEAKERS])
    grids = np.stack([database.image_codes(int(image)) for image in images]).astype(np.int64)
    weight = gated_weight(settings.retrieval_weight, settings.gate, found.distances)
    masses = neighbour_masses(found, settings.retrieval_temperature)[:SPEAKERS]
    return Continuations(_shifted(grids, rows, columns, position, count), masses / masses.sum(), weight)


def _shifted(grids: IntArray, rows: IntArray, columns: IntArray, position: int, count: int) -> IntArray:
    """Codes [n, count] of token grids [n, H, W], each seen from its cell [n] as a picture is from a position."""
    height, width = grids.shape[1:]
    here, there = np.divmod(position, width), np.divmod(np.arange(position, position + count), width)
    down, right = rows[:, None] + (there[0] - here[0]), columns[:, None] + (there[1] - here[1])
    inside = (down < height) & (right >= 0) & (right < width)
    codes = grids[np.arange(len(grids))[:, None], down.clip(0, height - 1), right.clip(0, width - 1)]
    return np.where(inside, codes, -1)


def expected_blend(logits: FloatArray, going_on: Continuations | None, settings: DecodeSettings) -> Distribution:
    """What the blend of some positions is expected to be, [n, V] masses, from what the model last said [n, V]."""
    scores = (logits - logits.max(axis=1, keepdims=True)) / np.float32(settings.temperature)
    masses: Distribution = np.exp(scores)
    masses[masses < UNLIKELY] = 0
    masses /= masses.sum(axis=1, keepdims=True)
    if going_on is None:
        return masses
    masses *= 1 - going_on.weight
    speaker, place = np.nonzero(going_on.codes[:, : len(masses)] >= 0)
    np.add.at(masses, (place, going_on.codes[speaker, place]), going_on.weight * going_on.shares[speaker])
    return masses


@dataclass
class Forecast:
    """What is expected of one picture's codes.

    logits: [S, V] guided, what the model last said of every position; at first as the prompt alone lets expect it.
    likely: [S] codes that are guessed where the model has not spoken yet, -1 for none; such as those of a picture that
    this one branches from.
    """

    logits: FloatArray
    likely: IntArray
    settings: DecodeSettings

    def guess(self, position: int, count: int, going_on: Continuations | None) -> IntArray:
        """The likeliest codes [count] of the positions from this one on, each drawn with its position's own noise."""
        ahead = slice(position, position + count)
        blend = expected_blend(self.logits[ahead], going_on, self.settings)
        codes = self.logits.shape[1]
        drawn = [race(self.settings.seed, position + n, codes).draw(row) for n, row in enumerate(blend)]
        return np.where(self.likely[ahead] >= 0, self.likely[ahead], drawn)

    def hear(self, position: int, logits: FloatArray) -> None:
        """Take what the model says [n, V] of the positions from this one on."""
        ahead = slice(position, position + len(logits))
        self.logits[ahead], self.likely[ahead] = logits, -1


class Passes:
    """When the model is asked, and about how many positions at once.

    known: [B, S] codes that are given or chosen, -1 where one will be drawn; where those of all rows are known, a pass
    reads up to READ of them. forecast: of the one picture of a run that guesses what it does not know, `length` codes a
    pass. end: no pass goes on to this position. One of these drives one decoding.
    """

    def __init__(
        self, model: Drafting | None, settings: Sequence[DecodeSettings], known: IntArray, end: int,
        forecast: Forecast | None,
    ) -> None:  # fmt: skip
        self._model, self._settings, self._known, self._end = model, settings, known, end
        self._forecast = forecast
        self._begun = self._left = 0
        self._guess = np.zeros(0, np.int64)

    def ask(self, position: int, views: Sequence[Database | None], found: Sequence[Neighbours | None]) -> None:
        """See to it that a pass has predicted a position, if one pays; views, found: what the rows look up, and did."""
        if self._model is None or self._left:
            return
        drafts = self._drafts(position, views[0], found[0])
        if drafts.shape[1] == 0:
            return
        block = guide(self._model.logits(None, drafts), self._settings)
        if self._forecast is not None:
            self._forecast.hear(position, block[0])
        self._begun, self._left = position, block.shape[1]

    def _drafts(self, position: int, view: Database | None, found: Neighbours | None) -> IntArray:
        """Codes [B, k] of the positions from this one on, as they are known or guessed."""
        most = self._end - 1 - position
        unknown = np.flatnonzero((self._known[:, position : position + READ] < 0).any(axis=0))
        count = min(most, int(unknown[0]) if len(unknown) else READ)
        self._guess = np.zeros(0, np.int64)
        if self._forecast is None or self._model is None or count >= self._model.draft_length:
            return self._known[:, position : position + count]
        count = min(self._model.draft_length + 1, most + 1)  # a guess of the last position, too, to compare it
        going_on = None
        if found is not None and view is not None:
            going_on = continuations(view, found, self._settings[0], position, count)
        guess = self._forecast.guess(position, count, going_on)
        known = self._known[0, position : position + count]
        self._guess = np.where(known >= 0, known, guess)
        return self._guess[None, :-1]

    def took(self, position: int, chosen: IntArray) -> tuple[int | None, bool]:
        """The codes [B] that were taken: what had been guessed, and whether a pass began at the position."""
        if not self._left:
            return None, True
        place = position - self._begun
        guess = int(self._guess[place]) if len(self._guess) else None
        right = (self._known[:, position] == chosen).all() if guess is None else guess == chosen[0]
        self._left = self._left - 1 if right else 0
        return guess, place == 0
