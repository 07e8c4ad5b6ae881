"""Runs of suites: what kills them costs one item, and whatever is found damaged is told."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

from core import locks
from core.__main__ import main
from core.backends import ModelSource
from core.commands.suites import without_own
from core.evaluation import harness, record, store, workers
from core.evaluation.job import Job, find_suite
from core.evaluation.record import begin, read_record
from core.evaluation.store import Shard, read_rows, writing
from core.evaluation.suite import Item, Measured
from core.evaluation.suites import SUITES
from core.types import ConfigError, DatabaseError
from tests.tiny_suite import nothing, opened_tiny


class Watched:
    """Remembers what a run tells."""

    def __init__(self) -> None:
        self.began: list[tuple[int, int]] = []
        self.steps = 0
        self.told: list[str] = []

    def begin(self, items: int, done: int) -> None:
        self.began.append((items, done))

    def step(self) -> None:
        self.steps += 1

    def tell(self, message: str) -> None:
        self.told.append(message)


def measured(folder: Path, shard: str = "1/1", before: Callable[[Item], None] = nothing, **options: object) -> Watched:
    """A run of the tiny suite in this process."""
    watched = Watched()
    harness.run(opened_tiny(before, **options), folder, Shard.parse(shard), watched)
    return watched


def content(folder: Path) -> dict[str, bytes]:
    """All files of a run but locks."""
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in files.items() if not name.endswith(".lock")}


def identity(folder: Path) -> str:
    return read_record(folder).identity


# -- rows -------------------------------------------------------------------------------------------------------------


def test_what_is_measured_is_read_again(tmp_path: Path) -> None:
    assert measured(tmp_path).began == [(5, 0)]
    rows = read_rows(tmp_path, identity(tmp_path))
    assert list(rows.done) == [f"item-{n}" for n in range(5)]
    assert (rows.failed, rows.items, rows.torn, len(rows.machines)) == ({}, 5, (), 1)
    row, work = rows.done["item-3"], opened_tiny().work
    again = work.measure(work.items()[3])
    assert (row.about, row.details, row.unavailable) == ({"number": 3}, {"n": 3}, {"sscd": "no weights; fetch them"})
    assert row.figures == again.figures
    assert row.array("n").tolist() == [0, 1, 2]
    for arm, drawn in again.pictures.items():
        (pixels,) = row.pixels(arm)
        assert np.array_equal(pixels, drawn[0].pixels)
        (kept,) = row.kept[arm]
        assert (kept.prompt, kept.settings, kept.linkable) == (drawn[0].prompt, drawn[0].settings, True)
        assert len(kept.codes_sha256) == 64
    assert row.pixels("nothing") == []
    with pytest.raises(ConfigError, match=r"item-3\.npz: got no file that can be read"):
        row.array("m")
    row.place("model", 0).unlink()
    with pytest.raises(ConfigError, match="it is missing"):
        row.pixels("model")


def test_a_run_that_is_done_does_nothing(tmp_path: Path) -> None:
    measured(tmp_path)
    before, again = content(tmp_path), measured(tmp_path)
    assert (again.began, again.steps) == ([(5, 5)], 0)
    assert content(tmp_path) == before


def test_shards_hold_every_item_once(tmp_path: Path) -> None:
    measured(tmp_path / "whole", count=7)
    for number in (1, 2, 3):
        measured(tmp_path / "parts", f"{number}/3", count=7)
    whole, parts = (read_rows(tmp_path / name, identity(tmp_path / name)) for name in ("whole", "parts"))
    assert [(key, row.figures) for key, row in parts.done.items()] == [(k, r.figures) for k, r in whole.done.items()]
    assert measured(tmp_path / "parts", count=7).began == [(7, 7)]  # however they are split
    items = opened_tiny(count=7).work.items()
    split = [item for n in range(4) for item in Shard(2, 3).part(n, 4).of_items(items)]
    assert sorted(item.key for item in split) == sorted(item.key for item in Shard(2, 3).of_items(items))
    for bad in ("0/2", "3/2", "1", "1/2/3", "a/b", "-1/2", "1/0"):
        with pytest.raises(ConfigError, match="--shard: got"):
            Shard.parse(bad)


def test_an_item_that_was_measured_twice_counts_once(tmp_path: Path) -> None:
    measured(tmp_path)
    shutil.copy(tmp_path / "rows-1-of-1.jsonl", tmp_path / "rows-1-of-2.jsonl")
    assert len(read_rows(tmp_path, identity(tmp_path)).done) == 5


# -- ends -------------------------------------------------------------------------------------------------------------


def in_a_process(work: Callable[[], object]) -> int:
    """The exit status of a process that does something, as if it had been started by itself."""
    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def dies_before(folder: Path, number: int) -> None:
    """A run that is killed when it is to measure an item."""
    measured(folder, before=lambda item: die() if item.about["number"] == number else None)


def dies_in_writing(folder: Path, writes: int) -> None:
    """A run that is killed in the middle of a write, of files first."""
    plain, count = record.write, [0]

    def write(path: Path, data: bytes, suffix: str) -> None:
        count[0] += 1
        if count[0] == writes:
            path.with_name(path.name + suffix).write_bytes(data[: len(data) // 2])
            die()
        plain(path, data, suffix)

    with patch.object(store, "write", write):
        measured(folder)


def dies_in_a_row(folder: Path, number: int) -> None:
    """A run that is killed when half of a row is written."""

    def cut(self: store.Writer, line: bytes) -> None:
        self._file.write(line[: len(line) // 2] if f'"item-{number}"'.encode() in line else line + b"\n")
        self._file.flush()
        if f'"item-{number}"'.encode() in line:
            die()

    with patch.object(store.Writer, "_add_line", cut):
        measured(folder)


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_run_that_was_killed_goes_on_as_if_it_had_not(tmp_path: Path) -> None:
    measured(tmp_path / "whole")
    whole = content(tmp_path / "whole")
    ends: list[tuple[Callable[[Path, int], None], int]] = [
        (dies_before, 0), (dies_before, 3), (dies_in_writing, 1), (dies_in_writing, 8), (dies_in_a_row, 2),
        (dies_in_a_row, 4),
    ]  # fmt: skip
    for n, (end, when) in enumerate(ends):
        folder = tmp_path / str(n)
        assert in_a_process(lambda: end(folder, when)) == -signal.SIGKILL  # noqa: B023 - used before it changes
        told = measured(folder).told
        assert len(told) == (end is dies_in_a_row)
        assert content(folder) == whole


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_shard_is_measured_by_one_process_at_a_time(tmp_path: Path) -> None:
    def refused() -> None:
        with pytest.raises(ConfigError, match=r"shard 1/1 of .* is being measured by another process"):
            measured(tmp_path)
        measured(tmp_path, "1/2")

    begin(tmp_path, opened_tiny().record)
    with writing(tmp_path, Shard(), identity(tmp_path), 5):
        assert in_a_process(refused) == 0
    assert measured(tmp_path).began == [(5, 3)]


def test_what_is_interrupted_keeps_what_is_done(tmp_path: Path) -> None:
    def interrupt(item: Item) -> None:
        if item.key == "item-2":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measured(tmp_path, before=interrupt)
    assert measured(tmp_path).began == [(5, 2)]


# -- failures ---------------------------------------------------------------------------------------------------------


def fails(item: Item) -> None:
    if item.key in ("item-1", "item-3"):
        raise DatabaseError("a part\nis away")


def test_items_that_fail_are_listed_and_tried_again(tmp_path: Path) -> None:
    watched = measured(tmp_path, before=fails)
    assert (watched.steps, watched.told) == (5, ["item-1 failed: a part is away", "item-3 failed: a part is away"])
    rows = read_rows(tmp_path, identity(tmp_path))
    assert list(rows.done) == ["item-0", "item-2", "item-4"]
    assert {key: row.failed for key, row in rows.failed.items()} == dict.fromkeys(
        ("item-1", "item-3"), "a part is away"
    )
    assert measured(tmp_path).began == [(5, 3)]
    rows = read_rows(tmp_path, identity(tmp_path))
    assert (len(rows.done), rows.failed) == (5, {})


def test_mistakes_of_a_suite_are_raised(tmp_path: Path) -> None:
    def mistaken(item: Item) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        measured(tmp_path, before=mistaken)
    item = Item("a", {})
    wrong = [
        (Item("A b", {}), Measured(), "got the key 'A b'"),
        (item, Measured({"a/b": {}}), "got the arm 'a/b'"),
        (item, Measured({"a": {"nats": float("nan")}}), "got nan for nats of a"),
        (item, Measured(arrays={"a": np.array([None])}), "an array 'a' of objects"),
    ]
    with writing(tmp_path, Shard(), identity(tmp_path), 5) as writer:
        for it, what, message in wrong:
            with pytest.raises(ConfigError, match=message):
                writer.add(it, what)
    with pytest.raises(ValueError, match="the key 'a' twice"):
        harness.checked([item, Item("b", {}), item])


# -- what a folder may hold -------------------------------------------------------------------------------------------


def test_another_run_is_refused_by_name(tmp_path: Path) -> None:
    measured(tmp_path)
    for options, message in (({"count": 6}, "holds a run of options: count 5, got 6"), ({"tiny_word": "x"}, 'got "x"')):
        with pytest.raises(ConfigError, match=message):
            measured(tmp_path, **options)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").write_text("dear", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"which holds letter\.txt and no run\.json"):
        measured(tmp_path / "other")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"nonsense", r"line 3: got a damaged row"),
        (b"[]", r"line 3: got a damaged row"),
        (b'{"key": "../a", "about": {}, "figures": {}, "details": {}, "unavailable": {}, "pictures": {}}', "damaged"),
        (b'{"key": "a", "about": {}, "figures": {"m": {"x": NaN}}, "details": {}, "unavailable": {}, "pictures": {}}',
         "damaged"),
        (b'{"key": "a", "about": {}, "figures": {}, "details": {}, "unavailable": {}, "pictures": {"../a": []}}',
         "damaged"),
        (b'{"run": "another", "machine": "m"}', r"line 3: got rows of another run"),
        (b"[" * 100_000, "damaged"),
    ],
)  # fmt: skip
def test_damage_is_told_with_its_place(line: bytes, message: str, tmp_path: Path) -> None:
    begin(tmp_path, opened_tiny(count=1).record)
    measured(tmp_path, count=1)
    rows = tmp_path / "rows-1-of-1.jsonl"
    rows.write_bytes(rows.read_bytes() + line + b"\n")
    with pytest.raises(ConfigError, match=message):
        read_rows(tmp_path, identity(tmp_path))


def test_a_record_that_was_touched_is_refused(tmp_path: Path) -> None:
    begin(tmp_path, opened_tiny().record)
    path = tmp_path / record.NAME
    for old, new in (
        ('"count": 5', '"count": 6'),
        ('"version": 1', '"version": 2'),
        ("{", "["),
        ('"grid": [', '"g": ['),
    ):
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        with pytest.raises(ConfigError, match=r"run\.json: got a"):
            read_record(tmp_path)
        path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match="expected what `evaluate run` wrote"):
        read_record(tmp_path / "nowhere")


# -- suites and command lines -----------------------------------------------------------------------------------------


def test_suites_are_found_by_name_and_by_place() -> None:
    assert find_suite("tests.tiny_suite:SUITE").name == "tiny"
    assert [find_suite(name).name for name in SUITES] == list(SUITES)
    for name in ("nosuch", "nosuch:SUITE", "tests.tiny_suite:NOTHING", "tests.tiny_suite:HOSTILE", ":a", "..:a"):
        with pytest.raises(ConfigError, match="suite"):
            find_suite(name)


ASKED = ["run", "tests.tiny_suite:SUITE", "--backend", "tests.tiny_suite:tiny", "--tiny-word", "a b", "--seed", "3"]


def test_the_command_line_runs_a_suite(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ["--out", str(tmp_path / "run")]
    for shard in ("1/2", "2/2"):
        assert main(["evaluate", *ASKED, *out, "--shard", shard]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["failed"] == []
    found = read_record(tmp_path / "run")
    assert found.command.endswith(f"evaluate run {ASKED[1]} --backend {ASKED[3]} --tiny-word 'a b' --seed 3 --out DIR")
    assert (found.settings["seed"], found.options, found.database) == (3, {"count": 5, "tiny_word": "a b"}, "none")
    assert len(read_rows(tmp_path / "run", found.identity).done) == 5
    assert main(["evaluate", *ASKED, *out, "--seed", "4"]) == 2
    assert "holds a run of settings: seed 3, got 4" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run"], "expected a suite behind `run`"),
        (["run", "--out", "a", "tests.tiny_suite:SUITE"], "expected a suite behind `run`"),
        (["run", "nosuch", "--out", "a"], "suite: got 'nosuch', expected one of"),
        ([*ASKED], "--out"),
        ([*ASKED, "--out", "a", "--coun", "4"], "unrecognized arguments: --coun"),
    ],
)
def test_mistakes_on_the_command_line_are_one_line(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", *words])
    error = capsys.readouterr().err
    assert ended.value.code == 2
    assert message in error
    assert error.count("\n") == 1


def test_options_of_the_suite_are_checked_when_it_is_opened(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", *ASKED, "--out", str(tmp_path / "a"), "--count", "0"]) == 2
    assert capsys.readouterr().err == "error: --count: got 0, expected at least 1\n"
    assert not (tmp_path / "a").exists()


def test_what_decides_nothing_is_no_part_of_the_command() -> None:
    words = ["s", "--out", "a", "--shard=1/2", "--ray", "--seed", "1", "--workers", "2", "--ray", "host:1", "--out=b"]
    assert without_own(words) == ["s", "--seed", "1"]


def job(count: int) -> Job:
    options = {"count": count, "tiny_word": ""}
    return Job("tests.tiny_suite:SUITE", "tests.tiny_suite:tiny", ModelSource(), "none", {}, options)


def test_a_process_shares_a_run(tmp_path: Path) -> None:
    """The one test that starts one, which takes seconds."""
    watched = Watched()
    assert workers.run_in_workers(job(3), tmp_path, Shard(), 1, watched) == {}
    assert (watched.began, watched.steps) == ([(3, 0)], 3)
    assert len(read_rows(tmp_path, identity(tmp_path)).done) == 3


class Pipe:
    """Remembers what was said."""

    def __init__(self) -> None:
        self.said: list[tuple[str, object]] = []

    def send(self, said: tuple[str, object]) -> None:
        self.said.append(said)

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Pipe:
    monkeypatch.setattr(workers, "_end_with_parent", lambda: None)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    return Pipe()


def test_a_process_tells_what_went_wrong(pipe: Pipe, tmp_path: Path) -> None:
    workers._work(job(0), str(tmp_path), Shard(), pipe)
    assert pipe.said == [("error", "--count: got 0, expected at least 1")]
    assert workers._how(-signal.SIGKILL) == "by SIGKILL, perhaps for want of memory"
    assert workers._how(3) == "with status 3"


def test_workers_that_begin_at_once_wait_for_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, mine = tmp_path / "run", opened_tiny().record
    folder.mkdir()
    with ThreadPoolExecutor(1) as other:
        with locks.locked(folder / record.LOCK, "taken"):
            waiting = other.submit(begin, folder, mine)
            time.sleep(0.2)
            assert not waiting.done()
        waiting.result(5)
    assert read_record(folder) == mine
    monkeypatch.setattr(record, "PATIENCE", 0.1)
    (tmp_path / "stuck").mkdir()
    with locks.locked(tmp_path / "stuck" / record.LOCK, "taken"), pytest.raises(ConfigError, match="begun elsewhere"):
        begin(tmp_path / "stuck", mine)
