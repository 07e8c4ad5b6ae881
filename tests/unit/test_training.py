"""The parts of training that decide what is learned and what is held out; no long run, but a real short one."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from core.backends.emoji import FOLDER
from core.text import TextEncoder
from core.tokenizer import TokenizerConfig, VQTokenizer
from core.training import data, loop, train_tokenizer, train_transformer
from core.training.colour import HUES, colour_name, recolour
from core.transformer import ARTransformer, TransformerConfig
from core.types import ConfigError

LABELS = ["red heart", "blue heart", "pizza", "dog face", "comet", "hedgehog", "brown bear", "white flower"]


def disc(colour: tuple[int, int, int]) -> data.Pictures:
    rows, columns = np.mgrid[:128, :128]
    inside = ((rows - 64) ** 2 + (columns - 64) ** 2 < 50**2)[..., None]
    return np.where(inside, np.array(colour, np.uint8), np.uint8(255)).astype(np.uint8)


# -- data -------------------------------------------------------------------------------------------------------------


def test_split_keeps_colour_families_together() -> None:
    assert data.family("red heart") == data.family("light blue heart") == "heart"
    assert data.family("blueberries") == "blueberries"
    assert len({data.split_of(f"{c} balloon") for c in ("red", "green", "blue")}) == 1


def test_what_visitors_type_first_is_trained() -> None:
    assert all(data.split_of(label) == "train" for label in ("pizza", "red apple", "dog face", "red heart"))


def test_split_shares_are_roughly_90_5_5() -> None:
    sides = [data.split_of(f"concept {n}") for n in range(4000)]
    assert sides.count("train") / 4000 == pytest.approx(0.9, abs=0.03)
    assert sides.count("validation") / 4000 == pytest.approx(0.05, abs=0.02)


def test_concepts_leave_out_variants() -> None:
    emoji = [
        {"label": "pizza", "hexcode": "1F355", "group": 4, "tags": ["pizza", "cheese"]},
        {"label": "keycap: 1", "hexcode": "0031-FE0F-20E3", "group": 8},
        {"label": "woman detective", "hexcode": "1F575-200D-2640", "group": 1, "gender": 0},
        {"label": "man walking: facing right", "hexcode": "1F6B6", "group": 1},
        {"label": "flag: Italy", "hexcode": "1F1EE-1F1F9", "group": 9},
    ]
    (pizza,) = data.concepts(emoji)
    assert (pizza.key, pizza.label, pizza.tags, pizza.iconic) == ("1f355", "pizza", ("cheese",), True)


def test_hexcodes_have_one_spelling() -> None:
    assert data.normalised_hexcode("2764-FE0F-200D-1F525") == "2764-200d-1f525"


def test_missing_npm_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="npm: not found"):
        data.fetch(data.CAPTIONS, tmp_path / "packages")


def test_missing_data_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"run python -m core\.training\.data"):
        data.load(tmp_path)


def test_picture_is_put_on_white() -> None:
    rect = '<rect width="64" height="128" fill="red"/>'
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="128" height="128">{rect}</svg>'
    resvg = pytest.importorskip("resvg_py")
    picture = data._on_white(bytes(resvg.svg_to_bytes(svg_string=svg)))
    assert picture.shape == (128, 128, 3)
    assert picture[64, 20].tolist() == [255, 0, 0]
    assert picture[64, 100].tolist() == [255, 255, 255]


# -- colours ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("colour", HUES)
def test_recoloured_pictures_have_the_colour(colour: str) -> None:
    changed = recolour(disc((220, 30, 30)), colour)
    assert changed is not None
    assert colour_name(changed) == colour
    assert changed[0, 0].tolist() == [255, 255, 255]


def test_grey_pictures_have_no_hue() -> None:
    assert recolour(disc((90, 90, 90)), "red") is None
    assert colour_name(disc((90, 90, 90))) is None


# -- training ---------------------------------------------------------------------------------------------------------


def test_learning_rate_warms_up_stays_and_falls() -> None:
    factors = [loop.cosine(step, 1000, 100, flat=0.5) for step in range(1000)]
    assert factors[0] == pytest.approx(0.01)
    assert factors[100] == factors[499] == pytest.approx(1.0)
    assert factors[-1] == pytest.approx(0.02, abs=1e-3)
    assert all(a >= b for a, b in itertools.pairwise(factors[500:]))


def test_state_survives_and_is_no_pickle_of_code(tmp_path: Path) -> None:
    assert loop.load_state(tmp_path) is None
    loop.save_state(tmp_path, {"step": 3, "model": {"w": torch.ones(2)}})
    state = loop.load_state(tmp_path)
    assert state is not None
    assert state["step"] == 3
    assert not (tmp_path / "state.partial").exists()


def test_corruption_leaves_most_codes_and_the_shape() -> None:
    codes = torch.arange(256).repeat(64, 1)
    codes[1::2] += 256
    inputs = train_transformer.corrupt(codes, 1024, np.random.default_rng(0))
    changed = (inputs != codes).float().mean(dim=1)
    assert inputs.shape == codes.shape
    assert 0 < float(changed.median()) < 0.2
    assert float(changed.max()) > 0.7
    assert {int(v) for v in inputs.unique()} <= {*range(512), 1024}


def small_grids() -> train_transformer.GridSet:
    rng = np.random.default_rng(0)
    items = tuple(
        data.Item(f"c{n}", ("3d", "flat")[n % 2], LABELS[n % 8], ("thing",), True, "train") for n in range(16)
    )
    grids = rng.integers(0, 1024, size=(16, 1 + len(HUES), 16, 16)).astype(np.uint16)
    return train_transformer.GridSet(grids, np.ones(16, bool), ("red",) * 16, items)


def test_batches_depend_on_seed_and_step_alone() -> None:
    encoder, model = TextEncoder.load(FOLDER), ARTransformer(TransformerConfig(layers=1, width=32, heads=2))
    settings = train_transformer.TrainSettings(batch=4)
    captioner = train_transformer.Captioner(encoder, model, settings)
    first, again, other = (
        train_transformer.Batches(small_grids(), captioner, settings).draw(step) for step in (5, 5, 6)
    )
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[2].vectors, again[2].vectors)
    assert not torch.equal(first[1], other[1])


def test_variants_are_called_by_their_colour() -> None:
    encoder, model = TextEncoder.load(FOLDER), ARTransformer(TransformerConfig(layers=1, width=32, heads=2))
    captioner = train_transformer.Captioner(encoder, model, train_transformer.TrainSettings(no_colour=0.0))
    item = data.Item("c", "3d", "red heart", (), True, "train")
    rng = np.random.default_rng(0)
    captions = [captioner.caption(item, "green", True, rng) for _ in range(50)]
    assert all("green" in c.text and "red" not in c.text and c.colour == "green" for c in captions)
    assert {c.style for c in captions} == {"3d", None}


def test_a_few_steps_lower_the_loss_of_a_small_transformer() -> None:
    torch.manual_seed(0)
    encoder = TextEncoder.load(FOLDER)
    model = ARTransformer(TransformerConfig(layers=2, width=64, heads=2, hidden=96))
    settings = train_transformer.TrainSettings(batch=8)
    captioner = train_transformer.Captioner(encoder, model, settings)
    batches = train_transformer.Batches(small_grids(), captioner, settings)
    steppers = train_transformer.optimizers(model, 3e-3)
    losses = []
    for step in range(12):
        inputs, target, condition = batches.draw(step)
        loss = train_transformer.nats(model, condition, inputs, target)
        loss.backward()  # type: ignore[no-untyped-call]
        for optimizer in steppers:
            optimizer.step()
            optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(np.log(1024), abs=0.05)
    assert losses[-1] < losses[0] - 0.05


def test_code_updater_restarts_dead_codes_and_keeps_unit_length() -> None:
    generator = torch.Generator().manual_seed(0)
    model = VQTokenizer(TokenizerConfig(codes=16))
    updater = train_tokenizer.CodeUpdater(model.codebook, 0.5)
    latents = torch.nn.functional.normalize(torch.randn(400, 8, generator=generator), dim=1)
    for _ in range(6):
        updater.update(latents, torch.zeros(400, dtype=torch.int64), generator, restart=False)
    before = model.codebook.clone()
    updater.update(latents, torch.zeros(400, dtype=torch.int64), generator, restart=True)
    torch.testing.assert_close(model.codebook.norm(dim=1), torch.ones(16))
    moved = (model.codebook - before).norm(dim=1) > 1e-3
    assert int(moved.sum()) == 15  # all but the one that is in use


def test_an_interrupted_run_goes_on_as_if_nothing_had_happened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = np.stack([disc((200, 20 * n, 10)) for n in range(8)])
    items = tuple(data.Item(f"c{n}", "3d", "pizza", (), True, "train" if n < 6 else "test") for n in range(8))
    dataset = data.DataSet(pictures, items)
    settings = train_tokenizer.TrainSettings(crop_steps=3, whole_steps=1, crops=2, wholes=2, checkpoint_every=2)
    whole = train_tokenizer.train(dataset, tmp_path / "a", tmp_path / "run-a", settings)

    save = loop.save_state

    def save_then_stop(folder: Path, state: dict[str, object]) -> None:
        save(folder, state)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop, "save_state", save_then_stop)
        with pytest.raises(KeyboardInterrupt):
            train_tokenizer.train(dataset, tmp_path / "b", tmp_path / "run-b", settings)
    resumed = train_tokenizer.train(dataset, tmp_path / "b", tmp_path / "run-b", settings)
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], value, rtol=1e-4, atol=1e-5)
    assert (tmp_path / "run-b" / "contact_sheet.png").exists()
    assert {p.name for p in (tmp_path / "b").iterdir()} == {"config.json", "tokenizer-1.safetensors"}


def test_damaged_packages_are_named(tmp_path: Path) -> None:
    (tmp_path / data.CAPTIONS.archive).write_bytes(b"cut off")
    with pytest.raises(ConfigError, match="delete the file and try again"):
        data._member(tmp_path / data.CAPTIONS.archive, "en/data.json")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be made"):
        data.fetch(data.CAPTIONS, tmp_path / "file" / "packages")
