"""The runs of a visit as a tree: which came from which, and what sets each apart; pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.branches import differing
from app.plans import brief
from app.visits import Listed


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


def tree(runs: Sequence[Listed]) -> list[Node]:
    """The runs of a visit, each after the one that it branched from; a run whose parent is gone stands alone."""
    by_id = {run.id: run for run in runs}
    children: dict[str, list[Listed]] = {}
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


def tags(run: Listed, parent: Listed | None) -> tuple[str, ...]:
    """What sets a run apart: the first one of a tree its method and seed, a branch what it changed of its parent."""
    if parent is None:
        found = [run.method, "image" if run.given else f"seed {run.asked.settings.seed}"]
    else:
        changed = len(differing(run.codes, parent.codes))
        found = [run.method] if run.method != parent.method else []
        found += [f"from {run.branch_step}", f"{changed} differ{'s' if changed == 1 else ''}"]
    if run.by_hand:
        found.append(f"{run.by_hand} by hand")
    if not run.complete:
        found.append(f"paused at {len(run.codes)}")
    return tuple(found)
