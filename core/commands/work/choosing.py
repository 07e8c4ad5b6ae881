"""The model, the database and the settings that were chosen to draw with: checked, then loaded."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass

from ... import threads
from ...backends import EMBEDDED, Backend, check_blenders
from ...backends.facts import FACTS
from ...patches.catalogue import DATABASES, check_codebook, check_name, check_settings, find_database
from ...patches.protocol import Database
from ...types import DecodeSettings
from ..model import load_model
from ..settings import settings
from .progress import loading


@dataclass(frozen=True, slots=True)
class Chosen:
    """What pictures are drawn with; database: None where none is asked."""

    backend: Backend
    settings: DecodeSettings
    database: Database | None


def check(chosen: argparse.Namespace) -> None:
    """ConfigError for what cannot be drawn with, as far as that is known before anything is loaded."""
    facts = FACTS.get(chosen.backend)
    asked = settings(chosen, facts.defaults if facts else DecodeSettings())
    if asked.blends:
        check_blenders(chosen.backend, chosen.faid)
    if asked.retrieves:
        check_name(chosen.database)
        check_codebook(chosen.database, chosen.backend)
        check_settings(chosen.database, asked, None if chosen.neighbours is None else asked.n_neighbours)


def load(
    chosen: argparse.Namespace,
    check_model: Callable[[Backend], object] | None = None,
    retrieves: Callable[[Backend, DecodeSettings], bool] | None = None,
) -> Chosen:
    """Load it.

    check_model: what else has to hold of the model; retrieves: whether the database is needed, else the settings say.
    """
    certain = chosen.backend in EMBEDDED and chosen.database in DATABASES and not chosen.styles
    with loading(chosen.backend, certain):
        threads.pin(large=chosen.backend not in EMBEDDED)
        backend = load_model(chosen)
        asked = settings(chosen, backend.defaults)
        if check_model is not None:
            check_model(backend)
        needed = retrieves(backend, asked) if retrieves is not None else asked.retrieves
        database = find_database(chosen.database, backend) if needed else None
    return Chosen(backend, asked, database)
