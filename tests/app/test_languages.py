"""The page's labels in other languages."""

from __future__ import annotations

import json
import re
from urllib.request import urlopen

from app import views
from app.controls import KNOBS
from app.examples import examples
from app.languages import GERMAN, TEXTS, said, translations, words_of
from app.tabs import found
from core.patches.released import ReleasedDatabase
from tests.app.serving import served

NAMES = {
    "DAiD",
    "FAiD",
    "FAiD + DAiD",
    "Emoji",
    "Top-p",
    "Top-k",
    "SVG",
    "Gradio",
    "3d",
    "flat",
    "all",
    "released",
    "fake",
}
"""The same in all languages."""


def shown() -> set[str]:
    """Every text of the page's components as the browser gets it."""
    with served(0.0, "released") as url, urlopen(f"{url}/config") as answer:
        config = json.load(answer)
    public = [event for event in config["dependencies"] if event["api_visibility"] == "public"]
    endpoints = {number for event in public for number in (*event["inputs"], *event["outputs"])}
    found = set()
    for component in config["components"]:
        if component["id"] in endpoints:  # they are named for scripts, and nobody sees them
            continue
        names = (*TEXTS, "value") if component["type"].endswith("button") else TEXTS
        found |= {component["props"].get(name) for name in names}
        found |= {label for label, _ in component["props"].get("choices") or []}
    return {text for text in found if isinstance(text, str)}


def test_every_label_of_the_page_has_its_words_in_every_language() -> None:
    without_markers = {re.sub(r"__i18n__\{.*?\}", "", text).strip(" .()") for text in shown()}
    left = without_markers - NAMES - set(examples().prompts) - {""}
    assert {text for text in left if not re.fullmatch(r"[\d,]+|3d, flat|Fake, on the CPU", text)} == set()


def test_what_is_said_later_has_its_words_too() -> None:
    refused = ReleasedDatabase.unsupported_settings.fget(None)  # type: ignore[attr-defined]
    notes = [*views.MODEL_NOTES.values(), *views.DATABASE_NOTES.values(), *refused.values()]
    names = set(views.CHOICE_NAMES.values()) | set(views.METHOD_NAMES.values())
    infos = {knob.info for knob in KNOBS} | {ReleasedDatabase.notice.fget(None)}  # type: ignore[attr-defined]
    assert {*notes, *names, *infos} - NAMES - set(GERMAN) == set()


def test_both_languages_have_the_same_keys_and_none_is_empty() -> None:
    english, german = translations(words_of(found())).translations_dict.values()
    assert set(english) == set(german)
    assert all(text.strip() for text in german.values())
    assert all(english[key] == key for key in english)


def test_a_marked_text_carries_its_key_and_others_stay_as_they_are() -> None:
    assert json.loads(said("Seed").removeprefix("__i18n__"))["key"] == "Seed"
    assert said("my own database") == "my own database"
