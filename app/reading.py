"""Real pictures, read as if they were being drawn: with which methods, what came of it, and what it is a test of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from app.branches import Plan
from app.library import Library
from app.session import Session
from app.views import METHOD_NAMES, Asked, Update, called
from app.visits import Kept
from core.analysis.reading import Verdict, judge
from core.assets import ASSETS
from core.backends.protocol import Backend
from core.inputs.prompt import clean_prompt
from core.patches.database import PatchDatabase
from core.patches.segments.database import SegmentedDatabase
from core.trace import Trace
from core.types import ArragError, CodeArray, ConfigError, FloatArray

Kind = Literal["held out", "database", "uploaded"]
SIDE = "test"
"""Of the held-out pictures: settings were chosen on the validation side, none on this one."""

OFFERED = 12
COMPARED, MOST_COMPARED = 4096, 200_000
"""Images that are compared at a time to find one again, and of how large a database they are."""

ALIKE = 0.9
"""Share of equal codes from which on two pictures count as the same one."""

TRAINED_ON = {"emoji": "emoji", "novice": "seen"}
"""By model: the database that holds the pictures which it was trained on."""


@dataclass(frozen=True, slots=True)
class Given:
    """A picture as codes: what it is called, its prompt, where it is from, and its number there (-1: none)."""

    name: str
    prompt: str
    codes: tuple[int, ...]
    kind: Kind = "uploaded"
    number: int = -1

    @property
    def without(self) -> int:
        """Number of the image that may not be looked up, see `Asked`."""
        return self.number if self.kind == "database" else -1


@dataclass(frozen=True, slots=True)
class MethodReading:
    """How one method read a picture: its name, the surprise [n] of every code in nats, the code that the run's noise
    picks at every position, and the verdict on it; that of the model alone has no change."""

    name: str
    surprise: FloatArray
    picks: tuple[int, ...]
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of reading a picture: the run that stays in the stepper, and what each method made of it, the model
    alone first; about: what a reader must know of the test."""

    given: Given
    kept: Kept
    methods: tuple[MethodReading, ...]
    about: str

    @property
    def sentence(self) -> str:
        """The verdict in words and figures."""
        figures = ", ".join(f"{method.name} {method.verdict.nats:.3f}" for method in self.methods)
        said = ", ".join(f"{method.name} {verdict_words(method.verdict)}" for method in self.methods[1:])
        return f"{figures} nats a code: here {said}."


def verdict_words(verdict: Verdict) -> str:
    """A verdict in words, the change with its standard error."""
    words = {
        "helps": "helps", "hurts": "hurts", "little": "changes little", "unclear": "makes no clear difference",
        "nothing": "changes nothing",
    }  # fmt: skip
    if verdict.word == "nothing":
        return words["nothing"]
    return f"{words[verdict.word]} ({verdict.change:+.3f}\xa0±\xa0{verdict.error:.3f})".replace("-", "\N{MINUS SIGN}")


# ---------------------------------------------------------------------------------------------------------------------
# The pictures


def held_out(backend: Backend, side: str = SIDE, count: int = OFFERED) -> tuple[Given, ...]:
    """Some pictures, spread over a held-out side, under their own captions; none for a model of another codebook."""
    try:
        pictures = PatchDatabase.load(ASSETS / "heldout" / side, backend.codebook)
    except ArragError:
        return ()
    if pictures.grid != backend.grid:
        return ()
    chosen = np.linspace(0, len(pictures.images) - 1, min(count, len(pictures.images))).astype(int)
    return tuple(_given(pictures, int(number), "held out") for number in dict.fromkeys(chosen.tolist()))


def from_database(library: Library, who: str, asked: Asked, number: object) -> Given:
    """An image of the database that is asked, under its own caption; ConfigError for a number that it has not."""
    database = library.database_of(who, asked)
    if not isinstance(number, (int, float)) or number not in database.images:
        last = int(database.images[-1])
        raise ConfigError(f"image: got no. {number!r:.20}, expected one of {len(database.images)} up to {last}")
    info = database.image_info(int(number))
    prompt, codes = clean_prompt(f"{info.caption}, {info.style} style"), database.image_codes(int(number))
    return Given(f"#{int(number)} {info.caption}"[:30], prompt, _codes(codes), "database", int(number))


def uploaded(library: Library, asked: Asked, path: Path | None, prompt: str) -> Given:
    """A visitor's picture, under the prompt; ConfigError for what is none, and without a prompt."""
    if path is None:
        raise ConfigError("image: got nothing, expected a file; choose one")
    return Given("uploaded", clean_prompt(prompt, library.prompt_limit), _codes(library.codes_of(asked.model, path)))


def _given(pictures: PatchDatabase, number: int, kind: Kind) -> Given:
    info = pictures.image_info(number)
    prompt = clean_prompt(f"{info.caption}, {info.style} style")
    return Given(prompt[:30], prompt, _codes(pictures.image_codes(number)), kind, number)


def _codes(grid: CodeArray) -> tuple[int, ...]:
    return tuple(grid.ravel().tolist())


# ---------------------------------------------------------------------------------------------------------------------
# Reading


def read(session: Session, who: str, asked: Asked, given: Given, tab: str | None = "") -> Iterator[Update | Reading]:
    """Read a picture with every method, one after the other; what came of it is last, unless something came between.

    It is read without guidance: guided distributions are sharper than what the model believes, and would make any
    look-up seem a help. tab: as in `Drawing`.
    """
    asked = replace(asked, without=given.without, settings=replace(asked.settings, cfg_scale=1.0))
    runs: dict[str, Kept] = {}
    for method in reading_methods(session.library, asked):
        plan = reading_plan(asked, given, method)
        for update in session.drawing.carry_out(who, made(plan), tab):
            yield update
            if update.state in ("error", "stopped"):
                return
            if update.kept:
                runs[method] = session.visits.find(who, update.kept)
        if method not in runs:  # something newer took its place
            return
    about = what_it_tests(session.library, who, asked, given)
    yield Reading(given, runs["daid"], method_readings({name: run.trace for name, run in runs.items()}), about)


