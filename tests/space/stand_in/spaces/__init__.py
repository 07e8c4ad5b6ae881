"""Stands in for Hugging Face's package `spaces` where GPUs are lent (SPACES_ZERO_GPU), without any GPU.

What it does as that one: it must come before CUDA is initialised (BEFORE: what was imported earlier), and makes torch
say that CUDA is there; it tells the service of the start when the first page is launched, and the Space ends if no
function was registered; a registered function runs in a forked process, which gets its arguments and gives back its
results pickled, in a thread of its own; of an error that is not Gradio's, the server hears the name of its class alone;
a refusal of the service is a `gr.Error` with a title, raised before anything is forked; who asks is read from the
request in Gradio's context.

Everything that happens is a line of JSON in the file SPACES_STAND_IN. While a file of that name with .refuse is there,
the service refuses.
"""
# ruff: noqa: E402

from __future__ import annotations

import sys

BEFORE = sorted({"torch", "gradio", "app.command_line"} & sys.modules.keys())

import inspect
import json
import multiprocessing
import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial, wraps
from pathlib import Path

import gradio as gr
import torch
from gradio.context import LocalContext

LOG = Path(os.environ["SPACES_STAND_IN"])
TOKEN = "x-ip-token"
FORKS = multiprocessing.get_context("fork")
registered: dict[object, object] = {}
forked = False

if torch.cuda.is_initialized():
    raise RuntimeError("CUDA has been initialized before importing the `spaces` package.")
torch.cuda.is_available = lambda: True


def said(event: str, **more: object) -> None:
    """Add a line to the file."""
    with LOG.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"event": event, "pid": os.getpid(), **more}) + "\n")


said("imported", before=BEFORE)


def GPU(task=None, *, duration=60):
    """Register a function; see the module."""
    if task is None:
        return partial(GPU, duration=duration)
    if task not in registered:
        wrapper = lent_steps if inspect.isgeneratorfunction(task) else lent
        registered[task] = wrapper(task, duration)
        said("registered", name=getattr(task, "__name__", ""))
    return registered[task]


def gradio_auto_wrap(task):
    """What Gradio calls for every handler of a page: all are lent a GPU where that is wanted."""
    wanted = os.environ.get("SPACES_GRADIO_AUTO_WRAP", "").lower() in ("1", "t", "true")
    return GPU(task) if wanted and callable(task) else task


def schedule(duration, given) -> None:
    """Ask the service for a GPU."""
    request = LocalContext.request.get(None)
    headers = request.headers if request is not None else {}
    seconds = duration(*given) if callable(duration) else duration
    said("asked", seconds=seconds, known=request is not None, token=headers.get(TOKEN))
    if LOG.with_name(f"{LOG.name}.refuse").exists():
        told = f"You have exceeded your free ZeroGPU quota ({seconds}s requested vs. 3s left). Try again in 1:02:03. "
        raise gr.Error(told, title="ZeroGPU quota exceeded", print_exception=False)


def failed(error: Exception):
    """An error as it goes to the server."""
    return ("error", error if isinstance(error, gr.Error) else None, type(error).__name__)


def run(task, given: bytes, results) -> None:
    """In the forked process: everything that a function returns or yields, pickled."""
    global forked
    forked = True
    said("running")

    def work() -> None:
        try:
            result = task(*pickle.loads(given))
            for value in result if inspect.isgenerator(result) else [result]:
                results.send_bytes(pickle.dumps(("value", value, "")))
        except BrokenPipeError:
            return  # the server does not want more
        except Exception as error:
            results.send_bytes(pickle.dumps(failed(error)))
        results.send_bytes(pickle.dumps(("end", None, "")))

    with ThreadPoolExecutor(1) as executor:
        executor.submit(copy_context().run, work).result()


def values_of(task, given):
    """In the server: what the forked process sends, until its end."""
    ours, its = FORKS.Pipe(duplex=False)
    process = FORKS.Process(target=run, args=(task, pickle.dumps(given), its), daemon=True)
    process.start()
    its.close()
    try:
        while True:
            try:
                kind, value, name = pickle.loads(ours.recv_bytes())
            except EOFError:
                raise gr.Error("GPU task aborted", title="ZeroGPU worker error", print_exception=False) from None
            if kind == "end":
                return
            if kind == "error":
                raise value or gr.Error(name, title="ZeroGPU worker error", print_exception=False)
            yield value
    finally:
        ours.close()
        process.join(10)


def lent_steps(task, duration):
    """A generator function that runs where the GPU is."""

    @wraps(task)
    def called(*given):
        if forked:
            yield from task(*given)
            return
        schedule(duration, given)
        yield from values_of(task, given)

    return called


def lent(task, duration):
    """A function that runs where the GPU is."""

    @wraps(task)
    def called(*given):
        if forked:
            return task(*given)
        schedule(duration, given)
        return next(values_of(task, given))

    return called


own_launch = gr.Blocks.launch


def launch(*arguments, **options):
    """The first launch: the service hears of the start."""
    gr.Blocks.launch = own_launch
    said("started", registered=len(registered))
    if not registered:
        sys.stderr.write("No @spaces.GPU function detected during startup\n")
        os._exit(1)
    return own_launch(*arguments, **options)


gr.Blocks.launch = launch
