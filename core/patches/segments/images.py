"""The table of a segment's images, as a Parquet file: written in groups of rows, read a group at a time."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ...inputs.arrays import unreadable
from ...types import ConfigError, DatabaseError
from ..protocol import ImageInfo

ROWS: Final = 4096
"""Rows of a group: as many are read for one."""
GROUPS_KEPT: Final = 16
LARGEST_GROUP: Final = 512 << 20
INFO: Final = ("caption", "style", "concept", "source")
FIXED: Final = (*INFO, "licence", "sha256", "bytes", "width", "height")
_NUMBERS: Final = ("bytes", "width", "height")
_REMEDY: Final = "copy it again"

Value = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class ImageRow:
    """All that is said of an image.

    licence: of the picture; sha256: of the file that it came from, in hexadecimal; bytes: size of that file; width and
    height: of the picture in it, in pixels; extra: values of the extra columns. "" and 0 stand for what is not known.
    """

    info: ImageInfo
    licence: str = ""
    sha256: str = ""
    bytes: int = 0
    width: int = 0
    height: int = 0
    extra: Mapping[str, Value] = field(default_factory=dict)


def check_columns(columns: Mapping[str, str]) -> None:
    """ConfigError for extra columns whose names are taken."""
    if taken := sorted(set(columns) & set(FIXED)):
        raise ConfigError(f"columns: got {taken[0]!r}, which every image table has; give it another name")


class TableWriter:
    """Writes rows as they come; every group but the last has ROWS, so that the file does not depend on the batches."""

    def __init__(self, path: Path, columns: Mapping[str, str]) -> None:
        import pyarrow.parquet as parquet  # noqa: PLC0415

        check_columns(columns)
        self._columns, self._waiting = columns, list[ImageRow]()
        self._schema = _schema(columns)
        self._writer = parquet.ParquetWriter(path, self._schema, compression="zstd")

    def add(self, rows: Sequence[ImageRow]) -> None:
        """Write some more; DatabaseError for a value of another type than its column."""
        self._waiting.extend(rows)
        while len(self._waiting) >= ROWS:
            self._flush(ROWS)

    def close(self) -> None:
        """Write what waits, and end the file."""
        if self._waiting:
            self._flush(len(self._waiting))
        self._writer.close()

    def _flush(self, count: int) -> None:
        """Write the first ones that wait as one group."""
        import pyarrow as pa  # noqa: PLC0415

        rows, self._waiting = self._waiting[:count], self._waiting[count:]
        values = [[getattr(row.info, name) for row in rows] for name in INFO]
        values += [[getattr(row, name) for row in rows] for name in FIXED[len(INFO) :]]
        values += [[row.extra.get(name) for row in rows] for name in self._columns]
        try:
            arrays = [pa.array(column, field.type) for column, field in zip(values, self._schema, strict=True)]
        except (pa.ArrowException, UnicodeError, OverflowError, TypeError, ValueError) as error:
            raise DatabaseError(f"images: got a value that does not fit its column ({error!s:.120}); mend it") from None
        self._writer.write_table(pa.table(arrays, schema=self._schema), row_group_size=count)


class ImageTable:
    """Reads the rows of a segment; keeps the last few groups. Safe to share between threads."""

    def __init__(self, path: Path, images: int, columns: Mapping[str, str]) -> None:
        """DatabaseError for a file that is no table of that many images and of these columns."""
        import pyarrow.parquet as parquet  # noqa: PLC0415

        self._path, self._columns = path, columns
        try:
            self._file = parquet.ParquetFile(path, memory_map=True)
            schema, groups = self._file.schema_arrow, self._file.metadata
        except Exception as error:  # a damaged file raises nearly anything
            raise unreadable(path, error, "patch database", _REMEDY) from error
        if groups.num_rows != images or schema.remove_metadata() != _schema(columns):
            raise DatabaseError(
                f"{path}: got {groups.num_rows} rows {schema.names}, expected {images} of the manifest's"
            )
        sizes = [groups.row_group(i).num_rows for i in range(groups.num_row_groups)]
        if sizes != [ROWS] * (images // ROWS) + [images % ROWS] * (images % ROWS > 0):
            raise DatabaseError(f"{path}: got groups of other than {ROWS} rows; build it again")
        self._groups: OrderedDict[int, Any] = OrderedDict()
        self._lock = threading.Lock()

    def info(self, row: int) -> ImageInfo:
        """What traces and the page say of an image."""
        table = self._known(row // ROWS)
        return ImageInfo(*(table.column(name)[row % ROWS].as_py() for name in INFO))

    def row(self, row: int) -> ImageRow:
        """All that is said of an image."""
        return next(self.rows(row, row + 1))

    def rows(self, first: int, last: int) -> Iterator[ImageRow]:
        """Rows first..last - 1, a group at a time."""
        for group in range(first // ROWS, -(-last // ROWS)):
            with self._lock:
                table = self._read(group, None)
            start = group * ROWS
            part = table.slice(max(first - start, 0), min(last - start, ROWS) - max(first - start, 0))
            for values in part.to_pylist():
                info = ImageInfo(*(values[name] for name in INFO))
                known = {name: values[name] for name in FIXED[len(INFO) :]}
                yield ImageRow(info, **known, extra={name: values[name] for name in self._columns})

    def column(self, name: str, group: int) -> Any:
        """One column of one group as a pyarrow array; reads nothing else."""
        with self._lock:
            return self._read(group, [name]).column(name)

    @property
    def groups(self) -> int:
        """How many groups of rows there are."""
        return int(self._file.metadata.num_row_groups)

    def _known(self, group: int) -> Any:
        """What ImageInfo holds of a group, from those that are kept or from the file."""
        with self._lock:
            if group not in self._groups:
                self._groups[group] = self._read(group, list(INFO))
                if len(self._groups) > GROUPS_KEPT:
                    self._groups.popitem(last=False)
            self._groups.move_to_end(group)
            return self._groups[group]

    def _read(self, group: int, columns: list[str] | None) -> Any:
        """Some columns of a group; DatabaseError when they cannot be read, or claim to be enormous."""
        if self._file.metadata.row_group(group).total_byte_size > LARGEST_GROUP:
            raise DatabaseError(f"{self._path}: got more than {LARGEST_GROUP >> 20} MB in {ROWS} rows; {_REMEDY}")
        try:
            return self._file.read_row_group(group, columns, use_threads=False)
        except Exception as error:
            raise unreadable(self._path, error, "patch database", _REMEDY) from error


def _schema(columns: Mapping[str, str]) -> Any:
    """Schema of the table with its extra columns."""
    import pyarrow as pa  # noqa: PLC0415

    kinds = {"text": pa.string(), "whole": pa.int64(), "number": pa.float64(), "truth": pa.bool_()}
    fixed = [pa.field(name, pa.int64() if name in _NUMBERS else pa.string(), nullable=False) for name in FIXED]
    return pa.schema([*fixed, *(pa.field(name, kinds[kind]) for name, kind in columns.items())])
