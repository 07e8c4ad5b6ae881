"""How far a run is, as a line on stderr."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any

from tqdm import tqdm


class Bar:
    """A bar with rate and time left, which begins when it is known how many items there are."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._bar: tqdm[Any] | None = None

    def begin(self, items: int, done: int) -> None:
        """See `core.evaluation.harness.Progress`."""
        if self._bar is None:
            self._bar = tqdm(total=items, initial=done, unit="item", desc=self._name)
            return
        self._bar.total, self._bar.n = items, done
        self._bar.refresh()

    def step(self) -> None:
        """See `core.evaluation.harness.Progress`."""
        if self._bar is not None:
            self._bar.update()

    def tell(self, message: str) -> None:
        """See `core.evaluation.harness.Progress`."""
        tqdm.write(f"note: {message}", file=sys.stderr)

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.close()
