"""What every backend in the table must keep to; a new one is picked up by its name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest

from core import testing
from core.backends import BACKENDS, EMBEDDED, Backend, ModelSource, load_backend
from core.backends.protocol import Predicted, replay_in_turn
from core.testing import near
from core.types import ConfigError, FloatArray
from tests.closeness import assert_close
from tests.tiny import tiny_backend

PROMPTS = ["a small heart", "a big pizza"]


@pytest.fixture(scope="module")
def janus_source(tmp_path_factory: pytest.TempPathFactory) -> ModelSource:
    """Where Janus, which does not ship with weights, gets tiny ones from."""
    tiny_janus = pytest.importorskip("tests.tiny_janus")
    folder = tmp_path_factory.mktemp("janus")
    model = tiny_janus.tiny_janus()
    tiny_janus.save_model(folder / "model", model)
    tensors = tiny_janus.released_tensors(model, tiny_janus.random_faid())
    tiny_janus.save_released(folder / "faid", tensors, tiny_janus.released_config(2, (1, 2)))
    return ModelSource(model=str(folder / "model"), faid=str(folder / "faid"), device="cpu")


def load(request: pytest.FixtureRequest) -> Backend:
    """The backend of a parameter."""
    source = request.getfixturevalue("janus_source") if request.param == "janus" else None
    return load_backend(request.param, source)


@pytest.fixture(scope="module", params=list(BACKENDS))
def loaded(request: pytest.FixtureRequest) -> Backend:
    return load(request)


@pytest.fixture(scope="module", params=["emoji", "novice", "janus"])
def blending(request: pytest.FixtureRequest) -> Backend:
    """A backend that has blenders."""
    return load(request)


def rows_of(predicted: Predicted) -> list[FloatArray]:
    """Conditional, unconditional and negative logits, those that are there."""
    rows = (predicted.conditional, predicted.unconditional, predicted.negative)
    return [logits for logits in rows if logits is not None]


@pytest.mark.parametrize("check", testing.CHECKS, ids=lambda check: check.__name__)
def test_backends_keep_to_the_contract(loaded: Backend, check: Callable[[Backend, Sequence[str]], None]) -> None:
    check(loaded, testing.PROMPTS)


def test_describes_itself(loaded: Backend) -> None:
    assert loaded.name in BACKENDS
    assert len(loaded.fingerprint) == 16
    assert loaded.description
    assert loaded.licence
    assert (loaded.defaults.cfg_scale, loaded.defaults.top_p) == ((5, 1) if loaded.name == "janus" else (2, 0.95))


def test_decoding_gives_logits_for_both_rows(loaded: Backend) -> None:
    prompts = PROMPTS  # equally long: the unconditional row may depend on the length
    decoding = loaded.start(prompts, guided=True, faid_neighbours=0)
    predicted = decoding.logits(None)
    conditional, unconditional = predicted.conditional, predicted.unconditional
    assert unconditional is not None
    assert predicted.negative is None
    assert conditional.shape == unconditional.shape == (2, loaded.codebook.size)
    assert conditional.dtype == np.float32
    assert np.isfinite(conditional).all()
    assert not np.allclose(conditional[0], conditional[1])
    assert_close(unconditional[0], unconditional[1])
    decoding.append(np.array([1, 2]))
    assert np.isfinite(decoding.logits(None).conditional).all()
    decoding.close()
    unguided = loaded.start(prompts, guided=False, faid_neighbours=0)
    assert unguided.logits(None).unconditional is None
    unguided.close()


def test_blenders_tell_what_they_did(blending: Backend) -> None:
    decoding = blending.start(PROMPTS, guided=True, faid_neighbours=3)
    decoding.logits([near(5, 6, 7, 8), None])
    here, blank = decoding.blends(np.array([5, 9]))
    decoding.close()
    blenders, hops = len(here.layers), len(here.hops)
    assert (here.present, blank.present) == (3, 0)
    for step in (here, blank):
        assert step.compatibility.shape == step.start_cosine.shape == step.code_cosine.shape == (blenders, 3)
        assert ((step.compatibility >= 0) & (step.compatibility <= 1)).all()
        assert_close(step.hop_weights.sum(-1), 1)
        assert step.hop_weights.shape == (blenders, hops)
        assert (step.share > 0).all()
        assert step.unblended is step.blank is None
    # the first neighbour has the code that was chosen
    assert_close(here.start_cosine[:, 0], here.code_cosine[:, 0])
    assert not np.allclose(here.start_cosine[:, 1], here.code_cosine[:, 1])
    assert not blank.start_cosine.any()
    assert_close(blank.compatibility, blank.compatibility[:, :1].repeat(3, axis=1))


def test_blenders_that_have_not_run_have_nothing_to_tell(blending: Backend) -> None:
    decoding = blending.start(PROMPTS, guided=True, faid_neighbours=3)
    with pytest.raises(ConfigError, match="ask for logits first"):
        decoding.blends(np.array([5, 9]))
    decoding.close()


def test_neighbours_their_absence_and_no_blenders_are_three_things(blending: Backend) -> None:
    decoding = blending.start(["a red heart"], guided=True, faid_neighbours=2)
    asked = {
        "some": [near(5, 6)], "others": [near(5, 7)], "more": [near(5, 6, 7)], "none": [None], "empty": [near()],
    }  # fmt: skip
    conditional, unconditional = {}, {}
    for name, neighbours in {**asked, "off": None, "again": asked["some"]}.items():
        predicted = decoding.logits(neighbours)
        conditional[name], unconditional[name] = predicted.conditional, predicted.unconditional
    decoding.close()
    for same, other in (("some", "again"), ("some", "more"), ("none", "empty")):
        np.testing.assert_array_equal(conditional[same], conditional[other])
    for name, other in (("some", "others"), ("some", "none"), ("none", "off")):
        assert np.abs(conditional[name] - conditional[other]).max() > 1e-4
    for name in asked:  # the unconditional rows get nothing
        assert_close(unconditional[name], unconditional["off"])


@pytest.mark.parametrize("guided", [False, True])
@pytest.mark.parametrize("rows", [1, 2])
def test_counterfactuals_are_what_logits_would_be(blending: Backend, rows: int, guided: bool) -> None:
    """From the first position to the first ones of the second row; neighbours are what only the record's past has."""
    prompts, found = ["a red heart, 3d style", "a pizza"][:rows], [near(5, 6), near(9)][:rows]
    asked, other = (blending.start(prompts, guided, 2, guided) for _ in range(2))
    shown = {0, 1, blending.grid.width - 1, blending.grid.width, blending.grid.width + 1}
    for position in range(blending.grid.width + 2):
        features = found if position % 3 else [None] * rows
        if position in shown:
            blank, unblended = asked.counterfactuals()
            assert blank.shape == unblended.shape == (rows, blending.codebook.size)
            assert_close(blank, other.logits([None] * rows).conditional)
            assert_close(unblended, other.logits(None).conditional)
            assert np.abs(blank - unblended).max() > 1e-4
            again = asked.counterfactuals()
            np.testing.assert_array_equal(blank, again[0])
            np.testing.assert_array_equal(unblended, again[1])
        for ours, theirs in zip(rows_of(asked.logits(features)), rows_of(other.logits(features)), strict=True):
            assert_close(ours, theirs)
        codes = np.array([position % 7, 3])[:rows]
        for mine, others in zip(asked.blends(codes), other.blends(codes), strict=True):
            assert mine.present == others.present == (0 if position % 3 == 0 else mine.present)
            assert_close(mine.compatibility, others.compatibility)
            assert_close(mine.start_cosine, others.start_cosine)
        asked.append(codes)
        other.append(codes)
    asked.close()
    with pytest.raises(ConfigError, match="got a closed one"):
        asked.counterfactuals()