def reading_methods(library: Library, asked: Asked) -> tuple[str, ...]:
    """DAiD, which tells of the model alone as well, after both together, which tells of FAiD alone, with blenders."""
    return ("faid+daid", "daid") if library.has_blenders(asked.model) else ("daid",)


def reading_plan(asked: Asked, given: Given, method: str) -> Plan:
    """The run that reads a picture with a method."""
    settings = replace(asked.settings, method=method, record_unblended=True)
    name = f"{given.name}, read by {METHOD_NAMES[method]}"
    return Plan(given.prompt, replace(asked, settings=settings), given=given.codes, name=name)


def method_readings(traces: dict[str, Trace]) -> tuple[MethodReading, ...]:
    """What each method made of the picture, the model alone first; traces: by the method that read it."""
    columns = [("Model", traces["daid"], 0), (METHOD_NAMES["daid"], traces["daid"], 1)]
    if "faid+daid" in traces:
        both = traces["faid+daid"]
        columns += [(METHOD_NAMES["faid"], both, 0), (METHOD_NAMES["faid+daid"], both, 1)]
    alone, width = traces["daid"].surprise()[:, 0], traces["daid"].grid.width
    readings = []
    for name, trace, column in columns:
        surprise = trace.surprise()[:, column]
        picks = tuple(_pick(trace, position, mixed=bool(column)) for position in range(len(trace.steps)))
        readings.append(MethodReading(name, surprise, picks, judge(alone, surprise, width)))
    return tuple(readings)


def _pick(trace: Trace, position: int, mixed: bool) -> int:
    """The code that the run's noise picks, from the mix or from the model before it."""
    return trace.pick(position) if mixed else trace.luck(position).draw(trace.blend(position).model)


def completions(library: Library, last: tuple[Given, str] | None, rows: object, asked: Asked) -> list[Plan]:
    """One plan for each method, from the first rows of the picture that was read last, which is given with its run."""
    if last is None:
        raise ConfigError("image: got none, expected one to complete; upload or read one first")
    (given, parent), height, width = last, library.grid.height, library.grid.width
    if not isinstance(rows, (int, float)) or not 1 <= rows < height:
        raise ConfigError(f"rows: got {rows!r:.20}, expected 1 to {height - 1}")
    kept = int(rows) * width
    blending: Sequence[str] = ("faid",) if library.has_blenders(asked.model) else ()
    return [
        Plan(
            given.prompt,
            replace(asked, without=given.without, settings=replace(asked.settings, method=method)),
            given=given.codes[:kept],
            name=f"{given.name}, {int(rows)} rows, {METHOD_NAMES[method]}",
            parent=parent,
            branch_step=kept,
        )
        for method in ("model", "daid", *blending)
    ]


# ---------------------------------------------------------------------------------------------------------------------
# What it is a test of


def what_it_tests(library: Library, who: str, asked: Asked, given: Given) -> str:
    """What a reader must know of a reading: whether the picture is in the database, and whether the model knows it."""
    return f"{in_the_database(library, who, asked, given)} {in_the_training(library, asked, given)}"


def in_the_database(library: Library, who: str, asked: Asked, given: Given) -> str:
    """Whether the picture can be looked up in itself, which is no test of help."""
    database, name = library.database_of(who, asked), f"the database {_shown(asked.database)}"
    if not isinstance(database, PatchDatabase | SegmentedDatabase) or len(database.images) > MOST_COMPARED:
        return f"Whether {name} holds this picture is not known: if it does, this is no test of help."
    if (same := twin(database, given.codes)) is not None:
        again = " Read it by this number, which leaves it out." if given.kind != "database" else ""
        return f"No test of help: {name} holds this picture as no. {same}, and it is looked up in itself.{again}"
    if given.kind == "database":
        return f"No. {given.number} of {name}, left out of the look-ups."
    return f"T{name[1:]} does not hold this picture."


def in_the_training(library: Library, asked: Asked, given: Given) -> str:
    """Whether the model was trained on the picture, as far as that is known."""
    model, learned = f"the model {_shown(asked.model)}", library.databases.get(TRAINED_ON.get(asked.model, ""))
    if not isinstance(learned, PatchDatabase):
        return f"Whether {model} was trained on it is not known here."
    if given.kind == "held out":
        return f"Held out: {model} was never trained on it."
    if twin(learned, given.codes) is None:
        return f"No picture like it was found among those that {model} was trained on."
    return f"T{model[1:]} was trained on it: the figures say what look-ups add to what it knows by heart."


def twin(database: PatchDatabase | SegmentedDatabase, codes: Sequence[int]) -> int | None:
    """Number of the image of a database that has most of these codes, at least ALIKE of them; None without one."""
    images, wanted, best, found = database.images, np.array(codes), 0.0, None
    for start in range(0, len(images), COMPARED):
        part = images[start : start + COMPARED]
        grids = database.grids_of(part) if isinstance(database, SegmentedDatabase) else database.grids[part]
        shares = (grids.reshape(len(part), -1) == wanted).mean(axis=1)
        if shares.max() > best:
            best, found = float(shares.max()), int(part[shares.argmax()])
    return found if best >= ALIKE else None


def _shown(name: str) -> str:
    """What a model or a database is called on the page."""
    return called(name)


def made(plan: Plan) -> Callable[[], Plan]:
    """A plan that is there already, for a session that asks for one."""
    return lambda: plan
