"""The one-file page: what it holds, and that nothing of a run can become markup or script."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

from app.replay import replay_page

HOSTILE = "</script><script>alert(1)</script> \" ' <img src=x onerror=alert(1)> ${1} {{2}}"


class Elements(HTMLParser):
    """Tags with their attributes, and the text of scripts and styles."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[int, str] = {}
        self.inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.inside = True

    def handle_endtag(self, tag: str) -> None:
        self.inside = False

    def handle_data(self, data: str) -> None:
        if self.inside:
            at = len(self.tags) - 1
            self.texts[at] = self.texts.get(at, "") + data


def parsed(page: bytes) -> Elements:
    elements = Elements()
    elements.feed(page.decode())
    return elements


def inline(elements: Elements, tag: str) -> list[tuple[dict[str, str | None], str]]:
    return [(a, elements.texts.get(i, "")) for i, (t, a) in enumerate(elements.tags) if t == tag]


def test_a_hostile_prompt_stays_text() -> None:
    plain, hostile = (parsed(replay_page(t, "ready", t, t.encode(), b"a")) for t in ("sun", HOSTILE))
    assert [tag for tag, _ in plain.tags] == [tag for tag, _ in hostile.tags]
    assert inline(hostile, "title")[0][1] == f"{HOSTILE} - AR-RAG Loupe"
    assert HOSTILE.encode() not in replay_page(HOSTILE, "ready", HOSTILE, HOSTILE.encode(), b"a")


def test_trace_atlas_and_state_are_inside() -> None:
    elements = parsed(replay_page("sun", "stopped", "Stopped.", b"trace bytes", b"atlas bytes"))
    blocks = {a["id"]: base64.b64decode(text) for a, text in inline(elements, "script") if a.get("id")}
    assert (blocks["trace"], blocks["atlas"]) == (b"trace bytes", b"atlas bytes")
    assert json.loads(blocks["about"]) == {"state": "stopped", "message": "Stopped."}


def test_the_policy_allows_this_script_and_style_and_nothing_else() -> None:
    elements = parsed(replay_page("sun", "ready", "", b"t", b"a"))
    policy = next(a["content"] for t, a in elements.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    (code,) = [text for a, text in inline(elements, "script") if not a]
    (style,) = [text for _, text in inline(elements, "style")]
    for text, name in ((code, "script-src"), (style, "style-src")):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{name} 'sha256-{digest}'" in policy


def test_nothing_is_loaded_and_no_style_is_inline() -> None:
    elements = parsed(replay_page("sun", "ready", "", b"t", b"a"))
    for tag, attributes in elements.tags:
        assert tag not in ("link", "iframe", "object", "embed", "base", "img")
        assert not {"src", "href", "style"} & set(attributes)
        assert not any(name.startswith("on") for name in attributes)
    assert not re.search(rb"@import|url\(", replay_page("sun", "ready", "", b"t", b"a"))
