"""Reports: the same bytes whatever happened meanwhile, and nothing in a text does anything."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from PIL import Image

from core.__main__ import main
from core.contact_sheet import CAPTION
from core.evaluation.findings import Section, Sheet, Shown, Table
from core.evaluation.reporting import cells, markdown, report
from core.evaluation.reporting.html import html
from core.evaluation.reporting.pictures import CELL, places
from core.evaluation.reporting.report import Run, as_json, read_runs
from core.evaluation.reporting.writing import write_report
from core.evaluation.statistics import Estimate, difference, mean
from core.inputs.arguments import checked_page
from core.types import ConfigError, DatabaseError, DecodeSettings
from tests.tiny_suite import HOSTILE, opened_tiny
from tests.unit.test_harness import content, fails, identity, measured

PAGE = "http://example.org:7860"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that is done."""
    made = tmp_path_factory.mktemp("runs") / "run"
    measured(made)
    return made


@pytest.fixture(scope="module")
def written(folder: Path) -> Path:
    """Its report."""
    write_report(read_runs([folder]), folder.parent / "report", PAGE)
    return folder.parent / "report"


class Reader(HTMLParser):
    """What a browser would make of a page: tags, texts and addresses."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        self.addresses += [value or "" for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data: str) -> None:
        self.text += data


def read(path: Path) -> Reader:
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    return reader


def test_a_report_is_the_same_whatever_happened_meanwhile(folder: Path, written: Path, tmp_path: Path) -> None:
    """Shards, an interruption, failures that were mended, a torn line: bit for bit."""
    with pytest.raises(KeyboardInterrupt):
        measured(tmp_path / "run", "2/2", before=interrupt)
    for shard in ("1/2", "2/2"):
        measured(tmp_path / "run", shard, before=fails)
    torn = tmp_path / "run" / "rows-2-of-2.jsonl"
    torn.write_bytes(torn.read_bytes() + b'{"key": "it')
    measured(tmp_path / "run", "2/2")
    measured(tmp_path / "run", "1/2")
    write_report(read_runs([tmp_path / "run"]), tmp_path / "report", PAGE)
    assert content(tmp_path / "report") == content(written)
    assert len(content(written)) == 6


def interrupt(item: Any) -> None:
    if item.key == "item-3":
        raise KeyboardInterrupt


def test_the_data_says_all_that_was_found(written: Path) -> None:
    data = json.loads((written / "report.json").read_text(encoding="utf-8"))
    assert data["version"] == 1
    (run,) = data["runs"]
    assert (run["items"], run["of"], run["failed"]) == (5, 5, [])
    assert run["unavailable"] == {"sscd": "no weights; fetch them"}
    assert run["settings"] == {**run["settings"], "method": "model", "seed": 0}
    assert (run["options"], run["fingerprints"]["model"]) == ({"count": 5, "tiny_word": ""}, "plain")
    (section,) = run["sections"]
    table, _, bars, sheet = section["blocks"]
    assert [block["kind"] for block in section["blocks"]] == ["table", "plot", "plot", "sheet"]
    rows = [opened_tiny().work.measure(item).figures["model"]["nats"] for item in opened_tiny().work.items()]
    found = mean(rows)
    assert table["rows"][0][1] == {"value": found.value, "low": found.low, "high": found.high, "n": 5}
    assert table["rows"][0][2] == 10
    assert bars["labels"] == ["model", "faid+daid"]
    assert (written / "plots" / f"{bars['key']}.png").is_file()
    assert (written / "sheets" / f"{sheet['key']}.webp").is_file()
    link = parse_qs(sheet["shown"][2]["link"].removeprefix("?"))
    assert link["prompt"] == [f"{HOSTILE} model"]
    assert (link["seed"], link["method"], "database" in link) == (["1"], ["model"], False)
    assert set(DecodeSettings.__dataclass_fields__) - {"styles"} <= set(link)


def test_texts_of_others_do_nothing_in_a_browser(written: Path) -> None:
    page = read(written / "report.html")
    assert "script" not in page.tags
    assert not {name for name in page.attributes if name.startswith("on")}
    assert HOSTILE in page.text
    for address in page.addresses:
        assert address.startswith(("data:image/png;base64,", "data:image/webp;base64,", f"{PAGE}/?prompt=", "#"))
    links = [urlsplit(address) for address in page.addresses if address.startswith(PAGE)]
    assert len(links) == 10
    assert {parse_qs(link.query)["prompt"][0] for link in links} == {f"{HOSTILE} model", f"{HOSTILE} faid+daid"}


def test_texts_of_others_do_nothing_in_markdown(written: Path) -> None:
    text = (written / "report.md").read_text(encoding="utf-8")
    assert "<script" not in re.sub(r"\\<", "", text)
    assert "[d](" not in re.sub(r"\\\[", "", text)
    rows = [line for line in text.splitlines() if line.startswith("| difference")]
    assert len(re.findall(r"(?<!\\)\|", rows[0])) == 4
    assert markdown.escaped("# a\n1. b") == r"\# a 1. b"
    assert markdown.escaped("1. b") == r"1\. b"


def test_pictures_stand_where_their_links_are(folder: Path, written: Path) -> None:
    (run,) = read_runs([folder])
    shown = next(block for section in run.sections for block in section.blocks if isinstance(block, Sheet))
    with Image.open(written / "sheets" / f"{shown.key}.webp") as sheet:
        pixels = np.asarray(sheet.convert("RGB"), np.int64)
    assert pixels.shape == (3 * (CELL + CAPTION), 4 * CELL, 3)
    for one, place in zip(shown.shown, places(shown), strict=True):
        (drawn,) = run.rows.done[one.item].pixels(one.arm)
        top, left = round(place.top * pixels.shape[0]), round(place.left * pixels.shape[1])
        inside = pixels[top + 8 : top + CELL - 8, left + 8 : left + CELL - 8].mean(axis=(0, 1))
        assert np.abs(inside - drawn.mean(axis=(0, 1))).max() < 12
        assert place.width * pixels.shape[1] == pytest.approx(CELL)
        assert place.height * pixels.shape[0] == pytest.approx(CELL)


def test_what_is_not_there_is_grey_and_has_no_link(folder: Path) -> None:
    (run,) = read_runs([folder])
    for shown in (Shown("nowhere", "model", 0, ""), Shown("item-1", "no", 0, ""), Shown("item-1", "model", 1, "")):
        assert run.link(shown) == ""
    row = run.rows.done["item-1"]
    kept = {"model": (replace(row.kept["model"][0], linkable=False),)}
    rows = replace(run.rows, done={"item-1": replace(row, kept=kept)})
    assert replace(run, rows=rows).link(Shown("item-1", "model", 0, "")) == ""


def test_runs_of_one_suite_are_compared_in_pairs(folder: Path, tmp_path: Path) -> None:
    measured(tmp_path / "more", count=7, tiny_word="other")
    first, second = read_runs([folder, tmp_path / "more"])
    assert first.name != second.name
    assert [section.title for section in first.sections] == ["Numbers "]
    against = second.sections[-1]
    assert against.title == f"Against {first.name}"
    assert "options: count (7 here, 5 there); options: tiny_word (other here,  there)" in against.text
    (table,) = against.blocks
    assert isinstance(table, Table)
    values = [row.figures["model"]["nats"] for row in first.rows.done.values()]
    assert table.rows[0] == ("model", "nats", mean(values), mean(values), difference(values, values))
    keys = [
        b["key"] for r in as_json([first, second])["runs"] for s in r["sections"] for b in s["blocks"] if "key" in b
    ]
    assert len(set(keys)) == len(keys) == 6


def test_other_items_of_the_same_key_are_no_pair(folder: Path) -> None:
    (run,) = read_runs([folder])
    rows = {key: replace(row, about={"number": -1}) for key, row in run.rows.done.items()}
    other = replace(run, rows=replace(run.rows, done=rows))
    assert "no item and figure in common" in report._comparison(other, run).text


def test_what_failed_and_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        measured(tmp_path / "run", before=stops)
    (run,) = read_runs([tmp_path / "run"])
    assert run.measured == "2 of 5 items; the run is not finished"
    assert run.failed == [("item-1", "a part is away")]
    for text in (markdown.markdown([run], PAGE), html([run], PAGE, AnyFile(), AnyPlace())):
        assert "item-1: a part is away" in text
        assert "2 of 5 items; the run is not finished" in text


def stops(item: Any) -> None:
    """One item fails, and then the run ends."""
    if item.key == "item-1":
        raise DatabaseError("a part is away")
    if item.key == "item-3":
        raise ZeroDivisionError


class AnyFile(dict[str, bytes]):
    """Empty files of every name."""

    def __missing__(self, name: str) -> bytes:
        return b""


class AnyPlace(dict[str, Any]):
    """Places of the ten pictures or less of a sheet."""

    def __missing__(self, name: str) -> Any:
        return places(Sheet("a", "", (Shown("a", "a", 0, ""),) * 4, 4))


def test_nothing_measured_is_an_error(tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    measured(tmp_path / "run", "1/1", before=never)
    with pytest.raises(ConfigError, match=r"got no measured item in .*: away; measure some first"):
        read_runs([tmp_path / "run"])
    with pytest.raises(ConfigError, match="got no folder of a run"):
        read_runs([])
    assert main(["evaluate", "report", str(tmp_path / "nowhere")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert main(["evaluate", "report", str(folder), "--page", "javascript:a", "--out", str(tmp_path)]) == 2
    assert "--page: got 'javascript:a'" in capsys.readouterr().err


def never(item: Any) -> None:
    raise DatabaseError("away")


def test_a_report_is_written_without_a_model(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.evaluation.job.load_backend", None)
    copied = shutil.copytree(folder, tmp_path / "copied")
    assert main(["evaluate", "report", str(copied)]) == 0
    assert (copied / "report" / "report.html").is_file()
    assert len(read_runs([copied])[0].rows.done) == len(read_runs([folder])[0].rows.done)
    assert identity(copied) == identity(folder)


def test_cells() -> None:
    one, other = Estimate(0.12345, 0.1, 0.2, 40), Estimate(-0.00001, -1, 1, 4000)
    assert cells.text(one, 2) == "0.12 [0.10, 0.20]"
    assert cells.text(other, 3) == "0.000 [-1.000, 1.000]"
    table = Table(("a", "b"), ((one, 12345), (other, "c")), note="d")
    assert cells.texts(table) == [["0.123 [0.100, 0.200] (n = 40)", "12,345"],
                                  ["0.000 [-1.000, 1.000] (n = 4,000)", "c"]]  # fmt: skip
    assert cells.note(table) == "d"
    assert cells.note(Table(("a",), ((one,), (1.5,)))) == "n = 40."
    assert cells.texts(Table(("a",), ((1.5,),), digits=1)) == [["1.5"]]


def test_addresses_of_pages() -> None:
    for page in ("http://127.0.0.1:7860", "https://example.org/loupe/", "http://[::1]:80"):
        assert checked_page(page) == page.rstrip("/")
    for page in ("", "javascript:alert(1)", "http://a b", 'http://a"b', "ftp://a", "http://a/?b"):
        with pytest.raises(ConfigError, match="--page"):
            checked_page(page)


def test_tall_sheets_are_split() -> None:
    shown = tuple(Shown(f"item-{n}", "model", 0, "") for n in range(2 * report.MOST_LINES * 3 + 1))
    section = report._named(Section("A", blocks=(Sheet("all", "All", shown, 3),)), "run")
    sheets = [block for block in section.blocks if isinstance(block, Sheet)]
    assert [(sheet.key, sheet.title) for sheet in sheets] == [
        ("run-all-1", "All (1 of 3)"), ("run-all-2", "All (2 of 3)"), ("run-all-3", "All (3 of 3)"),
    ]  # fmt: skip
    assert tuple(one for sheet in sheets for one in sheet.shown) == shown
    assert [len(sheet.shown) for sheet in sheets] == [150, 150, 1]
    whole = report._named(Section("A", blocks=(Sheet("all", "All", shown[:150], 3),)), "run")
    assert [block.key for block in whole.blocks if isinstance(block, Sheet)] == ["run-all"]


def test_sections_of_text_alone(folder: Path) -> None:
    (run,) = read_runs([folder])
    plain: Run = replace(run, sections=(Section("A", "one\ntwo\n\nthree"),))
    assert "### A\n\none two\n\nthree\n" in markdown.markdown([plain], PAGE)
    assert "<p>one two</p>\n<p>three</p>" in html([plain, plain], PAGE, {}, {})
