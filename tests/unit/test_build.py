"""Databases built part by part: the same bytes however that goes, and every picture accounted for."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from core.__main__ import main
from core.backends.complete import complete
from core.context import Context
from core.patches.building import build as building
from core.patches.building import plan as planning
from core.patches.building import sources
from core.patches.building.build import build, build_database
from core.patches.building.consolidate import first_of_each
from core.patches.building.executor import InProcess, ModelChoice, Processes
from core.patches.building.parts import fitted, kind_of_value, wider
from core.patches.building.plan import BuildOptions, Trouble
from core.patches.building.sources import SourceChoice
from core.patches.segments.database import SegmentedDatabase
from core.patches.segments.manifest import write_manifest
from core.types import ConfigError
from tests.plain_backend import MAGENTA, PlainBackend

ROOT = Path(__file__).resolve().parents[2]
BACKEND = complete(PlainBackend())


def colours(folder: Path, count: int, first: int = 0) -> Path:
    """That many pictures, no two alike, with a caption beside every other one."""
    folder.mkdir(exist_ok=True)
    for number in range(first, first + count):
        seed = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(seed).resize((40, 40)).save(folder / f"{number:03d}.png")
        if number % 2:
            (folder / f"{number:03d}.txt").write_text(f"caption {number}", encoding="utf-8")
    return folder


def bytes_of(out: Path) -> Mapping[str, str]:
    """Hashes of all files of a database."""
    files = [path for path in sorted(out.rglob("*")) if path.is_file()]
    return {path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def captions(out: Path) -> list[str]:
    return [row.info.caption for batch in SegmentedDatabase.open(out).read(100) for row in batch.rows]


@pytest.fixture
def parts_of_ten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small parts, so that there are some."""
    monkeypatch.setattr(planning, "SPAN", 10)
    monkeypatch.setattr(sources, "SPAN", 10)


