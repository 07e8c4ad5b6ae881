"""What the page shows of a trace, as numbers: pure functions that import no gradio."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from core.analysis.explain import Explanation, explain, top_codes
from core.draw import Race
from core.trace import Trace
from core.types import METHODS, DecodeSettings, FaidStep, FloatArray, Grid, Retrieval, Skipped, StepRecord, Way

SHOWN_NEIGHBOURS = 16
SHOWN_CODES = 12
FRACTION = 10_000
"""Compatibilities and cosines are packed as whole numbers of 1 / FRACTION, in half of the bytes."""
METHOD_NAMES: Mapping[str, str] = {name: method.label for name, method in METHODS.items()}

CHOICE_NAMES = {
    "emoji": "Emoji", "novice": "Novice", "seen": "Seen", "unseen": "Unseen", "yours": "Yours", "both": "Emoji + yours",
}  # fmt: skip
"""What models and databases are called on the page; others go by their own name."""


def called(name: str) -> str:
    """What a model or a database is called on the page; one in a folder by the last part of its path."""
    if name in CHOICE_NAMES or "://" in name:
        return CHOICE_NAMES.get(name, name)
    return name.removeprefix("hf:") if name.startswith("hf:") else re.split(r"[\\/]", name.rstrip("\\/"))[-1] or name


MODEL_NOTES = {"novice": "Has never seen the flat style, nor some concepts."}
DATABASE_NOTES = {
    "seen": "What the novice was trained on.",
    "unseen": "The flat style and the concepts that the novice has never seen.",
    "yours": "Only what you brought; nobody else can ask it.",
    "both": "What you brought, beside the embedded pictures.",
}
"""What a reader must know of some of them."""

Array = npt.NDArray[Any]
State = Literal["streaming", "ready", "stopped", "error"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a visitor chose for a run, besides the prompt: a model and a database by name, and the settings.

    without: number of an image of the database that may not be retrieved from, because it is the one that is looked
    at; -1 for none.
    """

    model: str
    database: str
    settings: DecodeSettings
    without: int = -1


@dataclass(frozen=True, slots=True)
class Update:
    """One message to the stepper; `run` and `number` let it drop what is out of date.

    picture: an encoded picture of what is drawn so far; file: the packed trace when the run is over; atlas: the
    patch pictures of all codes; kept: id of the finished run among those of the visitor; step: where the stepper is to
    stand when the run is over, -1 for where the run says most; owner: the visitor whose files
    they are, "" for nobody's.
    """

    run: int
    number: int
    state: State
    message: str = ""
    prompt: str = ""
    steps: int = 0
    grid: Grid = field(default_factory=lambda: Grid(16, 16))
    picture: bytes = b""
    file: bytes = b""
    atlas: bytes = b""
    kept: str = ""
    step: int = -1
    owner: str = ""


# ---------------------------------------------------------------------------------------------------------------------
# Arrays over all steps


def step_arrays(trace: Trace) -> dict[str, Array]:
    """Everything that the stepper shows of each step, as small arrays with one row a step.

    drawn: 1 where the code was drawn, 0 where somebody chose it or an image gave it; own: the code that the run's own
    noise takes there; surprise: -ln of the probability of the code, of the model and of the blend, at temperature 1.
    """
    steps = [explain(trace, position) for position in range(len(trace.steps))]
    said: dict[str, Array] = {
        "drawn": np.array([here.drawn for here in steps], np.uint8),
        "own": np.array([here.own for here in steps], np.uint16),
        "surprise": trace.surprise(),
    }
    arrays = {**_choices(trace, steps), **said, **_distributions(trace, steps), **_neighbours(steps)}
    return {**arrays, **_blenders(trace)}


def _choices(trace: Trace, steps: Sequence[Explanation]) -> dict[str, Array]:
    """The codes that were taken, why, and the overlay values; u only where the codes were drawn by it.

    without is `pick`, and alone is `without`, where they are not known.
    """
    reasons = reason_table(trace.steps)
    without = [_or(here.without, here.taken) for here in steps]
    behind = [_or(here.runner_up_without, here.runner_up) for here in steps]
    chosen: dict[str, Array] = {
        "code": np.array([here.step.code for here in steps], np.uint16),
        "pick": np.array([here.taken for here in steps], np.uint16),
        "without": np.array(without, np.uint16),
        "unmixed": np.array([here.unmixed for here in steps], np.uint16),
        "alone": np.array([_or(here.unblended, code) for here, code in zip(steps, without, strict=True)], np.uint16),
        "seconds": np.stack([behind, [here.runner_up for here in steps]], axis=1).astype(np.uint16),
        "margin": np.array([(here.margin_without, here.margin) for here in steps], np.float32),
        "mix": np.array([here.blend.weight for here in steps], np.float32),
        "entropy": np.array([here.entropies for here in steps], np.float32),
        "kl": np.array([here.moved for here in steps], np.float32),
        "reason": np.array([-1 if here.reason is None else reasons.index(here.reason) for here in steps], np.int8),
        "found": np.array([len(here.found) if here.found else 0 for here in steps], np.int32),
        "nearest": np.array([here.found.distances[0] if here.found else np.nan for here in steps], np.float32),
    }
    if trace.rule != "gumbel":
        chosen["u"] = np.array([step.u for step in trace.steps], np.float32)
    return chosen


