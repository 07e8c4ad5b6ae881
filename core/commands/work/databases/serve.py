"""Serve a database to other machines: over HTTP until interrupted, or by actors on a Ray cluster until stopped."""

from __future__ import annotations

import argparse
import json
import logging
import os
import socket
import sys
from pathlib import Path
from typing import Any

import uvicorn

from .... import threads
from ....patches.catalogue import (
    DATABASES,
    check_codebook,
    check_name,
    find_database,
    is_segmented,
    whole_folder,
)
from ....patches.protocol import Database
from ....patches.remote.http_server import application, warm
from ....patches.remote.links import scale, token_in, token_of
from ....patches.remote.served import Limits
from ....patches.segments.database import SegmentedDatabase
from ....types import ConfigError
from ..loading import loaded

END_SECONDS = 5
"""In which calls that are worked on are finished when the server is stopped."""


def run(chosen: argparse.Namespace) -> int:
    """See `core.commands.databases.serve` for what is chosen."""
    if chosen.ray is None and (chosen.name or chosen.stop):
        raise ConfigError("--name, --stop: got one without --ray, expected both; add --ray")
    return _over_http(chosen) if chosen.ray is None else _on_ray(chosen)


def opened(chosen: argparse.Namespace) -> Database:
    """The database that was chosen; one of version 2 has its codebook beside it and needs no model."""
    check_name(chosen.database)
    if is_segmented(chosen.database):
        threads.pin(large=True)
        return SegmentedDatabase.open(whole_folder(chosen.database))
    check_codebook(chosen.database, chosen.backend)
    return find_database(chosen.database, loaded(chosen))


# ---------------------------------------------------------------------------------------------------------------------
# Over HTTP


def _over_http(chosen: argparse.Namespace) -> int:
    """Serve until interrupted."""
    token = token_in(chosen.token_file) if chosen.token_file else token_of(os.environ)
    door = _listening(chosen.host, chosen.port)
    try:
        if not token and not chosen.no_token and not _own(door):
            got = f"got {chosen.host}, which other machines reach, and no token"
            raise ConfigError(f"--host: {got}; give --token-file, or --no-token where everybody may search it")
        database = opened(chosen)
        warm(database)
        app = application(database, token, Limits(seconds=float(chosen.seconds), at_once=chosen.at_once))
        host, number = door.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        _tell(database, f"http://{shown}:{number}", {"token": bool(token)})
        logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
        config = uvicorn.Config(
            app, log_config=None, access_log=False, server_header=False, timeout_keep_alive=75,
            timeout_graceful_shutdown=END_SECONDS, log_level="warning",
        )  # fmt: skip
        uvicorn.Server(config).run(sockets=[door])
    finally:
        door.close()
    return 0


def _listening(host: str, port: int) -> socket.socket:
    """A socket that listens there; ConfigError where that cannot be."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        door = socket.socket(family, kind, protocol)  # asyncio sends at once only where the protocol is named
        if os.name == "posix":
            door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind(address)
        return door
    except (OSError, UnicodeError) as error:
        got = f"cannot serve on {host}:{port} ({getattr(error, 'strerror', None) or error})"
        raise ConfigError(f"{got}; choose another --host or --port") from None


def _own(door: socket.socket) -> bool:
    """Whether only this machine reaches the address of a socket."""
    host = str(door.getsockname()[0])
    return host == "::1" or host.startswith("127.")


def _tell(database: Database, address: str, more: dict[str, Any]) -> None:
    """Say where it is and what it holds, in one line of JSON."""
    facts = {
        "address": address, "images": len(database.images), "entries": len(database),
        "fingerprint": database.fingerprint, **more,
    }  # fmt: skip
    print(json.dumps(facts), flush=True)


# ---------------------------------------------------------------------------------------------------------------------
# On Ray


def _on_ray(chosen: argparse.Namespace) -> int:
    """Start the actors of a name, or end them."""
    if not chosen.name:
        raise ConfigError("--name: got nothing, expected what the database is called on Ray; give --name")
    if not chosen.stop and (chosen.database in DATABASES or not Path(chosen.database).is_dir()):
        got = f"got {chosen.database!r}"
        raise ConfigError(f"database: {got}, expected a folder that all machines of the cluster have")
    cluster = scale("cluster")
    if chosen.stop:
        print(json.dumps({"name": chosen.name, "stopped": cluster.stop(chosen.ray, chosen.name)}))
        return 0
    check_name(chosen.database)
    plan = cluster.Plan(Path(chosen.database).absolute(), chosen.name, chosen.parts, chosen.replicas)
    codebook = None if is_segmented(chosen.database) else loaded(chosen).codebook
    parts, actors = cluster.start(chosen.ray, plan, codebook)
    address = f"ray://{chosen.name}" + ("" if chosen.ray == "auto" else f"@{chosen.ray}")
    print(json.dumps({"address": address, "parts": parts, "replicas": chosen.replicas, "actors": actors}))
    return 0
