"""What GenEval's verdicts say: shares of right pictures by tag, differences between arms, what is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from ..findings import Cell, Section, Sheet, Shown, Table
from ..statistics import Counts, Estimate, mean_of_shares, share
from ..suite import Row
from .prompts import TAGS

HOW: Final = """GenEval (Ghosh et al. 2023, arXiv 2310.11513): each picture of a prompt is judged alone by what an \
object detector finds in it. Objects with a confidence above 0.3 count (above 0.9 for the tag counting), at most 16 \
of a class. A clause asks for a number of objects of a class, which all have to be of a colour where it names one, \
and stand in a relation to the objects of an earlier clause where it names one; all clauses of a prompt have to hold, \
and no class may be there more often than it says. The score of a tag is the share of right pictures, the overall \
score the mean of the tags, whatever their sizes. Colours are told by CLIP from ten, on the object cut out of its \
picture. The rules are those of the released scorer (github.com/djghosh13/geneval).

Intervals hold 95 % of resampled runs; prompts are resampled within their tags, with all their pictures."""

SUBSTITUTE: Final = (
    "Not comparable with published figures: these were judged by {judges}, and published ones by Mask2Former Swin-S of "
    "mmdet 2.x with CLIP ViT-L/14. Arms are comparable with each other."
)

RELEASED: Final = Table(
    ("model", "GenEval"),
    (("Janus-Pro", 0.71), ("Janus-Pro, DAiD", 0.72), ("Janus-Pro, FAiD", 0.75)),
    digits=2,
    note="Source: README of the code that the authors of AR-RAG released. Their camera-ready paper (arXiv 2506.06962) "
    "gives other figures. Nothing here was measured by this project.",
)

PER_TAG: Final = 2
"""Prompts of a tag on the contact sheet."""

Verdict = Mapping[str, Any]
"""What a row keeps of a picture: failures [[kind, text]] and objects, or `unreadable`, or nothing: not judged."""


def is_judged(verdict: Verdict) -> bool:
    """Whether it says if the picture is right."""
    return "failures" in verdict


def is_right(verdict: Verdict) -> bool:
    """Whether nothing was wrong."""
    return not verdict["failures"]


def sections(rows: Sequence[Row]) -> list[Section]:
    """All findings; rows: of the suite geneval."""
    arms = list(dict.fromkeys(arm for row in rows for arm in row.details["arms"]))
    scored = [arm for arm in arms if any(is_judged(verdict) for row in rows for verdict in _of(row, arm))]
    tags = _tags(rows)
    found = [Section("GenEval", _told(rows), tuple(_tables(rows, scored, tags)))]
    if scored:
        found.append(Section("GenEval: what is wrong", "", (_failures(rows, scored, tags),)))
    blocks = [block for block in (_unreadable(rows, arms), _sheet(rows, arms, tags)) if block is not None]
    found.append(Section("GenEval: pictures", "", tuple(blocks)))
    return [*found, Section("GenEval: released figures", "", (RELEASED,))]


def _of(row: Row, arm: str) -> Sequence[Verdict]:
    """The pictures of an arm."""
    verdicts: Sequence[Verdict] = row.details["arms"].get(arm, ())
    return verdicts


def _tags(rows: Sequence[Row]) -> list[str]:
    """The tags that there are, the published ones first."""
    there = dict.fromkeys(str(row.about["tag"]) for row in rows)
    return [*(tag for tag in TAGS if tag in there), *(tag for tag in there if tag not in TAGS)]


def _told(rows: Sequence[Row]) -> str:
    """How it was measured, and by what."""
    parts = [HOW]
    judges = dict.fromkeys(str(row.details["judges"]) for row in rows if row.details["judges"])
    if judges and not all(row.details["published"] for row in rows if row.details["judges"]):
        parts.append(SUBSTITUTE.format(judges=" / ".join(judges)))
    reasons = dict.fromkeys(reason for row in rows for reason in row.unavailable.values())
    return "\n\n".join([*parts, *(f"Unavailable: {reason}." for reason in reasons)])


def _counts(rows: Sequence[Row], tag: str, arm: str, other: str = "") -> Counts:
    """[n, 2]: by prompt, right pictures and judged ones; less the right ones of another arm where both are judged."""
    found = []
    for row in rows:
        if row.about["tag"] != tag:
            continue
        if other:
            pairs = [
                (a, b) for a, b in zip(_of(row, arm), _of(row, other), strict=False) if is_judged(a) and is_judged(b)
            ]
            values = [float(is_right(a)) - float(is_right(b)) for a, b in pairs]
        else:
            values = [float(is_right(verdict)) for verdict in _of(row, arm) if is_judged(verdict)]
        if values:
            found.append((sum(values), float(len(values))))
    return np.array(found, np.float64).reshape(-1, 2)


def _tables(rows: Sequence[Row], arms: Sequence[str], tags: Sequence[str]) -> Iterator[Table]:
    """Scores by tag and arm, and what each arm gains over the first one."""
    if not arms:
        return
    pictures = sum(is_judged(verdict) for row in rows for verdict in _of(row, arms[0]))
    note = f"Share of right pictures; n counts prompts. {pictures} pictures of {arms[0]} were judged."
    scores = _by_tag(tags, [{tag: _counts(rows, tag, arm) for tag in tags} for arm in arms])
    yield Table(("tag", *arms), scores, note=note)
    if len(arms) > 1:
        pairs = [{tag: _counts(rows, tag, arm, arms[0]) for tag in tags} for arm in arms[1:]]
        head = ("tag", *(f"{arm} - {arms[0]}" for arm in arms[1:]))
        paired = "Paired by prompt and seed, over pictures that were judged in both arms."
        yield Table(head, _by_tag(tags, pairs), note=paired)


def _by_tag(tags: Sequence[str], columns: Sequence[Mapping[str, Counts]]) -> tuple[tuple[Cell, ...], ...]:
    """A row for each tag, and the mean of all where each of them was judged."""
    lines: list[tuple[Cell, ...]] = [(tag, *(_cell([column[tag]]) for column in columns)) for tag in tags]
    missing = [tag for tag in TAGS if tag not in tags]
    name = "overall" if not missing else f"mean of these {len(tags)} tags, not all {len(TAGS)}"
    return (*lines, (name, *(_cell([column[tag] for tag in tags]) for column in columns)))


def _cell(strata: Sequence[Counts]) -> Estimate | str:
    """Mean of shares, or what there is instead of it."""
    if any(len(counts) == 0 for counts in strata):
        return "not judged"
    return share(strata[0]) if len(strata) == 1 else mean_of_shares(strata)


def _failures(rows: Sequence[Row], arms: Sequence[str], tags: Sequence[str]) -> Table:
    """How many pictures of each tag fail by what kind of rule, and how many were judged."""
    kinds = ("count", "color", "target", "position", "exclude")
    lines: list[tuple[Cell, ...]] = []
    for tag in tags:
        for arm in arms:
            judged = [v for row in rows if row.about["tag"] == tag for v in _of(row, arm) if is_judged(v)]
            failing = Counter(kind for verdict in judged for kind in {kind for kind, _ in verdict["failures"]})
            lines.append((tag, arm, len(judged), *(failing[kind] for kind in kinds)))
    note = (
        "Pictures with a failure of each kind, of those that were judged; one may have several. count: too few "
        "objects; color: another colour; target: what it should be placed by is missing or wrong; position: "
        "elsewhere; exclude: too many."
    )
    return Table(("tag", "arm", "judged", *kinds), tuple(lines), note=note)


def _unreadable(rows: Sequence[Row], arms: Sequence[str]) -> Table | None:
    """The pictures that could not be read; None where all were."""
    lines = tuple(
        (row.key, arm, n, str(verdict["unreadable"]))
        for row in rows for arm in arms for n, verdict in enumerate(_of(row, arm)) if "unreadable" in verdict
    )  # fmt: skip
    note = "Pictures that are missing or unreadable; they are left out of every figure."
    return Table(("item", "arm", "picture", "reason"), lines, note=note) if lines else None


def _sheet(rows: Sequence[Row], arms: Sequence[str], tags: Sequence[str]) -> Sheet | None:
    """The first prompts of each tag, every arm."""
    chosen = [row for tag in tags for row in [row for row in rows if row.about["tag"] == tag][:PER_TAG]]
    cells = tuple(cell for row in chosen for arm in arms for cell in _cells(row, arm))
    widest = max((len(_of(row, arm)) for row in chosen for arm in arms), default=1)
    return Sheet("geneval", "Prompts of every tag", cells, widest * min(len(arms), 2)) if cells else None


def _cells(row: Row, arm: str) -> list[Shown]:
    """An arm's pictures of a prompt; those that could not be read are not there."""
    there = [verdict for verdict in _of(row, arm) if "unreadable" not in verdict]
    words = [
        "not judged" if not is_judged(verdict) else "right" if is_right(verdict) else str(verdict["failures"][0][1])
        for verdict in there
    ]
    return [Shown(row.key, arm, n, f"{row.about['prompt']} ({arm}): {word}") for n, word in enumerate(words)]
