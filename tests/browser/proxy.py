"""A proxy that serves another server below a path, and at / a page that shows it in a frame."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from socketserver import BaseRequestHandler, ThreadingTCPServer

PLACE = "/demo"
FRAME = f"""HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n
<!doctype html><iframe src="{PLACE}/" style="width: 1300px; height: 900px"></iframe>"""
NOTHING = "HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n"


def pipe(source: socket.socket, target: socket.socket) -> None:
    """Hand on everything until one side ends."""
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@contextmanager
def proxied(port: int) -> Iterator[str]:
    """Address of a proxy before what listens on a port of this machine."""

    class Handler(BaseRequestHandler):
        """One request for each connection."""

        def handle(self) -> None:
            """Answer it here, or hand it on with the path that the other server knows."""
            start = b""
            while b"\r\n\r\n" not in start:
                if not (more := self.request.recv(65536)):
                    return
                start += more
            head, _, body = start.partition(b"\r\n\r\n")
            first, *lines = head.decode().split("\r\n")
            method, path, protocol = first.split(" ")
            if not path.startswith(f"{PLACE}/"):
                self.request.sendall((FRAME if path == "/" else NOTHING).encode())
                return
            kept = [line for line in lines if not line.lower().startswith("connection:")]
            sent = "\r\n".join([f"{method} {path.removeprefix(PLACE)} {protocol}", *kept, "Connection: close"])
            with socket.create_connection(("127.0.0.1", port)) as there:
                there.sendall(sent.encode() + b"\r\n\r\n" + body)
                threading.Thread(target=pipe, args=(self.request, there), daemon=True).start()
                pipe(there, self.request)

    class Server(ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
