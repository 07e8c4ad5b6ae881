"""A Hugging Face hub of one repository on this machine, which says what is asked of it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

COMMITS = {"main": "1" * 40, "v1": "2" * 40}
"""Revisions that there are."""


@dataclass
class Hub:
    """files: what the repository `name` has at every revision; sent: the names of those that were downloaded."""

    name: str
    files: dict[str, bytes]
    sent: list[str] = field(default_factory=list)

    def described(self, path: str) -> object:
        """What the hub's API says of NAME/tree/COMMIT or NAME/revision/REVISION; the code of an error if nothing."""
        name, kind, revision = "/".join(path.split("/")[:2]), *path.split("/")[2:4]
        if name != self.name:
            return "RepoNotFound"
        if revision not in (*COMMITS, *COMMITS.values()):
            return "RevisionNotFound"
        if kind == "tree":
            return [
                {"type": "file", "path": file, "size": len(held), "oid": sha256(held).hexdigest()[:40]}
                for file, held in self.files.items()
            ]
        siblings = [{"rfilename": file} for file in self.files]
        return {"id": name, "sha": COMMITS.get(revision, revision), "siblings": siblings}


class Server(ThreadingHTTPServer):
    """Serves a hub at a free port."""

    def __init__(self, hub: Hub) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.hub = hub


class Handler(BaseHTTPRequestHandler):
    """The part of the hub's API that downloads need."""

    server: Server

    def do_GET(self) -> None:
        """A description, or a file."""
        path = self.path.partition("?")[0].removeprefix("/")
        if path.startswith("api/models/"):
            said = self.server.hub.described(path.removeprefix("api/models/"))
            missing = {"X-Error-Code": said} if isinstance(said, str) else {}
            self.reply(
                404 if missing else 200,
                json.dumps({"error": said} if missing else said).encode(),
                {"Content-Type": "application/json"} | missing,
            )
            return
        commit, _, name = path.partition("/resolve/")[2].partition("/")
        held = self.server.hub.files.get(name)
        if held is None:
            self.reply(404, b"", {"X-Error-Code": "EntryNotFound"})
            return
        if self.command == "GET":
            self.server.hub.sent.append(name)
        self.reply(200, held, {"ETag": f'"{sha256(held).hexdigest()}"', "X-Repo-Commit": commit})

    do_HEAD = do_GET

    def reply(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        """Send an answer, without its content where that was not asked for."""
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        """Nothing is written."""


@contextmanager
def served(hub: Hub, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The hub's client asks this hub, and keeps what it gets in a cache of its own."""
    with Server(hub) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            asked(f"http://127.0.0.1:{server.server_port}", cache, monkeypatch)
            yield
        finally:
            server.shutdown()
            thread.join()


def asked(address: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the hub's client ask an address and keep what it gets in a folder."""
    monkeypatch.setenv("NO_PROXY", "*")
    for name, value in {
        "ENDPOINT": address,
        "HUGGINGFACE_CO_URL_TEMPLATE": address + "/{repo_id}/resolve/{revision}/{filename}",
        "HF_HUB_CACHE": str(cache),
        "HF_HUB_OFFLINE": False,
    }.items():
        monkeypatch.setattr(f"huggingface_hub.constants.{name}", value)
