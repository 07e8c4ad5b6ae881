"""A database from pictures of any number: listed, encoded part by part by whoever can, and put together.

Killed at any moment and started again it goes on, and gives the same bytes, however many workers there are.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from ...backends.protocol import Backend
from ...context import Context
from ...types import ArragError, ConfigError
from ..segments.manifest import write_manifest
from ..segments.writer import sweep, write_codebook
from .consolidate import check_fits, header_of, report_of, write_segments
from .executor import Died, Executor, InProcess
from .facts import Facts, read_codebook, read_facts
from .kinds import open_source, resolved
from .parts import marker_path, read_marker
from .plan import PLAN, TRIES, BuildOptions, Plan, is_done, make_plan, read_plan, read_trouble, write_trouble
from .progress import Progress, Quiet
from .report import REPORT, Report, read_report
from .sources import SourceChoice
from .target import Target, built_already, changed, check_same, locked, look

STEP: Final = 0.25
"""Seconds between two looks at how far the parts are."""

MOST_GIVEN_UP: Final = 100
"""Pictures that may end their processes in one run; where more do, it is hardly the pictures."""


@dataclass(frozen=True, slots=True)
class Built:
    """What came of a build; was_there: whether the database was there already, of the same pictures."""

    report: Report
    was_there: bool = False


def build_database(
    backend: Backend,
    source: str | Path | SourceChoice,
    out: Path,
    options: BuildOptions | None = None,
    append: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Encode the pictures of a source into the folder of a database, by a model that is loaded; the report.

    source: a folder, list, pattern of tars or Parquet files, or folder of `datasets`; append: add to a database that is
    there. Pictures that cannot be read are skipped and listed. Interrupted, it goes on when it is called again. Raises
    ConfigError for a source without pictures and for a folder that holds something else.
    """
    return build(InProcess(backend), source, out, options, append, progress).report


def build(
    executor: Executor,
    source: str | Path | SourceChoice,
    out: Path,
    options: BuildOptions | None = None,
    append: bool = False,
    progress: Progress | None = None,
) -> Built:
    """As `build_database`, with whoever makes the parts; the executor is closed in the end."""
    given = source if isinstance(source, SourceChoice) else SourceChoice(os.fspath(source))
    try:
        paths = tuple(map(os.path.abspath, (given.path, *given.more)))
        choice = resolved(replace(given, path=paths[0], more=paths[1:]))
        open_source(choice)  # what is wrong with it is told before anything is written
        return _prepared(executor, choice, out, options or BuildOptions(), append, progress or Quiet())
    finally:
        executor.close()


def _prepared(
    executor: Executor, source: SourceChoice, out: Path, options: BuildOptions, append: bool, progress: Progress
) -> Built:
    """Make the folder, and remove it where nothing of worth came into it."""
    target = look(out)
    new = [folder for folder in (out, *out.absolute().parents) if not folder.exists()]
    try:
        target.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"out: got {str(out)!r}, which cannot be written ({error.strerror}); take another") from None
    try:
        with locked(target.folder):
            built = _built(executor, source, look(out), options, append, progress)
        shutil.rmtree(target.folder)
        return built
    except BaseException:
        with contextlib.suppress(ArragError):
            if read_plan(target.folder) is None and not _is_locked(target.folder):
                shutil.rmtree(target.folder, ignore_errors=True)
                for folder in new:
                    with contextlib.suppress(OSError):
                        folder.rmdir()
        raise


def _is_locked(folder: Path) -> bool:
    """Whether somebody else builds in a folder."""
    try:
        with locked(folder):
            return False
    except (ConfigError, OSError):
        return True


def _built(
    executor: Executor, source: SourceChoice, target: Target, options: BuildOptions, append: bool, progress: Progress
) -> Built:
    """Go on from whatever state the folder is in."""
    usual = target.base.header.context if target.base is not None and append else Context()
    options = replace(options, context=options.context or usual)
    if target.plan is not None and target.is_committed:
        report = read_report(_report_path(target, target.plan))
        shutil.rmtree(target.folder / "spans", ignore_errors=True)
        (target.folder / PLAN).unlink()
        if report is not None and (target.plan.source, target.plan.options) == (source, options):
            return Built(report)
        target = replace(target, plan=None)
    if target.plan is not None:
        check_same(target, source, options, append)
    elif append and target.base is None:
        raise ConfigError(f"append: got {str(target.out)!r}, which holds no database, expected one; leave --append out")
    elif target.base is not None and not append:
        report = built_already(target, source, options)
        plan = _planned(target, source, options, progress)
        (target.folder / PLAN).unlink()
        if plan.digest != report.digest:
            raise changed(target)
        return Built(report, was_there=True)
    return Built(_made(executor, source, target, options, progress))


