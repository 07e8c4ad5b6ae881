"""One running generation, as far as it is the same for every model: positions, blenders, and what is asked for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from ..types import ConfigError, FaidStep, FloatArray, IntArray, Neighbours
from .blend_pass import BlendPass
from .blending import Blending
from .protocol import Predicted

Cache = TypeVar("Cache")


class ModelDecoding(ABC, Generic[Cache]):
    """The `Decoding` of a model whose rows are one batch, the B conditional ones first, and whose memory is a cache.

    prefix: entries before the first code; blending: the blenders, None for a generation without FAiD.
    """

    def __init__(self, prompts: int, prefix: int, cache: Cache, blending: Blending | None) -> None:
        self._prompts, self._prefix, self._position = prompts, prefix, 0
        self._cache: Cache | None = cache
        self._blending = blending
        self._ahead: tuple[IntArray, Predicted] | None = None  # drafts [B, k], and what follows if they are right

    @abstractmethod
    def _run(self, cache: Cache, rows: Tensor | None, drafts: IntArray, blending: BlendPass | None) -> FloatArray:
        """Logits [R, 1 + k, V] of the next codes of all rows, or of the chosen rows alone, whose cache then stays as it
        is; drafts: [B, k] of the prompts, a guess of the codes between."""

    @abstractmethod
    def _predicted(self, logits: FloatArray) -> Predicted:
        """The logits of all rows, sorted by what they are."""

    @abstractmethod
    def _read(self, cache: Cache, codes: IntArray, blending: BlendPass | None) -> None:
        """Fill the cache with the prompts and all but the last of the codes [B, n] of the first n positions."""

    @abstractmethod
    def _enter(self, codes: IntArray) -> None:
        """Make the [B] codes the newest entry of the sequence."""

    def _enough_memory(self) -> AbstractContextManager[None]:
        """What the model runs in, so that running out of memory is told in its words."""
        return nullcontext()

    @torch.inference_mode()
    def logits(
        self, neighbours: Sequence[Neighbours | None] | None = None, drafts: IntArray | None = None
    ) -> Predicted:
        """Logits [B, V] of the next code, or [B, 1 + k, V] with drafts; see `Decoding.logits`."""
        cache = self._opened()
        if neighbours is not None and drafts is not None:
            raise ConfigError(
                "logits: got neighbours and drafts, expected one of them; blenders see one position a pass"
            )
        if neighbours is None and drafts is None and self._ahead is not None:
            return self._ahead[1].at(0)
        with self._enough_memory():
            blending = None if neighbours is None else self._blended().step(self._position, neighbours)
            guess = np.zeros((self._prompts, 0), np.int64) if drafts is None else drafts
            predicted = self._predicted(self._run(cache, None, guess, blending))
        if drafts is None:
            return predicted.at(0)
        self._ahead = drafts, predicted
        return predicted

    @torch.inference_mode()
    def counterfactuals(self) -> tuple[FloatArray, FloatArray]:
        """Conditional logits [B, V] on blank features and without the blenders; see `Decoding.counterfactuals`."""
        cache = self._opened()
        rows = torch.arange(self._prompts).repeat(2)  # the blenders' rows are the first ones
        with self._enough_memory():
            blending = self._blended().step(self._position, [None] * self._prompts)
            nothing = np.zeros((self._prompts, 0), np.int64)
            blank, unblended = np.split(self._run(cache, rows, nothing, blending)[:, 0], 2)
        return blank, unblended

    @torch.inference_mode()
    def blends(self, codes: IntArray) -> tuple[FaidStep, ...]:
        """What the blenders did in the last pass, for each prompt."""
        return self._blended().blends(codes)

    def append(self, codes: IntArray) -> None:
        """Take the [B] codes chosen for the position that `logits` was asked for."""
        self._enter(codes)
        self._position += 1
        self._ahead = _used_up(self._ahead, codes)

    @torch.inference_mode()
    def replay(self, codes: IntArray, neighbours: Sequence[Sequence[Neighbours | None]] | None) -> None:
        """Take the [B, n] codes of the first n positions in one pass; see `Decoding.replay`."""
        if self._cache is None or self._position:
            raise ConfigError("decoding: got one that is closed or has begun, expected a new one to replay codes in")
        with self._enough_memory():
            blending = None if neighbours is None else self._blended().replay(self._prefix, neighbours)
            self._read(self._cache, codes, blending)
        self._position = codes.shape[1] - 1
        self.append(codes[:, -1])

    def close(self) -> None:
        """Drop the cache."""
        self._cache = None

    def _opened(self) -> Cache:
        """The cache; ConfigError when the decoding was closed."""
        if self._cache is None:
            raise ConfigError("decoding: got a closed one, expected an open one; start a new generation")
        return self._cache

    def _blended(self) -> Blending:
        """The blenders; ConfigError when the generation was started without them."""
        if self._blending is None:
            raise ConfigError("decoding: got no blenders, expected some; start the generation with faid_neighbours")
        return self._blending


def _used_up(ahead: tuple[IntArray, Predicted] | None, codes: IntArray) -> tuple[IntArray, Predicted] | None:
    """What is still known of the positions to come when [B] codes were chosen: nothing after a wrong guess."""
    if ahead is None or ahead[0].shape[1] == 0 or (ahead[0][:, 0] != codes).any():
        return None
    return ahead[0][:, 1:], ahead[1].after(1)
