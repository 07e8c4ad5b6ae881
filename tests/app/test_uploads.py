"""What visitors upload: each in a folder of its own, within bounds, and gone when it was read, or when nobody does."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app import uploads
from app.uploads import Upload, Uploads
from core.types import ConfigError
from tests.app.test_handed import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def waiting(clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Uploads:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    return Uploads(clock)


def came(waiting: Uploads, nbytes: int = 10, address: str = "") -> Upload:
    """An upload that is whole: one file in a folder of its own, as Gradio lays it."""
    upload = waiting.begin(nbytes, address)
    (upload.folder / "hash").mkdir(parents=True)
    (upload.folder / "hash" / "a.png").write_bytes(bytes(nbytes))
    waiting.whole(upload)
    return upload


def file(upload: Upload) -> str:
    return str(upload.folder / "hash" / "a.png")


def test_uploads_are_gone_when_they_were_read(waiting: Uploads) -> None:
    one, other = came(waiting), came(waiting)
    with waiting.read([file(one), file(other)]) as paths:
        assert [len(path.read_bytes()) for path in paths] == [10, 10]
    assert not one.folder.exists()
    assert not other.folder.exists()
    with waiting.read(file(one)) as paths:
        assert paths == []


def test_they_are_gone_whatever_happens_meanwhile(waiting: Uploads) -> None:
    upload = came(waiting)
    with pytest.raises(ConfigError, match="no picture"), waiting.read(file(upload)):
        raise ConfigError("no picture")
    assert not upload.folder.exists()


def test_nothing_but_uploads_is_read_or_removed(waiting: Uploads, tmp_path: Path) -> None:
    upload, mine = came(waiting), tmp_path / "mine.png"
    mine.write_bytes(b"mine")
    around = str(upload.folder / ".." / ".." / "mine.png")
    for name in (str(mine), around, str(waiting.place), "", "relative.png"):
        with waiting.read(name) as paths:
            assert paths == []
    assert mine.read_bytes() == b"mine"
    assert Path(file(upload)).is_file()
    with waiting.read(None) as paths:
        assert paths == []


def test_one_address_leaves_room_for_others(waiting: Uploads, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "BYTES_WAITING", 80)
    came(waiting, address="198.18.0.1")
    came(waiting, address="198.18.0.1")
    with pytest.raises(ConfigError, match="files of yours"):
        came(waiting, address="198.18.0.1")
    came(waiting, address="198.18.0.2")


def test_what_nobody_reads_goes_by_age_and_what_is_under_way_does_not(waiting: Uploads, clock: Clock) -> None:
    upload, slow = came(waiting), waiting.begin(10)
    slow.folder.mkdir(parents=True)
    clock.now = uploads.SECONDS_WAITING - 1
    waiting.sweep()
    assert upload.folder.exists()
    clock.now += 1
    waiting.sweep()
    assert not upload.folder.exists()
    assert slow.folder.exists()
    waiting.clear()
    assert list(waiting.place.iterdir()) == []


def test_what_a_killed_server_left_behind_goes(waiting: Uploads) -> None:
    left, young = (waiting.place / name for name in ("left", "young"))
    for folder in (left, young):
        folder.mkdir(parents=True)
        (folder / "a.png").write_bytes(b"x")
    os.utime(left, (1, 1))
    waiting.sweep()
    assert not left.exists()
    assert young.exists()  # perhaps that of another server


def test_uploads_are_bounded_one_by_one_and_in_all(
    waiting: Uploads, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="got 256 MB, expected at most 256"):
        waiting.begin(uploads.MAX_BYTES + 1)
    monkeypatch.setattr(uploads, "BYTES_WAITING", 25)
    first, second = came(waiting), came(waiting)
    with pytest.raises(ConfigError, match="try again in a minute"):
        came(waiting)
    clock.now = uploads.SECONDS_SPARED  # whoever uploads something reads it within a moment
    third = came(waiting)
    assert [upload.folder.exists() for upload in (first, second, third)] == [False, True, True]
    monkeypatch.setattr(uploads, "MOST_WAITING", 2)
    with pytest.raises(ConfigError, match="try again in a minute"):
        came(waiting, 0) and came(waiting, 0)
