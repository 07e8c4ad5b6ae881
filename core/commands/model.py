"""The options that choose a model and a database, which several commands have."""

from __future__ import annotations

import argparse

from ..backends import BACKENDS, Backend, ModelSource, load_backend

DATABASES = "emoji | seen | unseen, a folder, hf:OWNER/NAME, or an address (http://HOST:PORT, ray://NAME)"


def add_database(parser: argparse.ArgumentParser) -> None:
    """The database that something is done with: by itself, or behind --database."""
    parser.set_defaults(database="emoji")
    parser.add_argument("database", nargs="?", default=argparse.SUPPRESS, help=f"{DATABASES} (default: emoji)")
    parser.add_argument("--database", default=argparse.SUPPRESS, help="the same")


def add_model(parser: argparse.ArgumentParser) -> None:
    """Options that choose a model; see ModelSource."""
    source = ModelSource()
    parser.add_argument("--backend", default="emoji", help=f"{' | '.join(BACKENDS)}, or package.module:function")
    parser.add_argument(
        "--model", default=source.model,
        help="janus: folder or hub repository, with @REVISION if need be (default: deepseek-community/Janus-Pro-1B)",
    )  # fmt: skip
    parser.add_argument("--faid", default=source.faid, help="janus: folder or hub repository of released FAiD weights")
    parser.add_argument("--device", default=source.device, help="janus: auto | cpu | cuda | mps (default: auto)")
    parser.add_argument("--dtype", default=source.dtype, help="janus: auto | float32 | bfloat16 | float16")
    parser.add_argument(
        "--launch", default=source.launch,
        help="janus, how a pass is launched: auto | plain | captured (a CUDA graph) | compiled (default: auto)",
    )  # fmt: skip


def load_model(chosen: argparse.Namespace) -> Backend:
    """The model that was chosen, loaded."""
    source = ModelSource(chosen.model, chosen.faid, chosen.device, chosen.dtype, launch=chosen.launch)
    return load_backend(chosen.backend, source)
