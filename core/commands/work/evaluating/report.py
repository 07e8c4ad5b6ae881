"""Write what runs found."""

from __future__ import annotations

import argparse
import json

from ....evaluation.reporting.report import read_runs
from ....evaluation.reporting.writing import write_report
from ....inputs.arguments import checked_page


def run(chosen: argparse.Namespace) -> int:
    """See `core.commands.suites` for what is chosen."""
    checked_page(chosen.page)
    out = chosen.out or chosen.runs[0] / "report"
    runs = read_runs(chosen.runs)
    files = write_report(runs, out, chosen.page)
    items = {run.name: len(run.rows.done) for run in runs}
    print(json.dumps({"out": str(out), "items": items, "files": len(files)}))
    return 0
