"""Building, saving, loading, viewing and sharing of patch databases; test_search_oracle checks what they find."""

from __future__ import annotations

import contextlib
import json
import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.context import Context
from core.database import ImageInfo, PatchDatabase, _Cache
from core.index import choose_kind, entry_of_rank, tie_rank
from core.tokenizer import Codebook
from core.types import ConfigError, DatabaseError, Neighbours

RNG = np.random.default_rng(0)
CODEBOOK = Codebook.from_vectors(RNG.normal(size=(32, 8)).astype(np.float32))
GRIDS = RNG.integers(0, 32, (6, 4, 5))
METADATA = [ImageInfo(f"caption {i} é", style="ab"[i % 2], concept=f"c{i}", source="made up") for i in range(6)]
CAPTIONS = np.eye(6, 3, dtype=np.float32) + np.eye(6, 3, k=-3, dtype=np.float32)  # x, y, z, x, y, z
PICTURES = [b"one", b"", b"three", b"4", b"5", b"six"]
QUERIES = RNG.integers(0, 32, (5, 4))


def build(**changes: Any) -> PatchDatabase:
    arguments: dict[str, Any] = {"grids": GRIDS, "metadata": METADATA, "captions": CAPTIONS, "pictures": PICTURES}
    return PatchDatabase.build(CODEBOOK, **arguments | changes)


def same(one: list[Neighbours], two: list[Neighbours]) -> bool:
    return all(
        np.array_equal(getattr(a, name), getattr(b, name))
        for a, b in zip(one, two, strict=True)
        for name in ("codes", "distances", "entries")
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    build().save(tmp_path / "database")
    return tmp_path / "database"


# -- building ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"grids": GRIDS + 1}, "codes 1..32, expected 0..31"),
        ({"grids": GRIDS - 1}, "codes -1..30"),
        ({"grids": GRIDS[0]}, "grids: got"),
        ({"grids": GRIDS.astype(float)}, "whole numbers"),
        ({"grids": GRIDS[:0]}, "grids: got"),
        ({"grids": GRIDS[:5]}, "metadata: got 6 images, expected 5"),
        ({"grids": GRIDS[:, :1]}, "no position with a context"),
        ({"captions": CAPTIONS[:5]}, "captions"),
        ({"captions": CAPTIONS[0]}, "captions"),
        ({"captions": CAPTIONS * np.nan}, "captions"),
        ({"pictures": PICTURES[:5]}, "pictures: got 5, expected 6"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DatabaseError, match=message):
        build(**changes)


def test_unknown_index_kind_is_refused() -> None:
    with pytest.raises(ConfigError, match="index: got 'hnsw'"):
        build(index="hnsw")


def test_index_kind_follows_size() -> None:
    assert choose_kind(1000) == build().index_kind == "scan"
    assert choose_kind(1_000_000) == "quantizer"


@pytest.mark.parametrize("context", [Context(), Context(1, "zero"), Context(2, "zero")])
def test_entry_numbers_give_their_provenance(context: Context) -> None:
    database = build(context=context)
    images, rows, cols = database.provenance(np.arange(len(database)))
    assert len(set(zip(images.tolist(), rows.tolist(), cols.tolist(), strict=True))) == len(database)
    queries = np.zeros((1, context.size), int)
    found = database.search(queries, 0)[0]
    images, rows, cols = database.provenance(found.entries)
    np.testing.assert_array_equal(database.grids[images, rows, cols], found.codes)


@pytest.mark.parametrize("entry", [-1, 10**6])
def test_provenance_of_nothing_is_refused(entry: int) -> None:
    with pytest.raises(ConfigError, match="entries: got"):
        build().provenance(np.array([entry]))


# -- saving and loading -----------------------------------------------------------------------------------------------


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


def test_a_saved_view_is_a_database_of_its_own(tmp_path: Path) -> None:
    build().with_styles(["b"]).save(tmp_path)
    loaded = PatchDatabase.load(tmp_path, CODEBOOK)
    np.testing.assert_array_equal(loaded.grids, GRIDS[1::2])
    assert [info.style for info in loaded.metadata] == ["b"] * 3
    assert [loaded.picture(i) for i in range(3)] == [None, b"4", b"six"]


def test_what_cannot_be_saved_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="view of no images"):
        build().subset([]).save(tmp_path / "empty")
    (tmp_path / "file").write_text("")
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
        values = json.loads((folder / name).read_text())
        return (folder / name).write_text(json.dumps(change(values)))

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
    "manifest too deep": (lambda folder: (folder / "manifest.json").write_text("[" * 100_000), "manifest.json"),
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
    (tmp_path / "x").write_text("")
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


