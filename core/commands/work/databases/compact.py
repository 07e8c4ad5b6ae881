"""Join the segments of a database."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from tqdm import tqdm

from ....patches.segments.writer import MOST_ENTRIES
from ....patches.tending.compact import compact
from .opening import segmented


def run(chosen: argparse.Namespace) -> int:
    """See `core.commands.databases.compact` for what is chosen."""
    segmented(chosen.database)
    before, after = compact(
        Path(chosen.database), chosen.entries or MOST_ENTRIES, chosen.keep_old,
        lambda p: tqdm(p, unit="block", desc="compact"),
    )  # fmt: skip
    found = segmented(chosen.database)
    print(
        json.dumps({"segments": after, "before": before, "images": found.image_count, "fingerprint": found.fingerprint})
    )
    return 0
