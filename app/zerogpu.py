"""Hugging Face's ZeroGPU: a GPU is lent to a function while it runs. Elsewhere all of this does nothing.

The function runs in another process, so what goes in and out must survive pickling, and the rest of the server must not
touch the GPU: pictures are made on the CPU there (`lent_source`). How much a visitor may use of it follows from the
request that a call belongs to, which `spaces` finds in the context that Gradio calls handlers in: a thread of one's own
needs a copy of it.
"""

from __future__ import annotations

import importlib
import inspect
import os
import re
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any, Final, TypeVar

import gradio as gr

from app.lender import is_lent
from core.backends import ModelSource
from core.types import ArragError, ConfigError

Function = TypeVar("Function", bound=Callable[..., Any])

SECONDS_A_POSITION: Final = 0.06
SECONDS_AROUND: Final = 15
"""What is asked for before anything was measured: a bound for 7B with guidance and blenders; and the time to get
started."""

LONGEST: Final = 120
MEASURED, MARGIN = 8, 1.5
"""How many of the last calls say how long a position takes, and by how much more is asked for than the slowest took."""

_LINK: Final = re.compile(r"\[([^\]]*)\]\((https?://[^)\s]*)\)")


class NoGpu(ArragError):
    """What the service says where it lends no GPU, or takes it back, as a visitor reads it."""


def lent_source(source: ModelSource, environment: Mapping[str, str] = os.environ) -> ModelSource:
    """The source of a model that draws where a GPU is lent; elsewhere as it is.

    What was left to be chosen is CUDA in bfloat16, as the GPUs that ZeroGPU lends take it and the server, which has
    none, cannot ask them; and passes are launched plainly, as recording them was not tried there. Pictures are encoded
    and decoded on the CPU, in the server.
    """
    if not is_lent(environment):
        return source
    device = "cuda" if source.device == "auto" else source.device
    dtype = "bfloat16" if source.dtype == "auto" and device == "cuda" else source.dtype
    launch = "plain" if source.launch == "auto" else source.launch
    return replace(source, device=device, dtype=dtype, pixels_device="cpu", launch=launch)


def prepare() -> None:
    """Let `spaces` take its place, before the page is launched; app.py has imported it before anything else.

    A Space without any function that a GPU is lent to is ended at its start. Here is one, which nobody calls, for
    models that need none. Raises ConfigError where `spaces` is missing or comes too late.
    """
    if is_lent():
        _spaces().GPU(duration=1)(unused)


def unused() -> None:
    """Does nothing, and is called by nobody; see `prepare`."""


def _spaces() -> Any:
    try:
        return importlib.import_module("spaces")
    except ModuleNotFoundError:
        raise ConfigError("SPACES_ZERO_GPU: got a value without the package spaces; run pip install spaces") from None
    except Exception as error:  # it checks its surroundings by errors of many kinds
        raise ConfigError(f"spaces: {type(error).__name__}: {' '.join(str(error).split())[:200]}") from None


# ---------------------------------------------------------------------------------------------------------------------
# Calls


def with_gpu(function: Function, positions: Callable[..., int]) -> Function:
    """The function, or generator function, with a GPU lent to each call for as long as its positions take.

    positions: how many there are, from the arguments of a call; a generator yields some of them at a time, in a
    sequence. What goes wrong over there comes back as the error that it is, and what the service says as NoGpu.
    """
    if not is_lent():
        return function
    pace, steps = Pace(), inspect.isgeneratorfunction(function)
    there: Any = _told_steps(function) if steps else _told(function)
    lent = _spaces().GPU(duration=lambda *given: seconds_for(positions(*given), pace.seconds))(there)
    heard: Any = _heard_steps(lent, pace) if steps else _heard(lent, positions, pace)
    return heard  # type: ignore[no-any-return]


def seconds_for(positions: int, each: float = SECONDS_A_POSITION) -> int:
    """How long a GPU is asked for to draw that many positions."""
    return min(LONGEST, round(SECONDS_AROUND + each * positions))


class Pace:
    """How long a position takes, by the last calls."""

    def __init__(self) -> None:
        self._measured: deque[float] = deque(maxlen=MEASURED)

    @property
    def seconds(self) -> float:
        """To ask for, a position."""
        return MARGIN * max(self._measured) if self._measured else SECONDS_A_POSITION

    def took(self, seconds: float, positions: int) -> None:
        """So long did that many positions take."""
        if positions > 0:
            self._measured.append(seconds / positions)


@dataclass(frozen=True, slots=True)
class _Failed:
    """An error of ours, on its way back: of an exception, `spaces` tells the server the name of its class alone."""

    error: ArragError


def _told_steps(function: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
    """What runs where the GPU is, of a generator function."""

    @wraps(function)
    def there(*given: Any) -> Iterator[Any]:
        try:
            yield from function(*given)
        except ArragError as error:
            yield _Failed(error)

    return there


def _told(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same of another function."""

    @wraps(function)
    def there(*given: Any) -> Any:
        try:
            return function(*given)
        except ArragError as error:
            return _Failed(error)

    return there


def _heard_steps(lent: Callable[..., Any], pace: Pace) -> Callable[..., Iterator[Any]]:
    """What the server calls, of a generator function; it need not be asked to its end."""

    def here(*given: Any) -> Iterator[Any]:
        begun, done = 0.0, 0
        try:
            with closing(lent(*given)) as steps:
                for step in steps:
                    _unfailed(step)
                    done += len(step) if begun else 0
                    begun = begun or time.perf_counter()
                    yield step
        except Exception as error:
            raise _said(error) from None
        finally:
            pace.took(time.perf_counter() - begun, done)

    return here


def _heard(lent: Callable[..., Any], positions: Callable[..., int], pace: Pace) -> Callable[..., Any]:
    """The same of another function."""

    def here(*given: Any) -> Any:
        begun = time.perf_counter()
        try:
            result = _unfailed(lent(*given))
        except Exception as error:
            raise _said(error) from None
        pace.took(time.perf_counter() - begun, positions(*given))
        return result

    return here


def _unfailed(value: Any) -> Any:
    """What came back; an error is raised."""
    if isinstance(value, _Failed):
        raise value.error
    return value


def _said(error: Exception) -> Exception:
    """What the service says as one of our errors, in plain text; other errors as they are."""
    if not isinstance(error, gr.Error):
        return error
    said = _LINK.sub(r"\1 (\2)", " ".join(str(part) for part in (f"{error.title}:", error.message)))
    return NoGpu(" ".join(said.split()))
