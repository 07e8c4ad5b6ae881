"""GenEval: `evaluate run geneval --metadata evaluation_metadata.jsonl --detector DIR --clip DIR`; see `..geneval`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...inputs.arguments import at_least_one
from ...types import ConfigError
from ..findings import Section
from ..geneval import layout
from ..geneval.clauses import MAX_OVERLAP, Detection, judge, kept
from ..geneval.detector import ColourJudge, Detector
from ..geneval.prompts import CLASSES, Prompt, read_prompts
from ..geneval.scores import is_right, sections
from ..given import spread
from ..prompted import SAMPLES, Drawing, Folders, Pictures, arms_in, shown
from ..suite import Drawn, Figures, Item, Measured, Options, Pixels, Row, Subject
from ..weights import judge_at

NO_DETECTOR = (
    "no object detector; download facebook/mask2former-swin-small-coco-instance from the Hugging Face hub (its card "
    "says licence: other; the original code is under MIT), give --detector DIR and judge this run with --pictures"
)
NO_CLIP = (
    "no judge of colours; download openai/clip-vit-large-patch14 from the Hugging Face hub (the original code is under "
    "MIT), give --clip DIR and judge this run with --pictures"
)


class GenEvalSuite:
    """See `suite.Suite`."""

    name = "geneval"
    help = "GenEval: objects, counts, colours and positions that prompts name, judged by a detector"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Prompts, pictures and judges, by path."""
        parser.add_argument("--metadata", default="", help="GenEval's evaluation_metadata.jsonl")
        parser.add_argument(
            "--count", type=int, default=0, help="prompts of each tag, evenly apart; 0: all (%(default)s)"
        )
        parser.add_argument("--samples", type=at_least_one, default=SAMPLES, help="pictures of a prompt (%(default)s)")
        parser.add_argument("--methods", default="", help="what is compared, such as model,daid; the first is the base")
        parser.add_argument(
            "--pictures", action="append", default=[], metavar="DIR",
            help="judge these pictures instead of drawing: a folder as published, or of a run; may be given again",
        )  # fmt: skip
        parser.add_argument("--detector", default="", help="folder of a detector of transformers, or module:function")
        parser.add_argument("--clip", default="", help="folder of a CLIP model of transformers, or module:function")
        parser.add_argument(
            "--max-overlap", type=float, default=MAX_OVERLAP, help="drop boxes that overlap more; 1: none (%(default)s)"
        )
        parser.add_argument("--export", default="", metavar="DIR", help="also write pictures in the published layout")

    def open(self, subject: Subject, options: Options) -> GenEvalWork:
        """Read the prompts and load the judges; ConfigError for what cannot be judged."""
        return GenEvalWork(subject, options)

    def findings(self, rows: Sequence[Row], options: Options) -> Sequence[Section]:
        """Shares by tag, paired differences, kinds of failures, pictures."""
        return sections(rows)


SUITE = GenEvalSuite()


