"""What a command is: a word, what may be said behind it, and what is then done."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from importlib import import_module

from ..inputs.arguments import AddArguments, Run
from ..types import ConfigError


@dataclass(frozen=True, slots=True)
class Command:
    """One word of the command line.

    add_arguments is called at every start, whatever the command is, and so imports nothing heavy; run imports what it
    needs when it is called.
    """

    name: str
    help: str
    add_arguments: AddArguments
    run: Run


def later(module: str) -> Run:
    """The function `run` of a module, ".work.generate" for one of this package, imported only when it is called."""

    def run(chosen: argparse.Namespace) -> int:
        try:
            found = import_module(module, __package__)
        except ModuleNotFoundError as error:
            if error.name is None or error.name.split(".")[0] == __name__.split(".")[0]:
                raise
            remedy = "install the requirements file that names it (transformers needs Python 3.11)"
            raise ConfigError(f"got no Python package {error.name!r}, expected it; {remedy}") from None
        status: int = found.run(chosen)
        return status

    return run
