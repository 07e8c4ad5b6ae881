"""Traces from outside: shown and kept, told where they come from; hostile files become one line."""

from __future__ import annotations

import contextlib
import io
import json
import zipfile
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app import arrivals
from app.pictures import RGB
from app.session import Session
from app.views import Asked
from app.visits import Limits, Visits
from core.trace import Trace
from core.types import Change, CodeArray, DecodeSettings, Grid, TraceError
from tests.app.asking import first_run
from tests.app.stocked import stock
from tests.app.test_views import unpack


@pytest.fixture(scope="module")
def session() -> Session:
    """One whose pictures are as large as those that people bring."""
    return Session.over(stock(side=16))


@pytest.fixture(scope="module")
def trace(session: Session) -> Trace:
    list(session.drawing.draw("maker", "sun", lambda: Asked("fake", "all", DecodeSettings(n_neighbours=8))))
    return first_run(session, "maker").trace


@pytest.fixture(scope="module")
def saved(trace: Trace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("traces") / "sun.npz"
    trace.save(path)
    return path


def written(trace: Trace, folder: Path) -> Path:
    path = folder / "other.npz"
    trace.save(path)
    return path


def with_grid(path: Path, grid: Grid) -> Path:
    """The file with another grid in its JSON part, which `save` would refuse."""
    other = path.with_name("grid.npz")
    with zipfile.ZipFile(path) as before, zipfile.ZipFile(other, "w", zipfile.ZIP_DEFLATED) as after:
        for name in before.namelist():
            data = before.read(name)
            if name == "meta.json":
                data = json.dumps({**json.loads(data), "grid": asdict(grid)}).encode()
            if name == "source_codes.npy":
                buffer = io.BytesIO()
                np.save(buffer, np.zeros((0, grid.height, grid.width), "<u2"))
                data = buffer.getvalue()
            after.writestr(name, data)
    return other


def test_an_opened_trace_is_shown_and_kept(session: Session, saved: Path) -> None:
    update = session.opening.open_file("ann", saved)
    assert (update.state, update.steps) == ("ready", 256)
    assert update.message == "Opened from sun.npz."
    (kept,) = session.visits.runs("ann")
    assert kept.id == update.kept
    assert (kept.asked.model, kept.asked.database) == ("fake", "all")
    original = session.opening.show("maker", session.visits.runs("maker")[0].id)
    same, there = unpack(update.file), unpack(original.file)
    assert same[1]["code"].tolist() == there[1]["code"].tolist()
    assert len(same[0]["blobs"]) == len(there[0]["blobs"])


def test_a_trace_of_another_database_is_decoded_from_its_codes(session: Session, trace: Trace, tmp_path: Path) -> None:
    sources = {image: replace(source, codes=source.codes[::-1]) for image, source in trace.sources.items()}
    far = replace(trace, origin=replace(trace.origin, database="elsewhere", model="unknown"), sources=sources)
    update = session.opening.open_file("bob", written(far, tmp_path))
    assert update.state == "ready"
    for said in ("another model than those here (fake, weights unknown)", "decoded from their codes"):
        assert said in update.message
    header = unpack(update.file)[0]
    assert dict(header["facts"])["database"] == arrivals.ELSEWHERE
    assert len(header["blobs"]) > 2  # the pictures of the sources are there
    assert update.atlas == session.opening.open_file("bob", written(trace, tmp_path)).atlas


def test_a_trace_of_another_codebook_is_shown_in_plain_colours(session: Session, trace: Trace, tmp_path: Path) -> None:
    far = replace(trace, origin=replace(trace.origin, codebook="another", database="elsewhere"))
    update = session.opening.open_file("cem", written(far, tmp_path))
    assert "every code is a square of one colour" in update.message
    assert update.atlas != session.opening.open_file("cem", written(trace, tmp_path)).atlas
    assert unpack(update.file)[1]["code"].tolist() == trace.codes.tolist()


def test_an_opened_trace_goes_on_only_with_what_made_it(session: Session, trace: Trace, tmp_path: Path) -> None:
    change = Change(100, code=5)
    same = session.opening.open_file("dan", written(trace, tmp_path)).kept
    *_, branched = session.drawing.branch("dan", same, change)
    assert branched.state == "ready"
    for origin, said in ((replace(trace.origin, database="elsewhere"), "database"),
                         (replace(trace.origin, model="unknown"), "model: got 'fake (another model)'")):  # fmt: skip
        run = session.opening.open_file("dan", written(replace(trace, origin=origin), tmp_path)).kept
        *_, refused = session.drawing.branch("dan", run, change)
        assert refused.state == "error"
        assert refused.message.startswith(said)


def test_plain_colours_are_one_for_each_code() -> None:
    plain = arrivals.PlainColours(5, Grid(1, 2))
    picture = plain.decode_codes(np.array([[[4, 2]]], np.uint16))
    assert picture.shape == (1, 8, 16, 3)
    assert len(np.unique(picture[0, :, :8].reshape(-1, 3), axis=0)) == 1
    assert (picture[0, 0, 0] != picture[0, 0, 8]).any()


def test_a_trace_that_claims_a_database_must_have_its_pictures(session: Session, trace: Trace, tmp_path: Path) -> None:
    image, source = next(iter(trace.sources.items()))
    forged = replace(trace, sources={**trace.sources, image: replace(source, codes=source.codes * 0)})
    update = session.opening.open_file("eve", written(forged, tmp_path))
    assert update.state == "error"
    assert "the file was changed" in update.message
    assert session.visits.runs("eve") == ()


@pytest.mark.parametrize(
    ("grid", "said"),
    [
        (Grid(60_000, 60_000), "got 60000 x 60000 positions, expected 65536 at most"),
        (Grid(200, 200), "got 200 x 200 positions, 1024 codes and 0 sources, expected at most 64 x 64"),
    ],
)
def test_a_huge_grid_is_refused_before_anything_is_drawn(
    session: Session, trace: Trace, tmp_path: Path, grid: Grid, said: str
) -> None:
    first = replace(trace, sources={}, steps=trace.steps[:1])
    update = session.opening.open_file("eve", with_grid(written(first, tmp_path), grid))
    assert update.state == "error"
    assert said in update.message


def test_a_bomb_is_refused(session: Session, tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("meta.json", "{}")
        with archive.open("logits.npy", "w") as file:
            for _ in range(arrivals.MAX_UNPACKED // 2**20 + 1):
                file.write(bytes(2**20))
    assert path.stat().st_size < 2**20
    update = session.opening.open_file("eve", path)
    assert update.state == "error"
    assert "unpacks to more than 128 MB" in update.message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" + "[]," * 2_000_000 + "[]]", "expected 1000000 at most"),
        ("[" * 100_000 + "]" * 100_000, "not a trace, or damaged"),
        (" " * 17 * 2**20 + "{}", "got more than 16 MB"),
    ],
    ids=["many", "deep", "long"],
)
def test_json_that_would_unpack_to_far_more_is_refused_in_one_line(
    session: Session, saved: Path, tmp_path: Path, text: str, said: str
) -> None:
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(saved) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in source.namelist():
            archive.writestr(name, text if name == "meta.json" else source.read(name))
    update = session.opening.open_file("eve", path)
    assert update.state == "error"
    assert update.message.startswith("bomb.npz: ")
    assert said in update.message
    assert "\n" not in update.message