class GenEvalWork:
    """The suite, opened."""

    def __init__(self, subject: Subject, options: Options) -> None:
        if not options["metadata"]:
            raise ConfigError("metadata: got none, expected GenEval's evaluation_metadata.jsonl; give --metadata FILE")
        if not 0 < options["max_overlap"] <= 1:
            raise ConfigError(f"max_overlap: got {options['max_overlap']}, expected more than 0 and at most 1")
        read_prompts(str(options["metadata"]))  # whose mistakes are told before anything is loaded
        self._detector, self._colours = load_detector(str(options["detector"])), load_colours(str(options["clip"]))
        classes = self._detector.classes if self._detector else CLASSES
        prompts = _chosen(read_prompts(str(options["metadata"]), classes), int(options["count"]))
        self._prompts = {f"{prompt.number:05}": prompt for prompt in prompts}
        self._overlap, self._export = float(options["max_overlap"]), str(options["export"])
        self._pictures = self._source(subject, options)

    def _source(self, subject: Subject, options: Options) -> Pictures:
        """What draws the pictures, or reads them."""
        if not options["pictures"]:
            return Drawing(subject, str(options["methods"]), options["samples"])
        texts = {key: prompt.text for key, prompt in self._prompts.items()}
        arms = arms_in(options["pictures"], SUITE.name, texts, layout.reader)
        return Folders(subject, arms, options["samples"])

    def items(self) -> Sequence[Item]:
        """A prompt each."""
        return [Item(key, {"prompt": each.text, "tag": each.tag}) for key, each in self._prompts.items()]

    def measure(self, item: Item) -> Measured:
        """Draw or read the pictures of a prompt, and judge each."""
        prompt = self._prompts[item.key]
        drawn = self._pictures.of(item.key, prompt.text)
        if self._export:
            self._write(prompt, drawn)
        missing = self._missing(prompt)
        verdicts = {arm: [self._verdict(prompt, each, not missing) for each in ones] for arm, ones in drawn.items()}
        judges = [judge for judge in (self._detector, self._colours) if judge is not None]
        details = {
            "arms": verdicts,
            "judges": ", ".join(judge.name for judge in judges),
            "published": all(judge.published for judge in judges),
        }
        return Measured(_figures(verdicts), shown(drawn), details=details, unavailable=missing)

    def _missing(self, prompt: Prompt) -> dict[str, str]:
        """Why a prompt cannot be judged."""
        if self._detector is None:
            return {"correct": NO_DETECTOR}
        return {"correct": NO_CLIP} if prompt.names_colours and self._colours is None else {}

    def _verdict(self, prompt: Prompt, drawn: Drawn | str, judged: bool) -> dict[str, Any]:
        """What the row keeps of a picture."""
        if isinstance(drawn, str):
            return {"unreadable": drawn}
        if not judged or self._detector is None:
            return {}
        found = kept(self._detector.detect(drawn.pixels), prompt.tag, self._overlap)
        failures = judge(prompt, found, lambda name, objects: self._seen(drawn.pixels, name, objects))
        objects = {
            name: [[round(one.score, 4), *(round(edge, 1) for edge in one.box)] for one in ones]
            for name, ones in found.items()
        }
        return {"failures": [[failure.kind, failure.text] for failure in failures], "objects": objects}

    def _seen(self, pixels: Pixels, name: str, objects: Sequence[Detection]) -> Sequence[str]:
        """The colours of objects."""
        if self._colours is None:
            raise ConfigError(f"clip: {NO_CLIP}")
        return self._colours.colours(pixels, name, objects)

    def _write(self, prompt: Prompt, drawn: Mapping[str, Sequence[Drawn | str]]) -> None:
        """Pictures as published, a folder for each arm."""
        for arm, ones in drawn.items():
            for n, each in enumerate(ones):
                if not isinstance(each, str):
                    layout.write(Path(self._export) / arm, prompt, n, each.pixels)


def load_detector(place: str) -> Detector | None:
    """What `--detector` names; None for nothing."""
    if not place:
        return None
    members = ("name", "published", "classes", "detect")
    found: Detector = judge_at(place, "detector", members, ".geneval.segmenter:Segmenter")
    return found


def load_colours(place: str) -> ColourJudge | None:
    """What `--clip` names; None for nothing."""
    if not place:
        return None
    found: ColourJudge = judge_at(place, "clip", ("name", "published", "colours"), ".geneval.clip:Clip")
    return found


def _chosen(prompts: Sequence[Prompt], count: int) -> list[Prompt]:
    """`count` prompts of each tag, evenly apart; all for 0."""
    by_tag: dict[str, list[Prompt]] = {}
    for prompt in prompts:
        by_tag.setdefault(prompt.tag, []).append(prompt)
    found = [each[n] for each in by_tag.values() for n in spread(len(each), count)]
    return sorted(found, key=lambda prompt: prompt.number)


def _figures(verdicts: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Figures]:
    """The share of right pictures, by arm, of those that were judged."""
    judged = {arm: [is_right(each) for each in ones if "failures" in each] for arm, ones in verdicts.items()}
    return {arm: {"correct": sum(ones) / len(ones), "judged": float(len(ones))} for arm, ones in judged.items() if ones}
