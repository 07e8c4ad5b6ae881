"""Saving and loading of patch databases: what was saved comes back, and what is damaged is refused."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.codebook import Codebook
from core.context import Context
from core.patches.database import PatchDatabase
from core.types import DatabaseError
from tests.databases import CAPTIONS, CODEBOOK, GRIDS, PICTURES, QUERIES, RNG, build, same


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    build().save(tmp_path / "database")
    return tmp_path / "database"


@pytest.mark.parametrize("context", [Context(), Context(1, "zero"), Context(2, "zero")])
def test_loaded_is_what_was_saved(context: Context, tmp_path: Path) -> None:
    saved = build(context=context)
    saved.save(tmp_path)
    loaded = PatchDatabase.load(tmp_path, CODEBOOK)
    assert loaded.context == context
    assert loaded.metadata == saved.metadata
    assert loaded.fingerprint == saved.fingerprint
    assert [loaded.picture(i) for i in range(6)] == [b"one", None, b"three", b"4", b"5", b"six"]
    np.testing.assert_array_equal(loaded.nearest_captions(CAPTIONS[1], 2), [1, 4])
    queries = RNG.integers(0, 32, (3, context.size))
    assert same(loaded.search(queries, 0), saved.search(queries, 0))


def test_captions_and_pictures_are_optional(tmp_path: Path) -> None:
    build(captions=None, pictures=None).save(tmp_path)
    loaded = PatchDatabase.load(tmp_path, CODEBOOK)
    assert loaded.picture(0) is None
    with pytest.raises(DatabaseError, match="without caption vectors"):
        loaded.nearest_captions(CAPTIONS[0], 2)


def test_saving_again_gives_the_same_bytes(folder: Path) -> None:
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    PatchDatabase.load(folder, CODEBOOK).save(folder)  # over the files that it has mapped
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_files_that_cannot_be_replaced_get_new_names(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows refuses to replace a file that is mapped, as those of an open database are."""
    replace, opened = os.replace, PatchDatabase.load(folder, CODEBOOK)

    def refuse(source: Path, target: Path) -> None:
        if target.exists() and target.suffix in (".npy", ".bin"):
            raise PermissionError(13, "used by another process", str(target))
        replace(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    for count in (4, 3):  # the second time, the new names are taken as well
        opened.subset(range(count)).save(folder)
        again = PatchDatabase.load(folder, CODEBOOK)
        np.testing.assert_array_equal(again.grids, GRIDS[:count])
        assert again.picture(2) == PICTURES[2]
    assert not list(folder.glob("*.part"))
    monkeypatch.undo()
    opened.save(folder)  # over the usual names again
    assert "files" not in json.loads((folder / "manifest.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["../grids.npy", "/etc/passwd", "", 5, "a/b.npy"])
def test_names_of_files_lead_nowhere_else(folder: Path, name: object) -> None:
    path = folder / "manifest.json"
    path.write_text(
        json.dumps(json.loads(path.read_text(encoding="utf-8")) | {"files": {"grids.npy": name}}), encoding="utf-8"
    )
    with pytest.raises(DatabaseError, match="files"):
        PatchDatabase.load(folder, CODEBOOK)


def test_a_saved_view_is_a_database_of_its_own(tmp_path: Path) -> None:
    build().with_styles(["b"]).save(tmp_path)
    loaded = PatchDatabase.load(tmp_path, CODEBOOK)
    np.testing.assert_array_equal(loaded.grids, GRIDS[1::2])
    assert [info.style for info in loaded.metadata] == ["b"] * 3
    assert [loaded.picture(i) for i in range(3)] == [None, b"4", b"six"]


def test_what_cannot_be_saved_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="view of no images"):
        build().subset([]).save(tmp_path / "empty")
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(DatabaseError, match="expected a folder"):
        build().save(tmp_path / "file")


def test_the_caller_keeps_its_arrays() -> None:
    grids = GRIDS.astype(np.uint16)
    database = build(grids=grids)
    before = database.fingerprint
    grids[:] = 0
    assert database.fingerprint == before


def test_other_codebook_is_refused(folder: Path) -> None:
    other = Codebook.from_vectors(np.eye(32, dtype=np.float32))
    with pytest.raises(DatabaseError, match=f"{CODEBOOK.fingerprint}.* expected {other.fingerprint}"):
        PatchDatabase.load(folder, other)


def edit_json(name: str, change: Callable[[Any], Any]) -> Callable[[Path], object]:
    def damage(folder: Path) -> object:
        values = json.loads((folder / name).read_text(encoding="utf-8"))
        return (folder / name).write_text(json.dumps(change(values)), encoding="utf-8")

    return damage


def manifest(**values: object) -> Callable[[Path], object]:
    return edit_json("manifest.json", lambda old: old | values)


def array(name: str, values: npt.NDArray[Any]) -> Callable[[Path], object]:
    return lambda folder: np.save(folder / name, values)


def cut(name: str, size: int) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:size])


