"""A TCP proxy whose connections can be cut, as a bad network does it; what a browser is told then is real."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator

AT_ONCE = struct.pack("ii", 1, 0)
"""Linger for no time: closing resets the connection."""

REFUSED = b"""HTTP/1.1 502 Bad Gateway\r
Content-Type: text/html\r
Connection: close\r
Content-Length: 24\r
\r
<h1>502 Bad Gateway</h1>"""


class Cut:
    """Hands on what comes to a port of this machine; address: where.

    open: whether connections are let through; bad: whether what stands before the server answers in its place.
    """

    def __init__(self, port: int) -> None:
        self._port, self._pairs, self._lock = port, set[tuple[socket.socket, socket.socket]](), threading.Lock()
        self._left: list[socket.socket] = []
        self.open, self.bad = True, False
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, half: bool = False) -> None:
        """Break all connections; half: only the browser learns of it, as when it has moved to another network."""
        with self._lock:
            pairs, self._pairs = self._pairs, set()
        for browser, server in pairs:
            self._reset(browser)
            if half:
                self._left.append(server)
            else:
                self._reset(server)

    def _reset(self, end: socket.socket) -> None:
        with contextlib.suppress(OSError):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
            end.shutdown(socket.SHUT_RDWR)
        end.close()

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._pairs)

    def close(self) -> None:
        """It goes."""
        self.open = False
        self._listening.close()
        self.cut()
        for server in self._left:
            self._reset(server)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                browser, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=(browser,), daemon=True).start()

    def _serve(self, browser: socket.socket) -> None:
        if self.bad:
            with contextlib.suppress(OSError):
                browser.recv(65536)
                browser.sendall(REFUSED)
        if self.bad or not self.open:
            browser.close()
            return
        server = socket.create_connection(("127.0.0.1", self._port))
        pair = (browser, server)
        with self._lock:
            self._pairs.add(pair)
        back = threading.Thread(target=self._pipe, args=(server, browser), daemon=True)
        back.start()
        self._pipe(browser, server)
        back.join()
        with self._lock:
            if pair in self._pairs:  # it has come to its end, and was not cut
                self._pairs.remove(pair)
                browser.close()
                server.close()

    def _pipe(self, source: socket.socket, target: socket.socket) -> None:
        """Hand on everything until one side ends."""
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                with contextlib.suppress(OSError):  # who was left behind goes on to send
                    target.sendall(data)
            target.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def cut_before(port: int) -> Iterator[Cut]:
    """A proxy before what listens on a port of this machine."""
    cut = Cut(port)
    try:
        yield cut
    finally:
        cut.close()
