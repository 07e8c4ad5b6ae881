"""A report as Markdown; texts of others show as they are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from ..findings import Block, Plot, Section, Sheet, Table
from ..statistics import Estimate
from .cells import note, texts
from .report import METHOD, PLOTS, SHEETS, Run

SPECIAL: Final = re.compile(r"([\\`*{}\[\]<>|~$&]|(?<!\w)_|_(?!\w)|^[#+-]|(?<=^\d)[.)])")


def markdown(runs: Sequence[Run], page: str) -> str:
    """The text of report.md; page: address that links lead to."""
    return "\n".join(["# Evaluation", "", METHOD, "", *(line for run in runs for line in _run(run, page))]) + "\n"


def escaped(text: str) -> str:
    """A text that Markdown takes for nothing else, on one line."""
    return SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _run(run: Run, page: str) -> Iterator[str]:
    """A run: what it is of, what it found, what is missing."""
    yield from (f"## {escaped(run.title)}", "", "| | |", "| --- | --- |")
    yield from (f"| {escaped(name)} | {escaped(value)} |" for name, value in facts(run))
    yield from ("", "```", run.record.command.replace("`", "'"), "```", "")
    for section in run.sections:
        yield from _section(section, run, page)
    if run.unavailable:
        yield from ("### Not measured", "")
        yield from (f"- {escaped(name)}: {escaped(reason)}" for name, reason in run.unavailable.items())
        yield ""
    if run.failed:
        yield from ("### Items that failed", "")
        yield from (f"- {escaped(key)}: {escaped(reason)}" for key, reason in run.failed)
        yield ""


def facts(run: Run) -> Iterator[tuple[str, str]]:
    """What a run is of, name by name."""
    record = run.record
    yield "items", run.measured
    yield "model", ", ".join([record.model, *(f"{name} {value}" for name, value in record.weights.items())])
    yield "database", record.database
    yield "grid", f"{record.grid[0]} x {record.grid[1]} codes"
    for name, values in (
        ("settings", record.settings), ("options", record.options), ("fingerprints", record.fingerprints),
        ("packages", record.packages),
    ):  # fmt: skip
        yield name, ", ".join(f"{key} {_word(value)}" for key, value in values.items())
    yield "code", record.code
    yield "measured on", "; ".join(run.rows.machines)


def _word(value: object) -> str:
    """A JSON value, as people write it."""
    if isinstance(value, list):
        return ",".join(map(str, value)) or "none"
    return "none" if value in ("", None) else str(value)


def _section(section: Section, run: Run, page: str) -> Iterator[str]:
    yield from (f"### {escaped(section.title)}", "")
    for paragraph in paragraphs(section.text):
        yield from (escaped(paragraph), "")
    for block in section.blocks:
        yield from _block(block, run, page)


def paragraphs(text: str) -> list[str]:
    """Those of a text."""
    return [part for part in re.split(r"\n\s*\n", text.strip()) if part.strip()]


def _block(block: Block, run: Run, page: str) -> Iterator[str]:
    if isinstance(block, Table):
        yield from _table(block)
        below = note(block)
    elif isinstance(block, Plot):
        yield f"![{escaped(block.title)}]({PLOTS}/{block.key}.png)"
        below = block.note
    else:
        yield from (f"**{escaped(block.title)}**", "", f"![{escaped(block.title)}]({SHEETS}/{block.key}.webp)")
        below = ""
        links = list(_links(block, run, page))
        if links:
            yield from ("", f"Open on the page: {', '.join(links)}.")
    yield ""
    if below:
        yield from (escaped(below), "")


def _table(table: Table) -> Iterator[str]:
    numeric = [all(not isinstance(row[n], str) or not row[n] for row in table.rows) for n in range(len(table.head))]
    yield f"| {' | '.join(map(escaped, table.head))} |"
    yield f"| {' | '.join('---:' if one else '---' for one in numeric)} |"
    for cells, row in zip(texts(table), table.rows, strict=True):
        shown = (
            text if isinstance(cell, (int, float, Estimate)) else escaped(text)
            for text, cell in zip(cells, row, strict=True)
        )  # fmt: skip
        yield f"| {' | '.join(shown)} |"


def _links(sheet: Sheet, run: Run, page: str) -> Iterator[str]:
    """A link for every picture that has one, by its place in the sheet."""
    for number, shown in enumerate(sheet.shown, start=1):
        if link := run.link(shown):
            yield f"[{number}]({page}/{link})"
