"""The parts of training that decide what is learned and what is held out; no long run, but a real short one."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from core.backends.emoji.backend import FOLDER
from core.backends.emoji.text import TextEncoder
from core.backends.emoji.tokenizer import TokenizerConfig, VQTokenizer
from core.backends.emoji.transformer import ARTransformer, TransformerConfig
from core.inputs.arguments import program
from core.training import build_database, data, loop, train_tokenizer, train_transformer
from core.training.colour import HUES, MUTED, VARIANTS, colour_name, recolour
from core.types import ConfigError
from tests.closeness import assert_close

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


def test_muted_colours_are_dull_or_dark_and_leave_the_ground_white() -> None:
    changed = {colour: recolour(disc((220, 30, 30)), colour) for colour in MUTED}
    centre = {colour: picture[64, 64].astype(int) for colour, picture in changed.items() if picture is not None}
    assert centre["black"].max() < 80
    assert np.ptp(centre["grey"]) < 12
    assert 130 < centre["grey"].mean() < 180
    assert centre["brown"][0] > centre["brown"][1] > centre["brown"][2]
    assert all(picture is not None and picture[0, 0].tolist() == [255, 255, 255] for picture in changed.values())


def test_some_colours_of_every_concept_are_held_out_whatever_its_label_says() -> None:
    held = [colour for colour in VARIANTS for n in range(300) if data.colour_held_out(f"concept {n}", colour)]
    assert len(held) / (300 * len(VARIANTS)) == pytest.approx(0.1, abs=0.02)
    assert data.colour_held_out("red apple", "teal") == data.colour_held_out("green apple", "teal")
    trained = train_transformer.trained_variants("apple")
    assert [VARIANTS[n - 1] for n in trained] == [c for c in VARIANTS if not data.colour_held_out("apple", c)]


def test_what_the_novice_must_not_see() -> None:
    assert data.is_unseen("pizza", "flat")
    assert data.is_unseen("cactus", "3d")
    assert not data.is_unseen("pizza", "noto")
    grids = small_grids()
    assert {item.style for item in grids.select("train", novice=True).items} == {"3d"}
    assert len(grids.select("train").items) == 16


def test_the_unseen_database_holds_no_variant_of_a_held_out_picture() -> None:
    def item(label: str, style: str = "flat", iconic: bool = False, split: str = "train") -> data.Item:
        return data.Item(label, style, label, (), iconic, split)

    items = [
        item("bell with slash"),
        item("slot machine"),
        item("slot machine", "noto"),
        item("cactus", "3d", iconic=True),
        item("pizza", iconic=True),
        item("Bell", iconic=True, split="test"),
        item("OK button", split="validation"),  # judges nothing, so its variants may stay
        item("cool button"),
    ]
    assert [items[n].label for n in build_database.unseen(items, "train")] == [
        "cactus", "pizza", "slot machine", "cool button",
    ]  # fmt: skip
    assert [items[n].label for n in build_database.iconic(items, "test")] == ["Bell"]


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


STAMP = loop.stamp("transformer", train_transformer.TrainSettings(), data="pictures")


def test_state_survives_and_is_no_pickle_of_code(tmp_path: Path) -> None:
    assert loop.load_state(tmp_path, STAMP) is None
    loop.save_state(tmp_path, STAMP, {"step": 3, "model": {"w": torch.ones(2)}})
    state = loop.load_state(tmp_path, STAMP)
    assert state is not None
    assert state["step"] == 3
    assert not (tmp_path / "state.partial").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"side": "novice"}, r"side 'everything', expected side 'novice'"),
        ({"training": "tokenizer"}, r"training 'transformer', expected training 'tokenizer'"),
        ({"steps": 10, "seed": 7}, r"seed 0, steps 4000, expected seed 7, steps 10"),
        ({"data": "others"}, r"data 'pictures', expected data 'others'"),
        ({"start": "other weights"}, "start 'new weights', expected start 'other weights'"),
        ({"code": "another"}, "expected code 'another'"),
        ({"one_more": 1}, "one_more None, expected one_more 1"),
    ],
)
def test_the_state_of_another_run_is_refused(changes: dict[str, str | int], message: str, tmp_path: Path) -> None:
    loop.save_state(tmp_path, STAMP, {"step": 3})
    with pytest.raises(ConfigError, match=f"{message}; .*another folder as --run") as caught:
        loop.load_state(tmp_path, {**STAMP, **changes})
    assert "\n" not in str(caught.value)
    assert loop.load_state(tmp_path, dict(reversed(STAMP.items()))) == {"step": 3, "stamp": dict(STAMP)}


def test_every_setting_the_side_the_start_and_the_code_are_in_the_stamp(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = train_transformer.TrainSettings()
    assert loop.stamp("transformer", settings, "pictures") == STAMP
    changed = [replace(settings, **{name: value + 1}) for name, value in asdict(settings).items()]
    others = [loop.stamp("transformer", other, "pictures") for other in changed]
    others += [loop.stamp("transformer", settings, "pictures", novice=True)]
    others += [loop.stamp("transformer", settings, "pictures", start="weights")]
    monkeypatch.setattr(loop, "TRAINED", ("faid.py",))
    others += [loop.stamp("transformer", settings, "pictures")]
    assert len({json.dumps(other) for other in others}) == len(others)
    assert STAMP not in others


@pytest.mark.parametrize("left", [{"step": 4000}, {"step": 4000, "stamp": "mine"}, [1, 2], b"cut off", b""])
def test_a_state_that_does_not_say_whose_it_is_is_refused(left: object, tmp_path: Path) -> None:
    if isinstance(left, bytes):
        (tmp_path / "state.pt").write_bytes(left)
    else:
        torch.save(left, tmp_path / "state.pt")
    with pytest.raises(ConfigError, match=r"state\.pt: .*expected .*another folder as --run, or delete this one$"):
        loop.load_state(tmp_path, STAMP)


def test_hashes_of_data_know_order_type_shape_and_borders() -> None:
    zeros = np.zeros((2, 3), np.uint8)
    others = [
        loop.hash_of(*things)
        for things in (
            (zeros,), (zeros.T,), (zeros.ravel(),), (zeros.astype(bool),), (zeros, ""), ("", zeros), (zeros[:0],),
            ("ab", "c"), ("a", "bc"), ("abc",), (np.arange(6, dtype=np.uint8).reshape(2, 3),),
        )
    ]  # fmt: skip
    assert len(set(others)) == len(others)
    turned = np.asfortranarray(np.arange(6, dtype=np.uint8).reshape(2, 3))
    assert loop.hash_of(turned) == others[-1]


def test_arrays_are_kept_until_something_else_is_asked_for(tmp_path: Path) -> None:
    path, made = tmp_path / "run" / "grids.npz", list[int]()

    def make() -> dict[str, loop.AnyArray]:
        made.append(1)
        return {"grids": np.full(3, len(made))}

    assert [int(loop.cached(path, stamp, make)["grids"][0]) for stamp in ("a", "a", "b", "b", "a")] == [1, 1, 2, 2, 3]
    path.write_bytes(path.read_bytes()[:100])
    assert loop.cached(path, "a", make)["grids"].tolist() == [4, 4, 4]
    assert [file.name for file in path.parent.iterdir()] == ["grids.npz"]


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
    grids = rng.integers(0, 1024, size=(16, 1 + len(VARIANTS), 16, 16)).astype(np.uint16)
    return train_transformer.GridSet(grids, np.ones(16, bool), ("red",) * 16, items)


def test_batches_depend_on_seed_and_step_alone() -> None:
    encoder, model = TextEncoder.load(FOLDER), ARTransformer(TransformerConfig(layers=1, width=32, heads=2))
    settings = train_transformer.TrainSettings(batch=4)
    captioner = train_transformer.Captioner(encoder, model, settings)
    first, again, other = (
        train_transformer.Batches(small_grids(), captioner, settings).draw(step) for step in (5, 5, 6)
    )
    assert torch.equal(first[0].vectors, again[0].vectors)
    assert all(torch.equal(a, b) for a, b in zip(first[1:], again[1:], strict=True))
    assert not torch.equal(first[2], other[2])


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
    settings = train_transformer.TrainSettings(batch=8, learning_rate=3e-3)
    captioner = train_transformer.Captioner(encoder, model, settings)
    batches = train_transformer.Batches(small_grids(), captioner, settings)
    steppers = train_transformer.optimizers(model, settings)
    losses = []
    for step in range(12):
        loss = train_transformer.losses(model, *batches.draw(step)).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        for optimizer in steppers:
            optimizer.step()
            optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(2 * np.log(1024), abs=0.1)  # of the model, and of its draft
    assert losses[-1] < losses[0] - 0.1


def test_code_updater_restarts_dead_codes_and_keeps_unit_length() -> None:
    generator = torch.Generator().manual_seed(0)
    model = VQTokenizer(TokenizerConfig(codes=16))
    updater = train_tokenizer.CodeUpdater(model.codebook, 0.5)
    latents = torch.nn.functional.normalize(torch.randn(400, 8, generator=generator), dim=1)
    for _ in range(6):
        updater.update(latents, torch.zeros(400, dtype=torch.int64), generator, restart=False)
    before = model.codebook.clone()
    updater.update(latents, torch.zeros(400, dtype=torch.int64), generator, restart=True)
    assert_close(model.codebook.norm(dim=1), 1)
    moved = (model.codebook - before).norm(dim=1) > 1e-3
    assert int(moved.sum()) == 15  # all but the one that is in use


@pytest.fixture
def uncompiled() -> Iterator[None]:
    """Compiling would take longer than these few steps."""
    torch.compiler.set_stance("force_eager")
    yield
    torch.compiler.set_stance("default")


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.filterwarnings("ignore:.*torch.jit.script_method:DeprecationWarning")  # torch's own, when compile loads
def test_an_interrupted_run_goes_on_as_if_nothing_had_happened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = np.stack([disc((200, 20 * n, 10)) for n in range(8)])
    items = tuple(data.Item(f"c{n}", "3d", "pizza", (), True, "train" if n < 6 else "test") for n in range(8))
    dataset = data.DataSet(pictures, items)
    settings = train_tokenizer.TrainSettings(crop_steps=3, whole_steps=1, crops=2, wholes=2, checkpoint_every=2)
    whole = train_tokenizer.train(dataset, tmp_path / "a", tmp_path / "run-a", settings)

    save = loop.save_state

    def save_then_stop(folder: Path, stamp: loop.Stamp, state: dict[str, object]) -> None:
        save(folder, stamp, state)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop, "save_state", save_then_stop)
        with pytest.raises(KeyboardInterrupt):
            train_tokenizer.train(dataset, tmp_path / "b", tmp_path / "run-b", settings)
    resumed = train_tokenizer.train(dataset, tmp_path / "b", tmp_path / "run-b", settings)
    for name, value in whole.state_dict().items():
        assert_close(resumed.state_dict()[name], value, 1e-3, least=0.01)
    assert (tmp_path / "run-b" / "contact_sheet.png").exists()
    with pytest.raises(ConfigError, match="seed 0, expected seed 1;"):
        train_tokenizer.train(dataset, tmp_path / "b", tmp_path / "run-b", replace(settings, seed=1))
    with pytest.raises(ConfigError, match="got a run with data"):
        train_tokenizer.train(replace(dataset, pictures=255 - pictures), tmp_path / "b", tmp_path / "run-b", settings)
    assert {p.name for p in (tmp_path / "b").iterdir()} == {"config.json", "tokenizer-1.safetensors"}


def test_a_tokenizer_with_more_blocks_begins_where_a_smaller_one_ended() -> None:
    torch.manual_seed(0)
    small, large = (VQTokenizer(TokenizerConfig(64, 32, 8, 16, 16, blocks, blocks)).eval() for blocks in (1, 2))
    pictures = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3)).astype(np.uint8)
    train_tokenizer.inherit(large, small)
    assert (large.encode(pictures) == small.encode(pictures)).all()
    assert (large.decode(small.encode(pictures)) == small.decode(small.encode(pictures))).all()
    with pytest.raises(ConfigError, match="no more than the new one has"):
        train_tokenizer.inherit(small, large)


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.filterwarnings("ignore:.*torch.jit.script_method:DeprecationWarning")  # torch's own, when compile loads
def test_an_interrupted_transformer_goes_on_and_another_starts_from_its_flat_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = TransformerConfig(layers=1, width=32, heads=2, hidden=32, canvas_channels=8)
    monkeypatch.setattr(train_transformer, "TransformerConfig", partial(replace, config))
    sides = ("train",) * 12 + ("validation",) * 2 + ("pair",) * 2
    base = small_grids()
    grids = replace(base, items=tuple(replace(i, split=s) for i, s in zip(base.items, sides, strict=True)))
    encoder, settings = TextEncoder.load(FOLDER), train_transformer.TrainSettings(steps=4, batch=2, checkpoint_every=2)
    whole = train_transformer.train(grids, encoder, tmp_path / "a", settings)
    save = loop.save_state

    def save_then_stop(folder: Path, stamp: loop.Stamp, state: dict[str, object], name: str = "state") -> None:
        save(folder, stamp, state, name)
        if name == "state":
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop, "save_state", save_then_stop)
        with pytest.raises(KeyboardInterrupt):
            train_transformer.train(grids, encoder, tmp_path / "b", settings)
    resumed = train_transformer.train(grids, encoder, tmp_path / "b", settings)
    for name, value in whole.state_dict().items():
        assert_close(resumed.state_dict()[name], value, 1e-3, least=0.01)
    once = replace(settings, steps=1, learning_rate=0.0, muon_rate=0.0, average_from=0.0)
    started = train_transformer.train(grids, encoder, tmp_path / "c", once, start_from=tmp_path / "a")
    kept = train_transformer.flat_state(tmp_path / "a")["model"]
    assert all(torch.equal(value, kept[name]) for name, value in started.state_dict().items())
    refused = {
        "side 'everything', expected side 'novice'; ": (grids, settings, True, None),
        "steps 4, .*expected steps 8": (grids, replace(settings, steps=8), False, None),
        "start 'new weights', expected start '": (grids, settings, False, tmp_path / "a"),
        "got a run with data '": (replace(grids, colours=("blue",) * 16), settings, False, None),
    }
    for message, (learned, chosen, novice, start) in refused.items():
        with pytest.raises(ConfigError, match=message):
            train_transformer.train(learned, encoder, tmp_path / "b", chosen, novice, start)
    with pytest.raises(ConfigError, match="got a run of side 'everything', expected 'novice'"):
        train_transformer.train(grids, encoder, tmp_path / "e", settings, novice=True, start_from=tmp_path / "a")
    with pytest.raises(ConfigError, match=r"got no flat\.pt"):
        train_transformer.train(grids, encoder, tmp_path / "d", once, start_from=tmp_path / "nowhere")


def test_the_folder_of_another_run_is_exit_status_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The novice in the folder of a finished run would be a transformer that has seen everything."""
    grids = small_grids()
    learned = loop.hash_of(grids.fingerprint, TextEncoder.load(FOLDER).fingerprint)
    finished = loop.stamp("transformer", train_transformer.TrainSettings(), learned)
    loop.save_state(tmp_path / "run", finished, {"step": 4000})
    monkeypatch.setattr(data, "load", lambda folder: None)
    monkeypatch.setattr(train_transformer, "tokenise", lambda *arguments: grids)
    out = tmp_path / "novice"
    monkeypatch.setattr(sys, "argv", ["train", "--novice", "--run", str(tmp_path / "run"), "--out", str(out)])
    assert program(None, train_transformer.add_arguments, train_transformer.run) == 2
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1
    assert told[0].startswith("error: ")
    assert "side 'everything', expected side 'novice'; " in told[0]
    assert not out.exists()


