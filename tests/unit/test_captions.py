"""Captions from file names."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.inputs.captions import MOST_LETTERS, caption_of_name, cut


@pytest.mark.parametrize(
    ("name", "caption"),
    [
        ("red_apple-2", "red apple 2"),
        ("Cafe\u0301 au lait", "Caf\u00e9 au lait"),
        ("Gru\u0308ner_Baum", "Gr\u00fcner Baum"),
        ("\u0939\u093f\u0928\u094d\u0926\u0940_\u0926\u093f\u0932",
         "\u0939\u093f\u0928\u094d\u0926\u0940 \u0926\u093f\u0932"),
        ("\u0e40\u0e2a\u0e37\u0e49\u0e2d\u0e41\u0e14\u0e07", "\u0e40\u0e2a\u0e37\u0e49\u0e2d\u0e41\u0e14\u0e07"),
        ("\U0001f355", "\U0001f355"), ("\U0001f469\u200d\U0001f680!", "\U0001f469\u200d\U0001f680"),
        ("\U0001f44d\U0001f3fd_\u2764\ufe0f", "\U0001f44d\U0001f3fd \u2764\ufe0f"), ("[red] heart (1)", "red heart 1"),
        ("<b>x</b>", "b x b"), ("__", "picture"), ("---", "picture"), ("\u200d", "picture"), ("\udcff", "picture"),
        ("don\u2019t 'quote'", "don\u2019t quote"), ("n" * 230, "n" * MOST_LETTERS),
        ("word_" * 46, " ".join(["word"] * 24)),
    ],
)  # fmt: skip
def test_names_in_words(name: str, caption: str) -> None:
    assert caption_of_name(name) == caption


def test_a_letter_keeps_its_marks_where_it_is_cut() -> None:
    assert cut("e\u0323\u0302" * 3, 5) == "e\u0323\u0302"
    assert cut("\U0001f469\u200d\U0001f680ab", 2) == "\U0001f469"[:1]
    assert cut("one two three", 7) == "one two"
    assert cut("one two three", 8) == "one two"


@given(st.text(max_size=400))
def test_every_name_has_a_caption(name: str) -> None:
    caption = caption_of_name(name)
    assert 0 < len(caption) <= MOST_LETTERS
    assert " ".join(caption.split()) == caption
    assert unicodedata.is_normalized("NFC", caption)
