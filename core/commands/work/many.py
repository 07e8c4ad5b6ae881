"""Draw the pictures of many prompts with one loaded model, in batches, and go on where an earlier start ended.

A picture is written after its trace, and says itself how it was made: one that is there and says what is asked for is
not drawn again.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Final

from tqdm import tqdm

from ... import locks
from ...backends import Backend
from ...backends.complete import prompt_limit
from ...engine import Request, decode_together
from ...inputs.arguments import checked_page
from ...inputs.prompt_file import Asked, PromptFile, PromptText, Skipped, prompts_of, read_text
from ...patches.files import json_bytes, replace_file
from ...picture_file import About, about, picture_of, read, write
from ...trace import Trace
from ...types import ConfigError, DecodeSettings
from .choosing import Chosen, check, load
from .prompt_page import Shown, page_of

RECORD: Final = "drawn-with.json"
INDEX: Final = "index.html"
SLUG: Final = 40
INTERRUPTED: Final = 130


@dataclass(frozen=True, slots=True)
class Wanted:
    """A picture to draw, and the beginning of the names of its files."""

    name: str
    line: int
    prompt: str
    settings: DecodeSettings


@dataclass(slots=True)
class Drawn:
    """How far it is: what is there, by name, how much of it was drawn now, and what cannot be drawn."""

    there: dict[str, About] = field(default_factory=dict)
    now: int = 0
    skipped: list[Skipped] = field(default_factory=list)


def run(chosen: argparse.Namespace) -> int:
    """See `core.commands.generate` for what is chosen."""
    begin = time.perf_counter()
    if chosen.prompt is not None or chosen.trace is not None or chosen.inside:
        raise ConfigError(
            "--prompts: got a prompt, --trace or --inside beside it, expected neither; traces are written"
        )
    if chosen.out is None:
        raise ConfigError("--out: got none, expected the folder that pictures go to; name one")
    page, text = checked_page(chosen.page), read_text(chosen.prompts)
    check(chosen)
    loaded = load(chosen, retrieves=lambda backend, asked: _retrieves(text, backend, asked))
    file = prompts_of(text, loaded.settings, prompt_limit(loaded.backend))
    wanted = [one for asked in file.asked for one in _wanted(asked, chosen.count)]
    drawn, status = Drawn(skipped=list(file.skipped)), 0
    chosen.out.mkdir(parents=True, exist_ok=True)
    message = f"--out: {str(chosen.out)!r:.200} is being drawn to by another process; wait for it, or end it"
    with locks.locked(chosen.out / ".lock", message):
        _record(chosen, loaded)
        try:
            _draw(wanted, chosen, loaded, drawn)
        except KeyboardInterrupt:
            status = INTERRUPTED
            print("error: interrupted; what is drawn is kept, and the same command goes on", file=sys.stderr)
        finally:
            shown = [Shown(one.line, one.name, drawn.there[one.name]) for one in wanted if one.name in drawn.there]
            data = page_of(shown, page).encode()
            replace_file(chosen.out / INDEX, lambda opened: opened.write(data))
    _tell(file, drawn)
    print(json.dumps(_report(chosen.out, drawn, time.perf_counter() - begin)))
    return status


def _retrieves(text: PromptText, backend: Backend, settings: DecodeSettings) -> bool:
    """Whether a picture of a file asks a database."""
    return any(one.settings.retrieves for one in prompts_of(text, settings, prompt_limit(backend)).asked)


def _wanted(asked: Asked, count: int) -> Iterator[Wanted]:
    """The pictures of a line."""
    slug = re.sub("[^a-z0-9]+", "-", asked.prompt.lower())[:SLUG].strip("-") or "picture"
    for n in range(count):
        seed = (asked.settings.seed + n) % 2**32
        settings = replace(asked.settings, seed=seed)
        yield Wanted(f"{asked.line:05}-{slug}-seed{seed}", asked.line, asked.prompt, settings)


def _record(chosen: argparse.Namespace, loaded: Chosen) -> None:
    """Note what a folder is drawn with; ConfigError where that is something else, or the folder somebody else's."""
    model, database = loaded.backend, loaded.database
    made = {
        "backend": chosen.backend,
        "model": model.fingerprint,
        "faid": model.faid or "",
        "codebook": model.codebook.fingerprint,
        "database": chosen.database if database is not None else "",
        "entries": database.fingerprint if database is not None else "",
    }
    path, where = chosen.out / RECORD, f"{str(chosen.out)!r:.200}"
    if not path.exists():
        others = sorted(other.name for other in chosen.out.iterdir() if not other.name.startswith("."))
        if others:
            got = f"got {where}, which holds {', '.join(others):.80} and no {RECORD}"
            raise ConfigError(f"--out: {got}; expected a new or empty folder, or one that was drawn to")
        replace_file(path, lambda file: file.write(json_bytes(made)))
        return
    try:
        before = json.loads(path.read_bytes())
    except ValueError:
        before = None
    if not isinstance(before, dict):
        raise ConfigError(f"{path}: got something else, expected it as it was written; take another folder")
    for name, value in made.items():
        if before.get(name) != value:
            got = f"{where} was drawn to with {name} {before.get(name)!r:.60}, got {value!r:.60}"
            raise ConfigError(f"--out: {got}; give the same, or another folder")