def test_token_grids_are_kept_for_the_same_pictures_and_tokenizer_only(tmp_path: Path) -> None:
    torch.manual_seed(0)
    tokenizer = VQTokenizer(TokenizerConfig(codes=16, fine_width=8, coarse_width=16, fine_blocks=1, coarse_blocks=1))
    tokenizer.eval()
    items = tuple(data.Item(f"c{n}", "3d", "pizza", (), True, "train") for n in range(2))
    dataset = data.DataSet(np.stack([disc((200, 20, 10)), disc((20, 200, 10))]), items)
    cache = tmp_path / "grids.npz"
    first = train_transformer.tokenise(dataset, tokenizer, cache)
    written = cache.stat().st_mtime_ns
    assert train_transformer.tokenise(dataset, tokenizer, cache).fingerprint == first.fingerprint
    assert cache.stat().st_mtime_ns == written
    turned = replace(dataset, pictures=dataset.pictures[::-1].copy())
    other = train_transformer.tokenise(turned, tokenizer, cache)
    assert np.array_equal(other.grids, first.grids[::-1])
    assert not np.array_equal(other.grids, first.grids)


def test_damaged_packages_are_named(tmp_path: Path) -> None:
    (tmp_path / data.CAPTIONS.archive).write_bytes(b"cut off")
    with pytest.raises(ConfigError, match="delete the file and try again"):
        data.member(tmp_path / data.CAPTIONS.archive, "en/data.json")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(ConfigError, match="cannot be made"):
        data.fetch(data.CAPTIONS, tmp_path / "file" / "packages")
