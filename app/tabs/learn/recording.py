"""The guided tour: a run that was recorded beforehand, and what to look at in it."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path

from app.views import Update
from core.analysis.explain import explain
from core.assets import ASSETS
from core.trace import Trace
from core.types import ConfigError, Grid

logger = logging.getLogger(__name__)

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
        """What `app.record` has written into assets/traces; ConfigError when that is missing or damaged."""
        try:
            about = json.loads((FOLDER / STOPS).read_text(encoding="utf-8"))
            grid, stops = Grid(**about["grid"]), tuple(Stop(**stop) for stop in about["stops"])
            trace, atlas = (FOLDER / TRACE).read_bytes(), (FOLDER / ATLAS).read_bytes()
            return cls(about["prompt"], grid, about["steps"], trace, atlas, stops)
        except (OSError, ValueError, LookupError, TypeError) as error:
            logger.warning("the tour could not be read: %r", error)
            raise ConfigError("tour: its recording is missing or damaged on this server; tell its owner") from None

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


def stops_of(trace: Trace, turn: int, share: float) -> tuple[Stop, ...]:
    """The stops of a tour through a complete run that mixes in what it looks up.

    turn: a position where a look-up changed the patch; share: of the picture that comes from one source. Raises
    ConfigError where nothing was looked up at that position.
    """
    here, blend = explain(trace, turn), trace.blend(turn)
    found, alone, code = here.found, here.without, here.step.code
    if found is None or blend.retrieval is None or alone in (None, code):
        raise ConfigError(f"tour: got position {turn}, expected one where a look-up changed the patch")
    row, col = trace.grid.row_col(turn)
    model, retrieval, blended = (100 * float(part[code]) for part in (blend.model, blend.retrieval, blend.blended))
    images = len(set(here.places[0].tolist()))
    pictures = "one picture" if images == 1 else f"{images} pictures"
    return (
        Stop(
            ".lp-frame", turn, "flips", "Drawn patch by patch",
            f"The model drew “{trace.prompt}” from left to right and top to bottom, one patch at a time. Marked are "
            f"the {len(trace.flips())} of {trace.grid.positions} patches that look-ups changed. We stand at one: "
            f"row {row}, column {col}.",
        ),
        Stop(
            ".lp-asked", turn, "none", "What it looked up",
            "Before each patch it asks a database: where the surroundings looked like this, what came next? Here the "
            f"nearest {len(found)} answers come from {pictures}; the nearest is {float(found.distances[0]):.2f} away "
            "(0: the same surroundings, 16: opposite). The line leads to where such a patch went.",
        ),
        Stop(
            ".lp-codes", turn, "none", "Their vote, and the mix",
            f"The patch that was taken, code {code}, had {model:.1f} % under the model alone and {retrieval:.1f} % "
            f"among the neighbours. Mixed with weight λ = {blend.weight:.2f} that makes {blended:.1f} %. That is DAiD.",
        ),
        Stop(
            ".lp-draw", turn, "none", "The draw",
            "Every code has a random number here, its luck, which is the same for both bars. Who gets furthest is "
            f"taken: {code}. With nothing looked up, the same luck takes {alone}: the look-up changed this patch.",
        ),
        Stop(
            ".lp-overlays", turn, "source", "Where it comes from",
            f"Every patch in the colour of the picture that it owes most to: {100 * share:.0f} % of this one comes "
            "from one picture. Step with the arrow keys, turn look-ups off from here under What if, or draw your own.",
        ),
    )  # fmt: skip
