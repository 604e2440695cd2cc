"""Features on disk, in pieces: finished work is committed whole or not at all, and survives any kill.

A piece is a few Parquet files that share an id, one a kind of what is kept. `windows-<id>` is written last: a piece
without it does not exist. A content is finished once all its windows, from 0 to the one marked `last`, are in some
piece. A run that was killed leaves a content half done at worst; it is done again, and the newest piece with a window
counts.
"""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from model_registry.errors import NightjarError
from pipelines.places import PART, Place, each, listed, make, opened, place, remove, sync, write_table
from pipelines.rows import FOUND, LINE, PEAK, SIGNAL, STILL, THUMBNAIL, VIEW, VOICE, ErrorCode
from pipelines.stage import BUSY, Stage, Work

ENDS = (
    "content_sha256",
    "window_index",
    "last",
    "start_ms",
    "end_ms",
    "duration_ms",
    "media",
    "decoder",
    "error_code",
    "error_message",
    "attempts",
)
RECEIPTS = pa.schema(
    [
        ("content_sha256", pa.string()),
        ("last", pa.bool_()),
        ("frames", pa.int64()),
        ("duration_ms", pa.int64()),
        ("error_code", pa.string()),
        ("error_message", pa.string()),
        ("busy", BUSY),
    ]
)
OWNER = [("content_sha256", pa.string()), ("window_index", pa.int32())]
ORPHAN_S = 3600.0  # age of files without their `windows` from which on nobody is still writing them
FORMAT = 4  # of features: 1 had no views and no peaks; 2 no lines; 3 no stills, no tracks, nothing found in decoding
KINDS = {
    "signals": SIGNAL,
    "views": VIEW,
    "peaks": PEAK,
    "thumbnails": THUMBNAIL,
    "stills": STILL,
    "said": LINE,
    "shown": LINE,
    "voices": VOICE,
    "found": FOUND,
}
HOW_ENDED = ["content_sha256", "window_index", "last", "duration_ms", "error_code", "error_message", "attempts"]
PASSING_ERRORS = {  # of the place a content was read from, not of the content
    ErrorCode.NOT_FOUND.value,
    ErrorCode.NOT_READABLE.value,
    ErrorCode.FETCH_FAILED.value,
    ErrorCode.CHANGED.value,
}


@dataclass(frozen=True, kw_only=True)
class Commit(Stage):
    """Write what is kept of one block, and hand on a receipt a window."""

    folder: str
    kinds: tuple[str, ...] = tuple(KINDS)
    reads: tuple[str, ...] = (*ENDS, "frame_ms", *KINDS, "busy", "decode_ms", "codes_ms")
    writes: tuple[str, ...] = ("frames",)

    @classmethod
    def of(cls, kinds: tuple[str, ...], folder: str, cpus: float) -> Commit:
        """Keep these kinds only."""
        return cls(
            kinds=kinds, folder=folder, cpus=cpus, reads=(*ENDS, "frame_ms", *kinds, "busy", "decode_ms", "codes_ms")
        )

    def open(self) -> Work:
        """Nothing to load."""

        def work(table: pa.Table) -> Iterator[pa.Table]:
            write_piece(place(self.folder), table, self.kinds)
            yield _receipts(table)

        return work


def write_piece(folder: Place, table: pa.Table, kinds: Sequence[str] = tuple(KINDS)) -> None:
    """Commit one table of windows: a file a kind, and `windows` last."""
    make(folder)
    piece = new_piece()
    for kind in kinds:
        write_table(folder / f"{kind}-{piece}.parquet", _exploded(table, kind))
    sync(folder)  # a power cut must not keep the last file and lose the others
    write_table(folder / f"windows-{piece}.parquet", table.select(list(ENDS)))


def sweep(folder: Place, before_s: float = ORPHAN_S) -> int:
    """Remove what killed runs left half written; return how many files. Whoever calls holds the folder.

    Files of a piece that was never finished go when they are old: a worker of a dead driver may still be at it.
    """
    found = listed(folder, "*")
    pieces = [(path, *path.stem.partition("-")[::2]) for path in found if path.suffix == ".parquet"]
    finished = {piece for _, kind, piece in pieces if kind == "windows"}
    newest = time.time_ns() - int(before_s * 1e9)
    orphans = [(path, piece) for path, kind, piece in pieces if kind in KINDS and piece not in finished]
    unfinished = [path for path in found if path.name.endswith(PART)]
    unfinished += [path for path, piece in orphans if int(piece.partition("-")[0]) < newest]
    for path in unfinished:
        remove(path)
    return len(unfinished)


def new_piece() -> str:
    """Return an id that no piece has; ids sort by age."""
    return f"{time.time_ns():020d}-{uuid.uuid4().hex[:8]}"


def _owners(table: pa.Table, counts: np.ndarray[tuple[int], np.dtype[np.int64]]) -> dict[str, pa.Array]:
    rows = pa.array(np.repeat(np.arange(table.num_rows), counts))
    return {name: table[name].take(rows) for name in ("content_sha256", "window_index")}


def _exploded(table: pa.Table, kind: str) -> pa.Table:
    """One row for each struct of a list column, with the window it belongs to."""
    lists = table[kind].combine_chunks()
    counts = np.asarray(pc.list_value_length(lists).fill_null(0), np.int64)
    structs = lists.flatten()
    return pa.table({**_owners(table, counts), **{name: structs.field(name) for name in KINDS[kind].names}})


