"""How a server ends when it is asked to, by SIGTERM or Ctrl-C: within ten seconds, as containers expect of theirs."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Final

from app.health import Health

FINISHING: Final = 6.0
"""Seconds for what is being drawn to be finished; what is not is handed back, paused where it is."""

HANDING_BACK: Final = 1.0
FETCHING: Final = 1.0
"""Seconds for visitors' pages to fetch what was drawn last."""

CLOSING: Final = 1
"""Seconds for connections to be closed, which uvicorn counts in whole ones."""

LONGEST: Final = 9.8
SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)

logger = logging.getLogger("arrag")


def end_at_once() -> None:
    """SIGTERM ends the program from now on, even where it is the first one of a container, whose signals are ignored
    otherwise; there is nothing to lose yet."""
    signal.signal(signal.SIGTERM, _leave)


def to_be_asked() -> threading.Event:
    """What is set when the server is asked to end, from now on. Who asks twice does not want to wait."""
    asked = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        for each in SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        asked.set()

    for number in SIGNALS:
        signal.signal(number, ask)
    return asked


def wait(asked: threading.Event) -> None:
    """Return when the server is asked to end."""
    while not asked.wait(0.2):  # on Windows, a wait without an end hears no Ctrl-C
        pass


def wind_up(health: Health) -> None:
    """Begin nothing more, finish what is being drawn or hand it back; whatever hangs, the program ends in LONGEST."""
    last = threading.Timer(LONGEST, os._exit, (0,))
    last.daemon = True
    last.start()
    health.ending, work = True, health.work
    work.refuse()
    logger.info("ending: %d pictures are being drawn", begun := work.drawing)
    if not _in_time(lambda: work.drawing == 0, FINISHING):
        logger.info("ending: %d pictures are handed back as they are", work.drawing)
        work.hand_back()
        _in_time(lambda: work.drawing == 0, HANDING_BACK)
    if begun:
        time.sleep(FETCHING)
    work.close()


def _in_time(true: Callable[[], bool], seconds: float) -> bool:
    """Whether something came true in so many seconds."""
    deadline = time.monotonic() + seconds
    while not (done := true()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return done


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)
