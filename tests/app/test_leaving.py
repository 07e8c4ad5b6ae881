"""A visitor who leaves at any moment: nothing of theirs is left, in memory or on the disk, and nothing comes back."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.decoding.scheduler import Scheduler
from app.decoding.worker import Brought
from app.looking import Looking
from app.own import YOURS
from app.plans import Batch, methods_plan, sweep_plan
from app.presenting import Presenting
from app.reading import from_database, read
from app.session import Session
from app.storage import LOCK, Storage
from app.tabs.bring.layout import take
from app.tabs.parts import on_begin, on_draw
from core.types import Change, ConfigError
from tests.app.asking import asked, defaults, last, somebody, uploaded, wait_until
from tests.app.gate import Gate, gate_of
from tests.app.stocked import stock
from tests.app.test_own import picture
from tests.app.test_views import unpack

WHO, TIMES = "ann", 2
APART: tuple[dict[str, Any], ...] = ({"method": "daid"}, {"method": "faid"}, {"method": "faid", "faid_neighbours": 3})


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    made = gate_of(monkeypatch)
    yield made
    made.open()


@pytest.fixture
def remembered(monkeypatch: pytest.MonkeyPatch) -> list[Brought]:
    """What workers remember of visitors' own pictures."""
    made: list[Brought] = []
    begin = Brought.__init__

    def noted(self: Brought) -> None:
        begin(self)
        made.append(self)

    monkeypatch.setattr(Brought, "__init__", noted)
    return made


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of temporary files, ours and Gradio's."""
    folder = tmp_path / "disk"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(folder))
    return folder


@pytest.fixture
def session(remembered: list[Brought], disk: Path) -> Iterator[Session]:
    made = Session.over(stock())
    yield made
    made.decoder.close()


def left_of(session: Session, who: str, remembered: list[Brought], disk: Path) -> dict[str, object]:
    """All that there is of a visitor, by where it is; and all that lies on the disk, where nobody else has anything."""
    assert isinstance(session.decoder, Scheduler)
    runs, visits, own = session.runs, session.visits, session.library.own
    storage = visits._storage
    found: dict[str, object] = {
        "live": [run for run in list(runs._live.values()) if run.visitor == who],
        "clicks": [key for key in (*runs._begun, *runs._ended) if key[0] == who],
        "runs": visits._visitors.get(who),
        "folder": storage._folders.get(who),
        "in memory": [stored for stored in storage._memory if not stored.path.parent.exists()],
        "seen": [key for key in session.looking._seen if key[0] == who],
        "own": [kind for kind in (own._of, own._joined, own._turns) if who in kind],
        "files": [file.path for file in session.files._files.values() if file.owner == who],
        "tickets": [place for place in session.decoder._tickets if place.visitor == who],
        "rows": [number for number, batch in list(session.decoder._batches.items()) if who in batch.visitors],
        "worker": [key for one in remembered for key in one._known if key[0] == who],
        "disk": [str(path) for path in disk.rglob("*") if path.name != LOCK and path.parent != disk],
    }
    return {place: what for place, what in found.items() if what}


# ---------------------------------------------------------------------------------------------------------------------
# Where a visitor can be when they leave


Begun = Callable[[], object]
"""What a visitor has begun, which is done when it returns."""


@contextmanager
def halted(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, after: bool) -> Iterator[threading.Event]:
    """Whoever calls a function of a class waits before, or after, it is done; the event says that somebody does."""
    function, reached, going_on = getattr(owner, name), threading.Event(), threading.Event()

    def halting(self: Any, *args: Any, **more: Any) -> Any:
        done = function(self, *args, **more) if after else None
        reached.set()
        going_on.wait(20)
        return done if after else function(self, *args, **more)

    with monkeypatch.context() as patched:
        patched.setattr(owner, name, halting)
        try:
            yield reached
        finally:
            going_on.set()


def drawn(session: Session, **settings: Any) -> list[Any]:
    return list(session.drawing.draw(WHO, "a disc", lambda: replace_settings(**settings), "tab"))


def replace_settings(**settings: Any) -> Any:
    return asked(replace(defaults().settings, **settings))


def bring(session: Session, folder: Path) -> None:
    files = [picture(folder, f"{name}.png") for name in ("red", "blue")]
    list(session.library.bring(WHO, files))


def from_own(session: Session) -> list[Any]:
    return list(session.drawing.draw(WHO, "a disc", lambda: replace(defaults(), database=YOURS), "tab"))


