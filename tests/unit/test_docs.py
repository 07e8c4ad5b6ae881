"""The documentation names what is there: files, sections, modules, settings, versions."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from core.types import _LIMITS, MEANINGS, METHODS, DecodeSettings

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/*.md"), *ROOT.glob("assets/**/*.md")],
    key=lambda path: path.as_posix(),
)
SOURCES = sorted([*ROOT.glob("core/**/*.py"), *ROOT.glob("app/**/*.py")], key=lambda path: path.as_posix())
ROOMS = "core|app|tests|examples|docs|assets"
PACKAGE = "core|arrag"


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def anchors(page: Path) -> set[str]:
    """What links to the headings of a page end with, as GitHub makes it of them."""
    headings = re.findall(r"^#+ (.*)$", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", text_of(page)):
        file, _, anchor = target.partition("#")
        there = page.parent / file if file else page
        assert there.exists(), f"{target}: no such file"
        assert not anchor or anchor in anchors(there), f"{target}: no such section"


def test_files_that_are_named_exist() -> None:
    pattern = re.compile(rf"(?<![\w/.-])((?:{ROOMS})/[\w./-]*\w)")
    named = [(name_of(page), name) for page in (*PAGES, *SOURCES) for name in pattern.findall(text_of(page))]
    assert len({page for page, _ in named}) > 20
    assert [(page, name) for page, name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_modules_that_are_named_exist(page: Path) -> None:
    """`core.daid.Mix`, `arrag.types`: the module, and in it the name."""
    for named in re.findall(rf"(?<![\w/.@-])(?:{PACKAGE})((?:\.\w+)+)", text_of(page)):
        names = named[1:].split(".")
        place = ROOT if names[0] == "app" else ROOT / "core"  # arrag.app is a folder of its own in a checkout
        while names and (place / names[0]).is_dir():
            place /= names.pop(0)
        if names and (place / f"{names[0]}.py").is_file():
            source = text_of(place / f"{names.pop(0)}.py")
        else:
            source = text_of(place / "__init__.py")
        assert all(re.search(rf"\b{name}\b", source) for name in names), f"core{named}"


def test_every_page_is_in_the_table_of_the_readme() -> None:
    linked = set(re.findall(r"\]\((docs/\w[\w-]*\.md)\)", text_of(ROOT / "README.md")))
    assert linked == {name_of(path) for path in ROOT.glob("docs/*.md")}


def row(*cells: str) -> str:
    """A row of a table."""
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def shown(value: object) -> str:
    """A default, in words."""
    if value is False:
        return "off"
    return (
        f"{value:g}" if isinstance(value, float) else str(value or "none") if isinstance(value, tuple) else str(value)
    )


def test_every_method_and_setting_is_documented() -> None:
    """Each row as it must be: an assertion that fails says what to write."""
    defaults = DecodeSettings()
    ranges = {name: f"{low:g} to {int(high):,}" for name, _, low, high in _LIMITS}
    expected = [row(f"`{name}`", method.label, method.meaning) for name, method in METHODS.items()]
    for name in (field.name for field in fields(DecodeSettings)):
        meaning = "one of those above" if name == "method" else MEANINGS[name]
        expected.append(row(f"`{name}`", shown(getattr(defaults, name)), ranges.get(name, ""), meaning))
    assert re.findall(r"^\| `.*$", text_of(ROOT / "docs/settings.md"), re.MULTILINE) == expected


def version() -> str:
    """Of the package."""
    found = re.search(r'^version = "(.*)"$', text_of(ROOT / "pyproject.toml"), re.MULTILINE)
    assert found is not None
    return found.group(1)


def test_the_citation_is_one() -> None:
    yaml = pytest.importorskip("yaml")
    cited = yaml.safe_load(text_of(ROOT / "CITATION.cff"))
    assert {"cff-version", "message", "title", "authors"} <= set(cited)
    assert (cited["cff-version"], cited["version"], cited["license"]) == ("1.2.0", version(), "MIT")
    assert cited["authors"] == [{"name": "The AR-RAG Loupe authors"}]
    (paper,) = cited["references"]
    assert paper["url"] == "https://arxiv.org/abs/2506.06962"
    assert f"version = {{{version()}}}" in text_of(ROOT / "README.md")


def test_the_changelog_begins_with_this_version() -> None:
    versions = re.findall(r"^## (?!Unreleased)(\S+)", text_of(ROOT / "CHANGELOG.md"), re.MULTILINE)
    assert versions[0] == version()
