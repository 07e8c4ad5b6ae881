"""What a server serves, from its environment; and GPUs that are lent to it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import numpy as np
import pytest
import torch

from app import lender, zerogpu
from app.deployment import Deployment
from app.hint import hint_of
from app.library import Library
from app.presenting import error_message
from app.session import Session
from core import threads
from core.backends import EMBEDDED, ModelSource
from core.patches.catalogue import DATABASES
from core.patches.index import INDEX_KINDS
from core.types import ConfigError
from tests.databases import CODEBOOK


def test_without_variables_everything_that_ships_is_served() -> None:
    for environment in ({}, {"ARRAG_BACKEND": "embedded"}, {"PATH": "/bin", "ARRAG_MODEL": " "}):
        deployment = Deployment.from_environment(environment)
        assert deployment == Deployment(EMBEDDED, ModelSource(), tuple(DATABASES))
    more = Deployment.from_environment({"ARRAG_DATABASE": "http://server:8765", "ARRAG_DATABASE_TOKEN": "let-me-in"})
    assert more == Deployment(EMBEDDED, ModelSource(), ("http://server:8765", *DATABASES))


def test_janus_takes_its_own_variables() -> None:
    environment = {
        "ARRAG_BACKEND": "janus", "ARRAG_MODEL": "a/model", "ARRAG_FAID": "a/faid", "ARRAG_DATABASE": "a/folder",
        "ARRAG_DEVICE": "cuda", "ARRAG_DTYPE": "float16",
    }  # fmt: skip
    deployment = Deployment.from_environment(environment)
    assert deployment.backends == ("janus",)
    assert deployment.source == ModelSource("a/model", "a/faid", "cuda", "float16")
    assert deployment.databases == ("a/folder",)
    assert Deployment.from_environment({"ARRAG_BACKEND": "janus"}).databases == ()


def test_a_database_of_ones_own_comes_before_those_that_ship() -> None:
    found = Deployment.from_environment({"ARRAG_DATABASE": "a/folder"})
    assert found.databases == ("a/folder", "emoji", "seen", "unseen")
    assert Deployment.from_environment({"ARRAG_DATABASE": "unseen"}).databases == ("unseen", "emoji", "seen")


def test_what_kubernetes_injects_is_not_ours() -> None:
    injected = {
        "ARRAG_PORT": "tcp://10.0.0.5:80", "ARRAG_SERVICE_HOST": "10.0.0.5", "ARRAG_SERVICE_PORT": "80",
        "ARRAG_SERVICE_PORT_HTTP": "80", "ARRAG_PORT_80_TCP": "tcp://10.0.0.5:80", "ARRAG_PORT_80_TCP_PROTO": "tcp",
        "ARRAG_PORT_80_TCP_PORT": "80", "ARRAG_PORT_80_TCP_ADDR": "10.0.0.5", "ARRAG_PORT_53_UDP_ADDR": "10.0.0.5",
        "ARRAG_LOUPE_PORT": "udp://10.0.0.6:53", "ARRAG_MODEL_SERVICE_HOST": "10.0.0.6",
    }  # fmt: skip
    assert Deployment.from_environment({**injected, "ARRAG_THREADS": "2", "ARRAG_ASSETS": "assets"}) == Deployment()
    for name in ("ARRAG_PORT", "ARRAG_HOST", "ARRAG_SERVICE"):
        with pytest.raises(ConfigError, match=f"got {name}"):
            Deployment.from_environment({name: "8080"})


def test_threads_are_pinned_in_one_place() -> None:
    assert [threads.wanted(e) for e in ({}, {"ARRAG_THREADS": " "}, {"ARRAG_THREADS": "3"})] == [1, 1, 3]
    before = torch.get_num_threads()
    try:
        assert threads.pin({"ARRAG_THREADS": "2"}) == torch.get_num_threads() == 2
        for made in INDEX_KINDS.values():  # an index leaves torch as it is, though faiss may share its OpenMP
            made(CODEBOOK, np.zeros((4, 3), np.uint16))
        assert threads.current() == torch.get_num_threads() == 2
        assert threads.pin({"OMP_NUM_THREADS": "2"}) == torch.get_num_threads() == 1
    finally:
        threads.pin({"ARRAG_THREADS": str(before)})
    for text in ("0", "-1", "x", "1.5", "1000", "\u00b2"):
        with pytest.raises(ConfigError, match="ARRAG_THREADS: got"):
            threads.wanted({"ARRAG_THREADS": text})


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"ARRAG_BACKEND": "gan"}, "ARRAG_BACKEND: got 'gan', expected one of embedded, janus"),
        (
            {"ARRAG_BACKENDS": "janus"},
            "environment: got ARRAG_BACKENDS, expected some of ARRAG_ASSETS, ARRAG_BACKEND, ",
        ),
        ({"ARRAG_MODEL": "a/model"}, "ARRAG_MODEL: got a value, which only ARRAG_BACKEND=janus takes"),
    ],
)
def test_mistakes_are_config_errors(environment: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Deployment.from_environment(environment)


def test_a_deployment_loads(tmp_path: Path) -> None:
    tiny_janus = pytest.importorskip("tests.tiny_janus")
    tiny_janus.save_model(tmp_path / "model", tiny_janus.tiny_janus())
    environment = {"ARRAG_BACKEND": "janus", "ARRAG_MODEL": str(tmp_path / "model"), "ARRAG_DEVICE": "cpu"}
    backends, databases = Deployment.from_environment(environment).load()
    assert {name: backend.description for name, backend in backends.items()} == {"janus": "model on cpu, float32"}
    assert databases == {}


@pytest.mark.parametrize(
    ("folder", "said"), [("emoji", "which is of the embedded models"), ("/nowhere", "expected a folder or one of")]
)
def test_a_database_that_does_not_fit_is_told_before_the_model_is_loaded(folder: str, said: str) -> None:
    environment = {"ARRAG_BACKEND": "janus", "ARRAG_MODEL": "/nowhere either", "ARRAG_DATABASE": folder}
    with pytest.raises(ConfigError, match=said):
        Deployment.from_environment(environment).load()


def test_a_model_of_ones_own_is_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (Path(__file__).parents[2] / "examples/own_backend.py").read_text(encoding="utf-8")
    own = f"{text.split('if __name__')[0].replace('from arrag', 'from core')}def load(source):\n    return Uniform()\n"
    (tmp_path / "grey_model.py").write_text(own, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    backends, databases = Deployment.from_environment({"ARRAG_BACKEND": "grey_model:load"}).load()
    assert (list(backends), databases) == (["uniform"], {})
    session = Session.over(Library(backends, databases))
    run = list(session.drawing.draw("v", "anything", lambda: session.library.start))[-1]
    assert session.visits.find("v", run.kept).trace.complete
    assert hint_of(backends["uniform"], "anything") == ""


def test_gpus_are_lent_only_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def gpu(duration: Callable[..., int]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        def lend(function: Callable[..., Any]) -> Callable[..., Any]:
            def lent(*arguments: Any) -> Iterator[str]:
                asked.append(duration(*arguments))
                return (f"lent {value}" for value in function(*arguments))

            return lent

        return lend

    def steps(count: int) -> Iterator[int]:
        yield from range(count)

    monkeypatch.setitem(sys.modules, "spaces", SimpleNamespace(GPU=gpu))
    monkeypatch.delenv("SPACES_ZERO_GPU", raising=False)
    assert zerogpu.with_gpu(steps, lambda count: count) is steps
    assert zerogpu.lent_source(ModelSource("a/b")) == ModelSource("a/b")
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    assert list(zerogpu.with_gpu(steps, lambda count: 288 * count)(2)) == ["lent 0", "lent 1"]
    assert asked == [zerogpu.seconds_for(576)]
    placed = ModelSource("a/b", device="cuda", dtype="bfloat16", pixels_device="cpu", launch="plain")
    assert zerogpu.lent_source(ModelSource("a/b")) == placed
    assert zerogpu.lent_source(ModelSource("a/b", dtype="float16")) == replace(placed, dtype="float16")
    on_cpu = ModelSource(device="cpu", pixels_device="cpu", launch="plain")
    assert zerogpu.lent_source(ModelSource(device="cpu")) == on_cpu
    assert zerogpu.lent_source(ModelSource(launch="captured")).launch == "captured"
    assert zerogpu.seconds_for(256) < zerogpu.seconds_for(576) <= zerogpu.seconds_for(10_000) == zerogpu.LONGEST


def in_place(monkeypatch: pytest.MonkeyPatch, asked: list[int]) -> list[str]:
    """A stand-in for `spaces` that lends at once, in this process; the names of what is registered with it."""
    registered: list[str] = []

    def gpu(duration: int | Callable[..., int]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        def lend(function: Callable[..., Any]) -> Callable[..., Any]:
            def lent(*given: Any) -> Any:
                asked.append(duration(*given) if callable(duration) else duration)
                return function(*given)

            registered.append(function.__name__)
            return lent

        return lend

    monkeypatch.setitem(sys.modules, "spaces", SimpleNamespace(GPU=gpu))
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    return registered


def test_the_models_that_ship_never_ask_for_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    registered = in_place(monkeypatch, [])
    zerogpu.prepare()
    assert registered == ["unused"]
    shipped, other = (SimpleNamespace(grid=None, backends=dict.fromkeys(names)) for names in (EMBEDDED, ("janus",)))
    assert [Library(found.backends, {}).is_lent for found in (shipped, other)] == [False, True]
    monkeypatch.setenv("SPACES_ZERO_GPU", "false")
    assert not lender.is_lent()
    assert not Library(other.backends, {}).is_lent
    zerogpu.prepare()
    assert registered == ["unused"]


def test_without_its_package_the_start_ends_with_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    monkeypatch.setitem(sys.modules, "spaces", None)
    with pytest.raises(ConfigError, match="run pip install spaces"):
        zerogpu.prepare()


def test_its_package_comes_first_and_what_is_wrong_with_it_is_told_later(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "spaces.py").write_text("assert False, 'no\\naddress'", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "spaces", raising=False)
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    lender.come_first()
    with pytest.raises(ConfigError, match=r"^spaces: AssertionError: no address$"):
        zerogpu.prepare()
    (tmp_path / "spaces.py").write_text("", encoding="utf-8")
    monkeypatch.setenv("SPACES_ZERO_GPU", "0")
    lender.come_first()
    assert "spaces" not in sys.modules


def test_the_time_that_is_asked_for_follows_what_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    now, asked = [100.0], list[int]()
    monkeypatch.setattr(zerogpu.time, "perf_counter", lambda: now[0])
    in_place(monkeypatch, asked)

    def steps(count: int, each: float) -> Iterator[tuple[int]]:
        for number in range(count):
            now[0] += each
            yield (number,)

    lent = zerogpu.with_gpu(steps, lambda count, each: count)
    assert len(list(lent(100, 0.2))) == 100
    left_early = lent(100, 0.01)
    next(left_early)
    left_early.close()  # nothing was measured
    list(lent(100, 0.01))
    assert asked == [15 + 6, 15 + 30, 15 + 30]  # 0.06 s each, and then 1.5 times what was measured
    for _ in range(zerogpu.MEASURED):
        list(lent(100, 0.02))
    list(lent(100, 0.02))
    assert asked[-1] == 15 + 3


def test_what_the_service_says_reaches_the_visitor(monkeypatch: pytest.MonkeyPatch) -> None:
    in_place(monkeypatch, [])

    def refused(error: Exception) -> Iterator[tuple[int]]:
        raise error
        yield (0,)

    lent = zerogpu.with_gpu(refused, lambda error: 1)
    said = gr.Error("You have 3s left.  [Subscribe](https://huggingface.co/subscribe) for more.", title="ZeroGPU quota")
    with pytest.raises(zerogpu.NoGpu) as told:
        next(lent(said))
    assert error_message(told.value) == (
        "ZeroGPU quota: You have 3s left. Subscribe (https://huggingface.co/subscribe) for more."
    )
    with pytest.raises(ConfigError, match="of our own"):
        next(lent(ConfigError("of our own")))
    with pytest.raises(ZeroDivisionError):
        next(lent(ZeroDivisionError()))
    whole = zerogpu.with_gpu(lambda count: 1 // count, lambda count: 1)
    assert whole(1) == 1
    with pytest.raises(ZeroDivisionError):
        whole(0)
