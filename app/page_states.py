"""What Gradio remembers of each page that is open: which widgets have changed, and no copy of all that they show.

Gradio describes every widget anew for each page that comes, and keeps with it whatever the page was sent, so that a
link to that state could be made. For this page that takes 30 ms, in which the server answers nobody, and 0.4 MB and all
that was sent. There are no such links here (see `app.doors`), so nothing is described; 20 kB are left.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from gradio.blocks import Blocks
from gradio.state_holder import SessionState, StateHolder


class PageState(SessionState):
    """Of one page."""

    def __init__(self, blocks: Blocks) -> None:
        nothing = SimpleNamespace(default_config=blocks.default_config, blocks={})  # to describe
        super().__init__(cast("Blocks", nothing))

    def __setitem__(self, key: int, value: Any) -> None:
        """Remember a widget as it is now."""
        super().__setitem__(key, value)
        self.config_values.clear()

    def _update_config(self, key: int) -> None:
        """Nothing is described."""

    def _update_value_in_config(self, key: int, value: Any) -> None:
        """Nothing that was sent is kept."""


class PageStates(StateHolder):
    """Of all pages."""

    @classmethod
    def of(cls, blocks: Blocks) -> PageStates:
        """Those of the pages of an app, none so far."""
        states = cls()
        states.set_blocks(blocks)
        return states

    def __getitem__(self, session_id: str) -> SessionState:
        """What is remembered of a page, which is new if it was never heard of."""
        if session_id not in self.session_data:
            self.session_data[session_id] = PageState(self.blocks)
        return super().__getitem__(session_id)
