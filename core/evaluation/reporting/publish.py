"""Puts the report of the embedded models where people read it: docs/evaluation.md, the page's tab, README's table.

What is written follows from the report alone, so that no figure is typed by hand.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from PIL import Image

from ...types import ConfigError
from ..statistics import Estimate
from .cells import text
from .headline import headline
from .report import PLOTS, SHEETS, VERSION

BEGIN, END = "<!-- evaluation: begin -->", "<!-- evaluation: end -->"
"""Between them stands what README shows; everything else in it stays."""

SHOWN: Final = ("title", "model", "database", "items", "failed", "unavailable", "command", "sections")
"""What the tab shows of a run."""

ABOUT: Final = (
    "Measured of the models that ship with this page, whatever model it draws with; python -m core evaluate embedded "
    "measures all of it again."
)
SCALE, QUALITY, DIGITS = 0.75, 50, 5
"""Of the tab: size and quality of its sheets, and significant digits of its numbers."""

MADE: Final = "<!-- Written by `python -m core evaluate publish`: what is changed here is lost. -->"


def publish(report: Path, root: Path) -> list[Path]:
    """Write a report (a folder with report.json) into a checkout; the files that were written.

    Raises ConfigError for a folder without a report, one that lacks what the README shows, or a README without its
    place for it.
    """
    found = _read(report)
    table = _rounded(headline(found))  # once, so that README and page say the same
    readme = _readme(root / "README.md", table)
    docs, tab = root / "docs" / "evaluation", root / "assets" / "evaluation"
    for folder in (docs, tab):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    written = [root / "README.md", root / "docs" / "evaluation.md"]
    for kind in (PLOTS, SHEETS):
        written += [_copied(file, docs / kind / file.name) for file in sorted((report / kind).glob("*"))]
    written += [_shrunk(file, tab / file.name) for file in sorted((report / SHEETS).glob("*.webp"))]
    page = (report / "report.md").read_text(encoding="utf-8")
    page = re.sub(rf"\]\(({PLOTS}|{SHEETS})/", r"](evaluation/\1/", page)
    written[1].write_text(f"{MADE}\n\n{page}", encoding="utf-8")
    shown = [{name: run[name] for name in SHOWN} for run in found["runs"]]
    told = {"version": VERSION, "about": ABOUT, "headline": table, "runs": _rounded(shown)}
    (tab / "report.json").write_text(json.dumps(told, separators=(",", ":")) + "\n", encoding="utf-8")
    written[0].write_text(readme, encoding="utf-8")
    return [*written, tab / "report.json"]


def _read(report: Path) -> dict[str, Any]:
    """The content of report.json."""
    try:
        found: dict[str, Any] = json.loads((report / "report.json").read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"report: got no report.json to read in {str(report)!r:.200} ({error}); measure one"
        ) from None
    if not isinstance(found, dict) or found.get("version") != VERSION:
        raise ConfigError(f"report: got another version than {VERSION} in {str(report)!r:.200}; write the report anew")
    return found


def _copied(file: Path, to: Path) -> Path:
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, to)
    return to


def _shrunk(file: Path, to: Path) -> Path:
    """A contact sheet as the page shows it, which downloads it whole."""
    with Image.open(file) as sheet:
        size = round(sheet.width * SCALE), round(sheet.height * SCALE)
        sheet.resize(size, Image.Resampling.LANCZOS).save(to, "WEBP", quality=QUALITY, method=6)
    return to


def _rounded(value: Any) -> Any:
    """JSON with as many digits as anybody reads."""
    if isinstance(value, dict):
        return {name: _rounded(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def _readme(path: Path, table: Mapping[str, Any]) -> str:
    """README with the table in its place."""
    content = path.read_text(encoding="utf-8")
    if content.count(BEGIN) != 1 or content.count(END) != 1:
        raise ConfigError(f"{path.name}: got no place for the table, expected one line {BEGIN} and one line {END}")
    before, _, rest = content.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{markdown_table(table)}\n\n{table['note']}\n{END}{after}"


def markdown_table(table: Mapping[str, Any]) -> str:
    """A table of report.json in Markdown."""
    lines = [table["head"], ["---"] * len(table["head"])]
    lines += [[_text(value, table["digits"]) for value in row] for row in table["rows"]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _text(value: Any, digits: int) -> str:
    if isinstance(value, dict):
        return text(Estimate(value["value"], value["low"], value["high"], value["n"]), digits)
    return text(value, digits).replace("|", "\\|")
