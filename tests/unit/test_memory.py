"""What is free goes back to the system."""

from __future__ import annotations

import subprocess
import sys

import pytest

from app import memory
from app.memory import GivingBack

HOLES = """
import gc
from pathlib import Path
from app.memory import give_back

def resident():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))

kept = [bytearray(b"x") * 60_000 for _ in range(1600)]
whole, between = resident(), kept[::2]
del kept  # holes of 60 kB, which no end of the heap gives back
gc.collect()
holes = resident()
give_back()
print(whole, holes, resident())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc keeps what is free")
def test_what_was_freed_among_what_is_kept_goes_back() -> None:
    done = subprocess.run([sys.executable, "-c", HOLES], capture_output=True, text=True, check=True)
    whole, holes, after = map(int, done.stdout.split())
    assert whole - holes < 20_000
    assert holes - after > 20_000


def test_it_is_not_done_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now, given = [0.0], list[float]()
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr(memory, "give_back", lambda: given.append(now[0]))
    giving = GivingBack()
    for seconds in (0, 10, 20, 21, 39, 45):
        now[0] = seconds
        giving.if_due()
    assert given == [20, 45]
