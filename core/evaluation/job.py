"""What a run was asked for, by names: any process, on any machine, makes the same of it."""

from __future__ import annotations

import importlib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from .. import threads
from ..backends import EMBEDDED, ModelSource, check_blenders, load_backend
from ..patches.catalogue import check_codebook, check_name, find_database
from ..types import ConfigError, DecodeSettings
from .record import NONE, Record, as_json, record_of
from .suite import Options, Subject, Suite, Work
from .suites import SUITES


@dataclass(frozen=True, slots=True)
class Job:
    """A suite and what it is to measure.

    suite: a name of SUITES, or "package.module:NAME"; database: "none" for none; given: the settings that differ from
    those that the model draws well with; command: what repeats it.
    """

    suite: str
    backend: str
    source: ModelSource
    database: str
    given: Mapping[str, Any] = field(default_factory=dict)
    options: Options = field(default_factory=dict)
    command: str = ""


@dataclass(frozen=True, slots=True)
class Opened:
    """A job whose model, database and suite are loaded, and what its run is of."""

    suite: Suite
    subject: Subject
    work: Work
    record: Record


def find_suite(name: str) -> Suite:
    """The suite of a name of SUITES, or at "package.module:NAME"; ConfigError when there is none."""
    if name in SUITES:
        place, package = f".suites.{SUITES[name]}:SUITE", __package__
    elif ":" in name:
        place, package = name, None
    else:
        raise ConfigError(f"suite: got {name!r:.80}, expected one of {', '.join(SUITES)}, or package.module:NAME")
    module, _, attribute = place.partition(":")
    try:
        found: Any = getattr(importlib.import_module(module, package), attribute, None)
    except ModuleNotFoundError as error:
        missing = f"got no Python module {error.name!r}, expected it"
        raise ConfigError(f"suite {name:.80}: {missing}; install it, or mend the name") from None
    except (ValueError, TypeError):  # names such as ":f" or "..:f"
        found = None
    if not all(hasattr(found, member) for member in ("name", "help", "add_arguments", "open", "findings")):
        raise ConfigError(f"suite: got {name!r:.80}, where there is no suite; see core.evaluation.suite.Suite")
    suite: Suite = found
    return suite


def opened(job: Job) -> Opened:
    """Load what a job is of; ConfigError for what does not fit, told before anything is loaded where that is known."""
    suite, options = find_suite(job.suite), as_json(dict(job.options))
    subject = load_subject(job)
    work = suite.open(subject, options)
    weights = {name: value for name, value in asdict(job.source).items() if value != getattr(ModelSource(), name)}
    record = record_of(job.suite, subject, weights, options, job.command)
    return Opened(suite, subject, work, record)


def load_subject(job: Job) -> Subject:
    """Model, database and settings of a job."""
    if job.database != NONE:
        check_name(job.database)
        check_codebook(job.database, job.backend)
    if replace(DecodeSettings(), **job.given).blends:
        check_blenders(job.backend, job.source.faid)
    threads.pin(large=job.backend not in EMBEDDED)
    backend = load_backend(job.backend, job.source)
    database = None if job.database == NONE else find_database(job.database, backend)
    return Subject(job.backend, backend, job.database, database, replace(backend.defaults, **job.given))


def command_of(words: Sequence[str]) -> str:
    """The command line behind `python -m`, of words behind `evaluate run`, as a shell takes it."""
    package = (__package__ or "").removesuffix(".evaluation")
    return f"python -m {package} evaluate run {shlex.join(words)} --out DIR"
