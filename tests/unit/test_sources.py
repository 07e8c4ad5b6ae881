"""Where pictures come from: every kind of source gives the same pictures, and tells of all that it leaves out."""

from __future__ import annotations

import io
import json
import os
import random
import string
import sys
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from core.inputs.formats import PictureError
from core.patches.building import sources
from core.patches.building.captions import MOST_CAPTION, Said, cleaned, describe, plain_value, text_of
from core.patches.building.kinds import braces, open_source, resolved
from core.patches.building.sources import Item, LeftOut, SourceChoice
from core.types import ConfigError


def picture(colour: str | tuple[int, int, int] = "red", kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (4, 4), colour).save(file, kind)
    return file.getvalue()


RED, BLUE, GREEN = picture("red"), picture("blue"), picture("green")

Listed = list[tuple[str, bytes | str, Said]]


def listed(path: Path | str, rule: str = "all", **choice: Any) -> tuple[Listed, Mapping[str, Any]]:
    """Name, bytes (or why there are none) and what is said, of every picture; and what was left out."""
    chosen = resolved(SourceChoice(str(path), **choice))
    source, left_out, found = open_source(chosen), LeftOut(), []
    for span in source.spans(left_out):
        again = sources.Span.of_json(json.loads(json.dumps(span.as_json())))
        assert again == span
        items = list(_read(source.items(span), source.name, rule, chosen.caption_column))
        assert len(items) == span.count
        found += items
    return found, {reason: said["names"] for reason, said in left_out.as_json().items()}


def _read(items: Any, collection: str, rule: str, column: str) -> Any:
    for item in items:
        try:
            data: bytes | str = item.read()
        except PictureError as error:
            data = error.kind
        yield item.name, data, describe(item, collection, rule, column)


def captions(found: Listed) -> dict[str, str]:
    return {name: said.info.caption for name, _, said in found}


def write(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


# -- folders ----------------------------------------------------------------------------------------------------------


def test_a_folder_is_read_with_all_below_it(tmp_path: Path) -> None:
    write(tmp_path, {
        "b.png": RED, "a.JPEG": BLUE, "deep/er/c": GREEN, "deep/d.dat": RED, "no_picture.md": b"text", "empty.jpg": b"",
        ".hidden/x.png": RED, "._a.JPEG": b"\0\5\x16\7", "@eaDir/a.JPEG/thumb.jpg": RED, "alone.txt": b"nobody's",
        "folder.png/e.png": RED,
    })  # fmt: skip
    found, left_out = listed(tmp_path)
    assert [(name, data) for name, data, _ in found] == [
        ("a.JPEG", BLUE), ("b.png", RED), ("empty.jpg", b""), ("deep/d.dat", RED), ("deep/er/c", GREEN),
        ("folder.png/e.png", RED),
    ]  # fmt: skip
    assert left_out == {
        "hidden": ["._a.JPEG", ".hidden"], "a folder of the system": ["@eaDir"], "other files (.md)": ["no_picture.md"],
        "a caption without its picture": ["alone.txt"], "a folder called as a picture": ["folder.png"],
    }  # fmt: skip


@pytest.mark.skipif(sys.platform == "win32", reason="links and bytes in names")
def test_links_are_followed_once_and_odd_names_are_kept(tmp_path: Path) -> None:
    write(tmp_path, {"a/x.png": RED, "z.png": BLUE})
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "b").symlink_to(tmp_path / "a")
    (tmp_path / "dangling.png").symlink_to("nowhere.png")
    (tmp_path / "self.png").symlink_to("self.png")
    (tmp_path / "linked.png").symlink_to("z.png")
    os.mkfifo(tmp_path / "pipe.png")
    odd = os.fsencode(tmp_path) + b"/caf\xe9 \xff.png"
    Path(os.fsdecode(odd)).write_bytes(GREEN)
    for name in ("हिन्दी दिल.png", "🍕.png", "n" * 230 + ".png"):
        (tmp_path / name).write_bytes(RED)
    found, left_out = listed(tmp_path)
    assert captions(found) == {
        "linked.png": "linked", "z.png": "z", "a/x.png": "x", "caf\\xe9 \\xff.png": "caf", "🍕.png": "🍕",
        "हिन्दी दिल.png": "हिन्दी दिल", "n" * 230 + ".png": "n" * 120,
    }  # fmt: skip
    assert {name: data for name, data, _ in found}["caf\\xe9 \\xff.png"] == GREEN
    assert left_out["a folder that is linked once more"] == ["a/loop", "b"]
    assert left_out["a link to nothing"] == ["dangling.png"]
    assert left_out["not a file"] == ["pipe.png"]
    assert sum(map(len, left_out.values())) == 5


