"""Attacks one after the other, and what must hold whatever comes: the answers, the files, and the server afterwards."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.abuse import files
from tests.abuse.attacks import API, ATTACKERS, BOUNDARY, Attack, campaign, multipart, opened
from tests.abuse.payloads import places
from tests.abuse.target import Target
from tests.abuse.wire import Told, Wire
from tests.load.watching import Taken, taken

TRACEBACK = re.compile(r"Traceback|\.py\", line|File \"/|site-packages|<frozen |Error: [A-Za-z]+Error\b")
INSIDE = re.compile(r"root:x:0:0|PYTHONPATH=|from app import|BEGIN [A-Z ]*PRIVATE")
"""What stands in files that nobody has to read."""

TOGETHER = 8
"""How many ways to attack Hypothesis knows as one test."""

PROFILE: Mapping[str, Any] = {
    "derandomize": True, "database": None, "deadline": None, "phases": [Phase.generate],
    "suppress_health_check": list(HealthCheck),
}  # fmt: skip
"""The same values every time, which are neither looked up nor made smaller: what is wrong is counted, not raised."""

MORE_MEGABYTES, MORE_THREADS = 300, 60
"""What a server may take more after all of it than before: caches fill, and its pools of threads grow to their size."""


@dataclass(slots=True)
class Record:
    """What came of a siege: calls and failures by kind, and some of each failure."""

    calls: Counter[str] = field(default_factory=Counter)
    failures: Counter[tuple[str, str]] = field(default_factory=Counter)
    examples: dict[tuple[str, str], str] = field(default_factory=dict)
    slowest: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)

    def fail(self, why: str, kind: str, example: str) -> None:
        """Note a failure; the shortest example of each is kept."""
        self.failures[why, kind] += 1
        known = self.examples.setdefault((why, kind), example)
        if len(example) < len(known):
            self.examples[why, kind] = example


class Siege:
    """All attacks on one target."""

    def __init__(self, target: Target) -> None:
        self.target, self.record = target, Record()
        self._wire = Wire(target.url)
        self._uploaded: tuple[str, ...] = ()
        self._before, self._taken = target.outside(), taken(target.pid)

    # -----------------------------------------------------------------------------------------------------------------
    # Calls

    def attack(self, attack: Attack) -> None:
        """Do it, and look at what is answered."""
        told = self._send(attack)
        self.record.calls[attack.kind] += 1
        self.record.statuses[told.status] += 1
        self.record.slowest = max(self.record.slowest, told.seconds)
        for why in self.wrong(told, attack.body or b""):
            self.record.fail(why, attack.kind, f"{attack}\n    -> {told.status} {told.text[-600:]!r}")

    def _send(self, attack: Attack) -> Told:
        """Everything that was answered to an attack, by whichever way."""
        told = self._wire.send(attack.method, attack.path, attack.body, attack.headers)
        if attack.path.startswith(f"{API}/upload") and told.status == 200 and told.text.startswith('["'):
            self._uploaded = (*self._uploaded[-20:], *json.loads(told.text))
        if not (attack.follow and told.status == 200 and "event_id" in told.text):
            return told
        event = json.loads(told.text)["event_id"]
        heard = self._wire.stream(
            f"{API}/queue/data?session_hash={quote(attack.follow, errors='replace')}", until=event
        )
        status = heard.status if heard.status >= 500 else told.status
        return Told(status, heard.text, told.seconds + heard.seconds, heard.closed)

    def wrong(self, told: Told, asked: bytes = b"") -> Iterator[str]:
        """What must not be in any answer to what was asked."""
        if told.status >= 500:
            yield f"HTTP {told.status}"
        if not told.closed:
            yield "no end of the answer"
        if told.status == 0 and told.closed:
            yield "connection ended without an answer"
        if TRACEBACK.search(told.text):
            yield "traceback"
        if INSIDE.search(told.text):
            yield "a file of the machine"
        if self.target.mark in told.text:
            yield "something of somebody else's"
        unsaid = told.text
        for said in (*places(self.target), str(self.target.place / "temporary")):  # which calls themselves may name
            unsaid = unsaid.replace(said, "") if len(said) > 1 else unsaid
        if str(self.target.place) in unsaid and str(self.target.place).encode() not in asked:  # else it is cited
            yield "a path of the machine"
        if self.target.bitten:
            self.target.bitten.clear()
            yield "the server asked an address that it was given"

    # -----------------------------------------------------------------------------------------------------------------
    # Whole sieges

    def lay(self, calls: int, told: Callable[[int], None] = lambda done: None) -> None:
        """About that many attacks, the same ones every time; every way to attack has its share, and at least one."""
        ways = campaign(self.target, ())
        times = -(-calls // len(ways))
        for first in range(0, len(ways), TOGETHER):
            self._rounds(ways[first : first + TOGETHER], times)
            told(self.record.calls.total())

    def _rounds(self, ways: Sequence[st.SearchStrategy[Attack]], times: int) -> None:
        """Some ways to attack, one after the other, some times; the simplest of each is no attack, and left out."""
        rounds = iter(range(times + 1))

        @settings(**PROFILE, max_examples=times + 1)
        @given(drawn=st.tuples(*ways))
        def one(drawn: tuple[Attack, ...]) -> None:
            for attack in drawn if next(rounds, 0) else ():
                self.attack(attack)

        one()

    def open_files(self, count: int, huge: bool = True) -> None:
        """Strangers' files, opened by every event that takes one."""

        @settings(**PROFILE, max_examples=count)
        @given(content=files.contents(), name=st.sampled_from(["a.npz", "b.png"]))
        def one(content: bytes, name: str) -> None:
            self.open(content, name)

        one()
        for bomb in files.bombs() if huge else ():
            self.open(bomb, "bomb.npz")

    def open(self, content: bytes, name: str) -> None:
        """One file, uploaded and opened by everything that opens files."""
        head = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        told = self._wire.send("POST", f"{API}/upload", multipart(name, content), head)
        if told.status != 200:
            return
        path = json.loads(told.text)[0]
        for event in self.target.map.events:
            if event.kinds[:1] == ("uploadbutton",):
                self.attack(opened(path, event, ATTACKERS[0]))

    # -----------------------------------------------------------------------------------------------------------------
    # Afterwards

    def afterwards(self) -> None:
        """The server still draws; the victim's runs are there; nothing was written elsewhere; nothing was kept."""
        target, now = self.target, taken(self.target.pid)
        drawn = self._wire.call("generate", ["another disc", "fake", "all", {"seed": 2}, False], "afterwards")
        if not drawn.done:
            self.record.fail("no picture afterwards", "afterwards", drawn.text[:500])
        for run in target.runs:
            if not self._wire.call("step", [run, 3, 4], target.victim).done:
                self.record.fail("a run of somebody else is gone", "afterwards", run)
        after = target.outside()
        for path in sorted(set(after) | set(self._before)):
            if after.get(path) != self._before.get(path):
                self.record.fail(
                    "written outside", "afterwards", f"{path}: {self._before.get(path)} -> {after.get(path)}"
                )
        if target.mark not in target.secret.read_text(encoding="utf-8"):
            self.record.fail("written outside", "afterwards", "the secret was changed")
        self._leaks(self._taken, now)

    def _leaks(self, before: Taken | None, now: Taken | None) -> None:
        if before is None or now is None:
            return
        if now.megabytes - before.megabytes > MORE_MEGABYTES:
            self.record.fail("memory", "afterwards", f"{before.megabytes:.0f} -> {now.megabytes:.0f} MB")
        if now.threads - before.threads > MORE_THREADS:
            self.record.fail("threads", "afterwards", f"{before.threads} -> {now.threads}")
