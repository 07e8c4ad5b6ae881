"""What goes by age goes while the server runs, whether anybody asks for something or not; at its end, the rest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import Any, Final

import gradio as gr
from gradio.state_holder import StateHolder

from app.memory import give_back
from app.page_states import PageStates
from app.session import Session
from app.unheard import Unheard

SECONDS: Final = 20.0
CLOSED_FOR: Final = timedelta(minutes=15)
SESSIONS_KEPT: Final = 512
"""How many pages Gradio remembers the widgets of, 20 kB each; it would keep 10,000, for as long as it runs."""


def lifespan(session: Session) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    """What is done beside serving, for as long as the server runs."""

    @asynccontextmanager
    async def running(app: Any) -> AsyncIterator[None]:
        app.state_holder = PageStates.of(app.get_blocks())
        unheard = Unheard(app.get_blocks()._queue, session.visitors.is_present)
        task = asyncio.create_task(_tidy(session, app.state_holder, unheard))
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            session.uploads.clear()
            session.files.clear()

    return running


async def _tidy(session: Session, holder: StateHolder, unheard: Unheard) -> None:
    """Remove what is over, every few seconds."""
    while True:
        drop_closed(holder, datetime.now())
        unheard.sweep()
        await asyncio.to_thread(session.sweep)
        await asyncio.to_thread(give_back)
        await asyncio.sleep(SECONDS)


def drop_closed(holder: StateHolder, now: datetime) -> None:
    """Forget what Gradio remembers of pages that were closed a while ago: all that their widgets last held."""
    for name, state in list(holder.session_data.items()):
        if state.is_closed and now - holder.time_last_used.get(name, datetime.min) >= CLOSED_FOR:
            drop(holder, name)


def drop(holder: StateHolder, name: str | None) -> None:
    """Forget what Gradio remembers of a page."""
    if name is not None:
        holder.session_data.pop(name, None)
        holder.time_last_used.pop(name, None)


def drop_asking(request: gr.Request) -> None:
    """Forget what Gradio remembers of the page that is asking; a request that comes from nowhere has none."""
    app = getattr(request.request, "app", None)
    if app is not None:
        drop(app.state_holder, request.session_hash)
