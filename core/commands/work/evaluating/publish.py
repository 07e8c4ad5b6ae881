"""Put the report of the embedded models where people read it."""

from __future__ import annotations

import argparse
import sys

from ....evaluation.reporting.publish import publish


def run(chosen: argparse.Namespace) -> int:
    """See `core.commands.suites` for what is chosen."""
    written = publish(chosen.report, chosen.root)
    print(f"{len(written)} files written below {chosen.root.resolve()}", file=sys.stderr)
    return 0
