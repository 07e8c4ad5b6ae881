"""Pictures as PNG, WebP or JPEG files that say how they were made: prompt, settings, model, database, and a link.

Twice: as the text that image programs show (a PNG's `parameters`, elsewhere EXIF's UserComment, one "name: value" after
the other below the prompt), and as JSON for `read` (a PNG's `arrag`, elsewhere EXIF's ImageDescription).
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import urlencode

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from .backends.complete import complete
from .backends.protocol import SmallBackend
from .inputs.prompt import ANY_LIMIT, clean_prompt
from .trace import Trace
from .types import ArragError, ConfigError, DecodeSettings

FORMATS: Final = {".png": "PNG", ".webp": "WEBP", ".jpg": "JPEG", ".jpeg": "JPEG"}
"""What a picture can be saved as, by the end of its name."""

KEY: Final = "arrag"
MOST_BYTES: Final = 64 << 20
MOST_TEXT: Final = 100_000
DIGITS: Final = 16
"""Of the hash of the codes, in a link."""

_EXIF, _DESCRIPTION, _COMMENT = 0x8769, 0x010E, 0x9286
"""The part of EXIF that UserComment stands in, ImageDescription, UserComment (EXIF 2.3)."""
_UNICODE: Final = b"UNICODE\0"


@dataclass(frozen=True, slots=True)
class About:
    """How a picture was made: what draws it again, and the hash of the codes that came out, "" for unknown.

    note: why these do not draw it again, "" when they do; then there is a link. position: what of it is shown, -1 for
    the whole picture.
    """

    prompt: str
    model: str
    database: str
    settings: DecodeSettings
    codes_sha256: str = ""
    note: str = ""
    position: int = -1

    @property
    def link(self) -> str:
        """The query of a page's address that draws it again, "?" included, with every setting; "" where none does.

        Without a name for model or database, those are left to the page.
        """
        if self.note:
            return ""
        values = {field.name: _text(getattr(self.settings, field.name)) for field in fields(DecodeSettings)}
        named = {"model": self.model, "database": self.database}
        first = {"prompt": self.prompt, **{name: value for name, value in named.items() if value}}
        step = {"step": self.position} if self.position >= 0 else {}
        return "?" + urlencode({**first, **values, "codes": self.codes_sha256[:DIGITS], **step})

    @property
    def parameters(self) -> str:
        """The same for people: the prompt, and all else in one line below it."""
        position = {"Position": self.position} if self.position >= 0 else {}
        return f"{self.prompt}\n{_listed({**_facts(self), **position, 'Note': self.note, 'Link': self.link})}"

    @property
    def json(self) -> str:
        """The same for `read`; plain ASCII, as EXIF wants it."""
        return json.dumps({KEY: 1, **asdict(self), "link": self.link})


@dataclass(frozen=True, slots=True)
class AboutSeveral:
    """How the pictures of one file were made, in the order in which they are read, `columns` in a row."""

    pictures: tuple[About, ...]
    columns: int

    @property
    def common(self) -> dict[str, Any]:
        """What all of them have in common, by name."""
        every = [{"Prompt": one.prompt, **_facts(one)} for one in self.pictures]
        return {name: value for name, value in every[0].items() if all(facts[name] == value for facts in every)}

    @property
    def parameters(self) -> str:
        """For people: what they have in common, and below it each with what varies and its link, or why it has none."""
        common = self.common
        lines = [common.get("Prompt", "several prompts"), _listed({**common, "Prompt": ""})]
        for number, one in enumerate(self.pictures, start=1):
            facts = {"Prompt": one.prompt, **_facts(one)}
            own = {name: value for name, value in facts.items() if name not in common}
            lines.append(f"{number}. {_listed({**own, 'Note': one.note, 'Link': one.link})}")
        return "\n".join(lines)

    @property
    def json(self) -> str:
        """The same for programs; plain ASCII."""
        pictures = [{**asdict(one), "link": one.link} for one in self.pictures]
        return json.dumps({KEY: 1, "columns": self.columns, "pictures": pictures})


def about(trace: Trace, database: str = "", model: str = "", note: str = "") -> About:
    """What a trace says of its picture.

    database: the name or folder of what it retrieved from; model: what it goes by, if not by its own name; note: see
    `About`, for what the trace does not know.
    """
    if trace.changes or trace.given:
        note = note or "changed by hand or begun with an image: the settings alone do not draw it again"
    elif not trace.complete:
        note = note or f"stopped after {len(trace.steps)} of {trace.grid.positions} patches"
    elif trace.incomplete:
        note = note or "part of the database did not answer: the settings alone may draw another one"
    finished = trace.codes_sha256 if trace.complete else ""
    return About(trace.prompt, model or trace.origin.backend, database, trace.settings, finished, note)


def picture_of(backend: SmallBackend, trace: Trace) -> Image.Image:
    """The picture of a trace, whose codes to come, if it was stopped, are 0; ConfigError for another model's."""
    model, grid = complete(backend), trace.grid
    if (model.codebook.fingerprint, model.grid) != (trace.origin.codebook, grid):
        got = f"got a trace of {trace.origin.backend} with another codebook or grid"
        raise ConfigError(f"picture: {got}, expected one of {model.name}; take the model that made it")
    codes = np.zeros(grid.positions, np.uint16)
    codes[: len(trace.steps)] = trace.codes
    return Image.fromarray(model.decode_codes(codes.reshape(1, grid.height, grid.width))[0])


