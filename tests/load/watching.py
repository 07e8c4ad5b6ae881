"""What a server's processes take, read from /proc while they work; nothing on systems without it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

PROC = Path("/proc")
MEGABYTE = 1e6


@dataclass(frozen=True, slots=True)
class Taken:
    """What a process and its children have taken: memory now in MB, CPU so far in seconds, threads now."""

    megabytes: float
    cpu: float
    threads: int


def tree(pid: int) -> list[int]:
    """A process and all that descend from it, as far as they are still there."""
    parents: dict[int, list[int]] = {}
    for entry in PROC.iterdir() if PROC.is_dir() else ():
        if entry.name.isdecimal() and (fields := _stat(int(entry.name))):
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [pid]
    for each in found:
        found.extend(parents.get(each, []))
    return found


def taken(pid: int) -> Taken | None:
    """What a process tree takes; None where that cannot be read."""
    if not (PROC / str(pid) / "stat").exists():
        return None
    tick, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    rows = [fields for each in tree(pid) if (fields := _stat(each))]
    cpu = sum(int(fields[11]) + int(fields[12]) for fields in rows) / tick
    return Taken(sum(int(fields[21]) for fields in rows) * page / MEGABYTE, cpu, sum(int(f[17]) for f in rows))


def _stat(pid: int) -> list[str]:
    """The fields of a process from its state on, see proc(5); none when it is gone."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(") ")[2].split()
    except (OSError, ValueError):
        return []


class Watch:
    """Looks at a process tree several times a second, for as long as a block of code takes."""

    def __init__(self, pid: int | None, pause: float = 0.25) -> None:
        self._pid, self._pause, self._over = pid, pause, threading.Event()
        self._first = self._last = taken(pid) if pid else None
        self._begun = self._ended = monotonic()
        self.most = self._first.megabytes if self._first else 0.0

    def figures(self) -> dict[str, float | int | str]:
        """Memory at the end and at most in MB, and the share of one processor that was used; none where unknown."""
        if not (self._first and self._last):
            return {}
        cpu, seconds = self._last.cpu - self._first.cpu, self._ended - self._begun
        return {
            "memory MB": round(self._last.megabytes),
            "memory at most MB": round(self.most),
            "CPU %": round(100 * cpu / seconds) if seconds else 0,
            "threads": self._last.threads,
        }

    def _look(self) -> None:
        if self._pid and (now := taken(self._pid)):
            self._last, self.most, self._ended = now, max(self.most, now.megabytes), monotonic()

    def _watch(self) -> None:
        while not self._over.wait(self._pause):
            self._look()

    @contextmanager
    def looking(self) -> Iterator[Watch]:
        """Watch until the block ends."""
        watching = threading.Thread(target=self._watch, daemon=True)
        watching.start()
        try:
            yield self
        finally:
            self._over.set()
            watching.join()
            self._look()
