"""DPG-Bench: `evaluate run dpg --prompts dpg_prompts --questions dpg_bench.csv --answerer DIR`; see `..dpg`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ...backends.complete import prompt_limit
from ...inputs.prompt import clean
from ...types import ConfigError
from ..dpg import layout
from ..dpg.answerer import Answerer, is_yes
from ..dpg.prompts import Prompt, read_prompts
from ..dpg.questions import Question, check, read_table
from ..dpg.scores import answers_of, judged, sections
from ..findings import Section
from ..given import spread
from ..prompted import SAMPLES, Drawing, Folders, Pictures, arms_in, shown
from ..suite import Drawn, Figures, Item, Measured, Options, Row, Subject
from ..weights import judge_at

NO_ANSWERER = (
    "no model that answers questions; download Salesforce/blip-vqa-capfilt-large from the Hugging Face hub (licence: "
    "BSD-3-Clause) and give --answerer DIR, and judge the pictures of this run with --pictures"
)
NO_QUESTIONS = (
    "no table of questions; fetch dpg_bench/dpg_bench.csv of github.com/TencentQQGYLab/ELLA (licence: Apache-2.0) and "
    "give --questions FILE, and judge the pictures of this run with --pictures"
)


class DpgSuite:
    """See `suite.Suite`."""

    name = "dpg"
    help = "DPG-Bench: what long prompts say, judged by answers to questions, as published and with its faults mended"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Prompts, pictures and judges, by path."""
        parser.add_argument("--prompts", default="", metavar="DIR", help="DPG-Bench's folder of prompts, <item>.txt")
        parser.add_argument("--questions", default="", metavar="CSV", help="DPG-Bench's dpg_bench.csv")
        parser.add_argument("--count", type=int, default=0, help="prompts, evenly apart; 0: all (%(default)s)")
        parser.add_argument("--methods", default="", help="what is compared, such as model,daid; the first is the base")
        parser.add_argument(
            "--pictures", action="append", default=[], metavar="DIR",
            help="judge these pictures instead of drawing: a folder as published, or of a run; may be given again",
        )  # fmt: skip
        parser.add_argument(
            "--answerer", default="", help="folder of a BLIP or ViLT of transformers, or module:function"
        )
        parser.add_argument("--export", default="", metavar="DIR", help="also write pictures in the published layout")

    def open(self, subject: Subject, options: Options) -> DpgWork:
        """Read the prompts and the table and load the judge; ConfigError for what cannot be judged."""
        return DpgWork(subject, options)

    def findings(self, rows: Sequence[Row], options: Options) -> Sequence[Section]:
        """Scores both ways, categories, paired differences, pictures."""
        return sections(rows)


SUITE = DpgSuite()


