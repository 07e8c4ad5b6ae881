"""A small database from pictures, in memory: by the same rules as one that is built into a folder."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from ...backends.protocol import Backend
from ...context import Context
from ...inputs.formats import PictureError
from ...types import ConfigError
from ..database import PatchDatabase
from .captions import describe
from .kinds import open_source
from .parts import BATCH, Taken, take
from .plan import BuildOptions
from .sources import LeftOut, SourceChoice, printable

Skip = Callable[[str, str], None]
"""Is told the name of a picture that is not taken, and why."""


def collect(
    backend: Backend,
    source: str | Path | SourceChoice,
    context: Context | None = None,
    skip: Skip | None = None,
    options: BuildOptions | None = None,
) -> PatchDatabase:
    """Encode all pictures of a source, see `build_database`, into a database in memory.

    skip: is told what is not taken, since it cannot be read or is the same as another. Without it the first picture
    that cannot be read raises its ConfigError, and what is twice there is taken once. ConfigError for no picture.
    """
    choice = source if isinstance(source, SourceChoice) else SourceChoice(os.fspath(source))
    chosen = options or BuildOptions()
    taken = list(_taken(choice, chosen, backend.pixels, skip))
    if not taken:
        raise ConfigError(f"images: got no picture in {printable(choice.path)}, expected at least one")
    pixels = np.stack([each.pixels for each in taken])
    captions = [each.row.info.caption for each in taken]
    return PatchDatabase.build(
        backend.codebook,
        np.concatenate([backend.encode_images(pixels[at : at + BATCH]) for at in range(0, len(pixels), BATCH)]),
        [each.row.info for each in taken],
        context or chosen.context or Context(),
        backend.embed_captions(captions) if backend.caption_encoder else None,
        [each.picture for each in taken],
        caption_encoder=backend.caption_encoder,
    )


def _taken(choice: SourceChoice, options: BuildOptions, side: int, skip: Skip | None) -> Iterator[Taken]:
    """The pictures of a source that can be read, each content once."""
    source = open_source(choice)
    seen = dict[str, str]()
    for span in source.spans(LeftOut()):
        for item in source.items(span):
            try:
                data = item.read()
                digest = hashlib.sha256(data).hexdigest()
                if seen.setdefault(digest, item.name) != item.name:
                    if skip is not None:
                        skip(item.name, f"the same as {seen[digest]}")
                    continue
                said = describe(item, source.name, options.captions, choice.caption_column)
                yield take(item.name, data, digest, said, options, side)
            except PictureError as error:
                if skip is None:
                    raise ConfigError(str(error) if item.name in str(error) else f"{item.name}: {error}") from None
                skip(item.name, str(error))
