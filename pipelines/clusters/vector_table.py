"""Vectors of contents as a table, and back: what a night keeps of its own, and what several nights have together.

A table is kept as an Arrow file, which is mapped into memory and not read: of a million vectors only those are touched
that somebody compares.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipelines.clusters.joined import Joined
from pipelines.clusters.windows import Clip, Vectors
from pipelines.places import Place, read_bytes, whole
from pipelines.rows import PDQ_BYTES

VECTORS = pa.schema(  # one row a vector, a content's together: the whole, then its windows in order of time
    [
        ("content_sha256", pa.string()),
        ("whole", pa.bool_()),  # null of a content that has no vector
        ("start_ms", pa.int64()),
        ("end_ms", pa.int64()),
        ("vector", pa.large_binary()),  # float16 [D], little-endian
        ("pdq", pa.large_binary()),  # [32]
        ("hashed", pa.bool_()),
    ]
)


def write_arrow(path: Place, table: pa.Table) -> None:
    """Write a table so that `mapped` need not copy it."""
    with whole(path) as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)


def mapped(path: Place) -> pa.Table:
    """Return a table of `write_arrow`: it is read where it is touched, or fetched whole from a store."""
    source = pa.memory_map(str(path)) if isinstance(path, Path) else pa.BufferReader(read_bytes(path))
    return pa.ipc.open_file(source).read_all()


def table_of(vectors: Vectors) -> pa.Table:
    """VECTORS of some contents, those without a vector too."""
    clip = vectors.clip
    columns = [
        pa.array(vectors.contents, pa.string()).take(pa.array(vectors.owner)),
        pa.array(vectors.whole),
        pa.array(clip.start_ms),
        pa.array(clip.end_ms),
        _bytes_column(np.ascontiguousarray(clip.vectors_WD[:], "<f2").view(np.uint8)),
        _bytes_column(clip.pdq_WB[:]),
        pa.array(clip.hashed_W),
    ]
    bare = sorted(set(range(len(vectors.contents))) - set(vectors.owner.tolist()))
    rows = [{"content_sha256": vectors.contents[one]} for one in bare]
    return pa.concat_tables([pa.table(columns, schema=VECTORS), pa.Table.from_pylist(rows, VECTORS)])


def vectors_of(tables: Sequence[pa.Table], dimensions: int) -> Vectors:
    """Undo `table_of` for the union of some tables; of a content that is in several the first counts.

    Contents are in order of their names, vectors stay where they lie.
    """
    table = pa.concat_tables([VECTORS.empty_table(), *tables])
    owners = table["content_sha256"].combine_chunks().dictionary_encode()
    order = pc.sort_indices(owners.dictionary)
    rank = np.empty(len(order), np.int64)
    rank[order.to_numpy()] = np.arange(len(order))
    owner = rank[owners.indices.to_numpy()]
    source = np.repeat(np.arange(len(tables)), [one.num_rows for one in tables])
    first = np.zeros(len(order), np.int64)
    first[owner[::-1]] = source[::-1]  # of equal places the last is written last: it is the first table
    keep = (source == first[owner]) & table["whole"].is_valid().to_numpy()
    clip = Clip(
        table["start_ms"].to_numpy()[keep].astype(np.int64),
        table["end_ms"].to_numpy()[keep].astype(np.int64),
        _rows_of(table["vector"], keep, "<f2", dimensions),
        _rows_of(table["pdq"], keep, "u1", PDQ_BYTES),
        _bools(table["hashed"])[keep],
    )
    return Vectors(tuple(owners.dictionary.take(order).to_pylist()), owner[keep], _bools(table["whole"])[keep], clip)


def _bools(column: pa.ChunkedArray) -> NDArray[np.bool_]:
    return np.asarray(pc.fill_null(column, False).to_numpy(), np.bool_)


def _bytes_column(rows_NB: NDArray[np.uint8]) -> pa.Array:
    """One binary value a row, over the same memory."""
    ends = np.arange(len(rows_NB) + 1, dtype=np.int64) * rows_NB.shape[1]
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(np.ascontiguousarray(rows_NB))]
    return pa.Array.from_buffers(pa.large_binary(), len(rows_NB), buffers)


def _rows_of(column: pa.ChunkedArray, keep: NDArray[np.bool_], dtype: str, width: int) -> Joined:
    """Some rows of what `_bytes_column` made, each of `width` numbers; a chunk of which all stay is not copied."""
    parts = []
    begin = 0
    for chunk in column.chunks:
        flags = keep[begin : begin + len(chunk)]
        begin += len(chunk)
        if flags.any():
            parts.append(_chunk(chunk, flags, dtype, width))
    return Joined(parts or [np.zeros((0, width), dtype)])


def _chunk(chunk: pa.Array, flags: NDArray[np.bool_], dtype: str, width: int) -> NDArray[Any]:
    """Rows without a value take no bytes, so that those with one lie end to end."""
    _, ends, data = chunk.buffers()
    first = np.frombuffer(ends, np.int64)[chunk.offset : chunk.offset + len(chunk)]
    size = width * np.dtype(dtype).itemsize
    values_NW = np.frombuffer(data, dtype, len(data) // size * width).reshape(-1, width)
    begin = int(first[0]) // size
    if flags.all():
        return values_NW[begin : begin + len(chunk)]
    return np.asarray(values_NW[first[flags] // size])
