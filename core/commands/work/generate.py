"""Draw one picture, write it and its trace, and report."""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from ...analysis.inside import kept_small, look_inside
from ...backends import EMBEDDED, Backend
from ...backends.complete import inspecting
from ...backends.facts import FACTS
from ...backends.speed import measure
from ...engine import decode
from ...inputs.prompt import ANY_LIMIT, clean_prompt
from ...patches.protocol import Database
from ...picture_file import FORMATS, about, picture_of, save
from ...trace import Trace
from ...types import ConfigError, DecodeSettings
from . import many
from .choosing import check, load
from .output import check_output, writing


def run(chosen: argparse.Namespace) -> int:
    """See `core.commands.generate` for what is chosen."""
    if chosen.prompts is not None:
        return many.run(chosen)
    facts = FACTS.get(chosen.backend)  # mistakes are told before loading, as far as the model is known then
    if chosen.prompt is None:
        raise ConfigError("prompt: got none, expected what to draw, such as 'a red heart', or --prompts with a file")
    prompt = clean_prompt(chosen.prompt, facts.prompt if facts else ANY_LIMIT)
    chosen.out = chosen.out or Path("out.png")
    check_output(chosen.out, tuple(FORMATS))
    check_output(chosen.trace, (".npz",))
    if chosen.inside and not chosen.trace:
        raise ConfigError("--inside: got no --trace to keep it in, expected one; name a file for it")
    check(chosen)
    loaded = load(chosen, inspecting if chosen.inside else None)  # which says what is missing before it draws
    backend, database, asked = loaded.backend, loaded.database, loaded.settings
    _announce(backend, chosen.backend, prompt)
    begin = time.perf_counter()
    trace = _drawn(backend, database, prompt, asked)
    seconds = time.perf_counter() - begin
    if chosen.inside:
        trace = replace(trace, inside=kept_small(look_inside(backend, trace)))
    if trace.unfiltered:
        print(f"note: {trace.unfiltered}: the caption filter is skipped", file=sys.stderr)
    if trace.incomplete:
        count = len(trace.incomplete)
        print(f"note: part of the database did not answer at {count} position{'s' * (count > 1)}", file=sys.stderr)
    _write(backend, trace, chosen)
    print(json.dumps(_report(trace, chosen.out, chosen.trace, seconds)))
    return 0


def _announce(backend: Backend, name: str, prompt: str) -> None:
    """Say on stderr how long a picture of a prompt takes, where that is long; those that ship are fast everywhere."""
    if name not in EMBEDDED and (speed := measure(backend, prompt)).is_slow(backend.grid):
        print(f"note: {speed.told(backend.grid)}", file=sys.stderr)


def _drawn(backend: Backend, database: Database | None, prompt: str, settings: DecodeSettings) -> Trace:
    """The trace of a new picture."""
    steps = decode(backend, database, [prompt], settings)
    records = [step[0] for step in tqdm(steps, total=backend.grid.positions, unit="patch", desc="generate")]
    return Trace.record(backend, database, prompt, settings, records)


def _write(backend: Backend, trace: Trace, chosen: argparse.Namespace) -> None:
    """Write the picture and, if it is asked for, the trace."""
    picture = picture_of(backend, trace)
    with writing(chosen.out):
        save(picture, chosen.out, about(trace, chosen.database, chosen.backend))
    if chosen.trace:
        with writing(chosen.trace):
            trace.save(chosen.trace)


def _report(trace: Trace, picture: Path, record: Path | None, seconds: float) -> dict[str, object]:
    return {
        "image": str(picture),
        "trace": str(record) if record else None,
        "codes_sha256": trace.codes_sha256,
        "positions": len(trace.steps),
        "retrieving_positions": trace.retrieving_positions,
        "flips": len(trace.flips()) if trace.flips_known else None,
        "seconds": round(seconds, 3),
        "retrieval_seconds": round(trace.seconds.search, 3),
    }
