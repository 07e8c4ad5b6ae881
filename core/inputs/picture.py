"""One picture from outside, as all parts of the project read it: upright, in sRGB, on a ground it stands out from.

Limits are set by the memory that decoding needs and are checked before it begins.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms, JpegImagePlugin, features

from .formats import Bare, PictureError, bare, is_cut_off

MOST_MEMORY: Final = 400_000_000
"""Bytes that decoding one picture may take."""

MOST_PIXELS: Final = 250_000_000
"""Of a JPEG that is decoded at an eighth of its size: a bound of time, not of memory."""

MOST_FRAMES: Final = 64
FRAME_PIXELS: Final = 100_000_000
"""How far into an animation its first visible frame is looked for."""

NO_FRAMES: Final = ("TIFF", "HEIF")
"""Formats that hold other pictures beside their first, and no animation."""

FAINT: Final = 16
"""Opacity, of 255, below which nothing is seen."""

STANDS_OUT, SEEN_SHARE = 32, 0.02
"""How far, of 255, a colour is from a ground that it stands out from; and the share of a picture that has to."""

JPEG_SHARE: Final = 8
"""How many pixels of a JPEG, which is decoded small, take as long as one of another kind: 1.6 to 15 ms a million."""

DOWNSCALED: Final = ("L", "LA", "RGB", "RGBA", "CMYK")
"""Modes that can be made smaller before they are converted."""

MEMORY: Final = {"1": 3, "L": 2, "P": 5, "LA": 8, "RGB": 8, "RGBA": 8, "CMYK": 8}
"""Bytes a pixel while a picture of a mode is decoded and copied; 12 of others."""

TURNED: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip
"""What sets a picture upright, by the number of its orientation (EXIF 2.3, tag 274)."""

ORIENTATION: Final = 0x0112
WHITE, BLACK = (255, 255, 255), (0, 0, 0)

Colour = tuple[int, int, int]
Pixels = npt.NDArray[np.uint8]
Greys = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Picture:
    """An RGB image of any shape, and the ground that it was laid on, white where it covers all.

    size: width and height in its file, which may be larger, as it is seen.
    """

    image: Image.Image
    ground: Colour = WHITE
    size: tuple[int, int] = (0, 0)

    def padded(self, side: int) -> Pixels:
        """The whole picture in a square [side, side, 3], on its ground; small ones keep their hard edges."""
        width, height = self.image.size
        scale = side / max(width, height)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        method = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS
        square = Image.new("RGB", (side, side), self.ground)
        square.paste(self.image.resize(size, method), ((side - size[0]) // 2, (side - size[1]) // 2))
        return np.asarray(square, dtype=np.uint8)

    def covering(self, side: int) -> Pixels:
        """The middle of the picture, as large as fits, in a square [side, side, 3]."""
        width, height = self.image.size
        least = min(width, height)
        left, top = (width - least) / 2, (height - least) / 2
        box = (left, top, left + least, top + least)
        return np.asarray(self.image.resize((side, side), Image.Resampling.BICUBIC, box), dtype=np.uint8)


def open_picture(data: bytes, name: str, side: int) -> Picture:
    """A picture from the bytes of its file, at most 4 times `side`, the size it is used at.

    Raises PictureError with the name for what is none of `formats.READ`, damaged, cut off, or too large to decode.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of bombs, our own limit is lower; of metadata, it is not used
            return _open(bare(data), side)
    except PictureError as error:
        raise PictureError(f"{name}: {error}", error.kind) from None


