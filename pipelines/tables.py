"""Manifest tables as people bring them: Parquet, CSV, JSON lines. No row gets lost and no id changes on the way."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from model_registry.errors import UsageError
from pipelines.places import local_path_of, redacted
from pipelines.rows import MANIFEST

TABLES = (".parquet", ".csv", ".jsonl", ".ndjson", ".json")
CHUNK_ROWS = 50_000
COUNTS = {field.name for field in MANIFEST if pa.types.is_integer(field.type)}
SHARES = {field.name for field in MANIFEST if pa.types.is_floating(field.type)}
NUMBERS = COUNTS | SHARES
Row = Mapping[str, object]


def is_table(source: str) -> bool:
    """Tell a table by its name; a folder is one only as `x.parquet`, which is how Spark writes."""
    return source.lower().endswith(".parquet" if os.path.isdir(source) else TABLES)


def read_table(source: str) -> pa.Table:
    """Read a local or a remote table with the columns it has; raises UsageError that names it.

    What a CSV or JSON lines hold arrives as text.
    """
    try:
        if os.path.isdir(source):
            return pq.read_table(source)
        with _opened(source) as file:
            return _read(file, source.lower())
    except UnicodeDecodeError as error:
        raise UsageError(f"manifest {redacted(source)} is not UTF-8 text; save it as UTF-8") from error
    except (OSError, ValueError, ImportError, csv.Error, pa.ArrowException) as error:
        raise UsageError(redacted(f"manifest {source} cannot be read: {_sentence(error)}")) from error


def _opened(source: str) -> IO[bytes]:
    if path := local_path_of(source):
        return path.open("rb")
    import fsspec

    remote: IO[bytes] = fsspec.open(source, "rb").open()
    return remote


def _read(file: IO[bytes], name: str) -> pa.Table:
    if name.endswith(".parquet"):
        return pq.ParquetFile(file).read()
    text = io.TextIOWrapper(file, "utf-8-sig", newline="")
    return _table(_csv_rows(text) if name.endswith(".csv") else _json_rows(text))


def _sentence(error: Exception) -> str:
    known = isinstance(error, OSError) and error.strerror
    return known or (str(error) or type(error).__name__).splitlines()[0]


def _csv_rows(text: Iterable[str]) -> Iterator[Row]:
    """Strict, so that a quote left open is an error and does not swallow the rows after it."""
    lines = csv.reader(text, strict=True)
    header = next(lines, [])
    if repeated := sorted({name for name in header if header.count(name) > 1}):
        raise ValueError(f"column {', '.join(map(repr, repeated))} stands there more than once")
    for values in lines:
        if values and len(values) != len(header):
            raise ValueError(f"line {lines.line_num} has {len(values)} values and the header {len(header)}")
        if values:
            yield dict(zip(header, values, strict=True))


def _json_rows(text: Iterable[str]) -> Iterator[Row]:
    for number, line in enumerate(text, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict):
            raise ValueError(f"line {number} is {line.strip()[:40]!r}, wanted one JSON object a line")
        yield row


def _table(rows: Iterator[Row]) -> pa.Table:
    """Manifest columns as text; other columns are named and left empty."""
    names: dict[str, None] = {}
    blocks: list[pa.Table] = []
    while block := list(islice(rows, CHUNK_ROWS)):
        names |= dict.fromkeys(name for row in block for name in row)
        first = sum(done.num_rows for done in blocks) + 1
        texts = {name: [_text(name, row.get(name), n) for n, row in enumerate(block, first)] for name in MANIFEST.names}
        blocks.append(pa.table({name: pa.array(column, pa.string()) for name, column in texts.items()}))
    whole = pa.concat_tables(blocks) if blocks else pa.table({})
    unread = pa.nulls(whole.num_rows)
    return pa.table({name: whole[name] if name in MANIFEST.names else unread for name in names})


def _text(name: str, value: object, number: int) -> str | None:
    if value is None or isinstance(value, str):
        return None if value == "" and name in NUMBERS else value
    if name in COUNTS and isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, int | float if name in SHARES else int) and not isinstance(value, bool):
        return str(value)
    wanted = "a number" if name in SHARES else "text or a whole number"
    raise ValueError(f"{name} in row {number} is {json.dumps(value)[:40]}, wanted {wanted}")
