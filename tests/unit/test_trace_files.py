"""Trace files that are damaged, hostile or too large: refused in one line, and nothing but that."""

from __future__ import annotations

import io
import json
import tracemalloc
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import core.trace_file
from core.trace import Trace, neighbours
from core.types import TraceError
from tests.tampering import Tampering, npy, rewrite, set_first, with_array, with_meta

REFUSED: dict[str, Tampering] = {
    "another version": with_meta(version=99),
    "another format": with_meta(format="something"),
    "prompt is a number": with_meta(prompt=7),
    "huge prompt": with_meta(prompt="x" * 4001),
    "settings out of range": with_meta(settings={"seed": -1}),
    "unknown setting": with_meta(settings={"evil": 1}),
    "grid too large": with_meta(grid={"height": 10**9, "width": 10**9}),
    "grid of text": with_meta(grid={"height": "8", "width": 8}),
    "origin is a list": with_meta(origin=[1]),
    "origin is empty": with_meta(origin={}),
    "no steps": with_meta(skipped=[]),
    "more steps than positions": with_meta(skipped=[None] * 65),
    "reasons are numbers": with_meta(skipped=[1] * 64),
    "sources are numbers": with_meta(sources=[1, 2]),
    "no sources": with_meta(sources=[]),
    "another rule": with_meta(draw="dice"),
    "a rule that is a list": with_meta(draw=["gumbel"]),
    "a rule without its numbers": with_meta(draw="inverse cdf"),
    "a rule of old without its numbers": with_meta(version=3),
    "numbers without a rule for them": lambda members: members.update({"u.npy": npy(np.full(64, 0.5))}),
    "a prompt with half a character": with_meta(prompt="\ud83c"),
    "a caption with half a character": with_meta(
        sources=[{"image": 1, "caption": "a\udf55", "style": "3d", "concept": "", "source": ""}]
    ),
    "a reason with half a character": with_meta(skipped=["\ud83c"] * 64),
    "endless seconds": with_array("seconds", set_first(1e38)),
    "unfiltered is a number": with_meta(unfiltered=1),
    "unfiltered is long": with_meta(unfiltered="x" * 201),
    "version 1": with_meta(version=1),
    "changes are a number": with_meta(changes=3),
    "more changes than positions": with_meta(changes=[{"position": 1}] * 65),
    "two changes at a position": with_meta(changes=[{"position": 1}] * 2),
    "a change of nothing": with_meta(changes=[7]),
    "a change without a position": with_meta(changes=[{"code": 1}]),
    "an unknown change": with_meta(changes=[{"position": 1, "evil": 1}]),
    "a change beyond the grid": with_meta(changes=[{"position": 64}]),
    "a change to an unknown code": with_meta(changes=[{"position": 1, "code": 48}]),
    "a weight below zero": with_meta(changes=[{"position": 20, "weights": [[1, -1]]}]),
    "a weight that is text": with_meta(changes=[{"position": 20, "weights": [[1, "2"]]}]),
    "weights without an entry": with_meta(changes=[{"position": 20, "weights": [[1]]}]),
    "weights that are a number": with_meta(changes=[{"position": 20, "weights": 5}]),
    "changed settings out of range": with_meta(changes=[{"position": 20, "settings": {"retrieval_weight": 2}}]),
    "changed settings that are text": with_meta(changes=[{"position": 20, "settings": "all"}]),
    "another seed": with_meta(changes=[{"position": 20, "settings": {"seed": 5}}]),
    "given codes are text": with_meta(given="1"),
    "more given codes than steps": with_meta(given=65),
    "fewer than no given codes": with_meta(given=-1),
    "blenders that were not recorded": with_meta(changes=[{"position": 9, "settings": {"seed": 2, "method": "faid"}}]),
    "the hash of the database is a list": lambda members: with_meta(
        origin={**json.loads(members["meta.json"])["origin"], "database": []}
    )(members),
    "blenders without a method for them": lambda members: with_meta(
        origin={**json.loads(members["meta.json"])["origin"], "faid": "0123456789abcdef"}
    )(members),
    "meta is a list": lambda members: members.update({"meta.json": b"[]"}),
    "meta is not JSON": lambda members: members.update({"meta.json": b"{"}),
    "meta is deep": lambda members: members.update({"meta.json": b"[" * 100_000}),
    "meta is missing": lambda members: members.pop("meta.json") and None,
    "an array is missing": lambda members: members.pop("u.npy") and None,
    "an array is garbage": lambda members: members.update({"u.npy": b"garbage"}),
    "an array is cut off": lambda members: members.update({"logits.npy": members["logits.npy"][:-8]}),
    "logits are not finite": with_array("logits", set_first(float("nan"))),
    "infinite logits": with_array("logits", set_first(float("inf"))),
    "a row of excluded codes": with_array("logits", lambda a: np.where(np.arange(64)[:, None] == 3, -np.inf, a)),
    "code outside the codebook": with_array("codes", set_first(48)),
    "negative code": with_array("codes", set_first(-1)),
    "negative distance": with_array("neighbour_distances", set_first(-1)),
    "entry of an unknown image": with_array("neighbour_entries", set_first(10**9)),
    "wrong count": with_array("counts", lambda a: a + 1),
    "negative count": with_array("counts", set_first(-1)),
    "neighbours where none may be": with_array("counts", lambda a: np.roll(a, 1)),
    "wrong type": with_array("codes", lambda a: a.astype(np.float32)),
    "wrong shape": with_array("logits", lambda a: a.reshape(-1)),
    "objects": with_array("codes", lambda a: np.array([{}] * len(a), dtype=object)),
    "source codes outside the codebook": with_array("source_codes", set_first(48)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_damaged_and_hostile_traces_are_refused_in_one_line(saved: Path, name: str) -> None:
    rewrite(saved, REFUSED[name])
    with pytest.raises(TraceError, match=r"run\.npz: ") as caught:
        Trace.load(saved)
    assert "\n" not in str(caught.value)


REFUSED_BLENDS: dict[str, Tampering] = {
    "compatibility above one": with_array("faid_compatibility", set_first(1.5)),
    "compatibility is not finite": with_array("faid_compatibility", set_first(float("nan"))),
    "negative hop weight": with_array("faid_hop_weights", set_first(-0.1)),
    "negative share": with_array("faid_share", set_first(-1)),
    "infinite share": with_array("faid_share", set_first(float("inf"))),
    "cosine above one": with_array("faid_start_cosine", set_first(1.5)),
    "cosine of nothing": with_array("faid_code_cosine", set_first(float("nan"))),
    "more present than there are": with_array("faid_present", set_first(6)),
    "hop 9": with_array("faid_hops", set_first(9)),
    "negative layer": with_array("faid_layers", set_first(-1)),
    "no blenders": with_array("faid_layers", lambda a: a[:0]),
    "another number of features": with_array("faid_compatibility", lambda a: a[:, :, :2]),
    "fewer steps": with_array("faid_share", lambda a: a[:5]),
    "blank logits are missing": with_array("faid_blank", lambda a: a[:0]),
    "blank logits of some steps": with_array("faid_blank", lambda a: a[:9]),
    "blank logits are not finite": with_array("faid_blank", set_first(float("nan"))),
    "blank logits without a shape": with_array("faid_blank", lambda a: a[0, 0]),
    "unblended logits are missing": with_array("faid_unblended", lambda a: a[:0]),
    "unblended logits are not finite": with_array("faid_unblended", set_first(float("inf"))),
    "a method without blenders": lambda members: with_meta(
        settings={**json.loads(members["meta.json"])["settings"], "method": "daid"}
    )(members),
    "more present than were found": with_array("faid_present", set_first(1)),
    "fewer present than were found": with_array("faid_present", lambda a: a * 0),
    "layers that go down": with_array("faid_layers", lambda a: a[::-1].copy()),
    "a hop twice": with_array("faid_hops", lambda a: a * 0 + 1),
    "hop weights of sum 2": with_array("faid_hop_weights", lambda a: a * 2),
    "no hash of the blenders": lambda members: with_meta(
        origin={**json.loads(members["meta.json"])["origin"], "faid": None}
    )(members),
    "the hash of the blenders is false": lambda members: with_meta(
        origin={**json.loads(members["meta.json"])["origin"], "faid": False}
    )(members),
    "the hash of the blenders is a number": lambda members: with_meta(
        origin={**json.loads(members["meta.json"])["origin"], "faid": 7}
    )(members),
}


@pytest.mark.parametrize("name", REFUSED_BLENDS)
def test_damaged_records_of_blenders_are_refused_in_one_line(blended: Trace, tmp_path: Path, name: str) -> None:
    blended.save(tmp_path / "run.npz")
    rewrite(tmp_path / "run.npz", REFUSED_BLENDS[name])
    with pytest.raises(TraceError, match=r"run\.npz: ") as caught:
        Trace.load(tmp_path / "run.npz")
    assert "\n" not in str(caught.value)


def test_blends_that_no_method_asked_for_are_refused(saved: Path) -> None:
    with pytest.raises(TraceError, match="faid_share: got shape"):
        Trace.load(rewrite(saved, with_array("faid_share", lambda a: np.zeros((64, 2), np.float32))))


def test_a_header_that_claims_more_than_the_file_has_allocates_nothing(saved: Path) -> None:
    def change(members: dict[str, bytes]) -> None:
        header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }"
        padded = header + b" " * (118 - len(header) - 1) + b"\n"
        members["u.npy"] = b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded

    with pytest.raises(TraceError, match="member's size"):
        Trace.load(rewrite(saved, change))


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04broken"])
def test_files_that_are_no_archive_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(content)
    with pytest.raises(TraceError, match=r"x\.npz"):
        Trace.load(path)


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none.npz", tmp_path):
        with pytest.raises(TraceError, match=path.name):
            Trace.load(path)


def unpack(data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("meta.json", data)
    return file.getvalue()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"[" + b"[]," * (22 * 2**20) + b"[]]", "more than 16 MB"),  # 66 MB, as 65 kB of zip
        (b'{"format": "ar-rag trace", "version": 4, "skipped": [' + b"[]," * (5 * 2**20) + b"[]]}", "expected 1000000"),
        (b'{"format": "ar-rag trace", "version": 4, "skipped": [' + b"0," * (7 * 2**20) + b"0]}", "expected 1000000"),
        (b"[" * (15 * 2**20), "expected 1000000"),
    ],
)
def test_a_short_file_that_unpacks_to_far_too_much_is_refused_at_once(tmp_path: Path, text: bytes, said: str) -> None:
    path = tmp_path / "bomb.npz"
    path.write_bytes(unpack(text))
    assert path.stat().st_size < 200_000
    tracemalloc.start()
    try:
        with pytest.raises(TraceError, match=said):
            Trace.load(path)
        assert tracemalloc.get_traced_memory()[1] < 64 * 2**20  # the text itself, and nothing made of it
    finally:
        tracemalloc.stop()


