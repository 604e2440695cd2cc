"""The manifest: which videos to judge, from a table, a folder or a glob. Faults are named before anything starts."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kinds

from model_registry.errors import UsageError
from pipelines.listing import (
    WITHOUT_FOLDERS,
    files_below,
    here,
    is_folder,
    is_glob,
    is_remote,
    matches,
    printable,
)
from pipelines.places import redacted
from pipelines.rows import MANIFEST
from pipelines.tables import is_table, read_table

REQUIRED = ("video_id", "uri")


def read_manifest(source: str, limit: int | None = None) -> pa.Table:
    """Read a table, a folder or a glob into MANIFEST columns; raises UsageError.

    A folder that holds tables is their union, another is the videos in it. Paths in a table that are not absolute
    start from the current folder.
    """
    if is_table(source) and not (is_remote(source) and source.endswith(".parquet") and is_folder(source)):
        return _absolute(_checked(_read([source]), f"manifest {redacted(source)}", limit))
    if is_folder(source):
        inside = source if source.endswith("/") else f"{source}/"
        if parts := [inside + file for file in files_below(source) if _is_part(file)]:
            return _absolute(_checked(_read(parts), f"manifest {redacted(printable(source))}", limit))
        source = inside if is_remote(source) else source
    return manifest_of_paths([source], limit)


def _is_part(file: str) -> bool:
    """Whether a file below a manifest's folder is a table of it, not a mark or a temporary file of its writer."""
    return is_table(file) and not any(part.startswith("_") for part in file.split("/"))


def _read(sources: Iterable[str]) -> Iterator[_Part]:
    return (_Part(f"manifest {redacted(printable(source))}", read_table(source)) for source in sources)


def manifest_of_paths(paths: Sequence[str], limit: int | None = None) -> pa.Table:
    """Make a manifest of files, folders, globs and URIs.

    `video_id` is the path as given, or relative to the folder given; where two folders have the same relative
    path, the folder stays in front. A file that is given twice is one row.
    """
    by_uri: dict[str, _Video] = {}
    for path in paths:
        for video in _expand(path):
            by_uri.setdefault(video.uri, video)
    names = _unique_names(list(by_uri.values()))
    rows = [{"video_id": name, "uri": uri} for name, uri in zip(names, by_uri, strict=True)]
    given = ", ".join(redacted(printable(path)) for path in paths[:3]) + (", …" if len(paths) > 3 else "")
    return _checked([_Part(f"input {given}", pa.Table.from_pylist(rows, MANIFEST))], f"input {given}", limit)


class _Part(NamedTuple):
    name: str  # as errors call it
    table: pa.Table


class _Video(NamedTuple):
    uri: str
    name: str  # relative to the folder given
    full: str  # with the folder as given


def _unique_names(videos: Sequence[_Video]) -> list[str]:
    """Short names where they are unique, else with the folder as given, else the URI."""
    names = [video.name for video in videos]
    for longer in ([video.full for video in videos], [video.uri for video in videos]):
        counts = Counter(names)
        names = [long if counts[name] > 1 else name for name, long in zip(names, longer, strict=True)]
    return names


def _expand(path: str) -> Iterator[_Video]:
    """Every file behind a path. A URI that ends in / is a folder, one with *, ? or [ a glob, others are videos."""
    local = here(path)
    if is_remote(path):
        yield from _expand_remote(path)
    elif os.path.isdir(local):
        for file in _videos_below(local):
            full = os.path.join(local, file)
            yield _Video(_uri(full), printable(file), printable(full))
    elif "://" in path:
        yield _Video(printable(path), printable(path), printable(path))
    elif os.path.lexists(path):
        yield _Video(_uri(path), printable(path), printable(path))
    else:
        yield from _expand_matches(path)


def _expand_remote(uri: str) -> Iterator[_Video]:
    if is_glob(uri):
        yield from _expand_matches(uri)
    elif uri.endswith("/") and not uri.startswith(WITHOUT_FOLDERS):
        for file in _videos_below(uri):
            full = f"{uri.rstrip('/')}/{file}"
            yield _Video(full, file, full)
    else:
        yield _Video(printable(uri), printable(uri), printable(uri))


def _expand_matches(pattern: str) -> Iterator[_Video]:
    found = matches(pattern)
    if not found:
        raise UsageError(f"{pattern!r} is no file, folder or URI, and no file matches it")
    for match in found:
        yield from _expand(f"{match}/" if is_remote(match) and is_folder(match) else match)


