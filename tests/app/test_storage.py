"""Runs in files: they come back as they were, within their room, and nothing of them stays."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app import storage
from app.branches import Plan
from app.library import Library
from app.session import Session
from app.storage import Storage, Stored, Whole
from app.views import Asked
from app.visits import Kept, Visits
from core.backends.emoji.backend import EmojiBackend
from core.patches.database import PatchDatabase
from core.trace import Trace, neighbours
from core.types import Change, ConfigError, DecodeSettings, Seconds
from tests.app.asking import last

DAID = DecodeSettings(seed=5, retrieval_weight=0.6, gate=0, n_neighbours=8, faid_neighbours=4)
BOTH = replace(DAID, method="faid+daid", record_unblended=True)
CHANGES = (
    Change(6, settings=replace(BOTH, retrieval_weight=0.9, n_neighbours=3)),
    Change(9, code=3),
    Change(12, settings=replace(DAID, method="model")),
)


@pytest.fixture(scope="module")
def real(backend: EmojiBackend, database: PatchDatabase) -> Session:
    """A session over a small model with everything that a large one has."""
    return Session.over(Library({"tiny": backend}, {"all": database}))


@pytest.fixture(scope="module")
def daid(real: Session) -> Kept:
    return drawn(real, Plan("a red heart", asked(DAID)))


def asked(settings: DecodeSettings) -> Asked:
    return Asked("tiny", "all", settings)


def drawn(session: Session, plan: Plan) -> Kept:
    """What came of a plan, as it was kept."""
    update = last(session.drawing.carry_out("ann", lambda: plan))
    assert update.kept, update.message
    return session.visits.find("ann", update.kept)


def weighed(session: Session) -> Kept:
    """A run with other weights of neighbours."""
    first = drawn(session, Plan("a red heart", asked(BOTH)))
    place, near = next((step.position, found) for step in first.trace.steps if (found := neighbours(step)))
    change = Change(place, weights=((int(near.entries[0]), 0.0), (int(near.entries[1]), 3.0)))
    return drawn(session, Plan("a red heart", asked(BOTH), changes=(change,)))


def looked_into(session: Session) -> Kept:
    """A run with the inside of its model."""
    run = drawn(session, Plan("a red heart", asked(BOTH))).id
    session.looking.keep("ann", run)
    return session.visits.find("ann", run)


RUNS: dict[str, Callable[[Session], Kept]] = {
    "daid": lambda session: drawn(session, Plan("a red heart", asked(DAID))),
    "model alone": lambda session: drawn(session, Plan("a red heart", asked(replace(DAID, method="model")))),
    "both": lambda session: drawn(session, Plan("a red heart", asked(BOTH))),
    "paused": lambda session: drawn(session, Plan("a red heart", asked(BOTH), pause=7)),
    "read": lambda session: drawn(session, Plan("a red heart", asked(BOTH), given=tuple(range(16)))),
    "changed": lambda session: drawn(session, Plan("a red heart", asked(BOTH), changes=CHANGES)),
    "weighed": weighed,
    "looked into": looked_into,
    "unfiltered": lambda session: drawn(session, Plan("猫", asked(DAID))),
}


def same(one: Any, other: Any) -> bool:
    """Whether two things are the same to the last bit, but for times, which files hold to seven digits."""
    if isinstance(one, Seconds):
        return all(np.float32(getattr(one, f.name)) == np.float32(getattr(other, f.name)) for f in fields(one))
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray):
        return (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())
    if is_dataclass(one):
        return all(same(getattr(one, f.name), getattr(other, f.name)) for f in fields(one))
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[name], other[name]) for name in one)
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


@pytest.mark.parametrize("kind", RUNS)
def test_a_run_comes_back_from_its_files_as_it_was(real: Session, kind: str) -> None:
    kept = RUNS[kind](real)
    forgetful = Visits(storage=Storage(bytes_in_memory=0))
    forgetful.keep("ann", kept)
    forgetful.keep("ann", replace(kept, id="newer"))
    found = forgetful.find("ann", kept.id)
    assert found.trace is not kept.trace
    assert same(found, kept)
    assert (found.ahead is None) == (kind != "paused")
    assert (found.trace.inside is None) == (kind != "looked into")


@pytest.mark.parametrize("kind", ["daid", "both", "paused", "looked into"])
def test_the_size_of_a_run_is_that_of_its_arrays(real: Session, kind: str) -> None:
    kept = RUNS[kind](real)
    seen: set[int] = set()

    def size(thing: Any) -> int:
        """Bytes of all different arrays and texts in it."""
        if id(thing) in seen:
            return 0
        seen.add(id(thing))
        if isinstance(thing, np.ndarray):
            return sys.getsizeof(thing) if thing.base is None else sys.getsizeof(thing) + thing.nbytes
        if is_dataclass(thing):
            return sum(size(getattr(thing, f.name)) for f in fields(thing))
        if isinstance(thing, (dict, tuple)):
            return sum(map(size, thing.values() if isinstance(thing, dict) else thing))
        return sys.getsizeof(thing) if isinstance(thing, bytes) else 0

    assert kept.nbytes == pytest.approx(size((kept.trace, kept.picture, kept.ahead)), rel=0.1)


def test_memory_holds_what_was_asked_for_last(daid: Kept) -> None:
    small = Storage(bytes_in_memory=5 * daid.nbytes // 2)
    wholes = [replace(daid, trace=replace(daid.trace)).whole for _ in range(3)]
    first, second, third = (small.put("ann", whole) for whole in wholes)
    assert small.get(third) is wholes[2]
    assert small.get(second) is wholes[1]
    again = small.get(first)
    assert again is not wholes[0]
    assert small.get(first) is again
    assert small.get(second) is wholes[1]
    assert small.get(third) is not wholes[2]


# -- the disk ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def temp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for temporary files of its own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*.*") if path.is_file()]


@pytest.mark.skipif(os.name != "posix", reason="other systems have no such modes")
def test_nobody_else_can_open_the_folder(temp: Path, daid: Kept) -> None:
    visits = Visits()
    visits.keep("ann-token", daid)
    (root,) = temp.iterdir()
    folders = [root, *(path for path in root.iterdir() if path.is_dir())]
    assert [stat.S_IMODE(path.stat().st_mode) for path in folders] == [0o700, 0o700]
    assert not any("ann" in str(path.relative_to(temp)) or daid.id in str(path) for path in root.rglob("*"))
    del visits
    assert not root.exists()


def test_what_is_dropped_replaced_or_forgotten_leaves_no_file(temp: Path, daid: Kept) -> None:
    visits = Visits()
    for name in "abc":
        visits.keep("ann", replace(daid, id=name, ahead=daid.trace))
    visits.lay_out("ann", [replace(daid, id="d"), replace(daid, id="e")])
    visits.keep("bob", daid)
    assert len(files(temp)) == 3 * 3 + 2 * 2 + 2
    visits.drop("ann", "a")
    visits.keep("ann", replace(daid, id="b", trace=replace(daid.trace)))
    visits.keep("ann", replace(daid, id="longer"), replaces="c")
    visits.lay_out("ann", [replace(daid, id="f")])
    assert len(files(temp)) == 4 * 2
    visits.forget("ann")
    assert len(files(temp)) == 2
    assert visits.find("bob", daid.id).trace is daid.trace
    visits.forget("nobody")


def test_a_file_that_two_things_share_stays_for_the_other(temp: Path, daid: Kept) -> None:
    visits = Visits(storage=Storage(bytes_in_memory=0))
    visits.lay_out("ann", [daid])
    visits.keep("ann", visits.find("ann", daid.id))
    assert len(files(temp)) == 2
    visits.lay_out("ann", [replace(daid, id="other")])
    assert same(visits.find("ann", daid.id), daid)
    visits.drop("ann", daid.id)
    assert len(files(temp)) == 2


STORING = """
import os, signal, sys, tempfile
from pathlib import Path
from app.storage import Storage, Whole
from core.trace import Trace
tempfile.tempdir = sys.argv[1]
storage = Storage()
storage.put("ann", Whole(Trace.load(Path(sys.argv[2])), b"x"))
assert len(list(storage._root.rglob("*.npz"))) == 1
if sys.argv[3] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[3] == "forked" and os.fork() == 0:
    sys.exit()
