"""Measure a suite on a model and a database, in one process, several, or on a Ray cluster."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ....backends import EMBEDDED, ModelSource
from ....evaluation import harness
from ....evaluation.job import Job, command_of, opened
from ....evaluation.record import NONE
from ....evaluation.store import Shard
from ....evaluation.workers import run_in_workers
from ....types import ConfigError
from ...settings import given
from ..progress import loading
from .bar import Bar

INTERRUPTED = 130


def run(chosen: argparse.Namespace) -> int:
    """See `core.commands.suites` for what is chosen."""
    database = chosen.database or ("emoji" if chosen.backend in EMBEDDED else NONE)
    source = ModelSource(chosen.model, chosen.faid, chosen.device, chosen.dtype)
    job = Job(
        chosen.suite, chosen.backend, source, database, given(chosen), chosen.options, command_of(chosen.words)
    )  # fmt: skip
    shard = Shard.parse(chosen.shard)
    try:
        failed = measured(job, chosen.out, shard, chosen.workers, chosen.ray)
    except KeyboardInterrupt:
        print("error: interrupted; what is measured is kept, and the same command goes on", file=sys.stderr)
        return INTERRUPTED
    print(json.dumps({"out": str(chosen.out), "shard": str(shard), "failed": sorted(failed)}))
    return 0


def measured(job: Job, out: Path, shard: Shard, workers: int, ray: str | None = None) -> dict[str, str]:
    """Measure what is missing of a run; the reasons of what failed, by key."""
    with Bar(job.suite) as bar:
        if ray is not None:
            failed = _on_ray(job, out, shard, workers, "" if ray == "auto" else ray, bar)
        elif workers > 1:
            failed = run_in_workers(job, out, shard, workers, bar)
        else:
            with loading(job.backend):
                found = opened(job)
            failed = harness.run(found, out, shard, bar).failed
    if failed:
        count = f"{len(failed)} item{'s' * (len(failed) > 1)}"
        print(f"note: {count} failed and will be tried again by the next start", file=sys.stderr)
    return failed


def _on_ray(job: Job, out: Path, shard: Shard, workers: int, address: str, bar: Bar) -> dict[str, str]:
    """Measure with actors."""
    try:
        from ....evaluation.actors import run_on_ray  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise ConfigError("--ray: got no Python package 'ray', expected it; install the extra `scale`") from None
    return run_on_ray(job, out, shard, workers, address, bar).failed
