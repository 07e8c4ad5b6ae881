"""Passes of fixed shapes give what plain ones give, recorded or not, begun early or not, with guesses or without."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from core.backends.janus import captured
from core.backends.janus.backend import JanusBackend
from core.backends.janus.captured import Launch, call, choose_launch, forward
from core.backends.janus.decoding import DRAFTS, JanusDecoding
from core.backends.protocol import ModelSource, Predicted
from core.engine import Request, decode_together
from core.snapshots import Snapshots
from core.types import ConfigError, DecodeSettings, IntArray
from tests import tiny_janus
from tests.closeness import assert_close
from tests.scripted_graph import ScriptedGraphs, recorded

SETTINGS = DecodeSettings(method="model", cfg_scale=5.0, top_p=1.0, seed=3)
PROMPTS = ("a big red pizza", "dog", "one two")
POSITIONS = 36


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> JanusBackend:
    folder = tmp_path_factory.mktemp("tiny")
    tiny_janus.save_model(folder, tiny_janus.tiny_janus())
    return JanusBackend.load(ModelSource(model=str(folder), device="cpu"))


def launched(plain: JanusBackend, graphs: ScriptedGraphs) -> JanusBackend:
    """The same model as on a GPU: recorded, and begun early."""
    return replace(plain, launch=Launch(forward, graphs, replays=True))


def assert_same(got: Predicted, expected: Predicted) -> None:
    assert_close(got.conditional, expected.conditional)
    assert (got.unconditional is None) == (expected.unconditional is None)
    if got.unconditional is not None:
        assert_close(got.unconditional, expected.unconditional)


def codes_of(prompts: int, seed: int = 0) -> IntArray:
    return np.random.default_rng(seed).integers(0, 24, (prompts, POSITIONS))


@pytest.mark.parametrize("prompts", [PROMPTS[:1], PROMPTS])
@pytest.mark.parametrize("guided", [False, True])
def test_recorded_passes_predict_what_plain_ones_do(plain: JanusBackend, prompts: Sequence[str], guided: bool) -> None:
    graphs = ScriptedGraphs()
    fast, slow = (model.start(prompts, guided) for model in (launched(plain, graphs), plain))
    earlier, expected = [], []
    for chosen in codes_of(len(prompts)).T:
        earlier.append(fast.logits())
        expected.append(slow.logits())
        assert_same(fast.logits(), expected[-1])  # asked again
        fast.append(chosen)
        slow.append(chosen)
    for one, other in zip(earlier, expected, strict=True):  # nobody's answer was written over
        assert_same(one, other)
    assert (graphs.recorded, graphs.replayed) == (1, POSITIONS - 1)
    fast.close()


@pytest.mark.parametrize("guided", [False, True])
def test_guesses_of_any_length_are_checked_in_one_recorded_pass(plain: JanusBackend, guided: bool) -> None:
    graphs = ScriptedGraphs()
    fast, slow = (model.start(PROMPTS[:2], guided) for model in (launched(plain, graphs), plain))
    codes = codes_of(2)
    assert isinstance(fast, JanusDecoding)
    assert fast.draft_length == DRAFTS
    for position, guess in ((0, 3), (5, 1), (8, DRAFTS), (20, DRAFTS + 2), (32, POSITIONS - 33), (35, 0)):
        while slow.appended < position:
            for decoding in (fast, slow):
                decoding.logits()
                decoding.append(codes[:, decoding.appended])
        assert fast.appended == position
        drafts = codes[:, position : position + guess]
        ahead = fast.logits(None, drafts)
        for place in range(1 + guess):
            expected = slow.logits()
            assert_same(ahead.at(place), expected)
            assert_same(fast.logits(), expected)  # known from the pass with guesses
            if position + place + 1 < POSITIONS:
                for decoding in (fast, slow):
                    decoding.append(codes[:, position + place])
    assert graphs.recorded == 2  # one of a single entry, one of all lengths up to DRAFTS


def test_a_wrong_guess_leaves_nothing_behind(plain: JanusBackend) -> None:
    fast, slow = (model.start(PROMPTS[:1], True) for model in (launched(plain, ScriptedGraphs()), plain))
    codes, wrong = codes_of(1), codes_of(1, seed=1)
    for position, chosen in enumerate(codes.T):
        guess = min(DRAFTS, POSITIONS - 1 - position)
        drafts = wrong[:, position : position + guess] if position % 3 else None
        assert_same(fast.logits(None, drafts).at(0) if drafts is not None else fast.logits(), slow.logits())
        fast.append(chosen)
        slow.append(chosen)


def test_the_next_pass_is_begun_early_unless_somebody_guesses(plain: JanusBackend) -> None:
    graphs = ScriptedGraphs()
    decoding = launched(plain, graphs).start(PROMPTS[:1], True)
    codes = codes_of(1)
    decoding.append(codes[:, 0])
    assert graphs.replayed == 0  # nobody has asked yet
    decoding.logits()
    decoding.append(codes[:, 1])
    assert graphs.replayed == 2
    decoding.logits()
    assert graphs.replayed == 2
    decoding.logits(None, codes[:, 2:5])
    for chosen in codes.T[2:6]:
        decoding.append(chosen)
    assert graphs.replayed == 3
    for chosen in codes.T[6:]:
        decoding.logits()
        decoding.append(chosen)
    assert graphs.replayed == 3 + POSITIONS - 6  # none behind the last position


def test_the_engine_draws_the_same_codes_and_branches_go_on(plain: JanusBackend) -> None:
    ann = Snapshots().of("ann")
    expected = [
        [step[row].code for step in decode_together([Request(plain, None, prompt, SETTINGS) for prompt in PROMPTS])]
        for row in range(len(PROMPTS))
    ]
    graphs = ScriptedGraphs()
    requests = [Request(launched(plain, graphs), None, prompt, SETTINGS, memory=ann) for prompt in PROMPTS]
    whole = list(zip(*decode_together(requests), strict=True))
    assert [[record.code for record in row] for row in whole] == expected
    for row, request in enumerate(requests):
        branch = replace(request, codes=tuple(expected[row][:20]))
        assert branch.unread(20) == 0
        (again,) = zip(*decode_together([branch], 20), strict=True)
        assert [record.code for record in again] == expected[row][20:]
        for one, other in zip(again, whole[row][20:], strict=True):
            assert_close(one.logits, other.logits)


def test_blenders_are_never_recorded(tmp_path: Path) -> None:
    model = tiny_janus.tiny_janus()
    tiny_janus.save_model(tmp_path / "base", model)
    tensors = tiny_janus.released_tensors(model, tiny_janus.random_faid())
    tiny_janus.save_released(tmp_path / "faid", tensors, tiny_janus.released_config(2, (1, 2)))
    source = ModelSource(str(tmp_path / "base"), str(tmp_path / "faid"), device="cpu")
    graphs = ScriptedGraphs()
    decoding = launched(JanusBackend.load(source), graphs).start(PROMPTS[:1], True, faid_neighbours=2)
    for chosen in codes_of(1).T[:3]:
        decoding.logits([None])
        decoding.append(chosen)
    assert decoding.draft_length == graphs.recorded == 0


def test_what_recording_must_not_do_fails_here_too() -> None:
    held = torch.zeros(2)
    for wrong in (lambda: held + held.sum().item(), held.nonzero):
        with pytest.raises(RuntimeError, match="not permitted when stream is capturing"):
            recorded(wrong)
    numbers = iter(range(10))
    replayed = recorded(lambda: held + next(numbers))  # the number of the recording stays
    held.fill_(5)
    assert replayed().tolist() == replayed().tolist() == [5 + captured.WARM_UPS] * 2
    elsewhere = [torch.zeros(2)]
    replayed = recorded(lambda: elsewhere[0] + 1)
    elsewhere[0] = torch.ones(2)  # another tensor than the recorded one
    assert replayed().tolist() == [1, 1]


def test_the_pass_compiles_as_a_whole_once_for_all_generations(plain: JanusBackend) -> None:
    graphs = []

    def counted(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> torch.fx.GraphModule:
        graphs.append(graph)
        return graph

    torch.compiler.reset()
    compiled = torch.compile(forward, backend=counted, fullgraph=True, dynamic=False)
    launch = Launch(compiled, call, replays=False)
    for _ in range(2):
        fast, slow = (model.start(PROMPTS[:2], True) for model in (replace(plain, launch=launch), plain))
        for chosen in codes_of(2).T[:4]:
            assert_same(fast.logits(), slow.logits())
            fast.append(chosen)
            slow.append(chosen)
    assert len(graphs) == 1
    torch.compiler.reset()


def test_how_passes_are_launched_is_checked() -> None:
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    assert choose_launch("auto", cpu) is choose_launch("plain", cuda) is None
    fixed, recording = choose_launch("captured", cpu), choose_launch("auto", cuda)
    assert fixed is not None
    assert recording is not None
    assert (fixed.record, fixed.replays) == (call, False)
    assert isinstance(recording.record, captured.CudaGraphs)
    assert recording.replays
    with pytest.raises(ConfigError, match=r"launch: got 'fast', expected one of auto, plain, captured, compiled"):
        choose_launch("fast", cpu)


class Cuda:
    """What recording asks of torch.cuda, and in which order; `refuses`: whether it does not permit it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, refuses: bool = False) -> None:
        self.told: list[str] = []
        self._refuses, self._streams = refuses, 0
        for name in ("Stream", "CUDAGraph", "current_stream", "stream", "graph"):
            monkeypatch.setattr(torch.cuda, name, getattr(self, name))

    def Stream(self) -> SimpleNamespace:
        self._streams += 1
        return self._named(f"stream {self._streams}")

    def current_stream(self) -> SimpleNamespace:
        return self._named("current")

    def CUDAGraph(self) -> SimpleNamespace:
        return SimpleNamespace(replay=lambda: self.told.append("replay"))

    @contextmanager
    def stream(self, stream: SimpleNamespace) -> Iterator[None]:
        self.told.append(f"on {stream.name}")
        yield

    @contextmanager
    def graph(self, graph: object, stream: SimpleNamespace, capture_error_mode: str) -> Iterator[None]:
        self.told.append(f"record on {stream.name}, {capture_error_mode}")
        if self._refuses:
            raise RuntimeError("operation not permitted\nwhen stream is capturing")
        yield

    def _named(self, name: str) -> SimpleNamespace:
        return SimpleNamespace(name=name, wait_stream=lambda other: self.told.append(f"{name} waits for {other.name}"))


def test_a_graph_is_recorded_where_it_was_warmed_up(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda, record = Cuda(monkeypatch), captured.CudaGraphs()

    def work() -> Tensor:
        cuda.told.append("work")
        return torch.ones(1)

    replay = record(work)
    assert cuda.told == [
        "stream 1 waits for current", "on stream 1", *["work"] * captured.WARM_UPS, "current waits for stream 1",
        "record on stream 1, thread_local", "work",
    ]  # fmt: skip
    cuda.told.clear()
    assert replay() is replay()
    assert cuda.told == ["replay"] * 2
    record(work)
    assert "record on stream 1, thread_local" in cuda.told


def test_a_pass_that_cannot_be_captured_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    Cuda(monkeypatch, refuses=True)
    with pytest.raises(ConfigError, match=r"launch: .*not permitted when stream is capturing\); take plain"):
        captured.CudaGraphs()(lambda: torch.ones(1))
