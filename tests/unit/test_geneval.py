"""GenEval's rules on cases that were worked out by hand, its files, and whole runs with scripted judges."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from core.backends.emoji.backend import EmojiBackend
from core.evaluation.findings import Table
from core.evaluation.geneval.clauses import Box, Detection, Failure, judge, kept, overlap, relations
from core.evaluation.geneval.prompts import CLASSES, read_prompts
from core.evaluation.statistics import Estimate
from core.evaluation.suite import Measured, Subject
from core.evaluation.suites.geneval import SUITE, GenEvalWork
from core.patches.database import PatchDatabase
from core.types import ConfigError
from tests.judges import Colours, ScriptedDetector, at
from tests.rows import MemoryRow, rows_of
from tests.traces import SETTINGS

APPLE = {"tag": "single_object", "include": [{"class": "apple", "count": 1}], "prompt": "a photo of an apple"}
THREE = {
    "tag": "counting", "prompt": "a photo of three apples",
    "include": [{"class": "apple", "count": 3}], "exclude": [{"class": "apple", "count": 4}],
}  # fmt: skip
BESIDE = {
    "tag": "position", "prompt": "a photo of a dog left of an apple",
    "include": [{"class": "apple", "count": 1}, {"class": "dog", "count": 1, "position": ["left of", 0]}],
}  # fmt: skip
RED_DOG = {
    "tag": "color_attr", "prompt": "a photo of a green apple and a red dog",
    "include": [{"class": "apple", "count": 1, "color": "green"}, {"class": "dog", "count": 1, "color": "red"}],
}  # fmt: skip


def metadata(path: Path, *lines: Any) -> str:
    """A file of prompts."""
    path.write_text("\n".join(each if isinstance(each, str) else json.dumps(each) for each in lines), encoding="utf-8")
    return str(path)


def verdict(tmp_path: Path, line: dict[str, Any], found: Sequence[Detection], colours: Sequence[str] = ()) -> list[str]:
    """The kinds of failures of a picture with these objects; colours: what is seen in turn."""
    (prompt,) = read_prompts(metadata(tmp_path / "one.jsonl", line))
    left = list(colours)
    failures = judge(prompt, kept(found, prompt.tag), lambda _, objects: [left.pop(0) for _ in objects])
    return [failure.kind for failure in failures]


# -- rules ------------------------------------------------------------------------------------------------------------


def test_objects_are_kept_above_a_confidence_and_at_most_sixteen_of_a_class() -> None:
    weak, strong = at("apple", 0.3), at("apple", 0.31)
    assert kept([weak, strong], "colors") == {"apple": [strong]}
    assert kept([at("apple", 0.9), sure := at("apple", 0.91)], "counting") == {"apple": [sure]}
    many = [at("dog", 0.5 + n / 100) for n in range(20)]
    assert [one.score for one in kept(many, "colors")["dog"]] == [many[n].score for n in range(19, 3, -1)]
    assert kept([], "colors") == {}


def test_boxes_that_overlap_stay_unless_it_is_asked_for() -> None:
    first, second, third = at("cat", 0.9), at("cat", 0.8, (0, 0, 10, 10)), at("cat", 0.7, (20, 0, 30, 10))
    assert overlap((0, 0, 9, 9), (5, 0, 14, 9)) == 50 / 150  # pixels 0..9 and 5..14 of ten rows
    assert kept([third, second, first], "colors")["cat"] == [first, second, third]
    assert kept([third, second, first], "colors", 0.5)["cat"] == [first, third]


def test_counting_too_few_and_too_many(tmp_path: Path) -> None:
    apples = [at("apple", 0.95)] * 4
    assert verdict(tmp_path, THREE, apples[:2]) == ["count"]
    assert verdict(tmp_path, THREE, apples[:3]) == []
    assert verdict(tmp_path, THREE, apples) == ["exclude"]
    assert verdict(tmp_path, THREE, [*apples[:3], at("apple", 0.9)]) == []  # the fourth is not certain enough
    assert verdict(tmp_path, APPLE, apples) == []  # other tags allow more than they ask for


def test_reasons_say_what_was_expected(tmp_path: Path) -> None:
    (prompt,) = read_prompts(metadata(tmp_path / "p.jsonl", THREE))
    assert judge(prompt, {}, lambda *_: []) == (Failure("count", "apple: expected 3, found 0"),)
    (prompt,) = read_prompts(metadata(tmp_path / "p.jsonl", BESIDE))
    found = kept([at("apple", 0.9), at("dog", 0.9, (40, 0, 50, 10))], "position")
    assert judge(prompt, found, lambda *_: [])[0].text == "dog: expected left of the apple, found right of"


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        # both are 10 x 10 at the origin's (0, 0, 10, 10): an axis' offset is reduced by 0.1 * 20 = 2
        ((-4, 0, 6, 10), {"left of"}),  # offset (-4, 0): (-4 + 2) / 4 = -0.5 exactly is not beyond it
        ((-5, 0, 5, 10), {"left of"}),  # -3 / 5 = -0.6
        ((5, 0, 15, 10), {"right of"}),
        ((0, -5, 10, 5), {"above"}),
        ((0, 5, 10, 15), {"below"}),
        ((2, 0, 12, 10), set()),  # reduced to nothing
        ((0, 0, 10, 10), set()),
        ((30, 30, 40, 40), {"right of", "below"}),  # 28 / 42.4 = 0.66 on both
        ((30, 10, 40, 20), {"right of"}),  # offset (30, 10): 28 / 31.6 = 0.885, 8 / 31.6 = 0.25
    ],
)
def test_relations_of_boxes(box: Box, expected: set[str]) -> None:
    expected = set() if box == (-4, 0, 6, 10) else expected
    assert relations(box, (0, 0, 10, 10)) == expected


def test_positions_are_of_all_pairs_of_objects(tmp_path: Path) -> None:
    apple, left, right = at("apple", 0.9, (50, 0, 60, 10)), at("dog", 0.8), at("dog", 0.7, (90, 0, 99, 10))
    assert verdict(tmp_path, BESIDE, [apple, left, right]) == []  # the most confident dog alone is looked at
    two = {**BESIDE, "include": [BESIDE["include"][0], {"class": "dog", "count": 2, "position": ["left of", 0]}]}  # type: ignore[index]
    assert verdict(tmp_path, two, [apple, left, right]) == ["position"]


def test_a_clause_that_failed_is_no_target(tmp_path: Path) -> None:
    assert verdict(tmp_path, BESIDE, [at("dog", 0.9)]) == ["count", "target"]
    coloured = {**BESIDE, "include": [{"class": "apple", "count": 1, "color": "red"}, BESIDE["include"][1]]}  # type: ignore[index]
    both = [at("apple", 0.9, (50, 0, 60, 10)), at("dog", 0.9)]
    assert verdict(tmp_path, coloured, both, ["red"]) == []
    assert verdict(tmp_path, coloured, both, ["green"]) == ["color", "target"]


def test_every_object_has_to_have_its_colour(tmp_path: Path) -> None:
    both = [at("apple", 0.9), at("dog", 0.9)]
    assert verdict(tmp_path, RED_DOG, both, ["green", "red"]) == []
    assert verdict(tmp_path, RED_DOG, both, ["red", "green"]) == ["color", "color"]  # swapped
    assert verdict(tmp_path, RED_DOG, both[:1], ["green"]) == ["count"]  # of no dog, no colour is asked
    two = {**RED_DOG, "include": [{"class": "apple", "count": 2, "color": "green"}]}
    apples = [at("apple", 0.9), at("apple", 0.8), at("apple", 0.7)]
    assert verdict(tmp_path, two, apples, ["green", "red"]) == ["color"]  # the third one does not help
    assert verdict(tmp_path, two, apples, ["green", "green"]) == []


# -- files ------------------------------------------------------------------------------------------------------------


def test_prompts_are_read_as_they_are_written(tmp_path: Path) -> None:
    text = "\ufeff" + "\r\n".join(json.dumps(line) for line in (APPLE, BESIDE, APPLE)) + "\r\n"
    (tmp_path / "m.jsonl").write_text(text, encoding="utf-8", newline="")
    prompts = read_prompts(str(tmp_path / "m.jsonl"))
    assert [prompt.number for prompt in prompts] == [0, 1, 2]
    assert prompts[1].include[1].relation == "left of"
    assert len(CLASSES) == len(set(CLASSES)) == 80


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("", "empty"),
        ("{", "line 1: got '{'"),
        ("[1]", "JSON object"),
        ({**APPLE, "tag": ""}, "for tag"),
        ({**APPLE, "tag": "A <b>"}, "tag"),
        ({"tag": "colors", "prompt": "a"}, "no clause"),
        ({**APPLE, "include": {}}, "expected a list"),
        ({**APPLE, "include": [{"class": "unicorn", "count": 1}]}, "class 'unicorn'"),
        ({**APPLE, "include": [{"class": "apple"}]}, "count None"),
        ({**APPLE, "include": [{"class": "apple", "count": True}]}, "count True"),
        ({**APPLE, "include": [{"class": "apple", "count": 0}]}, "count 0"),
        ({**APPLE, "include": [{"class": "apple", "count": 1, "color": "mauve"}]}, "color 'mauve'"),
        ({**APPLE, "include": [{"class": "apple", "count": 1, "size": "big"}]}, "expected an object of"),
        ({**APPLE, "include": [{"class": "apple", "count": 1, "position": ["near", 0]}]}, "position"),
        ({**APPLE, "include": [{"class": "apple", "count": 1, "position": ["above", 0]}]}, "earlier one"),
        ({**APPLE, "exclude": [{"class": "apple", "count": 1, "color": "red"}]}, "expected an object of"),
        ("[" * 100_000, "JSON object"),
    ],
)
def test_lines_that_cannot_be_judged_are_told(tmp_path: Path, line: Any, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        read_prompts(metadata(tmp_path / "m.jsonl", line))


# -- runs -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def subject(backend: EmojiBackend, database: PatchDatabase) -> Subject:
    return Subject("tiny", backend, "tiny", database, SETTINGS)


def options(**given: Any) -> dict[str, Any]:
    """Defaults, and what a test gives."""
    usual = {"count": 0, "samples": 2, "methods": "", "pictures": [], "detector": "", "clip": "", "export": ""}
    return {**usual, "max_overlap": 1.0, **given}


def scripted(work: GenEvalWork, detector: ScriptedDetector, colours: Colours | None) -> GenEvalWork:
    """With judges that are given as objects."""
    work._detector, work._colours = detector, colours
    return work


def published(folder: Path, number: int, n: int, grey: int) -> None:
    """A picture in the published layout."""
    place = folder / f"{number:05}" / "samples"
    place.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4), (grey,) * 3).save(place / f"{n:04}.png")


def test_a_run_draws_judges_and_exports_what_it_can_judge_again(subject: Subject, tmp_path: Path) -> None:
    given = options(metadata=metadata(tmp_path / "m.jsonl", APPLE, RED_DOG), export=str(tmp_path / "out"))
    work = scripted(SUITE.open(subject, given), ScriptedDetector(), None)
    rows = rows_of(work)
    assert set(rows[0].figures) == {"model", "daid"}
    assert rows[1].unavailable["correct"].startswith("no judge of colours")
    assert "objects" in rows[0].details["arms"]["daid"][0]
    again = options(metadata=given["metadata"], pictures=[str(tmp_path / "out" / "daid")])
    read = rows_of(scripted(SUITE.open(subject, again), ScriptedDetector(), None))
    assert read[0].details["arms"]["daid"] == rows[0].details["arms"]["daid"]
    line = (tmp_path / "out" / "daid" / "00001" / "metadata.jsonl").read_text(encoding="utf-8")
    assert json.loads(line) == RED_DOG
    text = SUITE.findings(rows, given)[0]
    assert "Not comparable with published figures" in text.text
    assert ("color_attr", "not judged", "not judged") in text.blocks[0].rows  # type: ignore[union-attr]


def test_without_a_detector_pictures_are_drawn_and_there_is_no_figure(subject: Subject, tmp_path: Path) -> None:
    work = SUITE.open(subject, options(metadata=metadata(tmp_path / "m.jsonl", APPLE), methods="model"))
    rows = rows_of(work)
    assert rows[0].figures == {}
    assert len(rows[0].pixels("model")) == 2
    assert "no object detector" in rows[0].unavailable["correct"]
    first, *_ = sections = SUITE.findings(rows, {})
    assert not first.blocks
    assert "facebook/mask2former" in first.text
    assert [section.title for section in sections] == ["GenEval", "GenEval: pictures", "GenEval: released figures"]


def test_shares_are_of_pictures_and_the_whole_is_the_mean_of_tags(subject: Subject, tmp_path: Path) -> None:
    file = metadata(tmp_path / "m.jsonl", APPLE, APPLE, THREE)
    for arm, greys in (("plain", (0, 0, 0, 1, 1, 1)), ("other", (0, 1, 1, 1, 0, 1))):
        for place, grey in enumerate(greys):
            published(tmp_path / arm, place // 2, place % 2, grey)
    (tmp_path / "plain" / "00002" / "samples" / "0001.png").write_bytes(b"no picture")
    (tmp_path / "other" / "00001" / "samples" / "0000.png").unlink()
    given = options(metadata=file, pictures=[str(tmp_path / "plain"), str(tmp_path / "other")])
    rows = rows_of(scripted(SUITE.open(subject, given), ScriptedDetector(), None))
    scores, gains = (block for block in SUITE.findings(rows, given)[0].blocks if isinstance(block, Table))
    by_tag = {row[0]: [cell.value for cell in row[1:] if isinstance(cell, Estimate)] for row in scores.rows}
    assert by_tag["single_object"] == [3 / 4, 1 / 3]  # of four pictures, and of the three that are there
    assert by_tag["counting"] == [0.0, 0.0]
    assert by_tag["mean of these 2 tags, not all 6"] == [3 / 8, 1 / 6]
    assert gains.rows[0][1].value == -1 / 3  # type: ignore[union-attr]  # of the pairs (1, 1), (1, 0), (0, 0)
    (unreadable,) = [b for s in SUITE.findings(rows, given) for b in s.blocks if "reason" in getattr(b, "head", ())]
    assert [row[:3] for row in unreadable.rows] == [("00001", "other", 0), ("00002", "plain", 1)]  # type: ignore[union-attr]


def test_what_cannot_be_measured_is_told_at_once(subject: Subject, tmp_path: Path) -> None:
    file = metadata(tmp_path / "m.jsonl", APPLE)
    for wrong, told in (
        ({"metadata": ""}, "give --metadata"),
        ({"max_overlap": 0.0}, "max_overlap"),
        ({"pictures": [str(tmp_path / "none")]}, "no folder"),
        ({"methods": "magic"}, "method"),
        ({"detector": "nowhere:detector"}, "expected a function"),
        ({"detector": "builtins:dict"}, "without name"),
    ):
        with pytest.raises(ConfigError, match=told):
            SUITE.open(subject, options(**{"metadata": file, **wrong}))
    with pytest.raises(ConfigError, match="no database"):
        SUITE.open(Subject("tiny", subject.backend, "none", None, SETTINGS), options(metadata=file))
    few = ScriptedDetector(classes={"dog"})
    with pytest.raises(ConfigError, match="class 'apple'"):
        read_prompts(file, few.classes)


def test_a_thousand_prompts_are_scored_quickly(tmp_path: Path) -> None:
    lines = [(APPLE, THREE, BESIDE, RED_DOG)[n % 4] for n in range(1000)]
    prompts = read_prompts(metadata(tmp_path / "m.jsonl", *lines))
    found = [at(name, 0.95, (n * 30.0, 0, n * 30 + 10, 10)) for n, name in enumerate(["dog", "apple"] * 10)]
    begin = time.process_time()
    rows = []
    for prompt in prompts:
        each = [judge(prompt, kept(found, prompt.tag), lambda _, o: ["red"] * len(o)) for _ in range(4)]
        verdicts = [{"failures": [[failure.kind, failure.text] for failure in ones]} for ones in each]
        about = {"prompt": prompt.text, "tag": prompt.tag}
        details = {"arms": {"model": verdicts, "daid": verdicts}, "judges": "a script", "published": False}
        rows.append(MemoryRow(f"{prompt.number:05}", about, _measured(details)))
    sections = SUITE.findings(rows, {})
    assert len(sections) == 4
    assert time.process_time() - begin < 10


def _measured(details: dict[str, Any]) -> Measured:
    return Measured({"model": {"correct": 1.0}}, details=details)
