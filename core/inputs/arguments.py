"""Command lines that say what is wrong in one line; imports nothing heavy, so that a mistake is told at once."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from dataclasses import fields
from typing import Any, NoReturn, TypeVar

from ..types import ArragError, ConfigError

AddArguments = Callable[[argparse.ArgumentParser], None]
"""Declares the arguments of a command."""

Settings = TypeVar("Settings")

Run = Callable[[argparse.Namespace], int]
"""Does what a command is for with its arguments; the exit status."""


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line and exits with status 2."""

    def error(self, message: str) -> NoReturn:
        """As argparse, without the usage text."""
        self.exit(2, f"error: {' '.join(message.split())}\n")


def program(description: str | None, add_arguments: AddArguments, run: Run) -> int:
    """A whole command line, of a module that is a program by itself; the exit status."""
    parser = Parser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    return finish(run, parser.parse_args())


def finish(run: Run, chosen: argparse.Namespace) -> int:
    """Run a command; 2, and one line on stderr, when it was interrupted or when the user can mend what went wrong."""
    try:
        return run(chosen)
    except ArragError as error:
        return _complain(str(error))
    except OSError as error:
        return _complain(f"{error.filename or 'file'}: {error.strerror or error}; check the path")
    except KeyboardInterrupt:
        return _complain("interrupted")


def _complain(message: str) -> int:
    sys.stderr.write("error: " + " ".join(message.split()) + "\n")
    return 2


def add_numbers(parser: argparse.ArgumentParser, kind: Any) -> None:
    """An option for each field of a dataclass of numbers, with the default of the field."""
    for field in fields(kind):
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=type(field.default), default=field.default)


def numbers(chosen: argparse.Namespace, kind: type[Settings]) -> Settings:
    """The dataclass of numbers that was chosen, see `add_numbers`."""
    names: Any = kind
    return kind(**{field.name: getattr(chosen, field.name) for field in fields(names)})


def at_least_one(text: str) -> int:
    """A number of things, for an argument without which there is nothing to do."""
    if not (text.isascii() and text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"got {text!r:.40}, expected a whole number from 1")
    return int(text)


def checked_page(page: str) -> str:
    """The address of a page without a slash at its end; ConfigError for anything but http."""
    if not re.fullmatch(r"https?://[\w.:\[\]~%-]+(/[\w.~%-]+)*/?", page, re.ASCII):
        raise ConfigError(f"--page: got {page!r:.100}, expected an address such as http://127.0.0.1:7860")
    return page.rstrip("/")
