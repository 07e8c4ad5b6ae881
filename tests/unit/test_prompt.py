"""Prompts in one spelling, and emoji by their names."""

from __future__ import annotations

import json
import time
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.inputs.prompt import MAX_PROMPT, NAMES_FILE, EmojiNames, clean, clean_prompt, emoji_names, read_emoji
from core.training.emoji_names import emoji_names as names_of
from core.types import CheckpointError, ConfigError

INVISIBLE = [
    *("\u200b", "\u200c", "\u200d", "\u200e", "\u2060", "\u202e", "\ufeff", "\u00ad", "\u034f", "\u061c", "\u180e"),
    *("\ufe00", "\ufe0e", "\ufe0f", "\U000e0061", "\U000e007f", "\U000e0100", "\u2063", "\u206f"),
]
TEXTS = st.text(
    st.one_of(st.characters(exclude_categories=()), st.sampled_from("a1 -,❤🍕👩🚀🇩🇪🏽\u200d\ufe0f\u20e3\u0301\uff03"))
)


@given(text=TEXTS)
def test_cleaning_and_reading_are_done_once(text: str) -> None:
    once = clean(text)
    assert clean(once) == once
    read = read_emoji(once)
    assert clean(read) == read_emoji(read) == read


@given(text=TEXTS)
def test_a_clean_text_can_be_written_and_is_one_line(text: str) -> None:
    once = clean(text)
    assert once.encode().decode() == " ".join(once.split()) == once
    assert not any(unicodedata.category(char) in ("Cc", "Zl", "Zp") for char in once)


@given(data=st.data(), text=st.text("ab é1-,", max_size=20), marks=st.lists(st.sampled_from(INVISIBLE), max_size=5))
def test_invisible_characters_do_not_count(data: st.DataObject, text: str, marks: list[str]) -> None:
    written = text
    for mark in marks:
        place = data.draw(st.integers(0, len(written)))
        written = written[:place] + mark + written[place:]
    assert clean(written) == clean(text)


@given(text=st.text(max_size=30))
def test_composed_and_decomposed_letters_are_the_same(text: str) -> None:
    assert clean(unicodedata.normalize("NFD", text)) == clean(unicodedata.normalize("NFC", text))


@pytest.mark.parametrize(
    "space", [*"\t\n\x0b\x0c\r\x00\x1f\x7f\x85\xa0\u1680\u2003\u2028\u202f\u205f\u3000\u2800\u3164\uffa0"]
)
def test_all_spaces_are_one(space: str) -> None:
    assert clean(f"{space}red{space}{space}heart{space}") == "red heart"


@pytest.mark.parametrize("hyphen", [*"\u2010\u2011\u2012\u2013\u2212\ufe63\uff0d\u2043\u02d7\u058a"])
def test_all_hyphens_are_one(hyphen: str) -> None:
    assert clean(f"3{hyphen}d") == "3-d"


@pytest.mark.parametrize("dash", [*"\u2014\u2015\u2e3a\ufe58"])
def test_long_dashes_set_words_apart(dash: str) -> None:
    assert clean(f"a cat{dash}flat") == "a cat - flat"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("🍕", "pizza"),
        ("😀 🍕", "grinning face pizza"),
        ("😀🍕", "grinning face pizza"),
        ("a 🍕, flat style", "a pizza, flat style"),
        ("(🍕)", "(pizza)"),
        ("red❤heart", "red red heart heart"),
        ("red❤️heart", "red red heart heart"),
        ("❤", "red heart"),
        ("❤\ufe0e", "red heart"),
        ("👍🏽", "thumbs up"),
        ("🏽", "medium skin tone"),
        ("👩🏽\u200d🚀", "woman astronaut"),
        ("👩\u200b\u200d\u2060🚀", "woman astronaut"),
        ("👩🚀", "woman rocket"),
        ("🫱🏻\u200d🫲🏿", "handshake"),
        ("👩🏻\u200d🤝\u200d👩🏿", "women holding hands"),
        ("🏴\u200d☠️", "pirate flag"),
        ("🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f", "flag: Scotland"),
        ("🇩🇪🇫🇷", "flag: Germany flag: France"),
        ("🇽🇿", "regional indicator X regional indicator Z"),
        ("🍕\u200d🚀", "pizza rocket"),
        ("5️⃣", "keycap: 5"),
        ("5⃣", "keycap: 5"),
        ("5", "5"),
        ("©️", "copyright"),
        ("Star©", "Star©"),
        ("5🍕", "5 pizza"),
        ("🍕\u0301", "pizza \u0301"),
        ("👁️‍🗨️", "eye in speech bubble"),
    ],
)
def test_emoji_are_read_as_their_names(written: str, read: str) -> None:
    assert read_emoji(clean(written)) == read


def test_emoji_stay_in_what_is_recorded() -> None:
    assert clean_prompt(" a ❤️\u200b and 👩🏽‍🚀 ") == "a ❤️ and 👩🏽‍🚀"


def test_bytes_that_are_no_text_are_read_as_latin_1() -> None:
    assert clean_prompt(b"caf\xe9".decode(errors="surrogateescape")) == "café"
    assert clean_prompt("half \ud83c a pizza") == "half a pizza"


@pytest.mark.parametrize("prompt", ["", " \n", "\u200b", "\u2800\u3164", "\ud800", "x" * (MAX_PROMPT + 1)])
def test_a_prompt_has_an_allowed_length(prompt: str) -> None:
    with pytest.raises(ConfigError, match=r"prompt: got (0|301) characters, expected 1 to 300; "):
        clean_prompt(prompt)


def test_what_can_be_no_prompt_is_refused_at_once() -> None:
    begin = time.perf_counter()
    with pytest.raises(ConfigError, match="prompt: got 3000000 characters"):
        clean_prompt("a\u0301\u0316" * 10**6)
    assert time.perf_counter() - begin < 1  # cleaning it takes half a minute


def test_invisible_characters_are_not_counted() -> None:
    assert clean_prompt("\u200b".join("x" * MAX_PROMPT)) == "x" * MAX_PROMPT


def test_names_come_from_emojibase() -> None:
    emojibase = [
        {"hexcode": "2764-FE0F", "label": "red heart"},
        {"hexcode": "1F91D", "label": "handshake", "skins": [{"hexcode": "1FAF1-1F3FB-200D-1FAF2-1F3FC"}]},
    ]
    assert names_of(emojibase) == {"❤": "red heart", "🤝": "handshake", "🫱\u200d🫲": "handshake"}


def test_the_shipped_names_are_clean_and_whole() -> None:
    names = emoji_names()
    assert NAMES_FILE.stat().st_size < 200_000
    for emoji, name in names.names.items():
        assert clean(name) == name
        assert names.pattern.fullmatch(emoji) or emoji < "\u2190"


@pytest.mark.parametrize("content", [None, b"", b"[]", b'{"names": 3}', b"\xff\xfe", json.dumps({}).encode()])
def test_a_damaged_table_is_told_in_one_line(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "names.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"^emoji names: got .*names.json with .*; restore it"):
        EmojiNames.load(path)
