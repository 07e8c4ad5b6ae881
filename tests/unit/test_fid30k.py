"""Distances to many real pictures: in parts the same as at once, and whole runs with what cannot be used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.backends.emoji.backend import EmojiBackend
from core.evaluation.distances import cmmd, frechet, moments
from core.evaluation.findings import Table
from core.evaluation.many import cmmd_of, in_parts, moments_of, wavelet_distance_of
from core.evaluation.suite import Subject
from core.evaluation.suites.fid30k import SUITE, Fid30kWork
from core.evaluation.wavelets import wavelet_distance
from core.patches.database import PatchDatabase
from core.types import ConfigError, FloatArray
from tests.closeness import assert_close
from tests.rows import rows_of
from tests.traces import SETTINGS


class Means:
    """A network that sees the mean colour of each quarter."""

    name = "mean colours"

    def features(self, pictures: np.ndarray[Any, np.dtype[np.uint8]]) -> FloatArray:
        """[N, 12]."""
        side = pictures.shape[1] // 2
        found = pictures.reshape(len(pictures), 2, side, 2, side, 3).mean(axis=(2, 4)) / 255
        return found.reshape(len(pictures), -1).astype(np.float32)


@pytest.fixture
def subject(backend: EmojiBackend, database: PatchDatabase) -> Subject:
    return Subject("tiny", backend, "tiny", database, SETTINGS)


@pytest.fixture
def given(tmp_path: Path) -> dict[str, Any]:
    """Options of a small run: five real pictures, one of them damaged, and five prompts, one of them empty."""
    rng = np.random.default_rng(0)
    for n in range(4):
        folder = tmp_path / "real" / ("deep" if n % 2 else ".")
        folder.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 255, (40 + n, 50, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{n}.png")
    (tmp_path / "real" / "damaged.jpg").write_bytes(b"\xff\xd8 no picture")
    (tmp_path / "real" / "readme.md").write_text("not a picture", encoding="utf-8")
    (tmp_path / "prompts.txt").write_text("a red heart\na pizza\n \na dog\r\nbig heart\n", encoding="utf-8")
    usual = {"count": 0, "methods": "daid", "pictures": [], "batch": 2, "side": 16, "inception": "", "clip": ""}
    return {**usual, "prompts": str(tmp_path / "prompts.txt"), "reference": str(tmp_path / "real")}


def with_means(work: Fid30kWork) -> Fid30kWork:
    """With a network that is given as an object, in the place of both."""
    work._networks = {"inception": Means(), "clip": Means()}
    return work


def test_parts_give_what_all_at_once_gives() -> None:
    rng = np.random.default_rng(1)
    ours, theirs = rng.normal(size=(7, 3)), rng.normal(1, 2, size=(9, 3))

    def cut(rows: np.ndarray[Any, np.dtype[np.float64]]) -> Any:
        return lambda: (rows[first : first + 2] for first in range(0, len(rows), 2))

    assert_close(frechet(moments_of(cut(ours)), moments_of(cut(theirs))), frechet(moments(ours), moments(theirs)))
    assert_close(cmmd_of(cut(ours), cut(theirs)), cmmd(ours, theirs))
    pictures = rng.integers(0, 255, (6, 32, 32, 3)).astype(np.uint8)
    real = rng.integers(0, 200, (5, 32, 32, 3)).astype(np.uint8)
    assert_close(wavelet_distance_of(cut(pictures)(), cut(real)()), wavelet_distance(pictures, real))
    assert [len(part) for part in in_parts([ours[:3], ours[:2], ours[:1]], 4)] == [5, 1]


def test_a_run_measures_every_arm_and_lists_what_it_leaves_out(subject: Subject, given: dict[str, Any]) -> None:
    work = with_means(SUITE.open(subject, given))
    rows = rows_of(work)
    assert [row.key for row in rows] == [
        "drawn-000000", "drawn-000002", "drawn-000004", "files-0-000000", "files-0-000002", "files-0-000004",
    ]  # fmt: skip
    drawn = np.stack([pixels for row in rows for pixels in row.pixels("daid")])
    real = np.stack([pixels for row in rows for pixels in row.pixels("reference")])
    assert drawn.shape == (4, 16, 16, 3)
    assert real.shape == (4, 16, 16, 3)
    first, pictures, released = SUITE.findings(rows, given)
    table, left_out = (block for block in first.blocks if isinstance(block, Table))
    lines = {str(row[0]): row[1:] for row in table.rows}
    assert table.head == ("distance to the real ones", "reference", "daid")
    assert lines["pictures"] == (4, 4)
    means = Means()
    expected = frechet(moments(means.features(drawn)), moments(means.features(real)))
    assert_close(lines["FID (Inception)"][1], expected, relative=1e-3)
    assert_close(lines["CMMD"][1], cmmd(means.features(drawn), means.features(real)), relative=1e-3)
    assert_close(lines["FWD"][1], wavelet_distance(drawn, real))
    assert [row[0] for row in left_out.rows] == ["prompts, line 3", "reference"]
    assert "mean colours" in first.text
    assert pictures.blocks
    assert "README" in released.blocks[0].note  # type: ignore[union-attr]


def test_without_networks_the_wavelet_distance_is_left(subject: Subject, given: dict[str, Any]) -> None:
    given |= {"pictures": [given["reference"] + "/deep"], "prompts": ""}
    rows = rows_of(SUITE.open(subject, given))
    first, *_ = SUITE.findings(rows, given)
    table = first.blocks[0]
    assert isinstance(table, Table)
    assert [row[0] for row in table.rows] == ["pictures", "FWD"]
    assert table.head[1:] == ("reference", "deep")
    assert "Unavailable: FID (Inception): no weights were given" in first.text
    half = [row for row in rows if row.about["kind"] == "reference"]
    assert SUITE.findings(half, given)[0].blocks  # of a run that is not finished


def test_what_cannot_be_measured_is_told_at_once(subject: Subject, given: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for wrong, told in (
        ({"reference": ""}, "give --reference"),
        ({"reference": str(tmp_path / "empty")}, "without pictures"),
        ({"prompts": ""}, "give --prompts"),
        ({"pictures": [given["reference"], given["reference"]]}, "two folders"),
    ):
        with pytest.raises(ConfigError, match=told):
            SUITE.open(subject, {**given, **wrong})
