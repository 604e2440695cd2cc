"""Features on disk, in pieces: finished work is committed whole or not at all, and survives any kill.

A piece is a few Parquet files that share an id, one a kind of what is kept. `windows-<id>` is written last: a piece
without it does not exist. A content is finished once all its windows, from 0 to the one marked `last`, are in some
piece. A run that was killed leaves a content half done at worst; it is done again, and the newest piece with a window
counts.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from model_registry.errors import NightjarError
from pipelines.rows import LINE, PEAK, SIGNAL, THUMBNAIL, VIEW, VOICE, ErrorCode
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
)
RECEIPTS = pa.schema(
    [
        ("content_sha256", pa.string()),
        ("last", pa.bool_()),
        ("frames", pa.int64()),
        ("duration_ms", pa.int64()),
        ("error_code", pa.string()),
        ("busy", BUSY),
    ]
)
OWNER = [("content_sha256", pa.string()), ("window_index", pa.int32())]
FORMAT = 3  # of features: 1 kept `frames` without views, and no peaks; 2 no lines
KINDS = {
    "signals": SIGNAL,
    "views": VIEW,
    "peaks": PEAK,
    "thumbnails": THUMBNAIL,
    "strip": THUMBNAIL,
    "said": LINE,
    "shown": LINE,
    "voices": VOICE,
}
HOW_ENDED = ["content_sha256", "window_index", "last", "duration_ms", "error_code", "error_message"]
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
    reads: tuple[str, ...] = (*ENDS, "frame_ms", *KINDS, "busy", "decode_ms")
    writes: tuple[str, ...] = ("frames",)

    @classmethod
    def of(cls, kinds: tuple[str, ...], folder: str, cpus: float) -> Commit:
        """Keep these kinds only."""
        return cls(kinds=kinds, folder=folder, cpus=cpus, reads=(*ENDS, "frame_ms", *kinds, "busy", "decode_ms"))

    def open(self) -> Work:
        """Nothing to load."""

        def work(table: pa.Table) -> Iterator[pa.Table]:
            write_piece(Path(self.folder), table, self.kinds)
            yield _receipts(table)

        return work


def write_piece(folder: Path, table: pa.Table, kinds: Sequence[str] = tuple(KINDS)) -> None:
    """Commit one table of windows: a file a kind, and `windows` last."""
    folder.mkdir(parents=True, exist_ok=True)
    piece = new_piece()
    for kind in kinds:
        write_whole(folder / f"{kind}-{piece}.parquet", _exploded(table, kind))
    _sync(folder)  # a power cut must not keep the last file and lose the others
    write_whole(folder / f"windows-{piece}.parquet", table.select(list(ENDS)))


def new_piece() -> str:
    """Return an id that no piece has; ids sort by age."""
    return f"{time.time_ns():020d}-{uuid.uuid4().hex[:8]}"


def write_whole(path: Path, table: pa.Table) -> None:
    """Let the file appear under its name only when whole and on disk."""
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        pq.write_table(table, file, compression="zstd")
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


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
        [*(row["busy"] or []), {"stage": "decode", "ms": row["decode_ms"] or 0.0}]
        for row in table.select(["busy", "decode_ms"]).to_pylist()
    ]
    frames = pc.list_value_length(table["frame_ms"]).cast(pa.int64())
    kept = [table[name] for name in ("content_sha256", "last")]
    rest = [table[name] for name in ("duration_ms", "error_code")]
    return pa.table([*kept, frames, *rest, pa.array(busy, BUSY)], schema=RECEIPTS)


@dataclass(frozen=True, slots=True)
class Content:
    """A finished content: where its windows are, and how it ended."""

    duration_ms: int
    error_code: str | None
    error_message: str | None
    pieces: tuple[str, ...]  # by window index: the newest piece that holds it

    @property
    def windows(self) -> int:
        """How many there are, numbered from 0."""
        return len(self.pieces)


class Pieces:
    """All committed pieces of one bundle in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.contents = _finished(folder)

    def settled(self) -> set[str]:
        """Contents that need no second look: finished, and not for a reason of the place they were read from."""
        return {sha256 for sha256, content in self.contents.items() if content.error_code not in PASSING_ERRORS}

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
        return pa.concat_tables([self._rows_in(piece, kind, wanted[piece]) for piece in sorted(wanted)])

    def _rows_in(self, piece: str, kind: str, wanted: set[str]) -> pa.Table:
        """Rows of windows that this piece holds and no newer one does."""
        table = _read(self.folder / f"{kind}-{piece}.parquet")
        table = table.filter(pc.is_in(table["content_sha256"], value_set=pa.array(sorted(wanted), pa.string())))
        owners = zip(table["content_sha256"].to_pylist(), table["window_index"].to_pylist(), strict=True)
        return table.filter(pa.array([self._holds(piece, *owner) for owner in owners], pa.bool_()))

    def _holds(self, piece: str, sha256: str, window_index: int) -> bool:
        pieces = self.contents[sha256].pieces
        return window_index < len(pieces) and pieces[window_index] == piece


def _finished(folder: Path) -> dict[str, Content]:
    """Read the windows of every piece; keep the contents whose windows are all there."""
    seen: dict[str, dict[int, str]] = {}
    ends: dict[str, tuple[int, int, str | None, str | None]] = {}
    for path in sorted(folder.glob("windows-*.parquet"), reverse=True):
        piece = path.stem.removeprefix("windows-")
        columns = (column.to_pylist() for column in _read(path, HOW_ENDED).select(HOW_ENDED).columns)
        for sha256, index, last, duration_ms, code, message in zip(*columns, strict=True):
            if last and sha256 in ends:
                continue  # an earlier attempt ended here, and what is newer goes on
            if last:
                ends[sha256] = (index, duration_ms or 0, code, message)
            seen.setdefault(sha256, {}).setdefault(index, piece)
    found = {sha256: [seen[sha256].get(i) for i in range(end[0] + 1)] for sha256, end in ends.items()}
    return {
        sha256: Content(*ends[sha256][1:], tuple(piece for piece in pieces if piece))
        for sha256, pieces in found.items()
        if None not in pieces
    }


def _read(path: Path, columns: list[str] | None = None) -> pa.Table:
    """Read a committed file; a torn one is named, with what to do about it."""
    try:
        with pq.ParquetFile(path) as file:
            return file.read(columns, use_threads=False)
    except (OSError, pa.ArrowException) as error:
        windows = path.with_name(f"windows-{path.stem.partition('-')[2]}.parquet")
        remedy = f"remove {windows} to have its videos done again"
        raise NightjarError(f"{path} cannot be read ({_first_line(error)}); {remedy}") from error


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