def _made(
    executor: Executor, source: SourceChoice, target: Target, options: BuildOptions, progress: Progress
) -> Report:
    """Encode what is still to be encoded, and put it together."""
    facts = _facts(executor, target, progress)
    if target.base is not None:
        check_fits(target.base.header, facts, options)
    plan = target.plan or _planned(target, source, options, progress)
    run_parts(executor, target.folder, plan, progress)
    return _put_together(target, plan, facts, progress)


def _planned(target: Target, source: SourceChoice, options: BuildOptions, progress: Progress) -> Plan:
    progress.begin("find", None)
    base = target.base.fingerprint if target.base is not None else ""
    return make_plan(target.folder, source, options, base, progress.at)


def _facts(executor: Executor, target: Target, progress: Progress) -> Facts:
    """What is to be known of the model; ConfigError when it is not the one that the build was begun with."""
    plan = target.plan
    before = read_facts(target.folder) if plan is not None else None
    if before is not None and plan is not None and all(is_done(target.folder, n) for n in range(len(plan.sizes))):
        return before
    progress.begin("load", None)
    executor.prepare(target.folder)
    facts = read_facts(target.folder)
    if before is not None and facts != before:
        raise ConfigError(f"out: {str(target.out)!r} was begun with another model ({before.name}); give the same one")
    return facts


def run_parts(executor: Executor, folder: Path, plan: Plan, progress: Progress) -> None:
    """Have all parts made that are not there yet; what kills its worker again and again is given up."""
    for stale in folder.glob("making-*"):
        shutil.rmtree(stale, ignore_errors=True)
    waiting = deque(number for number in range(len(plan.sizes)) if not is_done(folder, number))
    given_up = 0
    done = plan.items - sum(plan.sizes[number] for number in waiting)
    progress.begin("encode", plan.items, done)
    running: dict[int, int] = {}
    while waiting or running:
        while waiting and len(running) < executor.workers:
            number = waiting.popleft()
            marker_path(folder, number).unlink(missing_ok=True)
            executor.submit(folder, number)
            running[number] = 0
        found = executor.outcome(STEP)
        if found is not None:
            del running[found.number]
        if isinstance(found, Died):
            given_up += _note(folder, found)
            if given_up > MOST_GIVEN_UP:
                raise ConfigError(f"build: {given_up} pictures ended their processes, the last {found.reason}; stopped")
            waiting.appendleft(found.number)
        elif found is not None:
            done += plan.sizes[found.number]
        for number, before in running.items():
            running[number] = max(before, int(read_marker(folder, number).partition(" ")[2] or 0))
        progress.at(done + sum(running.values()))


def _note(folder: Path, died: Died) -> int:
    """Keep what a worker died of; how many pictures are given up for that. ConfigError when none is to blame."""
    doing = read_marker(folder, died.number) or "start"
    before = read_trouble(folder, died.number)
    trouble = before.after(doing, died.reason)
    if doing == "start" and trouble.tries[doing] >= TRIES:
        raise ConfigError(
            f"build: a worker ended {died.reason} before its first picture, {TRIES} times; see its output"
        )
    write_trouble(folder, died.number, trouble)
    return len(trouble.given_up) - len(before.given_up)


def _put_together(target: Target, plan: Plan, facts: Facts, progress: Progress) -> Report:
    """Write the segments, the report and the manifest, in this order: a database appears at once, or grows at once."""
    out, folder = target.out, target.folder
    if target.base is not None:
        sweep(out, target.base)
    else:
        shutil.rmtree(out / "segments", ignore_errors=True)
    report, codebook = report_of(plan, folder), read_codebook(folder)
    if sum(report.skipped.values()) == report.items:
        reasons = ", ".join(f"{count:,} {kind}" for kind, count in report.skipped.most_common(5))
        (folder / PLAN).unlink()
        raise ConfigError(f"images: got {report.items:,} pictures, of which none can be read ({reasons:.200})")
    header = target.base.header if target.base is not None else header_of(facts, plan, report.columns)
    if target.base is None:
        write_codebook(out, codebook)
    manifest = write_segments(target, folder, plan, header, codebook, report, progress)
    report.write(_report_path(target, plan))
    target.commit(manifest.fingerprint)
    write_manifest(out, manifest)
    return report


def _report_path(target: Target, plan: Plan) -> Path:
    """Where the report of a build goes: those of what was added have numbers."""
    if not plan.base:
        return target.out / REPORT
    mine = target.folder / "report-name"
    if not mine.exists():
        number = 2 + len(list(target.out.glob("report-*.json")))
        mine.write_text(f"report-{number}.json", encoding="ascii")
    return target.out / mine.read_text(encoding="ascii")
