"""The same model over other databases: `evaluate run swap`; what is found is in `..swap_findings`.

A style, or concepts, that only a database has: how likely held-out pictures in that style become, and what is drawn,
with the database of what the model has learned from, with the other one, and with both together.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from ...backends.protocol import Backend
from ...patches.catalogue import DATABASES, manifest_of, open_database
from ...patches.database import PatchDatabase
from ...types import ConfigError, DecodeSettings
from .. import scores
from ..choice import Axes
from ..drawing import draw_each
from ..findings import Section
from ..held import VALIDATION, HeldPicture, pictures_of, sides_of
from ..identify import UNSEEN_BLEND, Judges, drawn, for_tuning
from ..identify import Subject as Prompt
from ..judges import copied_share
from ..likelihood import Found, grid_logits, retrieve
from ..suite import Drawn, Item, Measured, Options, Row, Subject, Work
from ..swap_findings import ALONE, HELD, SEEN_AS, sections

AXES = Axes(
    (0,), (64, 256), (0.1, 0.3, 0.6, 1.0), (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5), (0.0, 0.5, 1.0, 2.0, 4.0, 6.0)
)
"""The settings of DAiD that validation pictures choose from, for each database."""

DEFAULT = "seen,unseen,seen+unseen"
COUNT, PROMPTS = 16, 32
ROWS = 8
"""Prompts that are drawn in one batch."""

EVERY = 4
"""The judge of styles learns from every fourth picture, in a minute instead of four."""


class SwapSuite:
    """See `suite.Suite`."""

    name = "swap"
    help = "a style that only a database has: likelihood and pictures with its own, another and a mixed database"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Which databases, which style, and how much of it."""
        parser.add_argument(
            "--databases",
            default=DEFAULT,
            help="databases, the one of what the model knows first; A+B: both (%(default)s)",
        )
        parser.add_argument("--new-style", default="", help="style that is asked for and read; all where none is given")
        parser.add_argument(
            "--count", type=int, default=COUNT, help="held-out pictures of each side; 0: all (%(default)s)"
        )
        parser.add_argument("--prompts", type=int, default=PROMPTS, help="prompts that are drawn; (%(default)s)")
        parser.add_argument(
            "--validation", default="", help="database of held-out pictures that settings are chosen on"
        )
        parser.add_argument("--test", default="", help="database of held-out pictures that are reported")

    def open(self, subject: Subject, options: Options) -> Work:
        """Open the databases; ConfigError for less than two."""
        return SwapWork(subject, options)

    def findings(self, rows: Sequence[Row], options: Options) -> Sequence[Section]:
        """What each database does to likelihood and to pictures."""
        return sections(rows, str(options["new_style"]))