def _draw(wanted: Sequence[Wanted], chosen: argparse.Namespace, loaded: Chosen, drawn: Drawn) -> None:
    """Draw what is not there yet, some pictures at once; what fails alone is left out and told."""
    missing = []
    for one in wanted:
        said = _there(chosen, one)
        if said is None:
            missing.append(one)
        else:
            drawn.there[one.name] = said
    with tqdm(total=len(wanted), initial=len(drawn.there), unit="picture", desc="generate") as bar:
        for batch in _batches(missing, chosen.batch):
            try:
                _draw_together(batch, chosen, loaded, drawn)
            except ConfigError:  # of one of them, perhaps
                for one in batch:
                    _draw_alone(one, chosen, loaded, drawn)
            bar.update(len(batch))


def _there(chosen: argparse.Namespace, one: Wanted) -> About | None:
    """What a picture that is there says of itself; None where it has to be drawn, ConfigError for another one."""
    path: Path = chosen.out / f"{one.name}.png"
    if not path.exists():
        return None
    said = read(path)
    if (said.prompt, said.settings, said.model) != (one.prompt, one.settings, chosen.backend):
        got = f"got {path.name} of another prompt, or of other settings, in {str(chosen.out)!r:.200}"
        raise ConfigError(f"--out: {got}; give the same, or another folder")
    return said


def _batches(wanted: Iterable[Wanted], most: int) -> Iterator[list[Wanted]]:
    """Them, in groups."""
    left = iter(wanted)
    while batch := list(islice(left, most)):
        yield batch


def _draw_together(batch: Sequence[Wanted], chosen: argparse.Namespace, loaded: Chosen, drawn: Drawn) -> None:
    """Draw some pictures at once, and write them."""
    requests = [Request(loaded.backend, loaded.database, one.prompt, one.settings) for one in batch]
    with contextlib.closing(decode_together(requests)) as steps:
        columns = list(zip(*steps, strict=True))
    for one, records in zip(batch, columns, strict=True):
        trace = Trace.record(loaded.backend, loaded.database, one.prompt, one.settings, records)
        said = about(trace, chosen.database, chosen.backend)
        picture = picture_of(loaded.backend, trace)
        trace.save(chosen.out / f"{one.name}.npz")
        replace_file(chosen.out / f"{one.name}.png", lambda file: write(picture, file, "PNG", said))  # noqa: B023
        drawn.there[one.name] = said
        drawn.now += 1


def _draw_alone(one: Wanted, chosen: argparse.Namespace, loaded: Chosen, drawn: Drawn) -> None:
    """Draw one picture, unless that is what cannot be."""
    try:
        _draw_together([one], chosen, loaded, drawn)
    except ConfigError as error:
        drawn.skipped.append(Skipped(one.line, str(error)))


def _tell(file: PromptFile, drawn: Drawn) -> None:
    """Say what was left out."""
    if file.unknown:
        print(f"note: columns that say nothing here: {', '.join(file.unknown)}", file=sys.stderr)
    for line, reason in sorted({(one.line, one.reason) for one in drawn.skipped}):
        print(f"note: line {line} is left out: {reason}", file=sys.stderr)


def _report(out: Path, drawn: Drawn, seconds: float) -> dict[str, object]:
    return {
        "out": str(out),
        "page": str(out / INDEX),
        "pictures": len(drawn.there),
        "drawn": drawn.now,
        "skipped_lines": sorted({one.line for one in drawn.skipped}),
        "seconds": round(seconds, 3),
    }
