"""Vectors of contents as a table, and back: what a night keeps of its own, and what several nights have together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipelines.clusters.windows import Clip, Vectors
from pipelines.rows import PDQ_BYTES

VECTORS = pa.schema(  # one row a vector, in order of content and time: the whole, then its windows
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


def table_of(vectors: Vectors) -> pa.Table:
    """VECTORS of some contents, those without a vector too."""
    clip = vectors.clip
    columns = [
        pa.array(vectors.contents, pa.string()).take(pa.array(vectors.owner)),
        pa.array(vectors.whole),
        pa.array(clip.start_ms),
        pa.array(clip.end_ms),
        _bytes_column(np.ascontiguousarray(clip.vectors_WD, "<f2").view(np.uint8)),
        _bytes_column(clip.pdq_WB),
        pa.array(clip.hashed_W),
    ]
    bare = sorted(set(range(len(vectors.contents))) - set(vectors.owner.tolist()))
    rows = [{"content_sha256": vectors.contents[one]} for one in bare]
    return pa.concat_tables([pa.table(columns, schema=VECTORS), pa.Table.from_pylist(rows, VECTORS)])


def vectors_of(tables: Sequence[pa.Table], dimensions: int) -> Vectors:
    """Undo `table_of` for the union of some tables; of a content that is in several the first counts."""
    table = pa.concat_tables([VECTORS.empty_table(), *tables])
    owners = table["content_sha256"].combine_chunks().dictionary_encode()
    order = pc.sort_indices(owners.dictionary)
    rank = np.empty(len(order), np.int64)
    rank[order.to_numpy()] = np.arange(len(order))
    owner = rank[owners.indices.to_numpy()]
    source = np.repeat(np.arange(len(tables)), [one.num_rows for one in tables])
    first = np.zeros(len(order), np.int64)
    first[owner[::-1]] = source[::-1]  # of equal places the last is written last: it is the first table
    rows = np.flatnonzero((source == first[owner]) & table["whole"].is_valid().to_numpy())
    rows = rows[np.argsort(owner[rows], kind="stable")]
    clip = Clip(
        table["start_ms"].to_numpy()[rows].astype(np.int64),
        table["end_ms"].to_numpy()[rows].astype(np.int64),
        _bytes_of(table["vector"], rows, "<f2", dimensions),
        _bytes_of(table["pdq"], rows, "u1", PDQ_BYTES),
        _bools(table["hashed"])[rows],
    )
    return Vectors(tuple(owners.dictionary.take(order).to_pylist()), owner[rows], _bools(table["whole"])[rows], clip)


def _bools(column: pa.ChunkedArray) -> NDArray[np.bool_]:
    return np.asarray(pc.fill_null(column, False).to_numpy(), np.bool_)


def _bytes_column(rows_NB: NDArray[np.uint8]) -> pa.Array:
    """One binary value a row, over the same memory."""
    ends = np.arange(len(rows_NB) + 1, dtype=np.int64) * rows_NB.shape[1]
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(np.ascontiguousarray(rows_NB))]
    return pa.Array.from_buffers(pa.large_binary(), len(rows_NB), buffers)


def _bytes_of(column: pa.ChunkedArray, rows: NDArray[np.int64], dtype: str, width: int) -> NDArray[Any]:
    """Some rows of what `_bytes_column` made, each of `width` numbers; copied once, a chunk after the other."""
    found = np.zeros((len(rows), width), dtype)
    place = np.full(len(column), -1, np.int64)
    place[rows] = np.arange(len(rows))
    begin = 0
    for chunk in column.chunks:
        own = place[begin : begin + len(chunk)]
        begin += len(chunk)
        wanted = np.flatnonzero(own >= 0)
        if len(wanted):
            _, ends, data = chunk.buffers()
            first = np.frombuffer(ends, np.int64)[chunk.offset :][wanted]
            values = np.frombuffer(data, dtype, len(data) // found.itemsize)
            values_NW = values[: len(values) // width * width].reshape(-1, width)
            found[own[wanted]] = values_NW[first // found[0].nbytes]  # a row without a value takes no bytes
    return found