def effort(data: bytes) -> int:
    """About how many pixels have to be decoded of a picture, told from its header; 0 for what is no picture.

    A million takes about 15 ms. Of an animation, all frames count that may have to be looked at.
    """
    try:
        with warnings.catch_warnings(), _decoder(bare(data)) as image:
            warnings.simplefilter("ignore")
            pixels = image.width * image.height
            if image.format == "JPEG":
                return -(-pixels // JPEG_SHARE)
            frames = 1 if image.format in NO_FRAMES else min(int(getattr(image, "n_frames", 1)), MOST_FRAMES)
            return max(pixels, min(pixels * frames, FRAME_PIXELS))
    except Exception:  # `open_picture` says what is wrong with it
        return 0


def _open(found: Bare, side: int) -> Picture:
    """See open_picture; PictureError without a name."""
    try:
        with _decoder(found) as image:
            exif, profile = found.exif or _exif(image), found.profile or image.info.get("icc_profile") or b""
            size = image.size
            image.draft("RGB", (2 * side, 2 * side))
            _check_memory(image)
            frame = _small(_first_visible(image), 4 * side)
            frame = _in_srgb(frame, profile, found.gamma)
        return _on_ground(_upright(frame, exif), size)
    except PictureError:
        raise
    except Image.DecompressionBombError:
        raise PictureError("got far too many pixels to decode; shrink it", "too large") from None
    except MemoryError:
        raise PictureError("got a picture that takes more memory than there is; shrink it", "too large") from None
    except Exception as error:  # decoders of hostile files raise nearly anything
        if "truncated" in str(error).lower() or isinstance(error, EOFError) or is_cut_off(found):
            message = f"not a readable picture (a {found.kind} file that is cut off); copy it again"
            raise PictureError(message, "cut off") from None
        what = f"a {found.kind} file that is damaged, or of a variant that is not read here"
        raise PictureError(f"not a readable picture ({what}); save it anew") from None


def _decoder(found: Bare) -> Image.Image:
    """The picture, nothing of it decoded. JPEG, which can be decoded small, is not held to Pillow's limit of pixels."""
    file = io.BytesIO(found.data)
    if found.kind == "JPEG":
        return cast(Image.Image, JpegImagePlugin.JpegImageFile(file))
    if found.kind == "HEIC":
        return cast(Image.Image, _plugin("pillow_heif", "HEIC", "pillow-heif").HeifImageFile(file))
    if found.kind == "AVIF" and not features.check("avif"):
        _plugin("pillow_avif", "AVIF", "Pillow 11.3 or later, or pillow-avif-plugin")
    return Image.open(file, formats=[found.kind])


def _plugin(module: str, kind: str, package: str) -> Any:
    """A module that reads what Pillow does not; PictureError that names the package where it is not installed."""
    try:
        return import_module(module)
    except ImportError:
        message = f"not a readable picture ({kind}); run pip install {package}, or save it as JPEG or PNG"
        raise PictureError(message, f"{kind}, which takes a package that is not installed") from None


def _check_memory(image: Image.Image) -> None:
    """PictureError when decoding takes too much, as its header and the draft that was asked for tell."""
    width, height = image.size
    needed = width * height * MEMORY.get(image.mode, 12)
    pixels = width * height
    if image.format == "JPEG":
        scale = getattr(image, "decoderconfig", ()) or (1, 1)
        pixels = width * height * int(scale[0] or 1) ** 2
        needed += 6 * pixels if image.info.get("progressive") else 0  # libjpeg then holds all coefficients
    elif image.format in ("WEBP", "AVIF", "GIF", "HEIF"):
        needed *= 2  # a canvas beside the frame
    if needed > MOST_MEMORY or pixels > MOST_PIXELS:
        got = f"got {width} x {height} pixels" if pixels == width * height else f"got {pixels / 1e6:.0f} megapixels"
        takes = f"which take {needed / 1e6:.0f} MB to decode, expected at most {MOST_MEMORY // 10**6}"
        expected = takes if needed > MOST_MEMORY else "expected at most 250 million"
        raise PictureError(f"{got}, {expected}; shrink it", "too large")


# -- frames -----------------------------------------------------------------------------------------------------------


def _first_visible(image: Image.Image) -> Image.Image:
    """The first frame that shows something, of a single colour only when there is no other; PictureError for none."""
    plain = None
    for frame in _frames(image):
        if _is_empty(frame):
            continue
        if not _is_plain(frame):
            return frame
        plain = plain or frame
    if plain is None:
        frames = "all of it is transparent" if not getattr(image, "is_animated", False) else "its frames are empty"
        raise PictureError(f"got a picture that shows nothing ({frames}); choose another", "shows nothing")
    return plain


def _frames(image: Image.Image) -> Iterator[Image.Image]:
    """The frames of a picture, without what cannot be decoded after the first."""
    yield _eight_bit(image)
    if not getattr(image, "is_animated", False) or image.format in NO_FRAMES:
        return
    most = max(1, min(MOST_FRAMES, FRAME_PIXELS // (image.width * image.height)))
    for number in range(1, most):
        try:
            image.seek(number)
            _check_memory(image)
            frame = _eight_bit(image)
        except Exception:  # the end, or damage: what came before is there
            return
        yield frame


def _is_empty(frame: Image.Image) -> bool:
    """Whether nothing of a frame can be seen."""
    return "A" in frame.mode and cast(tuple[int, int], frame.getchannel("A").getextrema())[1] < FAINT


def _is_plain(frame: Image.Image) -> bool:
    """Whether a frame is of one colour."""
    extrema = cast(Any, frame.getextrema())  # a pair, or one for each band
    return all(low == high for low, high in (extrema if isinstance(extrema[0], tuple) else [extrema]))


# -- depth and colour -------------------------------------------------------------------------------------------------


def _eight_bit(image: Image.Image) -> Image.Image:
    """The current frame, decoded, in one of DOWNSCALED."""
    image.load()
    clear = image.info.get("transparency")
    if image.mode[0] in "IF":
        greys = np.asarray(image)
        grey = Image.fromarray(shades(greys))
        if isinstance(clear, int):
            grey.putalpha(Image.fromarray(np.where(greys == clear, 0, 255).astype(np.uint8)))
        return grey
    if clear is not None or image.mode in ("P", "PA", "La", "RGBa"):
        return image.convert("RGBA")
    return image.copy() if image.mode in DOWNSCALED else image.convert("L" if image.mode == "1" else "RGB")


def shades(greys: Greys) -> Pixels:
    """Deep greys of any shape as 0..255.

    16 bits go from black to white. 32 bits and floats have no white of their own: floats from 0 to 1 and numbers that
    fit 8 bits are taken as such, others from their least to their greatest; what is no number is black.
    """
    if greys.dtype.itemsize == 2 and greys.dtype.kind == "u":
        return ((greys.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
    finite = np.isfinite(greys)
    low, high = (float(greys[finite].min()), float(greys[finite].max())) if finite.any() else (0.0, 0.0)
    if low >= 0 and high <= 1 and greys.dtype.kind == "f":
        low, high = 0.0, 1.0
    elif low >= 0 and high <= 255:
        low, high = 0.0, 255.0
    span = max(high - low, 1e-30)
    scaled = (np.where(finite, greys, low).astype(np.float64) - low) * (255 / span)
    return np.asarray(np.clip(np.rint(scaled), 0, 255), dtype=np.uint8)


def _small(frame: Image.Image, most: int) -> Image.Image:
    """The frame with no side longer than `most`."""
    scale = most / max(frame.size)
    if scale >= 1:
        return frame
    size = (max(1, round(frame.width * scale)), max(1, round(frame.height * scale)))
    return frame.resize(size, Image.Resampling.BOX)


def _in_srgb(frame: Image.Image, profile: bytes, gamma: float) -> Image.Image:
    """The frame as RGB or RGBA, its colours as a browser shows them; an unusable profile is as good as none."""
    alpha = frame.getchannel("A") if "A" in frame.mode else None
    colours = frame.convert(frame.mode.removesuffix("A")) if alpha else frame
    found = _by_profile(colours, profile) if profile else None
    colours = found or _by_gamma(colours.convert("RGB"), gamma)
    if alpha:
        colours.putalpha(alpha)
    return colours


def _by_profile(colours: Image.Image, profile: bytes) -> Image.Image | None:
    """Colours by their profile; None when it does not fit or is damaged."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        intent = ImageCms.Intent.PERCEPTUAL
        made = ImageCms.profileToProfile(colours, source, ImageCms.createProfile("sRGB"), intent, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    return made


def _by_gamma(colours: Image.Image, gamma: float) -> Image.Image:
    """RGB by the gamma of a PNG; as it is without one, or with one that is usual or makes no sense."""
    if not 0.1 <= gamma <= 5 or abs((exponent := 1 / (2.2 * gamma)) - 1) < 0.05:
        return colours
    return colours.point([round(255 * (number / 255) ** exponent) for number in range(256)] * 3)


# -- upright, and on a ground -----------------------------------------------------------------------------------------


def _exif(image: Image.Image) -> bytes:
    """EXIF of formats whose decoders hand it over; TIFF is set upright by its decoder."""
    found = image.info.get("exif") if image.format != "TIFF" else None
    return found if isinstance(found, bytes) else b""


def orientation(exif: bytes) -> int:
    """How a picture is turned, 1 to 8; 1 where it is not said or cannot be read."""
    try:
        found = Image.Exif()
        found.load(exif)
        number = found.get(ORIENTATION, 1)
    except Exception:  # whatever is wrong with it, the pixels are there
        return 1
    return number if isinstance(number, int) and 1 <= number <= 8 else 1


def _upright(frame: Image.Image, exif: bytes) -> Image.Image:
    """The frame as it was meant to be seen."""
    turn = TURNED.get(orientation(exif)) if exif else None
    return frame if turn is None else frame.transpose(turn)


def _on_ground(frame: Image.Image, stored: tuple[int, int]) -> Picture:
    """An RGB or RGBA image on white, or on black where hardly anything of it would be seen on white.

    stored: width and height in its file, where it may lie on its side.
    """
    lies = (stored[0] > stored[1]) != (frame.width > frame.height)
    size = (stored[1], stored[0]) if lies else stored
    if frame.mode == "RGB":
        return Picture(frame, size=size)
    pixels = np.asarray(frame, dtype=np.int32)
    opacity = pixels[..., 3]
    far = (255 - pixels[..., :3].min(axis=-1)) * opacity > STANDS_OUT * 255
    seen = opacity[far].sum(dtype=np.int64) >= SEEN_SHARE * opacity.sum(dtype=np.int64)
    see_through = bool((opacity < FAINT).mean() > SEEN_SHARE)
    ground = WHITE if seen or not see_through else BLACK
    composed = Image.alpha_composite(Image.new("RGBA", frame.size, ground), frame)
    return Picture(composed.convert("RGB"), ground, size)
