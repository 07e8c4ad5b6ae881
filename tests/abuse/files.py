"""Files of strangers: traces and pictures that are damaged, huge when unpacked, or something else altogether."""

from __future__ import annotations

import io
import json
import struct
import tempfile
import zipfile
import zlib
from functools import cache
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from PIL import Image

from core.engine import generate
from core.types import DecodeSettings
from tests.app.fake import FakeBackend, fake_database

NAMES = (
    "picture.png", "trace.npz", "../../escape.txt", "/etc/passwd", "..\\..\\escape.txt", "a\x00b.png", ".bashrc",
    "x" * 300 + ".png", "con.npz", "state.json", "<img src=x>.png", "\u202egnp.exe", "%2e%2e%2fescape.txt", "",
)  # fmt: skip


@cache
def a_trace() -> bytes:
    """A run of the fake model, as it is saved."""
    backend = FakeBackend()
    trace = generate(backend, fake_database(backend, images=12), "a disc", DecodeSettings(seed=2, n_neighbours=8))
    with tempfile.TemporaryDirectory() as folder:
        trace.save(Path(folder, "trace.npz"))
        return Path(folder, "trace.npz").read_bytes()


@cache
def a_picture() -> bytes:
    """A small picture."""
    buffer = io.BytesIO()
    Image.fromarray(np.full((64, 64, 3), 90, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


@cache
def bombs() -> tuple[bytes, ...]:
    """Small files that are large when unpacked: pictures, traces, and texts with deep lists."""
    return (png_bomb(30_000), npz({"logits.npy": npy((20_000, 20_000), "<f4", 0) + bytes(40_000_000)}),
            npz({"meta.json": b"[" * 3_000_000}), npz({"meta.json": b"[" + b"[]," * 2_000_000 + b"[]]"}),
            changed_trace("meta.json", b'{"format": 1' + b" " * 30_000_000 + b"}"))  # fmt: skip


def png_bomb(side: int) -> bytes:
    """A picture of one colour, of so many pixels that nobody has room for them."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress(bytes((side // 8 + 1) * side), 9)
    return b"".join([b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)),
                     chunk(b"IDAT", rows), chunk(b"IEND", b"")])  # fmt: skip


def npy(shape: tuple[int, ...], dtype: str, order: int) -> bytes:
    """The head of an array file."""
    head = f"{{'descr': '{dtype}', 'fortran_order': {bool(order)}, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head


def npz(members: dict[str, bytes]) -> bytes:
    """A zip file of some members, packed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in members.items():
            packed.writestr(name, data)
    return buffer.getvalue()


@cache
def members() -> dict[str, bytes]:
    """What is in a trace."""
    with zipfile.ZipFile(io.BytesIO(a_trace())) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


def changed_trace(name: str, data: bytes) -> bytes:
    """A trace with another member in the place of one."""
    return npz({**members(), name: data})


def pickled() -> bytes:
    """An array of objects, which only a pickle can hold; unpickled, it would make a file."""
    harmful = b"cos\nsystem\n(S'touch escaped-by-pickle'\ntR."
    head = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }".ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + harmful


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """A file with a few bytes changed, or cut off, or with something behind it."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    cut = draw(st.sampled_from([len(data), len(data) - 1, len(data) // 2, 100, 10]))
    return bytes(data[:cut]) + draw(st.sampled_from([b"", b"PK\x05\x06", bytes(1000)]))


@st.composite
def false_traces(draw: st.DrawFn) -> bytes:
    """A well-made file of a trace with one thing in it that is not so."""
    parts = members()
    name = draw(st.sampled_from(sorted(parts)))
    if name.endswith(".json"):
        meta = json.loads(parts[name])
        key = draw(st.sampled_from(sorted(meta)))
        meta[key] = draw(st.sampled_from([None, -1, 10**30, 1e308, "x" * 5000, [], {}, [[[]]], True, {"a": {"b": []}}]))
        return npz({**parts, name: json.dumps(meta).encode()})
    shape = draw(st.sampled_from([(), (0,), (1,), (3, 3), (10**6,), (2, 2, 2)]))
    dtype = draw(st.sampled_from(["<f4", "<i8", "|u1", "<f8", "<c16", "|S5", "<U4", "|b1"]))
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(shape, dtype))
    kept = {other: data for other, data in parts.items() if other != name}
    return npz({**kept, **draw(st.sampled_from([{}, {name: buffer.getvalue()}, {name: pickled()}, {name: b""}]))})


def contents() -> st.SearchStrategy[bytes]:
    """What is in the file of a stranger."""
    return st.one_of(
        st.binary(max_size=300),
        st.deferred(lambda: damaged(a_trace())),
        st.deferred(lambda: damaged(a_picture())),
        false_traces(),
        st.deferred(lambda: st.sampled_from([a_trace(), a_picture()])),
        st.sampled_from([pickled(), npz({}), npz({"../../escape.txt": b"x"}), b"<svg onload=alert(1)>", b""]),
    )
