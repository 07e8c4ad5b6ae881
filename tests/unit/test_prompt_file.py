"""Prompts from files of many kinds: what can be drawn is, and the rest is told with its line."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from core.inputs import prompt_file
from core.inputs.prompt import PromptLimit
from core.inputs.prompt_file import PromptFile, prompts_of, read_text
from core.types import ConfigError, DecodeSettings

LIMIT = PromptLimit(20)
SETTINGS = DecodeSettings(seed=5, method="model")


def found(path: Path, data: bytes | str, name: str = "a.txt") -> PromptFile:
    """What is read of a file."""
    (path / name).write_bytes(data.encode() if isinstance(data, str) else data)
    return prompts_of(read_text(str(path / name)), SETTINGS, LIMIT)


def lines(file: PromptFile) -> list[tuple[int, str]]:
    return [(one.line, one.prompt) for one in file.asked]


@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_texts_of_every_kind(coding: str, end: str, tmp_path: Path) -> None:
    mark = "\ufeff" if coding in ("utf-16-le", "utf-16-be") else ""
    text = mark + end.join(["a café", "", "  ", "  a dog ", "❤️", "-x"])
    assert lines(found(tmp_path, text.encode(coding))) == [(1, "a café"), (4, "a dog"), (5, "❤️"), (6, "-x")]


def test_bad_lines_are_told(tmp_path: Path) -> None:
    file = found(tmp_path, b"a dog\n\xff\xfe bad\n" + b"x" * 21 + b"\n\xe2\x80\x8b\na\0b\nlast")
    assert lines(file) == [(1, "a dog"), (6, "last")]
    told = {one.line: one.reason for one in file.skipped}
    assert sorted(told) == [2, 3, 4, 5]
    assert told[2].startswith("got bytes that are no text")
    assert told[3].startswith("prompt: got 21 characters, expected 1 to 20")
    assert told[4].startswith("prompt: got 0 characters")
    assert all(one.settings == SETTINGS for one in file.asked)


def test_objects_bring_settings(tmp_path: Path) -> None:
    rows: list[object] = [
        {"prompt": "a", "seed": 7, "styles": ["3d", "flat"], "record_unblended": True, "id": 3, "gate": None},
        {"prompt": "b", "neighbours": 8, "cfg_scale": "1.5", "styles": "3d, noto"},
        {"prompt": "c", "temperature": "hot"}, {"prompt": 4}, {"seed": 1}, ["d"], {"prompt": "e", "styles": [1]},
        {"prompt": "f", "seed": 1.5}, {"prompt": "g", "method": "magic"}, {"prompt": "h", "top_k": True},
    ]  # fmt: skip
    text = "\n".join([*map(json.dumps, rows), "{", "[" * 50_000])
    file = found(tmp_path, text, "a.jsonl")
    first, second = file.asked
    assert (first.settings.seed, first.settings.styles, first.settings.record_unblended) == (7, ("3d", "flat"), True)
    assert (first.settings.method, first.settings.gate) == ("model", SETTINGS.gate)
    assert (second.settings.n_neighbours, second.settings.cfg_scale) == (8, 1.5)
    assert second.settings.styles == ("3d", "noto")
    assert file.unknown == ("id",)
    assert [one.line for one in file.skipped] == list(range(3, 13))
    assert file.skipped[0].reason == "temperature: got 'hot', expected a number from 0.01 to 10"


def test_tables_bring_settings(tmp_path: Path) -> None:
    head, good = "id,prompt,seed,record_unblended,method", '1,"a, b",3,true,daid\n\n2,"two\nlines",,,'
    text = f"{head}\n{good}\n3,c,x,,\n4,d,1,1,1,1\n5,,,,\n"
    file = found(tmp_path, text.replace("\n", "\r\n"), "a.csv")
    assert lines(file) == [(2, "a, b"), (4, "two lines")]
    assert (file.asked[0].settings.seed, file.asked[0].settings.method) == (3, "daid")
    assert file.asked[0].settings.record_unblended
    assert file.asked[1].settings == SETTINGS
    assert [one.line for one in file.skipped] == [6, 7, 8]
    assert file.unknown == ("id",)
    file = found(tmp_path, "prompt\na\n" + "x" * 140_000 + "\nb\n", "b.csv")
    assert lines(file) == [(2, "a"), (4, "b")]
    assert "cannot be read" in file.skipped[0].reason


def test_files_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, data, message in (
        ("a.pdf", "a", r"expected a name that ends in \.txt, \.jsonl, \.csv"),
        ("a.csv", "a,b\n1,2", "expected a column prompt"),
        ("a.csv", "", "expected a column prompt"),
        ("a.txt", "\n\n", "without a prompt that can be drawn"),
        ("a.txt", "x" * 21, "line 1: prompt: got 21 characters"),
    ):
        with pytest.raises(ConfigError, match=message):
            found(tmp_path, data, name)
    monkeypatch.setattr(prompt_file, "MOST_BYTES", 3)
    with pytest.raises(ConfigError, match="got more than 0 MB"):
        found(tmp_path, "abcd")
    with pytest.raises(FileNotFoundError):
        read_text(str(tmp_path / "nowhere.txt"))


def test_prompts_from_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"a dog\n")))
    assert lines(prompts_of(read_text("-"), SETTINGS, LIMIT)) == [(1, "a dog")]