@pytest.mark.usefixtures("parts_of_ten")
def test_what_is_found_is_what_is_built(tmp_path: Path) -> None:
    images = colours(tmp_path / "images", 35)
    (images / "broken.png").write_bytes((images / "000.png").read_bytes()[:60])
    (images / "deep").mkdir()
    shutil.copy(images / "003.png", images / "deep" / "again.png")  # the same content in another part
    shutil.copy(images / "003.png", images / "0030.png")  # and in the same part
    Image.new("RGB", (200, 10), "red").save(images / "wide.png")
    (images / "notes.md").write_text("not a picture", encoding="utf-8")
    report = build_database(BACKEND, images, tmp_path / "made")
    assert (report.items, report.taken, report.duplicates, report.skipped) == (39, 36, 2, Counter({"cut off": 1}))
    assert report.captions == {"beside": 17, "name": 19}
    assert report.skipped_files[0]["name"] == "broken.png"
    assert {(each["name"], each["of"]) for each in report.duplicate_files} == {
        ("0030.png", "003.png"), ("deep/again.png", "003.png"),
    }  # fmt: skip
    assert report.stretched_files == ["wide.png"]
    assert report.left_out["other files (.md)"] == {"count": 1, "names": ["notes.md"]}
    assert captions(tmp_path / "made")[:3] == ["000", "caption 1", "002"]
    made = SegmentedDatabase.open(tmp_path / "made")
    batch = next(made.read(100))
    first = batch.rows[0]
    assert (first.width, first.height, first.extra, first.info.source) == (40, 40, {"file": "000.png"}, "images")
    assert first.sha256 == hashlib.sha256((images / "000.png").read_bytes()).hexdigest()
    assert first.bytes == (images / "000.png").stat().st_size
    assert batch.captions is not None
    np.testing.assert_allclose(batch.captions, BACKEND.embed_captions(captions(tmp_path / "made")), atol=1e-3)
    shown = np.stack([np.asarray(Image.open(images / "000.png").convert("RGB").resize((32, 32), 3))])
    np.testing.assert_array_equal(batch.grids[:1], BACKEND.encode_images(shown))
    assert {path.name for path in (tmp_path / "made").iterdir()} == {
        "codebook.npy", "manifest.json", "report.json", "segments",
    }  # fmt: skip


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_killed_and_started_again_it_gives_the_same_bytes(tmp_path: Path) -> None:
    """The whole command is killed in the middle, in its worker's second batch and then in its fourth."""
    images = colours(tmp_path / "images", 70)
    left = tmp_path / "left"
    command = [sys.executable, "-c", _SMALL_PARTS, "database", "build", "--images", str(images), "--workers", "2"]
    killed = [*command, "--backend", "tests.plain_backend:interrupted", "--model", str(left)]
    for batches in (1, 3, 1000):
        left.write_text(str(batches), encoding="ascii")
        done = subprocess.run(
            [*killed, "--out", str(tmp_path / "killed")], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == (0 if batches == 1000 else -9), done.stderr
        assert (tmp_path / "killed" / "manifest.json").exists() == (batches == 1000)
    assert json.loads(done.stdout)["report"]["taken"] == 70
    build_database(BACKEND, images, tmp_path / "at_once")
    assert bytes_of(tmp_path / "killed") == bytes_of(tmp_path / "at_once")


_SMALL_PARTS = """
import sys
from core.patches.building import plan, sources
plan.SPAN = sources.SPAN = 20
from core.__main__ import main
raise SystemExit(main(sys.argv[1:]))
"""


def test_the_bytes_do_not_depend_on_the_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = colours(tmp_path / "images", 30)
    build_database(BACKEND, images, tmp_path / "one")
    monkeypatch.setattr(planning, "SPAN", 7)
    steps = 0

    class Stopping(InProcess):
        """Is given up in the middle of the third part."""

        def outcome(self, seconds: float):  # type: ignore[no-untyped-def]
            nonlocal steps
            steps += 1
            if steps == 3:
                raise KeyboardInterrupt
            return super().outcome(seconds)

    with pytest.raises(KeyboardInterrupt):
        build(Stopping(BACKEND), images, tmp_path / "two")
    assert not (tmp_path / "two" / "manifest.json").exists()
    assert len(list((tmp_path / "two" / "building").glob("part-*"))) == 2
    build_database(BACKEND, images, tmp_path / "two")
    first, second = ({**bytes_of(tmp_path / name), "report.json": ""} for name in ("one", "two"))
    assert first == second  # of the report, the hash of the list says how it was cut


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_what_kills_its_process_is_given_up_and_the_rest_goes_on(tmp_path: Path) -> None:
    images = colours(tmp_path / "images", 20)
    Image.new("RGB", (40, 40), MAGENTA).save(images / "010b.png")
    made = build(Processes(ModelChoice("tests.plain_backend:mortal"), 1), images, tmp_path / "made").report
    assert (made.items, made.taken) == (21, 20)
    assert made.skipped_files == [
        {
            "name": "010b.png",
            "kind": "ended its process again and again",
            "reason": "010b.png: ended its process by SIGKILL, perhaps for want of memory, 3 times",
        }
    ]
    plain = build_database(BACKEND, colours(tmp_path / "images2", 20), tmp_path / "plain")
    assert plain.taken == 20
    assert captions(tmp_path / "plain") == captions(tmp_path / "made")


def test_a_model_that_fails_is_told_in_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    images = colours(tmp_path / "images", 3)
    command = ["database", "build", "--backend", "tests.plain_backend:failing", "--images", str(images)]
    assert main([*command, "--out", str(tmp_path / "made")]) == 2
    assert "it failed (RuntimeError: this model is broken); mend it" in capfd.readouterr().err.splitlines()[-1]


@pytest.mark.usefixtures("parts_of_ten")
def test_pictures_are_added_to_a_database(tmp_path: Path) -> None:
    out = tmp_path / "made"
    build_database(BACKEND, colours(tmp_path / "a", 12), out, BuildOptions(Context(2, "zero")))
    before = SegmentedDatabase.open(out)
    colours(tmp_path / "b", 25, first=5)  # seven of them are there already
    report = build_database(BACKEND, tmp_path / "b", out, append=True)
    assert (report.taken, report.already, report.duplicates) == (18, 7, 0)
    assert report.duplicate_files[0] == {"name": "005.png", "of": "image 5"}
    after = SegmentedDatabase.open(out)
    assert (len(before.images), len(after.images), after.context) == (12, 30, Context(2, "zero"))
    assert [row.extra["file"] for batch in after.read(50) for row in batch.rows] == [f"{n:03d}.png" for n in range(30)]
    assert json.loads((out / "report.json").read_text(encoding="utf-8"))["taken"] == 12
    assert json.loads((out / "report-2.json").read_text(encoding="utf-8"))["taken"] == 18
    once = tmp_path / "once"
    build_database(BACKEND, colours(tmp_path / "all", 30), once, BuildOptions(Context(2, "zero")))
    query = after.image_codes(3)[2:5, 2:6].reshape(1, -1).astype(np.int64)
    for a, b in zip(after.search(query, 40), SegmentedDatabase.open(once).search(query, 40), strict=True):
        np.testing.assert_array_equal(a.entries, b.entries)
    again = build_database(BACKEND, tmp_path / "b", out, append=True)
    assert (again.taken, again.already) == (0, 25)
    assert SegmentedDatabase.open(out).fingerprint == after.fingerprint


def test_a_folder_is_refused_for_the_true_reason(tmp_path: Path) -> None:
    images, out = colours(tmp_path / "images", 3), tmp_path / "made"
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "manifest.json").write_text('{"name": "a web app"}', encoding="utf-8")
    build_database(BACKEND, images, out)
    for place, options, append, said in (
        (tmp_path / "theirs", BuildOptions(), False, "with a manifest.json of something else"),
        (images, BuildOptions(), False, "which holds 000.png, 001.png"),
        (images / "000.png", BuildOptions(), False, "a file, expected a folder"),
        (out, BuildOptions(shape="fit"), False, "holds a database of --shape cut, got fit"),
        (out, BuildOptions(Context(2)), False, "of --context radius 1 border skip, got radius 2 border skip"),
        (out, BuildOptions(Context(2)), True, "the database has"),
        (tmp_path / "new", BuildOptions(), True, "which holds no database"),
    ):
        with pytest.raises(ConfigError, match=r"^(out|append): .*" + said):
            build_database(BACKEND, images, place, options, append)
    before = bytes_of(out)
    executor = InProcess(BACKEND)
    assert build(executor, images, out).was_there
    assert bytes_of(out) == before
    colours(images, 1, first=3)
    with pytest.raises(ConfigError, match="of this source, which has changed since; give --append"):
        build_database(BACKEND, images, out)
    assert bytes_of(out) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "made", "theirs"]


