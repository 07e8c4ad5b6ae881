"""A report as one page that needs nothing else: pictures are inside, texts of others are escaped."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Final

from ..findings import Block, Plot, Section, Sheet, Table
from .cells import note, texts
from .markdown import facts, paragraphs
from .pictures import Place
from .report import METHOD, PLOTS, SHEETS, Run

HEAD: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Evaluation</title>
<style>
body { margin: 0 auto; max-width: 72rem; padding: 1rem; background: #fff; color: #1a1a1a; font: 16px/1.5 sans-serif; }
h2 { border-top: 1px solid #ccc; margin-top: 3rem; padding-top: 1rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: .5rem 0; }
th, td { border-bottom: 1px solid #ddd; padding: .25rem .75rem; text-align: left; vertical-align: top; }
td.number { font-variant-numeric: tabular-nums; text-align: right; white-space: nowrap; }
details { margin: .5rem 0; }
pre { background: #f4f4f4; overflow-x: auto; padding: .5rem; }
img { max-width: 100%; }
figure { margin: 1rem 0; }
figcaption, .note { color: #555; font-size: .9rem; }
.sheet { display: inline-block; position: relative; }
.sheet img { display: block; }
.sheet a { position: absolute; }
.sheet a:hover, .sheet a:focus-visible { outline: 3px solid #0060c0; outline-offset: -3px; }
</style>
</head>
<body>
<h1>Evaluation</h1>
"""
END: Final = "</body>\n</html>\n"


def html(runs: Sequence[Run], page: str, files: Mapping[str, bytes], places: Mapping[str, Sequence[Place]]) -> str:
    """The text of report.html.

    page: address that links lead to; files: plots and sheets by their place beside it; places: where the pictures of
    each sheet stand in it, in shares.
    """
    body = [f"<p>{escape(METHOD)}</p>"]
    if len(runs) > 1:
        listed = (f'<li><a href="#{run.name}">{escape(run.title)}</a></li>' for run in runs)
        body.append(f"<nav><ul>{''.join(listed)}</ul></nav>")
    for run in runs:
        body += _run(run, page, files, places)
    return HEAD + "\n".join(body) + "\n" + END


def _run(run: Run, page: str, files: Mapping[str, bytes], places: Mapping[str, Sequence[Place]]) -> Iterator[str]:
    yield f'<h2 id="{run.name}">{escape(run.title)}</h2>'
    yield f"<p>{escape(run.measured)}</p>"
    rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in facts(run))
    yield f'<details><summary>What was measured, and with what</summary><div class="wide"><table>{rows}</table></div>'
    yield f"</details>\n<pre>{escape(run.record.command)}</pre>"
    for section in run.sections:
        yield from _section(section, run, page, files, places)
    if run.unavailable:
        yield "<h3>Not measured</h3>" + _list(f"{name}: {reason}" for name, reason in run.unavailable.items())
    if run.failed:
        yield "<h3>Items that failed</h3>" + _list(f"{key}: {reason}" for key, reason in run.failed)


def _list(texts: Iterator[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(text)}</li>' for text in texts)}</ul>"


def _section(
    section: Section, run: Run, page: str, files: Mapping[str, bytes], places: Mapping[str, Sequence[Place]]
) -> Iterator[str]:
    yield f"<h3>{escape(section.title)}</h3>"
    yield from (f"<p>{escape(' '.join(text.split()))}</p>" for text in paragraphs(section.text))
    for block in section.blocks:
        yield _block(block, run, page, files, places)


def _block(block: Block, run: Run, page: str, files: Mapping[str, bytes], places: Mapping[str, Sequence[Place]]) -> str:
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Plot):
        name = f"{PLOTS}/{block.key}.png"
        caption = f"<figcaption>{escape(block.note)}</figcaption>" if block.note else ""
        return f'<figure><img alt="{escape(block.title)}" src="{_inside("png", files[name])}">{caption}</figure>'
    name = f"{SHEETS}/{block.key}.webp"
    anchors = "".join(_anchors(block, run, page, places[block.key]))
    image = f'<img alt="{escape(block.title)}" src="{_inside("webp", files[name])}">'
    caption = f"<figcaption>{escape(block.title)}; each picture opens on the page</figcaption>"
    caption = caption if anchors else f"<figcaption>{escape(block.title)}</figcaption>"
    return f'<figure>{caption}<div class="sheet">{image}{anchors}</div></figure>'


def _table(table: Table) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in table.head)
    rows = ""
    for cells, row in zip(texts(table), table.rows, strict=True):
        shown = (
            f"<td>{escape(text)}</td>" if isinstance(cell, str) else f'<td class="number">{escape(text)}</td>'
            for text, cell in zip(cells, row, strict=True)
        )  # fmt: skip
        rows += f"<tr>{''.join(shown)}</tr>\n"
    below = f'<p class="note">{escape(note(table))}</p>' if note(table) else ""
    return f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody></table></div>{below}'


def _anchors(sheet: Sheet, run: Run, page: str, places: Sequence[Place]) -> Iterator[str]:
    """A link over every picture that has one."""
    for shown, place in zip(sheet.shown, places, strict=True):
        if link := run.link(shown):
            style = "; ".join(f"{side}: {share:.4%}" for side, share in place.sides)
            label = escape(f"{shown.caption}: open on the page")
            yield f'<a href="{escape(page + "/" + link)}" style="{style}" title="{label}" aria-label="{label}"></a>'


def _inside(kind: str, data: bytes) -> str:
    """A picture as the address of itself."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
