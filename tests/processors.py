"""The tests marked `processor`, as other processors and another number of threads would compute: `make test` runs it.

The variables limit the instructions that torch's own kernels, oneDNN and MKL may use; numbers then differ in their last
bits, as they do between machines. Where a processor lacks the instructions anyway, the limit changes nothing.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LIMITS = {
    "default": {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2"},
    "avx2": {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"},
    "native": {},
}
"""Variables of each kind of processor; native with one thread is what all other tests run with."""

RUNS = tuple((kind, threads) for kind in LIMITS for threads in (1, 2) if (kind, threads) != ("native", 1))


def run(kind: str, threads: int) -> int:
    """Exit status of the marked tests on one kind of processor."""
    limited = {name for limits in LIMITS.values() for name in limits}
    inherited = {name: value for name, value in os.environ.items() if name not in limited}
    environment = {**inherited, **LIMITS[kind], "ARRAG_TEST_PROCESSOR": kind}
    environment |= {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive"}  # waiting threads leave the core
    command = [sys.executable, "-m", "pytest", "-q", "-m", "processor", "-p", "no:xdist", "tests/reference"]
    started = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    lines = done.stdout.strip().splitlines()
    told = lines[-1] if lines else "no answer"
    print(f"{kind}, {threads} thread{'s'[: threads - 1]}: {told} ({time.monotonic() - started:.0f} s)", flush=True)
    if done.returncode:
        print(done.stdout[-6000:], done.stderr[-2000:], flush=True)
    return done.returncode


def main() -> int:
    """Exit status of the worst of them; all are run, two at a time."""
    with ThreadPoolExecutor(2) as pool:
        return max(pool.map(lambda each: run(*each), RUNS))


if __name__ == "__main__":
    raise SystemExit(main())
