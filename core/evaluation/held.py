"""Pictures that no model has learned from, as token grids with captions: those that ship, or databases of one's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..assets import ASSETS
from ..backends.protocol import Backend
from ..patches.catalogue import find_database
from ..patches.protocol import Database, ImageInfo, check_caption_encoder
from ..types import CodeArray, ConfigError, DatabaseError, DecodeSettings
from .likelihood import Found, retrieve

SIDES = ("validation", "test", "pair")
"""Those that ship: concepts that no model has seen, twice, and styles that known concepts were not seen in."""

VALIDATION = "validation"
"""The side that settings are chosen on."""


@dataclass(frozen=True, slots=True)
class HeldPicture:
    """A held-out picture: its side, its number there, what asks for it, and its token grid [H, W]."""

    side: str
    number: int
    prompt: str
    style: str
    codes: CodeArray

    @property
    def key(self) -> str:
        """Its name among the items of a run."""
        return f"{self.side}-{self.number:05d}"


def prompt_of(info: ImageInfo) -> str:
    """What a picture is asked for by: its caption, and its style if it is said to have one."""
    return f"{info.caption}, {info.style} style" if info.style else info.caption


def sides_of(backend: Backend, given: Mapping[str, str]) -> dict[str, Database]:
    """The held-out sides: those in the databases that are given by side, or those of the embedded models.

    Raises ConfigError where none is given and the embedded ones are of another codebook.
    """
    if given:
        return {side: find_database(name, backend) for side, name in given.items()}
    try:
        return {side: find_database(str(ASSETS / "heldout" / side), backend) for side in SIDES}
    except DatabaseError:
        got = f"model {backend.name}: got no held-out pictures, and those that ship are of another codebook"
        remedy = "build databases of pictures that it has not learned from, and give them as --validation and --test"
        raise ConfigError(f"{got}, expected some; {remedy}") from None


def pictures_of(
    sides: Mapping[str, Database], count: int = 0, styles: Sequence[str] = ()
) -> dict[str, list[HeldPicture]]:
    """The pictures of all sides, or `count` of each (0: all) that are spread over it; styles: in these alone."""
    chosen = dict[str, list[HeldPicture]]()
    for side, database in sides.items():
        infos = [(n, database.image_info(n)) for n in database.images.tolist()]
        infos = [(n, info) for n, info in infos if not styles or info.style in styles]
        kept = spread(len(infos), count)
        chosen[side] = [
            HeldPicture(side, n, prompt_of(info), info.style, np.asarray(database.image_codes(n)))
            for n, info in (infos[place] for place in kept)
        ]
    return chosen


def spread(total: int, count: int) -> list[int]:
    """`count` of so many numbers, as far apart as they can be; all of them for 0 or where there are no more."""
    wanted = min(count or total, total)
    return [int(place) for place in np.linspace(0, total - 1, wanted)] if wanted else []


def view_for(backend: Backend, database: Database, prompt: str, settings: DecodeSettings) -> Database:
    """What a prompt may retrieve from, by the styles and the caption filter of the settings."""
    view = database.with_styles(settings.styles)
    if settings.caption_filter:
        check_caption_encoder(view, backend.caption_encoder)
        view = view.subset(view.nearest_captions(backend.embed_captions([prompt])[0], settings.caption_filter))
    return view


def found_for(backend: Backend, database: Database, picture: HeldPicture, settings: DecodeSettings) -> Found:
    """What every position of a held-out picture retrieves."""
    return retrieve(picture.codes, view_for(backend, database, picture.prompt, settings), settings)