def test_counterfactuals_after_a_replay(blending: Backend) -> None:
    codes = np.random.default_rng(0).integers(0, 20, (2, 9))
    found = [[near(3, 4), None], *[[near(position, 2), near(5)] for position in range(8)]]
    asked, other = (blending.start(PROMPTS, guided=True, faid_neighbours=2) for _ in range(2))
    for decoding in (asked, other):
        decoding.replay(codes, found)
    blank, unblended = asked.counterfactuals()
    assert_close(blank, other.logits([None, None]).conditional)
    assert_close(unblended, other.logits(None).conditional)


def test_counterfactuals_leave_later_logits_as_they_are(blending: Backend) -> None:
    """To the last bit: nothing of them stays behind."""
    asked, silent = (blending.start(PROMPTS, guided=True, faid_neighbours=2) for _ in range(2))
    for position in range(6):
        features = [near(position, 2), None]
        asked.counterfactuals()
        for ours, theirs in zip(rows_of(asked.logits(features)), rows_of(silent.logits(features)), strict=True):
            np.testing.assert_array_equal(ours, theirs)
        for decoding in (asked, silent):
            decoding.append(np.array([position, 3]))


def test_faid_is_refused_where_there_is_none() -> None:
    backend = tiny_backend(faid=False)
    assert backend.faid is None
    with pytest.raises(ConfigError, match="got no FAiD weights"):
        backend.start(["pizza"], guided=True, faid_neighbours=4)
    decoding = backend.start(["pizza"], guided=True, faid_neighbours=0)
    with pytest.raises(ConfigError, match="faid_neighbours"):
        decoding.logits([None])
    with pytest.raises(ConfigError, match="faid_neighbours"):
        decoding.blends(np.array([1]))
    with pytest.raises(ConfigError, match="faid_neighbours"):
        decoding.counterfactuals()