def _or(code: int | None, otherwise: int) -> int:
    """A code, or another one where it is not known."""
    return otherwise if code is None else code


def reason_table(steps: Sequence[StepRecord]) -> list[str]:
    """The different reasons for which positions retrieved nothing, sorted."""
    return sorted({step.retrieval.reason for step in steps if isinstance(step.retrieval, Skipped)})


def _distributions(trace: Trace, steps: Sequence[Explanation]) -> dict[str, Array]:
    """The likeliest codes of each step with their probabilities and their noise.

    top_blank (nothing retrieved) and top_unblended (no blenders either) are there only where they are other ones than
    the model's, and were recorded; top_noise only where there was a race.
    """
    size = (len(steps), min(SHOWN_CODES, trace.origin.codes))
    others = ("blank", "unblended") if first_blended(trace) is not None and trace.flips_known else ()
    noise = ("noise",) if trace.rule == "gumbel" else ()
    arrays: dict[str, Array] = {"top_code": np.zeros(size, np.uint16)}
    arrays |= {f"top_{name}": np.zeros(size, np.float32) for name in ("model", "retrieval", "blended", *others, *noise)}
    for row, here in enumerate(steps):
        shown = {"model": here.blend.model, "retrieval": here.blend.retrieval, "blended": here.blend.blended}
        if others:
            shown |= {"blank": here.nothing, "unblended": here.nothing if here.bare is None else here.bare}
        codes = top_codes(here.blend, (*here.named, here.unmixed), size[1], [shown.get(name) for name in others])
        arrays["top_code"][row] = codes
        for name, shares in shown.items():
            if shares is not None:
                arrays[f"top_{name}"][row] = shares[codes]
        if isinstance(here.luck, Race):
            arrays["top_noise"][row] = here.luck.noise[codes]
    return arrays


def _neighbours(steps: Sequence[Explanation]) -> dict[str, Array]:
    """The nearest neighbours of each step: image number (-1: none), cell, code, distance and share."""
    size = (len(steps), SHOWN_NEIGHBOURS)
    arrays: dict[str, Array] = {
        "near_image": np.full(size, -1, np.int32),
        "near_row": np.zeros(size, np.uint8),
        "near_col": np.zeros(size, np.uint8),
        "near_code": np.zeros(size, np.uint16),
        "near_distance": np.zeros(size, np.float32),
        "near_share": np.zeros(size, np.float32),
    }
    for row, here in enumerate(steps):
        if not (found := here.found):
            continue
        shown = slice(0, min(SHOWN_NEIGHBOURS, len(found)))
        for name, values in zip(("image", "row", "col"), here.places, strict=True):
            arrays[f"near_{name}"][row, shown] = values[shown]
        arrays["near_code"][row, shown] = found.codes[shown]
        arrays["near_distance"][row, shown] = found.distances[shown]
        arrays["near_share"][row, shown] = here.shares[shown]
    return arrays


def first_blended(trace: Trace) -> FaidStep | None:
    """What the blenders did at the first step that had some, None for a run without."""
    return next((step.faid for step in trace.steps if step.faid is not None), None)


def features_shown(trace: Trace) -> int:
    """How many features that went through the blenders are shown, 0 for a run without blenders."""
    first = first_blended(trace)
    return min(SHOWN_NEIGHBOURS, first.compatibility.shape[1]) if first else 0


def _blenders(trace: Trace) -> dict[str, Array]:
    """What the blenders of each step did, nothing for a run without them; scores and cosines in 1 / FRACTION.

    faid_on: 1 where the step had blenders, everything else being 0 where it had none; faid_fit: the mean compatibility
    of the neighbours' features in the last blender, NaN without neighbours.
    """
    first = first_blended(trace)
    if first is None:
        return {}
    shown, nothing = features_shown(trace), replace(first, present=0, **{n: getattr(first, n) * 0 for n in _SCORES})
    steps = [step.faid or nothing for step in trace.steps]

    def packed(values: Sequence[FloatArray]) -> Array:
        return np.rint(np.stack(values)[..., :shown] * FRACTION).astype(np.int16)

    return {
        "faid_on": np.array([step.faid is not None for step in trace.steps], np.uint8),
        "faid_present": np.array([step.present for step in steps], np.int32),
        "faid_fit": np.array([_mean_compatibility(step) for step in steps], np.float32),
        "faid_compatibility": packed([step.compatibility for step in steps]),
        "faid_start_cosine": packed([step.start_cosine for step in steps]),
        "faid_code_cosine": packed([step.code_cosine for step in steps]),
        "faid_share": np.stack([step.share for step in steps]).astype(np.float32),
        "faid_hop_weights": np.stack([step.hop_weights for step in steps]).astype(np.float32),
    }


