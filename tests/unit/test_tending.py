"""Databases that are merged, compacted, pruned, counted, shown and searched: in Python and on the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from core.__main__ import main
from core.analysis import usage
from core.analysis.distinct import Distinct, hashed
from core.analysis.stats import stats_of
from core.context import Context
from core.patches.files import MANIFEST
from core.patches.protocol import ImageInfo
from core.patches.segments import writer
from core.patches.segments.database import SegmentedDatabase
from core.patches.segments.images import ImageRow
from core.patches.segments.manifest import Header
from core.patches.segments.segment import Batch
from core.patches.segments.verify import verify
from core.patches.segments.writer import DatabaseWriter
from core.patches.tending.compact import compact, groups_of
from core.patches.tending.contents import licence_of
from core.patches.tending.indexing import reindex
from core.patches.tending.merge import merge
from core.types import DatabaseError, DecodeSettings, Grid
from tests.databases import CODEBOOK, GRIDS, QUERIES, build, same, segmented


def write(folder: Path, grids: Any, rows: list[ImageRow], columns: dict[str, str] | None = None) -> SegmentedDatabase:
    """A database of segments without captions or pictures."""
    header = Header(CODEBOOK.fingerprint, Grid(*np.asarray(grids).shape[1:]), columns=columns or {})
    with DatabaseWriter(folder, CODEBOOK, header) as writer:
        writer.add(Batch(np.asarray(grids), rows))
    return SegmentedDatabase.open(folder)


def named(*words: str) -> list[ImageRow]:
    return [ImageRow(ImageInfo(word)) for word in words]


def told(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    """What a command answers with."""
    capsys.readouterr()
    assert main(["database", *map(str, arguments)]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return found


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line that a command ends with."""
    capsys.readouterr()
    assert main(["database", *map(str, arguments)]) == 2
    return capsys.readouterr().err.splitlines()[-1]


# ---------------------------------------------------------------------------------------------------------------------
# Merge


def test_a_merged_database_answers_like_one_of_all_images(tmp_path: Path) -> None:
    segmented(tmp_path / "old", 2)
    done = merge([SegmentedDatabase.open(tmp_path / "old")], tmp_path / "new")
    assert (done.images, done.duplicates, done.lost) == (6, (0,), ())
    made = SegmentedDatabase.open(tmp_path / "new")
    assert made.fingerprint == SegmentedDatabase.open(tmp_path / "old").fingerprint
    assert same(made.search(QUERIES, 20), build().search(QUERIES, 20))
    assert made.picture(2) == b"three"
    assert made.picture(1) is None


def test_what_is_there_twice_comes_once(tmp_path: Path) -> None:
    """b is a by its words; c is a by its file, whatever it is called; d has other codes; e other words and no file."""
    a = ImageRow(ImageInfo("a"), sha256="f" * 64)
    one = write(tmp_path / "one", GRIDS[:1], [a])
    rows = [*named("a"), ImageRow(ImageInfo("c"), sha256="f" * 64), *named("a", "e")]
    two = write(tmp_path / "two", GRIDS[[0, 0, 1, 0]], rows)
    done = merge([one, two], tmp_path / "both")
    assert (done.images, done.duplicates) == (3, (0, 2))
    made = SegmentedDatabase.open(tmp_path / "both")
    assert [made.image_info(n).caption for n in range(3)] == ["a", "a", "e"]
    assert np.array_equal(made.grids_of(np.arange(3)), GRIDS[[0, 1, 0]])


