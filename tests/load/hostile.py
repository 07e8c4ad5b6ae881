"""One visitor who takes whatever can be had: clicks, sweeps, uploads, all neighbours, files, streams never read.

Usage: python -m tests.load.hostile URL BROWSER; the end of standard input ends it. It has a process of its own, which
gets what others leave of the processor: a real one has a computer of their own.
"""

from __future__ import annotations

import io
import json
import os
import secrets
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlparse
from urllib.request import Request, urlopen

import numpy as np
from PIL import Image

CLICKS = 30
STREAMS = 20
UPLOADS = 40
PATIENCE = 30
LEAST = 19
BOUNDARY = "loadloadload"

GREEDY: tuple[dict[str, Any], ...] = (
    {"n_neighbours": 512, "caption_filter": 0, "cfg_scale": 8.0},
    {"n_neighbours": 0, "caption_filter": 0},
    {"n_neighbours": 512, "method": "faid+daid", "faid_neighbours": 512, "record_unblended": True},
)
"""Settings that cost most, whether or not they are offered."""


@contextmanager
def beside(url: str, browser: bool) -> Iterator[None]:
    """Somebody hostile for as long as the block takes. browser: whether with one, too."""
    command = [sys.executable, "-m", "tests.load.hostile", url, str(int(browser))]
    process = subprocess.Popen(command, stdin=subprocess.PIPE)
    try:
        yield
    finally:
        try:
            process.communicate(timeout=2 * PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Hostile:
    """Does all of it again and again, in threads of its own, until told to end; whatever is refused is tried again."""

    def __init__(self, url: str, browser: bool) -> None:
        self._url, self._over = url, threading.Event()
        self._sockets: list[socket.socket] = []
        habits: list[Callable[[], None]] = [self._greed, self._uploads, self._streams]
        self._threads = [threading.Thread(target=self._repeat, args=(habit,), daemon=True) for habit in habits]
        if browser:
            self._threads.append(threading.Thread(target=self._clicks, daemon=True))

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Hostile for as long as the block takes."""
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in self._threads:
                thread.join(PATIENCE)
            for unread in self._sockets:
                unread.close()

    def _repeat(self, habit: Callable[[], None]) -> None:
        while not self._over.is_set():
            with suppress(OSError, ValueError):
                habit()
            self._over.wait(1)

    def _greed(self) -> None:
        """The dearest requests, many of them, all in one session."""
        session = "hostile"
        for number in range(CLICKS):
            settings = GREEDY[number % len(GREEDY)]
            self._ask("generate", ["a red heart", "emoji", "emoji", {**settings, "seed": number}, True], session)
        for number in range(CLICKS // 3):
            variants = [{"seed": number, **settings} for settings in GREEDY]
            self._ask("compare", ["a red heart", "emoji", "emoji", {}, variants, True], session)

    def _streams(self) -> None:
        """Requests of ever new sessions whose answers are never read."""
        for _ in range(STREAMS):
            session = secrets.token_hex(8)
            self._ask("generate", ["pizza", "emoji", "emoji", {}, False], session)
            where = urlparse(self._url)
            stream = socket.create_connection((where.hostname or "", where.port or 80), timeout=PATIENCE)
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            stream.sendall(f"GET /gradio_api/queue/data?session_hash={session} HTTP/1.1\r\nHost: load\r\n\r\n".encode())
            self._sockets.append(stream)
        self._over.wait(5)
        while len(self._sockets) > 3 * STREAMS:
            self._sockets.pop(0).close()

    def _uploads(self) -> None:
        """Pictures and files that are no pictures."""
        picture = io.BytesIO()
        Image.fromarray(np.zeros((3000, 3000, 3), np.uint8)).save(picture, "PNG")
        for number in range(UPLOADS):
            content = picture.getvalue() if number % 2 else secrets.token_bytes(2_000_000)
            head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="files"; filename="{number}.png"\r\n\r\n'
            body = head.encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()
            kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
            urlopen(Request(f"{self._url}/gradio_api/upload", body, kind), timeout=PATIENCE).read()
            if self._over.is_set():
                return

    def _ask(self, endpoint: str, data: list[Any], session: str) -> None:
        body = json.dumps({"data": data, "session_hash": session}).encode()
        asked = Request(f"{self._url}/gradio_api/call/{endpoint}", body, {"Content-Type": "application/json"})
        with suppress(OSError):
            urlopen(asked, timeout=PATIENCE).read()

    def _clicks(self) -> None:
        """Thirty clicks on Draw, and the largest sweep, in a browser."""
        from tests.browser.visitor import enter, open_tab, say  # noqa: PLC0415  (needs Playwright)
        from tests.load.pages import chromium  # noqa: PLC0415

        with chromium(1, self._url) as (page,):
            while not self._over.is_set():
                say(page, "a blue fish")
                for _ in range(CLICKS):
                    page.locator("#generate").click()
                open_tab(page, "Sweep")
                for name, values in (("across", "0, 0.1, 0.2, 0.4, 0.7, 1"), ("down", "0.1, 0.2, 0.4, 0.7, 1, 2")):
                    enter(page.locator(f"#sweep-{name}-values").locator("textarea, input"), values)
                page.locator("#sweep-draw").click()
                self._over.wait(5)


def main() -> None:
    """Be hostile until told to end."""
    url, browser = sys.argv[1:]
    os.nice(LEAST)
    with Hostile(url, browser == "1").at_work():
        sys.stdin.read()


if __name__ == "__main__":
    main()
