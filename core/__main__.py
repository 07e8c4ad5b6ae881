"""Command line: `python -m core generate "a red heart, 3d style"`, `database`, `bench`; see `--help` of each."""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from core import threads
from core.arguments import Parser
from core.backends import BACKENDS, Backend, ModelSource, load_backend
from core.catalogue import DATABASES, find_database
from core.collect import collect
from core.context import Context
from core.database import PatchDatabase
from core.engine import decode
from core.evaluation import bench
from core.prompt import clean_prompt
from core.released import ReleasedDatabase
from core.trace import Trace
from core.types import MEANINGS, ArragError, ConfigError, DecodeSettings

IMAGE_SUFFIXES = (".png", ".webp", ".jpg")
HELP = {**MEANINGS, "neighbours": MEANINGS["n_neighbours"]}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 when it worked, 2 and one line on stderr when the user can mend it."""
    parser = Parser(prog="python -m core", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, parser_class=Parser)
    _add_generate(commands.add_parser("generate", help="draw one picture"))
    _add_database(commands.add_parser("database", help="build or describe a patch database"))
    bench.add_arguments(commands.add_parser("bench", help="measure speed, loss and sizes on this machine"))
    chosen = parser.parse_args(prompt_behind(sys.argv[1:] if arguments is None else arguments))
    try:
        threads.pin()
        result: int = chosen.run(chosen)
    except ArragError as error:
        return _complain(str(error))
    except OSError as error:
        return _complain(f"{error.filename or 'file'}: {error.strerror or error}; check the path")
    except KeyboardInterrupt:
        return _complain("interrupted")
    return result


def prompt_behind(arguments: Sequence[str]) -> list[str]:
    """The arguments of `generate` with a prompt like "-heart" behind "--", where argparse takes it for no option."""
    given, flags = list(arguments), {f"--{name.replace('_', '-')}" for name, default in _options() if default is False}
    if given[:1] != ["generate"] or "--" in given:
        return given
    takes_next = [text.startswith("--") and "=" not in text and text not in flags for text in given]
    prompts = [
        place for place, text in enumerate(given)
        if re.match("-[^-]", text) and text not in ("-h", "-help") and not takes_next[place - 1]
    ]  # fmt: skip
    others = [text for place, text in enumerate(given) if place not in prompts]
    return [*others, "--", *(given[place] for place in prompts)] if prompts else given


def _complain(message: str) -> int:
    print("error: " + " ".join(message.split()), file=sys.stderr)
    return 2


def _add_generate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("prompt", help="what to draw; one that begins with two hyphens stands behind --")
    _add_backend(parser)
    parser.add_argument("--database", default="emoji", help=f"{' | '.join(DATABASES)}, or a folder")
    for name, default in _options():
        if isinstance(default, bool):
            parser.add_argument(f"--{name.replace('_', '-')}", action="store_true", help=HELP[name])
            continue
        shown = ",".join(default) if isinstance(default, tuple) else default
        parser.add_argument(f"--{name.replace('_', '-')}", default=default, help=f"{HELP[name]} (default: {shown})")
    parser.add_argument("--out", type=Path, default=Path("out.png"), help="picture to write")
    parser.add_argument("--trace", type=Path, help="trace to write, .npz")
    parser.set_defaults(run=_generate)


def _add_backend(parser: argparse.ArgumentParser) -> None:
    """Options that choose a model; see ModelSource."""
    source = ModelSource()
    parser.add_argument("--backend", default="emoji", help=f"one of {', '.join(BACKENDS)}")
    parser.add_argument("--model", default=source.model, help="janus: folder or hub repository (default: Janus-Pro-1B)")
    parser.add_argument("--faid", default=source.faid, help="janus: folder or hub repository of released FAiD weights")
    parser.add_argument("--device", default=source.device, help="janus: auto | cpu | cuda | mps (default: auto)")
    parser.add_argument("--dtype", default=source.dtype, help="janus: auto | float32 | bfloat16 | float16")


def _backend(chosen: argparse.Namespace) -> Backend:
    """The model that was chosen, loaded."""
    return load_backend(chosen.backend, ModelSource(chosen.model, chosen.faid, chosen.device, chosen.dtype))


def _options() -> list[tuple[str, Any]]:
    """Names and defaults of the settings on the command line."""
    defaults = DecodeSettings()
    return [("neighbours" if f.name == "n_neighbours" else f.name, getattr(defaults, f.name)) for f in fields(defaults)]


def _settings(chosen: argparse.Namespace) -> DecodeSettings:
    """The settings; a text that is no number is left as it is, so that the check names what is allowed."""
    values: dict[str, Any] = {}
    for name, default in _options():
        given = getattr(chosen, name)
        if isinstance(default, tuple):
            given = tuple(filter(None, (s.strip() for s in given.split(",")))) if isinstance(given, str) else given
        elif isinstance(given, str) and not isinstance(default, str):
            with contextlib.suppress(ValueError):
                given = type(default)(given)
        values["n_neighbours" if name == "neighbours" else name] = given
    return DecodeSettings(**values)


def _generate(chosen: argparse.Namespace) -> int:
    prompt, settings = clean_prompt(chosen.prompt), _settings(chosen)
    for path, suffixes in ((chosen.out, IMAGE_SUFFIXES), (chosen.trace, (".npz",))):
        _check_output(path, suffixes)
    backend = _backend(chosen)
    database = find_database(chosen.database, backend) if settings.retrieves else None
    begin = time.perf_counter()
    steps = decode(backend, database, [prompt], settings)
    records = [step[0] for step in tqdm(steps, total=backend.grid.positions, unit="patch", desc="generate")]
    seconds = time.perf_counter() - begin
    trace = Trace.record(backend, database, prompt, settings, records)
    if trace.unfiltered:
        print(f"note: {trace.unfiltered}: the caption filter is skipped", file=sys.stderr)
    codes = trace.codes.astype("<u2")
    pictures = backend.decode_codes(codes.reshape(1, backend.grid.height, backend.grid.width))
    with _writing(chosen.out):
        Image.fromarray(pictures[0]).save(chosen.out)
    if chosen.trace:
        with _writing(chosen.trace):
            trace.save(chosen.trace)
    report = {
        "image": str(chosen.out),
        "trace": str(chosen.trace) if chosen.trace else None,
        "codes_sha256": trace.codes_sha256,
        "positions": len(records),
        "retrieving_positions": trace.retrieving_positions,
        "flips": len(trace.flips()) if trace.flips_known else None,
        "seconds": round(seconds, 3),
        "retrieval_seconds": round(trace.seconds.search, 3),
    }
    print(json.dumps(report))
    return 0


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    """ConfigError that names the file when it cannot be written after all, as on a full disk."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(f"output file: {path} cannot be written ({reason}); make room, or choose another") from None


