"""Pictures of many prompts: equal to single ones, going on after whatever ended it, on a page of their own."""

from __future__ import annotations

import json
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from core.__main__ import main
from core.commands.work import many
from core.commands.work.many import RECORD
from core.engine import Step, decode_together
from core.patches.database import PatchDatabase
from core.picture_file import read
from core.trace import Trace

HOSTILE = "<script>x</script> \"'&"
MODEL = ["--backend", "tests.tiny:load", "--caption-filter", "0", "--neighbours", "4", "--cfg-scale", "1"]


@pytest.fixture(scope="module")
def stored(database: PatchDatabase, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model's database in a folder."""
    folder = tmp_path_factory.mktemp("database") / "tiny"
    database.save(folder)
    return folder


@pytest.fixture(scope="module")
def prompts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three prompts, one of which is hostile, and two that cannot be drawn: one of them only the engine refuses."""
    path = tmp_path_factory.mktemp("prompts") / "a.jsonl"
    rows = [
        {"prompt": "a red heart", "method": "faid"}, {"prompt": HOSTILE, "seed": 4294967295}, {"prompt": ""},
        {"prompt": "pizza", "styles": "oil"}, {"prompt": "pizza", "method": "model", "id": 1},
    ]  # fmt: skip
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


def drawn(prompts: Path, stored: Path, out: Path, *more: str) -> int:
    words = ["generate", "--prompts", str(prompts), "--database", str(stored), "--out", str(out), "--count", "2"]
    return main([*words, *MODEL, *more])


@pytest.fixture(scope="module")
def folder(prompts: Path, stored: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What comes of them."""
    out = tmp_path_factory.mktemp("drawn") / "out"
    assert drawn(prompts, stored, out, "--batch", "3") == 0
    return out


NAMES = [
    "00001-a-red-heart-seed0", "00001-a-red-heart-seed1", "00002-script-x-script-seed0",
    "00002-script-x-script-seed4294967295", "00005-pizza-seed0", "00005-pizza-seed1",
]  # fmt: skip


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.name != ".lock"}


def test_files_are_named_and_say_how_they_were_made(folder: Path) -> None:
    expected = [f"{name}{end}" for name in NAMES for end in (".npz", ".png")]
    assert sorted(files(folder)) == sorted([*expected, RECORD, "index.html"])
    for name in NAMES:
        trace, said = Trace.load(folder / f"{name}.npz"), read(folder / f"{name}.png")
        assert (said.prompt, said.settings, said.codes_sha256) == (trace.prompt, trace.settings, trace.codes_sha256)
        assert name.endswith(f"seed{trace.settings.seed}")
    methods = [Trace.load(folder / f"{name}.npz").settings.method for name in NAMES]
    assert methods == ["faid", "faid", "daid", "daid", "model", "model"]


def test_they_equal_single_pictures(folder: Path, stored: Path, tmp_path: Path) -> None:
    for name, prompt, more in ((NAMES[1], "a red heart", ["--method", "faid", "--seed", "1"]), (NAMES[2], HOSTILE, [])):
        out = tmp_path / "a.png"
        words = [prompt, "--database", str(stored), "--out", str(out), *MODEL, *more]
        assert main(["generate", *words]) == 0
        assert read(out).codes_sha256 == read(folder / f"{name}.png").codes_sha256


def test_what_cannot_be_drawn_is_told(
    prompts: Path, stored: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert drawn(prompts, stored, folder) == 0
    told = capsys.readouterr()
    report = json.loads(told.out)
    assert (report["pictures"], report["drawn"], report["skipped_lines"]) == (6, 0, [3, 4])
    notes = [line for line in told.err.splitlines() if line.startswith("note: ")]
    assert notes[0] == "note: columns that say nothing here: id"
    assert notes[1].startswith("note: line 3 is left out: prompt: got 0 characters")
    assert notes[2].startswith("note: line 4 is left out: styles: got oil")
    assert len(notes) == 3


def test_it_goes_on_after_whatever_ended_it(prompts: Path, stored: Path, folder: Path, tmp_path: Path) -> None:
    """A trace without its picture, a picture that is half written, and ones that are missing."""
    out, whole = tmp_path / "out", files(folder)
    shutil.copytree(folder, out)
    (out / f"{NAMES[0]}.png").unlink()
    (out / f"{NAMES[3]}.png").rename(out / f"{NAMES[3]}.png.part")
    (out / f"{NAMES[5]}.npz").unlink()
    (out / f"{NAMES[5]}.png").unlink()
    (out / "index.html").unlink()
    assert drawn(prompts, stored, out, "--batch", "1") == 0
    again = files(out)
    assert sorted(again) == sorted(whole)
    assert {name for name in whole if name.endswith((".png", ".html")) and again[name] != whole[name]} == set()


def test_an_interruption_keeps_what_is_drawn(
    prompts: Path, stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plain, calls = decode_together, list[int]()

    def interrupted(requests: Any) -> Any:
        calls.append(len(requests))
        if len(calls) == 2:
            raise KeyboardInterrupt
        steps: list[Step] = list(plain(requests))
        return (step for step in steps)

    monkeypatch.setattr(many, "decode_together", interrupted)
    assert drawn(prompts, stored, tmp_path / "out", "--batch", "2") == 130
    told = capsys.readouterr()
    assert (json.loads(told.out)["drawn"], "what is drawn is kept" in told.err) == (2, True)
    assert (tmp_path / "out" / "index.html").read_text(encoding="utf-8").count("<figure>") == 2


class Reader(HTMLParser):
    """Tags and addresses of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_shows_all_of_them(folder: Path) -> None:
    reader = Reader()
    reader.feed((folder / "index.html").read_text(encoding="utf-8"))
    assert "script" not in reader.tags
    assert HOSTILE in reader.text
    for name in NAMES:
        assert {f"{name}.png", f"{name}.npz"} <= set(reader.addresses)
    links = [address for address in reader.addresses if address.startswith("http://127.0.0.1:7860/?prompt=")]
    assert len(links) == len(NAMES)
    assert len(reader.addresses) == 3 * len(NAMES)


def test_another_folder_is_refused(
    prompts: Path, stored: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "letter").mkdir()
    (tmp_path / "letter" / "a.txt").write_text("dear", encoding="utf-8")
    for out, more, message in (
        (folder, ["--temperature", "0.9"], "of another prompt, or of other settings"),
        (folder, ["--backend", "tests.tiny_suite:tiny"], "codebook"),
        (tmp_path / "letter", [], "which holds a.txt and no"),
        (folder, ["--page", "file:///a"], "--page: got"),
        (folder, ["--inside"], "--prompts: got a prompt, --trace or --inside beside it"),
    ):
        assert drawn(prompts, stored, out, *more) == 2
        error = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
        assert len(error) == 1
        assert message in error[0]
    assert main(["generate", "--prompts", str(prompts)]) == 2
    assert "--out: got none" in capsys.readouterr().err