# -- views ------------------------------------------------------------------------------------------------------------


def test_views_keep_the_numbers_of_the_full_database() -> None:
    full = build()
    view = full.subset([4, 1])
    assert list(view.images) == [1, 4]
    found = view.search(QUERIES, 0)[0]
    images, rows, cols = full.provenance(found.entries)
    assert set(images.tolist()) == {1, 4}
    np.testing.assert_array_equal(GRIDS[images, rows, cols], found.codes)
    everything = full.search(QUERIES, 0)[0]
    kept = np.isin(full.provenance(everything.entries)[0], [1, 4])
    np.testing.assert_array_equal(everything.entries[kept], found.entries)


def test_view_of_everything_is_everything() -> None:
    full = build()
    assert same(full.subset(np.arange(6)).search(QUERIES, 9), full.search(QUERIES, 9))
    assert full.with_styles([]) is full
    assert full.fingerprint == full.subset(np.arange(6)).fingerprint != full.subset([1]).fingerprint


def test_styles() -> None:
    full = build()
    assert full.styles == ("a", "b")
    assert list(full.with_styles(["b"]).images) == [1, 3, 5]
    assert full.with_styles(["b"]).styles == ("b",)
    with pytest.raises(ConfigError, match="styles: got z; expected some of a, b"):
        full.with_styles(["a", "z"])


def test_view_cannot_hold_what_its_parent_lacks() -> None:
    view = build().with_styles(["b"])
    for image in (0, 6, -1):
        with pytest.raises(ConfigError, match=f"got {image}, which this view"):
            view.subset([1, image])


def test_empty_view_finds_nothing() -> None:
    view = build().subset([])
    assert len(view) == 0
    for k in (0, 3):
        for position, weight in ((None, 0.0), (7, 1.0)):
            assert [len(found) for found in view.search(QUERIES, k, position, weight)] == [0] * 5


def test_nearest_captions_within_the_view() -> None:
    full = build()
    toward_y = np.array([0.6, 0.8, 0], np.float32)
    assert full.nearest_captions(toward_y, 3).tolist() == [1, 4, 0]
    assert full.with_styles(["a"]).nearest_captions(toward_y, 2).tolist() == [4, 0]
    assert len(full.nearest_captions(toward_y, 100)) == 6
    with pytest.raises(ConfigError, match="caption vector"):
        full.nearest_captions(toward_y[:2], 3)


def test_a_vector_of_nothing_is_near_to_all_captions() -> None:
    full, nothing = build(), np.zeros(3, np.float32)
    assert full.nearest_captions(nothing, 2).tolist() == [0, 1, 2, 3, 4, 5]
    assert full.subset([1, 4]).nearest_captions(nothing, 1).tolist() == [1, 4]


def test_picture_of_nothing_is_refused() -> None:
    for image in (-1, 6):
        with pytest.raises(ConfigError, match="image: got"):
            build().picture(image)


