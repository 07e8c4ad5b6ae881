"""What a tab gets from the page, and who is asking."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import gradio as gr

from app.controls import Controls
from app.session import Session
from app.stepper.stepper import Stepper

MODEL_QUEUE = "model"
"""`concurrency_id` of every event that runs a model: together they get no more than CONCURRENT_RUNS at once."""

CONCURRENT_RUNS = 2


@dataclass(frozen=True)
class Parts:
    """The parts of the page that tabs read and change.

    shown: state with the id of the run in the stepper, "" before the first; opened: state with the label of the open
    tab.
    """

    session: Session
    settings: Controls
    prompt: gr.Textbox
    stepper: Stepper
    shown: gr.State
    opened: gr.State


def visitor(request: gr.Request) -> str:
    """Who is asking: one browser tab."""
    return str(request.session_hash)


def on_stop(session: Session) -> Callable[[gr.Request], None]:
    """The handler of a Stop button: what the visitor has under way ends."""

    def stop(request: gr.Request) -> None:
        session.stop(visitor(request))

    return stop
