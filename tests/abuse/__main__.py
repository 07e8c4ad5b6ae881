"""Abuse: `make abuse`, or `python -m tests.abuse [--calls 10000] [--json FILE]`.

A server over the fake model gets calls that nobody should make, the same ones every time: every event and endpoint of
the page with values of any kind, functions of components, files, routes that Gradio serves besides. No answer may have
status 500, a traceback, a path or a file of the machine, or anything of another visitor; nothing may be written outside
of the folder of temporary files; the server must go on drawing and keep what is others'. Exit status 1 if not.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from time import monotonic

from core.inputs.arguments import at_least_one, program
from tests.abuse.siege import Record, Siege
from tests.abuse.target import target
from tests.load.watching import taken

FILES_OF = 20
"""One file is opened for so many calls."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--calls", type=at_least_one, default=10_000, help="how many (default: %(default)s)")
    parser.add_argument("--port", type=at_least_one, help="port of the server that is started")
    parser.add_argument("--mcp", action="store_true", help="serve the tools for agents, too")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was found there, too")


def run(chosen: argparse.Namespace) -> int:
    """Do it, and print what was found."""
    begun = monotonic()
    with target(chosen.port, ["mcp"] if chosen.mcp else []) as there:
        siege, before = Siege(there), taken(there.pid)
        siege.lay(chosen.calls, _progress)
        siege.open_files(max(chosen.calls // FILES_OF, 1))
        siege.afterwards()
        after, log = taken(there.pid), there.log.read_text(encoding="utf-8", errors="replace")
    record = siege.record
    print(f"\n{report(record)}\n\n{monotonic() - begun:.0f} s, slowest call {record.slowest:.1f} s, "
          f"{log.count('Traceback')} tracebacks in the log")  # fmt: skip
    if before and after:
        print(f"memory {before.megabytes:.0f} -> {after.megabytes:.0f} MB, threads {before.threads} -> {after.threads}")
    if chosen.json:
        found = {
            f"{why}: {kind}": [count, record.examples[why, kind]] for (why, kind), count in record.failures.items()
        }
        chosen.json.write_text(
            json.dumps({"calls": record.calls.total(), "failures": found}, indent=1), encoding="utf-8"
        )
        chosen.json.with_suffix(".log").write_text(log, encoding="utf-8")
    return int(bool(record.failures))


def report(record: Record) -> str:
    """How many calls of each kind there were, and what failed, with an example of each."""
    statuses = ", ".join(f"{count} x {status or 'none'}" for status, count in sorted(record.statuses.items()))
    lines = [f"{record.calls.total()} calls of {len(record.calls)} kinds; {statuses}"]
    lines += [f"{record.failures.total()} failures of {len(record.failures)} kinds"]
    for (why, kind), count in record.failures.most_common():
        lines.append(f"{count:6} x {why}: {kind}\n    {record.examples[why, kind][:1500]}")
    return "\n".join(lines)


def _progress(done: int) -> None:
    if done % 100 == 0:
        sys.stderr.write(f"\r{done} calls ")


if __name__ == "__main__":
    raise SystemExit(program(__doc__, add_arguments, run))