def swept(session: Session) -> list[Any]:
    plan = sweep_plan(defaults(), "seed", "1, 2, 3", "n_neighbours", "1, 2, 3")
    return list(session.drawing.draw_sweep(WHO, "a disc", lambda: plan, "tab"))


def compared(session: Session) -> list[Any]:
    def plan() -> Batch:
        return methods_plan(defaults(), ("daid", "faid"))

    return list(session.drawing.draw_compared(WHO, "a disc", plan, "tab"))


def picture_read(session: Session) -> list[Any]:
    given = from_database(session.library, WHO, defaults(), 3)
    return list(read(session, WHO, defaults(), given, "tab"))


def looked(session: Session) -> object:
    run = session.visits.runs(WHO)[0].id
    return session.looking.look(WHO, run, "tab")


def look_kept(session: Session) -> object:
    return session.looking.keep(WHO, session.visits.runs(WHO)[0].id, "tab")


def branched(session: Session) -> list[Any]:
    return list(session.drawing.branch(WHO, session.visits.runs(WHO)[0].id, Change(5, code=7), "tab"))


def opened(session: Session) -> object:
    return session.opening.open(WHO, session.visits.runs(WHO)[0].id)


WORK: dict[str, Callable[[Session], object]] = {
    "drawing": drawn, "from own pictures": from_own, "sweeping": swept, "comparing": compared, "reading": picture_read,
    "branching": branched,
}  # fmt: skip
HALTS: dict[str, tuple[Callable[[Session], object], type, str, bool]] = {
    "before a run is written": (drawn, Storage, "put", False),
    "when a run is written": (drawn, Storage, "put", True),
    "when a sweep is written": (swept, Storage, "put", True),
    "when a comparison is written": (compared, Storage, "put", True),
    "while a run is packed": (drawn, Presenting, "shown", False),
    "when a comparison is packed": (compared, Presenting, "compared", True),
    "inside a pass": (looked, Looking, "_look", True),
    "when a pass is kept": (look_kept, Storage, "put", True),
}


def check_nothing_left(session: Session, working: Future[object] | None, remembered: list[Brought], disk: Path) -> None:
    """Whatever was under way has come to its end, and nothing is left of it; not later, either."""
    if working is not None:
        working.exception(20)  # a visitor who has left is told nothing, or that it is over
    wait_until(lambda: session.runs.count == 0)
    assert isinstance(session.decoder, Scheduler)
    wait_until(lambda: session.decoder.drawing == session.decoder.waiting == 0)
    with suppress(AssertionError):  # the next line says what there is
        wait_until(lambda: not left_of(session, WHO, remembered, disk), seconds=5)
    assert left_of(session, WHO, remembered, disk) == {}


@pytest.mark.parametrize("kind", WORK)
def test_while_something_is_drawn_or_waits_for_it(
    session: Session, gate: Gate, remembered: list[Brought], disk: Path, tmp_path: Path, kind: str
) -> None:
    with ThreadPoolExecutor(8) as pool:
        for waits in (False, False, True):
            bring(session, tmp_path)
            drawn(session)
            gate.close()
            others = []
            if waits:
                others = [session.drawing.draw(f"{n}", "moon", lambda way=way: replace_settings(**way))
                          for n, way in enumerate(APART)]  # fmt: skip
                for other in others:
                    next(other)
                wait_until(lambda: session.decoder.drawing == 3)
            working = pool.submit(WORK[kind], session)
            if waits:
                wait_until(lambda: session.decoder.waiting > 0)
                session.leave(WHO)
            else:
                with gate.held(session):
                    session.leave(WHO)
            gate.open()
            assert [last(other).state for other in others] == ["ready"] * len(others)
            for number in range(len(others)):
                session.leave(f"{number}")
            check_nothing_left(session, working, remembered, disk)