def _check_output(path: Path | None, suffixes: tuple[str, ...]) -> None:
    """Raise ConfigError before any work when a result could not be written."""
    if path is None:
        return
    if path.suffix.lower() not in suffixes:
        raise ConfigError(f"output file: got {str(path)!r}, expected a name that ends in {' or '.join(suffixes)}")
    if not path.parent.is_dir():
        raise ConfigError(f"output file: got {str(path)!r}, but there is no folder {str(path.parent)!r}; make it first")
    if path.is_dir():
        raise ConfigError(f"output file: got {str(path)!r}, which is a folder; add the name of a file")
    try:
        with path.open("ab") if path.exists() else TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise ConfigError(
            f"output file: got {str(path)!r}, which cannot be written ({error.strerror}); choose another"
        ) from None


def _check_output_folder(path: Path) -> None:
    """Raise ConfigError before any work when a database could not be written to a folder, which need not be there."""
    there = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    try:
        with TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise ConfigError(f"out: got {str(path)!r}, but {there} cannot be written ({error.strerror})") from None


def _add_database(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("info", "build"), help="info: what one holds; build: one from pictures")
    parser.add_argument("--database", default="emoji", help=f"info: {' | '.join(DATABASES)}, or a folder")
    parser.add_argument("--images", type=Path, help="build: folder of pictures, with captions in NAME.txt if there are")
    parser.add_argument("--out", type=Path, help="build: folder to write")
    parser.add_argument("--radius", type=int, default=1, help="build: context of 4 codes (1) or of 12 (2)")
    parser.add_argument("--border", default="skip", help="build: skip | zero, for positions at the edge")
    _add_backend(parser)
    parser.set_defaults(run=_database)


def _database(chosen: argparse.Namespace) -> int:
    if chosen.action == "info":
        found = find_database(chosen.database, _backend(chosen))
        print(json.dumps(_info(found) if isinstance(found, PatchDatabase) else _released_info(found)))
        return 0
    for name, given in (("images", chosen.images), ("out", chosen.out)):
        if given is None:
            raise ConfigError(f"{name}: got nothing, expected a folder; give --{name}")
    context = Context(chosen.radius, chosen.border)
    _check_output_folder(chosen.out)
    made = collect(_backend(chosen), chosen.images, context, lambda p: tqdm(p, unit="picture", desc="encode"))
    made.save(chosen.out)
    print(json.dumps({"out": str(chosen.out), **_info(made)}))
    return 0


def _info(database: PatchDatabase) -> dict[str, Any]:
    """What a patch database holds."""
    styles = {s: int(np.sum([i.style == s for i in database.metadata])) for s in database.styles}
    return {
        "images": len(database.images), "entries": len(database), "unique_contexts": database.unique_contexts,
        "styles": styles, "context_radius": database.context.radius, "border": database.context.border,
        "index": database.index_kind, "fingerprint": database.fingerprint,
    }  # fmt: skip


def _released_info(database: ReleasedDatabase) -> dict[str, Any]:
    """What a released database holds; recall only where the token grids are beside it."""
    neighbours = DecodeSettings().n_neighbours
    return {
        "images": len(database.images), "entries": len(database), "index": "approximate", "lists": database.lists,
        f"recall_at_{neighbours}": database.recall(neighbours), "notice": database.notice,
        "fingerprint": database.fingerprint,
    }  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(main())
