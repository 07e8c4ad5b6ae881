"""Pictures from outside: what stands beside the pixels costs none of them, and limits are told before decoding."""

from __future__ import annotations

import contextlib
import io
import struct
import sys
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, features

from core.inputs import picture
from core.inputs.formats import PictureError
from core.inputs.picture import open_picture, shades
from core.types import ConfigError

SIDE = 32
RED, GREEN = (210, 30, 40), (40, 160, 70)


def two_halves(mode: str = "RGB", size: tuple[int, int] = (48, 32)) -> Image.Image:
    """Red above green."""
    image = Image.new(mode, size, RED)
    image.paste(GREEN, (0, size[1] // 2, size[0], size[1]))
    return image


def file_of(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def read(data: bytes, name: str = "a", side: int = SIDE) -> npt.NDArray[np.int64]:
    return np.asarray(open_picture(data, name, side).image, dtype=np.int64)


def chunk(kind: bytes, data: bytes, checksum: int | None = None) -> bytes:
    summed = zlib.crc32(kind + data) if checksum is None else checksum
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", summed)


def with_chunk(data: bytes, extra: bytes) -> bytes:
    """A PNG with a chunk after its header."""
    return data[:33] + extra + data[33:]


def with_segment(data: bytes, marker: int, body: bytes) -> bytes:
    """A JPEG with a segment at its start."""
    return data[:2] + struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body + data[2:]


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99)


@pytest.mark.parametrize("data", [HEIC, b"\0\0\0\x1cftypmif1\0\0\0\0mif1heicmiaf" + bytes(99)])
def test_heic_takes_a_package(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(PictureError, match=r"a: .*HEIC\); run pip install pillow-heif, or save it as JPEG") as told:
        open_picture(data, "a", SIDE)
    assert told.value.kind == "HEIC, which takes a package that is not installed"


@pytest.mark.parametrize(("turn", "corner"), [(1, RED), (6, GREEN), (3, GREEN), (8, RED)])
def test_heic_is_upright(turn: int, corner: tuple[int, int, int]) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    exif = Image.Exif()
    exif[0x0112] = turn
    file = io.BytesIO()
    pillow_heif.from_pillow(two_halves()).save(file, exif=exif.tobytes())
    found = open_picture(file.getvalue(), "a", SIDE)
    assert found.size == found.image.size == ((32, 48) if turn in (6, 8) else (48, 32))
    assert np.abs(np.asarray(found.image, dtype=np.int64)[4, 4] - corner).max() < 12
    with pytest.raises(PictureError, match="a HEIC file that is cut off"):
        open_picture(file.getvalue()[:-20], "a", SIDE)


def test_the_size_is_that_of_the_file_as_it_is_seen() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = file_of(two_halves(size=(1200, 800)), "JPEG", exif=exif)
    found = open_picture(data, "a", 16)
    assert (found.size, found.image.size < (800, 1200)) == ((800, 1200), True)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_formats_are_told_by_their_content(kind: str) -> None:
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    pixels = read(file_of(two_halves(), kind), "a.exe")
    assert pixels.shape == (32, 48, 3)
    assert np.abs(pixels[4, 24] - RED).max() < 12
    assert np.abs(pixels[28, 24] - GREEN).max() < 12


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "an empty file"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isommp41" + bytes(99), "a video"),
        (b"\0\5\x16\7" + bytes(80), "a file of macOS"),
        (b"  <svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"%PDF-1.7", "PDF"),
        (b"hello", "not a readable picture, expected one of JPEG, PNG"),
        (b"\xff\xd8\xff", "JPEG file that is cut off"),
        (b"\x89PNG\r\n\x1a\n", "PNG file that is cut off"),
        (b"GIF89a", "GIF file that is cut off"),
        (b"RIFF\xff\0\0\0WEBPVP8 ", "WEBP file that is cut off"),
    ],
)
def test_what_is_not_read_is_named(data: bytes, said: str) -> None:
    with pytest.raises(ConfigError, match=f"^a: .*{said}"):
        open_picture(data, "a", SIDE)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_a_file_that_is_cut_off_is_said_to_be(kind: str) -> None:
    data = file_of(Image.effect_noise((64, 64), 90).convert("RGB"), kind)
    with pytest.raises(ConfigError, match="cut off"):
        open_picture(data[: len(data) * 2 // 3], "a", SIDE)


@pytest.mark.parametrize(
    "extra",
    [
        chunk(b"tIME", b"\x07\xea\x01\x01\0\0\0", checksum=0),
        chunk(b"tEXt", b"a\0" + b"x" * 3_000_000),
        chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(9_000_000))),
        chunk(b"iTXt", b"broken"),
        chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(1_500_000))),
        chunk(b"iCCP", b"p\0\0no zlib"),
        chunk(b"pHYs", b"\0"),
        chunk(b"gAMA", b""),
        chunk(b"eXIf", b"MM"),
        chunk(b"vpAg", b"unknown", checksum=7),
    ],
    ids=lambda extra: f"{extra[4:8]}-{len(extra)}",
)
def test_what_is_beside_the_pixels_of_a_png_is_left_out(extra: bytes) -> None:
    plain = file_of(two_halves(), "PNG")
    np.testing.assert_array_equal(read(with_chunk(plain, extra)), read(plain))