if sys.argv[3] == "forked":
    os.wait()
    assert len(list(storage._root.rglob("*.npz"))) == 1
"""


def stored_elsewhere(folder: Path, daid: Kept, how: str) -> None:
    """Another process stores a run, and ends."""
    path = folder.with_suffix(".npz")
    daid.trace.save(path)
    done = subprocess.run([sys.executable, "-c", STORING, str(folder), str(path), how], check=False, timeout=60)
    assert (done.returncode == 0) == (how != "killed")


@pytest.mark.parametrize("how", ["ended", "forked"])
def test_the_folder_goes_with_the_process_that_made_it(temp: Path, daid: Kept, how: str) -> None:
    if how == "forked" and not hasattr(os, "fork"):
        pytest.skip("no processes are forked here")
    stored_elsewhere(temp, daid, how)
    assert list(temp.iterdir()) == []


@pytest.mark.skipif(storage.fcntl is None, reason="no such locks here")
def test_what_a_killed_process_left_goes_when_the_next_one_stores(temp: Path, daid: Kept) -> None:
    living = Storage()
    mine = living.put("ann", daid.whole)
    stored_elsewhere(temp, daid, "killed")
    assert len(list(temp.iterdir())) == 2
    other = Storage()
    other.put("bob", daid.whole)
    assert len(list(temp.iterdir())) == 2
    assert mine.path.with_suffix(".npz").is_file()


@pytest.mark.parametrize(
    ("number", "said"), [(errno.ENOSPC, "disk is full"), (errno.EDQUOT, "disk is full"), (errno.EROFS, "cannot write")]
)
def test_a_disk_that_takes_nothing_is_told_and_loses_nothing(
    temp: Path, daid: Kept, monkeypatch: pytest.MonkeyPatch, number: int, said: str
) -> None:
    visits = Visits(storage=Storage(bytes_in_memory=0))
    visits.keep("ann", replace(daid, id="a"))
    visits.lay_out("ann", [replace(daid, id="b")])
    before, save = files(temp), Trace.save
    left = [2]

    def full(trace: Trace, path: Path, compressed: bool = True) -> None:
        save(trace, path, compressed)
        left[0] -= 1
        if left[0] < 1:
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Trace, "save", full)
    with pytest.raises(ConfigError, match=said) as refused:
        visits.lay_out("ann", [replace(daid, id=name, ahead=daid.trace) for name in "cd"])
    assert "\n" not in str(refused.value)
    assert str(temp) not in str(refused.value)
    with pytest.raises(ConfigError, match=said):
        visits.keep("ann", replace(daid, id="e"), replaces="a")
    assert sorted(files(temp)) == sorted(before)
    assert [visits.find("ann", name).id for name in "ab"] == ["a", "b"]


@pytest.mark.skipif(not os.access("/dev/full", os.W_OK), reason="no device that is always full")
def test_a_device_that_is_full_is_told(temp: Path, daid: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "_picture_of", lambda path: Path("/dev/full"))
    monkeypatch.setattr(storage, "_files_of", lambda path: (storage._trace_of(path), storage._ahead_of(path)))
    with pytest.raises(ConfigError, match="the server's disk is full"):
        Visits().keep("ann", daid)
    assert files(temp) == []


def test_a_temporary_folder_that_cannot_be_written_to_is_told(daid: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere/at/all")
    with pytest.raises(ConfigError, match="the server cannot write to its disk"):
        Visits().keep("ann", daid)


def test_a_file_that_is_gone_or_damaged_is_a_run_that_is_gone(temp: Path, daid: Kept) -> None:
    visits = Visits(storage=Storage(bytes_in_memory=0))
    for name in "abc":
        visits.keep("ann", replace(daid, id=name))
    first, second = sorted(temp.rglob("*.npz"))[:2]
    first.unlink()
    second.write_bytes(second.read_bytes()[:-100])
    for name in "ab":
        with pytest.raises(ConfigError, match="not kept any more; draw it again"):
            visits.find("ann", name)
    assert same(visits.find("ann", "c").trace, daid.trace)


def test_a_run_that_is_told_so_is_not_lost_on_the_page(real: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """The visitor reads one line where the picture would be; what was there before stays."""
    before = drawn(real, Plan("a red heart", asked(DAID)))

    def full(path: Path, whole: Whole) -> Stored:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(storage, "_written", full)
    update = last(real.drawing.carry_out("ann", lambda: Plan("a red heart", asked(DAID))))
    assert (update.state, update.kept) == ("error", "")
    assert update.message == storage.FULL
    assert real.visits.find("ann", before.id).trace is before.trace