def test_only_so_many_sources_of_a_database_that_is_not_here_are_decoded(
    session: Session, trace: Trace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(trace.sources) > 3
    monkeypatch.setattr(arrivals, "MOST_DECODED", 3)
    far = replace(trace, origin=replace(trace.origin, database="elsewhere"))
    update = session.opening.open_file("fay", written(far, tmp_path))
    assert f"Of its {len(trace.sources)} sources, 3 have a picture." in update.message
    header = unpack(update.file)[0]
    assert len([name for name in header["blobs"] if name.isdecimal()]) == 3
    assert len(header["tiles"]) == len(header["sources"]) - 3
    asked: list[int] = []

    class Counting(arrivals.PlainColours):
        def decode_codes(self, grids: CodeArray) -> RGB:
            asked.append(len(grids))
            return super().decode_codes(grids)

    found = arrivals.decoded_sources(far, b"", Counting(trace.origin.codes, trace.grid), 3)
    shown = [image for image in trace.sources if found.source(image)]
    again = [image for image in trace.sources if found.thumbnail(image) is not None]
    assert (shown, again, sum(asked)) == (list(trace.sources)[:3], list(trace.sources)[:3], 3)


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n", b"PK\x03\x04 not a zip", b"\x93NUMPY", b"cos\nsystem\n."])
def test_other_files_are_told_in_one_line(session: Session, tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "thing.npz"
    path.write_bytes(data)
    update = session.opening.open_file("eve", path)
    assert update.state == "error"
    assert update.message.startswith("thing.npz: not a trace, or damaged")
    assert "\n" not in update.message


def test_a_file_that_is_too_large_is_not_read(session: Session, tmp_path: Path) -> None:
    path = tmp_path / "large.npz"
    with path.open("wb") as file:
        file.truncate(arrivals.MAX_FILE_BYTES + 2**20)
    assert "got 33 MB, expected at most 32" in session.opening.open_file("eve", path).message


def test_a_prompt_that_is_no_text_cannot_be_shown_but_is_told(session: Session, saved: Path, tmp_path: Path) -> None:
    path = tmp_path / "odd.npz"
    with zipfile.ZipFile(saved) as source, zipfile.ZipFile(path, "w") as archive:
        for name in source.namelist():
            data = source.read(name)
            if name == "meta.json":
                data = json.dumps({**json.loads(data), "prompt": "\ud800"}).encode()
            archive.writestr(name, data)
    update = session.opening.open_file("eve", path)
    assert update.state == "error"
    assert update.message.startswith("odd.npz: meta.json: got half of a character")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=st.lists(st.tuples(st.integers(0, 2**31), st.integers(0, 255)), min_size=1, max_size=6), cut=st.booleans())
def test_damage_never_ends_in_anything_but_a_trace_error(
    small: bytes, tmp_path: Path, edits: list[tuple[int, int]], cut: bool
) -> None:
    data = bytearray(small)
    for at, value in edits:
        data[at % len(data)] = value
    path = tmp_path / "damaged.npz"
    path.write_bytes(data[: edits[0][0] % len(data)] if cut else data)
    with contextlib.suppress(TraceError):  # what else is raised fails the test
        arrivals.read_trace(path)


@pytest.fixture(scope="module")
def small(trace: Trace, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A trace of a few steps without compression, so that edits reach what is inside."""
    path = tmp_path_factory.mktemp("small") / "small.npz"
    replace(trace, steps=trace.steps[:20], sources=trace.sources).save(path)
    plain = io.BytesIO()
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(plain, "w") as archive:
        for name in source.namelist():
            archive.writestr(name, source.read(name))
    return plain.getvalue()


def test_a_trace_of_an_older_version_says_so_and_nothing_that_it_cannot_tell(session: Session) -> None:
    old = Path(__file__).parents[1] / "unit" / "old_traces" / "daid.npz"
    update = session.opening.open_file("ann", old)
    assert update.state == "ready"
    assert "comes from an older version, which drew by another rule" in update.message
    assert "another model" not in update.message
    assert "is not here" not in update.message


def test_a_trace_of_too_many_positions_and_sources_is_refused(
    session: Session, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrivals, "MAX_SHARES", 256)
    update = session.opening.open_file("eve", saved)
    assert update.state == "error"
    assert "expected 256 at most" in update.message


def test_a_trace_of_too_many_neighbours_is_refused(
    session: Session, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrivals, "MOST_FOUND", 8 * 210 - 1)
    update = session.opening.open_file("eve", saved)
    assert (update.state, session.visits.runs("eve")) == ("error", ())
    assert "got 1,680 neighbours, expected 1,679 at most" in update.message


def test_a_trace_for_which_there_is_no_room_is_told(session: Session, saved: Path) -> None:
    opening = replace(session.opening, visits=Visits(Limits(bytes_each=1000)))
    update = opening.open_file("eve", saved)
    assert (update.state, update.kept) == ("error", "")
    assert "room: got 1 MB for a visitor, expected at most 0 MB" in update.message
