"""The benchmark of Janus measures loops that draw the same codes, and says in one line what it cannot measure."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from core.__main__ import main
from core.backends.janus import memory
from core.backends.janus.decoding import DRAFTS
from core.backends.janus.sizes import Model
from core.evaluation import bench_janus
from core.evaluation.bench_janus import Bench, leading, read_bytes, shaped
from core.types import ConfigError
from tests import tiny_janus


def test_all_loops_draw_the_codes_of_generate(tmp_path: Path) -> None:
    tiny_janus.Size().config().save_pretrained(tmp_path)
    bench = Bench.made(Model.open(tmp_path), torch.device("cpu"), torch.float32, codes=20)
    expected = bench.generated()
    assert len(expected) == 20
    assert len(set(expected)) > 1
    assert bench.greedy("plain") == bench.greedy("captured") == expected
    codes, passes = bench.guessed()
    assert codes == expected
    assert 20 / (1 + DRAFTS) <= passes <= 20
    assert bench_janus.error_figures(bench)["captured_error"] < 1e-4  # type: ignore[operator]


def test_what_a_code_reads_is_counted(tmp_path: Path) -> None:
    size = tiny_janus.Size()
    size.config().save_pretrained(tmp_path)
    bench = Bench.made(Model.open(tmp_path), torch.device("cpu"), torch.float32, codes=1)
    read = (*bench.parts.llama.layers, bench.parts.head, bench.parts.aligner)
    weights = sum(value.nbytes for part in read for value in part.state_dict().values())
    assert read_bytes(bench, 0) == weights
    keys = 2 * size.layers * 2 * size.key_heads * size.width // size.heads * 4  # of an entry, both rows
    assert read_bytes(bench, 10) == weights + 10 * keys


def test_equal_codes_are_counted_from_the_first_on() -> None:
    assert [leading([1, 2, 3], other) for other in ([1, 2, 3], [1, 5, 3], [0, 2, 3])] == [3, 1, 0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--device", "cuda"], "device: got cuda"),
        (["--device", "gpu"], "device: got 'gpu'"),
        (["--device", "cpu", "--dtype", "int8"], "dtype: got 'int8'"),
        (["--device", "cpu", "--layers", "25"], "--layers: got 25, expected at most 24 for 1b"),
        (["--device", "cpu", "--codes", "577"], "--codes: got 577, expected at most 576"),
        (["--device", "cpu", "--size", "7b"], "memory: got 9.0 GB free on cpu, expected"),
    ],
)
def test_what_cannot_be_measured_is_one_line(
    words: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for module in (bench_janus, memory):
        monkeypatch.setattr(module, "room", lambda device: memory.Room(10**10, 9 * 10**9))
    assert main(["bench", "--suite", "janus", *words]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert len(told.splitlines()) == 1


def test_fewer_layers_are_the_first_ones_of_the_same_shape() -> None:
    whole, few = shaped("1b", None).sizes.llama, shaped("1b", 2).sizes.llama
    assert (whole.layers, few.layers, few.width) == (24, 2, whole.width)
    with pytest.raises(ConfigError, match="--layers: got 9, expected at most 8 for tiny"):
        shaped("tiny", 9)
