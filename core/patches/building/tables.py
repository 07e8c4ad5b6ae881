"""Pictures in tables: Parquet files, and folders that the library `datasets` has saved (Arrow)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from ...inputs.formats import PictureError
from ...types import ConfigError
from .folders import unwanted
from .records import PATH_COLUMNS
from .sources import SPAN, Item, LeftOut, SourceChoice, Span, failing, plain_stem, printable, read_file

IMAGE_COLUMNS: Final = (
    "image",
    "img",
    "picture",
    "photo",
    "jpg",
    "jpeg",
    "png",
    "webp",
    "image_bytes",
    "bytes",
    "content",
)
"""Columns of pictures, the better ones first, in any case."""

ROWS: Final = 64
"""How many rows of a Parquet file are held at a time."""

Batches = Callable[[Path, int, int], Iterator[pa.RecordBatch]]


class TableSource:
    """Rows of files that Arrow reads, one picture each."""

    def __init__(self, choice: SourceChoice, root: Path, places: Sequence[str], name: str, arrow: bool = False) -> None:
        """arrow: whether the files are Arrow streams, as `datasets` saves them, and not Parquet."""
        self.root, self.places, self.name, self._arrow = root, places, name, arrow
        self._choice = choice

    def spans(self, left_out: LeftOut) -> Iterator[Span]:
        """See `Source`: reads what the files say of themselves."""
        for place in self.places:
            path = self.root / place
            try:
                schema, counts = _arrow_counts(path) if self._arrow else _parquet_counts(path)
            except (pa.ArrowException, OSError) as error:
                left_out.add(f"a table that cannot be read ({_said(error)})", place)
                continue
            image_column(schema, self._choice.image_column, place)
            first = 0
            for count in counts:
                for start in range(0, count, SPAN):
                    yield Span(place, first + start, min(SPAN, count - start))
                first += count

    def items(self, span: Span) -> Iterator[Item]:
        """See `Source`."""
        done = 0
        try:
            for number, row, column in self._rows(span):
                yield self._item(span, number, row, column)
                done += 1
        except (pa.ArrowException, OSError) as error:
            reason = PictureError(f"the table cannot be read ({_said(error)})", "in a damaged table")
            for number in range(span.first + done, span.first + span.count):
                yield Item(f"{printable(span.place)}#{number}", failing(reason), "")

    def _rows(self, span: Span) -> Iterator[tuple[int, dict[str, Any], str]]:
        """Number, values and image column of every row of a span."""
        path = self.root / span.place
        batches = _arrow_rows(path, span) if self._arrow else _parquet_rows(path, span)
        number = span.first
        for batch in batches:
            column = image_column(batch.schema, self._choice.image_column, span.place)
            labels = _labels(batch.schema)
            for at in range(batch.num_rows):
                yield number, _row(batch, at, labels), column
                number += 1

    def _item(self, span: Span, number: int, row: dict[str, Any], column: str) -> Item:
        value = row.pop(column, None)
        place, read = _reader(value, (self.root / span.place).parent)
        name = f"{span.place}#{number}"
        why = unwanted(place or name, self._choice) if self._choice.include or self._choice.exclude else ""
        if why:
            read = failing(PictureError(why, why))
        return Item(printable(name), read, plain_stem(place), (), row)


def dataset_source(choice: SourceChoice) -> TableSource:
    """A folder of `save_to_disk`, with one split or several; ConfigError when its lists cannot be read."""
    root = Path(choice.path)
    places = []
    splits = _json(root / "dataset_dict.json").get("splits") if (root / "dataset_dict.json").is_file() else [""]
    for split in splits if isinstance(splits, list) else []:
        state = root / str(split) / "state.json"
        for file in _json(state).get("_data_files", []):
            places.append(f"{split}/{file['filename']}" if split else str(file["filename"]))
    if not places:
        raise ConfigError(f"images: got {printable(choice.path)!r} without data files, expected those of save_to_disk")
    return TableSource(choice, root, places, printable(root.resolve().name), arrow=True)


def image_column(schema: pa.Schema, wanted: str, place: str) -> str:
    """The column of the pictures: the wanted one, one of structs with bytes, of bytes, or of paths; ConfigError."""
    if wanted and wanted in schema.names:
        return wanted
    lower = {name.lower(): name for name in reversed(schema.names)}
    known = [lower[name] for name in (*IMAGE_COLUMNS, *PATH_COLUMNS) if name in lower]
    for fits, names in ((_is_struct, schema.names), (_is_bytes, schema.names), (_is_text, [])):
        for name in [*known, *names] if not wanted else []:
            if fits(schema.field(name).type):
                return str(name)
    expected = f"expected {wanted!r}" if wanted else "expected one of pictures; name it by --image-column"
    raise ConfigError(f"{printable(place)}: got the columns {', '.join(schema.names)[:200]}, {expected}")


def _is_struct(kind: pa.DataType) -> bool:
    """Whether values are pictures as `datasets` keeps them: bytes, path."""
    names = {kind.field(number).name for number in range(kind.num_fields)} if pa.types.is_struct(kind) else set()
    return "bytes" in names


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _reader(value: Any, folder: Path) -> tuple[str, Callable[[], bytes]]:
    """The path that a value names, "" for none, and what reads its picture."""
    if isinstance(value, Mapping):
        place = value.get("path") or ""
        place = place if isinstance(place, str) else ""
        if isinstance(value.get("bytes"), bytes):
            return place, partial(_given, value["bytes"])
        value = place
    if isinstance(value, bytes):
        return "", partial(_given, value)
    if not isinstance(value, str) or not value:
        return "", failing(PictureError("got no picture in this row", "a row without a picture"))
    if "://" in value[:12]:
        message = f"got the address {value:.80}, expected a picture; fetch it first, with img2dataset for instance"
        return value, failing(PictureError(message, "an address, and no picture"))
    return value, partial(read_file, folder / value)


def _given(data: bytes) -> bytes:
    return data


def _row(batch: pa.RecordBatch, at: int, labels: Mapping[str, list[str]]) -> dict[str, Any]:
    """The values of a row; a number of a label as its name, and nothing for what is no text."""
    row = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            value = column[at].as_py()
        except (ValueError, OverflowError):  # text that is no UTF-8, times out of range
            value = None
        names = labels.get(name, ())
        row[name] = names[value] if isinstance(value, int) and 0 <= value < len(names) else value
    return row


def _labels(schema: pa.Schema) -> dict[str, list[str]]:
    """Names of the numbers in columns of labels, as `datasets` notes them."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {
            name: [str(label) for label in kind["names"]]
            for name, kind in features.items()
            if isinstance(kind, dict) and kind.get("_type") == "ClassLabel" and isinstance(kind.get("names"), list)
        }
    except (KeyError, TypeError, ValueError, AttributeError):
        return {}