def test_an_unfinished_build_is_gone_on_with_as_it_was_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images, out = colours(tmp_path / "images", 3), tmp_path / "made"

    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(building, "run_parts", stopped)
        with pytest.raises(KeyboardInterrupt):
            build_database(BACKEND, images, out)
    for options, append, said in (
        (BuildOptions(captions="first-line"), False, "an unfinished build of --captions all, got first-line"),
        (BuildOptions(), True, "begun without --append"),
    ):
        with pytest.raises(ConfigError, match=said):
            build_database(BACKEND, images, out, options, append)
    with monkeypatch.context() as patch:  # killed after the database was there, before its remains were gone
        patch.setattr(building, "write_manifest", lambda *all: (write_manifest(*all), stopped()))
        with pytest.raises(KeyboardInterrupt):
            build_database(BACKEND, images, out)
    report = build_database(BACKEND, images, out)
    assert report.taken == 3
    assert not (out / "building").exists()


def test_one_build_at_a_time(tmp_path: Path) -> None:
    images, out = colours(tmp_path / "images", 3), tmp_path / "made"

    class Nested(InProcess):
        """While it builds, somebody else tries to."""

        def submit(self, folder: Path, number: int) -> None:
            with pytest.raises(ConfigError, match="is being built by another process"):
                build_database(BACKEND, images, out)
            super().submit(folder, number)

    if sys.platform == "win32":
        pytest.skip("locks of one process do not exclude one another")
    assert build(Nested(BACKEND), images, out).report.taken == 3


def test_nothing_is_left_where_nothing_can_be_built(tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    (images / "a.txt").write_text("a", encoding="utf-8")
    with pytest.raises(ConfigError, match="with 1 a caption without its picture, expected at least one picture"):
        build_database(BACKEND, images, tmp_path / "a" / "made")
    (images / "a.png").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"got 1 pictures, of which none can be read \(1 an empty file\)"):
        build_database(BACKEND, images, tmp_path / "a" / "made")
    with pytest.raises(ConfigError, match=r"images: got .*nowhere"):
        build_database(BACKEND, tmp_path / "nowhere", tmp_path / "a" / "made")
    assert not (tmp_path / "a").exists()


def test_what_a_process_died_of_is_found_by_halves() -> None:
    trouble = Trouble()
    for doing in ("encode 5", "read 7", "encode 5", "read 7", "encode 5"):
        trouble = trouble.after(doing, "by SIGKILL")
    assert (trouble.alone, dict(trouble.given_up)) == ({5}, {})
    trouble = trouble.after("read 7", "by SIGKILL")
    for _ in range(3):
        trouble = trouble.after("alone 9", "with status 1")
    assert trouble.given_up == {7: "by SIGKILL", 9: "with status 1"}


@given(st.lists(st.integers(0, 5), max_size=30))
def test_the_first_of_each_content_is_found(values: list[int]) -> None:
    hashes = np.zeros((len(values), 32), np.uint8)
    hashes[:, 3] = values
    expected = [values.index(value) if value else place for place, value in enumerate(values)]  # zeros are not known
    assert first_of_each(hashes).tolist() == expected


def test_columns_take_the_kind_that_holds_all_their_values() -> None:
    assert [kind_of_value(value) for value in ("a", 1, 1.5, True)] == ["text", "whole", "number", "truth"]
    assert (wider(None, "whole"), wider("whole", "number"), wider("truth", "whole")) == ("whole", "number", "text")
    assert (fitted(3, "number"), fitted(True, "number"), fitted(3, "text"), fitted("x", "whole")) == (
        3.0,
        None,
        "3",
        None,
    )


def test_sources_are_chosen_by_name(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match="kind: got 'zip', expected auto, folder, list, webdataset, parquet, datasets"
    ):
        build_database(BACKEND, SourceChoice(str(tmp_path), kind="zip"), tmp_path / "made")
