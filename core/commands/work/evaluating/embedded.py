"""Run all suites of the embedded models and write one report of them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ....evaluation.embedded import ENTRIES, Entry
from ....evaluation.report import read_runs
from ....evaluation.writing import write_report
from ....inputs.arguments import Parser, checked_page
from ...evaluate import add_arguments
from . import run as one

RUNS, REPORT = "runs", "report"


def run(chosen: argparse.Namespace) -> int:
    """See `core.commands.suites` for what is chosen."""
    checked_page(chosen.page)
    folders = [chosen.out / RUNS / entry.name for entry in ENTRIES]
    for entry, folder in zip(ENTRIES, folders, strict=True):
        if status := one.run(asked(entry, folder, chosen.workers)):
            return status
    files = write_report(read_runs(folders), chosen.out / REPORT, chosen.page)
    print(f"{len(files)} files in {chosen.out / REPORT}", file=sys.stderr)
    return 0


def asked(entry: Entry, folder: Path, workers: int) -> argparse.Namespace:
    """What the command line of an entry says."""
    parser = Parser()
    add_arguments(parser)
    return parser.parse_args(["run", *entry.words, "--out", str(folder), "--workers", str(workers)])
