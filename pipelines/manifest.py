"""The manifest: which videos to judge, from a table, a folder or a glob. Faults are named before anything starts."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet as pq

from model_registry.errors import UsageError
from pipelines.rows import MANIFEST

TABLES = (".parquet", ".csv", ".jsonl", ".ndjson", ".json")
REQUIRED = ("video_id", "uri")


def read_manifest(source: str, limit: int | None = None) -> pa.Table:
    """Read a table, a folder or a glob into MANIFEST columns; raises UsageError."""
    if source.lower().endswith(TABLES):
        return _checked(_read_table(source), source, limit)
    return manifest_of_paths([source], limit)


def manifest_of_paths(paths: Sequence[str], limit: int | None = None) -> pa.Table:
    """Make a manifest of files, folders, globs and URIs.

    `video_id` is the path as given, or relative to the folder given; where two folders have the same relative
    path, the folder stays in front.
    """
    found = [pair for path in paths for pair in _expand(path)]
    short = [name for _, name, _ in found]
    repeated = {name for name in short if short.count(name) > 1} if len(set(short)) < len(short) else set()
    rows = [{"video_id": full if name in repeated else name, "uri": uri} for full, name, uri in found]
    return _checked(pa.Table.from_pylist(rows, MANIFEST), ", ".join(paths), limit)


def _expand(path: str) -> Iterator[tuple[str, str, str]]:
    """Yield (name with the folder as given, short name, uri) of every file behind a path."""
    if "://" in path:
        yield path, path, path
    elif os.path.isdir(path):
        for file in _files_below(path):
            yield _text(os.path.join(path, file)), _text(file), _uri(os.path.join(path, file))
    elif os.path.lexists(path):
        yield _text(path), _text(path), _uri(path)
    else:
        matches = sorted(glob.glob(path, recursive=True))
        if not matches:
            raise UsageError(f"{path!r} is no file, folder or URI, and no file matches it")
        for match in matches:
            yield from _expand(match)


def _files_below(folder: str) -> Iterator[str]:
    """Every file in order, hidden ones left out; links to folders are not followed."""
    for here, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith("."):
                yield os.path.relpath(os.path.join(here, name), folder)


def _text(path: str) -> str:
    """Make a name printable that is not UTF-8 on disk."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _uri(path: str) -> str:
    """A path, absolute; percent-encoded as `file://` where it is not UTF-8."""
    absolute = os.path.abspath(path)
    return absolute if _text(absolute) == absolute else Path(absolute).as_uri()


def _read_table(source: str) -> pa.Table:
    try:
        if source.lower().endswith(".parquet"):
            return pq.read_table(source)
        if source.lower().endswith(".csv"):
            strings = {name: pa.string() for name in MANIFEST.names if name != "views"}
            options = pyarrow.csv.ConvertOptions(column_types=strings | {"views": pa.int64()})
            return pyarrow.csv.read_csv(source, convert_options=options)
        return pyarrow.json.read_json(source)
    except (OSError, pa.ArrowInvalid) as error:
        raise UsageError(f"manifest {source} cannot be read: {str(error).splitlines()[0]}") from error


def _checked(table: pa.Table, source: str, limit: int | None) -> pa.Table:
    """Hold the table to MANIFEST, fill what is optional, cut it to `limit` rows."""
    if missing := [name for name in REQUIRED if name not in table.column_names]:
        raise UsageError(
            f"manifest {source} lacks {', '.join(missing)}; its columns are {', '.join(table.column_names)}"
        )
    if table.num_rows == 0:
        raise UsageError(f"manifest {source} is empty")
    columns = [_column(table, field, source) for field in MANIFEST]
    whole = pa.table(columns, schema=MANIFEST)
    _refuse_blank_or_repeated(whole, source)
    return whole if limit is None else whole.slice(0, limit)


def _column(table: pa.Table, field: pa.Field, source: str) -> pa.ChunkedArray:
    if field.name not in table.column_names:
        return pa.chunked_array([pa.nulls(table.num_rows, field.type)])
    try:
        return table[field.name].cast(field.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        found = table[field.name].type
        raise UsageError(f"manifest {source}: column {field.name} is {found}, wanted {field.type}") from error


def _refuse_blank_or_repeated(table: pa.Table, source: str) -> None:
    for name in REQUIRED:
        blank = pc.or_kleene(pc.is_null(table[name]), pc.equal(table[name], "")).to_pylist()
        if any(blank):
            raise UsageError(f"manifest {source}: {name} is empty in row {blank.index(True) + 1}")
    counts = table["video_id"].value_counts()
    repeated = [row["values"] for row in counts.to_pylist() if row["counts"] > 1] if len(counts) < len(table) else []
    if repeated:
        raise UsageError(
            f"manifest {source}: video_id {repeated[0]!r} stands in more than one row ({len(repeated)} ids do)"
        )
