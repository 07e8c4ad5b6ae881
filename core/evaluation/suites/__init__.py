"""All suites, by the word that `evaluate run` takes. A new one is a file beside this one and a line here."""

from __future__ import annotations

from collections.abc import Mapping

SUITES: Mapping[str, str] = {
    "generation": "generation",
    "copying": "copying",
    "retrieval": "retrieval",
    "likelihood": "likelihood",
    "swap": "swap",
    "latency": "latency",
    "geneval": "geneval",
    "dpg": "dpg",
    "fid30k": "fid30k",
}
"""Modules of this package with a `SUITE`, see `core.evaluation.suite.Suite`; imported when they are chosen."""
