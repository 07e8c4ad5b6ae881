"""A Hugging Face hub of datasets on this machine: repositories are made, sent to by commits, and read."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.hub import asked

TOKEN = "hf_" + "a1B2" * 8
SMALL = (".md", ".json")
"""Ends of the names of files that are sent within the commit; others go first, by their hash."""


@dataclass
class DatasetHub:
    """trees: the files of each commit, by name; heads: the commit of each branch of a repository.

    blobs: contents by hash; arrived, sent: names or hashes of what was uploaded and downloaded; fail_after: uploads
    that arrive before the connection is cut off.
    """

    heads: dict[str, dict[str, str]] = field(default_factory=dict)
    trees: dict[str, dict[str, str]] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    arrived: list[str] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    made: list[dict[str, Any]] = field(default_factory=list)
    commits: int = 0
    fail_after: int = 1 << 30
    address: str = ""

    def keep(self, content: bytes) -> str:
        """Hash of a content that is kept."""
        name = sha256(content).hexdigest()
        self.blobs[name] = content
        return name

    def tree(self, repository: str, revision: str) -> tuple[str, dict[str, str]] | None:
        """The commit and the files of a revision."""
        commit = self.heads[repository].get(revision, revision)
        return (commit, self.trees[commit]) if commit in self.trees else None

    def commit(self, repository: str, branch: str, lines: list[dict[str, Any]]) -> str:
        """A further commit on a branch; its name."""
        files = dict(self.trees[self.heads[repository][branch]])
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = self.keep(base64.b64decode(value["content"]))
            elif line["key"] == "lfsFile":
                assert value["oid"] in self.blobs
                files[value["path"]] = value["oid"]
            elif line["key"] == "deletedFile":
                del files[value["path"]]
        self.commits += 1
        name = sha256(f"{self.commits}".encode()).hexdigest()[:40]
        self.trees[name], self.heads[repository][branch] = files, name
        return name

    def files(self, repository: str, branch: str = "main") -> dict[str, bytes]:
        """What a branch holds."""
        found = self.tree(repository, branch)
        assert found is not None
        return {name: self.blobs[held] for name, held in found[1].items()}


class Server(ThreadingHTTPServer):
    """Serves a hub at a free port."""

    daemon_threads = True

    def __init__(self, hub: DatasetHub) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.hub = hub
        hub.address = f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    """The part of the hub's API that pushes and pulls need."""

    server: Server

    def do_GET(self) -> None:
        """A description, or a file."""
        hub, path = self.server.hub, self.path.partition("?")[0].removeprefix("/")
        if "/resolve/" in path:
            self.resolve(path)
            return
        name, kind, revision = self.named(path)
        if name not in hub.heads:
            self.missing("RepoNotFound")
        elif (found := hub.tree(name, revision)) is None:
            self.missing("RevisionNotFound")
        elif kind == "tree":
            held = ((file, oid, len(hub.blobs[oid])) for file, oid in sorted(found[1].items()))
            self.say([{"type": "file", "path": file, "size": size, "oid": oid[:40]} for file, oid, size in held])
        else:
            self.say({"id": name, "sha": found[0], "siblings": [{"rfilename": file} for file in sorted(found[1])]})

    do_HEAD = do_GET

    def named(self, path: str) -> tuple[str, str, str]:
        """Repository, what is wanted of it, and the revision, of api/datasets/OWNER/NAME/KIND/REVISION."""
        parts = path.removeprefix("api/datasets/").split("/")
        return "/".join(parts[:2]), *(parts[2:4] if len(parts) > 3 else ("revision", "main"))

    def resolve(self, path: str) -> None:
        """datasets/OWNER/NAME/resolve/REVISION/FILE."""
        hub, (where, _, rest) = self.server.hub, path.removeprefix("datasets/").partition("/resolve/")
        revision, _, file = rest.partition("/")
        if where not in hub.heads:
            self.missing("RepoNotFound")
            return
        found = hub.tree(where, revision)
        if found is None:
            self.missing("RevisionNotFound")
        elif file not in found[1]:
            self.missing("EntryNotFound")
        else:
            if self.command == "GET":
                hub.sent.append(file)
            self.reply(200, hub.blobs[found[1][file]], {"ETag": f'"{found[1][file]}"', "X-Repo-Commit": found[0]})

    def do_POST(self) -> None:
        """A repository is made, asked what of some files it wants, told what it got, or given a commit."""
        hub, path = self.server.hub, self.path.partition("?")[0].removeprefix("/")
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if path == "api/validate-yaml":
            self.say({"errors": [], "warnings": []})
        elif self.headers["Authorization"] != f"Bearer {TOKEN}":
            self.reply(401, f'{{"error": "Invalid credentials {self.headers["Authorization"]}"}}'.encode(), {})
        elif path == "api/repos/create":
            self.create(json.loads(body))
        elif path.endswith("/info/lfs/objects/batch"):
            self.batch(json.loads(body))
        elif "/preupload/" in path:
            files = json.loads(body)["files"]
            self.say({"files": [{**mode(file["path"]), "shouldIgnore": False} for file in files]})
        else:
            name, kind, revision = self.named(path)
            if kind == "branch":
                hub.heads[name].setdefault(revision, hub.heads[name]["main"])
                self.say({})
                return
            commit = hub.commit(name, revision, [json.loads(line) for line in body.splitlines()])
            self.say({"commitUrl": f"{hub.address}/datasets/{name}/commit/{commit}", "commitOid": commit})

    def create(self, wanted: dict[str, Any]) -> None:
        """A repository with nothing in it; 409 for one that is there."""
        hub, name = self.server.hub, f"{wanted['organization']}/{wanted['name']}"
        there = name in hub.heads
        if not there:
            hub.made.append(wanted)
            hub.trees["0" * 40] = {}
            hub.heads[name] = {"main": "0" * 40}
        self.say({"url": f"{hub.address}/datasets/{name}"}, 409 if there else 200)

    def batch(self, wanted: dict[str, Any]) -> None:
        """Where contents go that are not there yet."""
        hub = self.server.hub
        objects = []
        for one in wanted["objects"]:
            place = {"actions": {"upload": {"href": f"{hub.address}/upload/{one['oid']}"}}}
            objects.append({**one, **({} if one["oid"] in hub.blobs else place)})
        self.say({"transfer": "basic", "objects": objects})

    def do_PUT(self) -> None:
        """A content."""
        hub, content = self.server.hub, self.rfile.read(int(self.headers["Content-Length"]))
        if len(hub.arrived) >= hub.fail_after:
            self.reply(403, b"cut off", {})
            return
        hub.arrived.append(hub.keep(content))
        self.reply(200, b"", {})

    def say(self, what: object, status: int = 200) -> None:
        """Answer with JSON."""
        self.reply(status, json.dumps(what).encode(), {"Content-Type": "application/json"})

    def missing(self, code: str) -> None:
        """Say that something is not there."""
        self.reply(404, b"", {"X-Error-Code": code})

    def reply(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        """Send an answer, without its content where that was not asked for."""
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        """Nothing is written."""


def mode(path: str) -> dict[str, str]:
    """How a file is to be sent."""
    return {"path": path, "uploadMode": "regular" if path.endswith(SMALL) else "lfs"}


@contextmanager
def served(hub: DatasetHub, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The hub's client asks this hub with a token that it knows, and keeps what it gets in a cache of its own."""
    with Server(hub) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            asked(hub.address, cache, monkeypatch)
            monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
            monkeypatch.setenv("HF_TOKEN", TOKEN)
            yield
        finally:
            server.shutdown()
            thread.join()