class DpgWork:
    """The suite, opened."""

    def __init__(self, subject: Subject, options: Options) -> None:
        if not options["prompts"]:
            raise ConfigError("prompts: got none, expected DPG-Bench's folder of prompts; give --prompts DIR")
        everything = read_prompts(str(options["prompts"]))
        drawable = everything if options["pictures"] else _drawable(subject, everything)
        self._too_long = _too_long(subject, len(everything) - len(drawable), len(everything))
        keys = list(drawable)
        self._prompts = {keys[n]: everything[keys[n]] for n in spread(len(keys), int(options["count"]))}
        self._table = read_table(str(options["questions"])) if options["questions"] else {}
        if self._table and not any(prompt.item in self._table for prompt in self._prompts.values()):
            raise ConfigError("questions: got a table without any of the prompts, expected their file names as item_id")
        self._answerer = load_answerer(str(options["answerer"]))
        self._export = str(options["export"])
        self._pictures = self._source(subject, options)

    def _source(self, subject: Subject, options: Options) -> Pictures:
        """What draws the pictures, or reads them."""
        if not options["pictures"]:
            return Drawing(subject, str(options["methods"]), SAMPLES)
        texts = {key: prompt.text for key, prompt in self._prompts.items()}
        items = {key: prompt.item for key, prompt in self._prompts.items()}
        arms = arms_in(options["pictures"], SUITE.name, texts, lambda folder: layout.reader(folder, items))
        return Folders(subject, arms, SAMPLES)

    def items(self) -> Sequence[Item]:
        """A prompt each."""
        return [Item(key, {"prompt": each.text, "item": each.item}) for key, each in self._prompts.items()]

    def measure(self, item: Item) -> Measured:
        """Draw or read the pictures of a prompt, and ask every question about each; ConfigError for a bad table."""
        prompt = self._prompts[item.key]
        questions = self._table.get(prompt.item, ())
        check(prompt.item, questions)
        drawn = self._pictures.of(item.key, prompt.text)
        if self._export:
            self._write(prompt, drawn)
        shots = {arm: [self._asked(questions, each) for each in ones] for arm, ones in drawn.items()}
        details = {
            "questions": [asdict(question) for question in questions],
            "arms": shots,
            "judges": self._answerer.name if self._answerer else "",
            "published": bool(self._answerer and self._answerer.published),
        }
        return Measured(_figures(questions, shots), shown(drawn), details=details,
                        unavailable=self._missing(prompt) | self._too_long)  # fmt: skip

    def _missing(self, prompt: Prompt) -> dict[str, str]:
        """Why a prompt cannot be judged."""
        found = {"dpg": NO_ANSWERER} if self._answerer is None else {}
        if not self._table:
            return {"dpg": f"{NO_QUESTIONS}; {NO_ANSWERER}" if found else NO_QUESTIONS}
        return found if prompt.item in self._table else {"dpg": "the table has no question about some prompts"}

    def _asked(self, questions: Sequence[Question], drawn: Drawn | str) -> dict[str, Any]:
        """What the row keeps of a picture: whether each question, by its row, was answered yes."""
        if isinstance(drawn, str):
            return {"unreadable": drawn}
        if self._answerer is None or not questions:
            return {}
        said = self._answerer.answers(drawn.pixels, [question.text for question in questions])
        return {"answers": {str(each.row): is_yes(answer) for each, answer in zip(questions, said, strict=True)}}

    def _write(self, prompt: Prompt, drawn: Mapping[str, Sequence[Drawn | str]]) -> None:
        """Pictures as published, a folder for each arm; of a prompt with an unreadable one, none."""
        for arm, ones in drawn.items():
            pixels = [each.pixels for each in ones if not isinstance(each, str)]
            if len(pixels) == layout.QUARTERS and len({each.shape for each in pixels}) == 1:
                layout.write(Path(self._export) / arm, prompt.item, pixels)


def _drawable(subject: Subject, prompts: Mapping[str, Prompt]) -> dict[str, Prompt]:
    """The prompts that are not too long for the model; ConfigError for none."""
    limit = prompt_limit(subject.backend).characters
    found = {key: prompt for key, prompt in prompts.items() if len(clean(prompt.text)) <= limit}
    if not found:
        got = f"got no prompt of at most {limit} characters, which is all that {subject.backend_name} takes"
        raise ConfigError(f"prompts: {got}; take a model that takes longer ones, or give --pictures")
    return found


def _too_long(subject: Subject, left_out: int, of: int) -> dict[str, str]:
    """What is said of prompts that are left out, as an item tells it."""
    if left_out == 0:
        return {}
    takes = f"{subject.backend_name} takes {prompt_limit(subject.backend).words}"
    return {"longer prompts": f"{left_out:,} of {of:,} are left out, since {takes}; no figure is of them"}


def load_answerer(place: str) -> Answerer | None:
    """What `--answerer` names; None for nothing."""
    if not place:
        return None
    found: Answerer = judge_at(place, "answerer", ("name", "published", "answers"), ".dpg.asking:Asking")
    return found


def _figures(questions: Sequence[Question], shots: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Figures]:
    """Points of 100 by arm, both ways."""
    found: dict[str, Figures] = {}
    for arm, ones in shots.items():
        if one := judged(questions, answers_of(ones)):
            published = {} if one.published is None else {"dpg_as_published": 100 * one.published.score}
            found[arm] = {"dpg": 100 * one.mended.score, **published}
    return found
