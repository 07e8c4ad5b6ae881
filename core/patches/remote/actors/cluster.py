"""Actors of a database on a Ray cluster: how they are started, found and ended. They outlive who started them."""

from __future__ import annotations

import logging
import re
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import ray
from ray.exceptions import RayError
from ray.util import list_named_actors

from ....codebook import Codebook
from ....types import ConfigError, DatabaseError
from ..links import RAY_NAME
from .part import Hello, Part, shares_of

NAMESPACE: Final = "arrag"
START_SECONDS: Final = 180.0
REACH_SECONDS: Final = 5.0
MEMBER: Final = re.compile(r"(.+):(\d+):(\d+)")
"""Name of an actor: that of the database, number of the part, number of the replica."""

PROCESSORS: Final = 0.05
"""That an actor asks for: it works for milliseconds at a time."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A database in a folder that every machine of the cluster has, and how it is served; a bad name is ConfigError."""

    folder: Path
    name: str
    parts: int
    replicas: int

    def __post_init__(self) -> None:
        if not RAY_NAME.fullmatch(f"ray://{self.name}"):
            raise ConfigError(f"--name: got {self.name!r:.80}, expected letters, digits, dots and hyphens")


def connect(address: str) -> None:
    """Join the cluster at HOST:PORT, or the one of this machine for ""; DatabaseError where there is none.

    A process that has joined one stays with it.
    """
    if ray.is_initialized():
        return
    if address not in ("", "auto"):
        _reach(address)
    try:
        ray.init(
            address=address or "auto", namespace=NAMESPACE, log_to_driver=False, configure_logging=False,
            logging_level=logging.ERROR, include_dashboard=None,
        )  # fmt: skip
    except (RayError, ConnectionError, ValueError, RuntimeError, OSError) as error:
        got = f"got no Ray cluster ({words(error)})"
        raise DatabaseError(
            f"ray: {got}, expected one; start it with `ray start --head`, or give its address"
        ) from None


def _reach(address: str) -> None:
    """DatabaseError unless something listens there: Ray itself would wait for a minute."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), REACH_SECONDS).close()
    except (OSError, ValueError, OverflowError) as error:
        got = f"got nothing at {address:.80} ({words(error)})"
        raise DatabaseError(f"ray: {got}, expected a cluster; check the address, and that it runs") from None


def start(address: str, plan: Plan, codebook: Codebook | None) -> tuple[int, int]:
    """Start the actors of a database and wait until all have opened it: how many parts and actors there are.

    codebook: what a database of version 1 was built with. Raises ConfigError for a name that is taken, DatabaseError
    where one of them cannot open it, and then leaves none.
    """
    connect(address)
    parts = len(shares_of(plan.folder, plan.parts))
    if members(plan.name):
        raise ConfigError(f"--name: got {plan.name!r}, which is served already; end that with --stop, or take another")
    kind = ray.remote(Part)
    started: list[Any] = [
        kind.options(
            name=f"{plan.name}:{part}:{copy}", namespace=NAMESPACE, lifetime="detached", max_restarts=-1,
            max_task_retries=0, num_cpus=PROCESSORS, scheduling_strategy="SPREAD",
        ).remote(str(plan.folder), codebook, part, parts)
        for copy in range(plan.replicas) for part in range(parts)
    ]  # fmt: skip
    try:
        _await(started)
    except BaseException:
        for actor in started:
            ray.kill(actor)
        raise
    return parts, len(started)


def _await(started: list[Any]) -> None:
    """Return when all actors have opened their part; DatabaseError when one cannot."""
    waiting, until = [actor.hello.remote() for actor in started], time.monotonic() + START_SECONDS
    while waiting:
        ready, waiting = ray.wait(waiting, timeout=max(0.0, until - time.monotonic()))
        if not ready:
            got = f"got no answer of {len(waiting)} of {len(started)} actors in {START_SECONDS:g} s"
            raise DatabaseError(f"ray: {got}, expected all; see `ray status` for what the cluster has left")
        try:
            told: Hello = ray.get(ready[0])
        except RayError as error:
            raise DatabaseError(f"ray: an actor came to nothing ({words(error)}); see the logs of Ray") from None
        if told.failed:
            raise DatabaseError(f"{told.failed} (on {told.place}; all machines of the cluster need the folder)")


def stop(address: str, name: str) -> int:
    """End the actors of a database: how many there were; ConfigError for none."""
    connect(address)
    found = members(name)
    if not found:
        raise ConfigError(f"--name: got {name!r:.80}, of which there are no actors, expected one that is served")
    for actor in (actor_of(member) for member in found):
        if actor is not None:
            ray.kill(actor)
    return len(found)


def members(name: str) -> list[str]:
    """Names of the actors of a database, replica by replica."""
    found = [
        MEMBER.fullmatch(one["name"]) for one in list_named_actors(all_namespaces=True) if one["namespace"] == NAMESPACE
    ]
    own = [(int(one[3]), int(one[2]), one[0]) for one in found if one is not None and one[1] == name]
    return [full for _, _, full in sorted(own)]


def actor_of(member: str) -> Any:
    """The actor of that name, None when there is none."""
    try:
        return ray.get_actor(member, namespace=NAMESPACE)
    except (ValueError, RayError):
        return None


def words(error: BaseException) -> str:
    """What Ray says, in short: its messages have many lines."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:200]
