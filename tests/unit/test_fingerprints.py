"""A fingerprint changes with everything that decides a result, and with nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from core.backends.emoji.backend import FOLDER, EmojiBackend, load_novice
from core.backends.emoji.text import TextEncoder
from core.backends.emoji.transformer import ARTransformer
from core.codebook import Codebook
from core.context import Context
from core.engine import decode
from core.inputs.prompt import EmojiNames, emoji_names
from core.patches.catalogue import DATABASES
from core.patches.database import PatchDatabase
from core.patches.protocol import ImageInfo
from core.types import DatabaseError, DecodeSettings
from tests.tiny import tiny_backend, tiny_database

RNG = np.random.default_rng(0)
CODEBOOK = Codebook.from_vectors(RNG.normal(size=(32, 8)).astype(np.float32))
MADE: dict[str, Any] = {
    "codebook": CODEBOOK,
    "grids": RNG.integers(0, 32, (3, 4, 5)),
    "metadata": [ImageInfo(f"caption {i}", "ab"[i % 2], f"c{i}", "made up") for i in range(3)],
    "captions": np.eye(3, dtype=np.float32),
    "caption_encoder": "one",
}


def build(**changes: Any) -> PatchDatabase:
    return PatchDatabase.build(**MADE | changes)


def first_image(**changes: str) -> list[ImageInfo]:
    metadata: list[ImageInfo] = MADE["metadata"]
    return [replace(metadata[0], **changes), *metadata[1:]]


def test_equal_databases_have_one_fingerprint(tmp_path: Path) -> None:
    build().save(tmp_path)
    loaded = PatchDatabase.load(tmp_path, CODEBOOK)
    assert build().fingerprint == build(index="quantizer").fingerprint == loaded.fingerprint
    assert build().fingerprint == build().subset([0, 1, 2]).fingerprint
    assert loaded.caption_encoder == "one"


@pytest.mark.parametrize(
    "changes",
    [
        {"grids": (MADE["grids"] + 1) % 32},
        {"captions": MADE["captions"][::-1]},
        {"captions": None},
        {"caption_encoder": "two"},
        {"metadata": first_image(caption="caption 1")},
        {"metadata": first_image(style="b")},
        {"metadata": first_image(concept="c1")},
        {"metadata": first_image(source="elsewhere")},
        {"metadata": first_image(style="", concept="ac0")},  # the same letters in other fields
        {"context": Context(1, "zero")},
        {"codebook": Codebook.from_vectors(CODEBOOK.vectors[::-1])},
    ],
)
def test_whatever_decides_what_a_database_answers_changes_its_fingerprint(changes: dict[str, Any]) -> None:
    assert build(**changes).fingerprint != build().fingerprint


def test_views_have_fingerprints_of_their_own() -> None:
    views = [build(), build().subset([0, 1]), build().subset([0, 2]), build().with_context(Context(2, "zero"))]
    assert len({view.fingerprint for view in views}) == len(views)


# -- models -----------------------------------------------------------------------------------------------------------


def edited(change: Callable[[dict[str, Any]], object]) -> TextEncoder:
    """The text table that ships, with another tokenizer."""
    encoder = TextEncoder.load(FOLDER)
    description = json.loads(encoder.tokenizer.to_str())
    change(description)
    return replace(encoder, tokenizer=Tokenizer.from_str(json.dumps(description)))


def swap_words(description: dict[str, Any]) -> None:
    words = description["model"]["vocab"]
    words["zebra"], words["pizza"] = words["pizza"], words["zebra"]


def one_bit(array: np.ndarray) -> np.ndarray:
    changed = array.copy()
    changed[-1] += 1
    return changed


def other_encoders() -> dict[str, TextEncoder]:
    encoder = TextEncoder.load(FOLDER)
    return {
        "vectors": replace(encoder, codes=one_bit(encoder.codes)),
        "scales": replace(encoder, scales=one_bit(encoder.scales)),
        "vocabulary": edited(swap_words),
        "cases": edited(lambda description: description["normalizer"].update(lowercase=False)),
        "accents": edited(lambda description: description["normalizer"].update(strip_accents=False)),
        "length": edited(
            lambda description: description.update(
                truncation={"max_length": 8, "strategy": "LongestFirst", "stride": 0, "direction": "Right"}
            )
        ),
    }


def test_whatever_decides_a_caption_vector_changes_the_encoder_and_the_model(backend: EmojiBackend) -> None:
    encoder = TextEncoder.load(FOLDER)
    assert encoder.fingerprint == TextEncoder.load(FOLDER).fingerprint == backend.caption_encoder
    others = other_encoders()
    assert len({encoder.fingerprint, *(other.fingerprint for other in others.values())}) == 1 + len(others)
    models = {replace(backend, encoder=other).fingerprint for other in others.values()}
    assert len({backend.fingerprint, *models}) == 1 + len(others)


def with_other_weights(part: str) -> EmojiBackend:
    backend = tiny_backend()
    with torch.no_grad():
        module: torch.nn.Module = getattr(backend, part)
        next(module.parameters()).view(-1)[0] += 1
    return backend


def with_other_heads(backend: EmojiBackend) -> EmojiBackend:
    """The same weights, read as twice as many heads."""
    config = replace(backend.transformer.config, heads=2 * backend.transformer.config.heads)
    other = ARTransformer(config)
    other.load_state_dict(backend.transformer.state_dict())
    return replace(backend, transformer=other)


def test_whatever_decides_a_picture_changes_the_model(backend: EmojiBackend) -> None:
    assert backend.fingerprint == tiny_backend().fingerprint == tiny_backend(faid=False).fingerprint
    others = [
        with_other_weights("transformer"),
        with_other_weights("tokenizer"),
        with_other_heads(backend),
        replace(backend, mixed_up={}),
        replace(backend, encoder=replace(backend.encoder, max_pieces=3)),
        tiny_backend(seed=1),
    ]
    assert len({backend.fingerprint, *(other.fingerprint for other in others)}) == 1 + len(others)


def test_how_texts_are_read_belongs_to_encoder_and_model(
    monkeypatch: pytest.MonkeyPatch, backend: EmojiBackend
) -> None:
    def read_anew() -> EmojiBackend:
        return replace(backend, encoder=replace(backend.encoder))

    found = [read_anew()]
    assert found[0].fingerprint == backend.fingerprint
    with monkeypatch.context() as patched:
        patched.setattr("core.backends.emoji.text.READING", ("other words for styles",))
        found.append(read_anew())
        assert found[1].fingerprint  # which is remembered
    named = EmojiNames.of({**emoji_names().names, "\U0001f355": "a wheel"})
    monkeypatch.setattr("core.backends.emoji.text.emoji_names", lambda: named)
    found.append(read_anew())
    assert len({each.fingerprint for each in found}) == len({each.caption_encoder for each in found}) == 3


def test_the_models_that_ship_differ_and_read_captions_alike() -> None:
    emoji, novice = EmojiBackend.load(), load_novice()
    assert emoji.fingerprint != novice.fingerprint
    assert emoji.caption_encoder == novice.caption_encoder


# -- databases and caption encoders -----------------------------------------------------------------------------------


def test_databases_that_ship_name_the_encoder_that_ships() -> None:
    emoji = EmojiBackend.load()
    assert {make(emoji.codebook).caption_encoder for make in DATABASES.values()} == {emoji.caption_encoder}


def renamed(backend: EmojiBackend, encoder: str) -> PatchDatabase:
    made = tiny_database(backend)
    vectors = backend.embed_captions([info.caption for info in made.metadata])
    return PatchDatabase.build(backend.codebook, made.grids, made.metadata, captions=vectors, caption_encoder=encoder)


def test_the_caption_filter_refuses_vectors_of_another_encoder(backend: EmojiBackend) -> None:
    settings = DecodeSettings(caption_filter=3)
    with pytest.raises(DatabaseError, match=r"embedded by another, expected .*caption_filter to 0") as caught:
        next(decode(backend, renamed(backend, "another"), ["pizza"], settings))
    assert "\n" not in str(caught.value)
    unfiltered = replace(settings, caption_filter=0)
    assert next(decode(backend, renamed(backend, "another"), ["pizza"], unfiltered))
    for known in (backend.caption_encoder, ""):
        assert next(decode(backend, renamed(backend, known), ["pizza"], settings))


def test_a_manifest_from_before_does_not_name_its_encoder_and_opens(tmp_path: Path) -> None:
    build().save(tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text(encoding="utf-8"))
    del manifest["caption_encoder"]
    (tmp_path / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    assert PatchDatabase.load(tmp_path, CODEBOOK).caption_encoder == ""
    (tmp_path / "manifest.json").write_text(json.dumps(manifest | {"caption_encoder": 7}), encoding="utf-8")
    with pytest.raises(DatabaseError, match="got caption_encoder 7"):
        PatchDatabase.load(tmp_path, CODEBOOK)


@pytest.mark.parametrize("factor", [0.5, 1.02, 100])
def test_caption_vectors_must_be_of_unit_length_or_zero(factor: float, tmp_path: Path) -> None:
    some_zero = MADE["captions"] * np.array([[1], [0], [1]])
    build(captions=some_zero).save(tmp_path)
    assert PatchDatabase.load(tmp_path, CODEBOOK).images.tolist() == [0, 1, 2]
    np.save(tmp_path / "captions.npy", (some_zero * np.array([[1], [0], [factor]])).astype("<f2"))
    with pytest.raises(DatabaseError, match=r"of length .* for image 2, expected unit vectors"):
        PatchDatabase.load(tmp_path, CODEBOOK)


def test_joined_databases_keep_the_encoder_that_both_name() -> None:
    assert build().joined(build()).caption_encoder == "one"
    assert build().joined(build(caption_encoder="")).caption_encoder == ""
    assert build().joined(build(captions=None)).caption_encoder == ""
    with pytest.raises(DatabaseError, match="two encoders"):
        build().joined(build(caption_encoder="two"))


def test_views_keep_the_encoder(tmp_path: Path) -> None:
    view = build().with_context(Context(2, "zero")).with_styles(["a"])
    assert view.caption_encoder == "one"
    view.save(tmp_path)
    assert PatchDatabase.load(tmp_path, CODEBOOK).caption_encoder == "one"
