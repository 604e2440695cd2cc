"""The manifest: which videos to judge, from a table, a folder or a glob. Faults are named before anything starts."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kinds

from model_registry.errors import UsageError
from pipelines.rows import MANIFEST
from pipelines.tables import is_table, read_table

REQUIRED = ("video_id", "uri")


def read_manifest(source: str, limit: int | None = None) -> pa.Table:
    """Read a table, a folder or a glob into MANIFEST columns; raises UsageError.

    Paths in a table that are not absolute start from the current folder.
    """
    if is_table(source):
        return _absolute(_checked(read_table(source), f"manifest {source}", limit))
    return manifest_of_paths([source], limit)


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
    given = ", ".join(map(_text, paths[:3])) + (", …" if len(paths) > 3 else "")
    return _checked(pa.Table.from_pylist(rows, MANIFEST), f"input {given}", limit)


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
    """Every file behind a path."""
    if "://" in path:
        yield _Video(_text(path), _text(path), _text(path))
    elif os.path.isdir(path):
        for file in _files_below(path):
            full = os.path.join(path, file)
            yield _Video(_uri(full), _text(file), _text(full))
    elif os.path.lexists(path):
        yield _Video(_uri(path), _text(path), _text(path))
    else:
        matches = sorted(glob.glob(path, recursive=True))
        if not matches:
            raise UsageError(f"{path!r} is no file, folder or URI, and no file matches it")
        for match in matches:
            yield from _expand(match)


def _files_below(folder: str) -> Iterator[str]:
    """Every file, those of a folder before its subfolders, both in order; links to folders are not followed."""
    for here, folders, files in os.walk(folder, onerror=_refuse_unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith("."):
                yield os.path.relpath(os.path.join(here, name), folder)


def _refuse_unreadable(error: OSError) -> NoReturn:
    raise UsageError(f"folder {_text(str(error.filename))} cannot be read: {error.strerror}") from error


def _text(path: str) -> str:
    """Make a name printable that is not UTF-8 on disk."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _uri(path: str) -> str:
    """A path, absolute; percent-encoded as `file://` where it is not UTF-8."""
    absolute = os.path.abspath(path)
    return absolute if _text(absolute) == absolute else Path(absolute).as_uri()


def _absolute(manifest: pa.Table) -> pa.Table:
    """Workers run in other folders, and so may a later `judge`."""
    uris = [uri if "://" in uri else os.path.abspath(uri) for uri in manifest["uri"].to_pylist()]
    return manifest.set_column(1, MANIFEST.field("uri"), pa.array(uris, pa.string()))


def _checked(table: pa.Table, source: str, limit: int | None) -> pa.Table:
    """Hold the table to MANIFEST, fill what is optional, cut it to `limit` rows."""
    if table.num_rows == 0:
        raise UsageError(f"{source} is empty, wanted at least one video")
    names = Counter(table.column_names)
    if missing := [name for name in REQUIRED if name not in names]:
        raise UsageError(f"{source} lacks {', '.join(missing)}; its columns are {', '.join(names)}")
    if twice := [name for name in MANIFEST.names if names[name] > 1]:
        raise UsageError(f"{source} has more than one column {', '.join(twice)}")
    whole = pa.table([_column(table, field, source) for field in MANIFEST], schema=MANIFEST)
    _refuse_blank_or_repeated(whole, source)
    _refuse_odd_risk(whole, source)
    return whole if limit is None else whole.slice(0, limit)


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


def _refuse_blank_or_repeated(table: pa.Table, source: str) -> None:
    for name in REQUIRED:
        blank = pc.equal(pc.utf8_trim_whitespace(table[name]), "").fill_null(True).to_pylist()
        if any(blank):
            raise UsageError(f"{source}: {name} is empty in row {blank.index(True) + 1}")
    repeated = [video_id for video_id, count in Counter(table["video_id"].to_pylist()).items() if count > 1]
    if repeated:
        raise UsageError(f"{source}: video_id {repeated[0]!r} stands in more than one row ({len(repeated)} ids do)")


def _refuse_odd_risk(table: pa.Table, source: str) -> None:
    odd = [risk for risk in table["account_risk"].to_pylist() if risk is not None and not 0 <= risk <= 1]
    if odd:
        raise UsageError(f"{source}: account_risk is {odd[0]:g} in one row, wanted 0 to 1")