class SwapWork:
    """The suite, opened for a model."""

    def __init__(self, subject: Subject, options: Options) -> None:
        self._subject, self.backend, self.style = subject, subject.backend, str(options["new_style"])
        names = [name.strip() for name in str(options["databases"]).split(",") if name.strip()]
        if len(names) < 2:
            raise ConfigError("swap: got less than two databases, expected two or more, as in --databases A,B,A+B")
        if bool(options["validation"]) != bool(options["test"]):
            raise ConfigError("swap: got one held-out side, expected --validation and --test, or neither")
        self.databases = {label(name): opened(name, self.backend) for name in names}
        if len(self.databases) < len(names):
            raise ConfigError(f"swap: got databases of one name among {', '.join(names)}; give folders of other names")
        given = {VALIDATION: options["validation"], "test": options["test"]} if options["validation"] else {}
        styles = (self.style,) if self.style else ()
        sides = pictures_of(sides_of(self.backend, given), options["count"], styles)
        self._held = {picture.key: picture for side in sides.values() for picture in side}
        self._base = replace(subject.settings, styles=(), caption_filter=0, n_neighbours=max(AXES.counts))
        self._drawing = self._following(subject.settings)
        self._count = int(options["prompts"])

    def items(self) -> Sequence[Item]:
        """Held-out pictures, and prompts."""
        names = list(self.databases)
        items = [
            Item(f"held-{p.key}", {"kind": HELD, "side": p.side, "prompt": p.prompt, "databases": names})
            for p in self._held.values()
        ]
        return items + [
            Item(f"drawn-{n:03d}", {"kind": "drawn", "first": n, "databases": names,
                                    "wanted": [asdict(prompt) for prompt in self._prompts[n : n + ROWS]]})
            for n in range(0, len(self._prompts), ROWS)
        ]  # fmt: skip

    def measure(self, item: Item) -> Measured:
        """Read a held-out picture, or draw a batch of prompts, with every database."""
        if item.about["kind"] == HELD:
            return self._read(self._held[item.key.removeprefix("held-")])
        return self._draw([Prompt(**wanted) for wanted in item.about["wanted"]], int(item.about["first"]))

    # -- likelihood ---------------------------------------------------------------------------------------------------

    def _read(self, picture: HeldPicture) -> Measured:
        true, count = picture.codes.ravel().astype(np.int64), self._base.faid_neighbours
        arrays = {"model": self._true(picture, None, 0)}
        unavailable = dict[str, str]()
        if self.backend.faid is None:
            unavailable["faid"] = f"model {self.backend.name} has no FAiD weights; give a model that has some"
        else:
            arrays["blank"] = self._true(picture, [None] * len(true), 1)
        grid = scores.Settings(AXES.counts, AXES.temperatures)
        for name, database in self.databases.items():
            found = retrieve(picture.codes, database, self._base)
            there = scores.looked_up(found)
            arrays[f"{name}-retrieved"] = scores.true_chances(there, true, grid)[None]
            arrays[f"{name}-nearest"] = there.nearest[None]
            if self.backend.faid is not None:
                arrays[f"{name}-faid"] = self._true(picture, found, count)
        figures = {name: {"nats": float(-np.log(values).mean())} for name, values in arrays.items() if values.ndim == 1}
        small = {name: values.astype(np.float32) for name, values in arrays.items()}
        return Measured(figures, arrays=small, details={"axes": asdict(AXES)}, unavailable=unavailable)

    def _true(self, picture: HeldPicture, blended: Found | None, count: int) -> scores.Numbers:
        """Probabilities [S] of the true codes."""
        found = None if blended is None else [blended]
        logits = grid_logits(self.backend, [picture.prompt], picture.codes[None], found, count)[0]
        return scores.predicted(logits, picture.codes.ravel().astype(np.int64)).true

    # -- pictures -----------------------------------------------------------------------------------------------------

    def _following(self, settings: DecodeSettings) -> DecodeSettings:
        """From the picture whose caption is nearest, cell by cell; from near patches where captions are not known."""
        captions = all("caption_filter" not in d.unsupported_settings for d in self.databases.values())
        return replace(
            settings, method="daid", retrieval_weight=UNSEEN_BLEND.retrieval_weight,
            retrieval_temperature=UNSEEN_BLEND.retrieval_temperature, gate=UNSEEN_BLEND.gate,
            caption_filter=UNSEEN_BLEND.caption_filter if captions and self.backend.caption_encoder else 0,
            n_neighbours=UNSEEN_BLEND.n_neighbours, position_weight=UNSEEN_BLEND.position_weight, styles=(),
        )  # fmt: skip

    @cached_property
    def _ways(self) -> Mapping[str, tuple[PatchDatabase | None, DecodeSettings]]:
        """How each arm draws; with a style, the last database is also searched for it alone, if it has others, too."""
        ways: dict[str, tuple[PatchDatabase | None, DecodeSettings]] = {
            ALONE: (None, replace(self._drawing, method="model"))
        }
        for name, database in self.databases.items():
            ways[name] = database, self._drawing
        if self.style in database.styles and len(database.styles) > 1:
            ways[f"{name}-{self.style}"] = database, replace(self._drawing, styles=(self.style,))
        return ways

    @cached_property
    def _prompts(self) -> list[Prompt]:
        """What is asked for: pictures of the second database, in the style; ones that the judges know, if any."""
        other = list(self.databases.values())[1]
        infos = [other.image_info(n) for n in other.images.tolist()]
        prompts = [Prompt(info.caption, info.style) for info in infos if not self.style or info.style == self.style]
        if self._judged:
            known = open_database("emoji", self.backend).metadata
            judged = {(info.caption, info.style) for info in known if not for_tuning(info.caption)}
            prompts = [prompt for prompt in prompts if (prompt.concept, prompt.style) in judged]
        return drawn(prompts, self._count)

    @property
    def _judged(self) -> bool:
        """Whether the judges of concepts and art styles know such pictures: they learn from ones of this codebook."""
        manifest = manifest_of("emoji")
        return manifest is not None and manifest["codebook"] == self.backend.codebook.fingerprint

    @cached_property
    def _judges(self) -> Judges:
        return Judges(self.backend, open_database("emoji", self.backend), None, EVERY)

    def _draw(self, prompts: Sequence[Prompt], first: int) -> Measured:
        """The n-th prompt of all is drawn with the settings' seed + n."""
        pictures, said = dict[str, Sequence[Drawn]](), dict[str, dict[str, list[float]]]()
        for arm, (database, settings) in self._ways.items():
            subject = replace(self._subject, database=database)
            seeded = replace(settings, seed=(settings.seed + first) % 2**32)
            drawn = draw_each(subject, [prompt.prompt for prompt in prompts], seeded)
            linkable = database is None or arm in DATABASES
            pictures[arm] = [replace(one, linkable=linkable) for one in drawn]
            said[arm] = self._judge(prompts, drawn)
        reason = (
            "the judges of concepts and styles learned from pictures of the embedded models' codebook; none for this"
        )
        unavailable = {} if self._judged else dict.fromkeys(SEEN_AS, reason)
        figures = {arm: {name: float(np.mean(each)) for name, each in ours.items()} for arm, ours in said.items()}
        return Measured(figures, pictures, details={"judged": said}, unavailable=unavailable)

    def _judge(self, prompts: Sequence[Prompt], drawn: Sequence[Drawn]) -> dict[str, list[float]]:
        """What the judges take pictures for, and how much of each stands in the nearest picture of each database."""
        pixels = np.stack([one.pixels for one in drawn])
        codes = np.array([one.codes for one in drawn], np.uint16)
        said = {
            f"copied-{name}": copied_share(codes, np.asarray(database.grids)[database.images]).tolist()
            for name, database in self.databases.items()
        }
        if not self._judged:
            return said
        ranks = self._judges.gallery.ranks(pixels, [prompt.concept for prompt in prompts], None)
        styles = self._judges.style.predict(self._judges.looks(pixels, codes))
        return said | {
            "style": [float(style == prompt.style) for style, prompt in zip(styles, prompts, strict=True)],
            "mrr": (1 / ranks).tolist(),
            "first": (ranks == 1).astype(float).tolist(),
        }


def label(name: str) -> str:
    """A database's name among the arms."""
    return "+".join(re.sub(r"[^A-Za-z0-9._-]", "-", Path(part).name) for part in name.split("+"))[:32]


def opened(name: str, backend: Backend) -> PatchDatabase:
    """A database, or several that are joined by "+", as one."""
    if name in DATABASES or Path(name).is_dir() or "+" not in name:
        return open_database(name, backend)
    first, *others = (open_database(part.strip(), backend) for part in name.split("+"))
    for other in others:
        first = first.joined(other)
    return first


SUITE = SwapSuite()