def _parquet_counts(path: Path) -> tuple[pa.Schema, list[int]]:
    """The columns of a Parquet file, and how many rows each of its groups has."""
    with pq.ParquetFile(path) as file:
        groups = file.metadata
        return file.schema_arrow, [groups.row_group(number).num_rows for number in range(groups.num_row_groups)]


def _parquet_rows(path: Path, span: Span) -> Iterator[pa.RecordBatch]:
    """The rows of a span, which lies within one group."""
    with pq.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False) as file:
        begin, group = 0, 0
        while begin + (rows := file.metadata.row_group(group).num_rows) <= span.first:
            begin, group = begin + rows, group + 1
        batches = file.iter_batches(ROWS, row_groups=[group], use_threads=False)
        yield from _cut(batches, span.first - begin, span.count)


def _arrow_counts(path: Path) -> tuple[pa.Schema, list[int]]:
    """The columns of an Arrow file, and how many rows its batches have together, a span's worth each."""
    with pa.memory_map(str(path)) as mapped:
        reader = _arrow_reader(mapped)
        total = sum(batch.num_rows for batch in reader)
        return reader.schema, [total]


def _arrow_rows(path: Path, span: Span) -> Iterator[pa.RecordBatch]:
    with pa.memory_map(str(path)) as mapped:
        yield from _cut(_arrow_reader(mapped), span.first, span.count)


def _arrow_reader(mapped: pa.MemoryMappedFile) -> pa.RecordBatchStreamReader:
    return pa.ipc.open_stream(mapped)


def _cut(batches: Iterator[pa.RecordBatch], first: int, count: int) -> Iterator[pa.RecordBatch]:
    """The rows from `first` on, that many, of batches."""
    for batch in batches:
        if first < batch.num_rows and count > 0:
            found = batch.slice(first, count)
            yield found
            count -= found.num_rows
        first = max(0, first - batch.num_rows)
        if count <= 0:
            return


def _json(path: Path) -> dict[str, Any]:
    """The object in a file; ConfigError for anything else."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(f"{printable(str(path))}: cannot be read ({_said(error)}); save the dataset again") from None
    return found if isinstance(found, dict) else {}


def _said(error: Exception) -> str:
    reason = getattr(error, "strerror", None) or str(error)
    return " ".join(reason.split())[:80] or type(error).__name__
