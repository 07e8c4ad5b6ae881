"""Files in Gradio's cache are whole from the start, and written once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.caching import cached_file


def test_a_file_that_is_there_is_not_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written, write = list[Path](), Path.write_bytes

    def noted(path: Path, data: bytes) -> int:
        written.append(path)
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", noted)
    path = Path(cached_file(b"an atlas", "atlas.webp", str(tmp_path)))
    assert (path.read_bytes(), path.name) == (b"an atlas", "atlas.webp")
    os.utime(path, (1, 1))
    assert cached_file(b"an atlas", "atlas.webp", str(tmp_path)) == str(path)
    assert len(written) == 1
    assert written[0] != path  # it got its name when it was whole
    assert path.stat().st_mtime > 1  # it counts as new, and is not cleared away
    assert [file.name for file in path.parent.iterdir()] == ["atlas.webp"]


def test_other_content_is_another_file_and_no_name_leads_out_of_the_cache(tmp_path: Path) -> None:
    one, other = (cached_file(data, "run.npz", str(tmp_path)) for data in (b"one", b"other"))
    assert Path(one).parent != Path(other).parent
    outside = Path(cached_file(b"x", "../../run.npz", str(tmp_path)))
    assert outside.parent.parent == tmp_path.resolve()
