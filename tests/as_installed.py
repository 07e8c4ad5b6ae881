"""The checkout's `core` under the name that it has when installed, for examples that say `from arrag import ...`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

INSTALLED, HERE = "arrag", "core"


class Renamed(MetaPathFinder, Loader):
    """Finds arrag.x as core.x: the same module, so that classes and errors are the same ones."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(name, self) if name.split(".")[0] == INSTALLED else None

    def exec_module(self, module: ModuleType) -> None:
        sys.modules[module.__name__] = importlib.import_module(HERE + module.__name__.removeprefix(INSTALLED))


def rename() -> None:
    """Let `import arrag` be found from now on."""
    if not any(isinstance(finder, Renamed) for finder in sys.meta_path):
        sys.meta_path.insert(0, Renamed())
