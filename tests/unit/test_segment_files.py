"""Damaged, hostile and foreign folders of segments are refused in one line, and verify finds what opening trusts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.patches.catalogue import check_name, check_settings, find_database, is_segmented, open_database
from core.patches.segments.database import SegmentedDatabase
from core.patches.segments.images import ImageTable
from core.patches.segments.manifest import Header
from core.patches.segments.verify import verify
from core.patches.segments.writer import DatabaseWriter, free_name, sweep
from core.types import ArragError, ConfigError, DatabaseError, DecodeSettings
from tests.databases import CODEBOOK, build
from tests.segmented import written

Values = dict[str, Any]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("segments") / "made"
    written(folder, build(), 40)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may damage."""
    return Path(shutil.copytree(made, tmp_path / "copy"))


def edited(folder: Path, edit: Callable[[Values], object]) -> None:
    """Change the manifest by hand."""
    path = folder / "manifest.json"
    values = json.loads(path.read_text())
    edit(values)
    path.write_text(json.dumps(values))


def refusal(folder: Path) -> str:
    """What is said of a folder that cannot be opened: one line."""
    with pytest.raises(DatabaseError) as caught:
        SegmentedDatabase.open(folder, CODEBOOK)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("version", [0, 3, "2", None, True, 10**30])
def test_other_versions_are_refused(version: object, folder: Path) -> None:
    edited(folder, lambda values: values.update(version=version))
    assert f"got version {version!r}" in refusal(folder)[:400]


HOSTILE: list[tuple[str, Callable[[Values], object], str]] = [
    ("traversal", lambda v: v["segments"][0].update(name="../made"), "expected a plain name"),
    ("absolute", lambda v: v["segments"][0].update(name="/etc"), "expected a plain name"),
    (
        "file",
        lambda v: v["segments"][0]["files"].update({"../../x.npy": v["segments"][0]["files"]["grids.npy"]}),
        "within",
    ),
    ("deep", lambda v: v["segments"][0]["files"].update({"index/../../x.npy": {}}), "within"),
    ("suffix", lambda v: v["segments"][0]["files"].update({"run.py": {}}), "within"),
    ("no grids", lambda v: v["segments"][0]["files"].pop("grids.npy"), "got no grids.npy"),
    ("no captions", lambda v: v["segments"][1]["files"].pop("captions.npy"), "got no captions.npy"),
    ("size", lambda v: v["segments"][0]["files"]["grids.npy"].update(size=2**50), "expected size and sha256"),
    ("longer", lambda v: v["segments"][0]["files"]["grids.npy"].update(size=2**40), f"expected {2**40}"),
    ("text", lambda v: v["segments"][0]["files"]["grids.npy"].update(size="9"), "expected size and sha256"),
    ("hash", lambda v: v["segments"][0]["files"]["grids.npy"].update(sha256="x"), "expected size and sha256"),
    ("images", lambda v: v.update(images=7), "its segments make 6"),
    ("entries", lambda v: v.update(entries=55), "its segments make 54"),
    ("huge", lambda v: v["segments"][0].update(images=2**47), "more than 2^32 entries"),
    ("float", lambda v: v["segments"][0].update(images=4.0), "that are none"),
    ("negative", lambda v: v["segments"][0].update(images=-4), "that are none"),
    ("fingerprint", lambda v: v.update(fingerprint="0" * 16), "got fingerprint"),
    ("sum", lambda v: v["segments"][0].update(sum="-1"), "that are none"),
    ("twice", lambda v: v["segments"].append(v["segments"][0]), "two segments of one name"),
    ("none", lambda v: v.update(segments=[]), "a list of segments"),
    ("not one", lambda v: v.update(segments=[3]), "expected a plain name"),
    ("grid", lambda v: v.update(grid=[2**20, 2**20]), "at most 65,536 codes"),
    ("thin grid", lambda v: v.update(grid=[1, 5]), "no position with a context"),
    ("context", lambda v: v.update(context={"radius": 9, "border": "skip"}), "context radius"),
    ("styles", lambda v: v.update(styles=[["a", 1], ["a", 2]]), "a list of [name, number of images]"),
    ("more styles", lambda v: v.update(styles=[["a", 900]]), "more images than there are"),
    ("surrogate", lambda v: v.update(styles=[["\ud800", 1]]), "a list of [name, number of images]"),
    ("columns", lambda v: v.update(columns={"x": "pickle"}), "each with one of"),
    ("captions", lambda v: v.update(captions=0), "null or a dimension"),
    ("codebook", lambda v: v.update(codebook="other"), "got fingerprint"),
    ("format", lambda v: v.update(format="zip"), "expected the manifest"),
]


