"""The report of the embedded models in docs, page and README: looked up by name, and nothing typed by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from core.evaluation.reporting.headline import LINES, Line, Place, cell, headline
from core.evaluation.reporting.publish import BEGIN, END, markdown_table, publish
from core.types import ConfigError

ROOT = Path(__file__).resolve().parents[2]
NATS = {"value": 3.2514, "low": 3.1, "high": 3.4, "n": 7}
LESS = {"value": -0.0421, "low": -0.06, "high": -0.0204, "n": 7}


def table(*rows: list[Any]) -> dict[str, Any]:
    return {"kind": "table", "head": ["", "test"], "rows": list(rows), "digits": 3, "note": ""}


def report(**changes: Any) -> dict[str, Any]:
    blocks = [table(["model", NATS], ["DAiD", 3.2]), {"kind": "plot", "key": "p"}, table(["DAiD", LESS])]
    run = {
        "suite": "likelihood", "name": "likelihood-emoji-emoji", "title": "likelihood: emoji", "model": "emoji",
        "database": "emoji", "items": 7, "failed": [], "unavailable": {}, "command": "python -m core evaluate run",
        "packages": {"torch": "2"}, "sections": [{"title": "Held-out likelihood", "text": "How.", "blocks": blocks}],
    }  # fmt: skip
    return {"version": 1, "runs": [run]} | changes


def place(row: str, number: int = 0) -> Place:
    return Place("likelihood-emoji", "Held-out", (row,), "test", number)


def test_cells_are_found_by_their_names_alone() -> None:
    assert cell(report(), place("model")) == NATS
    assert cell(report(), place("DAiD")) == 3.2
    assert cell(report(), place("DAiD", 1)) == LESS
    for missing in (place("FAiD"), place("model", 1), Place("swap", "Held-out", ("model",), "test")):
        with pytest.raises(ConfigError, match="got 0 cells at"):
            cell(report(), missing)
    doubled = report()
    doubled["runs"] *= 2
    with pytest.raises(ConfigError, match="got 2 cells"):
        cell(doubled, place("model"))


def test_the_table_of_the_readme() -> None:
    made = headline(report(), [Line("nats | code", place("model"), place("DAiD"), place("DAiD", 1))])
    lines = markdown_table(made).splitlines()
    assert lines[0] == "|  | model alone | with look-ups | difference | n |"
    assert lines[2] == "| nats \\| code | 3.251 [3.100, 3.400] | 3.200 | -0.042 [-0.060, -0.020] | 7 |"


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("core.evaluation.reporting.headline.LINES", ())
    monkeypatch.setattr(
        "core.evaluation.reporting.publish.headline",
        lambda found: headline(found, [Line("nats", place("model"), None)]),
    )
    root = tmp_path / "checkout"
    for folder in ("docs/evaluation/sheets", "assets/evaluation"):
        (root / folder).mkdir(parents=True)
    (root / "docs/evaluation/sheets/old.webp").write_bytes(b"old")
    (root / "README.md").write_text(f"before\n{BEGIN}\nan older table\n{END}\nafter\n", encoding="utf-8")
    made = tmp_path / "report"
    for folder in ("plots", "sheets"):
        (made / folder).mkdir(parents=True)
    (made / "plots/p.png").write_bytes(b"png")
    Image.new("RGB", (80, 40), "red").save(made / "sheets/s.webp")
    (made / "report.md").write_text("# Evaluation\n\n![p](plots/p.png) ![s](sheets/s.webp)\n", encoding="utf-8")
    (made / "report.json").write_text(json.dumps(report()), encoding="utf-8")
    return root


def test_a_report_goes_into_docs_page_and_readme(checkout: Path, tmp_path: Path) -> None:
    publish(tmp_path / "report", checkout)
    readme = (checkout / "README.md").read_text(encoding="utf-8")
    assert readme.startswith(f"before\n{BEGIN}\n|  | model alone")
    assert readme.endswith(f"{END}\nafter\n")
    assert "an older table" not in readme
    page = (checkout / "docs/evaluation.md").read_text(encoding="utf-8")
    assert "![p](evaluation/plots/p.png) ![s](evaluation/sheets/s.webp)" in page
    found = sorted(path.relative_to(checkout).as_posix() for path in checkout.rglob("*.*"))
    assert found == [
        "README.md", "assets/evaluation/report.json", "assets/evaluation/s.webp", "docs/evaluation.md",
        "docs/evaluation/plots/p.png", "docs/evaluation/sheets/s.webp",
    ]  # fmt: skip
    told = json.loads((checkout / "assets/evaluation/report.json").read_bytes())
    assert told["headline"]["rows"] == [["nats", NATS, "", "", 7]]
    assert "packages" not in told["runs"][0]
    with Image.open(checkout / "assets/evaluation/s.webp") as sheet:
        assert sheet.size == (60, 30)
    before = {path: path.read_bytes() for path in checkout.rglob("*.*")}
    publish(tmp_path / "report", checkout)
    assert before == {path: path.read_bytes() for path in checkout.rglob("*.*")}


def test_what_cannot_be_published_is_said_before_anything_is_written(checkout: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no report\.json"):
        publish(tmp_path, checkout)
    (tmp_path / "report/report.json").write_text(json.dumps(report(version=2)), encoding="utf-8")
    with pytest.raises(ConfigError, match="another version"):
        publish(tmp_path / "report", checkout)
    (tmp_path / "report/report.json").write_text(json.dumps(report()), encoding="utf-8")
    (checkout / "README.md").write_text("no place", encoding="utf-8")
    with pytest.raises(ConfigError, match="no place for the table"):
        publish(tmp_path / "report", checkout)
    assert (checkout / "docs/evaluation/sheets/old.webp").exists()


def test_what_ships_is_one_report() -> None:
    """README and page show the same figures, and the page's report has every cell of the README's table."""
    shipped = json.loads((ROOT / "assets/evaluation/report.json").read_bytes())
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert LINES
    names = {"likelihood", "swap", "generation", "copying", "retrieval", "latency"}
    assert markdown_table(shipped["headline"]) in readme
    assert {run["title"].split(":")[0] for run in shipped["runs"]} == names
    assert all(not run["failed"] for run in shipped["runs"])
    sheets = [
        block
        for run in shipped["runs"]
        for section in run["sections"]
        for block in section["blocks"]
        if block["kind"] == "sheet"
    ]
    assert all((ROOT / "assets/evaluation" / f"{sheet['key']}.webp").is_file() for sheet in sheets)