def test_columns_are_joined_and_what_only_some_have_is_told(tmp_path: Path) -> None:
    one = write(tmp_path / "one", GRIDS[:1], [ImageRow(ImageInfo("a"), extra={"x": 1})], {"x": "whole"})
    two = write(tmp_path / "two", GRIDS[1:2], [ImageRow(ImageInfo("b"), extra={"y": "t"})], {"y": "text"})
    segmented(tmp_path / "three", 6)
    done = merge([one, two, SegmentedDatabase.open(tmp_path / "three")], tmp_path / "all")
    assert [reason.split(":")[0] for reason in done.lost] == ["pictures", "caption vectors"]
    made = SegmentedDatabase.open(tmp_path / "all")
    assert [row.extra for row in made.segments[0].table.rows(0, 3)] == [
        {"x": 1, "y": None}, {"x": None, "y": "t"}, {"x": None, "y": None},
    ]  # fmt: skip
    assert (made.picture(0), made.picture(2)) == (None, b"one")
    assert made.manifest.header.captions is None
    other = write(tmp_path / "other", GRIDS[:1], [ImageRow(ImageInfo("a"), extra={"x": "1"})], {"x": "text"})
    with pytest.raises(DatabaseError, match="database 2: got column 'x' of text, expected whole"):
        merge([one, other], tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_databases_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    wide = write(tmp_path / "wide", np.zeros((1, 5, 5), int), named("w"))
    small = build()
    with pytest.raises(DatabaseError, match="database 2: got grid"):
        merge([small, wide], tmp_path / "out")
    other = build(context=Context(2, "zero"))
    with pytest.raises(DatabaseError, match="database 2: got context"):
        merge([small, other], tmp_path / "out")
    merge([small, other], tmp_path / "out", Context(2, "zero"))
    assert SegmentedDatabase.open(tmp_path / "out").context == Context(2, "zero")


def test_a_merge_that_is_killed_leaves_nothing_in_its_place_and_begins_anew(tmp_path: Path) -> None:
    def killed(batches: Any) -> Any:
        yield from list(batches)[:1]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        merge([build()], tmp_path / "out", progress=killed)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "out.partial").mkdir()
    (tmp_path / "out.partial" / "left").write_bytes(b"")
    merge([build()], tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["codebook.npy", MANIFEST, "segments"]
    with pytest.raises(Exception, match="holds something already"):
        merge([build()], tmp_path / "out")


# ---------------------------------------------------------------------------------------------------------------------
# Compact


@pytest.mark.parametrize(("images", "most", "after"), [(1, 6, 1), (1, 3, 2), (2, 2, 3), (4, 6, 1)])
def test_compacting_changes_nothing_but_the_segments(tmp_path: Path, images: int, most: int, after: int) -> None:
    segmented(tmp_path / "it", images)
    before = SegmentedDatabase.open(tmp_path / "it")
    positions = before.manifest.header.positions
    kept, said = before.search(QUERIES, 30), [before.image_info(n) for n in range(6)]
    assert compact(tmp_path / "it", most * positions) == (-(-6 // images), after)
    made = SegmentedDatabase.open(tmp_path / "it")
    assert made.fingerprint == before.fingerprint
    assert same(made.search(QUERIES, 30), kept)
    assert made.style_counts == before.style_counts
    assert [made.image_info(n) for n in range(6)] == said
    assert len(list((tmp_path / "it/segments").iterdir())) == after


def test_who_has_it_open_may_go_on_until_the_next_time(tmp_path: Path) -> None:
    segmented(tmp_path / "it", 2)
    opened = SegmentedDatabase.open(tmp_path / "it")
    compact(tmp_path / "it", keep_old=True)
    assert same(opened.search(QUERIES, 9), SegmentedDatabase.open(tmp_path / "it").search(QUERIES, 9))
    (tmp_path / "it/building").mkdir()
    with pytest.raises(DatabaseError, match="a build that was not finished"):
        compact(tmp_path / "it")
    (tmp_path / "it/building").rmdir()
    compact(tmp_path / "it")
    assert len(list((tmp_path / "it/segments").iterdir())) == 1


def test_a_compaction_that_is_killed_leaves_the_database_as_it_was(tmp_path: Path) -> None:
    segmented(tmp_path / "it", 2)
    before = (tmp_path / "it" / MANIFEST).read_bytes()

    def killed(batches: Any) -> Any:
        yield from list(batches)[:1]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compact(tmp_path / "it", progress=killed)
    assert (tmp_path / "it" / MANIFEST).read_bytes() == before
    assert same(SegmentedDatabase.open(tmp_path / "it").search(QUERIES, 9), build().search(QUERIES, 9))
    (tmp_path / "it/segments/000007").mkdir()  # as if it had been killed between a segment and the manifest
    assert compact(tmp_path / "it") == (3, 1)
    assert len(list((tmp_path / "it/segments").iterdir())) == 1


def test_tuning_gives_another_index_and_the_same_answers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    segmented(tmp_path / "it", 2)
    before = SegmentedDatabase.open(tmp_path / "it")
    answers, pictures = before.search(QUERIES, 30), [before.picture(n) for n in range(6)]
    fingerprint = before.fingerprint
    asked = ["database", "tune", str(tmp_path / "it"), "--kinds", "quantizer,ivf", "--neighbours", "5"]
    assert main([*asked, "--measure-only"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["kind"], said["index"], said["segments_built"]) == ("quantizer", "scan", 0)
    assert main(asked) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["index"], said["segments_built"]) == ("quantizer", 3)
    after = SegmentedDatabase.open(tmp_path / "it")
    assert same(after.search(QUERIES, 30), answers)
    assert [after.picture(n) for n in range(6)] == pictures
    assert (after.fingerprint, after.manifest.index) == (fingerprint, "quantizer")
    assert [each["kind"] for each in after.manifest.tuned["measured"]] == ["quantizer", "ivf"]
    assert verify(tmp_path / "it").faults == ()
    assert len(list((tmp_path / "it/segments").iterdir())) == 3
    assert main(["database", "tune", str(tmp_path / "it"), "--kinds", "fast"]) == 2
    assert "expected some of scan" in capsys.readouterr().err

    def no_links(*names: object) -> None:
        raise OSError("no links")

    monkeypatch.setattr("core.patches.tending.indexing.os.link", no_links)
    assert reindex(tmp_path / "it", "scan") == 3
    assert same(SegmentedDatabase.open(tmp_path / "it").search(QUERIES, 30), answers)


def test_what_cannot_be_opened_afterwards_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An index whose files no manifest may name, as if a release had made a mistake."""

    def odd(folder: Path, *others: object) -> None:
        (folder / "odd name.txt").write_bytes(b"")

    segmented(tmp_path / "it", 2)
    kinds = {**writer.KINDS, "odd": writer.KINDS["scan"].__class__(odd, writer.KINDS["scan"].open)}
    monkeypatch.setattr(writer, "KINDS", kinds)
    monkeypatch.setattr(writer, "choose_kind", lambda *asked: "odd")
    with pytest.raises(DatabaseError, match="which no manifest may name"):
        compact(tmp_path / "it")
    assert same(SegmentedDatabase.open(tmp_path / "it").search(QUERIES, 9), build().search(QUERIES, 9))
    with pytest.raises(DatabaseError, match="which no manifest may name"):
        merge([build()], tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_database_that_somebody_else_changed_meanwhile_is_left_to_them(tmp_path: Path) -> None:
    segmented(tmp_path / "it", 2)

    def changed(batches: Any) -> Any:
        values = json.loads((tmp_path / "it" / MANIFEST).read_text())
        (tmp_path / "it" / MANIFEST).write_text(json.dumps({**values, "tuned": {"by": "another"}}))
        return batches

    with pytest.raises(DatabaseError, match="was changed meanwhile"):
        compact(tmp_path / "it", progress=changed)
    assert len(SegmentedDatabase.open(tmp_path / "it").segments) == 3
    assert len(list((tmp_path / "it/segments").iterdir())) == 3


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.integers(1, 20))
def test_neighbours_are_grouped_up_to_a_size(sizes: list[int], most: int) -> None:
    class Part:
        class header:
            positions = 1

        def __init__(self, size: int) -> None:
            self.size = size

        def __len__(self) -> int:
            return self.size

    parts = [Part(size) for size in sizes]
    groups = groups_of(parts, most)  # type: ignore[arg-type]
    assert [part for group in groups for part in group] == parts
    sums = [sum(map(len, group)) for group in groups]  # type: ignore[arg-type]
    assert all(total <= most or len(group) == 1 for total, group in zip(sums, groups, strict=True))
    assert all(one + len(group[0]) > most for one, group in zip(sums, groups[1:], strict=False))  # type: ignore[arg-type]


# ---------------------------------------------------------------------------------------------------------------------
# Figures


def test_figures_are_those_of_the_database_in_memory(tmp_path: Path) -> None:
    segmented(tmp_path / "it", 2)
    small, found = build(), stats_of(SegmentedDatabase.open(tmp_path / "it"))
    assert (found.images, found.entries, found.exact) == (6, len(small), True)
    assert (found.unique_contexts, found.repeated_contexts) == (small.unique_contexts, small.repeated_contexts)
    assert found.codes_used == len(np.unique(GRIDS))
    assert found.styles == {"a": 3, "b": 3}
    assert (found.captions, found.pictures, found.sides, found.caption_vectors) == (6, 5, None, 3)
    assert found.bytes == sum(p.stat().st_size for p in (tmp_path / "it/segments").rglob("*") if p.is_file())
    assert found.bytes_an_entry == (found.files["grids"] + found.files["index"]) / len(small)


def test_sides_and_licences_of_files(tmp_path: Path) -> None:
    rows = [ImageRow(ImageInfo("a"), "MIT", width=30, height=20), ImageRow(ImageInfo("b"), "MIT", width=9, height=40)]
    database = write(tmp_path / "it", GRIDS[:2], rows)
    found = stats_of(database)
    assert (found.sides, found.licences) == ((9, 40), {"MIT": 2})
    assert (licence_of(database, 1), licence_of(database, 2)) == ("MIT", "")


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.integers(0, 40), max_size=30), max_size=8))
def test_few_are_counted_and_no_more_than_asked_for_are_held(parts: list[list[int]]) -> None:
    every = [value for part in parts for value in part]
    exact, rough = Distinct(1000), Distinct(8)
    for part in parts:
        hashes = hashed(np.array([part], np.int64))
        exact.add(hashes)
        rough.add(hashes)
    values, counts = np.unique(every, return_counts=True)
    assert (exact.different, exact.repeated, exact.exact) == (len(values), int((counts > 1).sum()), True)
    assert rough.exact == (len(values) <= 8)


def test_many_are_estimated() -> None:
    """20,000 different ones, each twice, with room for 1,024: the error is about 1 in 30."""
    counter, values = Distinct(1024), np.arange(20_000)
    for part in np.split(np.concatenate([values, values]), 40):
        counter.add(hashed(np.stack([part % 97, part])))
    assert not counter.exact
    assert counter.different == pytest.approx(20_000, rel=0.12)
    assert counter.repeated == counter.different


# ---------------------------------------------------------------------------------------------------------------------
# Prune


def test_images_that_are_never_retrieved_are_found(tmp_path: Path) -> None:
    """Images 0 and 1 are the held-out pictures themselves, so K = 1 finds nothing but them."""
    database, asked = build(), DecodeSettings(n_neighbours=1)
    mass = usage.masses(database, 6, GRIDS[:2].astype(np.uint16), asked)
    assert mass.sum() == pytest.approx(2 * 3 * 3)
    assert set(np.flatnonzero(mass)) == {0, 1}
    assert usage.kept_images(np.arange(6), mass, None).tolist() == [0, 1]
    assert len(usage.kept_images(np.arange(6), mass, 0.5)) == 3
    assert usage.kept_images(np.arange(6), np.zeros(6), None).tolist() == [0]
    mass = np.array([0, 5.0, 0, 3.0, 2.0])
    assert usage.kept_images(np.array([1, 2, 3, 4]), mass, None, 0.8).tolist() == [1, 3]
    assert usage.kept_images(np.array([1, 2, 3, 4]), mass, None, 0.81).tolist() == [1, 3, 4]
    assert usage.kept_images(np.array([1, 2, 3, 4]), mass, 0.25).tolist() == [1]


def test_nothing_left_out_is_nothing_lost() -> None:
    database, even = build(), np.full(32, 1 / 32)
    found = usage.loss(database, database, GRIDS[:2].astype(np.uint16), even, DecodeSettings(n_neighbours=3))
    assert (found.positions, found.changed, found.neighbours, found.nats) == (18, 0, 0, 0)
    assert found.distance_before == found.distance_after == 0
    without = database.subset([2, 3, 4, 5])
    lost = usage.loss(database, without, GRIDS[:2].astype(np.uint16), even, DecodeSettings(n_neighbours=1, gate=0))
    assert lost.changed == lost.neighbours == 1
    assert lost.distance_after > 0
    assert lost.retrieval_before == 1
    assert lost.nats > 0


def test_pictures_that_the_database_holds_are_no_held_out_ones() -> None:
    grids = GRIDS.astype(np.uint16)
    assert usage.unknown_grids(grids[:3], [GRIDS[1:2]]).tolist() == [True, False, True]


def test_prune_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(1)
    write(tmp_path / "it", rng.integers(0, 32, (12, 6, 6)), named(*"abcdefghijkl"))
    held = rng.integers(0, 32, (4, 6, 6))
    write(tmp_path / "held", held, named(*"wxyz"))
    options = ["--heldout", tmp_path / "held", "--keep", 0.25, "--neighbours", 4, "--json"]
    found = told(capsys, "prune", tmp_path / "it", "--out", tmp_path / "less", *options)
    assert (found["images"], found["kept"], found["pictures_measured_by"]) == (12, 3, 2)
    assert found["changed"] > 0
    less = SegmentedDatabase.open(tmp_path / "less")
    assert less.image_count == 3
    assert {less.image_info(n).caption for n in range(3)} < set("abcdefghijkl")
    own = refused(capsys, "prune", tmp_path / "it", "--heldout", tmp_path / "it")
    assert "got 0 pictures that are not in the database" in own
    assert "expected a share" in refused(capsys, "prune", tmp_path / "it", "--keep", 2)


# ---------------------------------------------------------------------------------------------------------------------
# On the command line


def test_merge_compact_and_verify_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    segmented(tmp_path / "it", 2)
    made = told(capsys, "merge", tmp_path / "it", tmp_path / "it", "--out", tmp_path / "new")
    assert made["images"] == 6
    assert told(capsys, "compact", tmp_path / "it")["segments"] == 1
    assert told(capsys, "verify", tmp_path / "it", "--json")["whole"] is True
    grids = tmp_path / "it/segments" / SegmentedDatabase.open(tmp_path / "it").segments[0].record.name / "grids.npy"
    data = bytearray(grids.read_bytes())
    data[-1] ^= 1
    grids.write_bytes(data)
    capsys.readouterr()
    assert main(["database", "verify", str(tmp_path / "it")]) == 1
    assert "damaged: " in capsys.readouterr().err
    assert "which has no segments" in refused(capsys, "compact", "assets/databases/emoji")
    assert "holds something" in refused(capsys, "merge", tmp_path / "it", "--out", tmp_path / "new")


def test_search_and_sample_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "it", GRIDS, named("red heart", "heartland", "a red boat", "x", "y", "z"))
    found = told(capsys, "search", tmp_path / "it", "--text", "HEART", "--json")["found"]
    assert [one["image"] for one in found] == [0, 1]
    near = told(capsys, "search", tmp_path / "it", "--patch", "2,1,1", "--number", 3, "--json")["found"]
    assert (near[0]["image"], near[0]["row"], near[0]["col"], near[0]["distance"]) == (2, 1, 1, 0)
    assert near[0]["code"] == GRIDS[2, 1, 1]
    capsys.readouterr()
    assert main(["database", "search", str(tmp_path / "it"), "--patch", "2,1,1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:4] == ["image", "row", "col", "code"]
    assert lines[1].split()[:3] == ["2", "1", "1"]
    assert "expected an image, a row and a column" in refused(capsys, "search", tmp_path / "it", "--patch", "2,1")
    assert "nothing is looked up" in refused(capsys, "search", tmp_path / "it", "--patch", "2,0,1")
    assert "does not hold" in refused(capsys, "search", tmp_path / "it", "--patch", "9,1,1")
    assert "got no word" in refused(capsys, "search", tmp_path / "it", "--text", "?!")


def test_a_sample_of_what_ships_is_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "sheet.png"
    made = told(capsys, "sample", "unseen", "--out", out, "--number", 7, "--columns", 4, "--styles", "noto")
    assert len(made["images"]) == 7
    assert made == told(capsys, "sample", "unseen", "--out", out, "--number", 7, "--columns", 4, "--styles", "noto")
    with Image.open(out) as picture:
        assert picture.size == (4 * 96, 2 * (96 + 26))
        assert len(picture.convert("RGB").resize((40, 24)).getcolors(960)) > 100
    assert told(capsys, "sample", "unseen", "--out", out, "--images", "5,3")["images"] == [5, 3]
    assert "expected a name that ends" in refused(capsys, "sample", "unseen", "--out", tmp_path / "sheet.txt")
    assert "expected numbers such as" in refused(capsys, "sample", "unseen", "--out", out, "--images", "5,x")
    assert "does not hold" in refused(capsys, "sample", "unseen", "--out", out, "--images", "99999")


def test_figures_for_people_have_a_line_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    segmented(tmp_path / "it", 2)
    capsys.readouterr()
    assert main(["database", "stats", str(tmp_path / "it")]) == 0
    said = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    assert said["images"].strip() == "6"
    assert said["styles"].strip() == "a 3, b 3"
    shutil.rmtree(tmp_path / "it/segments/000000")
    assert "got no such file" in refused(capsys, "stats", tmp_path / "it")


def test_every_action_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["database", "--help"])
    assert ended.value.code == 0
    listed = capsys.readouterr().out
    for action in ("info", "build", "merge", "compact", "prune", "sample", "stats", "verify", "search", "push", "pull"):
        assert f"\n    {action} " in listed
        with pytest.raises(SystemExit):
            main(["database", action, "--help"])
        assert "--help" in capsys.readouterr().out
