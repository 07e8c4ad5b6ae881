"""One position as a figure: the picture, what was looked up, where it was found, the bars, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from app.figures.sheet import COLOURS, INK, LINE, QUERY, SOFT, WHITE, Box, Sheet, cell_of, part_of, shortened
from app.figures.words import percent, position_heading, position_sentence
from app.looks import in_place
from app.pictures import RGB
from core.analysis.explain import Explanation, top_codes
from core.draw import Distribution
from core.types import CodeArray

WIDTH, MARGIN, GAP = 1000.0, 32.0, 28.0
PICTURE = 400.0
LEFT = MARGIN + PICTURE + GAP
"""Where what is beside the picture begins."""

CONTEXT, SOURCE = 116.0, 116.0
SOURCES, CODES = 3, 6
ROW, BAR = 32.0, 7.0
FOOT = "AR-RAG Loupe · this file says in itself how to draw the picture again"
SHORT = {"nothing looked up": "nothing", "with blenders": "blenders"}
"""What distributions are called where there is little room."""

LEAST = 0.0005
"""Codes whose chance rounds to 0.0 % everywhere are not listed."""

Bars = tuple[tuple[str, str, Distribution], ...]
"""Name of its colour, name, and chances of all codes, of each distribution that is shown."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a figure of a position shows besides numbers.

    drawn: [S, S, 3] the picture; codes: [H, W] its codes; decode: pictures of token grids; source: the picture of an
    image of the database, None without one; prompt: what was asked for; settings: how, in a line.
    """

    drawn: RGB
    codes: CodeArray
    decode: Callable[[CodeArray], RGB]
    source: Callable[[int], RGB | None]
    prompt: str
    settings: str


def position_figure(here: Explanation, seen: Seen) -> Image.Image:
    """A figure of one position, on white, SCALE pixels a point."""
    sheet, grid = Sheet(WIDTH, 1400), here.trace.grid
    room = WIDTH - 2 * MARGIN
    top = sheet.text(MARGIN, 24, f"“{seen.prompt}”", 22, bold=True, width=room)
    top = sheet.text(MARGIN, top + 2, f"{seen.settings} · {position_heading(here)}", 14, SOFT, width=room) + 16
    picture = sheet.picture(MARGIN, top, PICTURE, seen.drawn)
    _outline_context(sheet, picture, here)
    target = cell_of(picture, here.position, grid.height, grid.width)
    sheet.outline(target, INK, 2, halo=True)
    below = _asked(sheet, top, target, here, seen)
    beside = _codes(sheet, below + 14, here, seen)
    bottom = sheet.text(MARGIN, max(top + picture[3], beside) + 20, position_sentence(here), 16, width=room)
    bottom = sheet.text(MARGIN, bottom + 10, FOOT, 12, SOFT)
    return sheet.cut(bottom + 20)


def bars_of(here: Explanation) -> Bars:
    """The distributions of a position that differ from each other, in the order in which they follow."""
    blend = here.blend
    found: list[tuple[str, str, Distribution]] = []
    if here.nothing is not None and here.nothing is not blend.model:
        found.append(("nothing", "nothing looked up", here.nothing))
    found.append(("model", "with blenders" if here.step.faid is not None else "model", blend.model))
    if blend.retrieval is not None:
        found.append(("look-up", "look-up", blend.retrieval))
    if blend.blended is not blend.model:
        found.append(("mix", "mix", blend.blended))
    return tuple(found)


def codes_of(here: Explanation, bars: Bars) -> list[int]:
    """The codes to list, without those that have no chance anywhere: but what the sentence names is always there."""
    named = (here.step.code, *(() if here.without is None else (here.without,)))
    listed = top_codes(here.blend, named, CODES, [chances for _, _, chances in bars]).tolist()
    return [code for code in listed if code in named or max(chances[code] for _, _, chances in bars) >= LEAST]


def _asked(sheet: Sheet, top: float, target: Box, here: Explanation, seen: Seen) -> float:
    """The context and the nearest neighbours, a line from the nearest to the position; returns what is below."""
    if here.reason is not None or not here.found:
        below = sheet.text(LEFT, top, "Nothing was looked up here", 14, bold=True)
        return sheet.text(LEFT, below, here.reason or "no neighbours were found", 14, SOFT, width=WIDTH - LEFT - MARGIN)
    end = target[0] + target[2] + 3, target[1] + target[3] / 2
    cells = [_neighbour(sheet, rank, top + 24, here, seen) for rank in range(min(SOURCES, len(here.found)))]
    sheet.line((cells[0][0] - 4, cells[0][1] + cells[0][3] / 2), end, QUERY)
    sheet.text(LEFT, top, "Context", 14, bold=True)
    sheet.text(LEFT + CONTEXT + GAP, top, f"The nearest of {len(here.found)} neighbours", 14, bold=True)
    _context(sheet, LEFT, top + 24, here, seen)
    return top + 24 + SOURCE + 62


def _context(sheet: Sheet, left: float, top: float, here: Explanation, seen: Seen) -> None:
    """The patches that were looked up, large, around the hole that is to be filled; others are left out."""
    grid, (row, col) = here.trace.grid, here.trace.grid.row_col(here.position)
    offsets = here.trace.origin.context.offsets
    rows = range(max(0, row + min(down for down, _ in offsets)), row + 1)
    cols = range(
        max(0, col + min(right for _, right in offsets)), min(grid.width, col + max(r for _, r in offsets) + 1)
    )
    box = sheet.picture(left, top, CONTEXT, part_of(seen.drawn, rows, cols, grid.height, grid.width))
    known = {(row + down, col + right) for down, right in offsets}
    for place, (r, c) in enumerate((r, c) for r in rows for c in cols):
        if (r, c) not in known:
            sheet.fill(cell_of(box, place, len(rows), len(cols)), WHITE)
    hole = cell_of(box, (len(rows) - 1) * len(cols) + col - cols.start, len(rows), len(cols))
    sheet.outline(box, LINE, 1)
    sheet.outline((hole[0] + 3, hole[1] + 3, hole[2] - 6, hole[3] - 6), INK, 1.5)
    sheet.text(hole[0] + hole[2] / 2 - 5, hole[1] + hole[3] / 2 - 11, "?", 16, bold=True)


def _neighbour(sheet: Sheet, rank: int, top: float, here: Explanation, seen: Seen) -> Box:
    """One neighbour: its picture, the cell outlined, its share of the vote and its distance; returns the cell."""
    assert here.found is not None
    image, row, col = (int(values[rank]) for values in here.places)
    grid, source = here.trace.grid, here.trace.sources[image]
    left = LEFT + CONTEXT + GAP + rank * (SOURCE + 14)
    picture = seen.source(image)
    box = sheet.picture(left, top, SOURCE, np.full((8, 8, 3), 224, np.uint8) if picture is None else picture)
    cell = cell_of(box, row * grid.width + col, grid.height, grid.width)
    sheet.outline(cell, INK, 1.5, halo=True)
    name = f"{source.caption} ({source.style})" if source.style else source.caption
    below = sheet.text(left, top + SOURCE + 5, shortened(f"#{image} {name}", 12, SOURCE), 12)
    below = sheet.text(left, below, f"{percent(float(here.shares[rank]))} of the vote", 12, SOFT)
    sheet.text(left, below, f"distance {float(here.found.distances[rank]):.2f}", 12, SOFT)
    return cell


def _codes(sheet: Sheet, top: float, here: Explanation, seen: Seen) -> float:
    """The likeliest codes, each as it would look here, with a bar for each distribution; returns what is below."""
    bars = bars_of(here)
    codes = codes_of(here, bars)
    patches = in_place(seen.decode, seen.codes, [(here.position, code) for code in codes])
    row = max(ROW, len(bars) * (BAR + 2) + 8)
    for place, (colour, name, _) in enumerate(bars):
        right = WIDTH - MARGIN - 118 - (len(bars) - 1 - place) * 62
        sheet.fill((right - 46, top + 1, 46, 3), COLOURS[colour])
        sheet.text(right, top + 6, SHORT.get(name, name), 12, SOFT, right=True)
    sheet.text(LEFT, top + 4, "As it would look here", 12, SOFT)
    top += 28
    for code, patch in zip(codes, patches, strict=True):
        sheet.picture(LEFT, top, 26, patch)
        sheet.text(LEFT + 36, top + 4, str(code), 13)
        _bars_of_code(sheet, top, code, here, bars)
        top += row
    return top


def _bars_of_code(sheet: Sheet, top: float, code: int, here: Explanation, bars: Bars) -> None:
    """The bars of one code, their numbers, and whether it was taken."""
    left, numbers = LEFT + 76, WIDTH - MARGIN - 118
    length = numbers - len(bars) * 62 - left - 4
    for place, (colour, _, chances) in enumerate(bars):
        at = top + 13 + (place - (len(bars) - 1) / 2) * (BAR + 2) - BAR / 2
        if chances[code] > 0:
            sheet.fill((left, at, max(float(chances[code]) * length, 0.5), BAR), COLOURS[colour])
        right = numbers - (len(bars) - 1 - place) * 62
        sheet.text(right, top + 4, percent(float(chances[code])), 13, right=True)
    mark = "taken" if code == here.step.code else "without look-up" if code == here.without and here.flip else ""
    sheet.text(numbers + 10, top + 4, mark, 13, bold=mark == "taken")


def _outline_context(sheet: Sheet, picture: Box, here: Explanation) -> None:
    """Outline the patches that were looked up."""
    if here.reason is not None:
        return
    grid, (row, col) = here.trace.grid, here.trace.grid.row_col(here.position)
    for down, right in here.trace.origin.context.offsets:
        if row + down >= 0 and 0 <= col + right < grid.width:
            place = (row + down) * grid.width + col + right
            left, top, width, height = cell_of(picture, place, grid.height, grid.width)
            sheet.outline((left + 2, top + 2, width - 4, height - 4), QUERY, 2)
