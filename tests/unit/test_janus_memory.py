"""What a model needs against what there is, and the choices that follow."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from core import threads
from core.backends.janus import device as devices
from core.backends.janus import memory
from core.backends.janus.device import choose_dtype
from core.backends.janus.memory import RELEASED, Room, check, needed
from core.evaluation import sizes
from core.types import ConfigError

CPU = torch.device("cpu")
GB = 10**9
MEMINFO = "MemTotal:       16000000 kB\nMemFree: 1 kB\nMemAvailable:    9000000 kB\nHugePages_Total:       0\n"
ONE = sizes.model_of(sizes.PRO["Janus-Pro-1B"])
SEVEN = sizes.model_of(sizes.PRO["Janus-Pro-7B"])


def test_needs_are_weights_cache_and_what_is_laid_out() -> None:
    pixels = sum(torch.Size(shape).numel() for name, shape in ONE.shapes.items() if ".vqmodel." in name)
    laid_out = 2 * 2 * 5632 * 2048
    cache = sizes.cache_bytes(ONE, 2, prompt=memory.PROMPT + 1)
    assert needed(ONE, torch.bfloat16) == 2 * (sizes.parameters(ONE) + laid_out) + cache + 2 * pixels
    assert needed(ONE, torch.float32, blenders=3) - needed(ONE, torch.float32) == 3 * 41 * 4 * 2048**2


def test_the_needs_of_released_models_are_known() -> None:
    for name, stated in RELEASED.items():
        model = ONE if "1B" in name else SEVEN
        real = needed(model, memory.DTYPES[name.split()[-1]])
        assert real <= stated < real + 0.1 * GB


@pytest.mark.parametrize(
    ("total", "free", "expected"),
    [(16.8, 14, torch.float32), (12, 11, torch.bfloat16), (64, 6, torch.bfloat16), (64, 30, torch.float32)],
)
def test_automatic_dtype_is_what_fits(
    total: float, free: float, expected: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "room", lambda device: Room(int(total * GB), int(free * GB)))
    assert choose_dtype("auto", CPU, ONE) == expected
    assert choose_dtype("float16", CPU, ONE) == torch.float16


@pytest.mark.parametrize(
    ("free", "said"),
    [
        (20, r"got 20.0 GB free on cpu, expected 28.6 GB for this model in float32; take dtype bfloat16, .* 14.5 GB"),
        (8, r"take Janus-Pro-1B in float32, which needs 7.0 GB, or close"),
        (5, r"take Janus-Pro-1B in bfloat16, which needs 3.7 GB, or close"),
        (1, r"close other programs, or take another device"),
    ],
)
def test_too_little_memory_names_the_largest_choice_that_fits(
    free: float, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "room", lambda device: Room(64 * GB, int(free * GB)))
    with pytest.raises(ConfigError, match=said):
        check(SEVEN, torch.float32, CPU)


def test_what_fits_or_cannot_be_told_is_let_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "room", lambda device: Room(64 * GB, 30 * GB))
    check(SEVEN, torch.float32, CPU)
    monkeypatch.setattr(memory, "room", lambda device: None)
    check(SEVEN, torch.float32, CPU)


def test_a_container_has_less_than_its_machine(tmp_path: Path) -> None:
    assert memory._linux(MEMINFO, tmp_path) == Room(16000000 * 1024, 9000000 * 1024)
    for name, text in (("memory.max", "max"), ("memory.current", "5"), ("memory.stat", "anon 1")):
        (tmp_path / name).write_text(f"{text}\n", encoding="ascii")
    assert memory._linux(MEMINFO, tmp_path) == Room(16000000 * 1024, 9000000 * 1024)
    (tmp_path / "memory.max").write_text("4000\n", encoding="ascii")
    (tmp_path / "memory.current").write_text("3000\n", encoding="ascii")
    (tmp_path / "memory.stat").write_text("anon 9\ninactive_file 200\nactive_file 50\n", encoding="ascii")
    assert memory._linux(MEMINFO, tmp_path) == Room(4000, 1250)


def test_large_models_take_the_processors_that_are_granted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = threads.processors(tmp_path / "absent")
    assert there >= 1
    for text, expected in (("max 100000", there), (f"{there * 200000} 100000", there), ("50000 100000", 1)):
        (tmp_path / "cpu.max").write_text(text, encoding="ascii")
        assert threads.processors(tmp_path / "cpu.max") == expected
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    monkeypatch.setattr(threads, "processors", lambda: 6)
    assert [threads.pin({}, large) for large in (True, False)] == [6, 1]
    assert threads.pin({"ARRAG_THREADS": "2"}, large=True) == 2
    monkeypatch.setattr(threads, "processors", lambda: 64)
    assert threads.pin({}, large=True) == threads.ENOUGH
