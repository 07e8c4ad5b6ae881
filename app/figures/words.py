"""What figures say in words: how a run was drawn, what happened at a position, the caption below a picture."""

from __future__ import annotations

from app.plans import AXES
from app.views import METHOD_NAMES, Asked, called
from core.analysis.explain import Explanation
from core.trace import Trace


def percent(share: float) -> str:
    """A share of 1 in percent, as the page writes it."""
    if share >= 0.0995:
        return f"{100 * share:.0f} %"
    return f"{100 * share:.1f} %" if share >= 0.0005 else "<0.1 %" if share > 0 else "0 %"


def settings_line(asked: Asked) -> str:
    """How a run was drawn, in one line."""
    return " · ".join(settings_of(asked).values())


def settings_of(asked: Asked) -> dict[str, str]:
    """Model, method, database, the settings that are swept most, and seed, by kind; only what has an effect."""
    settings = asked.settings
    said = {"model": called(asked.model), "method": METHOD_NAMES[settings.method]}
    if settings.retrieves:
        said["database"] = f"looks up in {called(asked.database)}"
    said |= {axis.field: axis.label(getattr(settings, axis.field)) for axis in AXES[:3] if axis.has_effect(settings)}
    return {**said, "seed": f"seed {settings.seed}"}


def position_heading(here: Explanation) -> str:
    """Which position it is."""
    row, col = here.trace.grid.row_col(here.position)
    return f"position {here.position} (row {row}, column {col})"


def position_sentence(here: Explanation) -> str:
    """What decided the code of a position, in a sentence or two."""
    code = here.step.code
    if not here.drawn:
        given = here.position < here.trace.given
        return f"Code {code} was {'given by the image' if given else 'chosen by hand'}, not drawn."
    chance = percent(float(here.blend.blended[code]))
    if here.reason is not None:
        return (
            f"Nothing was looked up here ({here.reason}): code {code} was drawn from what the model expects ({chance})."
        )
    if here.nothing is None or here.without is None:
        return f"Code {code} was drawn ({chance}); what would have been drawn with nothing looked up was not recorded."
    before = percent(float(here.nothing[code]))
    if here.flip:
        other = f"code {here.without} ({percent(float(here.nothing[here.without]))})"
        return (
            f"With the same luck and nothing looked up here, the model would have drawn {other}. The look-up took code "
            f"{code} from {before} to {chance}, and it was drawn: a flip."
        )
    moved = f"took its chance from {before} to {chance}" if before != chance else f"left its chance at {chance}"
    same = f"With the same luck and nothing looked up here, the same code {code} would have been drawn"
    return f"{same}; the look-up {moved}."


def caption(trace: Trace, asked: Asked, position: int = -1) -> str:
    """The caption of a figure of a run, or of one position of it, as plain text."""
    made = f"“{trace.prompt}”, drawn code by code with AR-RAG ({settings_line(asked).replace(' · ', ', ')})."
    if position >= 0:
        here = trace.explain(position)
        return f"{made} {position_heading(here).capitalize()}: {_lower(position_sentence(here))}"
    looked_up, count = trace.retrieving_positions, len(trace.steps)
    if not looked_up:
        return f"{made} Nothing was looked up."
    if not trace.flips_known:
        return f"{made} Looked up at {looked_up} of {count} patches; what that changed was not recorded."
    changed = len(trace.flips())
    return f"{made} Looked up at {looked_up} of {count} patches; that changed {changed} of them with the same luck."


def _lower(sentence: str) -> str:
    """A sentence that goes on after a colon."""
    return sentence[:1].lower() + sentence[1:]
