"""The runs of a visit as a tree: which came from which, and what sets each apart; pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.branches import differing
from app.plans import brief
from app.views import METHOD_NAMES
from app.visits import Kept


@dataclass(frozen=True, slots=True)
class Node:
    """One run in the tree of a visit.

    parent: id of the run that it came from, "" for none that is kept; level: how deep it stands, 1 without a parent;
    tags: what sets it apart, in a few words each; about: how it was drawn, for those who ask.
    """

    id: str
    name: str
    parent: str
    level: int
    tags: tuple[str, ...]
    about: str


def tree(runs: Sequence[Kept]) -> list[Node]:
    """The runs of a visit, each after the one that it branched from; a run whose parent is gone stands alone."""
    by_id = {run.id: run for run in runs}
    children: dict[str, list[Kept]] = {}
    for run in runs:
        children.setdefault(run.parent if run.parent in by_id else "", []).append(run)
    ordered: list[Node] = []
    waiting = [(run, 1) for run in reversed(children.get("", []))]
    while waiting:
        run, level = waiting.pop()
        parent = by_id.get(run.parent)
        ordered.append(Node(run.id, run.name, parent.id if parent else "", level, tags(run, parent), brief(run)))
        waiting.extend((child, level + 1) for child in reversed(children.get(run.id, [])))
    return ordered


def tags(run: Kept, parent: Kept | None) -> tuple[str, ...]:
    """What sets a run apart: the first one of a tree its method and seed, a branch what it changed of its parent."""
    trace, count = run.trace, len(run.trace.steps)
    method, by_hand = _method(run), sum(change.code is not None for change in trace.changes)
    if parent is None:
        found = [method, "image" if trace.given else f"seed {trace.settings.seed}"]
    else:
        changed = len(differing(trace, parent.trace))
        found = [method] if method != _method(parent) else []
        found += [f"from {run.branch_step}", f"{changed} differ{'s' if changed == 1 else ''}"]
    if by_hand:
        found.append(f"{by_hand} by hand")
    if not trace.complete:
        found.append(f"paused at {count}")
    return tuple(found)


def _method(run: Kept) -> str:
    """The method of a run's last step, as it is called on the page."""
    return METHOD_NAMES[run.trace.settings_at(len(run.trace.steps) - 1).method]
