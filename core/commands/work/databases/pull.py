"""Fetch a database from the hub."""

from __future__ import annotations

import argparse
import json
import os

from ....patches.hub.contents import files_of_database
from ....patches.hub.names import repository
from ....patches.hub.pull import copy, fetch, fetch_manifest
from ....patches.segments.writer import check_target


def run(chosen: argparse.Namespace) -> int:
    """See `core.commands.databases.pull` for what is chosen."""
    source = repository(chosen.repository)
    if chosen.out is not None:
        check_target(chosen.out)
    commit = fetch_manifest(source).name
    if chosen.out is not None:
        copy(source, chosen.out)
    folder = chosen.out or fetch(source)
    names = files_of_database(folder)
    size = sum(os.stat(folder / name).st_size for name in names)
    found = {"folder": str(folder), "commit": commit, "files": len(names), "bytes": size}
    print(json.dumps({**found, "use": f"--database {chosen.out or source}"}))
    return 0
