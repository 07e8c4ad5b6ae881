"""Models that leave something out: what follows from the rest, what is refused and why, and how they are found."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.metadata import EntryPoint
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import core.backends
from core.backends import ModelSource, load_backend
from core.backends.complete import Completed, complete
from core.backends.protocol import Predicted, SmallDecoding
from core.codebook import Codebook
from core.engine import Request, decode_together, generate
from core.patches.database import PatchDatabase
from core.patches.protocol import ImageInfo
from core.testing import check_backend
from core.types import CodeArray, ConfigError, DecodeSettings, FloatArray, Grid, IntArray
from tests.tiny import tiny_backend

CODES = 16
MODEL = DecodeSettings(method="model", seed=4)


class Counting:
    """Expects the code after the last one; remembers as little as a model can."""

    def __init__(self, rows: int, guided: bool) -> None:
        self.last, self.guided, self.closed = np.full(rows, -1), guided, False

    def logits(self) -> Predicted:
        logits = np.zeros((len(self.last), CODES), np.float32)
        logits[np.arange(len(self.last)), (self.last + 1) % CODES] = 5
        return Predicted(logits, np.zeros_like(logits) if self.guided else None)

    def append(self, codes: IntArray) -> None:
        self.last = codes

    def close(self) -> None:
        self.closed = True


class Small:
    """No more than is required."""

    grid = Grid(4, 5)
    codebook = Codebook.from_vectors(np.random.default_rng(1).normal(size=(CODES, 8)).astype(np.float32))

    def start(self, prompts: Sequence[str], guided: bool) -> SmallDecoding:
        return Counting(len(prompts), guided)

    def decode_codes(self, grids: CodeArray) -> npt.NDArray[np.uint8]:
        shades: npt.NDArray[np.uint8] = (16 * grids).astype(np.uint8)
        return shades.repeat(4, axis=1).repeat(4, axis=2)[:, :, :16, None].repeat(3, axis=3)


def test_what_is_left_out_follows_or_is_refused_by_name() -> None:
    whole = complete(Small())
    assert (whole.name, whole.description, whole.licence, whole.pixels, whole.faid) == ("small", "small", "", 16, None)
    assert whole.fingerprint == f"unnamed {Small.codebook.fingerprint}"
    assert whole.defaults == DecodeSettings(caption_filter=0)
    assert whole.caption_encoder == ""
    for ask, message in (
        (lambda: whole.embed_captions(["x"]), "backend small: it embeds no captions; set caption_filter to 0"),
        (lambda: whole.encode_images(np.zeros((1, 16, 16, 3), np.uint8)), "backend small: it encodes no pictures"),
        (lambda: whole.start(["x"], True, 4), "backend small: got no FAiD weights"),
        (lambda: whole.start(["x"], True).blends(np.zeros(1, np.int64)), "got neighbours for blenders"),
        (lambda: whole.start(["x"], True).counterfactuals(), "got neighbours for blenders"),
        (lambda: whole.start(["x"], True).logits([None]), "got neighbours for blenders"),
    ):
        with pytest.raises(ConfigError, match=message):
            ask()
    check_backend(Small())


def test_what_a_model_says_is_heard() -> None:
    class Saying(Small):
        name, licence, description, pixels = "counter", "MIT", "counts", 16
        fingerprint, defaults = "abc", DecodeSettings(cfg_scale=1)
        caption_encoder = "letters"

        def embed_captions(self, texts: Sequence[str]) -> FloatArray:
            return np.eye(3, dtype=np.float32)[[len(text) % 3 for text in texts]]

    whole = complete(Saying())
    assert (whole.name, whole.licence, whole.fingerprint, whole.caption_encoder) == ("counter", "MIT", "abc", "letters")
    assert whole.defaults.cfg_scale == 1
    trace = generate(Saying(), None, "x", MODEL)
    assert (trace.origin.backend, trace.origin.model) == ("counter", "abc")
    check_backend(Saying())


def test_whole_models_stay_what_they_are() -> None:
    backend = tiny_backend()
    assert complete(backend) is backend
    plain = tiny_backend(faid=False)
    assert complete(plain) is plain
    assert isinstance(complete(Small()), Completed)


def test_small_models_are_drawn_retrieved_for_and_batched() -> None:
    grids = np.random.default_rng(2).integers(0, CODES, (3, 4, 5)).astype(np.uint16)
    database = PatchDatabase.build(Small.codebook, grids, [ImageInfo(str(i)) for i in range(3)])
    settings = DecodeSettings(seed=4, retrieval_weight=1, gate=0, caption_filter=0, n_neighbours=1)
    trace = generate(Small(), database, "x", settings)
    assert len(trace.flips())
    small = Small()
    asked = [Request(small, database, "x", settings), Request(small, None, "y", MODEL)]
    together = list(zip(*decode_together(asked), strict=True))
    assert [record.code for record in together[0]] == trace.codes.tolist()
    assert [record.code for record in together[1]] == generate(small, None, "y", MODEL).codes.tolist()
    with pytest.raises(ConfigError, match="embeds no captions"):
        generate(Small(), database, "x", DecodeSettings(caption_filter=2))


@pytest.mark.parametrize("thing", [object(), SimpleNamespace(grid=Grid(2, 2)), None])
def test_what_is_no_model_is_refused(thing: Any) -> None:
    with pytest.raises(ConfigError, match=r"backend: got a \w+ without (grid|codebook)"):
        complete(thing)


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    made = ModuleType("somebodys_model")
    monkeypatch.setitem(sys.modules, made.__name__, made)
    return made


def test_models_are_found_by_place_and_by_entry_point(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[ModelSource] = []

    def load(source: ModelSource) -> Small:
        asked.append(source)
        return Small()

    module.load = load  # type: ignore[attr-defined]
    points = (EntryPoint("counting", "somebodys_model:load", "arrag.backends"),)
    monkeypatch.setattr(core.backends, "entry_points", lambda group: points if group == "arrag.backends" else ())
    for name in ("somebodys_model:load", "counting"):
        assert load_backend(name, ModelSource(model="there")).name == "small"
    assert asked == [ModelSource(model="there")] * 2
    with pytest.raises(ConfigError, match="expected one of emoji, novice, janus, counting, or package"):
        load_backend("other")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere.at_all:load", "got no Python module 'nowhere'"),
        ("somebodys_model:absent", "expected package.module:function with a function that is there"),
        ("somebodys_model:", "expected package.module:function"),
        (":load", "expected package.module:function"),
        ("..:load", "expected package.module:function"),
        ("somebodys_model:number", "expected package.module:function"),
        ("somebodys_model:fails", r"its function failed \(ValueError: no weights\); mend it"),
        ("somebodys_model:takes_nothing", r"its function failed \(TypeError: "),
        ("somebodys_model:nothing", "got a NoneType without grid"),
    ],
)
def test_places_without_a_model_are_config_errors(name: str, message: str, module: ModuleType) -> None:
    def fails(source: ModelSource) -> Small:
        raise ValueError("no\nweights")

    vars(module).update(number=5, fails=fails, takes_nothing=lambda: Small(), nothing=lambda source: None)
    with pytest.raises(ConfigError, match=message) as told:
        load_backend(name)
    assert "\n" not in str(told.value)
