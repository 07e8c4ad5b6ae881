"""generation: how near drawn pictures are to real ones, and whether they show what was asked for."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Final

import numpy as np

from ...inputs.arguments import at_least_one
from ...patches.catalogue import find_database
from ...patches.database import PatchDatabase
from ...patches.protocol import Database
from ...types import CodeArray, ConfigError, DecodeSettings
from ..arms import add_arms, arms_of, compared, reseeded
from ..copied import MOST
from ..drawing import draw_each
from ..findings import Section
from ..generation_findings import COPIED, found
from ..held import spread
from ..identify import Judges
from ..judges import copied_share
from ..real import Real, given_reference, grids_of, held_out, of_database, restored
from ..seeing import Eyes, judged, judges_of
from ..suite import Drawn, Item, Measured, Options, Row, Subject
from ..wanted import Wanted, captions_of, coloured, from_kept, in_file

ROWS: Final = 8
"""Pictures that are drawn in one batch: a few seconds."""

READ: Final = 64
"""Real pictures of an item."""

NETWORKS: Final = ("inception", "dinov2", "clip")


class GenerationWork:
    """See `Work`; judges learn, and networks load, when the first picture is judged."""

    def __init__(self, subject: Subject, options: Options) -> None:
        self._subject, self._options = subject, options
        self._arms = arms_of(subject, str(options["methods"]), str(options["weights"]), options["arms"])
        self._compared = compared(subject, self._arms, options["arms"])
        self._wanted, self._coloured = self._prompts()
        self._real = {real.name: real for real in self._references()}
        self._eyes = Eyes.open(options, NETWORKS)

    def items(self) -> Sequence[Item]:
        """Batches of prompts, then of real pictures."""
        drawn = [*self._batches("asked", self._wanted), *self._batches("coloured", self._coloured)]
        real = [
            Item(f"{name}-{first:05d}", {"kind": name, "note": of.note, "first": first})
            for name, of in self._real.items()
            for first in range(0, len(of), READ)
        ]
        return [*drawn, *real]

    def measure(self, item: Item) -> Measured:
        """Draw and judge a batch of prompts, or look at real pictures."""
        if item.about["kind"] in self._real:
            return self._look(self._real[item.about["kind"]], int(item.about["first"]))
        wanted = from_kept(item.about["wanted"])
        arms = dict(reseeded(self._arms, int(item.about["first"])))
        pictures = {arm: self._draw(wanted, settings) for arm, settings in arms.items()}
        said = {arm: self._judged(wanted, drawn) | self._nearest(drawn) for arm, drawn in pictures.items()}
        arrays = {
            name: array
            for arm, drawn in pictures.items()
            for name, array in self._eyes.arrays(arm, _pixels(drawn)).items()
        }
        if "clip" in self._eyes.given:
            arrays["texts"] = self._eyes.given["clip"].texts([one.prompt for one in wanted])  # type: ignore[attr-defined]
        figures = {arm: {"pictures": float(len(wanted))} | _means(said[arm]) for arm in arms}
        details = {"judged": said, "networks": self._eyes.names} | self._about_judges
        return Measured(figures, pictures, arrays, details, self._unavailable)

    def _draw(self, wanted: Sequence[Wanted], settings: DecodeSettings) -> list[Drawn]:
        return draw_each(self._subject, [one.prompt for one in wanted], settings)

    def _look(self, real: Real, first: int) -> Measured:
        """Features and pictures of some real ones; those that cannot be read are told."""
        shots = {n: real.read(n) for n in range(first, min(first + READ, len(real)))}
        seen = {n: shot for n, shot in shots.items() if not isinstance(shot, str)}
        told = {f"{real.name} {n}": shot for n, shot in shots.items() if isinstance(shot, str)}
        if not seen:
            return Measured({real.name: {"pictures": 0.0}}, unavailable=told)
        settings = self._subject.settings
        pictures = [Drawn(pixels, "", settings, linkable=False) for pixels in seen.values()]
        details: dict[str, Any] = {"networks": self._eyes.names}
        if real.name == "reconstruction":
            wanted = [self._wanted[n] for n in seen]
            codes = grids_of(self._subject.backend, self._database, [one.image for one in wanted])
            bound = [Drawn(d.pixels, w.prompt, settings, c) for d, w, c in zip(pictures, wanted, codes, strict=True)]
            details["judged"] = {real.name: self._judged(wanted, bound)}
        arrays = self._eyes.arrays(real.name, np.stack(list(seen.values())))
        return Measured({real.name: {"pictures": float(len(seen))}}, {real.name: pictures}, arrays, details, told)

    def _judged(self, wanted: Sequence[Wanted], drawn: Sequence[Drawn]) -> dict[str, list[float]]:
        return judged(self._judges, wanted, drawn) if isinstance(self._judges, Judges) else {}

    def _nearest(self, drawn: Sequence[Drawn]) -> dict[str, list[float]]:
        """Share of the codes that the nearest picture of the database has at the same places."""
        if self._known is None:
            return {}
        return {COPIED: copied_share(np.array([one.codes for one in drawn], np.uint16), self._known).tolist()}

    @cached_property
    def _known(self) -> CodeArray | None:
        """The token grids of the database, if it knows its images."""
        database = self._subject.database
        if database is None or not database.knows_images:
            return None
        return grids_of(self._subject.backend, database, database.images[spread(len(database.images), MOST)].tolist())

    def _batches(self, kind: str, wanted: Sequence[Wanted]) -> Iterator[Item]:
        """The n-th picture of a kind is drawn with the settings' seed + n."""
        for first in range(0, len(wanted), ROWS):
            kept = [one.kept for one in wanted[first : first + ROWS]]
            about = {"kind": kind, "first": first, "wanted": kept, "compared": self._compared}
            yield Item(f"{kind}-{first:05d}", about)

    def _prompts(self) -> tuple[list[Wanted], list[Wanted]]:
        """What is asked for, and what is asked for in a held-out colour."""
        count, path = int(self._options["count"]), str(self._options["prompts"])
        if path:
            return in_file(path, count), []
        wanted = captions_of(self._database, count)
        number = int(self._options["coloured"])
        if number == 0 or not isinstance(self._judged_by, PatchDatabase) or not _embedded(self._judged_by):
            return wanted, []
        return wanted, coloured(self._judged_by, number)

    def _references(self) -> list[Real]:
        """Real pictures, other ones that are no reference but tell how near real ones are, and the bound."""
        backend, count = self._subject.backend, int(self._options["real"])
        asked = [one.image for one in self._wanted if one.image >= 0]
        reals: list[Real | None] = [held_out(backend, str(self._options["held_out"]), count)]
        if place := str(self._options["reference"]):
            reals.append(given_reference(backend, place, count))
        elif self._subject.database is not None and self._subject.database.knows_images:
            reals.append(of_database(backend, self._subject.database, count, asked))
        if asked:
            reals.append(restored(backend, self._database, asked))
        found = [real for real in reals if real is not None and len(real)]
        if not any(real.name != "reconstruction" for real in found):
            got = f"got no real pictures for {self._subject.backend_name}"
            raise ConfigError(f"reference: {got}, expected some; give --reference with a folder or a database of them")
        return found

    @property
    def _database(self) -> Database:
        if self._subject.database is None:
            raise ConfigError("prompts: got neither a database nor a file, expected one; give --prompts FILE")
        return self._subject.database

    @cached_property
    def _judged_by(self) -> Database | None:
        """The database that judges learn from."""
        name = str(self._options["judges"])
        return find_database(name, self._subject.backend) if name else self._subject.database

    @cached_property
    def _judges(self) -> Judges | str:
        return judges_of(self._subject.backend, self._judged_by)

    @cached_property
    def _about_judges(self) -> dict[str, Any]:
        """How good they are."""
        return {"judges": self._judges.own_figures()} if isinstance(self._judges, Judges) else {}

    @property
    def _unavailable(self) -> Mapping[str, str]:
        told = {} if isinstance(self._judges, Judges) else {"prompt adherence": self._judges}
        return {**self._eyes.unavailable, **told}


