"""Values that no widget sends: wrong types, huge numbers, texts that mean something elsewhere, files of others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

from tests.abuse.target import Event, Target

NUMBERS = (0, -1, 1, 2, 255, 256, 10**9, 2**31, 2**63, -(2**63), 10**30, 10**400, 0.5, -0.0, 1e308, float("nan"),
           float("inf"), float("-inf"), True, False)  # fmt: skip
TEXTS = (
    "", " ", "a disc", "\x00", "a\x00b", "\ud800", "\u202e\u0007\x1b[2J", "x" * 301, "x" * 100_000, "\U0001f469" * 50,
    "${7*7}", "{{7*7}}", "<script>alert(1)</script>", "'; drop table runs; --", "%s%n%d", "__class__",
    "file:///etc/passwd", "../../etc/passwd", "/etc/passwd", "/proc/self/environ", "null", "NaN", "-1", "1e999",
    "sweep", "fan", "yours", "both", "model", "daid", "faid+daid", "fake", "all",
)  # fmt: skip


def any_of(choices: Sequence[Any]) -> st.SearchStrategy[Any]:
    """One of some values, whose representation is not asked for: some of them are long."""
    return st.integers(0, len(choices) - 1).map(lambda number: choices[number])


def deep() -> Any:
    """A list in a list in a list, seventy times."""
    found: Any = []
    for _ in range(70):
        found = [found]
    return found


def long() -> Any:
    """A list of many numbers."""
    return [0] * 100_000


KINDS: Mapping[str, tuple[Any, ...]] = {
    "textbox": ("a disc", "0, 0.5", "0.1"),
    "radio": ("fake", "all", "daid", "model", "sum", "off", "strong", 0),
    "number": (3, 0),
    "slider": (0, 1, 0.5, 16),
    "dropdown": ("retrieval_weight", "gate", 0),
    "checkbox": (True, False),
    "checkboxgroup": (["flat"], []),
    "state": (None, ""),
}
"""What widgets of a kind send when nobody means harm, so that a call gets past those of them that are well."""


def places(target: Target) -> tuple[str, ...]:
    """Paths and addresses of what nobody may read."""
    own, bait = target.place / "temporary", target.bait
    paths = (
        str(target.secret), f"file://{target.secret}", f"{own}/../home/secret.txt", "../home/secret.txt", "app/api.py",
        f"{own}/x/../../home/secret.txt", "/etc/passwd", "/proc/self/environ", str(target.log),
        "/dev/zero", "/dev/stdin", str(own), "", "~", "C:\\secret.txt", "\\\\host\\share",
    )  # fmt: skip
    others = [bait.replace("127.0.0.1", name) for name in ("localhost", "[::1]", "0x7f000001", "127.1", "0")]
    urls = (f"{bait}/x.png", f"{target.url}/config", "ftp://127.0.0.1/x", "data:image/png;base64,AAAA")
    return (*paths, bait, *others, *urls)


def claimed_files(target: Target, uploaded: tuple[str, ...]) -> st.SearchStrategy[dict[str, Any]]:
    """Files as Gradio's clients name them, which are not the caller's."""
    where = any_of([*places(target), *uploaded])
    return st.fixed_dictionaries(
        {"path": where, "meta": any_of([{"_type": "gradio.FileData"}, {}, None])},
        optional={
            "url": where,
            "orig_name": any_of(TEXTS),
            "size": any_of(NUMBERS),
            "is_stream": st.booleans(),
            "mime_type": any_of(["image/png", "text/html", None]),
        },
    )


def values(target: Target, uploaded: tuple[str, ...] = ()) -> st.SearchStrategy[Any]:
    """Anything that JSON can say, and a little more."""
    flat = st.one_of(
        any_of(NUMBERS), any_of(TEXTS), st.none(), st.text(max_size=40),
        st.floats(), st.integers(), any_of([*target.runs, *places(target)]),
    )  # fmt: skip
    files = claimed_files(target, uploaded)
    nested = st.recursive(
        st.one_of(flat, files),
        lambda part: st.one_of(st.lists(part, max_size=4), st.dictionaries(any_of(FIELDS), part, max_size=4)),
        max_leaves=8,
    )
    return st.one_of(flat, files, nested, st.builds(deep), st.builds(long))


FIELDS = (
    "run", "step", "position", "name", "code", "weights", "others", "settings", "change", "image", "entry", "words",
    "kind", "format", "part", "value", "__class__", "seed", "method", "n_neighbours", "caption_filter", "path", "url",
    "meta", "styles", "rows", "layer", "head", "picture", "index", "_type", "parent", "page", "sort", "style", "query",
)  # fmt: skip


def settings_of(target: Target) -> st.SearchStrategy[dict[str, Any]]:
    """Settings of which one or another is none."""
    names = any_of(["seed", "method", "gate", "n_neighbours", "caption_filter", "styles", "temperature", "x"])
    return st.dictionaries(names, values(target), max_size=3)


@st.composite
def inputs(draw: st.DrawFn, target: Target, event: Event, uploaded: tuple[str, ...]) -> Any:
    """What an event is called with: some of its widgets are well, others are not, and their number may be wrong."""
    anything, well = values(target, uploaded), draw(st.integers(0, 4))
    found = [
        draw(any_of(KINDS[kind])) if kind in KINDS and draw(st.integers(0, 4)) < well
        else draw(claimed_files(target, uploaded)) if kind == "uploadbutton" and draw(st.booleans())
        else draw(st.one_of(settings_of(target), anything)) if kind == "api"
        else draw(anything)
        for kind in event.kinds
    ]  # fmt: skip
    wrong = draw(st.integers(0, 19))
    if wrong == 0:
        return draw(anything)
    return found[:-1] if wrong == 1 else [*found, draw(anything)] if wrong == 2 else found
