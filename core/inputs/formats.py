"""What kind of file a picture is, told from its bytes, and its pixels without what is damaged beside them.

A name says nothing here. Texts, times, thumbnails and the like are left out before a decoder sees them: their lengths
and checksums cost nobody a picture. Kept apart are how it is turned (EXIF) and its colours (ICC).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ..types import ConfigError

READ: Final = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIC")
"""Formats that are read, by their names in Pillow; PNG may be APNG; HEIC with the package pillow-heif."""

READ_NAMES: Final = "JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF"
HEAD: Final = 512
"""Bytes at the start of a file that tell what it is."""

MOST_PROFILE: Final = 16 << 20
"""Bytes of an unpacked colour profile; printers' profiles take up to 3 MB."""

SIGNATURES: Final = (
    (b"\xff\xd8\xff", "JPEG"), (b"\x89PNG\r\n\x1a\n", "PNG"), (b"GIF87a", "GIF"), (b"GIF89a", "GIF"),
    (b"BM", "BMP"), (b"II*\0", "TIFF"), (b"MM\0*", "TIFF"), (b"II+\0", "TIFF"), (b"MM\0+", "TIFF"),
)  # fmt: skip
BRANDS: Final = {
    b"avif": "AVIF", b"avis": "AVIF",
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"), "HEIC"),
}  # fmt: skip
"""Of files made of boxes, which say at the start what they are; AVIF files name the general ones of HEIC, too."""

