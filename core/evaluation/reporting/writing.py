"""Writes a report: data, Markdown, one page of HTML, and the figures and sheets that these show."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from ...inputs.arguments import checked_page
from ..findings import Plot, Sheet
from ..record import write
from .html import html
from .markdown import markdown
from .pictures import places, webp
from .plots import png
from .report import PLOTS, SHEETS, Run, as_json


def write_report(runs: Sequence[Run], out: Path, page: str) -> list[Path]:
    """Write all files of a report into a folder, over those that are there; the files, relative to it.

    page: address that links lead to. The same runs give the same bytes. ConfigError for a bad address.
    """
    page = checked_page(page)
    shown = [(run, block) for run in runs for section in run.sections for block in section.blocks]
    sheets = {block.key: places(block) for _, block in shown if isinstance(block, Sheet)}
    files = {name: data for run, block in shown for name, data in _files(run, block)}
    texts = {
        "report.json": json.dumps(as_json(runs), indent=1, allow_nan=False) + "\n",
        "report.md": markdown(runs, page),
        "report.html": html(runs, page, files, sheets),
    }
    for folder in (out, out / PLOTS, out / SHEETS):
        folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        write(out / name, data)
    for name, text in texts.items():
        write(out / name, text.encode())
    return [Path(name) for name in (*files, *texts)]


def _files(run: Run, block: object) -> Iterator[tuple[str, bytes]]:
    """The file that a block needs, and its place."""
    if isinstance(block, Plot):
        yield f"{PLOTS}/{block.key}.png", png(block)
    elif isinstance(block, Sheet):
        yield f"{SHEETS}/{block.key}.webp", webp(block, run)
