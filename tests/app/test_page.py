"""The served page, without a browser: its endpoints, its assets, its template."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from app import stepper
from app.delivery import published
from app.examples import examples
from app.head.head import Head
from app.hint import Hint
from app.rail.rail import Rail
from app.scripted import Scripted
from app.share.saved import Saved
from app.share.share import Share
from app.stepper.stepper import Stepper
from app.tabs import found
from app.tabs.compare.compare import Compare
from app.tabs.learn.tour import Tour
from app.tabs.sources.layout import Sources
from app.tabs.sweep.sweep import Sweep
from app.views import Update
from core.inputs.prompt import PromptLimit
from core.types import Grid
from tests.app.serving import served


def test_nothing_internal_is_offered_as_an_endpoint(url: str) -> None:
    with urlopen(f"{url}/gradio_api/info?all_endpoints=true") as answer:
        described = json.load(answer)
    drawing, reading = {"/generate", "/branch", "/compare"}, {"/step", "/provenance", "/inside"}
    assert set(described["named_endpoints"]) == {*drawing, *reading, "/find_pictures", "/find_patches"}
    assert described["unnamed_endpoints"] == {}


def test_the_page_loads_nothing_from_other_hosts(url: str) -> None:
    with urlopen(url) as answer:
        html = answer.read().decode()
    loaded = re.findall(r"""<(?:script|link|img|iframe)[^>]*(?:src|href)=["'](https?://[^"']+)""", html)
    assert [address for address in loaded if not address.startswith(url)] == []
    assert "fonts.googleapis" not in html


def test_files_of_the_machine_are_not_served(url: str) -> None:
    with pytest.raises(HTTPError) as refused:
        urlopen(f"{url}/gradio_api/file={Path(stepper.__file__).parent / 'stepper.py'}")
    refused.value.close()
    assert refused.value.code in (403, 404)


def test_the_page_can_be_found_by_its_hooks(url: str) -> None:
    with urlopen(f"{url}/config") as answer:
        components = json.load(answer)["components"]
    ids = {component["props"].get("elem_id") for component in components}
    assert {"prompt", "method", "seed", "generate", "stop", "stepper"} <= ids


def group_and_methods(url: str) -> tuple[object, list[str]]:
    """Whether the group of FAiD's settings is visible, and the methods that are offered."""
    with urlopen(f"{url}/config") as answer:
        components = json.load(answer)["components"]
    groups = {c["props"].get("label"): c["props"]["visible"] for c in components if c["type"] == "accordion"}
    choices = next(c["props"]["choices"] for c in components if c["props"].get("elem_id") == "method")
    return groups["Feature blend (FAiD)"], [name for _, name in choices]


def test_blenders_are_offered_only_with_a_model_that_has_some(url: str) -> None:
    assert group_and_methods(url) == (True, ["model", "daid", "faid", "faid+daid"])
    with served(0.0, "plain") as plain:
        assert group_and_methods(plain) == ("hidden", ["model", "daid"])


def components() -> list[Scripted]:
    return [
        Stepper(),
        Compare(),
        Rail(),
        Sweep(),
        Sources(),
        Tour(),
        Hint(),
        Saved("saved"),
        Share(),
        Head(found(), PromptLimit()),
    ]


def test_the_templates_are_constant(url: str) -> None:
    """Gradio evaluates ${...} and {{...}} of a template, and takes backslashes and backticks of it as its own."""
    with urlopen(f"{url}/config") as answer:
        props = [component["props"] for component in json.load(answer)["components"]]
    templates = [found["html_template"] for found in props if found.get("html_template")]
    assert len(templates) > 12
    assert not any(re.search(r"\$\{|\{\{|`|\\", template) for template in templates)


def test_the_code_puts_no_text_into_the_page_as_markup() -> None:
    scripts = {name: content for name, content in published().items() if name.endswith(".js")}
    assert len(scripts) > 50
    for name, content in scripts.items():
        for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
            assert word not in content.decode(), name


def test_a_component_can_be_made_anew_from_its_arguments() -> None:
    """Gradio does so when an event skips a component."""
    for component in components():
        again = type(component)(**{**component.constructor_args, "render": False})
        assert again.get_config() == component.get_config()


def test_updates_become_data_with_files_in_the_cache() -> None:
    stepper = Stepper()
    data = stepper.postprocess(Update(3, 7, "ready", prompt="${1}", steps=2, grid=Grid(1, 2), picture=b"p", file=b"f"))
    assert (data.run, data.number, data.state, data.prompt) == (3, 7, "ready", "${1}")
    assert (data.height, data.width, data.picture) == (1, 2, "cA==")
    assert data.file.path.endswith("trace.bin")
    assert data.atlas is None
    assert stepper.postprocess(None) is None


def test_examples_are_short_prompts() -> None:
    prompts = examples().prompts
    assert 4 <= len(prompts) <= 12
    assert all(isinstance(text, str) and 0 < len(text) <= 60 for text in prompts)


def test_the_first_example_changes_nothing_but_the_database() -> None:
    tiles = examples().swap
    assert len({(tile.prompt, tile.asked.model, tile.asked.settings.seed) for tile in tiles}) == 1
    compared = [tile.asked for tile in tiles if tile.asked.settings.retrieves]
    assert {asked.database for asked in compared} == {"seen", "unseen"}
    assert len({asked.settings for asked in compared}) == 1
    assert all(tile.picture.is_file() for tile in tiles)
