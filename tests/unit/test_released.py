"""Released databases: an index of the released recipe at a small size, and everything that may be wrong with one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import faiss
import numpy as np
import pytest

from core.codebook import Codebook
from core.context import Context, context_codes, keys, retrieving_positions
from core.engine import decode
from core.patches import index as index_module
from core.patches.database import PatchDatabase
from core.patches.index import SavedIndex
from core.patches.protocol import ImageInfo
from core.patches.released import CODES_FILE, GRIDS_FILE, INDEX_FILE, ReleasedDatabase, is_released
from core.trace import Trace
from core.types import ArragError, CodeArray, ConfigError, DatabaseError, DecodeSettings, Grid
from tests.released import write_released
from tests.tiny import CODES, SIDE, tiny_backend

ROOT = Path(__file__).parents[2]
GRID = Grid(SIDE, SIDE)
ENTRIES = (SIDE - 1) * (SIDE - 2)
SETTINGS = DecodeSettings(caption_filter=0, n_neighbours=8)


@pytest.fixture(scope="module")
def grids() -> CodeArray:
    """Token grids of 40 images, made of few kinds of neighbourhoods."""
    rng = np.random.default_rng(1)
    coarse = rng.integers(0, CODES, (40, SIDE // 2, SIDE // 2)).repeat(2, axis=1).repeat(2, axis=2)
    return np.where(rng.random(coarse.shape) < 0.1, rng.integers(0, CODES, coarse.shape), coarse).astype(np.uint16)


@pytest.fixture(scope="module")
def codebook() -> Codebook:
    return tiny_backend().codebook


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, grids: CodeArray, codebook: Codebook) -> Path:
    return write_released(tmp_path_factory.mktemp("released"), codebook, grids)


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    """The same files, to be damaged."""
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


def test_entries_are_numbered_as_in_a_patch_database(folder: Path, grids: CodeArray, codebook: Codebook) -> None:
    assert is_released(folder)
    database = ReleasedDatabase.open(folder, codebook, GRID)
    exact = PatchDatabase.build(codebook, grids, [ImageInfo("")] * len(grids))
    assert len(database) == len(exact) == len(grids) * ENTRIES
    query = context_codes(Context(), grids[3:4], np.array([2 * SIDE + 3]))[0]
    found, wanted = database.search(query, 16)[0], exact.search(query, 16)[0]
    np.testing.assert_array_equal(found.codes, exact.search(query, 0)[0].codes[np.argsort(
        exact.search(query, 0)[0].entries)][found.entries])  # fmt: skip
    assert (np.diff(found.distances) >= 0).all()
    assert (found.distances >= 0).all()
    assert found.distances[0] == pytest.approx(wanted.distances[0], abs=1)
    images, rows, cols = database.provenance(found.entries)
    for code, image, row, col in zip(found.codes, images, rows, cols, strict=True):
        assert grids[image, row, col] == code
        assert database.image_codes(int(image))[row, col] == code
    np.testing.assert_array_equal(database.image_codes(3)[1:, 1:-1], grids[3, 1:, 1:-1])


def test_more_lists_find_more_and_recall_says_how_many(folder: Path, codebook: Codebook) -> None:
    few, all_of_them = (ReleasedDatabase.open(folder, codebook, GRID, lists) for lists in (1, 1000))
    assert (few.lists, all_of_them.lists) == (1, 16)
    assert faiss.extract_index_ivf(all_of_them._index._index).nprobe == 16
    low, high = few.recall(32), all_of_them.recall(32)
    assert low is not None
    assert high is not None
    assert low < high <= 1
    assert high > 0.5
    assert few.fingerprint != all_of_them.fingerprint


def test_the_fingerprint_covers_values_and_index(
    folder: Path, copy: Path, codebook: Codebook, grids: CodeArray
) -> None:
    before = ReleasedDatabase.open(folder, codebook, GRID).fingerprint
    assert ReleasedDatabase.open(copy, codebook, GRID).fingerprint == before
    index = (copy / INDEX_FILE).read_bytes()
    other = Codebook.from_vectors(codebook.vectors[::-1])
    write_released(copy, other, grids)  # the same values, found by other keys
    (copy / CODES_FILE).write_bytes((folder / CODES_FILE).read_bytes())
    assert (copy / INDEX_FILE).read_bytes() != index
    assert ReleasedDatabase.open(copy, codebook, GRID).fingerprint != before
    (copy / INDEX_FILE).write_bytes(index)
    values = np.load(copy / CODES_FILE)
    values[0] = (values[0] + 1) % codebook.size
    np.save(copy / CODES_FILE, values)
    assert ReleasedDatabase.open(copy, codebook, GRID).fingerprint != before


def test_missing_neighbours_are_dropped(folder: Path, codebook: Codebook, grids: CodeArray) -> None:
    database = ReleasedDatabase.open(folder, codebook, GRID, 1)
    query = context_codes(Context(), grids[:1], np.array([2 * SIDE + 3]))[0]
    found = database.search(query, 1024)[0]  # one list holds fewer
    assert 0 < len(found) < 1024
    assert (found.entries >= 0).all()
    assert (found.entries < len(database)).all()


def test_recall_needs_the_grids_that_the_index_was_built_from(copy: Path, codebook: Codebook) -> None:
    grids = np.load(copy / GRIDS_FILE)
    np.save(copy / GRIDS_FILE, grids[::-1])
    with pytest.raises(DatabaseError, match="other grids than the index"):
        ReleasedDatabase.open(copy, codebook, GRID).recall(8)
    (copy / GRIDS_FILE).unlink()
    assert ReleasedDatabase.open(copy, codebook, GRID).recall(8) is None


def test_it_decodes_and_its_traces_load_again(folder: Path, tmp_path: Path) -> None:
    backend = tiny_backend()
    database = ReleasedDatabase.open(folder, backend.codebook, backend.grid)
    assert "Approximate" in database.notice
    for method in ("daid", "faid+daid"):
        settings = DecodeSettings(method=method, caption_filter=0, n_neighbours=8)  # type: ignore[arg-type]
        records = [step[0] for step in decode(backend, database, ["pizza"], settings)]
        trace = Trace.record(backend, database, "pizza", settings, records)
        assert trace.retrieving_positions == ENTRIES
        trace.save(tmp_path / "a.npz")
        again = Trace.load(tmp_path / "a.npz")
        np.testing.assert_array_equal(again.codes, trace.codes)
        assert {source.source for source in again.sources.values()} == {"released database"}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (DecodeSettings(), "caption_filter: got 32.* set it to 0"),
        (DecodeSettings(caption_filter=0, styles=("3d",)), "styles: got 3d"),
        (DecodeSettings(caption_filter=0, position_weight=1), "position_weight: got 1"),
        (DecodeSettings(caption_filter=0, n_neighbours=0), r"n_neighbours: got 0, expected 1\.\.2048"),
    ],
)
def test_what_it_cannot_do_is_said(settings: DecodeSettings, said: str, folder: Path) -> None:
    backend = tiny_backend()
    database = ReleasedDatabase.open(folder, backend.codebook, backend.grid)
    with pytest.raises(ArragError, match=said):
        list(decode(backend, database, ["pizza"], settings))
    with pytest.raises(DatabaseError, match="searched as a whole"):
        database.subset([0])
    with pytest.raises(ConfigError, match="entries"):
        database.provenance(np.array([len(database)]))


def test_damaged_folders_are_database_errors(copy: Path, codebook: Codebook) -> None:
    codes = np.load(copy / CODES_FILE)
    for wrong, said in (
        (codes[:-1], "expected 1680, one for each entry"),
        (codes + CODES, "expected codes from 0 to 47"),
        (codes - 1, "expected codes from 0 to 47"),
        (codes.astype(np.float32), "expected whole numbers of 1 dimensions"),
        (codes[None], "expected whole numbers of 1 dimensions"),
    ):
        np.save(copy / CODES_FILE, wrong)
        with pytest.raises(DatabaseError, match=said):
            ReleasedDatabase.open(copy, codebook, GRID)
    np.save(copy / CODES_FILE, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(DatabaseError, match=CODES_FILE):
        ReleasedDatabase.open(copy, codebook, GRID)
    (copy / CODES_FILE).unlink()
    with pytest.raises(DatabaseError, match="no such file"):
        ReleasedDatabase.open(copy, codebook, GRID)
    for content in (b"", b"nothing of the sort"):
        (copy / INDEX_FILE).write_bytes(content)
        with pytest.raises(DatabaseError, match="not a readable faiss index"):
            ReleasedDatabase.open(copy, codebook, GRID)


def test_an_index_of_other_keys_is_refused(copy: Path, codebook: Codebook) -> None:
    index = faiss.IndexFlatL2(16)
    index.add(np.zeros((3, 16), np.float32))
    faiss.write_index(index, str(copy / INDEX_FILE))
    with pytest.raises(DatabaseError, match="got keys of 16 numbers, expected 32"):
        ReleasedDatabase.open(copy, codebook, GRID)


@pytest.mark.parametrize("measure", [faiss.METRIC_INNER_PRODUCT, faiss.METRIC_L1])
@pytest.mark.parametrize("kind", ["Flat", "IVF4,Flat", "OPQ8_32,IVF4,PQ8x4"])
def test_an_index_by_another_measure_is_refused(copy: Path, codebook: Codebook, measure: int, kind: str) -> None:
    if measure == faiss.METRIC_L1 and "PQ" in kind:
        pytest.skip("faiss has no such index")
    index = faiss.index_factory(32, kind, measure)
    vectors = np.random.default_rng(0).normal(size=(700, 32)).astype(np.float32)
    index.train(vectors)
    index.add(vectors)
    faiss.write_index(index, str(copy / INDEX_FILE))
    with pytest.raises(DatabaseError, match="expected one by squared L2"):
        ReleasedDatabase.open(copy, codebook, GRID)


def test_damaged_codes_are_told_without_advice_to_unpickle(copy: Path, codebook: Codebook) -> None:
    whole = (copy / CODES_FILE).read_bytes()
    for content in (b"", b"nothing of the sort", whole[:200], whole[1:], whole + b"x"):
        (copy / CODES_FILE).write_bytes(content)
        with pytest.raises(DatabaseError, match=f"{CODES_FILE}: got .*download it again") as caught:
            ReleasedDatabase.open(copy, codebook, GRID)
        assert "pickle" not in str(caught.value)


def test_a_folder_may_have_any_name(folder: Path, tmp_path: Path, codebook: Codebook) -> None:
    there = tmp_path / "Vögel 鳥"
    shutil.copytree(folder, there)
    query = np.array([[1, 2, 3, 4]])
    found, same = (ReleasedDatabase.open(place, codebook, GRID).search(query, 8)[0] for place in (there, folder))
    np.testing.assert_array_equal(found.entries, same.entries)
    (there / INDEX_FILE).write_bytes((folder / INDEX_FILE).read_bytes()[:-9])
    with pytest.raises(DatabaseError, match="not a readable faiss index"):
        ReleasedDatabase.open(there, codebook, GRID)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="Windows has neither user numbers nor modes of files")
@pytest.mark.parametrize("name", [CODES_FILE, INDEX_FILE])
def test_files_that_this_user_cannot_read_are_told(copy: Path, codebook: Codebook, name: str) -> None:
    script = """
