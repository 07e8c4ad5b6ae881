"""The files of a run that visitors save: each as its name and its bytes."""

from __future__ import annotations

import io

from PIL import Image

from app.replay import replay_page
from app.views import notice_of, sentences
from app.visits import Kept
from core.picture_file import About, AboutSeveral, write
from core.trace_file import write as write_trace

MAX_STEM = 80
"""Bytes of a file's name before the seed and the suffix; file systems take 255 in all."""


def page_file(kept: Kept, packed: bytes, atlas: bytes) -> tuple[str, bytes]:
    """The run as a page of one file; packed, atlas: as `Presenting.packed` makes them."""
    done, of = len(kept.trace.steps), kept.trace.grid.positions
    state, message = ("ready", "") if kept.trace.complete else ("stopped", f"Stopped after {done} of {of} patches.")
    notice = sentences(message, notice_of(kept.trace))
    return f"{file_name(kept)}.html", replay_page(kept.name, state, notice, packed, atlas)


def trace_file(kept: Kept) -> tuple[str, bytes]:
    """The run as a trace."""
    buffer = io.BytesIO()
    write_trace(kept.trace, buffer)
    return f"{file_name(kept)}.npz", buffer.getvalue()


def picture_file(kept: Kept) -> tuple[str, bytes]:
    """The picture of a run as it was made, which says how."""
    return f"{file_name(kept)}.webp", kept.picture


def png_file(name: str, picture: Image.Image, said: About | AboutSeveral) -> tuple[str, bytes]:
    """A picture that says how it was made, without loss."""
    buffer = io.BytesIO()
    write(picture, buffer, "PNG", said)
    return f"{name}.png", buffer.getvalue()


def file_name(kept: Kept, *parts: str) -> str:
    """What to call a file of a run, such as flat-style-pizza_position-139_seed-5, from its name and what it shows.

    parts: what it shows of the run, of letters, digits and hyphens. No longer than file systems take.
    """
    words = "".join(char if char.isascii() and char.isalnum() else " " for char in kept.name).split()
    stem = "-".join(words[:8])[:MAX_STEM].strip("-").lower() or "picture"
    return "_".join([stem, *parts, f"seed-{kept.asked.settings.seed}"])