def test_files_that_cannot_be_read_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"gone.png": RED, "large.png": RED + bytes(100)})
    monkeypatch.setattr(sources, "MOST_BYTES", len(RED) + 50)
    source = open_source(resolved(SourceChoice(str(tmp_path))))
    spans = list(source.spans(LeftOut()))
    (tmp_path / "gone.png").unlink()
    kinds = [data for span in spans for _, data, _ in _read(source.items(span), "", "all", "")]
    assert kinds == ["not there any more", "too large"]


def test_patterns_choose(tmp_path: Path) -> None:
    write(tmp_path, {"a.png": RED, "a.txt": b"one", "cats/b.png": BLUE, "cats/c.jpg": GREEN, "dogs/d.png": RED})
    found, left_out = listed(tmp_path, include=("cats", "a.*"), exclude=("*.jpg",))
    assert [name for name, _, _ in found] == ["a.png", "cats/b.png"]
    assert left_out == {"among --exclude": ["cats/c.jpg"], "not among --include": ["dogs/d.png"]}


@pytest.mark.parametrize(
    ("name", "data", "rule", "caption"),
    [
        ("a.txt", "a red apple".encode("utf-8-sig"), "all", "a red apple"),
        ("a.TXT", "a red apple".encode("utf-16"), "all", "a red apple"),
        ("a.caption", "a red apple".encode("utf-16-be"), "all", "a red apple"),
        ("a.Caption", "crème brûlée".encode("cp1252"), "all", "crème brûlée"),
        ("a.png.txt", "cre\u0300me".encode(), "all", "crème"),
        ("a.txt", b"\n  \nfirst\x00 one\r\nsecond\n", "first-line", "first one"),
        ("a.txt", b"\n  \nfirst\x00 one\r\nsecond\n", "all", "first one second"),
        ("a.txt", b"", "all", "a"),
        ("a.txt", b" \n\xef\xbb\xbf\n", "first-line", "a"),
        ("a.txt", b"\x81\x8d strange", "all", "strange"),
        ("a.json", json.dumps({"caption": "from json", "score": 2}).encode(), "all", "from json"),
    ],
)
def test_captions_beside_pictures(tmp_path: Path, name: str, data: bytes, rule: str, caption: str) -> None:
    write(tmp_path, {"a.png": RED, name: data})
    found, left_out = listed(tmp_path, rule)
    assert captions(found) == {"a.png": caption}
    assert left_out == {}


def test_the_better_caption_counts(tmp_path: Path) -> None:
    """Text before .caption before JSON before a table before the name; an empty one counts for nothing."""
    write(tmp_path, {
        "a.png": RED, "a.txt": b"text", "a.caption": b"caption", "b.png": RED, "b.txt": b" ", "b.caption": b"caption",
        "c.png": RED, "c.json": b'{"text": "json", "style": "flat"}', "deep/d.png": RED, "e.png": RED, "f.png": RED,
        "metadata.jsonl": b"""{"file_name": "c.png", "text": "table", "score": 0.5}
{"file_name": "deep/d.png", "text": "table", "style": "3d", "concept": "cat", "license": "CC0", "n": 3}
{"file_name": "e.png", "text": ["first", "second"], "tags": ["x", "y"], "width": 7}
{"file_name": "gone.png", "text": "nobody"}
not json
""",
    })  # fmt: skip
    found, left_out = listed(tmp_path)
    assert captions(found) == {
        "a.png": "text", "b.png": "caption", "c.png": "table", "deep/d.png": "table", "e.png": "first second",
        "f.png": "f",
    }  # fmt: skip
    said = {name: said for name, _, said in found}
    assert (said["c.png"].info.style, said["c.png"].more) == ("flat", {"score": 0.5})
    assert (said["deep/d.png"].info.concept, said["deep/d.png"].licence) == ("cat", "CC0")
    assert said["deep/d.png"].more == {"n": 3}
    assert said["e.png"].more == {"tags": '["x", "y"]', "width_given": 7}
    assert left_out == {
        "a line of metadata.jsonl that names no picture": ["line 5"],
        "a line of metadata.jsonl without its picture": ["gone.png"],
    }