def _videos_below(folder: str) -> Iterator[str]:
    """Every file but the marks that writers leave: `_SUCCESS` and others that start with _ and have no suffix."""
    return (file for file in files_below(folder) if not _is_mark(file.rpartition("/")[2]))


def _is_mark(name: str) -> bool:
    return name.startswith("_") and "." not in name


def _uri(path: str) -> str:
    """A path, absolute; percent-encoded as `file://` where it is not UTF-8."""
    absolute = os.path.abspath(path)
    return absolute if printable(absolute) == absolute else Path(absolute).as_uri()


def _absolute(manifest: pa.Table) -> pa.Table:
    """Workers run in other folders, and so may a later `judge`."""
    uris = [uri if "://" in uri else os.path.abspath(uri) for uri in manifest["uri"].to_pylist()]
    return manifest.set_column(1, MANIFEST.field("uri"), pa.array(uris, pa.string()))


def _checked(parts: Iterable[_Part], source: str, limit: int | None) -> pa.Table:
    """Hold every part to MANIFEST and their union to unique ids, cut it to `limit` rows."""
    parts = [_Part(part.name, _in_order(part)) for part in parts if part.table.num_rows]
    if not parts:
        raise UsageError(f"{source} is empty, wanted at least one video")
    whole = pa.concat_tables(part.table for part in parts)
    _refuse_repeated(parts, whole, source)
    return whole if limit is None else whole.slice(0, limit)


def _in_order(part: _Part) -> pa.Table:
    """The columns of MANIFEST, those that are optional filled."""
    source, table = part
    names = Counter(table.column_names)
    if missing := [name for name in REQUIRED if name not in names]:
        raise UsageError(f"{source} lacks {', '.join(missing)}; its columns are {', '.join(names)}")
    if twice := [name for name in MANIFEST.names if names[name] > 1]:
        raise UsageError(f"{source} has more than one column {', '.join(twice)}")
    whole = pa.table([_column(table, field, source) for field in MANIFEST], schema=MANIFEST)
    _refuse_blank(whole, source)
    _refuse_odd_risk(whole, source)
    return whole


def _column(table: pa.Table, field: pa.Field, source: str) -> pa.ChunkedArray:
    if field.name not in table.column_names:
        return pa.chunked_array([pa.nulls(table.num_rows, field.type)])
    found = table[field.name]
    try:
        if field.type == pa.string() and not _reads_as_text(found.type, field.name):
            raise pa.ArrowInvalid("it would not read the same as text")
        return found.cast(field.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        cause = f"wanted {field.type} ({str(error).splitlines()[0]})"
        raise UsageError(f"{source}: column {field.name} is {found.type}, {cause}") from error


def _reads_as_text(kind: pa.DataType, name: str) -> bool:
    """Whole numbers do, and times where a time is wanted; 12345678.0 would become 1.2345678e+07."""
    kind = kind.value_type if kinds.is_dictionary(kind) else kind
    plain = kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_string_view(kind) or kinds.is_null(kind)
    return plain or kinds.is_integer(kind) or (name == "uploaded_at" and kinds.is_temporal(kind))


def _refuse_blank(table: pa.Table, source: str) -> None:
    for name in REQUIRED:
        blank = pc.equal(pc.utf8_trim_whitespace(table[name]), "").fill_null(True).to_pylist()
        if any(blank):
            raise UsageError(f"{source}: {name} is empty in row {blank.index(True) + 1}")


def _refuse_repeated(parts: Sequence[_Part], whole: pa.Table, source: str) -> None:
    repeated = [video_id for video_id, count in Counter(whole["video_id"].to_pylist()).items() if count > 1]
    if repeated:
        holders = [part.name for part in parts if repeated[0] in part.table["video_id"].to_pylist()]
        where = f", in {' and '.join(name.rpartition('/')[2] for name in holders)}" if len(holders) > 1 else ""
        rows = f"stands in more than one row{where}"
        raise UsageError(f"{source}: video_id {repeated[0]!r} {rows} ({len(repeated)} ids do)")


def _refuse_odd_risk(table: pa.Table, source: str) -> None:
    odd = [risk for risk in table["account_risk"].to_pylist() if risk is not None and not 0 <= risk <= 1]
    if odd:
        raise UsageError(f"{source}: account_risk is {odd[0]:g} in one row, wanted 0 to 1")
