"""Features on disk, in pieces: finished work is committed whole or not at all, and survives any kill.

A piece is four Parquet files that share an id. `windows-<id>` is written last: a piece without it does not
exist. A content is finished once all its windows, from 0 to the one marked `last`, are in some piece. A run that
was killed leaves a content half done at worst; it is done again, and the newest piece with a window counts.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pd
import pyarrow.parquet as pq

from pipelines.rows import SIGNAL, THUMBNAIL, ErrorCode, vectors_of
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


PASSING_ERRORS = {
    ErrorCode.NOT_FOUND.value,
    ErrorCode.NOT_READABLE.value,
    ErrorCode.FETCH_FAILED.value,
    ErrorCode.CHANGED.value,
}


@dataclass(frozen=True, kw_only=True)
class Commit(Stage):
    """Write windows, frames, signals and thumbnails of one block, and hand on a receipt a window."""

    folder: str
    reads: tuple[str, ...] = (*ENDS, "frame_ms", "embedding_TD", "signals", "thumbnails", "busy", "decode_ms")
    writes: tuple[str, ...] = ("frames",)

    def open(self) -> Work:
        """Nothing to load."""

        def work(table: pa.Table) -> Iterator[pa.Table]:
            write_piece(Path(self.folder), table)
            yield _receipts(table)

        return work


def write_piece(folder: Path, table: pa.Table) -> None:
    """Commit one table of windows."""
    folder.mkdir(parents=True, exist_ok=True)
    piece = f"{time.time_ns():020d}-{uuid.uuid4().hex[:8]}"  # the names sort by age
    pictures = _exploded(table, "thumbnails", THUMBNAIL)
    _write(folder / f"thumbnails-{piece}.parquet", pictures)
    _write(folder / f"frames-{piece}.parquet", _frames(table))
    _write(folder / f"signals-{piece}.parquet", _exploded(table, "signals", SIGNAL))
    _write(folder / f"windows-{piece}.parquet", table.select(list(ENDS)))


def _write(path: Path, table: pa.Table) -> None:
    """Let the file appear under its name only when whole and on disk."""
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        pq.write_table(table, file, compression="zstd")
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def _owners(table: pa.Table, counts: np.ndarray[tuple[int], np.dtype[np.int64]]) -> dict[str, pa.Array]:
    rows = pa.array(np.repeat(np.arange(table.num_rows), counts))
    return {name: table[name].take(rows) for name in ("content_sha256", "window_index")}


def _exploded(table: pa.Table, column: str, kind: pa.StructType) -> pa.Table:
    """One row for each struct of a list column, with the window it belongs to."""
    lists = table[column].combine_chunks()
    counts = np.asarray(pc.list_value_length(lists).fill_null(0), np.int64)
    structs = lists.flatten()
    fields = {field.name: structs.field(field.name) for field in kind}
    return pa.table({**_owners(table, counts), **fields})


def _frames(table: pa.Table) -> pa.Table:
    """One row for each sampled frame: its time and its embedding as float16."""
    times = table["frame_ms"].combine_chunks()
    counts = np.asarray(pc.list_value_length(times), np.int64)
    vectors_ND = vectors_of(table["embedding_TD"]).astype(np.float16)
    embedding = pa.FixedSizeListArray.from_arrays(pa.array(vectors_ND.reshape(-1)), vectors_ND.shape[1])
    return pa.table({**_owners(table, counts), "frame_ms": times.flatten(), "embedding": embedding})


def _receipts(table: pa.Table) -> pa.Table:
    busy = [
        [*(row["busy"] or []), {"stage": "decode", "ms": row["decode_ms"] or 0.0}]
        for row in table.select(["busy", "decode_ms"]).to_pylist()
    ]
    frames = pc.list_value_length(table["frame_ms"]).cast(pa.int64())
    kept = [table[name] for name in ("content_sha256", "last")]
    rest = [table[name] for name in ("duration_ms", "error_code")]
    return pa.table([*kept, frames, *rest, pa.array(busy, BUSY)], schema=RECEIPTS)


@dataclass(frozen=True)
class Content:
    """A finished content: where its windows are, and how it ended."""

    windows: int
    duration_ms: int
    error_code: str | None
    error_message: str | None
    pieces: tuple[str, ...]


class Pieces:
    """All committed pieces of one bundle in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.contents = _finished(folder)

    def settled(self) -> set[str]:
        """Contents that need no second look: finished, and not for a reason of the place they were read from."""
        return {sha256 for sha256, content in self.contents.items() if content.error_code not in PASSING_ERRORS}

    def rows(self, kind: str, contents: Iterable[str]) -> pa.Table:
        """Return the rows of `signals`, `frames` or `thumbnails` of some contents, each row once.

        Only the pieces that hold these contents are read.
        """
        wanted = list(contents)
        pieces = sorted({piece for sha256 in wanted for piece in self.contents[sha256].pieces}, reverse=True)
        if not pieces:
            return pa.table({"content_sha256": pa.array([], pa.string())})
        tables = [
            pq.read_table(self.folder / f"{kind}-{piece}.parquet", filters=pd.field("content_sha256").isin(wanted))
            for piece in pieces
        ]
        return pa.concat_tables(_newest_of_each_window(tables))


def _newest_of_each_window(tables: list[pa.Table]) -> Iterator[pa.Table]:
    """Drop windows that a newer piece holds too: work that was done again."""
    seen: set[tuple[str, int]] = set()
    for table in tables:
        keys = list(zip(table["content_sha256"].to_pylist(), table["window_index"].to_pylist(), strict=True))
        yield table.filter(pa.array([key not in seen for key in keys], pa.bool_()))
        seen.update(keys)


def _finished(folder: Path) -> dict[str, Content]:
    """Read the windows of every piece; keep the contents whose windows are all there."""
    seen: dict[str, dict[int, str]] = {}
    ends: dict[str, dict[str, object]] = {}
    for path in sorted(folder.glob("windows-*.parquet"), reverse=True):
        piece = path.stem.removeprefix("windows-")
        for row in pq.read_table(path).to_pylist():
            seen.setdefault(row["content_sha256"], {}).setdefault(row["window_index"], piece)
            if row["last"]:
                ends.setdefault(row["content_sha256"], row)
    return {
        sha256: Content(
            windows=len(seen[sha256]),
            duration_ms=int(str(end["duration_ms"] or 0)),
            error_code=_text(end["error_code"]),
            error_message=_text(end["error_message"]),
            pieces=tuple(sorted(set(seen[sha256].values()))),
        )
        for sha256, end in ends.items()
        if set(seen[sha256]) >= set(range(int(str(end["window_index"])) + 1))
    }


def _text(value: object) -> str | None:
    return None if value is None else str(value)
