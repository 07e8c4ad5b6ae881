"""Many visitors at work: all at once or one after the other, and what it cost the server and a bystander."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

from tests.load import bystander
from tests.load.callers import Caller, Ledger
from tests.load.servers import Server
from tests.load.tally import Outcome, figures, percentile
from tests.load.watching import Watch
from tests.load.wishes import Wish, endlessly

CONNECTING = 4
"""How many clients connect at the same time before a round."""


@dataclass(frozen=True, slots=True)
class Crowd:
    """Visitors and what they wish for: those with clients of their own, and those with a browser.

    wishes: what clients ask for in turn, with codes; page_wishes: what pages ask for.
    """

    server: Server
    callers: Sequence[Caller]
    wishes: Sequence[Wish]
    pages: int
    page_wishes: Sequence[Wish]
    ledger: Ledger


@contextmanager
def crowd(
    server: Server, visitors: int, pages: int, wishes: Sequence[Wish], page_wishes: Sequence[Wish], downloads: Path
) -> Iterator[Crowd]:
    """Visitors who are connected but ask for nothing yet; pages: how many of them have a browser."""
    ledger = Ledger()
    pages = min(pages, visitors)
    with ExitStack() as stack:
        with ThreadPoolExecutor(CONNECTING) as pool:
            callers = list(pool.map(lambda n: Caller(server.url, n, ledger, downloads), range(visitors - pages)))
        for caller in callers:
            stack.callback(caller.close)
        yield Crowd(server, callers, wishes, pages, page_wishes, ledger)


def arrive(crowd: Crowd, times: int, apart: float = 0.0) -> tuple[list[Outcome], float]:
    """Every visitor asks some times in a row; apart: seconds from one visitor's first request to the next one's.

    Returns what came of it, and the seconds from the first request to the last answer.
    """
    outcomes: list[Outcome] = []
    begin = threading.Barrier(len(crowd.callers) + bool(crowd.pages) + 1)
    threads = [
        threading.Thread(target=_call, args=(caller, crowd.wishes, times, apart, begin, outcomes), daemon=True)
        for caller in crowd.callers
    ]
    if crowd.pages:
        threads.append(threading.Thread(target=_browse, args=(crowd, times, begin, outcomes), daemon=True))
    for thread in threads:
        thread.start()
    begin.wait()
    begun = monotonic()
    for thread in threads:
        thread.join()
    return outcomes, monotonic() - begun


def _call(
    caller: Caller, wishes: Sequence[Wish], times: int, apart: float, begin: threading.Barrier, outcomes: list[Outcome]
) -> None:
    """What one client does."""
    begin.wait()
    sleep(apart * caller.number)
    turns = endlessly(wishes, caller.number)
    for _ in range(times):
        outcomes.extend(caller.ask(next(turns)))
        outcomes.extend(caller.pry())


def _browse(crowd: Crowd, times: int, begin: threading.Barrier, outcomes: list[Outcome]) -> None:
    """What all visitors with browsers do: they ask together, as they share the thread that a browser needs."""
    from tests.load import pages  # noqa: PLC0415  (needs Playwright, which a crowd of clients does without)

    with pages.chromium(crowd.pages, crowd.server.url) as opened:
        begin.wait()
        for number in range(times):
            wishes = [crowd.page_wishes[(number + n) % len(crowd.page_wishes)] for n in range(crowd.pages)]
            outcomes.extend(pages.draw(opened, wishes))


def measured(crowd: Crowd, work: Callable[[], tuple[list[Outcome], float]]) -> dict[str, float | int | str]:
    """The figures of some work, with those of the server and of a bystander who steps and types meanwhile."""
    with ExitStack() as stack:
        aside = Caller(crowd.server.url, -1, crowd.ledger)
        stack.callback(aside.close)
        kept, _ = aside.client.predict(crowd.wishes[0].prompt, api_name="/generate")
        session = str(aside.client.session_hash)
        typist = stack.enter_context(_typing(crowd))
        calls = stack.enter_context(bystander.beside(crowd.server.url, kept["run"], session))
        watch = stack.enter_context(Watch(crowd.server.pid).looking())
        outcomes, seconds = work()
    aside_figures = {"/step p95 ms": _milliseconds(calls.seconds), "/step calls": len(calls.seconds)}
    if typist:
        aside_figures |= {"hint p95 ms": _milliseconds(typist.seconds), "hints": len(typist.seconds)}
    return {**figures(outcomes, seconds), **aside_figures, **watch.figures()}


@contextmanager
def _typing(crowd: Crowd) -> Iterator[object]:
    """Somebody who types, where there are browsers at all."""
    if not crowd.pages:
        yield None
        return
    from tests.load.pages import Typist  # noqa: PLC0415  (as above)

    with Typist(crowd.server.url).typing() as typist:
        yield typist


def _milliseconds(seconds: Sequence[float]) -> float:
    return round(1000 * percentile(seconds, 0.95), 1)
