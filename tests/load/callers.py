"""Visitors who call the public endpoints, each with a client and a session of their own."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

from gradio_client import Client
from gradio_client.exceptions import AppError

from tests.load.tally import Outcome, state_of
from tests.load.wishes import Wish, complaints

NOT_HERS = "not kept any more"
"""What is said of a run that is another visitor's."""

PATIENCE = 240
"""Seconds after which a visitor gives up, which counts as a failure."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """Which runs are whose, over all visitors; each sees some of the others' by it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    owners: dict[str, int] = field(default_factory=dict)

    def enter(self, run: str, owner: int) -> str:
        """Note whose a run is; why that cannot be, "" if it can."""
        with self.lock:
            before = self.owners.setdefault(run, owner)
        return "" if before == owner else f"the run {run} is another visitor's"

    def foreign(self, owner: int) -> str | None:
        """The newest run of somebody else."""
        with self.lock:
            return next((run for run, other in reversed(self.owners.items()) if other != owner), None)


def address(number: int) -> str:
    """Where a visitor is in the network, as a proxy on this machine would say."""
    return f"198.18.{(number + 1) // 256}.{(number + 1) % 256}"


class Caller:
    """One visitor with `gradio_client`."""

    def __init__(self, url: str, number: int, ledger: Ledger, downloads: Path | None = None) -> None:
        self.number, self._ledger = number, ledger
        self.client = Client(
            url,
            verbose=False,
            download_files=downloads or False,
            analytics_enabled=False,
            headers={"X-Forwarded-For": address(number)},
        )

    def close(self) -> None:
        """End the session."""
        self.client.close()

    def ask(self, wish: Wish) -> list[Outcome]:
        """Have a wish granted, and check all that comes of it; a branch is a second request."""
        first, runs = self._call(wish, self._whole(wish), wish.codes[: len(wish.variants) or 1])
        if not (runs and wish.forced):
            return [first]
        position, code = wish.forced
        branch = {"run": runs[0]["run"], "position": position, "change": {"code": code}, "api_name": "/branch"}
        return [first, self._call(wish, branch, wish.codes[1:])[0]]

    def _whole(self, wish: Wish) -> dict[str, Any]:
        """The request for the pictures of a wish."""
        asked = {"prompt": wish.prompt, "settings": dict(wish.settings)}
        if wish.variants:
            return {**asked, "variants": [dict(each) for each in wish.variants], "api_name": "/compare"}
        return {**asked, "api_name": "/generate"}

    def _call(self, wish: Wish, request: dict[str, Any], codes: Sequence[tuple[int, ...]]) -> tuple[Outcome, list[Any]]:
        """One request: what came of it, and the runs if they are all as they have to be."""
        begun, kind = monotonic(), request["api_name"].removeprefix("/")
        try:
            answer, _ = self.client.submit(**request).result(timeout=PATIENCE)
        except AppError as error:
            return Outcome(kind, monotonic() - begun, 0, state_of(str(error)), str(error)), []
        except Exception as error:  # whatever the connection or the client has to say
            return Outcome(kind, monotonic() - begun, 0, "failed", f"{type(error).__name__}: {error}"), []
        seconds = monotonic() - begun
        runs = answer["runs"] if kind == "compare" else [answer]
        found = complaints(Wish(wish.prompt, wish.settings, wish.variants, codes=tuple(codes)), runs)
        found += [said for run in runs if (said := self._ledger.enter(run["run"], self.number))]
        if found:
            return Outcome(kind, seconds, len(runs), "crossed", "; ".join(found)), []
        return Outcome(kind, seconds, len(runs)), runs

    def pry(self) -> Iterator[Outcome]:
        """Try to read a run of somebody else, which has to be refused; nothing without one."""
        run = self._ledger.foreign(self.number)
        if run is None:
            return
        begun = monotonic()
        try:
            self.client.predict(run, 0, api_name="/step")
        except AppError as error:
            if NOT_HERS not in str(error):
                yield Outcome("pry", monotonic() - begun, 0, state_of(str(error)), str(error))
        except Exception as error:
            yield Outcome("pry", monotonic() - begun, 0, "failed", f"{type(error).__name__}: {error}")
        else:
            yield Outcome("pry", monotonic() - begun, 0, "crossed", f"read the run {run} of another visitor")

    def still_has(self, run: str) -> bool:
        """Whether a run can still be read."""
        try:
            answer: Mapping[str, Any] = self.client.predict(run, 0, api_name="/step")
        except AppError:
            return False
        return bool(answer)
