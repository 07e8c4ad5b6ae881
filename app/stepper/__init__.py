"""The client-side stepper: a Gradio component whose behaviour is in the scripts of this folder."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent
SHARED = ("trace.js", "drawing.js", "elements.js")
SCRIPTS = (*SHARED, "reading.js", "blenders.js", "stepper.js")


def template() -> str:
    """The stepper's elements; constant, because Gradio evaluates what is in a template."""
    return (FOLDER / "stepper.html").read_text(encoding="utf-8")


def script() -> str:
    """The stepper's code: the body of a function of `element`, `props` and `watch`."""
    return '"use strict";\n' + "\n".join((FOLDER / name).read_text(encoding="utf-8") for name in SCRIPTS)


def shared_script() -> str:
    """What other client-side parts of the page use of the stepper's code: drawing, elements, numbers as text."""
    return '"use strict";\n' + "\n".join((FOLDER / name).read_text(encoding="utf-8") for name in SHARED) + "\n"


def stylesheet() -> str:
    """The stepper's style sheet."""
    return (FOLDER / "stepper.css").read_text(encoding="utf-8")
