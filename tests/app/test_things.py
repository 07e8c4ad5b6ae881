"""The things of a database, and what is said of prompts that name none of them."""

from __future__ import annotations

import pytest

from app.hint import Told, told_of
from app.things import is_among, sound, things_of
from core.backends.emoji.backend import EmojiBackend
from core.patches.catalogue import open_database
from core.patches.protocol import Database
from tests.app.fake import FakeBackend, fake_database


@pytest.fixture(scope="module")
def embedded() -> EmojiBackend:
    return EmojiBackend.load()


@pytest.fixture(scope="module")
def database(embedded: EmojiBackend) -> Database:
    return open_database("emoji", embedded)


def test_things_are_the_different_captions(database: Database) -> None:
    things = things_of(database)
    assert len(things) == len({database.image_info(int(image)).caption for image in database.images})
    assert "pizza" in things
    assert list(things) == sorted(things, key=str.casefold)
    assert things_of(None) == ()


def test_words_of_things_are_known_in_colours_and_number_and_while_they_are_typed() -> None:
    things = ("cat face", "house")
    known = ("a blue cat face", "purple houses", "cat", "a ca", "", "green house, 3d style")
    assert [prompt for prompt in known if not is_among(prompt, things)] == []
    assert not is_among("kat", things)
    assert not is_among("ca house", things)  # only the last word may be begun


@pytest.mark.parametrize(("one", "other"), [("peetza", "pizza"), ("kat", "cat"), ("elefant", "elephant")])
def test_what_sounds_alike(one: str, other: str) -> None:
    assert sound(one) == sound(other)


@pytest.mark.parametrize(
    ("prompt", "near"),
    [
        ("peetza", "pizza"),
        ("kat", "cat"),
        ("zebra crossing", "zebra"),
        ("a kitten", "cat"),
        ("pineapple", "strawberry"),
    ],
)
def test_an_unknown_prompt_says_so_and_names_the_nearest(
    embedded: EmojiBackend, database: Database, prompt: str, near: str
) -> None:
    count = f"{len(things_of(database)):,}"
    told = told_of(embedded, database, prompt)
    assert told.instead == near
    assert told.text == (
        f"The database has pictures of {count} things, and “{prompt}” is none of them; the nearest is “{near}”."
    )


def test_nothing_is_near(embedded: EmojiBackend, database: Database) -> None:
    told = told_of(embedded, database, "quantum chromodynamics")
    assert told.text.endswith("is none of them.")
    assert told.instead == ""


@pytest.mark.parametrize("prompt", ["", "pizza", "a red heart, 3d style", "blue cat face", "🍕", "purple house"])
def test_nothing_is_said_of_what_is_there(embedded: EmojiBackend, database: Database, prompt: str) -> None:
    assert told_of(embedded, database, prompt) == Told("")


def test_nothing_is_said_without_a_database() -> None:
    backend = FakeBackend()
    assert told_of(backend, None, "sun") == Told("")
    assert told_of(backend, fake_database(backend, images=2), "disc number") == Told("")
