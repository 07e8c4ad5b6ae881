"""What came of a build: every picture of the source is taken, a duplicate, or skipped for a reason that is listed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from ..files import json_bytes, read_json, replace_file
from .parts import Kept, Tally, wider

REPORT: Final = "report.json"
VERSION: Final = 1
LISTED: Final = 100_000
"""Most names in one list of a report; the counts are always whole."""

SHOWN: Final = 3
"""Names of each kind that are shown on a terminal."""


@dataclass(slots=True)
class Report:
    """What became of a source; source, options: what was built; digest: hash of what the source listed.

    items: pictures found; taken: in the database now; duplicates: of one that was taken, by content; already: of those
    in the database that was added to; skipped: by reason; captions: how many come from where ("beside": a file;
    "column"; "name"); left_out: files that are no pictures, by reason; stretched: pictures of which more than half was
    cut off or left empty; dropped_columns: those that the database that was added to has not.
    """

    source: Mapping[str, Any]
    options: Mapping[str, Any]
    digest: str
    left_out: Mapping[str, Any]
    items: int = 0
    taken: int = 0
    duplicates: int = 0
    already: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    captions: Counter[str] = field(default_factory=Counter)
    cut_captions: int = 0
    stretched: int = 0
    columns: dict[str, str] = field(default_factory=dict)
    dropped_columns: list[str] = field(default_factory=list)
    skipped_files: list[dict[str, str]] = field(default_factory=list)
    duplicate_files: list[dict[str, str]] = field(default_factory=list)
    stretched_files: list[str] = field(default_factory=list)

    def add(self, tally: Tally) -> None:
        """What happened in one more part, but for what it took: some of that may be in other parts, too."""
        self.items += tally.items
        self.skipped.update(kind for _, kind, _ in tally.skipped)
        for name, kind in tally.columns.items():
            self.columns[name] = wider(self.columns.get(name), kind)
        for name, kind, reason in tally.skipped[: LISTED - len(self.skipped_files)]:
            self.skipped_files.append({"name": name, "kind": kind, "reason": reason})
        for name, of in tally.duplicates:
            self.add_duplicate(name, of)

    def take(self, kept: Kept) -> None:
        """A picture that is in the database now."""
        self.taken += 1
        self.captions[kept.origin] += 1
        self.cut_captions += not kept.whole
        self.stretched += kept.stretched
        if kept.stretched and len(self.stretched_files) < LISTED:
            self.stretched_files.append(kept.name)

    def add_duplicate(self, name: str, of: str, already: bool = False) -> None:
        """A picture whose content is in the database by another one."""
        self.duplicates += not already
        self.already += already
        if len(self.duplicate_files) < LISTED:
            self.duplicate_files.append({"name": name, "of": of})

    @property
    def counts(self) -> dict[str, Any]:
        """The numbers, without names."""
        left_out = {reason: found["count"] for reason, found in self.left_out.items()}
        return {
            "found": self.items, "taken": self.taken, "duplicates": self.duplicates, "already_there": self.already,
            "skipped": sum(self.skipped.values()), "skipped_by_reason": dict(self.skipped.most_common()),
            "left_out": left_out, "captions": dict(sorted(self.captions.items())), "cut_captions": self.cut_captions,
            "stretched": self.stretched,
        }  # fmt: skip

    def write(self, path: Path) -> None:
        """Keep all of it as JSON, the numbers first."""
        values = {
            "version": VERSION, **self.counts, "columns": self.columns, "dropped_columns": self.dropped_columns,
            "source": dict(self.source), "options": dict(self.options), "digest": self.digest,
            "skipped_files": self.skipped_files, "duplicate_files": self.duplicate_files,
            "stretched_files": self.stretched_files, "left_out": dict(self.left_out),
        }  # fmt: skip
        replace_file(path, lambda file: file.write(json_bytes(values)))

    def lines(self) -> list[str]:
        """A short summary for people."""
        by_name = {"beside": "files beside them", "column": "columns", "name": "their names"}
        origins = ", ".join(f"{count:,} from {by_name[name]}" for name, count in self.captions.most_common())
        said = [f"{self.items:,} pictures found, {self.taken:,} taken"]
        said += [f"captions: {origins}" + (f"; {self.cut_captions:,} cut" if self.cut_captions else "")] * bool(origins)
        said += [f"{self.duplicates:,} duplicates, of the same content as another"] * bool(self.duplicates)
        said += [f"{self.already:,} were in the database already"] * bool(self.already)
        for kind, count in self.skipped.most_common():
            names = [each["name"] for each in self.skipped_files if each["kind"] == kind]
            said.append(f"{count:,} skipped: {kind} ({_some(names, count)})")
        shape = "cut off" if self.options.get("shape") == "cut" else "left empty"
        said += [f"{self.stretched:,} long ones, of which more than half was {shape}"] * bool(self.stretched)
        for reason, found in self.left_out.items():
            said.append(f"{found['count']:,} left out: {reason} ({_some(found['names'], found['count'])})")
        return said


def read_report(path: Path) -> Report | None:
    """The report in a file; None where there is none of this release."""
    values = read_json(path) if path.is_file() else {}
    if not isinstance(values, dict) or values.get("version") != VERSION:
        return None
    given = {name: values[name] for name in values if name in _SAME}
    return Report(
        **given,
        items=values["found"],
        already=values["already_there"],
        skipped=Counter(values["skipped_by_reason"]),
        captions=Counter(values["captions"]),
    )


_SAME: Final = {f.name for f in fields(Report)} - {"items", "already", "skipped", "captions"}


def options_json(options: Any) -> dict[str, Any]:
    """Options or a source as a report keeps them."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(options).items()}


def _some(names: list[str], count: int) -> str:
    """A few names, and how many more there are."""
    shown = [name if len(name) <= 60 else f"{name[:28]}...{name[-28:]}" for name in names[:SHOWN]]
    more = f" and {count - len(shown):,} more" if count > len(shown) else ""
    return ", ".join(shown) + more
