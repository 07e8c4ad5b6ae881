"""Count what a database holds."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from tqdm import tqdm

from ....analysis.stats import stats_of
from .opening import opened, place_of
from .report import tell


def run(chosen: argparse.Namespace) -> int:
    """See `core.commands.databases.stats` for what is chosen."""
    database = opened(chosen.database, chosen)
    found = stats_of(database, place_of(chosen.database), lambda p: tqdm(p, unit="block", desc="read", leave=False))
    said = {**asdict(found), "bytes": found.bytes, "bytes_an_entry": round(found.bytes_an_entry, 3)}
    tell(said, chosen.json)
    return 0