@pytest.mark.parametrize("encode", [lambda text: text.encode("utf-8-sig"), lambda text: text.encode("utf-16")])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_tables_as_spreadsheets_save_them(tmp_path: Path, encode: Callable[[str], bytes], delimiter: str) -> None:
    text = 'file_name|caption|n\r\na.png|"two\r\nlines|"|1\r\n\r\nb.png||2\r\n'.replace("|", delimiter)
    write(tmp_path, {"a.png": RED, "b.png": BLUE, "metadata.csv": encode(text)})
    found, left_out = listed(tmp_path)
    assert captions(found) == {"a.png": f"two lines{delimiter}".strip(), "b.png": "b"}
    assert (found[0][2].more, left_out) == ({"n": "1"}, {})


def test_lists_of_paths(tmp_path: Path) -> None:
    write(tmp_path / "x", {"a.png": RED, "a.txt": b"beside", "b.png": BLUE})
    absolute = tmp_path / "x" / "b.png"
    (tmp_path / "list.txt").write_text(f"# mine\nx/a.png\n\n{absolute}\ta caption\nx/gone.png\n", encoding="utf-8")
    found, _ = listed(tmp_path / "list.txt")
    assert [(data, said.info.caption) for _, data, said in found] == [
        (RED, "beside"), (BLUE, "a caption"), ("not there any more", "gone"),
    ]  # fmt: skip
    (tmp_path / "list.csv").write_text("Path,Caption\nx/a.png,other\n", encoding="utf-8")
    assert captions(listed(tmp_path / "list.csv")[0]) == {"x/a.png": "beside"}
    (tmp_path / "bad.csv").write_text("one,two\n1,2\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="expected a column of the pictures' paths"):
        listed(tmp_path / "bad.csv")


# -- tars -------------------------------------------------------------------------------------------------------------


def tar(path: Path, files: list[tuple[str, bytes]], mode: Any = "w") -> Path:
    with tarfile.open(path, mode) as made:
        for name, data in files:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            made.addfile(member, io.BytesIO(data))
    return path


SAMPLES = [
    ("0/000.jpg", RED), ("0/000.txt", b"the first"), ("0/000.json", b'{"url": "http://x", "caption": "worse"}'),
    ("0/001.png", BLUE), ("0/001.json", b'{"caption": "from json"}'), ("0/001.cls", b"3"),
    ("0/002.txt", b"without"), ("0/003.jpg", GREEN), ("0/003.mask.png", RED), ("0/._004.jpg", RED),
    ("n" * 150 + ".png", RED),
]  # fmt: skip


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_samples_in_tars(tmp_path: Path, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.patches.building.tars.SPAN", 2)
    monkeypatch.setattr("core.patches.building.tars.PACKED_SPANS", 1)
    tar(tmp_path / "x-000.tar", SAMPLES, mode)
    found, left_out = listed(tmp_path / "x-000.tar")
    assert [(name, data) for name, data, _ in found] == [
        ("x-000.tar/0/000.jpg", RED), ("x-000.tar/0/001.png", BLUE), ("x-000.tar/0/003.jpg", GREEN),
        ("x-000.tar/" + "n" * 150 + ".png", RED),
    ]  # fmt: skip
    assert [said.info.caption for _, _, said in found] == ["the first", "from json", "003", "n" * 120]
    assert found[0][2].more == {"url": "http://x"}
    assert left_out == {
        "other files in tars": ["x-000.tar/0/001.cls", "x-000.tar/0/._004.jpg"],
        "a sample without its picture": ["x-000.tar/0/002"],
        "further pictures of a sample": ["x-000.tar/0/003.mask.png"],
    }


def test_tars_by_patterns_and_folders(tmp_path: Path) -> None:
    for number in range(3):
        tar(tmp_path / f"s-{number:03d}.tar", [(f"{number}.png", picture((number, 0, 0)))])
    write(tmp_path, {"s-000.parquet": b"of img2dataset", "s_stats.json": b"{}"})
    whole = [name for name, _, _ in listed(tmp_path)[0]]
    assert whole == ["s-000.tar/0.png", "s-001.tar/1.png", "s-002.tar/2.png"]
    assert [name for name, _, _ in listed(tmp_path / "s-{000..002}.tar")[0]] == whole
    assert [name for name, _, _ in listed(tmp_path / "s-*.tar")[0]] == whole
    some = listed(tmp_path / "s-002.tar", more=(str(tmp_path / "s-{000,001}.tar"),))[0]
    assert [name for name, _, _ in some] == [whole[2], *whole[:2]]
    with pytest.raises(ConfigError, match="expected a folder, file or pattern"):
        listed(tmp_path / "t-*.tar")


def test_damaged_tars_lose_no_more_than_they_must(tmp_path: Path) -> None:
    whole = tar(tmp_path / "a.tar", [(f"{n}.png", picture((n, 0, 0))) for n in range(4)]).read_bytes()
    (tmp_path / "a.tar").write_bytes(whole[: 512 * 6 - 100])  # within the third one's bytes or header
    found, left_out = listed(tmp_path / "a.tar")
    assert [name for name, data, _ in found if isinstance(data, bytes)][:2] == ["a.tar/0.png", "a.tar/1.png"]
    assert [reason for reason in left_out if "damaged" in reason] or found[-1][1] == "in a damaged tar file"
    spoiled = bytearray(whole)
    spoiled[1024:1600] = b"\xff" * 576  # the second header
    (tmp_path / "a.tar").write_bytes(spoiled)
    found, left_out = listed(tmp_path / "a.tar")
    assert [name for name, _, _ in found] == ["a.tar/0.png"]
    assert left_out == {"the rest of a tar file that is damaged (a header that is none)": ["a.tar"]}


@given(st.integers(0, 120), st.integers(0, 120))
def test_braces_count_up_and_down(first: int, last: int) -> None:
    expected = [f"a{n:03d}.tar" for n in (range(first, last + 1) if first <= last else range(first, last - 1, -1))]
    assert list(braces(f"a{{{first:03d}..{last:03d}}}.tar")) == expected
    assert list(braces("{x,y}{1..2}")) == ["x1", "x2", "y1", "y2"]


# -- tables -----------------------------------------------------------------------------------------------------------


def test_parquet_with_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.patches.building.tables.SPAN", 3)
    pictures = [picture((n, 9, 9)) for n in range(8)]
    table = pa.table({
        "id": list(range(8)), "jpg": pictures, "Caption": [f"c{n}" if n != 2 else None for n in range(8)],
        "aesthetic": [n / 2 for n in range(8)], "vector": [[1.0, 2.0]] * 8,
    })  # fmt: skip
    pq.write_table(table, tmp_path / "x.parquet", row_group_size=5)
    found, _ = listed(tmp_path / "x.parquet")
    assert [name for name, _, _ in found] == [f"x.parquet#{n}" for n in range(8)]
    assert [data for _, data, _ in found] == pictures
    assert [said.info.caption for _, _, said in found[:4]] == ["c0", "c1", "picture", "c3"]
    assert found[3][2].more == {"id": 3, "aesthetic": 1.5, "vector": "[1.0, 2.0]"}
    with pytest.raises(ConfigError, match="got the columns id, jpg, Caption, aesthetic, vector, expected 'img'"):
        listed(tmp_path / "x.parquet", image_column="img")
    assert captions(listed(tmp_path / "x.parquet", caption_column="id")[0])["x.parquet#3"] == "3"


def test_parquet_with_structs_and_paths(tmp_path: Path) -> None:
    write(tmp_path, {"pics/a.png": RED, "pics/b.png": BLUE})
    rows = [{"bytes": GREEN, "path": "inside/name_one.png"}, {"bytes": None, "path": "pics/b.png"}, None]
    features = {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}
    noted = {b"huggingface": json.dumps({"info": {"features": features}})}
    table = pa.table({"image": rows, "label": [0, 1, 1]}).replace_schema_metadata(noted)
    pq.write_table(table, tmp_path / "s.parquet")
    found, _ = listed(tmp_path / "s.parquet")
    assert [data for _, data, _ in found] == [GREEN, BLUE, "a row without a picture"]
    assert [(said.info.caption, said.more) for _, _, said in found[:2]] == [
        ("name one", {"label": "cat"}), ("b", {"label": "dog"}),
    ]  # fmt: skip
    pq.write_table(pa.table({"image_path": ["pics/a.png", "https://x/y.png"]}), tmp_path / "p.parquet")
    assert [data for _, data, _ in listed(tmp_path / "p.parquet")[0]] == [RED, "an address, and no picture"]
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 nothing")
    found, left_out = listed(tmp_path / "bad.parquet")
    assert (found, list(left_out.values())) == ([], [["bad.parquet"]])


def test_folders_that_datasets_has_saved(tmp_path: Path) -> None:
    """Made as `Dataset.save_to_disk` makes them, and, where that library is, by it."""
    rows = pa.table({"image": [{"bytes": RED, "path": None}, {"bytes": BLUE, "path": "b.png"}], "text": ["one", "two"]})
    for split in ("train", "test"):
        place = tmp_path / "saved" / split
        place.mkdir(parents=True)
        with (
            pa.OSFile(str(place / "data-00000-of-00001.arrow"), "wb") as file,
            pa.ipc.new_stream(file, rows.schema) as w,
        ):
            w.write_table(rows, max_chunksize=1)
        (place / "state.json").write_text('{"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}', "utf-8")
    (tmp_path / "saved" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}', encoding="utf-8")
    found, _ = listed(tmp_path / "saved")
    assert [(name, data, said.info.caption) for name, data, said in found[1:3]] == [
        ("train/data-00000-of-00001.arrow#1", BLUE, "two"), ("test/data-00000-of-00001.arrow#0", RED, "one"),
    ]  # fmt: skip
    assert captions(listed(tmp_path / "saved" / "test")[0])["data-00000-of-00001.arrow#1"] == "two"


# -- what is said -----------------------------------------------------------------------------------------------------


def test_long_captions_are_cut_at_a_word() -> None:
    said = describe(Item("a", lambda: b"", "a", [b"a red apple on a table, " * 60]), "x", "all")
    assert (len(said.info.caption) <= MOST_CAPTION, said.whole, said.origin) == (True, False, "beside")
    assert said.info.caption.endswith(("apple", "on", "red", "table,", "a"))


@given(st.text(max_size=60))
def test_any_text_is_read_and_said_on_one_line(text: str) -> None:
    encodable = text.encode("utf-8", "ignore").decode()
    for encoding in ("utf-8-sig", "utf-16"):
        assert text_of(encodable.encode(encoding)) == encodable
    line = cleaned(text)
    assert cleaned(line) == line
    assert line.isprintable() or not any(char in string.whitespace for char in line.replace(" ", ""))
    line.encode()


def test_values_are_kept_plain() -> None:
    assert [plain_value(value) for value in (1, 1.5, True, "x", None, b"x", float("nan"), 2**70)] == [
        1, 1.5, True, "x", None, None, None, str(2**70),
    ]  # fmt: skip
    assert plain_value({"a": [1]}) == '{"a": [1]}'


def test_any_bytes_are_some_text() -> None:
    rng = random.Random(1)
    for _ in range(200):
        assert isinstance(text_of(rng.randbytes(rng.randrange(40))), str)


def test_what_is_no_source_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(RED)
    for path, said in ((tmp_path / "a.png", "one picture, expected a folder"), (tmp_path / "b", "check the path")):
        with pytest.raises(ConfigError, match=said):
            listed(path)
