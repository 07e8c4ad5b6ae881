"""Choose the kind of index of a database by measuring."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from tqdm import tqdm

from ....patches.tending.indexing import measure, reindex
from .opening import segmented


def run(chosen: argparse.Namespace) -> int:
    """See `core.commands.databases.tune` for what is chosen."""
    segmented(chosen.database)
    folder, kinds = Path(chosen.database), [name.strip() for name in chosen.kinds.split(",") if name.strip()]
    tuning = measure(
        folder, chosen.neighbours, chosen.queries, kinds, lambda names: tqdm(names, unit="kind", desc="tune")
    )
    built = 0 if chosen.measure_only else reindex(folder, tuning.kind, tuning, chosen.keep_old)
    print(json.dumps({**tuning.kept, "segments_built": built, "index": segmented(chosen.database).index_kind}))
    return 0