OTHERS: Final = (
    (b"\0\5\x16\7", "a file of macOS beside a picture"), (b"\0\5\x16\0", "a file of macOS beside a picture"),
    (b"\xff\x0a", "JPEG XL"), (b"\0\0\0\x0cJXL ", "JPEG XL"), (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"), (b"8BPS", "a Photoshop file"), (b"%PDF", "PDF"), (b"%!PS", "PostScript"),
    (b"PK\3\4", "a zip archive"), (b"\0\0\1\0", "a Windows icon"), (b"\0\0\2\0\1\0", "a Windows cursor"),
    (b"qoif", "QOI"), (b"v/1\1", "OpenEXR"), (b"gimp xcf", "a GIMP file"), (b"\x1a\x45\xdf\xa3", "a video"),
    (b"\x1f\x8b", "a gzip archive"), (b"<svg", "SVG"), (b"<?xml", "XML, perhaps SVG"), (b"<!DOCTYPE", "a web page"),
    (b"<!doctype", "a web page"), (b"<html", "a web page"), (b"version https://git-lfs", "a pointer of Git LFS"),
)  # fmt: skip
OTHER_BRANDS: Final = {
    **dict.fromkeys((b"isom", b"mp41", b"mp42", b"qt  ", b"avc1", b"M4V "), "a video"),
    b"crx ": "a camera's raw file",
}


class PictureError(ConfigError):
    """A file that is no picture that can be read here; kind: the reason in a few words, for counting."""

    def __init__(self, message: str, kind: str = "damaged") -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Bare:
    """A picture's bytes without what is not needed; exif and profile are b"" where there are none, or unchecked.

    gamma: of a PNG that says how its numbers become light in no other way (gAMA; 1 / 2.2 is usual), 0 for none.
    """

    kind: str
    data: bytes
    exif: bytes = b""
    profile: bytes = b""
    gamma: float = 0


def bare(data: bytes) -> Bare:
    """What is needed of a picture's file; PictureError, without a name, for another kind of file."""
    kind = kind_of(data)
    if kind == "PNG":
        return _bare_png(data)
    if kind == "JPEG":
        return _bare_jpeg(data)
    return Bare(kind, data)


def kind_of(data: bytes) -> str:
    """One of READ, by content, of which HEAD bytes are enough; PictureError that says what it is instead."""
    if not data:
        message = f"not a readable picture (an empty file), expected one of {READ_NAMES}; copy it again"
        raise PictureError(message, "an empty file")
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    brands = _brands(data)
    found = _first(SIGNATURES, data) or _branded(brands)
    if found:
        return found
    other = _first(OTHERS, data.lstrip(b"\xef\xbb\xbf \r\n\t")) or _first(OTHERS, data)
    other = other or next((OTHER_BRANDS[b] for b in brands if b in OTHER_BRANDS), None)
    if other:
        message = f"not a readable picture ({other}, which is not read here); save it as JPEG or PNG"
        raise PictureError(message, f"{other}, which is not read")
    raise PictureError(f"not a readable picture, expected one of {READ_NAMES}; choose another", "not a picture")


def is_cut_off(bare: Bare) -> bool:
    """Whether a file ends before its picture does; asked when it cannot be decoded."""
    data, size = bare.data, len(bare.data)
    if bare.kind == "JPEG":
        return b"\xff\xd9" not in data[-64:]
    if bare.kind == "PNG":
        return data[-12:-4] != b"\0\0\0\0IEND"
    if bare.kind == "GIF":
        return not data.rstrip(b"\0").endswith(b";")
    if bare.kind == "WEBP":
        return int.from_bytes(data[4:8], "little") + 8 > size
    if bare.kind == "BMP":
        return int.from_bytes(data[2:6], "little") > size
    return bare.kind in ("AVIF", "HEIC") and _boxes_end(data) > size


def _first(table: tuple[tuple[bytes, str], ...], data: bytes) -> str | None:
    """What the first signature that fits stands for."""
    return next((name for start, name in table if data.startswith(start)), None)


def _brands(data: bytes) -> list[bytes]:
    """The brands of a file of boxes, the main one last: a general one may stand before what it really is."""
    if data[4:8] != b"ftyp":
        return []
    end = min(int.from_bytes(data[:4], "big"), 256, len(data))
    return [*(data[at : at + 4] for at in range(16, end - 3, 4)), data[8:12]]


def _branded(brands: list[bytes]) -> str | None:
    """What the brands of a file say: AVIF where any of them does."""
    found = {BRANDS[brand] for brand in brands if brand in BRANDS}
    return "AVIF" if "AVIF" in found else next(iter(found), None)


def _boxes_end(data: bytes) -> int:
    """Where the last box that begins in a file ends."""
    at = 0
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        if length == 1:
            length = int.from_bytes(data[at + 8 : at + 16], "big")
        at += length if length >= 8 else len(data) - at
    return at


# -- PNG --------------------------------------------------------------------------------------------------------------

PIXEL_CHUNKS: Final = frozenset((b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"acTL", b"fcTL", b"fdAT", b"IEND"))


def _bare_png(data: bytes) -> Bare:
    """Only the chunks that pixels are made of, with EXIF, profile and gamma apart."""
    kept, exif, profile, gamma, is_srgb = [data[:8]], b"", b"", 0.0, False
    for kind, whole in _chunks(data):
        if kind in PIXEL_CHUNKS:
            kept.append(whole)
        elif kind == b"eXIf":
            exif = whole[8:-4]
        elif kind == b"iCCP":
            profile = _unpacked(whole[8:-4].partition(b"\0")[2][1:])
        elif kind == b"gAMA" and len(whole) == 16:
            gamma = int.from_bytes(whole[8:12], "big") / 100_000
        elif kind == b"sRGB":
            is_srgb = True
        if kind == b"IEND":
            break
    return Bare("PNG", b"".join(kept), exif, profile, 0 if is_srgb else gamma)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and bytes of every chunk, the last one cut off where the file is."""
    at = 8
    while at + 8 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 8], data[at:end]
        at = end


def _unpacked(packed: bytes) -> bytes:
    """An unpacked profile, b"" when it is damaged or longer than any that is meant."""
    try:
        found = zlib.decompressobj().decompress(packed, MOST_PROFILE)
    except zlib.error:
        return b""
    return found if len(found) < MOST_PROFILE else b""


# -- JPEG -------------------------------------------------------------------------------------------------------------

_ADOBE, _JFIF, _SCAN, _COMMENT = 0xEE, 0xE0, 0xDA, 0xFE
_EXIF_HEAD, _PROFILE_HEAD = b"Exif\0\0", b"ICC_PROFILE\0"


def _bare_jpeg(data: bytes) -> Bare:
    """Without comments and applications' segments, but those that say how colours are stored; also the first of many.

    Where the segments do not follow one another, the rest is left as it is.
    """
    kept, exif, profiles, at = [data[:2]], b"", dict[int, bytes](), 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in (0xFF, 0x01) or 0xD0 <= marker <= 0xD8:  # fill bytes, and markers without a length
            at += 1 if marker == 0xFF else 2
            continue
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == _SCAN or end > len(data):
            break
        body = data[at + 4 : end]
        if not (0xE0 <= marker <= 0xEF or marker == _COMMENT) or _is_colour(marker, body):
            kept.append(data[at:end])
        elif marker == 0xE1 and body.startswith(_EXIF_HEAD):
            exif = exif or body
        elif marker == 0xE2 and body.startswith(_PROFILE_HEAD) and len(body) > 14:
            profiles[body[12]] = body[14:]
        at = end
    kept.append(data[at:])
    return Bare("JPEG", b"".join(kept), exif, b"".join(profiles[number] for number in sorted(profiles)))


def _is_colour(marker: int, body: bytes) -> bool:
    """Whether a segment says how colours are stored, and is whole."""
    adobe = marker == _ADOBE and body.startswith(b"Adobe") and len(body) >= 12
    return adobe or (marker == _JFIF and body.startswith(b"JFIF\0") and len(body) >= 14)
