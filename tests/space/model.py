"""A model that a GPU is lent to: the fake one, by a name that does not ship. A prompt with "broken" is never drawn."""

from __future__ import annotations

from collections.abc import Sequence

from core.backends.protocol import ModelSource
from core.types import ConfigError
from tests.app.fake import FakeBackend, FakeDecoding


class Lent(FakeBackend):
    """See the module."""

    def start(
        self, prompts: Sequence[str], guided: bool, faid_neighbours: int, negatives: bool = False
    ) -> FakeDecoding:  # fmt: skip
        """As the fake one, but for what cannot be drawn."""
        if any("broken" in prompt for prompt in prompts):
            raise ConfigError("prompt: got a broken one, expected a whole one; mend it")
        return super().start(prompts, guided, faid_neighbours, negatives)


def load(source: ModelSource) -> Lent:
    """What ARRAG_BACKEND names; ConfigError unless it is told to draw where a GPU is lent."""
    if (source.device, source.dtype, source.pixels_device) != ("cuda", "bfloat16", "cpu"):
        raise ConfigError(f"source: got {source}, expected cuda and bfloat16, and pictures on the CPU")
    return Lent(name="lent")
