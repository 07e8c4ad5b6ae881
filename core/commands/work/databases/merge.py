"""Make one database of several."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from typing import Any

from tqdm import tqdm

from ....context import Context
from ....patches.tending.merge import merge
from ....types import ConfigError
from .opening import opened


def run(chosen: argparse.Namespace) -> int:
    """See `core.commands.databases.merge` for what is chosen."""
    if chosen.out.exists() and (not chosen.out.is_dir() or any(chosen.out.iterdir())):
        raise ConfigError(f"out: got {str(chosen.out)!r}, which holds something, expected a new or empty folder")
    context = context_of(chosen.radius, chosen.border)
    databases = [opened(name, chosen) for name in chosen.databases]
    made = merge(databases, chosen.out, context, chosen.index, lambda p: tqdm(p, unit="block", desc="merge"))
    for what in made.lost:
        sys.stderr.write(f"left out: {what}\n")
    found = asdict(made) | {"duplicates": dict(zip(chosen.databases, made.duplicates, strict=True))}
    print(json.dumps({"out": str(chosen.out), **found}))
    return 0


def context_of(radius: Any, border: Any) -> Context | None:
    """The context that was asked for; None for none. ConfigError for one that there is not."""
    if radius is None and border is None:
        return None
    usual = Context()
    return Context(usual.radius if radius is None else radius, usual.border if border is None else border)
