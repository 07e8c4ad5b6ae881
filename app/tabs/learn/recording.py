"""The guided tour: a run that was recorded beforehand, and what to look at in it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from app.views import Update
from core.analysis.explain import explain
from core.assets import ASSETS
from core.trace import Trace
from core.types import Grid

FOLDER = ASSETS / "traces"
TRACE, ATLAS, STOPS = "tour.bin", "atlas.webp", "tour.json"
TOUR_ID = "tour"


@dataclass(frozen=True, slots=True)
class Stop:
    """One stop: the part of the page that it points at (a CSS selector), the position and overlay shown, the words."""

    part: str
    step: int
    overlay: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Recording:
    """A recorded run, as the stepper takes it, and the stops of the tour through it."""

    prompt: str
    grid: Grid
    steps: int
    trace: bytes
    atlas: bytes
    stops: tuple[Stop, ...]

    @classmethod
    def load(cls) -> Recording:
        """What `app.record` has written into assets/traces."""
        about = json.loads((FOLDER / STOPS).read_text(encoding="utf-8"))
        grid, stops = Grid(**about["grid"]), tuple(Stop(**stop) for stop in about["stops"])
        trace, atlas = (FOLDER / TRACE).read_bytes(), (FOLDER / ATLAS).read_bytes()
        return cls(about["prompt"], grid, about["steps"], trace, atlas, stops)

    def save(self, folder: Path) -> None:
        """Write the files that `load` reads."""
        folder.mkdir(parents=True, exist_ok=True)
        stops = [asdict(stop) for stop in self.stops]
        about = {"prompt": self.prompt, "grid": asdict(self.grid), "steps": self.steps, "stops": stops}
        (folder / STOPS).write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        (folder / TRACE).write_bytes(self.trace)
        (folder / ATLAS).write_bytes(self.atlas)

    def update(self, number: int) -> Update:
        """For the stepper, as its run of that number."""
        first = self.stops[0].step
        return Update(
            number, 0, "ready", "", self.prompt, self.steps, self.grid, b"", self.trace, self.atlas, step=first
        )


def stops_of(trace: Trace) -> tuple[Stop, ...]:
    """The stops of a tour through a complete run that mixes in what it retrieves."""
    last, row = trace.grid.positions - 1, trace.grid.width // 2
    turn = turning_point(trace)
    return (
        Stop(
            ".lp-frame", last, "none", "A picture, written patch by patch",
            f"The model wrote {trace.grid.positions} codes for “{trace.prompt}”, left to right, top to bottom. Every "
            "code stands for one small square. This is the last position; now back to the beginning.",
        ),
        skipped_stop(trace, row),
        *lookup_stops(trace, turn),
        *blender_stops(trace, turn),
        Stop(
            ".lp-overlays", last, "kl", "Where retrieval mattered",
            "An overlay colours every cell by a number. This one is KL, in nats: how far retrieval moved the "
            f"distribution there. Retrieval changed {len(trace.flips())} of {trace.grid.positions} codes.",
        ),
        Stop(
            ".lp-transport", turn, "none", "Now you",
            "Drag the bar, click a cell, or use the arrow keys, Home, End and Space. Then describe a picture above and "
            "press Generate. The words are explained under Learn, and whatever you point at says what it is.",
        ),
    )  # fmt: skip


def turning_point(trace: Trace) -> int:
    """The position where what was retrieved changed the code, and moved the distribution furthest."""
    explained = [explain(trace, step.position) for step in trace.steps]
    far = [here.moved + 1000 * here.flip for here in explained]
    return int(np.where([bool(here.found) for here in explained], np.nan_to_num(far), -1.0).argmax())


def skipped_stop(trace: Trace, position: int) -> Stop:
    """A position of the first row, which may not look anything up."""
    reason = explain(trace, position).reason
    why = "Here that is done" if reason is None else f"Here that is not possible ({reason})"
    return Stop(
        ".lp-context", position, "none", "What came before",
        "Before each patch the engine asks a database of real pictures: what came next where the patches above and to "
        f"the left looked like these? {why}: the model alone decides.",
    )  # fmt: skip


def lookup_stops(trace: Trace, turn: int) -> tuple[Stop, ...]:
    """What was retrieved at a position, and what it did."""
    here, blend = explain(trace, turn), trace.blend(turn)
    found, alone = here.found, here.without
    if found is None or blend.retrieval is None:
        return ()
    row, col = trace.grid.row_col(turn)
    nearest, code = float(found.distances[0]), here.step.code
    images = len(set(here.places[0].tolist()))
    model, retrieval, blended = (100 * float(part[code]) for part in (blend.model, blend.retrieval, blend.blended))
    flipped = f"With nothing retrieved, the same luck takes code {alone}: that is a flip."
    flip = flipped if alone not in (None, code) else "With nothing retrieved, the same luck takes the same code."
    return (
        Stop(
            "[data-part=neighbours]", turn, "none", "The neighbours",
            f"Row {row}, column {col}: {len(found)} neighbours, from {images} pictures, each in a crop of its picture "
            f"with the retrieved cell outlined. d is the distance between contexts (0: the same, 16: opposite); the "
            f"nearest has {nearest:.2f}. Beside it: the share of the retrieval distribution.",
        ),
        Stop(
            ".lp-codes", turn, "none", "Three distributions",
            f"Code {code} had {model:.1f} % under the model and {retrieval:.1f} % among the neighbours; mixed with "
            f"weight λ = {blend.weight:.2f} that makes {blended:.1f} %. That mixing is DAiD.",
        ),
        Stop(
            ".lp-draw", turn, "none", "The draw",
            "Every code has a random number here, its noise, which is the same for every distribution. The code whose "
            f"log-probability and noise add up to most is taken: {code}. {flip}",
        ),
    )  # fmt: skip


def blender_stops(trace: Trace, turn: int) -> tuple[Stop, ...]:
    """What the blenders of FAiD made of the neighbours, for a run that has some."""
    faid = trace.steps[turn].faid
    if faid is None or not faid.present:
        return ()
    best = float(faid.compatibility[-1, : faid.present].max())
    return (
        Stop(
            "[data-part=blenders]", turn, "none", "Inside the model",
            f"FAiD also takes the features of {faid.present} neighbours through blenders in layers "
            f"{', '.join(str(layer) for layer in faid.layers)}. Each scores how well a feature fits here, from 0 to 1: "
            f"in the last one {best:.2f} at best.",
        ),
    )  # fmt: skip