def lengthened(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes() + b"xx")


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no manifest": (lambda folder: (folder / "manifest.json").unlink(), "manifest.json: got no such file"),
    "manifest not JSON": (cut("manifest.json", 20), "manifest.json"),
    "manifest a list": (edit_json("manifest.json", lambda _: []), "expected the manifest"),
    "manifest too deep": (
        lambda folder: (folder / "manifest.json").write_text("[" * 100_000, encoding="utf-8"),
        "manifest.json",
    ),
    "manifest not text": (lambda folder: (folder / "manifest.json").write_bytes(b"\xff\xfe\x00"), "manifest.json"),
    "other format": (manifest(format="zip"), "expected the manifest"),
    "newer version": (manifest(version=2), "got version 2, expected 1"),
    "no fingerprint": (manifest(codebook=None), "got codebook None"),
    "odd grid": (manifest(grid=[4]), "got grid"),
    "negative grid": (manifest(grid=[-4, 5]), "got grid"),
    "other grid": (manifest(grid=[5, 4]), "grids.npy: got uint16"),
    "odd context": (manifest(context={"radius": 7, "border": "skip"}), "context radius: got 7"),
    "unhashable context": (manifest(context={"radius": [], "border": {}}), "context radius"),
    "context of other names": (manifest(context={"size": 1}), "got context"),
    "image count is true": (manifest(images=True), "got images True"),
    "other image count": (manifest(images=7), "grids.npy: got uint16"),
    "other entry count": (manifest(entries=5), "got 5 entries, expected 54"),
    "captions of another size": (manifest(captions=4), "captions.npy: got float16"),
    "pictures a word": (manifest(pictures="yes"), "got pictures 'yes'"),
    "no grids": (lambda folder: (folder / "grids.npy").unlink(), "grids.npy: got no such file"),
    "grids cut off": (cut("grids.npy", 200), "grids.npy"),
    "grids too long": (lengthened("grids.npy"), "as its header says"),
    "grids empty": (cut("grids.npy", 0), "grids.npy"),
    "grids of floats": (array("grids.npy", GRIDS.astype(np.float32)), "got float32"),
    "grids of objects": (array("grids.npy", np.array([{}, []], object)), "grids.npy"),
    "code beyond the codebook": (array("grids.npy", (GRIDS + 1).astype(np.uint16)), "codes 1..32, expected 0..31"),
    "grids an archive": (
        lambda folder: (folder / "grids.npy").write_bytes(b"PK\3\4" + bytes(100)),
        "grids.npy: got",
    ),
    "captions not finite": (array("captions.npy", np.full((6, 3), np.nan, np.float16)), "captions"),
    "metadata of other names": (edit_json("images.json", lambda old: [{"text": "x"}] * 6), "images.json"),
    "metadata not text": (edit_json("images.json", lambda old: [old[0] | {"style": 1}, *old[1:]]), "for image 0"),
    "metadata half a character": (
        edit_json("images.json", lambda old: [o | {"style": "\ud800"} for o in old]),
        "image 0",
    ),
    "metadata too short": (edit_json("images.json", lambda old: old[1:]), "got 5 images, expected 6"),
    "pictures cut off": (cut("pictures.bin", 5), "cut 5 bytes into 6 parts"),
    "pictures empty": (cut("pictures.bin", 0), "cut 0 bytes into 6 parts"),
    "pictures overlap": (array("picture_offsets.npy", np.array([0, 9, 3, 8, 9, 10, 13])), "cut 13 bytes"),
    "offsets too short": (array("picture_offsets.npy", np.arange(3)), "picture_offsets.npy: got int64"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_files_are_one_clear_line(name: str, folder: Path) -> None:
    damage, message = DAMAGES[name]
    damage(folder)
    with pytest.raises(DatabaseError, match="expected") as caught:
        PatchDatabase.load(folder, CODEBOOK)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("", encoding="utf-8")
    for path in (tmp_path / "x", tmp_path / "nowhere"):
        with pytest.raises(DatabaseError, match=r"manifest\.json"):
            PatchDatabase.load(path, CODEBOOK)


@pytest.mark.filterwarnings("ignore")  # numpy warns of headers that look like those of Python 2
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_damage_gives_anything_but_a_database_error(folder: Path, data: st.DataObject) -> None:
    """Overwrites a few bytes, mostly in headers: the file either stays usable or is refused."""
    file = folder / data.draw(st.sampled_from(sorted(path.name for path in folder.iterdir())))
    content = bytearray(original := file.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, min(len(content), 140) - 1))
        content[place] = data.draw(st.integers(0, 255))
    file.write_bytes(content)
    with contextlib.suppress(DatabaseError):
        PatchDatabase.load(folder, CODEBOOK).search(QUERIES, 5)
    file.write_bytes(original)
