"""How fast a picture is drawn: at once, or patch by patch, each look-up shown before the next one."""

from __future__ import annotations

import gradio as gr

AT_ONCE, SLOWLY, BY_HAND = "once", "slowly", "hand"
CHOICES = (("At once", AT_ONCE), ("Slowly", SLOWLY), ("Patch by patch", BY_HAND))


def pace_widget() -> gr.Radio:
    """The choice. A slow picture is a paused one that the page goes on with by itself: no visitor waits for another."""
    return gr.Radio(
        list(CHOICES), value=AT_ONCE, label="Pace", elem_id="pace", elem_classes="lp-pick", scale=0, min_width=0
    )


def pause_after(pace: str | None) -> int:
    """How many patches a drawing is paused after at first, 0 for never; anything unknown is drawn at once."""
    return 1 if pace in (SLOWLY, BY_HAND) else 0
