"""Computed sizes against those of tiny models and databases that are really there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from core.backends import ModelSource, load_backend
from core.backends.janus.backend import JanusBackend
from core.backends.janus.decoding import JanusDecoding
from core.backends.janus.sizes import Model
from core.codebook import Codebook
from core.evaluation import sizes
from core.faid import CollapsedLayer
from core.patches.database import PatchDatabase
from core.patches.index import QuantizerIndex
from core.patches.protocol import ImageInfo
from tests import tiny_janus


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_janus.save_model(tmp_path_factory.mktemp("model"), tiny_janus.tiny_janus())


def test_parameters_are_those_of_the_loaded_model(folder: Path) -> None:
    backend = load_backend("janus", ModelSource(model=str(folder), device="cpu"))
    assert isinstance(backend, JanusBackend)
    model = Model.open(folder)
    held = sum(tensor.numel() for tensor in backend.parts.state_dict().values())
    assert sizes.parameters(model) == held
    whole = sum(tensor.numel() for tensor in tiny_janus.tiny_janus().state_dict().values())
    assert sizes.passed_over(model.config) == whole - held
    decoding = backend.start(["a dog"], guided=True, faid_neighbours=0)
    assert isinstance(decoding, JanusDecoding)
    assert decoding._cache is not None
    assert sizes.cache_bytes(model, 4, prompt=decoding._prefix) == decoding._cache._held.nbytes


@pytest.mark.parametrize(("hops", "largest"), [((1, 2), 2), ((1,), 1), ((1, 3), 3)])
def test_blenders_take_what_was_computed(hops: tuple[int, ...], largest: int) -> None:
    faid = tiny_janus.random_faid(hops=hops)
    assert sizes.blender_bytes(faid.width, 4, largest) == held_by(faid.collapse()[0])


def held_by(layer: CollapsedLayer) -> int:
    """Bytes of a collapsed blender, without the hop weights, which are for the record."""
    blender, score = layer.blender, layer.blender.score
    tensors = [layer.norm, blender.taps, blender.centre, blender.bias]
    tensors += [score.hidden, score.hidden_bias, score.output, score.output_bias]
    return sum(tensor.nbytes for tensor in tensors)


def test_databases_take_what_was_computed() -> None:
    rng = np.random.default_rng(0)
    codebook = Codebook.from_vectors(rng.normal(size=(500, 8)).astype(np.float32))
    grids = rng.integers(0, 500, (30, 24, 24)).astype(np.uint16)
    database = PatchDatabase.build(codebook, grids, [ImageInfo("")] * 30, index="quantizer")
    assert isinstance(database._index, QuantizerIndex)
    store = database._store
    held = sum(
        array.nbytes
        for array in (
            store.context_of, store.contexts, database._context_of, database._contexts, database._entries,
            database._starts, database._counts,
        )
    )  # fmt: skip
    held += database._index._index.code_size * database.unique_contexts
    share = database.unique_contexts / len(database)
    computed = sizes.database_bytes(30, len(database) // 30, share)
    assert computed["token grids"] == grids.nbytes
    assert computed["exact search"] == pytest.approx(held, rel=1e-3)


def test_released_models_have_their_known_sizes() -> None:
    made = {name: sizes.model_of(values) for name, values in sizes.PRO.items()}
    assert {name: model.sizes.grid.positions for name, model in made.items()} == dict.fromkeys(sizes.PRO, 576)
    assert {model.sizes.pixels for model in made.values()} == {384}
    billions = {name: (sizes.parameters(m) + sizes.passed_over(m.config)) / 1e9 for name, m in made.items()}
    assert billions["Janus-Pro-1B"] == pytest.approx(
        2.09, abs=0.02
    )  # what the repository's weights hold, 4.18 GB in fp16
    assert billions["Janus-Pro-7B"] == pytest.approx(7.42, abs=0.02)  # 14.85 GB
    text = sizes.table(2)
    assert len({line.count("|") for line in text.splitlines()}) == 1
    assert "Janus-Pro-7B" in text
    assert torch.get_default_device() == torch.device("cpu")
