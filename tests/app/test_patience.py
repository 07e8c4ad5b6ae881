"""A page over a model that is slow: nothing waits for what nobody asked for, and what one waits for is said."""

from __future__ import annotations

import io
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from app import drawing, waiting
from app.atlas import Atlas
from app.library import Library
from app.looks import UNKNOWN, Looks
from app.painting import KEPT_BYTES, QUICK_SECONDS, Painting
from app.pictures import ATLAS_COLUMNS
from app.plans import methods_plan
from app.session import Session
from app.shelf import MOST_FILES, SUFFIX, Shelf
from app.speeds import Speeds
from app.waiting import Progress
from core.backends.speed import Speed, measure
from core.types import CodeArray, Grid
from tests.app.asking import defaults, wait_until
from tests.app.fake import CODES, SIDE, FakeBackend, fake_database, palette
from tests.app.test_views import unpack

DECODING = QUICK_SECONDS + 0.05


@dataclass(frozen=True)
class SlowBackend(FakeBackend):
    """Takes its time for every picture that it decodes, and writes down how many those were."""

    decoding: float = DECODING
    decoded: list[int] = field(default_factory=list)

    def decode_codes(self, grids: CodeArray) -> npt.NDArray[np.uint8]:
        self.decoded.append(len(grids))
        time.sleep(self.decoding * len(grids))
        return super().decode_codes(grids)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "arrag-loupe"


@pytest.fixture
def shelf(home: Path) -> Shelf:
    return Shelf.of_user()


def slow_session(backend: SlowBackend) -> Session:
    return Session.over(Library({"fake": backend}, {"all": fake_database(backend, images=12)}))


# ---------------------------------------------------------------------------------------------------------------------
# One picture


def test_a_finished_picture_waits_for_no_picture_that_nobody_asked_for(home: Path) -> None:
    backend = SlowBackend()
    session = slow_session(backend)
    session.presenting._atlases["all"].make()  # measures the decoder
    backend.decoded.clear()
    session.runs.begin("ann", "")  # so that no look of a code is made beside it
    *_, update = session.drawing.draw("ann", "a disc", defaults)
    header, arrays = unpack(update.file)
    assert (update.state, update.atlas[:4]) == ("ready", b"RIFF")
    assert "patches" not in header["blobs"]  # each would take a picture
    assert "in_place" not in arrays
    assert backend.decoded.count(1) == len(backend.decoded) - backend.decoded.count(4)


def test_previews_of_a_slow_decoder_take_a_tenth_of_the_time_and_none_delays_the_end() -> None:
    now, cost = [100.0], 5.0
    pace = drawing._Pace(True, lambda: 1, Progress(576, lambda: now[0]), lambda: cost, None)
    made = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawing.time, "perf_counter", lambda: now[0])
        for code in range(576):
            now[0] += 0.5
            pace.progress.came()
            with pace.preview() as due:
                if due:
                    made.append((code, now[0]))
                    now[0] += cost
    assert [code for code, _ in made] == [100, 200, 300, 400, 500]  # 50 s of codes before each 5 s
    made.clear()
    pace = drawing._Pace(True, lambda: 1, Progress(108, lambda: now[0]), lambda: cost, None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawing.time, "perf_counter", lambda: now[0])
        for _ in range(108):
            now[0] += 0.5
            pace.progress.came()
            with pace.preview() as due:
                made.append(due)
    assert not any(made)  # at the hundredth, less is left than a preview takes


def test_no_preview_takes_so_long_that_nothing_is_heard_meanwhile() -> None:
    now, cost = [100.0], drawing.SLOWEST_SECONDS + 1
    pace = drawing._Pace(True, lambda: 1, Progress(576, lambda: now[0]), lambda: cost, None)
    made = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawing.time, "perf_counter", lambda: now[0])
        for _ in range(400):
            now[0] += 1
            pace.progress.came()
            with pace.preview() as due:
                made.append(due)
    assert not any(made)