_SCORES = ("compatibility", "hop_weights", "share", "start_cosine", "code_cosine")


def _mean_compatibility(step: FaidStep) -> float:
    """Mean over the features of neighbours in the last blender; NaN where there is none."""
    return float(step.compatibility[-1, : step.present].mean()) if step.present else np.nan


def sentences(*parts: str) -> str:
    """Those that say something, one after the other."""
    return " ".join(filter(None, parts))


def notice_of(trace: Trace) -> str:
    """What must be known of a run besides its numbers, "" when there is nothing."""
    skipped = f"The caption filter was skipped: {trace.unfiltered}." if trace.unfiltered else ""
    return sentences(skipped, kept_text(trace), lost_of(trace))


def lost_of(trace: Trace) -> str:
    """At how many positions a part of the database did not answer, "" where all of it always did."""
    count = len(trace.incomplete)
    return f"Part of the database did not answer at {count} position{'s' * (count > 1)}." if count else ""


def _less(trace: Trace) -> list[tuple[str, str]]:
    """What was not done, or not fully."""
    found = [("caption filter", "skipped")] if trace.unfiltered else []
    return [*found, ("incomplete look-ups", str(len(trace.incomplete)))] if trace.incomplete else found


def followed_ways(trace: Trace) -> Counter[Way]:
    """How many look-ups were answered in each way, of those that went on from sources."""
    answers = [step.retrieval for step in trace.steps if isinstance(step.retrieval, Retrieval)]
    return Counter(answer.followed.way for answer in answers if answer.followed is not None)


def kept_text(trace: Trace) -> str:
    """That what goes on from sources was taken for the answer, "" where it was not."""
    ways = followed_ways(trace)
    if not ways["kept"]:
        return ""
    said = f"At {ways['kept']} of {trace.retrieving_positions} look-ups nothing was searched"
    return f"{said}: what continues the sources beside them was taken, and nearer patches may have been missed."


def facts(trace: Trace, arrays: dict[str, Array], seconds: float | None, asked: Asked) -> list[tuple[str, str]]:
    """The run in a few numbers, as (name, text); seconds: None where it does not matter how long it took; asked: which
    model and database it was."""
    settings, everything = trace.settings, trace.all_settings
    found = [("model", called(asked.model)), ("method", METHOD_NAMES[settings.method])]
    found.append(("seed", str(settings.seed)))
    if seconds is not None:
        found.append(("time", f"{seconds:.1f} s"))
        if trace.passes < len(trace.steps):
            found.append(("passes of the model", f"{trace.passes} for {len(trace.steps)} codes"))
    if trace.given:
        found.append(("given", f"{trace.given} codes"))
    if trace.changes:
        found.append(("changed at", ", ".join(str(change.position) for change in trace.changes[-3:])))
    if not any(part.retrieves for part in everything):
        return found
    found.insert(2, ("database", called(asked.database)))
    if settings.mixes:
        found += [("λ", f"{settings.retrieval_weight:g}"), ("τ", f"{settings.retrieval_temperature:g}")]
    found.append(("K", str(settings.n_neighbours or "all")))
    found += _less(trace)
    if first_blended(trace) is not None:
        found.append(("features", str(settings.faid_neighbours)))
    looked_up = int((arrays["reason"] < 0).sum())
    drawn, flips = arrays["drawn"] == 1, arrays["pick"] != arrays["without"]
    known = str(int(flips[drawn].sum())) if trace.flips_known else "not recorded"
    found += [("look-ups", f"{looked_up} of {len(trace.steps)}"), ("flips", known)]
    found += _saved(trace, looked_up)
    if trace.flips_known and not drawn.all():
        found.append(("in hindsight", str(int(flips[~drawn].sum()))))
    if first_blended(trace) is not None and trace.flips_known:
        found.append(("shifts", str(int((arrays["without"] != arrays["alone"])[drawn].sum()))))
    return found


def _saved(trace: Trace, looked_up: int) -> list[tuple[str, str]]:
    """How many look-ups searched nothing, of a run that goes on from sources."""
    ways = followed_ways(trace)
    return [("searches saved", f"{ways['named'] + ways['kept']} of {looked_up}")] if ways else []