def _receipts(table: pa.Table) -> pa.Table:
    busy = [
        [*(row["busy"] or []), *[{"stage": name, "ms": row[f"{name}_ms"] or 0.0} for name in ("decode", "codes")]]
        for row in table.select(["busy", "decode_ms", "codes_ms"]).to_pylist()
    ]
    frames = pc.list_value_length(table["frame_ms"]).cast(pa.int64())
    kept = [table[name] for name in ("content_sha256", "last")]
    rest = [table[name] for name in ("duration_ms", "error_code", "error_message")]
    return pa.table([*kept, frames, *rest, pa.array(busy, BUSY)], schema=RECEIPTS)


@dataclass(frozen=True, slots=True)
class Content:
    """A finished content: where its windows are, and how it ended."""

    duration_ms: int
    error_code: str | None
    error_message: str | None
    attempts: int  # how often it was tried, and how often a worker died or failed at it
    pieces: tuple[str, ...]  # by window index: the newest piece that holds it

    @property
    def windows(self) -> int:
        """How many there are, numbered from 0."""
        return len(self.pieces)


class Pieces:
    """All committed pieces of one bundle in one folder."""

    def __init__(self, folder: Place) -> None:
        self.folder = folder
        self.contents = _finished(folder)

    def only(self, contents: Iterable[str]) -> Self:
        """The same with some contents, as a worker is sent it."""
        some = copy(self)
        some.contents = {sha256: self.contents[sha256] for sha256 in contents if sha256 in self.contents}
        return some

    def settled(self) -> set[str]:
        """Contents that need no second look: finished, and not for a reason of the place they were read from."""
        return {sha256 for sha256, content in self.contents.items() if content.error_code not in PASSING_ERRORS}

    def examined(self) -> set[str]:
        """Contents that were wholly looked at."""
        return {sha256 for sha256, content in self.contents.items() if content.error_code is None}

    def rows(self, kind: str, contents: Iterable[str]) -> pa.Table:
        """Return the rows of one kind of some contents, each row once.

        Only the pieces that hold these contents are read.
        """
        wanted: dict[str, set[str]] = {}
        for sha256 in contents:
            for piece in self.contents[sha256].pieces:
                wanted.setdefault(piece, set()).add(sha256)
        if not wanted:
            return pa.schema([*OWNER, *KINDS[kind]]).empty_table()
        pieces = sorted(wanted)
        tables = each(_read, [self.folder / f"{kind}-{piece}.parquet" for piece in pieces])
        return pa.concat_tables(
            [self._held(table, piece, wanted[piece]) for piece, table in zip(pieces, tables, strict=True)]
        )

    def _held(self, table: pa.Table, piece: str, wanted: set[str]) -> pa.Table:
        """Rows of windows that this piece holds and no newer one does."""
        table = table.filter(pc.is_in(table["content_sha256"], value_set=pa.array(sorted(wanted), pa.string())))
        owners = zip(table["content_sha256"].to_pylist(), table["window_index"].to_pylist(), strict=True)
        return table.filter(pa.array([self._holds(piece, *owner) for owner in owners], pa.bool_()))

    def _holds(self, piece: str, sha256: str, window_index: int) -> bool:
        pieces = self.contents[sha256].pieces
        return window_index < len(pieces) and pieces[window_index] == piece


class _Ended(NamedTuple):
    """How one window ended; of the last one, how the content did."""

    piece: str
    duration_ms: int | None
    error_code: str | None
    error_message: str | None


def _finished(folder: Place) -> dict[str, Content]:
    """Read the windows of every piece; keep the contents whose windows are all there."""
    seen: dict[str, dict[int, _Ended]] = {}
    ends: dict[str, tuple[int, _Ended]] = {}
    attempts: Counter[str] = Counter()
    paths = listed(folder, "windows-*.parquet")[::-1]
    for path, columns in zip(paths, each(_how_ended, paths), strict=True):
        piece = path.stem.removeprefix("windows-")
        for sha256, index, last, *ended, tries in zip(*columns, strict=True):
            attempts[sha256] += max(bool(last), tries or 0)
            window = _Ended(piece, *ended)
            if last and ends.setdefault(sha256, (index, window))[1] is not window:
                continue  # an earlier attempt ended here, and what is newer goes on
            seen.setdefault(sha256, {}).setdefault(index, window)
    found = {sha256: [seen[sha256].get(i) for i in range(end[0] + 1)] for sha256, end in ends.items()}
    return {
        sha256: _content(ends[sha256][1], [window for window in windows if window], attempts[sha256])
        for sha256, windows in found.items()
        if None not in windows
    }


def _how_ended(path: Place) -> list[list[Any]]:
    table = _read(path, HOW_ENDED)
    if "attempts" not in table.column_names:  # pieces of before they were counted
        table = table.append_column("attempts", pa.nulls(table.num_rows, pa.int32()))
    return [column.to_pylist() for column in table.select(HOW_ENDED).columns]


def _content(end: _Ended, windows: Sequence[_Ended], attempts: int) -> Content:
    """A content ended as its last window did, unless an earlier one could not be examined."""
    failed = next((window for window in (end, *windows) if window.error_code), end)
    pieces = tuple(window.piece for window in windows)
    return Content(end.duration_ms or 0, failed.error_code, failed.error_message, attempts, pieces)


def _read(path: Place, columns: list[str] | None = None) -> pa.Table:
    """Read a committed file; a torn one is named, with what to do about it."""
    try:
        with opened(path) as source, pq.ParquetFile(source) as file:
            return file.read(columns, use_threads=False)
    except (OSError, pa.ArrowException) as error:
        windows = path.with_name(f"windows-{path.stem.partition('-')[2]}.parquet")
        remedy = f"remove {windows} to have its videos done again"
        raise NightjarError(f"{path} cannot be read ({_first_line(error)}); {remedy}") from error


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
