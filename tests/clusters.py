"""A Ray cluster of several nodes on this machine, for tests, and what is done to it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import ray
from ray.cluster_utils import Cluster

from core.patches.remote.actors.cluster import actor_of, connect

MEMORY = 80 << 20
"""Bytes of the object store of a node: about the least that Ray takes."""

PATIENT = {"health_check_period_ms": 1000, "health_check_timeout_ms": 60_000, "health_check_failure_threshold": 3}
"""A node that is gone fails three checks at once and is missed within seconds; one that is only slow has minutes."""


@contextlib.contextmanager
def cluster_of(nodes: int) -> Iterator[Cluster]:
    """A cluster that this process has joined, all of whose processes end with the context."""
    made = Cluster(initialize_head=True, head_node_args={**described(), "_system_config": PATIENT})
    try:
        for _ in range(nodes - 1):
            made.add_node(**described())
        connect(made.address)
        yield made
    finally:
        ray.shutdown()
        made.shutdown()


def described() -> dict[str, Any]:
    """What a node is started with."""
    return {"num_cpus": 1, "object_store_memory": MEMORY, "include_dashboard": False}


def wait_until(holds: Callable[[], bool], seconds: float = 40) -> None:
    """Return when something holds."""
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it never came to that"
        time.sleep(0.1)


def process_of(member: str) -> int:
    """Process of an actor."""
    place: str = ray.get(actor_of(member).hello.remote(), timeout=30).place
    return int(place.rsplit(":", 1)[1])