def test_interleaved_generations_do_not_disturb_each_other(blending: Backend) -> None:
    def passes(prompt: str, code: int) -> Iterator[list[FloatArray]]:
        decoding = blending.start([prompt], guided=True, faid_neighbours=2)
        for position in range(3):
            yield rows_of(decoding.logits([near(code, 2)]))
            decoding.append(np.array([code + position]))
        decoding.close()

    alone = [list(passes(prompt, code)) for prompt, code in zip(PROMPTS, (3, 8), strict=True)]
    mixed = list(zip(passes(PROMPTS[0], 3), passes(PROMPTS[1], 8), strict=True))
    np.testing.assert_array_equal([first for first, _ in mixed], alone[0])
    np.testing.assert_array_equal([second for _, second in mixed], alone[1])
    assert not np.allclose(alone[0], alone[1])


@pytest.mark.parametrize("blended", [False, True])
def test_codes_that_are_replayed_leave_off_where_decoding_would(blending: Backend, blended: bool) -> None:
    codes = np.random.default_rng(0).integers(0, 20, (2, 9))
    found = [[near(3, 4), None], *[[near(position, 2), near(5)] for position in range(8)]]
    slow, fast = (blending.start(PROMPTS, guided=True, faid_neighbours=2) for _ in range(2))
    replay_in_turn(slow, codes, found if blended else None)
    fast.replay(codes, found if blended else None)
    for _ in range(2):
        asked = found[1] if blended else None
        for expected, got in zip(rows_of(slow.logits(asked)), rows_of(fast.logits(asked)), strict=True):
            assert_close(got, expected)
        for decoding in (slow, fast):
            decoding.append(np.array([7, 8]))
    with pytest.raises(ConfigError, match="expected a new one to replay"):
        fast.replay(codes, None)


@pytest.mark.parametrize("name", EMBEDDED)
def test_images_survive_a_trained_tokenizer(name: str) -> None:
    trained = load_backend(name)
    pictures = testing.discs(trained.pixels)
    restored = trained.decode_codes(trained.encode_images(pictures))
    assert np.abs(restored.astype(int) - pictures).mean() < 20


@pytest.mark.parametrize("name", EMBEDDED)
def test_backends_that_ship_refuse_other_weights(name: str) -> None:
    with pytest.raises(ConfigError, match="only janus takes"):
        load_backend(name, ModelSource(model="some/model"))


def test_caption_vectors_know_what_is_alike(loaded: Backend) -> None:
    vectors = loaded.embed_captions(["a kitten", "a cat", "a lorry"])
    assert_close(np.linalg.norm(vectors, axis=1), 1)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]


@pytest.mark.parametrize("prompt", ["", "   ", "x" * 4001])
def test_bad_prompts_are_config_errors(loaded: Backend, prompt: str) -> None:
    with pytest.raises(ConfigError, match="prompt"):
        loaded.start([prompt], guided=True, faid_neighbours=0)
    with pytest.raises(ConfigError, match="prompt"):
        loaded.start([], guided=True, faid_neighbours=0)
