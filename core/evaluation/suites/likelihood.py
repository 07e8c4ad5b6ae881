"""Held-out likelihood in nats per code: `evaluate run likelihood`; what is found is in `..likelihood_findings`.

Teacher-forced, at temperature 1 and without guidance or truncation, which makes it a proper likelihood. One look-up and
a few passes of the model give what every blend of the grid of settings scores on a picture; nothing is chosen here.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ...backends import Backend, load_backend
from ...backends.complete import complete
from ...engine import decode
from ...types import ConfigError
from .. import scores
from ..choice import Axes, Part
from ..findings import Section
from ..held import VALIDATION, HeldPicture, pictures_of, sides_of, spread, view_for
from ..likelihood import Found, grid_logits, retrieve
from ..likelihood_findings import sections
from ..suite import Drawn, Item, Measured, Options, Row, Subject, Work

HELD, DRAWN = "held", "drawn"
"""Kinds of items: a held-out picture, and one that the model draws from the prompt of a held-out one."""

POOL = 4096
"""Entries that random neighbours are taken from: a sample of the database, the same in every run."""

COUNT, FREE = 30, 20

TRAIN_CONTROL = (
    "train one, for the embedded model by python -m core.training.train_faid --data data --retrieval 0 --neighbours 1, "
    "and give it as --control"
)


class LikelihoodSuite:
    """See `suite.Suite`."""

    name = "likelihood"
    help = "nats per code of held-out pictures: where retrieval helps, with settings that validation pictures choose"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """How many pictures, which ones, and the control."""
        parser.add_argument("--count", type=int, default=COUNT, help="pictures of each side; 0: all (%(default)s)")
        parser.add_argument(
            "--drawn",
            type=int,
            default=FREE,
            help="pictures of each side that are drawn to compare with; (%(default)s)",
        )
        parser.add_argument(
            "--validation", default="", help="database of held-out pictures that settings are chosen on"
        )
        parser.add_argument("--test", default="", help="database of held-out pictures that are reported")
        parser.add_argument(
            "--control", default="", help="model that was trained equally long and never retrieved, as --backend has it"
        )

    def open(self, subject: Subject, options: Options) -> Work:
        """Find the held-out pictures; ConfigError where there are none, or no database."""
        return LikelihoodWork(subject, options)

    def findings(self, rows: Sequence[Row], options: Options) -> Sequence[Section]:
        """What validation chooses, and what that is worth on the other sides."""
        return sections(
            [row for row in rows if row.about["kind"] == HELD], [r for r in rows if r.about["kind"] == DRAWN]
        )


class LikelihoodWork:
    """The suite, opened for a model and its database."""

    def __init__(self, subject: Subject, options: Options) -> None:
        if subject.database is None:
            raise ConfigError("likelihood: got no database, expected one to retrieve from; give --database")
        if bool(options["validation"]) != bool(options["test"]):
            raise ConfigError("likelihood: got one held-out side, expected --validation and --test, or neither")
        self.subject, self.backend, self.database = subject, subject.backend, subject.database
        given = {VALIDATION: options["validation"], "test": options["test"]} if options["validation"] else {}
        sides = pictures_of(sides_of(self.backend, given), options["count"])
        self._pictures = {picture.key: picture for side in sides.values() for picture in side}
        free = (side[n] for side in sides.values() for n in spread(len(side), options["drawn"]) if options["drawn"])
        self._free = [picture.key for picture in free]
        self._control = str(options["control"])
        captions = "caption_filter" not in self.database.unsupported_settings and bool(self.backend.caption_encoder)
        self.axes = Axes.around(subject.settings, captions)

    def items(self) -> Sequence[Item]:
        """Every held-out picture, and those that are drawn."""
        kinds = [(HELD, key) for key in self._pictures] + [(DRAWN, key) for key in self._free]
        return [Item(f"{kind}-{key}", self._about(kind, self._pictures[key])) for kind, key in kinds]

    def _about(self, kind: str, picture: HeldPicture) -> dict[str, str | int]:
        return {
            "kind": kind, "picture": picture.key, "side": picture.side, "number": picture.number,
            "prompt": picture.prompt, "height": self.backend.grid.height, "width": self.backend.grid.width,
        }  # fmt: skip

    def measure(self, item: Item) -> Measured:
        """Score a held-out picture, or draw one and look at what is looked up for it."""
        picture = self._pictures[item.about["picture"]]
        return self._held(picture) if item.about["kind"] == HELD else self._drawn(picture)

    # -- a held-out picture -------------------------------------------------------------------------------------------

    def _held(self, picture: HeldPicture) -> Measured:
        found = self._found(picture)
        random = [self._random(picture, there) for there in found]
        passes, unavailable = self._passes(picture, found, random[0])
        model = passes["model"]
        true = picture.codes.ravel().astype(np.int64)
        arrays = {name: one.true for name, one in passes.items()} | self._looks(model, found)
        for name, kind in (("retrieved", found), ("retrieved_random", random)):
            arrays[name] = np.stack(
                [scores.true_chances(there, true, self._grid) for there in map(scores.looked_up, kind)]
            )
        figures = {name: _figures(one, true) for name, one in passes.items()}
        figures |= self._as_set(arrays)
        small = {name: values.astype(np.float32) for name, values in arrays.items()}
        return Measured(figures, arrays=small, details=self._details, unavailable=unavailable)

    def _passes(
        self, picture: HeldPicture, found: Sequence[Found], random: Found
    ) -> tuple[dict[str, scores.Predicted], dict[str, str]]:
        """What the model predicts alone, with FAiD by caption filter, and its controls; and what there is not."""
        passes, unavailable = {"model": self._predicted(self.backend, picture)}, dict[str, str]()
        count, nothing = self.subject.settings.faid_neighbours, [None] * len(random)
        if self.backend.faid is None:
            unavailable["faid"] = f"model {self.backend.name} has no FAiD weights; give a model that has some"
        else:
            for n, there in enumerate(found):
                passes[f"faid_{n}"] = self._predicted(self.backend, picture, there, count)
            passes["faid_random"] = self._predicted(self.backend, picture, random, count)
            passes["faid_blank"] = self._predicted(self.backend, picture, nothing, 1)
        if not self._control:
            unavailable["control"] = f"no model that was trained equally long and never retrieved; {TRAIN_CONTROL}"
        elif self.control.faid is None:
            passes["control"] = self._predicted(self.control, picture)
        else:
            passes["control"] = self._predicted(self.control, picture, nothing, 1)
        return passes, unavailable

    @cached_property
    def control(self) -> Backend:
        """The control; ConfigError where it has other codes."""
        control = complete(load_backend(self._control))
        if control.codebook.fingerprint != self.backend.codebook.fingerprint:
            raise ConfigError(
                f"control: got {control.name}, which has another codebook; take one that was trained for it"
            )
        return control

    def _predicted(
        self, backend: Backend, picture: HeldPicture, blended: Found | None = None, count: int = 0
    ) -> scores.Predicted:
        found = None if blended is None else [blended]
        logits = grid_logits(backend, [picture.prompt], picture.codes[None], found, count)[0]
        return scores.predicted(logits, picture.codes.ravel().astype(np.int64))

    # -- what is looked up --------------------------------------------------------------------------------------------

    @property
    def _grid(self) -> scores.Settings:
        return scores.Settings(self.axes.counts, self.axes.temperatures)

    def _found(self, picture: HeldPicture) -> list[Found]:
        """What every position finds with each caption filter, as many as any K asks for."""
        base = replace(self.subject.settings, n_neighbours=max(self.axes.counts))
        views = [
            view_for(self.backend, self.database, picture.prompt, replace(base, caption_filter=kept))
            for kept in self.axes.filters
        ]
        return [retrieve(picture.codes, view, base) for view in views]

    def _random(self, picture: HeldPicture, found: Found) -> Found:
        """As many neighbours at the same distances, with codes of any entries."""
        rng = np.random.default_rng(int.from_bytes(hashlib.sha256(picture.key.encode()).digest()[:8], "little"))
        return [
            None if neighbours is None else replace(neighbours, codes=rng.choice(self._pool, len(neighbours)))
            for neighbours in found
        ]

    @cached_property
    def _pool(self) -> npt.NDArray[np.int64]:
        """Codes of random entries of the database."""
        rng = np.random.default_rng(0)
        images = rng.choice(self.database.images, min(POOL // 16, len(self.database.images)), replace=False)
        places = np.arange(self.backend.grid.positions)
        return np.concatenate(
            [self.database.image_codes(int(n)).ravel()[rng.choice(places, 16)] for n in images]
        ).astype(np.int64)

    def _looks(self, model: scores.Predicted, found: Sequence[Found]) -> dict[str, scores.Numbers]:
        """Signs that a gate can go by: distances, entropies, peaks, agreement."""
        there = [scores.looked_up(one) for one in found]
        shapes = [scores.shape_of(one, model.favourite, self._grid) for one in there]
        return {
            "model_entropy": model.entropy,
            "model_peak": model.peak,
            "nearest": np.stack([one.nearest for one in there]),
            "entropy": np.stack([shape.entropy for shape in shapes]),
            "peak": np.stack([shape.peak for shape in shapes]),
            "agree": np.stack([shape.agree for shape in shapes]),
        }

    @cached_property
    def _details(self) -> dict[str, object]:
        """What the arrays are over, and the settings that the run was asked to draw with."""
        page = self.axes.place(self.subject.settings)
        return {
            "axes": asdict(self.axes),
            "page": page.json(),
            "faid_neighbours": self.subject.settings.faid_neighbours,
        }

    def _as_set(self, arrays: dict[str, scores.Numbers]) -> dict[str, dict[str, float]]:
        """Nats per code with the settings of the run: DAiD, both, and DAiD with random neighbours."""
        page, figures = self.axes.place(self.subject.settings), dict[str, dict[str, float]]()
        mixed = {"daid": ("model", "retrieved"), "daid_random": ("model", "retrieved_random")}
        if (blended := f"faid_{page.filter}") in arrays:
            mixed["faid+daid"] = (blended, "retrieved")
        for arm, (into, what) in mixed.items():
            part = Part(("",), arrays[into][None], arrays[what][None], arrays["nearest"][None])
            figures[arm] = {"nats": float(part.nats(page)[0])}
        return figures

    # -- a picture that is drawn --------------------------------------------------------------------------------------

    def _drawn(self, picture: HeldPicture) -> Measured:
        """Draw from the same prompt without retrieval, then look at entropies as for the held-out picture."""
        settings = replace(self.subject.settings, method="model")
        steps = decode(self.backend, None, [picture.prompt], settings)
        codes = np.array([step[0].code for step in steps], np.uint16).reshape(picture.codes.shape)
        drawn = replace(picture, codes=codes)
        model = self._predicted(self.backend, drawn)
        arrays = self._looks(model, self._found(drawn)) | {"model": model.true}
        pixels = self.backend.decode_codes(codes[None])[0]
        return Measured(
            {"drawn": _figures(model, codes.ravel().astype(np.int64))},
            {"drawn": [Drawn(pixels, picture.prompt, settings, codes)]},
            {name: values.astype(np.float32) for name, values in arrays.items()},
            self._details,
        )


def _figures(one: scores.Predicted, true: npt.NDArray[np.int64]) -> dict[str, float]:
    """Nats per code, and how often the likeliest code is the true one."""
    with np.errstate(divide="ignore"):
        nats = float(-np.log(one.true).mean())
    return {"nats": nats, "top1": float((one.favourite == true).mean())}


SUITE = LikelihoodSuite()
