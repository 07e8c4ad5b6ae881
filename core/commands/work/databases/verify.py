"""Say whether a database is whole."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict

from tqdm import tqdm

from ....patches.catalogue import check_name, is_segmented, whole_folder
from ....patches.segments.verify import verify
from ....types import ConfigError
from ..loading import loaded
from .report import tell

DAMAGED = 1


def run(chosen: argparse.Namespace) -> int:
    """See `core.commands.databases.verify` for what is chosen; the status is 1 when something is damaged."""
    check_name(chosen.database)
    if not is_segmented(chosen.database):
        remedy = "one of version 1 is checked whenever it is opened"
        raise ConfigError(f"database: got {chosen.database!r}, expected one of segments (version 2); {remedy}")
    backend = loaded(chosen) if chosen.encode else None
    found = verify(
        whole_folder(chosen.database), backend, chosen.sample,
        lambda records: tqdm(records, unit="segment", desc="verify", leave=False),
    )  # fmt: skip
    told = asdict(found)
    faults = told.pop("faults")
    tell({"whole": not faults, **told, **({"faults": faults} if chosen.json else {})}, chosen.json)
    for fault in faults:
        sys.stderr.write(f"damaged: {fault}\n")
    return DAMAGED if faults else 0
