"""Command lines that say what is wrong in one line; imports nothing heavy, so that a mistake is told at once."""

from __future__ import annotations

import argparse
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line and exits with status 2."""

    def error(self, message: str) -> NoReturn:
        """As argparse, without the usage text."""
        self.exit(2, f"error: {' '.join(message.split())}\n")