def save(picture: Image.Image, path: Path, said: About) -> None:
    """Write a picture, in the format that its name ends in, with how it was made; OSError when it cannot be written."""
    with path.open("wb") as file:
        write(picture, file, FORMATS[path.suffix.lower()], said)


def write(picture: Image.Image, file: IO[bytes], kind: str, said: About | AboutSeveral, **options: Any) -> None:
    """Write a picture as PNG, WEBP or JPEG; options: of Pillow's encoder, such as quality."""
    if kind == "PNG":
        texts = PngInfo()
        texts.add_itxt("parameters", said.parameters)
        texts.add_itxt(KEY, said.json)
        picture.save(file, kind, pnginfo=texts, **options)
        return
    exif = Image.Exif()
    exif[_DESCRIPTION] = said.json
    exif.get_ifd(_EXIF)[_COMMENT] = _UNICODE + said.parameters.encode("utf-16-be")
    picture.save(file, kind, exif=exif, **options)


def read(path: Path) -> About:
    """How a picture was made; ConfigError for a file that does not say, or says what cannot be."""
    name = path.name
    try:
        with path.open("rb") as file:
            if (size := path.stat().st_size) > MOST_BYTES:
                raise ConfigError(f"{name}: got {size} bytes, expected {MOST_BYTES} at most")
            text = _text_in(file)
    except OSError as error:
        reason = error.strerror or "no picture that can be read"
        raise ConfigError(f"{name}: {reason}; expected a picture that this program has saved") from None
    if text is None:
        remedy = "take the file as it was saved: programs and web sites that re-encode pictures leave such texts out"
        raise ConfigError(f"{name}: does not say how it was made; {remedy}")
    try:
        return _about_in(text)
    except ArragError as error:
        raise ConfigError(f"{name}: {error}") from None
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ConfigError(f"{name}: got a text that is damaged, expected how the picture was made") from None


def _text_in(file: IO[bytes]) -> str | None:
    """The JSON part of an opened picture, None without one; reads no pixels."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of texts that are not ours, and of sizes, which nothing here decodes
        try:
            with Image.open(file, formats=("PNG", "WEBP", "JPEG")) as picture:
                found = picture.info.get(KEY) or picture.getexif().get(_DESCRIPTION)
        except (ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise OSError(str(error)) from None
    return str(found) if isinstance(found, str) and len(found) <= MOST_TEXT else None


def _about_in(text: str) -> About:
    """What a text says; ConfigError, ValueError, TypeError or KeyError for what cannot be."""
    values = json.loads(text)
    if not isinstance(values, dict) or KEY not in values:
        raise ValueError
    if isinstance(several := values.get("pictures"), list):
        remedy = "each has a link in the file's text `parameters`"
        raise ConfigError(f"got a sheet of {len(several)} pictures, expected a single one; {remedy}")
    named = {name: values[name] for name in ("model", "database", "codes_sha256", "note")}
    if not all(isinstance(value, str) and len(value) <= 2000 for value in named.values()):
        raise TypeError
    position = values.get("position", -1)
    if not isinstance(position, int):
        raise TypeError
    settings = DecodeSettings.from_json(values["settings"])
    return About(clean_prompt(values["prompt"], ANY_LIMIT), settings=settings, position=position, **named)


def _facts(said: About) -> dict[str, Any]:
    """Model, database and settings by the names that people read."""
    values = {"Model": said.model, "Database": said.database, **asdict(said.settings)}
    return {name.replace("_", " ").capitalize(): value for name, value in values.items()}


def _listed(facts: Mapping[str, Any]) -> str:
    """Those that say something, in one line."""
    shown = {name: _text(value) for name, value in facts.items()}
    return ", ".join(f"{name}: {value}" for name, value in shown.items() if value)


def _text(value: Any) -> str:
    """A setting as text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(value) if isinstance(value, tuple) else str(value)
