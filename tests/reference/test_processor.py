"""That the matrix of tests/processors.py is what it says."""

from __future__ import annotations

import os

import pytest
import torch

from tests.processors import LIMITS, RUNS

pytestmark = pytest.mark.processor


def test_torch_computes_as_it_was_told_to() -> None:
    kind = os.environ.get("ARRAG_TEST_PROCESSOR")
    if kind is None:
        pytest.skip("not a run of tests.processors")
    assert torch.get_num_threads() == int(os.environ["OMP_NUM_THREADS"])
    capability = torch.backends.cpu.get_cpu_capability()
    if kind == "native":
        assert "ATEN_CPU_CAPABILITY" not in os.environ
    elif kind == "default":
        assert capability in ("DEFAULT", "NO AVX")
    else:
        assert capability in ("AVX2", "DEFAULT", "NO AVX")  # the last two where there is no AVX2


def test_every_kind_runs_with_one_and_two_threads() -> None:
    assert {*RUNS, ("native", 1)} == {(kind, threads) for kind in LIMITS for threads in (1, 2)}
    assert set(LIMITS) == {"default", "avx2", "native"}
