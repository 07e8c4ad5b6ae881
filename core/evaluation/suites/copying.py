"""copying: how much of pictures is copied from the database, by method and retrieval weight, and whether it shows."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ...daid import gated_weight, retrieval_distribution
from ...inputs.arguments import at_least_one
from ...patches.catalogue import find_database
from ...patches.protocol import Database
from ...types import ConfigError, DecodeSettings, FloatArray, Neighbours
from ..arms import add_arms, arms_of, compared, reseeded
from ..copied import Sources
from ..copying_findings import found
from ..drawing import draw_each
from ..findings import Section
from ..held import VALIDATION, HeldPicture, found_for, pictures_of, sides_of
from ..likelihood import grid_logits
from ..real import Kept
from ..seeing import Eyes
from ..suite import Drawn, Item, Measured, Options, Row, Subject
from ..wanted import Wanted, captions_of, from_kept, in_file

ROWS: Final = 16
"""Pictures that are drawn, or read, in one batch: about ten seconds."""

WEIGHTS: Final = "0.05,0.1,0.2,0.4,0.8"
MEMBER: Final = "member"
"""The side of pictures that the database holds."""


class CopyingWork:
    """See `Work`."""

    def __init__(self, subject: Subject, options: Options) -> None:
        if subject.database is None or not subject.database.knows_images:
            got = "got no database whose images are known"
            raise ConfigError(f"database: {got}, expected one to copy from; give --database")
        self._subject, self._options, self._database = subject, options, subject.database
        self._arms = arms_of(subject, str(options["methods"]), str(options["weights"]), options["arms"])
        self._compared = compared(subject, self._arms, options["arms"])
        self._eyes = Eyes.open(options, ("sscd",))
        count, path = int(options["count"]), str(options["prompts"])
        self._wanted = in_file(path, count) if path else captions_of(self._database, count)

    def items(self) -> Sequence[Item]:
        """A batch of prompts for each arm, batches of held-out pictures, and of pictures whose likelihood is asked."""
        drawn = [
            self._item("drawn", _slug(arm), first, self._about(arm, part))
            for first, part in _parts(self._wanted)
            for arm in self._arms
        ]
        held = [
            self._item("real", side, first, {"side": side, "numbers": list(part)})
            for side, pictures in self._held.items()
            for first, part in _parts(range(len(pictures)))
        ]
        read = [
            self._item("likelihood", side, first, {"side": side, "numbers": list(part)})
            for side, pictures in self._asked.items()
            for first, part in _parts(range(len(pictures)))
        ]
        return [*drawn, *held, *read]

    def _about(self, arm: str, wanted: Sequence[Wanted]) -> dict[str, Any]:
        """What is drawn, and with which arm it is compared beside the model alone."""
        own = {"compared": self._compared[arm]} if arm in self._compared else {}
        return {"arm": arm, "wanted": [one.kept for one in wanted]} | own

    def measure(self, item: Item) -> Measured:
        """Whatever the item is."""
        if item.about["kind"] == "drawn":
            return self._drawn(item)
        pictures = (self._held if item.about["kind"] == "real" else self._asked)[item.about["side"]]
        chosen = [pictures[number] for number in item.about["numbers"]]
        return self._real(chosen) if item.about["kind"] == "real" else self._likelihood(chosen)

    def _drawn(self, item: Item) -> Measured:
        """Draw an arm's pictures, and look for what they are copied from."""
        arm, wanted = str(item.about["arm"]), from_kept(item.about["wanted"])
        settings = dict(reseeded({arm: self._arms[arm]}, int(item.about["first"])))[arm]
        drawn = draw_each(self._subject, [one.prompt for one in wanted], settings)
        said = self._said(drawn)
        pictures = {arm: drawn, f"{arm}-source": [self._source(one) for one in drawn]}
        return Measured({arm: _means(said)}, pictures, details={"copied": said}, unavailable=self._eyes.unavailable)

    def _real(self, chosen: Sequence[HeldPicture]) -> Measured:
        """The same of pictures that nobody copied."""
        grids = np.stack([picture.codes for picture in chosen])
        seen = zip(self._subject.backend.decode_codes(grids), chosen, strict=True)
        drawn = [Drawn(p, one.prompt, self._subject.settings, one.codes, linkable=False) for p, one in seen]
        said = self._said(drawn)
        return Measured({"real": _means(said)}, {"real": drawn}, details={"copied": said})

    def _said(self, drawn: Sequence[Drawn]) -> dict[str, list[float]]:
        """Figures of copying, one a picture."""
        each = [self._sources.copied(np.asarray(one.codes, np.uint16), one.prompt) for one in drawn]
        said = {name: [figures[name] for figures in each] for name in each[0]}
        similar = self._sources.similar(np.stack([one.pixels for one in drawn]))
        return said | ({"sscd": list(similar)} if similar else {})

    def _source(self, one: Drawn) -> Drawn:
        """The picture of the database that shares most codes with a drawn one."""
        image = self._sources.nearest(np.asarray(one.codes, np.uint16))
        shot = Kept("", "", self._database, [image], self._subject.backend.pixels).read(0)
        if isinstance(shot, str):
            shot = self._subject.backend.decode_codes(self._database.image_codes(image)[None])[0]
        return Drawn(shot, self._database.image_info(image).caption, one.settings, linkable=False)

    def _likelihood(self, chosen: Sequence[HeldPicture]) -> Measured:
        """Log-probabilities [N, S] of codes with and without the prompt, and what retrieval says of them."""
        grids, prompts = np.stack([one.codes for one in chosen]), [one.prompt for one in chosen]
        codes = grids.reshape(len(grids), -1).astype(np.int64)
        conditional, unconditional = self._guided(prompts, codes)
        settings, size = self._subject.settings, self._subject.backend.codebook.size
        near = [found_for(self._subject.backend, self._database, one, settings) for one in chosen]
        pairs = [list(zip(*row, strict=True)) for row in zip(near, codes.tolist(), strict=True)]
        retrieved = [[_retrieved(n, code, size, settings) for n, code in row] for row in pairs]
        shares = [[gated_weight(1.0, settings.gate, n.distances) if n else 0.0 for n in row] for row in near]
        arrays: dict[str, FloatArray] = {
            "model": conditional,
            "unconditional": unconditional,
            "retrieved": np.array(retrieved, np.float32),
            "shares": np.array(shares, np.float32),
        }
        if self._subject.backend.faid is not None:
            count = self._subject.settings.faid_neighbours
            logits = grid_logits(self._subject.backend, prompts, grids, near, count)
            arrays["faid"] = _taken(logits, codes)
        figures = {"model": {"nats": -float(conditional.mean()), "unconditional": -float(unconditional.mean())}}
        likelihoods = [name for name in ("model", "faid") if name in arrays]
        return Measured(figures, arrays=arrays, details={"likelihoods": likelihoods})

    def _guided(self, prompts: Sequence[str], codes: npt.NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
        """Log-probabilities [N, S] of the codes with the prompts, and with none, as guidance computes both."""
        decoding = self._subject.backend.start(prompts, guided=True)
        taken: list[tuple[FloatArray, FloatArray]] = []
        try:
            for here in codes.T:
                predicted = decoding.logits()
                if predicted.unconditional is None:
                    raise ConfigError(f"model {self._subject.backend_name}: got no prediction without a prompt")
                taken.append((_taken(predicted.conditional, here), _taken(predicted.unconditional, here)))
                decoding.append(here)
        finally:
            decoding.close()
        with_prompt, without = (np.stack(part, axis=1) for part in zip(*taken, strict=True))
        return with_prompt, without

    def _item(self, kind: str, name: str, first: int, about: Mapping[str, Any]) -> Item:
        return Item(f"{kind}-{name}-{first:05d}", {"kind": kind, "first": first} | dict(about))

    @cached_property
    def _sources(self) -> Sources:
        sscd = self._eyes.given.get("sscd")
        return Sources.of(self._subject.backend, self._database, self._subject.settings, sscd)

    @cached_property
    def _sides(self) -> dict[str, Database]:
        given = str(self._options["held_out"])
        try:
            return sides_of(self._subject.backend, {"given": given} if given else {})
        except ConfigError:
            if given:
                raise
            return {}

    @cached_property
    def _held(self) -> dict[str, list[HeldPicture]]:
        """Held-out pictures by side."""
        each = -(-int(self._options["real"]) // max(len(self._sides), 1))
        return pictures_of(self._sides, each)

    @cached_property
    def _asked(self) -> dict[str, list[HeldPicture]]:
        """Pictures whose likelihood is asked: of the database, and as many held-out ones of every side."""
        count = int(self._options["members"])
        if count == 0 or not self._sides:
            return {}
        members = self._database
        if name := str(self._options["learned"]):
            members = find_database(name, self._subject.backend)
        others = {side: held for side, held in self._sides.items() if side != VALIDATION}
        return pictures_of({MEMBER: members} | others, count)


def _parts(values: Sequence[Any]) -> Iterator[tuple[int, Sequence[Any]]]:
    for first in range(0, len(values), ROWS):
        yield first, values[first : first + ROWS]


def _slug(arm: str) -> str:
    """An arm as a part of a key."""
    return arm.replace("+", "-").replace(".", "p")


def _means(said: Mapping[str, Sequence[float]]) -> dict[str, float]:
    return {name: float(np.mean(values)) for name, values in said.items()}


def _taken(logits: FloatArray, codes: npt.NDArray[np.int64]) -> FloatArray:
    """Log-probabilities [...] of codes [...] under logits [..., V]."""
    top = logits.max(axis=-1)
    whole = top + np.log(np.exp(logits - top[..., None]).sum(axis=-1))
    found: FloatArray = np.take_along_axis(logits, codes[..., None], axis=-1)[..., 0] - whole
    return found


def _retrieved(near: Neighbours | None, code: int, size: int, settings: DecodeSettings) -> float:
    """Probability of a code under retrieval, 0 where nothing was retrieved."""
    if near is None:
        return 0.0
    return float(retrieval_distribution(near, size, settings.retrieval_temperature, settings.aggregate)[code])


class CopyingSuite:
    """See `Suite`."""

    name: Final = "copying"
    help: Final = "what is copied from the database, by method and retrieval weight, and whether likelihoods tell it"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Which pictures."""
        parser.add_argument("--methods", default="", help="model,daid and so on (default: all that the subject can)")
        parser.add_argument("--weights", default=WEIGHTS, help="retrieval weights (default: %(default)s)")
        add_arms(parser)
        parser.add_argument("--count", type=at_least_one, default=24, help="prompts (default: %(default)s)")
        parser.add_argument("--prompts", default="", help="a text file of prompts, one a line, instead of captions")
        parser.add_argument("--held-out", default="", help="a database of pictures that the model has not learned from")
        parser.add_argument("--real", type=at_least_one, default=96, help="held-out pictures (default: %(default)s)")
        parser.add_argument("--members", type=int, default=77, help="pictures of a side whose likelihood is asked")
        parser.add_argument("--learned", default="", help="the database of members (default: the one retrieved from)")
        parser.add_argument("--sscd", default="", help="TorchScript file of SSCD: a program, give only theirs")

    def open(self, subject: Subject, options: Options) -> CopyingWork:
        """See `Suite.open`."""
        return CopyingWork(subject, options)

    def findings(self, rows: Sequence[Row], options: Options) -> Sequence[Section]:
        """See `copying_findings`."""
        return found(rows)


SUITE: Final = CopyingSuite()
