"""The client-side stepper: a Gradio component whose behaviour is in the scripts of this folder."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

FOLDER = Path(__file__).parent
SHARED = tuple(FOLDER / name for name in ("trace.js", "drawing.js", "dom.js"))
"""What other components of the page use as well."""

SCRIPTS = (*SHARED, *(FOLDER / name for name in ("reading.js", "blenders.js", "sources.js", "tips.js", "stepper.js")))


def template() -> str:
    """The stepper's elements; constant, because Gradio evaluates what is in a template."""
    return (FOLDER / "stepper.html").read_text(encoding="utf-8")


def script() -> str:
    """The stepper's code: the body of a function of `element`, `props` and `watch`."""
    return joined(SCRIPTS)


def joined(files: Iterable[Path]) -> str:
    """Scripts as the body of one function, which is how Gradio runs them."""
    return '"use strict";\n' + "\n".join(file.read_text(encoding="utf-8") for file in files)


def stylesheet() -> str:
    """The stepper's style sheet."""
    return (FOLDER / "stepper.css").read_text(encoding="utf-8")