@pytest.mark.parametrize(("edit", "message"), [case[1:] for case in HOSTILE], ids=[case[0] for case in HOSTILE])
def test_a_manifest_that_lies_is_refused(edit: Callable[[Values], object], message: str, folder: Path) -> None:
    edited(folder, edit)
    assert message in refusal(folder)


@pytest.mark.parametrize("text", ["", "[", "[]", "9" * 5000, "[" * 100_000, '{"format": NaN}'])
def test_what_is_no_manifest_is_refused(text: str, folder: Path) -> None:
    (folder / "manifest.json").write_text(text)
    assert "manifest.json" in refusal(folder)


def test_every_file_that_is_missing_or_cut_is_named(made: Path, tmp_path: Path) -> None:
    names = [path.relative_to(made) for path in made.rglob("*") if path.is_file() and path.parent != made]
    assert len(names) > 15
    for name in names:
        folder = Path(shutil.copytree(made, tmp_path / "one", dirs_exist_ok=True))
        (folder / name).write_bytes((folder / name).read_bytes()[:-1])
        assert name.name in refusal(folder)
        (folder / name).unlink()
        assert name.name in refusal(folder)


def everything(database: SegmentedDatabase) -> None:
    """Look at all of it."""
    for image in range(6):
        database.image_info(image)
        database.image_codes(image)
        database.picture(image)
    database.with_styles(["a"]).search(np.zeros((1, 4), np.int64), 5)
    database.search(np.zeros((1, 4), np.int64), 50)
    database.nearest_captions(np.array([1, 0, 0], np.float32), 3)


@pytest.mark.parametrize(
    "name",
    [
        "grids.npy",
        "images.parquet",
        "styles.npy",
        "captions.npy",
        "pictures.npy",
        "index/entries.npy",
        "index/starts.npy",
    ],
)
def test_zeros_of_the_right_size_are_told_when_they_are_read(name: str, folder: Path) -> None:
    path = folder / "segments" / "000001" / name
    path.write_bytes(bytes(path.stat().st_size))
    database = SegmentedDatabase.open(folder, CODEBOOK)
    with pytest.raises(DatabaseError, match=path.name):
        everything(database)
    assert any(path.name in fault for fault in verify(folder).faults)


def test_codes_that_no_codebook_has_are_told(folder: Path) -> None:
    path = folder / "segments" / "000000" / "grids.npy"
    path.write_bytes(path.read_bytes()[:-160] + b"\xff" * 160)
    with pytest.raises(DatabaseError, match="got code 65535, expected 0"):
        everything(SegmentedDatabase.open(folder, CODEBOOK))


def test_an_index_that_is_not_known_is_told_at_the_first_search(folder: Path) -> None:
    edited(folder, lambda values: values["segments"][0].update(index="later"))
    database = SegmentedDatabase.open(folder, CODEBOOK)
    assert database.image_info(0).caption == "caption 0 é"
    monkey = np.zeros((1, 4), np.int64)
    with pytest.raises(DatabaseError, match="index of kind 'later'"):
        database.search(monkey, 3)


def test_another_codebook_in_the_folder_is_refused(folder: Path) -> None:
    vectors = np.load(folder / "codebook.npy")
    np.save(folder / "codebook.npy", vectors[::-1])
    with pytest.raises(DatabaseError, match="got the codebook"):
        SegmentedDatabase.open(folder)
    assert "got the codebook" in verify(folder).faults[0]