def test_while_pictures_are_made_of_all_codes_something_is_heard(home: Path) -> None:
    session = slow_session(SlowBackend())
    session.presenting._atlases["all"].make()  # measures the decoder
    updates = list(session.drawing.draw("ann", "a disc", defaults))
    assert updates[-2].message.startswith("Making the picture from its codes, which takes about ")
    assert (updates[-2].state, updates[-1].state, updates[-1].message) == ("streaming", "ready", "")
    sheets = list(session.drawing.draw_together("ann", "a disc", lambda: methods_plan(defaults(), ("model", "daid"))))
    making = [f"Making picture {number} of 2 from its codes." for number in (1, 2)]
    assert [sheet.message for sheet in sheets[-3:]] == [*making, ""]
    assert [sheet.steps for sheet in sheets[-3:]] == [256] * 3
    numbers = [sheet.number for sheet in sheets]
    assert numbers == sorted(set(numbers))


def test_what_takes_long_is_told_again_until_it_is_there() -> None:
    told = list[int]()
    assert waiting.while_told(lambda: time.sleep(0.2) or 7, lambda: told.append(1), seconds=0.02) == 7
    assert len(told) > 1
    with pytest.raises(ZeroDivisionError):
        waiting.while_told(lambda: 1 // 0, lambda: told.append(1))


def test_pictures_are_made_once_and_the_oldest_make_room() -> None:
    backend, painting = SlowBackend(decoding=0.0), Painting()
    grids = np.arange(3, dtype=np.uint16)[:, None, None] * np.ones((16, 16), np.uint16)
    first = painting.pictures(backend, grids[[0, 1, 0]])
    assert (first == backend.decode_codes(grids[[0, 1, 0]])).all()
    backend.decoded.clear()
    assert (painting.picture(backend, grids[1]) == first[1]).all()
    painting.pictures(backend, grids)
    assert backend.decoded == [1]
    room = KEPT_BYTES // first[0].nbytes
    more = (np.arange(room) + 3).astype(np.uint16)[:, None, None] * np.ones((16, 16), np.uint16)
    painting.pictures(backend, more % CODES)
    painting.picture(backend, grids[1])
    assert backend.decoded == [1, room, 1]
    painting.forget()
    painting.picture(backend, grids[1])
    assert backend.decoded[-2:] == [1, 1]


def test_a_decoder_is_as_quick_as_it_was_at_its_best() -> None:
    ticks = iter([0.0, 9.0, 10.0, 10.2, 20.0, 29.0])
    backend, painting = FakeBackend(), Painting(lambda: next(ticks))
    assert painting.seconds(backend) == 0
    assert not painting.is_quick(backend)
    painting.picture(backend, np.ones((16, 16), np.uint16))
    assert painting.is_quick(backend)
    painting.picture(backend, np.full((16, 16), 2, np.uint16))
    assert painting.seconds(backend) == pytest.approx(0.2)


# ---------------------------------------------------------------------------------------------------------------------
# Looks of codes


def atlas_over(backend: FakeBackend, shelf: Shelf, idle: bool = True, images: int = 3) -> Atlas:
    painting = Painting()
    painting.took(backend, 5.0)
    return Atlas(backend, fake_database(backend, images) if images else None, painting, lambda: idle, shelf)


def test_looks_of_a_slow_decoder_come_from_the_pictures_of_the_database(shelf: Shelf) -> None:
    backend = SlowBackend(decoding=0.0)
    atlas = atlas_over(backend, shelf)
    before = atlas.encoded()
    assert (atlas.looks.patches == UNKNOWN).all()
    atlas.make()
    codes = np.unique(fake_database(backend, 3).grids)
    assert (np.flatnonzero(atlas.looks.seen) == codes).all()
    assert np.abs(atlas.looks.patches[codes].astype(int).mean(axis=(1, 2)) - palette()[codes]).mean() < 12
    assert atlas.encoded() != before
    assert backend.decoded == []


def test_codes_that_somebody_was_shown_are_decoded_when_there_is_time_and_kept(shelf: Shelf) -> None:
    backend = SlowBackend(decoding=0.0)
    atlas = atlas_over(backend, shelf, images=0)
    atlas.make()
    wanted = np.array([700, 3, 512, *range(100, 120)])
    atlas.want(wanted)
    wait_until(lambda: atlas._maker is None)
    assert (atlas.looks.patches[wanted, 0, 0] == palette()[wanted]).all()
    assert not atlas.looks.seen.any()
    assert (atlas.looks.patches[4] == UNKNOWN).all()
    assert backend.decoded == [1, 1]  # sixteen codes are seen in one picture
    atlas.want(wanted)
    again = atlas_over(backend, shelf, images=0)
    again.make()
    assert (again.looks.patches == atlas.looks.patches).all()
    again.want(wanted)
    assert backend.decoded == [1, 1]


def test_looks_wait_while_something_is_drawn(shelf: Shelf) -> None:
    backend = SlowBackend(decoding=0.0)
    atlas = atlas_over(backend, shelf, idle=False, images=0)
    atlas.want(np.array([1]))
    wait_until(lambda: atlas._looks is not None)
    maker = atlas._maker
    atlas.close()
    assert maker is not None
    assert not maker.is_alive()
    assert backend.decoded == []


def test_a_quick_decoder_makes_all_and_keeps_none(shelf: Shelf, home: Path) -> None:
    backend = FakeBackend()
    painting = Painting()
    painting.took(backend, 0.01)
    atlas = Atlas(backend, fake_database(backend, 3), painting, lambda: True, shelf)
    with Image.open(io.BytesIO(atlas.encoded())) as picture:
        assert picture.size == (ATLAS_COLUMNS * SIDE, CODES // ATLAS_COLUMNS * SIDE)
    assert atlas._made.all()
    assert not home.exists()


def some_looks(value: int = 7) -> tuple[Looks, Any]:
    made = np.arange(10) < 4
    return Looks(np.full((10, 4, 4, 3), value, np.uint8), made), made


def test_a_shelf_gives_back_what_it_was_given(shelf: Shelf, home: Path) -> None:
    looks, made = some_looks()
    shelf.write("one", looks, made)
    found = shelf.read("one", 10, 4)
    assert found is not None
    assert (found[0].patches == looks.patches).all()
    assert (found[0].seen == found[1]).all()
    assert (found[1] == made).all()
    assert shelf.read("another", 10, 4) is None
    assert shelf.read("one", 11, 4) is None  # of another codebook
    assert [path.suffix for path in home.iterdir()] == [".npz"]
    assert Shelf(None).read("one", 10, 4) is None


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 damaged", b"\x80\x04K\x01."])
def test_a_damaged_file_is_as_none(shelf: Shelf, home: Path, content: bytes) -> None:
    shelf.write("one", *some_looks())
    (file,) = home.iterdir()
    file.write_bytes(content or file.read_bytes()[:200])
    assert shelf.read("one", 10, 4) is None
    shelf.write("one", *some_looks(9))
    assert shelf.read("one", 10, 4) is not None


def test_objects_are_never_unpickled(shelf: Shelf, home: Path) -> None:
    shelf.write("one", *some_looks())
    (file,) = home.iterdir()
    np.savez(file, patches=np.array([{}], object), seen=np.ones(10, bool), made=np.ones(10, bool), format=1)
    assert shelf.read("one", 10, 4) is None


@pytest.mark.skipif(sys.platform == "win32", reason="modes mean nothing there")
def test_nothing_is_taken_from_where_others_may_write(shelf: Shelf, home: Path, tmp_path: Path) -> None:
    shelf.write("one", *some_looks())
    home.chmod(0o777)
    assert shelf.read("one", 10, 4) is None
    before = os.listdir(home)
    shelf.write("two", *some_looks())
    assert os.listdir(home) == before
    home.chmod(0o700)
    assert shelf.read("one", 10, 4) is not None
    link = tmp_path / "link"
    link.symlink_to(home)
    assert Shelf(link).read("one", 10, 4) is None


def test_a_shelf_has_room_for_few(shelf: Shelf, home: Path) -> None:
    for number in range(MOST_FILES + 3):
        shelf.write(str(number), *some_looks())
        for file in home.iterdir():
            os.utime(file, ns=(0, file.stat().st_mtime_ns - 10**9))
    assert len(list(home.glob(f"*{SUFFIX}"))) == MOST_FILES
    assert [shelf.read(str(number), 10, 4) is None for number in range(MOST_FILES + 3)] == [True] * 3 + [
        False
    ] * MOST_FILES


# ---------------------------------------------------------------------------------------------------------------------
# What is said


def test_a_speed_is_measured_by_later_codes_and_a_picture() -> None:
    codes = [0.0, 3.0, 10.0, 10.6, 20.0, 20.4, 30.0, 30.5, 40.0, 40.5]  # the first code reads the prompt
    ticks = iter([*codes, 50.0, 55.0, 60.0, 65.4])  # and so does what 24 codes take to be read
    speed = measure(FakeBackend(), "a disc", lambda: next(ticks))
    assert (speed.code, speed.picture, speed.read) == (pytest.approx(0.5), 5.0, pytest.approx(0.1))
    ticks = iter([0.0, 0.3, 1.0, 1.1, 1.0, 1.1, 1.0, 1.1, 1.0, 1.1, 2.0, 2.1])
    assert measure(FakeBackend(grid=Grid(4, 4)), "a disc", lambda: next(ticks)).read == 0  # nobody waits for it
    assert speed.whole(Grid(24, 24)) == pytest.approx(576 * 0.5 + 5)
    assert speed.told(Grid(24, 24)) == (
        "A picture takes about 5\xa0minutes here (an estimate: 576 codes at 0.5\xa0s each and 5\xa0s for its pixels, "
        "measured when the model was loaded)."
    )
    assert not Speed(0.003, 0.02).is_slow(Grid(16, 16))


def test_what_is_left_is_said_after_five_codes() -> None:
    now = [0.0]
    progress = Progress(576, lambda: now[0])
    for code in range(6):
        assert not progress.is_due()
        now[0] = 10.0 + 0.5 * code
        progress.came()
    assert progress.seconds == pytest.approx(0.5)
    assert progress.left == pytest.approx(285)
    assert progress.is_due()
    assert not progress.is_due()
    words = progress.words(FakeBackend(), 5.0)
    assert words.startswith("About 5\xa0minutes left, at 0.5\xa0s a code. fake, on the CPU")
    now[0] += waiting.TOLD_SECONDS
    assert progress.is_due()


def test_a_visitor_is_told_before_and_while_a_slow_picture_is_drawn(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "TOLD_SECONDS", 0.0)
    session = slow_session(SlowBackend(pause=0.004, decoding=0.0))
    assert session.speeds.told("fake") == ""
    session.speeds._measured["fake"] = Speed(0.5, 5.0)
    assert session.speeds.told("fake").startswith("A picture takes about 2\xa0minutes here (an estimate:")
    updates = list(session.drawing.draw("ann", "a disc", defaults))
    said = [update.message for update in updates[:-1] if update.message]
    assert said
    assert all("left, at" in message and "fake, on the CPU" in message for message in said)
    assert updates[-1].message == ""
    numbers = [update.number for update in updates]
    assert numbers == sorted(set(numbers))


def test_models_that_ship_are_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    library = Library({"emoji": FakeBackend(name="emoji")}, {})
    speeds = Speeds(library, Painting())
    speeds.measure()
    assert speeds.of("emoji") is None
    assert (speeds.is_slow("emoji"), speeds.told("emoji")) == (False, "")