@pytest.mark.parametrize("kind", HALTS)
def test_while_something_is_written_or_shown(
    session: Session, remembered: list[Brought], disk: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    work, owner, name, after = HALTS[kind]
    with ThreadPoolExecutor(2) as pool:
        for _ in range(TIMES):
            drawn(session)
            with halted(monkeypatch, owner, name, after) as reached:
                working = pool.submit(work, session)
                assert reached.wait(20)
                session.leave(WHO)
            check_nothing_left(session, working, remembered, disk)


def test_before_anything_has_begun(session: Session, remembered: list[Brought], disk: Path) -> None:
    """What a click begins after its visit is over belongs to the next visit of the tab."""
    visitors = session.visitors
    name = visitors.of("tab")
    session.drawing.begin(name, "a disc", "tab")
    session.leave(name)
    assert left_of(session, name, remembered, disk) == {}


def test_while_pictures_are_uploaded_read_and_encoded(
    session: Session, remembered: list[Brought], disk: Path, tmp_path: Path
) -> None:
    for said in ("Reading", "Encoding"):
        for _ in range(TIMES):
            data = picture(tmp_path, "red.png").read_bytes()
            file = uploaded(session, "red.png", data)
            request = somebody(WHO)
            with ExitStack() as held:
                files = held.enter_context(session.uploads.read(str(file)))
                bringing = take(session, request, files, held)
                assert any(str(found[0]).startswith(said) for found in bringing)
                session.leave(WHO)
                (*_, (message, *_)) = bringing
            assert message == "Stopped: no picture was taken."
            check_nothing_left(session, None, remembered, disk)
            assert not file.exists()


def test_threads_and_open_files_do_not_grow(
    session: Session, gate: Gate, remembered: list[Brought], disk: Path, tmp_path: Path
) -> None:
    taken: list[tuple[int, int]] = []
    with ThreadPoolExecutor(1) as pool:
        for _ in range(12):
            bring(session, tmp_path)
            gate.close()
            working = pool.submit(from_own, session)
            with gate.held(session):
                session.leave(WHO)
            check_nothing_left(session, working, remembered, disk)
            descriptors = Path("/proc/self/fd")
            taken.append((threading.active_count(), len(os.listdir(descriptors)) if descriptors.is_dir() else 0))
    assert taken[-1][0] <= max(threads for threads, _ in taken[:3])
    assert taken[-1][1] <= max(files for _, files in taken[:3])


# ---------------------------------------------------------------------------------------------------------------------
# Two tabs of one visit


@pytest.mark.parametrize("kind", WORK)
def test_another_tab_of_the_visit_draws_pauses_opens_and_deletes_meanwhile(
    session: Session, gate: Gate, tmp_path: Path, kind: str
) -> None:
    bring(session, tmp_path)
    drawn(session)
    run = session.visits.runs(WHO)[0].id
    saved = tmp_path / "trace.npz"
    session.visits.find(WHO, run).trace.save(saved)
    gate.close()
    with ThreadPoolExecutor(2) as pool:
        working = pool.submit(WORK[kind], session)
        with gate.held(session):
            session.drawing.begin(WHO, "moon", "other")
            session.runs.stop(WHO, "other")
            assert session.opening.open(WHO, run).state == "ready"
            assert session.opening.open_file(WHO, saved, "other").state == "ready"
            assert session.opening.recorded(WHO, session.presenting.not_begun, "other").state == "error"
            session.visits.drop(WHO, run)
        ends = working.result(30)
    assert isinstance(ends, list)
    assert getattr(ends[-1], "state", "ready") == "ready", ends[-1].message


def test_a_run_that_one_tab_deletes_while_another_looks_into_it_does_not_come_back(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn(session)
    run = session.visits.runs(WHO)[0].id
    with ThreadPoolExecutor(1) as pool:
        with halted(monkeypatch, Looking, "_look", after=True) as reached:
            keeping = pool.submit(look_kept, session)
            assert reached.wait(20)
            session.visits.drop(WHO, run)
        with pytest.raises(ConfigError, match="not kept any more"):
            keeping.result(20)
    assert session.visits.runs(WHO) == ()


def test_both_tabs_draw_and_see_what_the_other_one_drew(session: Session) -> None:
    begin, draw = on_begin(session), on_draw(session)
    values = [*session_values(session)]
    with ThreadPoolExecutor(2) as pool:
        ends = list(pool.map(lambda tab: list(drawing_of(session, begin, draw, tab, values)), ("one", "two")))
    assert [end[-1][0].state for end in ends] == ["ready"] * 2
    assert len({unpack(end[-1][0].file)[0]["id"] for end in ends}) == 2


def session_values(session: Session) -> list[Any]:
    from app import controls  # noqa: PLC0415  (widgets are made by the page alone)

    return list(controls.values_of(session.library.start))


def drawing_of(session: Session, begin: Any, draw: Any, tab: str, values: list[Any]) -> Iterator[Any]:
    _, begun = begin("a disc", somebody(tab))
    yield from draw(somebody(tab), begun, "once", "a disc", *values)
