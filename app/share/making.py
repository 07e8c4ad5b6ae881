"""The files that a visitor may save of a run: each is made from the trace when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from PIL import Image

from app import links, paper
from app.figures.position import position_figure
from app.figures.several import headings, several_figure
from app.files import file_name, page_file, png_file, trace_file
from app.session import Session
from app.visits import Kept
from core.analysis.metrics import measure
from core.picture_file import AboutSeveral
from core.types import ConfigError

SAVED = "saved"
"""What a run is called in a page that its visitor may pass on."""

File = tuple[str, bytes]
"""A name and what is in it."""

MOST = 36
"""Pictures of one figure: as many as a sweep has."""


def picture(session: Session, who: str, kept: Kept, step: int) -> File:
    """The picture without loss, with how it was made inside."""
    image = Image.fromarray(session.presenting.image(kept.trace))
    return png_file(file_name(kept), image, links.about_run(kept.trace, kept.asked))


def position(session: Session, who: str, kept: Kept, step: int) -> File:
    """A figure of one position."""
    if not 0 <= step < len(kept.trace.steps):
        raise ConfigError(f"position: got {step}, expected 0 to {len(kept.trace.steps) - 1}; choose one of the picture")
    figure = position_figure(kept.trace.explain(step), session.presenting.seen(who, kept))
    return png_file(file_name(kept, f"position-{step}"), figure, links.about_run(kept.trace, kept.asked, step))


def page(session: Session, who: str, kept: Kept, step: int) -> File:
    """A page of one file that replays the run, without its id: whoever has that reads the run while it is kept."""
    return page_file(kept, *session.presenting.packed(who, replace(kept, id=SAVED)))


def trace(session: Session, who: str, kept: Kept, step: int) -> File:
    """All that was recorded."""
    return trace_file(kept)


def metrics(session: Session, who: str, kept: Kept, step: int) -> File:
    """The metrics of the run as a figure for a paper."""
    figure = paper.paper_figure(measure(kept.trace), paper.ALL, "two columns")
    return f"{file_name(kept, 'metrics')}.svg", paper.rendered(figure, "svg")


KINDS: Mapping[str, Callable[[Session, str, Kept, int], File]] = {
    "picture": picture, "position": position, "page": page, "trace": trace, "figure": metrics,
}  # fmt: skip
"""Each makes a file for a visitor, of one of their runs, at the position where the stepper stands."""


def made(session: Session, who: str, kind: object, run: object, step: object) -> File:
    """The file that a page asks for; ConfigError for what is not there."""
    if not isinstance(kind, str) or kind not in KINDS:
        raise ConfigError(f"file: got {str(kind)[:20]!r}, expected one of {', '.join(KINDS)}")
    place = step if isinstance(step, int) else -1
    return KINDS[kind](session, who, session.visits.find(who, str(run)), place)


def several(session: Session, who: str, what: str, runs: object, columns: object) -> File:
    """A figure of several runs of a visitor in rows; what: what they are together, for the file's name."""
    names = [str(run) for run in runs] if isinstance(runs, Sequence) and not isinstance(runs, str) else []
    if not 1 <= len(names) <= MOST or not isinstance(columns, int):
        raise ConfigError(f"figure: got {len(names)} pictures, expected 1 to {MOST}; draw them first")
    found = [session.visits.find(who, name) for name in names]
    headings(found, columns)  # a table that is not full is told before anything is decoded
    figure = several_figure(found, [session.presenting.image(kept.trace) for kept in found], columns)
    said = AboutSeveral(tuple(links.about_run(kept.trace, kept.asked) for kept in found), columns)
    return png_file(file_name(found[0], what), figure, said)