def test_a_table_of_other_rows_is_refused(made: Path) -> None:
    path = made / "segments" / "000000" / "images.parquet"
    with pytest.raises(DatabaseError, match="got 4 rows"):
        ImageTable(path, 5, {})
    with pytest.raises(DatabaseError, match="got 4 rows"):
        ImageTable(path, 4, {"x": "text"})


# -- verify -----------------------------------------------------------------------------------------------------------


def test_a_sound_database_has_no_faults(made: Path) -> None:
    found = verify(made)
    assert (found.faults, found.images, found.segments, found.encoded, found.agreement) == ((), 6, 2, 0, None)
    assert found.bytes == sum(path.stat().st_size for path in (made / "segments").rglob("*.*") if path.is_file())


def test_what_was_changed_together_with_its_hash_is_found_by_the_fingerprint(folder: Path) -> None:
    from core.patches.segments.writer import hash_of  # noqa: PLC0415

    path = folder / "segments" / "000000" / "grids.npy"
    path.write_bytes(path.read_bytes()[:-2] + b"\x01\x00")
    edited(folder, lambda v: v["segments"][0]["files"]["grids.npy"].update(sha256=hash_of(path)))
    (fault,) = verify(folder).faults
    assert "another fingerprint than the manifest" in fault


def test_styles_and_pictures_that_do_not_fit_are_found(folder: Path) -> None:
    segment = folder / "segments" / "000000"
    np.save(segment / "styles.npy", np.array([0, 1, 1, 1], np.uint16))
    places = np.load(segment / "pictures.npy")
    places[2] = [0, 5, 2**60]
    np.save(segment / "pictures.npy", places)
    faults = " ".join(verify(folder).faults)
    assert "got style 'b' for image 2, expected 'a'" in faults
    assert "got 1 pictures outside of their files, the first of image 2" in faults
    with pytest.raises(DatabaseError, match="a place outside of its files"):
        SegmentedDatabase.open(folder, CODEBOOK).picture(2)


# -- writing and finding ----------------------------------------------------------------------------------------------


def test_a_folder_that_holds_something_is_not_written_into(made: Path, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("mine")
    database = SegmentedDatabase.open(made)
    for folder in (tmp_path, tmp_path / "note.txt", made):
        with pytest.raises(ConfigError, match="holds something already"):
            DatabaseWriter(folder, CODEBOOK, database.manifest.header)
    assert (tmp_path / "note.txt").read_text() == "mine"
    with pytest.raises(ConfigError, match="columns: got 'caption'"):
        DatabaseWriter(
            tmp_path / "new", CODEBOOK, Header(CODEBOOK.fingerprint, database.grid, columns={"caption": "text"})
        )
    with (
        pytest.raises(DatabaseError, match="got no images"),
        DatabaseWriter(tmp_path / "new", CODEBOOK, database.manifest.header),
    ):
        pass
    assert not (tmp_path / "new" / "manifest.json").exists()


def test_segments_that_no_manifest_names_are_swept_away(folder: Path) -> None:
    assert free_name(folder) == "000002"
    shutil.copytree(folder / "segments" / "000001", folder / "segments" / "000007.part")
    assert free_name(folder) == "000008"
    sweep(folder, SegmentedDatabase.open(folder).manifest)
    assert sorted(path.name for path in (folder / "segments").iterdir()) == ["000000", "000001"]


class Model:
    """As much of a backend as opening needs."""

    codebook = CODEBOOK
    name = "made up"


def test_every_version_is_found_by_its_folder(folder: Path, tmp_path: Path) -> None:
    build().save(tmp_path / "small")
    model: Any = Model()
    assert len(find_database(str(folder), model)) == len(find_database(str(tmp_path / "small"), model)) == 54
    assert is_segmented(str(folder))
    assert not is_segmented(str(tmp_path / "small"))
    check_name(str(folder))
    with pytest.raises(ConfigError, match="read in segments"):
        open_database(str(folder), model)
    with pytest.raises(ConfigError, match="n_neighbours: got 55"):
        check_settings(str(folder), DecodeSettings(n_neighbours=55), 55)
    edited(folder, lambda values: values.update(version=3))
    with pytest.raises(ArragError, match="from a later release"):
        find_database(str(folder), model)
