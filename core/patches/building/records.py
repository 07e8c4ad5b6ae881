"""Tables beside pictures, metadata.jsonl or .csv: what each of their lines says of which picture."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final

from ...types import ConfigError
from .captions import text_of
from .sources import LeftOut, printable

PATH_COLUMNS: Final = ("file_name", "filename", "file", "path", "image", "img", "image_path", "filepath", "image_file")
"""Columns that name a picture's file, the better ones first, in any case."""

TABLES: Final = ("metadata.jsonl", "metadata.csv", "metadata.tsv")
"""Names, in any case, of tables beside the pictures that they tell of."""

TABLE_SUFFIXES: Final = (".jsonl", ".ndjson", ".csv", ".tsv")


class Records:
    """What a table says, by the path of a picture from the table's folder; the table is held as text."""

    def __init__(self, path: Path, left_out: LeftOut) -> None:
        self.name = printable(path.name)
        self._lines: dict[str, str] = {}
        self._used: set[str] = set()
        try:
            for place, record in read_records(path, left_out):
                self._lines.setdefault(normal(place), json.dumps(record, ensure_ascii=False))
        except ConfigError:
            left_out.add("a table that names no pictures, or cannot be read", path.name)

    def get(self, place: str) -> dict[str, Any] | None:
        """What is said of the picture at a path; None when nothing is."""
        line = self._lines.get(key := normal(place))
        if line is None:
            return None
        self._used.add(key)
        found: dict[str, Any] = json.loads(line)
        return found

    def tell_unused(self, left_out: LeftOut) -> None:
        """Count the lines whose picture is not there."""
        for place in self._lines.keys() - self._used:
            left_out.add(f"a line of {self.name} without its picture", place)


def normal(place: str) -> str:
    """One spelling of a relative path."""
    return str(PurePosixPath(place.replace("\\", "/")))


def read_records(path: Path, left_out: LeftOut) -> Iterator[tuple[str, dict[str, Any]]]:
    """Path and columns of every line of a table; ConfigError when it cannot be read or names no pictures."""
    try:
        text = text_of(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{printable(str(path))}: cannot be read ({error.strerror}); check the file") from None
    rows = _rows_of_json(text) if path.suffix.lower() in (".jsonl", ".ndjson") else _rows_of_csv(path, text)
    column = ""
    for number, row in enumerate(rows, 1):
        column = column or _path_column(row or {})
        place = row.get(column) if row else None
        if not isinstance(place, str) or not place:
            left_out.add(f"a line of {printable(path.name)} that names no picture", f"line {number}")
            continue
        yield place, {name: value for name, value in (row or {}).items() if name != column}
    if not column:
        expected = f"expected a column of the pictures' paths, called one of {', '.join(PATH_COLUMNS[:4])}"
        raise ConfigError(f"{printable(str(path))}: got a table without one, {expected}; name it so")


def _path_column(row: Mapping[str, Any]) -> str:
    lower = {name.lower(): name for name in row}
    return next((lower[name] for name in PATH_COLUMNS if name in lower), "")


def _rows_of_json(text: str) -> Iterator[dict[str, Any] | None]:
    """The object of each line, None where it is none."""
    for line in text.split("\n"):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            found = None
        yield found if isinstance(found, dict) else None


def _rows_of_csv(path: Path, text: str) -> Iterator[dict[str, Any] | None]:
    """The columns of each line that are not empty; None for a line that cannot be read."""
    head = text.partition("\n")[0]
    tabs = path.suffix.lower() == ".tsv" or ("\t" in head and "," not in head)
    delimiter = "\t" if tabs else ";" if ";" in head and "," not in head else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        names = next(reader, [])
        for row in reader:
            if row:
                yield {name: value for name, value in zip(names, row, strict=False) if name and value}
    except csv.Error:  # the rest of it cannot be told apart
        yield None
