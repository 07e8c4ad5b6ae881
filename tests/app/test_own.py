"""Pictures that visitors bring: what is taken, what is refused and how, and that nobody else reaches them."""

from __future__ import annotations

import os
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app import own
from app.examples import examples
from app.session import Session
from app.views import Asked, Update
from core.inputs.picture import effort
from core.types import ConfigError, DecodeSettings
from tests.app.fake import code_of
from tests.app.stocked import PATCHES, stock
from tests.app.test_views import unpack


@pytest.fixture
def session() -> Session:
    return Session.over(stock())


def picture(folder: Path, name: str, colour: tuple[int, ...] = (200, 30, 30), size: tuple[int, int] = (40, 40)) -> Path:
    path = folder / name
    Image.new("RGB" if len(colour) == 3 else "RGBA", size, colour).save(path)
    return path


def png_header(path: Path, width: int, height: int) -> Path:
    """A PNG that says it is that large, and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))))
    return path


def brought(session: Session, visitor: str, paths: list[Path]) -> own.Brought:
    *progress, last = session.library.bring(visitor, paths)
    assert progress
    assert all(isinstance(found, own.Progress) for found in progress)
    assert isinstance(last, own.Brought)
    return last


def last(session: Session, visitor: str, database: str, **settings: object) -> Update:
    asked = Asked("fake", database, DecodeSettings(caption_filter=0, n_neighbours=16, **settings))  # type: ignore[arg-type]
    return list(session.drawing.draw(visitor, "sun", lambda: asked))[-1]


def test_retrieval_draws_from_own_pictures(session: Session, tmp_path: Path) -> None:
    colours = [(200, 30, 30), (30, 200, 30)]
    brought(session, "ann", [picture(tmp_path, f"square_{i}.png", c) for i, c in enumerate(colours)])
    update = last(session, "ann", own.YOURS)
    header, arrays = unpack(update.file)
    assert dict(header["facts"])["database"] == "Yours"
    assert {source[1] for source in header["sources"]} == {"square 0", "square 1"}
    near = arrays["near_image"].reshape(PATCHES, -1)
    assert (near[1:, 0] >= 0).all()  # borders are filled: everything but the first position retrieves
    codes = set(code_of(np.array(colours)).tolist())
    assert set(arrays["near_code"][arrays["near_image"] >= 0].tolist()) <= codes


def test_own_pictures_beside_the_embedded_ones(session: Session, tmp_path: Path) -> None:
    brought(session, "ann", [picture(tmp_path, "white.png", (255, 255, 255))])
    both = session.library.databases_of("ann")[own.BOTH]
    assert len(both.images) == 13
    assert [both.metadata[i].caption for i in (0, 1)] == ["white", "disc number 0"]
    header, _ = unpack(last(session, "ann", own.BOTH).file)
    assert dict(header["facts"])["database"] == "Emoji + yours"
    assert {source[2] for source in header["sources"]} - {own.STYLE} != set()


def test_nobody_else_reaches_them_and_leaving_drops_them(session: Session, tmp_path: Path) -> None:
    brought(session, "ann", [picture(tmp_path, "a.png")])
    assert set(session.library.databases_of("ann")) == {"all", own.YOURS, own.BOTH}
    assert set(session.library.databases_of("bob")) == {"all"}
    update = last(session, "bob", own.YOURS)
    assert update.state == "error"
    assert "not here any more; bring them again" in update.message
    session.leave("ann")
    assert last(session, "ann", own.YOURS).state == "error"


def test_nobody_makes_room_for_another(session: Session, tmp_path: Path) -> None:
    brought(session, "ann", [picture(tmp_path, "a.png")])
    found = session.library.own.database("ann", own.YOURS)
    assert found is not None
    few = own.Collections(bytes_kept=2 * found.nbytes)
    for visitor in ("a", "b", "b"):  # one's own place is free for what one brings anew
        few.keep(few.begin(visitor), found)
    with pytest.raises(ConfigError, match="no room for yours"):
        few.keep(few.begin("c"), found)
    assert [bool(few.databases(visitor)) for visitor in ("a", "b", "c")] == [True, True, False]
    few.forget("a")
    few.keep(few.begin("c"), found)


def test_few_databases_of_both_stay_in_memory_and_others_are_made_again(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own, "JOINED_KEPT", 1)
    for visitor in ("ann", "bob"):
        brought(session, visitor, [picture(tmp_path, f"{visitor}.png")])
    first, other = (session.library.databases_of(visitor)[own.BOTH] for visitor in ("ann", "bob"))
    assert session.library.databases_of("bob")[own.BOTH] is other
    again = session.library.databases_of("ann")[own.BOTH]
    assert again is not first
    assert again.fingerprint == first.fingerprint


@pytest.mark.parametrize("ends", ["forget", "leave", "stop", "newer"])
def test_what_has_ended_takes_no_pictures(session: Session, tmp_path: Path, ends: str) -> None:
    """Whoever ends it at whichever slice: nothing of it is kept, though it was nearly done."""
    paths = [picture(tmp_path, f"{i}.png") for i in range(3)]
    stopped = threading.Event()
    bringing = session.library.bring("ann", paths, stopped.is_set)
    assert next(bringing) == own.Progress("Reading", 0, 3)
    assert next(bringing) == own.Progress("Encoding", 0, 3)
    if ends == "newer":
        brought(session, "ann", [picture(tmp_path, "newer.png")])
    else:
        {"forget": lambda: session.library.own.forget("ann"), "leave": lambda: session.leave("ann"),
         "stop": stopped.set}[ends]()  # fmt: skip
    with pytest.raises(own.Stopped):
        next(bringing)
    found = session.library.own.database("ann", own.YOURS)
    assert [info.caption for info in found.metadata] == ["newer"] if found else ends != "newer"


def test_pixels_are_counted_before_they_are_decoded(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert effort(picture(tmp_path, "a.png", size=(300, 200)).read_bytes()) == 60_000
    assert effort(picture(tmp_path, "a.jpg", size=(800, 100)).read_bytes()) == 10_000  # it is decoded small
    assert effort(png_header(tmp_path / "wide.png", 60_000, 900).read_bytes()) == 54_000_000
    assert effort(b"hello") == 0
    frames = [Image.new("RGB", (20, 10), (50 * number, 0, 0)) for number in range(5)]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    assert effort((tmp_path / "moving.gif").read_bytes()) == 5 * 200
    monkeypatch.setattr(own, "MAX_PIXELS", 4_000)
    paths = [picture(tmp_path, f"{i}.png") for i in range(3)]  # 1,600 each
    result = brought(session, "ann", [*paths, picture(tmp_path, "small.png", size=(20, 20))])
    assert result.captions == ("0", "1", "small")
    assert result.refused[0].startswith("2.png: got more than 0 million pixels")


def test_a_run_is_shown_again_after_its_pictures_are_gone(session: Session, tmp_path: Path) -> None:
    brought(session, "ann", [picture(tmp_path, "a.png")])
    kept = last(session, "ann", own.YOURS).kept
    session.library.own.forget("ann")
    header, _ = unpack(session.opening.show("ann", kept).file)
    assert [source[1] for source in header["sources"]] == ["a"]
    assert set(header["blobs"]) == {"picture", "patches", "0"}  # decoded from the codes


def test_refusals_are_by_name_and_the_rest_is_taken(session: Session, tmp_path: Path) -> None:
    files = {
        "text.png": b"hello", "page.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>", "empty.jpg": b"",
        "code.gif": b"GIF89a" + bytes(20), "archive.webp": b"PK\x03\x04" + bytes(100),
    }  # fmt: skip
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    whole = picture(tmp_path, "cut.png", size=(300, 300))
    whole.write_bytes(whole.read_bytes()[:-40])
    bomb = png_header(tmp_path / "bomb.png", 30_000, 30_000)
    wide = png_header(tmp_path / "wide.png", 60_000, 900)
    heavy = tmp_path / "heavy.bmp"
    with heavy.open("wb") as file:
        file.truncate(own.MAX_BYTES + 2**20)
    good = picture(tmp_path, "good.webp")
    paths = [*(tmp_path / name for name in files), whole, bomb, wide, heavy, good]
    result = brought(session, "ann", paths)
    assert result.captions == ("good",)
    reasons = dict(refusal.split(": ", 1) for refusal in result.refused)
    assert set(reasons) == {path.name for path in paths} - {"good.webp"}
    assert "shrink it" in reasons["bomb.png"]
    assert "60000 x 900" in reasons["wide.png"]
    assert "cut off" in reasons["cut.png"]
    assert reasons["heavy.bmp"].startswith("got 11.0 MB")
    assert "1 picture is in your database" in result.message
    assert f"Refused heavy.bmp: {reasons['heavy.bmp']}" in result.message
    assert all(name in result.message for name in reasons)


def test_refusals_are_counted_by_reason() -> None:
    refused = [f"{number}.txt: no picture" for number in range(7)]
    assert own.by_reason(refused[:1]) == ["Refused 0.txt: no picture"]
    assert own.by_reason(refused[:2]) == ["Refused 2 files (0.txt, 1.txt): no picture"]
    assert own.by_reason([*refused, "x.png: empty"]) == [
        "Refused 7 files (0.txt, 1.txt, 2.txt, 3.txt, 4.txt and 2 more): no picture",
        "Refused x.png: empty",
    ]


def test_no_more_than_the_limit_is_taken(session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own, "MAX_PICTURES", 3)
    result = brought(session, "ann", [picture(tmp_path, f"{i}.png") for i in range(5)])
    assert result.captions == ("0", "1", "2")
    assert [refusal.split(":")[0] for refusal in result.refused] == ["3.png", "4.png"]
    assert "more than 3 pictures" in result.refused[0]


def test_nothing_taken_is_an_error_and_keeps_what_was_there(session: Session, tmp_path: Path) -> None:
    brought(session, "ann", [picture(tmp_path, "a.png")])
    (tmp_path / "b.png").write_bytes(b"no")
    for paths, said in (([tmp_path / "b.png"], "Refused b.png"), ([], "Got no file")):
        with pytest.raises(ConfigError, match=said):
            list(session.library.bring("ann", paths))
    assert own.YOURS in session.library.databases_of("ann")


def test_transparency_is_laid_on_white_and_the_short_side_padded(tmp_path: Path) -> None:
    clear = Image.new("RGBA", (64, 32), (255, 0, 0, 0))
    clear.paste((0, 0, 255, 255), (0, 0, 32, 32))
    clear.save(tmp_path / "a.png")
    image = own.read_picture(tmp_path / "a.png", 32)
    assert image.shape == (32, 32, 3)
    assert (image[10:22, :10] == (0, 0, 255)).all()
    assert (image[:, 20:] == 255).all()
    wide = own.read_picture(picture(tmp_path, "b.png", (10, 20, 30), (64, 32)), 32)
    assert (wide[:8] == 255).all()
    assert (wide[8:24] == (10, 20, 30)).all()
    assert (wide[24:] == 255).all()


def test_pictures_are_turned_upright(tmp_path: Path) -> None:
    cells = np.zeros((32, 32, 3), np.uint8)
    cells[:16] = 255
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    Image.fromarray(cells).save(tmp_path / "a.jpg", exif=exif, quality=100)
    upright = own.read_picture(tmp_path / "a.jpg", 32)
    assert upright[4].mean() < 10
    assert upright[28].mean() > 245


def test_captions_come_from_file_names(session: Session, tmp_path: Path) -> None:
    names = {"red_apple-2.png": "red apple 2", "Gru\u0308n.webp": "Gr\u00fcn", "__.png": "picture"}
    assert brought(session, "ann", [picture(tmp_path, name) for name in names]).captions == tuple(names.values())
    assert len(session.library.databases_of("ann")[own.YOURS].images) == 3


def test_files_that_are_none_cost_the_others_nothing(session: Session, tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "._a.png").write_bytes(b"\0\5\x16\7" + bytes(80))
    strips = [picture(tmp_path, f"{w}x{h}.png", size=(w, h)) for w, h in ((1000, 1), (1, 300), (1, 1))]
    bad = [tmp_path / name for name in ("folder.png", "missing.png", "._a.png")]
    result = brought(session, "ann", [*bad, *strips])
    assert len(result.captions) == 3
    reasons = dict(refusal.split(": ", 1) for refusal in result.refused)
    assert "a directory" in reasons["folder.png"] or os.name == "nt"  # which calls that "permission denied"
    assert "No such file" in reasons["missing.png"]
    assert "a file of macOS" in reasons["._a.png"]


def test_the_example_set_is_taken_as_it_is(session: Session) -> None:
    paths = list(examples().brought)
    result = brought(session, "ann", paths)
    assert len(result.images) == len(paths) == 24
    assert result.refused == ()
    assert "small house" in result.captions
    assert all(tile.picture.is_file() for tile in examples().own)


def test_those_who_bring_many_pictures_take_turns() -> None:
    turn, order = threading.Lock(), list[str]()

    def slices(name: str) -> Iterator[int]:
        for number in range(4):
            assert turn.locked()
            order.append(name)
            time.sleep(0.01)
            yield number

    def bring(name: str) -> list[int]:
        done = []
        for number in own.in_turns(slices(name), turn):
            done.append(number)
            time.sleep(0.002)
        return done

    with ThreadPoolExecutor(2) as both:
        assert [one.result() for one in [both.submit(bring, name) for name in "ab"]] == [[0, 1, 2, 3]] * 2
    assert order != sorted(order)