def test_too_many_sources_are_refused(saved: Path, trace: Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core.trace_file, "MAX_SOURCES", len(trace.sources))
    assert len(Trace.load(saved).sources) == len(trace.sources) > 1
    monkeypatch.setattr(core.trace_file, "MAX_SOURCES", len(trace.sources) - 1)
    with pytest.raises(TraceError, match="list of sources"):
        Trace.load(saved)
    with pytest.raises(TraceError, match="list of sources"):
        trace.save(saved)


def test_too_many_neighbours_are_refused(saved: Path, trace: Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    found = sum(len(near) for step in trace.steps if (near := neighbours(step)))
    monkeypatch.setattr(core.trace_file, "MAX_NEIGHBOURS", found)
    Trace.load(saved)
    monkeypatch.setattr(core.trace_file, "MAX_NEIGHBOURS", found - 1)
    with pytest.raises(TraceError, match=f"got {found} neighbours"):
        Trace.load(saved)
    rewrite(saved, with_array("counts", lambda a: np.full(64, 2**31 - 1, np.int32)))
    with pytest.raises(TraceError, match="neighbours, expected"):
        Trace.load(saved)


# -- damaged files ----------------------------------------------------------------------------------------------------


def test_damaged_files_are_traces_or_one_line(blended: Trace, changed: Trace, tmp_path: Path) -> None:
    """Every third of the files has its bytes changed where they decide most: in the headers and names at its end."""
    rng, path, refused = np.random.default_rng(7), tmp_path / "run.npz", 0
    for whole in (blended, changed):
        replace(whole, steps=whole.steps[:45]).save(path)
        data = path.read_bytes()
        for turn in range(250):
            damaged = bytearray(data)
            low = len(data) - 2500 if turn % 3 == 0 else 0
            for place in rng.integers(low, len(data), size=1 + turn % 3):
                damaged[place] = rng.integers(256)
            path.write_bytes(damaged)
            refused += bool(refusal(path))
        for length in np.linspace(0, len(data) - 1, 60).astype(int):
            path.write_bytes(data[:length])
            assert refusal(path)
    assert 200 < refused < 500


def test_damaged_members_are_traces_or_one_line(blended: Trace, tmp_path: Path) -> None:
    """Past the checksums: the bytes of one member are changed, and the archive is sound."""
    rng, path, refused = np.random.default_rng(8), tmp_path / "run.npz", 0
    replace(blended, steps=blended.steps[:12]).save(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for turn in range(300):
        damaged = {name: bytearray(data) for name, data in members.items()}
        chosen = damaged["meta.json" if turn % 2 else str(rng.choice(list(members)))]
        low, high = (0, len(chosen)) if turn % 4 else (0, min(128, len(chosen)))
        for place in rng.integers(low, high, size=1 + turn % 3):
            chosen[place] = rng.integers(256) if turn % 3 else rng.choice(list(b'0123456789-"[]{},.e'))
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            for name, data in damaged.items():
                archive.writestr(name, bytes(data))
        refused += bool(refusal(path))
    assert 100 < refused < 300


def refusal(path: Path) -> str:
    """Why a file is refused; if it is not, all can be derived from the trace, and it can be saved."""
    told = ""
    try:
        loaded = Trace.load(path)
    except TraceError as error:
        told = str(error)
    assert len(told.splitlines()) <= 1
    if told:
        return told
    loaded.flips()
    loaded.surprise()
    loaded.save(path.with_name("again.npz"))
    return ""
