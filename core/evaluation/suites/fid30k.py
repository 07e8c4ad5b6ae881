"""Midjourney-30K and COCO-30K: `evaluate run fid30k --prompts FILE --reference DIR --inception FILE`; see `..many`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from ...backends.complete import prompt_limit
from ...inputs.arguments import at_least_one
from ...inputs.prompt import clean_prompt
from ...patches.building.sources import has_picture_suffix
from ...types import ConfigError, DecodeSettings
from .. import extractors
from ..distances import frechet
from ..drawing import draw_each, methods_of, settings_of
from ..findings import Cell, Section, Sheet, Shown, Table
from ..given import arm_of, folder_of, read_shot, read_text
from ..many import cmmd_of, in_parts, moments_of, wavelet_distance_of
from ..suite import Drawn, Item, Measured, Options, Pixels, Row, Subject
from ..wavelets import wavelet_distance

REFERENCE: Final = "reference"
"""The arm of the real pictures."""

SIDE, BATCH, PART = 256, 8, 1000
"""Pixels that pictures are brought to; pictures of an item; rows that are compared at once."""

FEW: Final = 128
"""Pictures whose packets are held at once: 0.2 GB for each side."""

NETWORKS: Final = {"inception": "FID (Inception)", "clip": "CMMD"}

HOW: Final = """Drawn pictures against a folder of real ones, such as the 30,000 of Midjourney-30K or COCO-30K. All \
are cropped to their middle square and brought to one size, bicubic. FID: Fréchet distance of the pool features of \
Inception-v3 with the weights of the original (Heusel et al. 2017; by torch-fidelity's file). CMMD: Jayasumana et al. \
2024, with the CLIP that was given. FWD: Fréchet wavelet distance (Veeramacheneni et al. 2024), which needs no \
network. Smaller is nearer. FID and FWD grow where there are fewer pictures: compare figures of equal numbers alone. \
No interval is given: a figure is of all pictures at once."""

RELEASED: Final = Table(
    ("model", "COCO FID", "Midjourney FID"),
    (("Janus-Pro", 19.59, 12.81), ("Janus-Pro, DAiD", 18.02, 11.93), ("Janus-Pro, FAiD", 17.60, 9.31)),
    digits=2,
    note="Source: README of the code that the authors of AR-RAG released. Their camera-ready paper (arXiv 2506.06962) "
    "gives other figures. Nothing here was measured by this project.",
)


class Fid30kSuite:
    """See `suite.Suite`."""

    name = "fid30k"
    help = "distance to many real pictures, such as Midjourney-30K and COCO-30K: FID, CMMD, FWD"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Prompts, pictures and networks, by path."""
        parser.add_argument("--prompts", default="", metavar="FILE", help="a prompt a line")
        parser.add_argument("--reference", default="", metavar="DIR", help="real pictures, in this folder or below it")
        parser.add_argument("--count", type=int, default=0, help="the first so many of both; 0: all (%(default)s)")
        parser.add_argument("--methods", default="", help="what is compared, such as model,daid; the first is the base")
        parser.add_argument(
            "--pictures", action="append", default=[], metavar="DIR",
            help="pictures that are there already, instead of drawing; may be given again",
        )  # fmt: skip
        parser.add_argument("--batch", type=at_least_one, default=BATCH, help="pictures of an item (%(default)s)")
        parser.add_argument("--side", type=at_least_one, default=SIDE, help="pixels a side (%(default)s)")
        parser.add_argument(
            "--inception", default="", metavar="FILE", help="weights of Inception-v3 as torch-fidelity's"
        )
        parser.add_argument("--clip", default="", metavar="DIR", help="folder of a CLIP model of transformers")

    def open(self, subject: Subject, options: Options) -> Fid30kWork:
        """Find prompts and pictures and load the networks; ConfigError for what is not there."""
        return Fid30kWork(subject, options)

    def findings(self, rows: Sequence[Row], options: Options) -> Sequence[Section]:
        """Distances of each arm to the real pictures; takes time in proportion to the square of their number."""
        return sections(rows)


SUITE = Fid30kSuite()


class Fid30kWork:
    """The suite, opened."""

    def __init__(self, subject: Subject, options: Options) -> None:
        self._subject, self._side = subject, int(options["side"])
        if not options[REFERENCE]:
            raise ConfigError("reference: got none, expected a folder of real pictures; give --reference DIR")
        self._files = {REFERENCE: files_of(str(options[REFERENCE]), REFERENCE)}
        self._prompts: list[str] = []
        self._settings: dict[str, DecodeSettings] = {}
        if options["pictures"]:
            for place in options["pictures"]:
                arm = arm_of(folder_of(str(place), "pictures"))
                if arm in self._files:
                    raise ConfigError(f"pictures: got two folders for {arm}; expected other names, rename one of them")
                self._files[arm] = files_of(str(place), "pictures")
        elif options["prompts"]:
            self._prompts = read_text(str(options["prompts"]), "prompts").splitlines()
            self._settings = settings_of(subject, methods_of(str(options["methods"]), subject))
        else:
            raise ConfigError("prompts: got none, expected a file with a prompt a line; give --prompts, or --pictures")
        most, batch = int(options["count"]) or None, int(options["batch"])
        self._prompts = self._prompts[:most]
        self._files = {arm: files[:most] for arm, files in self._files.items()}
        self._batches = {arm: _batches(len(files), batch) for arm, files in self._files.items()}
        self._drawn = _batches(len(self._prompts), batch)
        self._networks = {name: extractors.load(name, options[name]) for name in NETWORKS if options[name]}

    def items(self) -> Sequence[Item]:
        """Some prompts, or some files, each."""
        drawn = [Item(f"drawn-{n:06}", {"kind": "drawn", "first": n, "end": end}) for n, end in self._drawn]
        read = [
            Item(f"files-{place}-{n:06}", {"kind": arm, "first": n, "end": end})
            for place, (arm, batches) in enumerate(self._batches.items())
            for n, end in batches
        ]
        return [*read, *drawn]

    def measure(self, item: Item) -> Measured:
        """Draw or read some pictures, and what the networks see of them."""
        first, end = int(item.about["first"]), int(item.about["end"])
        if item.about["kind"] == "drawn":
            pictures, wrong = self._draw(first, end)
        else:
            pictures, wrong = self._read(str(item.about["kind"]), first, end)
        arrays: dict[str, npt.NDArray[np.generic]] = {}
        for arm, ones in pictures.items():
            for name, network in self._networks.items():
                if ones:
                    seen = network.features(np.stack([one.pixels for one in ones]))
                    arrays[f"{arm}.{name}"] = np.asarray(seen, np.float32)
        missing = {NETWORKS[name]: extractors.missing(name) for name in NETWORKS if name not in self._networks}
        figures = {arm: {"pictures": float(len(ones))} for arm, ones in pictures.items()}
        names = {name: network.name for name, network in self._networks.items()}
        return Measured(figures, pictures, arrays, {"left_out": wrong, "networks": names}, missing)

    def _draw(self, first: int, end: int) -> tuple[dict[str, list[Drawn]], list[list[str]]]:
        """Pictures of the prompts that the model takes, by arm, and the lines of the others."""
        good, wrong = list[str](), list[list[str]]()
        for number, prompt in enumerate(self._prompts[first:end], first):
            try:
                good.append(clean_prompt(prompt, prompt_limit(self._subject.backend)))
            except ConfigError as error:
                wrong.append([f"prompts, line {number + 1}", str(error)])
        found: dict[str, list[Drawn]] = {}
        for arm, settings in self._settings.items() if good else ():
            drawn = draw_each(self._subject, good, replace(settings, seed=(settings.seed + first) % 2**32))
            found[arm] = [replace(one, pixels=self._fitted(one.pixels)) for one in drawn]
        return found, wrong

    def _read(self, arm: str, first: int, end: int) -> tuple[dict[str, list[Drawn]], list[list[str]]]:
        """Pictures from files, and the files that are none."""
        good, wrong = list[Drawn](), list[list[str]]()
        for path in self._files[arm][first:end]:
            shot = read_shot(path)
            if isinstance(shot, str):
                wrong.append([arm, shot])
            else:
                good.append(Drawn(self._fitted(shot), path.stem, self._subject.settings, linkable=False))
        return {arm: good}, wrong

    def _fitted(self, pixels: Pixels) -> Pixels:
        """The middle square of a picture, [side, side, 3]."""
        height, width = pixels.shape[:2]
        if height == width == self._side:
            return pixels
        least = min(height, width)
        left, top = (width - least) / 2, (height - least) / 2
        box, size = (left, top, left + least, top + least), (self._side, self._side)
        return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC, box), np.uint8)


def files_of(folder: str, option: str) -> list[Path]:
    """The pictures in a folder and below it, by name; ConfigError for none."""
    found = sorted(path for path in folder_of(folder, option).rglob("*") if has_picture_suffix(path.name))
    if not found:
        raise ConfigError(f"{option}: got {folder} without pictures, expected some")
    return found


def _batches(count: int, batch: int) -> list[tuple[int, int]]:
    return list(pairwise([*range(0, count, batch), count])) if count else []


# -- findings ---------------------------------------------------------------------------------------------------------


def sections(rows: Sequence[Row]) -> list[Section]:
    """All findings."""
    arms = list(dict.fromkeys(arm for row in rows for arm in row.figures))
    counts = {arm: int(sum(row.figures[arm]["pictures"] for row in rows if arm in row.figures)) for arm in arms}
    others = [arm for arm in arms if arm != REFERENCE]
    reasons = dict.fromkeys(f"{name}: {reason}" for row in rows for name, reason in row.unavailable.items())
    networks = dict.fromkeys(name for row in rows for name in row.details["networks"].values())
    told = [*(f"Measured with {name}." for name in networks), *(f"Unavailable: {each}." for each in reasons)]
    blocks = [_table(rows, others, counts)] if min((counts.get(REFERENCE, 0), *counts.values()), default=0) > 1 else []
    sheet = tuple(cell for arm in arms for cell in _cells(rows, arm))
    found = [
        Section(
            "Distance to real pictures",
            "\n\n".join([HOW, *told]),
            (*blocks, *([_left_out(rows)] if _wrong(rows) else ())),
        )
    ]
    if sheet:
        found.append(Section("Distance to real pictures: pictures", "", (Sheet("fid30k", "The first ones", sheet),)))
    return [*found, Section("Distance to real pictures: released figures", "", (RELEASED,))]


def _table(rows: Sequence[Row], arms: Sequence[str], counts: Mapping[str, int]) -> Table:
    """A row for each distance that could be measured."""
    lines: list[tuple[Cell, ...]] = [("pictures", counts[REFERENCE], *(counts[arm] for arm in arms))]
    real = {name: moments_of(_features(rows, REFERENCE, name)) for name in ("inception",) if _has(rows, name)}
    if "inception" in real:
        found = (frechet(moments_of(_features(rows, arm, "inception")), real["inception"]) for arm in arms)
        lines.append((NETWORKS["inception"], "", *found))
    if _has(rows, "clip"):
        near = (cmmd_of(_features(rows, arm, "clip"), _features(rows, REFERENCE, "clip")) for arm in arms)
        lines.append((NETWORKS["clip"], "", *near))
    wavelets = (_wavelet_distance(rows, arm, max(counts[arm], counts[REFERENCE])) for arm in arms)
    lines.append(("FWD", "", *wavelets))
    return Table(("distance to the real ones", REFERENCE, *arms), tuple(lines), 2, "Smaller is nearer; no intervals.")


def _wavelet_distance(rows: Sequence[Row], arm: str, most: int) -> float:
    """FWD of an arm, by products of pictures where there are few, which takes no covariances of packets."""
    drawn, real = _pixels(rows, arm), _pixels(rows, REFERENCE)
    if most <= FEW:
        return wavelet_distance(np.concatenate(list(drawn)), np.concatenate(list(real)))
    return wavelet_distance_of(drawn, real)


def _has(rows: Sequence[Row], name: str) -> bool:
    """Whether every row was seen by a network."""
    return all(name in row.details["networks"] for row in rows)


def _features(rows: Sequence[Row], arm: str, name: str) -> Callable[[], Iterator[npt.NDArray[np.floating]]]:
    """What gives the features of an arm in parts."""

    def parts() -> Iterator[npt.NDArray[np.floating]]:
        there = (row for row in rows if row.figures.get(arm, {}).get("pictures"))
        for part in in_parts((row.array(f"{arm}.{name}") for row in there), PART):
            yield part.astype(np.float64)

    return parts


def _pixels(rows: Sequence[Row], arm: str) -> Iterator[Pixels]:
    """The pictures of an arm, in parts."""
    for row in rows:
        if row.figures.get(arm, {}).get("pictures"):
            yield np.stack(list(row.pixels(arm)))


def _wrong(rows: Sequence[Row]) -> list[list[str]]:
    return [each for row in rows for each in row.details["left_out"]]


def _left_out(rows: Sequence[Row]) -> Table:
    """Files and prompts that no figure is of."""
    lines: tuple[tuple[Cell, ...], ...] = tuple((str(where), str(reason)) for where, reason in _wrong(rows))
    return Table(("of", "reason"), lines, note="Prompts and files that could not be used; no figure is of them.")


def _cells(rows: Sequence[Row], arm: str) -> list[Shown]:
    """The first row of an arm's pictures."""
    there: Any = next((row for row in rows if row.figures.get(arm, {}).get("pictures")), None)
    if there is None:
        return []
    return [Shown(there.key, arm, n, arm) for n in range(min(8, int(there.figures[arm]["pictures"])))]
