"""The model that was chosen, loaded, and the processor set up for it."""

from __future__ import annotations

import argparse

from ... import threads
from ...backends import EMBEDDED, Backend
from ..model import load_model
from .progress import loading


def loaded(chosen: argparse.Namespace) -> Backend:
    """See `core.commands.model` for what is chosen."""
    with loading(chosen.backend):
        threads.pin(large=chosen.backend not in EMBEDDED)
        return load_model(chosen)