def _pixels(drawn: Sequence[Drawn]) -> Any:
    return np.stack([one.pixels for one in drawn])


def _means(said: Mapping[str, Sequence[float]]) -> dict[str, float]:
    return {name: float(np.mean(values)) for name, values in said.items()}


def _embedded(database: PatchDatabase) -> bool:
    """Whether it keeps pictures, in which hues can be told."""
    return len(database.images) > 0 and bool(database.picture(int(database.images[0])))


class GenerationSuite:
    """See `Suite`."""

    name: Final = "generation"
    help: Final = "distances of drawn pictures to real ones, and whether they show what their prompts name"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Which pictures, and by whose eyes."""
        parser.add_argument("--methods", default="", help="model,daid and so on (default: all that the subject can)")
        parser.add_argument("--weights", default="", help="retrieval weights of those that mix, such as 0.1,0.4")
        add_arms(parser)
        parser.add_argument("--count", type=at_least_one, default=64, help="prompts (default: %(default)s)")
        parser.add_argument(
            "--coloured", type=int, default=16, help="prompts with a held-out colour (default: %(default)s)"
        )
        parser.add_argument("--prompts", default="", help="a text file of prompts, one a line, instead of captions")
        parser.add_argument("--reference", default="", help="a folder or a database of real pictures")
        parser.add_argument("--held-out", default="", help="a database of pictures that the model has not learned from")
        parser.add_argument(
            "--real", type=at_least_one, default=256, help="real pictures of each kind (default: %(default)s)"
        )
        parser.add_argument("--judges", default="", help="the database that judges of concept and style learn from")
        parser.add_argument("--inception", default="", help="file of FID's Inception weights")
        parser.add_argument("--dinov2", default="", help="folder of a DINOv2 model of transformers")
        parser.add_argument("--clip", default="", help="folder of a CLIP model of transformers")

    def open(self, subject: Subject, options: Options) -> GenerationWork:
        """See `Suite.open`."""
        return GenerationWork(subject, options)

    def findings(self, rows: Sequence[Row], options: Options) -> Sequence[Section]:
        """See `generation_findings`."""
        return found(rows)


SUITE: Final = GenerationSuite()
