"""Tabs that declare themselves: what is found, and that everything on the page follows from it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gradio as gr
import pytest

from app import delivery, ui
from app.head.head import Head
from app.session import Session
from app.tabs import found
from app.tabs.tab import KEYS, Tab
from core.types import ConfigError

HELLO = '''
"""A tab that greets."""

from pathlib import Path

import gradio as gr

from app.tabs.parts import Parts
from app.tabs.tab import Tab


def build(parts: Parts) -> None:
    gr.Button("Say hello", elem_id="hello-say")


TAB = Tab(
    folder=Path(__file__).parent,
    label="Hello",
    key="",
    tip="Greets",
    build=build,
    tips={"#hello-say": "Says it"},
)
'''


def page_of(session: Session, tabs: Sequence[Tab]) -> gr.Blocks:
    """A page with some tabs, made where an event loop runs: elsewhere Gradio makes loops, and closes none.

    In a thread of its own, since tests in a browser leave a loop that runs in this one.
    """

    async def make() -> gr.Blocks:
        return ui.build(session, tabs)

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(make())).result()


@pytest.fixture
def hello(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tab:
    """A tab in a folder of its own, found there."""
    folder = tmp_path / "tabs_elsewhere" / "hello"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(HELLO, encoding="utf-8")
    (folder / "hello.js").write_text("export function mount() {}\n", encoding="utf-8")
    (folder / "hello.css").write_text("#hello-say { color: red; }\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    (tab,) = found(folder.parent, "tabs_elsewhere")
    for name in [name for name in sys.modules if name.startswith("tabs_elsewhere")]:
        monkeypatch.delitem(sys.modules, name)
    return tab


def test_the_tabs_are_found_in_the_order_of_their_keys() -> None:
    tabs = found()
    keys = [tab.key for tab in tabs]
    assert keys == sorted(keys, key=KEYS.index)
    assert tabs[0].label == "What if"
    assert tabs[-1].label == "Learn"


def test_a_folder_is_all_that_a_tab_needs(hello: Tab, session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    page = page_of(session, [*found(), hello])
    tabs = [block for block in page.blocks.values() if isinstance(block, gr.Tab)]
    assert (tabs[-1].label, tabs[-1].id) == ("Hello", "hello")
    button = next(block for block in page.blocks.values() if getattr(block, "elem_id", "") == "hello-say")
    assert button.value == "Say hello"
    head = next(block for block in page.blocks.values() if isinstance(block, Head)).value
    assert head["tabs"][-1] == {"label": "Hello", "key": ""}
    assert head["tips"]["#hello-say"] == "Says it"
    assert head["tips"]["#workbench [role=tab][data-tab-id=hello]"] == "Greets"
    assert [file.name for file in (*hello.scripts, *hello.styles)] == ["hello.js", "hello.css"]
    monkeypatch.setattr(delivery, "found", lambda: (hello,))
    monkeypatch.setattr(delivery, "APP", hello.folder.parents[1])
    monkeypatch.setattr(delivery, "SHEETS", ())
    assert delivery.published.__wrapped__() == {
        "tabs_elsewhere/hello/hello.js": b"export function mount() {}\n",
        delivery.STYLE: b"#hello-say { color: red; }\n",
        delivery.EXAMPLE: delivery.STAGE_FILE.read_bytes(),
    }


def test_without_a_tab_nothing_of_it_is_left(session: Session) -> None:
    tabs = found()[:1]
    head = next(block for block in page_of(session, tabs).blocks.values() if isinstance(block, Head)).value
    assert len(head["tabs"]) == 1
    assert not any("sweep" in selector for selector in head["tips"])


def test_a_folder_that_declares_nothing_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tabs_bare" / "bare").mkdir(parents=True)
    (tmp_path / "tabs_bare" / "bare" / "__init__.py").write_text("", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ConfigError, match="got 'bare' without TAB"):
        found(tmp_path / "tabs_bare", "tabs_bare")


def test_two_tabs_cannot_have_one_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two"):
        (tmp_path / "tabs_twice" / name).mkdir(parents=True)
        text = HELLO.replace('key=""', 'key="9"')
        (tmp_path / "tabs_twice" / name / "__init__.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ConfigError, match="got key '9' for"):
        found(tmp_path / "tabs_twice", "tabs_twice")


@pytest.mark.parametrize("key", ["10", "a", " "])
def test_a_key_is_a_digit(key: str) -> None:
    with pytest.raises(ConfigError, match=r"got key '.*', expected a digit or nothing"):
        Tab(Path("x"), "X", key, "", lambda parts: None)