@pytest.mark.parametrize(
    ("marker", "body"),
    [
        (0xE1, b"Exif\0\0Exif\0\0" + bytes(40)),
        (0xE1, b"Exif\0\0II*\0\xff\xff\xff\xff"),
        (0xE1, b"http://ns.adobe.com/xap/1.0/\0<x"),
        (0xE0, b"JFIF"),
        (0xE2, b"ICC_PROFILE\0\1\1" + bytes(2000)),
        (0xE2, b"MPF\0II*\0" + bytes(20)),
        (0xED, b"Photoshop 3.0\08BIM\xff\xff"),
        (0xFE, b"\xff" * 65000),
    ],
)  # fmt: skip
def test_what_is_beside_the_pixels_of_a_jpeg_is_left_out(marker: int, body: bytes) -> None:
    plain = file_of(two_halves(), "JPEG", quality=95)
    np.testing.assert_array_equal(read(with_segment(plain, marker, body)), read(plain))


@pytest.mark.parametrize("number", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_pictures_are_turned_as_browsers_turn_them(number: int, kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = number
    image = Image.fromarray(
        np.random.default_rng(0).integers(0, 255, (2, 3, 3)).astype(np.uint8).repeat(16, 0).repeat(16, 1)
    )
    options = {"quality": 100} if kind in ("JPEG", "WEBP") else {}
    found = read(file_of(image, kind, exif=exif, **options), side=64)
    plain = read(file_of(image, kind, **options), side=64)
    turned = plain.swapaxes(0, 1) if number >= 5 else plain
    turned = turned[::-1] if number in (3, 4, 7, 8) else turned
    turned = turned[:, ::-1] if number in (2, 3, 6, 7) else turned
    np.testing.assert_array_equal(found, turned)


def test_the_orientation_beside_an_impossible_resolution_counts() -> None:
    entries = struct.pack(">HHIHH", 0x0112, 3, 1, 6, 0) + struct.pack(">HHII", 0x011A, 5, 1, 38)
    tiff = b"MM\0*\0\0\0\x08" + struct.pack(">H", 2) + entries + bytes(4) + struct.pack(">ii", -1, 0)
    data = with_segment(file_of(two_halves(), "JPEG"), 0xE1, b"Exif\0\0" + tiff)
    assert read(data).shape == (48, 32, 3)
    assert np.abs(read(data)[24, 28] - RED).max() < 12  # what was above is on the right


def ramp_file(dtype: str, high: float, kind: str, low: float = 0) -> bytes:
    ramp = np.tile(np.linspace(low, high, 64).astype(dtype), (8, 1))
    return file_of(Image.fromarray(ramp), kind)


@pytest.mark.parametrize(
    "data",
    [
        ramp_file("u2", 65535, "PNG"), ramp_file("u2", 65535, "TIFF"), ramp_file("i4", 2**31 - 1, "TIFF"),
        ramp_file("i4", 255, "TIFF"), ramp_file("i4", 70000, "TIFF", -500), ramp_file("f4", 1, "TIFF"),
        ramp_file("f4", 255, "TIFF"), ramp_file("f4", 1e9, "TIFF", -1e9),
    ],
)  # fmt: skip
def test_deep_greys_are_ramps(data: bytes) -> None:
    wanted = np.linspace(0, 255, 64)
    assert np.abs(read(data)[4] - wanted[:, None]).max() <= 1.5


def test_deep_greys_with_opacity_are_ramps() -> None:
    pairs = np.tile(np.stack([np.linspace(0, 65535, 64), np.full(64, 65535)], -1), (8, 1, 1)).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in pairs)
    head = struct.pack(">IIBBBBB", 64, 8, 16, 4, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    assert np.abs(read(data)[4] - np.linspace(0, 255, 64)[:, None]).max() <= 1.5


def test_numbers_that_are_none_are_black() -> None:
    greys = np.array([[np.nan, 0.5, np.inf, 1]], np.float32)
    assert shades(greys).tolist() == [[0, 128, 0, 255]]
    assert shades(np.full((1, 2), np.nan, np.float32)).tolist() == [[0, 0]]


@given(st.lists(st.floats(width=32), min_size=1, max_size=9))
@settings(max_examples=60, deadline=None)
def test_shades_keep_the_order_of_greys(values: list[float]) -> None:
    finite = sorted(value for value in values if np.isfinite(value))
    shown = shades(np.array([finite], np.float32))[0].astype(int) if finite else np.zeros(0, int)
    assert (np.diff(shown) >= 0).all()


def test_colours_follow_their_profile() -> None:
    lab = ImageCms.createProfile("LAB")
    assert lab is not None
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    plain = file_of(two_halves(), "PNG")
    assert np.abs(read(file_of(two_halves(), "PNG", icc_profile=srgb)) - read(plain)).max() <= 1
    linear = bytearray(srgb)  # the same colours, stored without a curve
    at = linear.index(b"para", 200)
    curve = struct.pack(">HHI", 0, 0, 65536)
    linear[at + 8 : at + 16] = curve
    found = read(file_of(Image.new("RGB", (8, 8), (55, 55, 55)), "PNG", icc_profile=bytes(linear)))
    assert np.abs(found - 128).max() <= 3  # 0.216 of the light is 0.5 in sRGB
    grey = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    np.testing.assert_array_equal(read(file_of(two_halves(), "PNG", icc_profile=grey)), read(plain))


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [  # 64 of 255 as light by a gamma of 1, which sRGB stores as 255 (64 / 255) ** (1 / 2.2) = 136
        (chunk(b"gAMA", struct.pack(">I", 100_000)), 136),
        (chunk(b"gAMA", struct.pack(">I", 45_455)), 64),
        (chunk(b"gAMA", struct.pack(">I", 100_000)) + chunk(b"sRGB", b"\0"), 64),
        (chunk(b"gAMA", struct.pack(">I", 0)), 64),
        (chunk(b"gAMA", struct.pack(">I", 2**32 - 1)), 64),
        (chunk(b"gAMA", b"\0\1"), 64),
    ],
)
def test_colours_follow_the_gamma_of_a_png(chunks: bytes, expected: int) -> None:
    data = file_of(Image.new("RGB", (20, 20), (64, 64, 64)), "PNG")
    assert read(with_chunk(data, chunks))[10, 10].tolist() == [expected] * 3


def test_greys_of_one_byte_may_be_larger_than_colours() -> None:
    grey, colours = (file_of(Image.new(mode, (1200, 1000)), "PNG") for mode in ("L", "RGB"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("core.inputs.picture.MOST_MEMORY", 2_400_000)
        assert open_picture(grey, "a", 16).image.size == (64, 53)
        with pytest.raises(ConfigError, match="got 1200 x 1000 pixels, which take 10 MB to decode"):
            open_picture(colours, "a", 16)


def test_inks_become_light() -> None:
    pixels = read(file_of(two_halves().convert("CMYK"), "JPEG", quality=95))
    assert np.abs(pixels[4, 24] - RED).max() < 12
    pixels = read(file_of(two_halves().convert("CMYK"), "TIFF"))
    np.testing.assert_array_equal(pixels[4, 24], RED)


@pytest.mark.parametrize("colour", [(255, 255, 255), (250, 248, 252)])
def test_white_on_nothing_gets_another_ground(colour: tuple[int, int, int]) -> None:
    image = Image.new("RGBA", (32, 32), (255, 255, 255, 0))
    image.paste((*colour, 255), (8, 8, 24, 24))
    found = open_picture(file_of(image, "PNG"), "a", SIDE)
    assert found.ground == (0, 0, 0)
    pixels = found.padded(64)
    assert pixels[0, 0].tolist() == [0, 0, 0]
    assert pixels[32, 32].tolist() == list(colour)


@pytest.mark.parametrize("outline", [(0, 0, 0), (255, 220, 0)])
def test_what_is_seen_on_white_stays_on_white(outline: tuple[int, int, int]) -> None:
    image = Image.new("RGBA", (32, 32), (0, 0, 0, 0))
    image.paste((*outline, 255), (7, 7, 25, 25))
    image.paste((255, 255, 255, 255), (8, 8, 24, 24))
    assert open_picture(file_of(image, "PNG"), "a", SIDE).ground == (255, 255, 255)


@pytest.mark.parametrize("kind", ["WEBP", "GIF", "PNG"])
def test_the_first_frame_that_shows_something_is_taken(kind: str) -> None:
    empty, full = Image.new("RGBA", (48, 32), (0, 0, 0, 0)), two_halves().convert("RGBA")
    options: dict[str, Any] = {"save_all": True, "duration": 50} | ({"lossless": True} if kind == "WEBP" else {})
    found = read(file_of(empty, kind, append_images=[full], **options))
    assert np.abs(found[4, 24] - RED).max() < 12
    with pytest.raises(ConfigError, match="shows nothing"):
        open_picture(file_of(empty, kind), "a", SIDE)
    white = Image.new("RGB", (48, 32), "white")
    fade = read(file_of(white, kind, append_images=[two_halves()], **options))
    assert np.abs(fade[4, 24] - RED).max() < 12


def test_an_animation_without_anything_to_see_is_refused() -> None:
    empty = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    data = file_of(empty, "WEBP", save_all=True, append_images=[Image.new("RGBA", (8, 8), (9, 9, 9, 1))], lossless=True)
    with pytest.raises(ConfigError, match="its frames are empty"):
        open_picture(data, "a", SIDE)


@pytest.mark.parametrize("size", [(300, 2), (1, 300), (1, 1), (1000, 1), (3, 5000)])
def test_strips_are_taken(size: tuple[int, int]) -> None:
    found = open_picture(file_of(Image.new("RGB", size, "red"), "PNG"), "a", SIDE)
    padded, covering = found.padded(SIDE), found.covering(SIDE)
    assert padded.shape == covering.shape == (SIDE, SIDE, 3)
    assert (padded == [255, 0, 0]).all(-1).sum() >= SIDE
    assert (covering == [255, 0, 0]).all()


def test_a_jpeg_is_decoded_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "MOST_MEMORY", 1_000_000)
    large = Image.new("RGB", (1600, 1600), "red")
    assert max(open_picture(file_of(large, "JPEG"), "a", SIDE).image.size) <= 4 * SIDE
    for kind, options in (("PNG", {}), ("WEBP", {}), ("JPEG", {"progressive": True})):
        with pytest.raises(ConfigError, match=r"^a: got .*MB to decode, expected at most 1; shrink it"):
            open_picture(file_of(large, kind, **options), "a", SIDE)


@pytest.mark.parametrize("size", [(60000, 60000), (2**31 - 1, 2**31 - 1), (30000, 4000)])
def test_bombs_are_told_by_their_header(size: tuple[int, int]) -> None:
    head = struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")
    with pytest.raises(ConfigError, match="shrink it"):
        open_picture(data, "a", SIDE)


@given(st.data(), st.sampled_from(["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"]))
@settings(max_examples=150, deadline=None)
def test_damaged_files_are_config_errors_or_pictures(data: st.DataObject, kind: str) -> None:
    spoiled = bytearray(file_of(two_halves(size=(20, 12)), kind))
    for _ in range(data.draw(st.integers(1, 6))):
        spoiled[data.draw(st.integers(0, len(spoiled) - 1))] = data.draw(st.integers(0, 255))
    spoiled = spoiled[: data.draw(st.integers(1, len(spoiled)))]
    with contextlib.suppress(ConfigError):  # nothing else
        found = open_picture(bytes(spoiled), "a", SIDE)
        assert found.padded(SIDE).shape == found.covering(SIDE).shape == (SIDE, SIDE, 3)
