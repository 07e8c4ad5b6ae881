"""Tell how a saved picture was made, and draw it again."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ... import threads
from ...backends import EMBEDDED, load_backend
from ...engine import generate
from ...patches.catalogue import find_database
from ...picture_file import About, read
from ...types import ConfigError
from .output import check_output, writing
from .progress import loading


def run(chosen: argparse.Namespace) -> int:
    """See `core.commands.trace` for what is chosen."""
    said = read(chosen.file)
    again = {} if chosen.trace is None else _drawn_again(said, chosen.trace)
    print(json.dumps({**asdict(said), "link": said.link, **again}))
    return 0


def _drawn_again(said: About, path: Path) -> dict[str, Any]:
    """Draw a picture as it says that it was made, write the trace, and tell whether the same codes came out."""
    if said.note:
        raise ConfigError(f"picture: cannot be drawn again from what it says ({said.note})")
    check_output(path, (".npz",))
    with loading(said.model):
        threads.pin(large=said.model not in EMBEDDED)
        backend = load_backend(said.model)
        database = find_database(said.database, backend) if said.settings.retrieves else None
    trace = generate(backend, database, said.prompt, said.settings)
    with writing(path):
        trace.save(path)
    return {"trace": str(path), "same_codes": trace.codes_sha256 == said.codes_sha256}
