"""Load on a server: `make load`, or `python -m tests.load [--url URL --pid PID] [--visitors 50] [--json FILE] ...`.

Without --url a server is started as `make run` starts one, with one thread and a folder of temporary files of its own.
Visitors have clients of their own, --pages of them browsers. Every picture is compared, code by code, with the one
that the same request gives when it is drawn alone in this process; every visitor tries to read a run of another. First
patches are timed in the browsers: the public endpoints answer once, when all is drawn. The exit status is 1 where
something crossed or failed; polite refusals are counted and are no failure.

--paired: the same pictures one after the other and all at once; --memory: after 100 and after 1,000 runs of all
visitors; --hostile: the others' speed with one hostile visitor beside them, and without; --minutes: the crowd again and
again.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

from app.library import Library
from core.inputs.arguments import at_least_one, program
from tests.browser.chromium import find_chromium
from tests.load.hostile import beside
from tests.load.rounds import Crowd, arrive, crowd, measured
from tests.load.servers import Server, started
from tests.load.tally import Figures, table
from tests.load.watching import taken
from tests.load.wishes import Wish, alone, default_wish, granted, mixed_wish, plain_wish

DISTINCT = 14
"""How many different wishes there are; with them all kinds and methods are among them."""

MEMORY_AT = (100, 1000)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--url", help="address of a server that runs already")
    parser.add_argument("--pid", type=at_least_one, help="process of that server, to see what it takes")
    parser.add_argument("--port", type=at_least_one, help="port of the server that is started")
    parser.add_argument("--visitors", type=at_least_one, default=50, help="how many (default: %(default)s)")
    parser.add_argument("--pages", type=int, default=3, help="how many of them have a browser (default: %(default)s)")
    parser.add_argument("--times", type=at_least_one, default=2, help="requests of each (default: %(default)s)")
    parser.add_argument(
        "--apart", type=float, default=0.5, help="seconds between steady arrivals (default: %(default)s)"
    )
    parser.add_argument(
        "--at",
        type=at_least_one,
        nargs="+",
        default=MEMORY_AT,
        help="runs after which --memory looks (default: %(default)s)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there, too")
    modes = parser.add_mutually_exclusive_group()
    modes.add_argument("--paired", action="store_true", help="one after the other against all at once")
    modes.add_argument("--memory", action="store_true", help="memory after 100 and after 1,000 runs")
    modes.add_argument("--hostile", action="store_true", help="with a hostile visitor, and without")
    modes.add_argument("--minutes", type=float, help="again and again for so long")


def run(chosen: argparse.Namespace) -> int:
    """Do what was chosen, and print it."""
    if find_chromium() is None and chosen.pages:
        print("no Chromium found: no visitor has a browser, and first patches and hints are not timed")
        chosen.pages = 0
    wishes = Wishes()
    mode = (
        paired if chosen.paired else memory if chosen.memory else hostile if chosen.hostile
        else soak if chosen.minutes else usual
    )  # fmt: skip
    with serving(chosen) as server, tempfile.TemporaryDirectory() as folder:
        rows: dict[str, Figures] = {}
        for name, figures in mode(chosen, server, wishes, Path(folder)):
            rows[name] = figures
            print(f"\n{name}\n{table({name: figures})}", flush=True)
    print(f"\n{table(rows)}")
    if chosen.json:
        chosen.json.write_text(json.dumps(without_nan(rows), indent=1), encoding="utf-8")
    return int(any(row.get("failed") or row.get("crossed") or row.get("lost runs") for row in rows.values()))


@contextmanager
def serving(chosen: argparse.Namespace) -> Iterator[Server]:
    """The server that was named, or one that is started."""
    if chosen.url:
        yield Server(chosen.url.rstrip("/"), chosen.pid)
    else:
        with started(chosen.port) as server:
            yield server


class Wishes:
    """What visitors ask for, drawn alone beforehand, when it is first needed."""

    def __init__(self) -> None:
        self._draw = alone(Library.load())

    def plain(self, count: int) -> list[Wish]:
        """One picture each, of all methods."""
        return [granted(plain_wish(number), self._draw) for number in range(min(count, DISTINCT))]

    def mixed(self, count: int) -> list[Wish]:
        """With branches and comparisons among them."""
        return [granted(mixed_wish(number), self._draw) for number in range(min(count, DISTINCT))]

    def default(self) -> list[Wish]:
        """Those of visitors with a browser."""
        return [granted(default_wish(number), self._draw) for number in range(3)]


Rows = Iterator[tuple[str, Figures]]


def usual(chosen: argparse.Namespace, server: Server, wishes: Wishes, downloads: Path) -> Rows:
    """All at once, and one after the other at a steady pace."""
    mixed, default = wishes.mixed(DISTINCT), wishes.default() if chosen.pages else []
    with crowd(server, chosen.visitors, chosen.pages, mixed, default, downloads) as visitors:
        yield "all at once", measured(visitors, lambda: arrive(visitors, chosen.times))
        yield "steady", measured(visitors, lambda: arrive(visitors, chosen.times, chosen.apart))


def paired(chosen: argparse.Namespace, server: Server, wishes: Wishes, downloads: Path) -> Rows:
    """As many pictures one after the other, and at once: how much more is drawn when many wait."""
    plain, count = wishes.plain(DISTINCT), chosen.visitors
    with crowd(server, 1, 0, plain, [], downloads) as one:
        first = measured(one, lambda: arrive(one, count * chosen.times))
    yield "one after the other", first
    with crowd(server, count, 0, plain, [], downloads) as many:
        then = measured(many, lambda: arrive(many, chosen.times))
    ratio = number(then, "pictures a second") / number(first, "pictures a second")
    yield f"{count} at once", {**then, "times as many": round(ratio, 2)}


def memory(chosen: argparse.Namespace, server: Server, wishes: Wishes, downloads: Path) -> Rows:
    """What the server keeps after some and after many runs of the same visitors."""
    plain, done = wishes.plain(DISTINCT), 0
    with crowd(server, chosen.visitors, 0, plain, [], downloads) as visitors:
        before = math.nan
        for most in chosen.at:
            times = max((most - done) // chosen.visitors, 1)
            figures = measured(visitors, lambda times=times: arrive(visitors, times))
            done += times * chosen.visitors
            now = number(figures, "memory MB")
            yield f"{done} runs", {**figures, "memory more MB": now - before}
            before = now


def hostile(chosen: argparse.Namespace, server: Server, wishes: Wishes, downloads: Path) -> Rows:
    """What one hostile visitor costs the others: their speed, and their runs."""
    plain = wishes.plain(DISTINCT)
    with crowd(server, chosen.visitors, 0, plain, [], downloads) as visitors:
        alone = measured(visitors, lambda: arrive(visitors, chosen.times))
        yield "without", alone
        with beside(server.url, browser=bool(chosen.pages)):
            attacked = measured(visitors, lambda: arrive(visitors, chosen.times))
        slower = 1 - number(attacked, "pictures a second") / number(alone, "pictures a second")
        lost = lost_runs(visitors)
        yield "beside a hostile one", {**attacked, "slower %": round(100 * slower, 1), "lost runs": lost}


def lost_runs(visitors: Crowd) -> int:
    """How many runs their own visitors cannot read any more."""
    by_number = {caller.number: caller for caller in visitors.callers}
    owned = [(by_number[owner], run) for run, owner in visitors.ledger.owners.items() if owner in by_number]
    return sum(not caller.still_has(run) for caller, run in owned)


def soak(chosen: argparse.Namespace, server: Server, wishes: Wishes, downloads: Path) -> Rows:
    """The crowd at full load again and again; memory and threads must not grow without end."""
    mixed, default = wishes.mixed(DISTINCT), wishes.default() if chosen.pages else []
    end, turn = monotonic() + 60 * chosen.minutes, 0
    with crowd(server, chosen.visitors, chosen.pages, mixed, default, downloads) as visitors:
        while monotonic() < end:
            turn += 1
            yield f"turn {turn}", measured(visitors, lambda: arrive(visitors, chosen.times))
    after = taken(server.pid) if server.pid else None
    if after:
        yield "afterwards", {"memory MB": round(after.megabytes), "threads": after.threads}


def without_nan(rows: dict[str, Figures]) -> dict[str, dict[str, float | int | str | None]]:
    """The same with null where there is no figure, which JSON can say."""
    return {
        row: {name: None if value != value else value for name, value in figures.items()}
        for row, figures in rows.items()
    }


def number(figures: Figures, name: str) -> float:
    """A figure that is a number; NaN where there is none."""
    value = figures.get(name, math.nan)
    return math.nan if isinstance(value, str) else float(value)


if __name__ == "__main__":
    raise SystemExit(program(__doc__, add_arguments, run))