import os
from pathlib import Path
import faiss
from core.patches.released import ReleasedDatabase
from core.types import DatabaseError, Grid
from tests.tiny import SIDE, tiny_backend
codebook = tiny_backend().codebook
os.chdir(os.environ["DAMAGED"])
if os.geteuid() == 0:
    os.setuid(65534)
try:
    ReleasedDatabase.open(Path(), codebook, Grid(SIDE, SIDE))
except DatabaseError as error:
    print(error)
"""
    copy.chmod(0o755)  # and from inside of it, as another user may not pass the folders around it
    (copy / name).chmod(0)
    around = {**os.environ, "PYTHONPATH": str(ROOT), "DAMAGED": str(copy)}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, env=around, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.startswith(f"{name}: cannot be read (permission denied)"), done.stderr


def test_an_index_without_lists_is_searched_as_it_is(copy: Path, codebook: Codebook, grids: CodeArray) -> None:
    positions = retrieving_positions(Context(), GRID)
    index = faiss.IndexFlatL2(32)
    index.add(keys(codebook, context_codes(Context(), grids, positions)).reshape(-1, 32))
    faiss.write_index(index, str(copy / INDEX_FILE))
    database = ReleasedDatabase.open(copy, codebook, GRID)
    assert database.lists is None
    assert database.recall(16) == 1


def test_lists_stay_in_the_file_and_answers_are_those_of_an_index_in_memory(folder: Path, codebook: Codebook) -> None:
    whole = faiss.read_index(str(folder / INDEX_FILE))  # with its precomputed table
    faiss.extract_index_ivf(whole).nprobe = 16
    index = SavedIndex(folder / INDEX_FILE, 16)
    inverted = faiss.downcast_index(faiss.extract_index_ivf(index._index))
    lists = faiss.downcast_InvertedLists(inverted.invlists)
    assert isinstance(lists, faiss.OnDiskInvertedLists)
    assert (inverted.use_precomputed_table, lists.prefetch_nthread) == (0, 0)
    for query in np.random.default_rng(2).integers(0, CODES, (20, 4)):
        key = keys(codebook, query)
        distances, entries = whole.search(key[None], 24)
        found = index.nearest(key, 24)
        np.testing.assert_allclose(found[0], np.maximum(distances[0], 0), atol=1e-5)
        assert set(found[1][:20]) <= set(entries[0].tolist()) | set(found[1][np.isclose(found[0], found[0][-1])])


def test_lists_in_another_file_are_refused(copy: Path, codebook: Codebook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(copy)
    inside = faiss.read_index(INDEX_FILE)
    inverted = faiss.extract_index_ivf(inside)
    elsewhere = faiss.OnDiskInvertedLists(inverted.nlist, inverted.code_size, str(copy / "lists.data"))
    elsewhere.merge_from_1(inverted.invlists)
    inverted.replace_invlists(elsewhere, False)
    faiss.write_index(inside, INDEX_FILE)
    with pytest.raises(DatabaseError, match="lists lie in another file, expected one file"):
        ReleasedDatabase.open(copy, codebook, GRID)


def test_an_entry_that_is_not_there_is_told(folder: Path, codebook: Codebook, monkeypatch: pytest.MonkeyPatch) -> None:
    database = ReleasedDatabase.open(folder, codebook, GRID)
    beyond = (np.zeros(1, np.float32), np.array([len(database)]))
    monkeypatch.setattr(database._index, "nearest", lambda key, k: beyond)
    with pytest.raises(DatabaseError, match=f"got entry {len(database)}, expected 0..{len(database) - 1}"):
        database.search(np.array([[1, 2, 3, 4]]), 8)


@pytest.mark.parametrize(
    ("free", "said"),
    [
        (1000, "to keep in memory, expected at most the 0.0 GB that are free; close other programs"),
        (None, "to keep in memory; close other programs"),
        (10**12, "asks for more than it holds"),
    ],
)
def test_too_little_memory_is_told(
    folder: Path, codebook: Codebook, monkeypatch: pytest.MonkeyPatch, free: int | None, said: str
) -> None:
    def read(*arguments: object) -> None:
        raise MemoryError("std::bad_alloc")

    monkeypatch.setattr(faiss, "read_index", read)
    monkeypatch.setattr(index_module, "available", lambda: free)
    with pytest.raises(DatabaseError, match=said) as caught:
        ReleasedDatabase.open(folder, codebook, GRID)
    assert "\n" not in str(caught.value)