# -- search -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("queries", "options", "message"),
    [
        (QUERIES[0], {}, "queries: got"),
        (QUERIES[:, :3], {}, "queries: got"),
        (QUERIES.astype(float), {}, "queries: got"),
        (QUERIES * 0 - 1, {}, "expected 0..31"),
        (QUERIES * 0 + 32, {}, "expected 0..31"),
        (QUERIES, {"k": -1}, "k: got -1"),
        (QUERIES, {"position_weight": -1.0}, "position_weight"),
        (QUERIES, {"position_weight": float("nan")}, "position_weight"),
        (QUERIES, {"position_weight": 1.0}, "position: got None"),
        (QUERIES, {"position_weight": 1.0, "position": 20}, "position: got 20"),
    ],
)
def test_malformed_searches_are_refused(queries: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build().search(queries, **{"k": 3} | options)


def test_ties_go_by_tie_rank() -> None:
    same_grid = np.tile(GRIDS[:1], (6, 1, 1))
    found = build(grids=same_grid).search(same_grid[:1, :2].reshape(1, -1)[:, [0, 1, 2, 5]], 3)[0]
    tied = np.arange(0, 54, 9)  # the first of the 9 entries of each image
    assert found.entries.tolist() == tied[np.argsort(tie_rank(tied))][:3].tolist()
    assert (found.distances == 0).all()


def test_ties_represent_all_images() -> None:
    """A blank that every image has is answered by many images, not by the first ones."""
    blank = np.zeros((200, 6, 6), int)
    database = PatchDatabase.build(CODEBOOK, blank, [ImageInfo("")] * 200)
    found = database.search(np.zeros((1, 4), int), 64)[0]
    images = database.provenance(found.entries)[0]
    assert len(np.unique(images)) > 40
    assert np.ptp(images) > 150


def test_tie_rank_is_one_to_one() -> None:
    entries = np.array([0, 1, 2, 209, 302_189, 2**31 - 1])
    assert entry_of_rank(tie_rank(entries)).tolist() == entries.tolist()
    assert len(np.unique(tie_rank(np.arange(10_000)))) == 10_000


def test_batch_is_one_by_one() -> None:
    assert same(build().search(QUERIES, 4), [build().search(query[None], 4)[0] for query in QUERIES])
    assert build().search(QUERIES[:0], 4) == []


def test_cache_keeps_apart_what_differs() -> None:
    database = build()
    searches: list[tuple[int, int | None, float]] = [(3, None, 0), (4, None, 0), (4, 7, 0.5), (4, 8, 0.5), (4, 8, 0.6)]
    for _ in range(2):
        for k, position, weight in searches:
            fresh = build().search(QUERIES, k, position, weight)
            assert same(database.search(QUERIES, k, position, weight), fresh)
    view = database.subset([2])
    assert set(database.provenance(view.search(QUERIES, 4)[0].entries)[0].tolist()) == {2}


def test_shared_results_cannot_be_changed() -> None:
    database = build()
    found = database.search(QUERIES, 4)[0]
    assert database.search(QUERIES, 4)[0] is found
    for values in (found.codes, found.distances, found.entries, database.images):
        with pytest.raises(ValueError, match="read-only"):
            values[0] = 1


def test_cache_forgets_the_least_recently_used() -> None:
    def some(count: int) -> Neighbours:
        return Neighbours(np.zeros(count, np.int64), np.zeros(count, np.float32), np.zeros(count, np.int64))

    cache = _Cache(12)
    for name in ("a", "b"):
        cache.put((name,), some(5))
    assert cache.get(("a",)) is not None
    cache.put(("c",), some(4))
    cache.put(("too large",), some(12))
    assert [cache.get((name,)) is not None for name in ("a", "b", "c", "too large")] == [True, False, True, False]
    for number in range(50):
        cache.put((number,), some(0))
    assert [cache.get((number,)) is not None for number in (0, 37, 38, 49)] == [False, False, True, True]


def test_threads_share_a_database() -> None:
    database = build()
    expected = [build().search(QUERIES, k) for k in (0, 1, 2, 3)]
    wrong: list[int] = []

    def run() -> None:
        for turn in range(60):
            if not same(database.search(QUERIES, turn % 4), expected[turn % 4]):
                wrong.append(turn)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_joined_databases_hold_the_images_of_both_in_order() -> None:
    first, second = build(context=Context(radius=1, border="zero")), build(grids=(GRIDS + 1) % 32)
    both = first.subset([1, 4]).joined(second)
    assert np.array_equal(both.grids, np.concatenate([GRIDS[[1, 4]], (GRIDS + 1) % 32]))
    assert both.context == first.context
    assert [info.caption for info in both.metadata] == [METADATA[i].caption for i in (1, 4, *range(6))]
    assert [both.picture(i) for i in range(8)] == [None, b"5", b"one", None, b"three", b"4", b"5", b"six"]
    assert both.nearest_captions(np.eye(3, dtype=np.float32)[1], 9)[:3].tolist() == [0, 1, 3]
    exact = build(grids=both.grids, metadata=both.metadata, captions=None, pictures=None, context=first.context)
    assert same(both.search(QUERIES, 7), exact.search(QUERIES, 7))


def test_joined_databases_must_fit_and_need_captions_of_both_for_the_filter() -> None:
    other = PatchDatabase.build(Codebook.from_vectors(np.eye(32, 8, dtype=np.float32) + 1), GRIDS, METADATA)
    with pytest.raises(DatabaseError, match="two codebooks"):
        build().joined(other)
    with pytest.raises(DatabaseError, match="two dimensions"):
        build().joined(build(captions=np.eye(6, dtype=np.float32)))
    with pytest.raises(DatabaseError, match="without caption vectors"):
        build().joined(build(captions=None)).nearest_captions(np.zeros(3, np.float32), 1)


def test_another_process_gets_the_same_database() -> None:
    database = build().subset([0, 2, 3])
    sent = pickle.loads(pickle.dumps(database))
    assert sent.fingerprint == database.fingerprint
    assert sent.picture(2) == b"three"
    assert same(sent.search(QUERIES, 6), database.search(QUERIES, 6))
