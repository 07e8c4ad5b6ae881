"""A model of your own: one that knows nothing, over 64 greys. docs/backend.md builds it step by step."""

from types import SimpleNamespace

import numpy as np
from arrag import Codebook, DecodeSettings, Grid, generate
from arrag.backends.protocol import Predicted
from arrag.testing import check_backend


class Uniform:
    grid = Grid(8, 8)
    codebook = Codebook.from_vectors(np.random.default_rng(0).normal(size=(64, 8)).astype(np.float32))

    def start(self, prompts, guided):
        zeros = np.zeros((len(prompts), self.codebook.size), np.float32)
        predicted = Predicted(zeros, zeros if guided else None)
        return SimpleNamespace(logits=lambda: predicted, append=lambda codes: None, close=lambda: None)

    def decode_codes(self, grids):
        return (4 * grids).astype(np.uint8).repeat(8, axis=1).repeat(8, axis=2)[..., None].repeat(3, axis=3)


if __name__ == "__main__":
    check_backend(Uniform())
    print(generate(Uniform(), None, "anything", DecodeSettings(method="model", seed=1)).codes.reshape(8, 8))
