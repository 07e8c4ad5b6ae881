"""Models that judge, from folders of the user's: safetensors alone, nothing is downloaded or unpickled."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..types import CheckpointError, ConfigError

INSTALL = "run pip install -r requirements-janus.txt, on Python 3.11 or later"


def judge_at(place: str, option: str, members: Sequence[str], ours: str) -> Any:
    """What judges, from a folder of transformers' or by what "package.module:function" makes without arguments.

    members: what it has to have; ours: module and class, relative to this package, that load it from a folder. Raises
    ConfigError for a function that fails, CheckpointError for a folder that cannot be read.
    """
    if not re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", place) or Path(place).exists():
        check_transformers(option)
        module, _, name = ours.partition(":")
        return getattr(import_module(module, __package__), name).load(place)
    module, _, name = place.partition(":")
    try:
        found = getattr(import_module(module), name)()
    except Exception as error:  # whatever somebody else's function raises
        got = f"got {place!r:.100} ({_one_line(error)})"
        raise ConfigError(f"{option}: {got}, expected a function that makes a judge; mend it") from error
    if missing := [member for member in members if not hasattr(found, member)]:
        raise ConfigError(f"{option}: got {place!r:.100} without {', '.join(missing)}; add what is missing")
    return found


def check_transformers(option: str) -> None:
    """ConfigError where transformers is not installed."""
    if find_spec("transformers") is None:
        raise ConfigError(f"{option}: got no Python package transformers, expected it; {INSTALL}")


def kind_of(folder: str, option: str) -> str:
    """The `model_type` of a model's folder; CheckpointError for what is none, or has no safetensors."""
    place = Path(folder)
    try:
        kind = json.loads((place / "config.json").read_text(encoding="utf-8"))["model_type"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        remedy = "download the whole repository of the model"
        raise CheckpointError(f"{option}: got {folder!r:.200}, expected a folder with config.json; {remedy}") from None
    if not any(place.glob("*.safetensors")):
        remedy = "take a revision with model.safetensors, or convert it"
        raise CheckpointError(
            f"{option}: got {folder!r:.200} without safetensors, expected weights in that form; {remedy}"
        )
    return str(kind)


def loaded(model: Any, folder: str, option: str) -> Any:
    """A model of one of transformers' classes, in float32 and for inference; CheckpointError for damaged weights.

    ConfigError for a package that the model needs and that is not installed, such as scipy for Mask2Former.
    Tensors that the folder does not have would be random numbers: they are an error, too.
    """
    try:
        with quiet():
            found, told = model.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, output_loading_info=True
            )
    except ImportError as error:
        named = re.search(r"requires the (\w+) library", str(error))
        package = named[1].lower() if named else error.name or "of which transformers tells"
        needs = f"got no Python package {package}, which the model in {folder!r:.200} needs"
        raise ConfigError(f"{option}: {needs}, expected it; run pip install {package}") from error
    except Exception as error:  # transformers raises nearly anything for damaged files
        raise CheckpointError(f"{option}: got {folder!r:.200}, which cannot be read ({_one_line(error)})") from None
    if missing := sorted(told["missing_keys"]):
        names = f"{len(missing)} tensors missing, such as {missing[0]:.80}"
        raise CheckpointError(f"{option}: got {folder!r:.200} with {names}; expected all of {model.__name__}'s")
    return found.float().eval()


def processor(kind: Any, folder: str, option: str) -> Any:
    """What prepares pictures and texts for a model; CheckpointError where its files are missing or damaged."""
    try:
        with quiet():
            return kind.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # as above
        raise CheckpointError(f"{option}: got {folder!r:.200} without its processor ({_one_line(error)})") from None


@contextmanager
def quiet() -> Iterator[None]:
    """No bars and no advice of transformers while it loads."""
    logging = import_module("transformers.utils.logging")
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
