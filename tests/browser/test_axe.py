"""Every tab, in light, dark and forced colours, by axe-core: the rules that a machine can check."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from app.tabs import found
from tests.browser.chromium import find_chromium
from tests.browser.visitor import open_tab, ready, visitor

if find_chromium() is None:
    pytest.skip("no browser tests: no Chromium found; apt-get install chromium", allow_module_level=True)

GRADIO = {"exclude": [[".empty"], [".progress-text"], [".meta-text"], [".meta-text-center"]]}
"""What Gradio shows for a moment: a label on an element that may have none until a plot is there, and its timer."""

BROKEN = {"resultTypes": ["violations"]}
"""Every rule is tried; of those that nothing breaks, not every element is told."""

LOOKS: dict[str, dict[str, Any]] = {
    "light": {},
    "dark": {"color_scheme": "dark"},
    "forced": {"forced_colors": "active"},
}


@pytest.mark.parametrize("look", LOOKS)
def test_no_tab_breaks_a_rule_of_axe(browser: Browser, quick: str, look: str) -> None:
    broken = []
    with visitor(browser, **LOOKS[look]) as page:
        ready(page, quick)
        for tab in found():
            open_tab(page, tab.label)
            for rule in Axe().run(page, context=GRADIO, options=BROKEN).response["violations"]:
                broken += [(tab.name, rule["id"], node["target"], node["failureSummary"]) for node in rule["nodes"]]
    assert broken == []
