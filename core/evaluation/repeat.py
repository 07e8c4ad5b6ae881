"""Whether a seed gives the same picture on other processors: `python -m core evaluate repeat` (ten minutes).

Draws the same pictures with the instructions of three kinds of processors and with one and two threads, each in a
process of its own, and counts the pictures and codes that differ from the first kind's. Numbers differ in their last
bits there, and a code in the race differs only where two codes are as near as that; from there on a picture goes its
own way.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys

import numpy as np
from tqdm import tqdm

from .. import threads
from ..backends import load_backend
from ..engine import decode
from ..patches.catalogue import open_database
from ..types import DecodeSettings, IntArray
from .bench_draw import PROMPTS

KINDS = {
    "avx512": {},
    "avx2": {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"},
    "default": {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2"},
}
"""Variables that limit the instructions of torch, oneDNN and MKL; the first kind is whatever this processor has."""

PACKAGE = __name__.split(".")[0]
"""What is run in another process: this package, under the name that it is installed by."""


def pictures(seeds: int, method: str) -> IntArray:
    """Codes [seeds, S] of the prompts in turn, with the threads of the environment."""
    threads.pin()
    backend = load_backend("emoji")
    database = open_database("emoji", backend)
    drawn = []
    for seed in tqdm(range(seeds), desc="pictures"):
        settings = DecodeSettings(seed=seed, method=method)
        steps = decode(backend, database, [PROMPTS[seed % len(PROMPTS)]], settings)
        drawn.append([step[0].code for step in steps])
    return np.array(drawn)


def drawn_as(kind: str, count: int, seeds: int, method: str) -> IntArray:
    """The same in another process, as a kind of processor with a number of threads."""
    limited = {name for limits in KINDS.values() for name in limits}
    inherited = {name: value for name, value in os.environ.items() if name not in limited}
    drawing = ["evaluate", "repeat", "--one", "--seeds", str(seeds), "--method", method]
    command = [sys.executable, "-m", PACKAGE, *drawing]
    environment = {**inherited, **KINDS[kind], threads.VARIABLE: str(count), "OMP_WAIT_POLICY": "passive"}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return np.array(json.loads(done.stdout.splitlines()[-1]))


def run(chosen: argparse.Namespace) -> int:
    """Print a line of JSON for every kind and number of threads; with --one, the codes that this process draws."""
    if chosen.one:
        print(json.dumps(pictures(chosen.seeds, chosen.method).tolist()))
        return 0
    first = None
    for kind in KINDS:
        for count in (1, 2):
            codes = drawn_as(kind, count, chosen.seeds, chosen.method)
            first = codes if first is None else first
            other = (codes != first).any(axis=1)
            figures = {"pictures": len(codes), "other": int(other.sum()), "codes": int((codes != first).sum())}
            begins = (codes != first).argmax(axis=1)[other].tolist()
            print(json.dumps({"kind": kind, "threads": count, **figures, "first_other_code": begins}), flush=True)
    return 0
