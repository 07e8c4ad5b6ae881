"""Run all suites of the embedded models and write one report of them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ....evaluation.arms import arm_text
from ....evaluation.embedded import ENTRIES, LIKELIHOOD, Entry, with_arm
from ....evaluation.likelihood_findings import chosen_settings
from ....evaluation.record import read_record
from ....evaluation.reporting.report import read_runs
from ....evaluation.reporting.writing import write_report
from ....evaluation.store import read_rows
from ....inputs.arguments import Parser, checked_page
from ...evaluate import add_arguments
from . import run as one

RUNS, REPORT, CHOSEN = "runs", "report", "chosen"


def run(chosen: argparse.Namespace) -> int:
    """See `core.commands.suites` for what is chosen."""
    checked_page(chosen.page)
    folders = [chosen.out / RUNS / entry.name for entry in ENTRIES]
    for entry, folder in zip(ENTRIES, folders, strict=True):
        whole = with_arm(entry, chosen_arm(folders[ENTRIES.index(LIKELIHOOD)])) if entry.compares else entry
        if status := one.run(asked(whole, folder, chosen.workers)):
            return status
    files = write_report(read_runs(folders), chosen.out / REPORT, chosen.page)
    print(f"{len(files)} files in {chosen.out / REPORT}", file=sys.stderr)
    return 0


def chosen_arm(likelihood: Path) -> str:
    """What a run of the suite `likelihood` chose on validation pictures, as an arm that other suites draw."""
    rows = read_rows(likelihood, read_record(likelihood).identity)
    return arm_text(CHOSEN, "daid", chosen_settings(list(rows.done.values())))


def asked(entry: Entry, folder: Path, workers: int) -> argparse.Namespace:
    """What the command line of an entry says."""
    parser = Parser()
    add_arguments(parser)
    return parser.parse_args(["run", *entry.words, "--out", str(folder), "--workers", str(workers)])
