"""What a night keeps so that the next one need not compare again: vectors, and the stars with what their members share.

It lies in the night's features, which go with it: FOLDER/<format>-<space>/. Files appear whole; `stars` is the last, so
that a killed run is done again from its vectors on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.clusters.links import Basis, Link, Stretch
from pipelines.clusters.windows import Clip, Vectors
from pipelines.copyright.picture.space import Space
from pipelines.pieces import new_piece
from pipelines.places import Place, each, exists, listed, make, read_table, write_table
from pipelines.rows import PDQ_BYTES

FOLDER = "clusters"
FORMAT = 1
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
STRETCH = pa.struct(
    [
        ("form", pa.string()),
        ("start_ms", pa.int64()),
        ("end_ms", pa.int64()),
        ("medoid_start_ms", pa.int64()),
        ("medoid_end_ms", pa.int64()),
    ]
)
STARS = pa.schema(
    [
        ("cluster_id", pa.string()),
        ("founded", pa.string()),  # name of the night that named it
        ("medoid_sha256", pa.string()),
        ("core_start_ms", pa.int64()),
        ("core_end_ms", pa.int64()),
        ("content_sha256", pa.string()),  # of a member; null of the medoid
        ("stretches", pa.list_(STRETCH)),
        ("score", pa.float64()),
        ("basis", pa.string()),
    ]
)
COVERED = pa.schema(
    [
        ("content_sha256", pa.string()),
        ("stopped", pa.list_(pa.int32())),  # places of its vectors that join nobody; null: none
    ]
)


@dataclass(frozen=True)
class StoredStar:
    """A star as it is kept: contents by hash."""

    id: str
    founded: str
    medoid: str
    core_ms: tuple[int, int]
    members: Mapping[str, Link]

    @property
    def contents(self) -> frozenset[str]:
        """All, the medoid too."""
        return frozenset({self.medoid, *self.members})


@dataclass(frozen=True)
class Stored:
    """The files of one night and one descriptor space."""

    folder: Place

    @classmethod
    def of(cls, features: Place, space: Space) -> Stored:
        """Name the folder; there need be none."""
        return cls(features / FOLDER / f"{FORMAT}-{space.id.rpartition('+')[2]}")

    def vectors(self) -> pa.Table:
        """Return the vectors kept so far, VECTORS."""
        tables = each(lambda path: read_table(path, schema=VECTORS), listed(self.folder, "vectors-*.parquet"))
        return pa.concat_tables([VECTORS.empty_table(), *tables])

    def keep_vectors(self, vectors: Vectors) -> None:
        """Add a file of vectors."""
        make(self.folder)
        write_table(self.folder / f"vectors-{new_piece()}.parquet", table_of(vectors))

    def covered(self) -> dict[str, list[int]] | None:
        """Return the contents that were compared, each with the places of what stopped; None where no run ended."""
        if not (exists(self.folder / "stars.parquet") and exists(self.folder / "covered.parquet")):
            return None
        table = read_table(self.folder / "covered.parquet", schema=COVERED)
        found: dict[str, list[int]] = {name: [] for name in table["content_sha256"].to_pylist()}
        some = table.filter(table["stopped"].is_valid())
        return found | dict(zip(*(some[name].to_pylist() for name in COVERED.names), strict=True))

    def stars(self) -> list[StoredStar]:
        """Return the stars that the last run ended with."""
        path = self.folder / "stars.parquet"
        return _stars(read_table(path, schema=STARS)) if exists(path) else []

    def keep_stars(self, stars: Iterable[StoredStar], covered: Mapping[str, Sequence[int]]) -> None:
        """Write what a run ended with, `covered` first."""
        make(self.folder)
        names = sorted(covered)
        rows = pa.table([names, [list(covered[name]) or None for name in names]], schema=COVERED)
        write_table(self.folder / "covered.parquet", rows)
        found = [row for star in stars for row in _star_rows(star)]
        write_table(self.folder / "stars.parquet", pa.Table.from_pylist(found, STARS))


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
    names: dict[str, int] = {}
    kept = []
    for table in tables:
        owners = table["content_sha256"].combine_chunks().dictionary_encode()
        fresh = [name not in names for name in owners.dictionary.to_pylist()]
        names |= dict.fromkeys([name for name in owners.dictionary.to_pylist() if name not in names], 0)
        kept.append(table.filter(pa.array(np.array(fresh, np.bool_)[owners.indices.to_numpy()])))
    contents = tuple(sorted(names))
    place = {name: number for number, name in enumerate(contents)}
    whole = pa.concat_tables([VECTORS.empty_table(), *kept])
    whole = whole.filter(whole["whole"].is_valid())
    owners = whole["content_sha256"].combine_chunks().dictionary_encode()
    numbers = np.array([place[name] for name in owners.dictionary.to_pylist()], np.int64)
    owner = numbers[owners.indices.to_numpy()] if whole.num_rows else np.zeros(0, np.int64)
    order = np.argsort(owner, kind="stable")
    clip = Clip(
        whole["start_ms"].to_numpy()[order],
        whole["end_ms"].to_numpy()[order],
        _bytes_of(whole["vector"], "<f2", dimensions)[order],
        _bytes_of(whole["pdq"], "u1", PDQ_BYTES)[order],
        np.asarray(whole["hashed"].to_numpy(), np.bool_)[order],
    )
    return Vectors(contents, owner[order], np.asarray(whole["whole"].to_numpy(), np.bool_)[order], clip)


def _bytes_column(rows_NB: NDArray[np.uint8]) -> pa.Array:
    """One binary value a row, over the same memory."""
    ends = np.arange(len(rows_NB) + 1, dtype=np.int64) * rows_NB.shape[1]
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(np.ascontiguousarray(rows_NB))]
    return pa.Array.from_buffers(pa.large_binary(), len(rows_NB), buffers)


def _bytes_of(column: pa.ChunkedArray, dtype: str, width: int) -> NDArray[Any]:
    """Undo `_bytes_column`; every value has `width` numbers."""
    array = column.combine_chunks()
    if not len(array):
        return np.zeros((0, width), dtype)
    _, ends, data = array.buffers()
    first, last = np.frombuffer(ends, np.int64)[array.offset :][[0, len(array)]]
    return np.frombuffer(memoryview(data)[first:last], dtype).reshape(-1, width)


def _star_rows(star: StoredStar) -> Iterable[dict[str, Any]]:
    same = {
        "cluster_id": star.id,
        "founded": star.founded,
        "medoid_sha256": star.medoid,
        "core_start_ms": star.core_ms[0],
        "core_end_ms": star.core_ms[1],
    }
    yield same
    for sha256, link in sorted(star.members.items()):
        stretches = [vars(one) for one in link.stretches]
        shared = {"stretches": stretches, "score": link.score, "basis": link.basis.value}
        yield {**same, "content_sha256": sha256, **shared}


def _stars(table: pa.Table) -> list[StoredStar]:
    members: dict[str, dict[str, Link]] = {}
    heads: dict[str, dict[str, Any]] = {}
    for row in table.to_pylist():
        heads.setdefault(row["cluster_id"], row)
        own = members.setdefault(row["cluster_id"], {})
        if row["content_sha256"] is not None:
            stretches = tuple(Stretch(**one) for one in row["stretches"])
            own[row["content_sha256"]] = Link(stretches, row["score"], Basis(row["basis"]))
    return [
        StoredStar(
            name, head["founded"], head["medoid_sha256"], (head["core_start_ms"], head["core_end_ms"]), members[name]
        )
        for name, head in heads.items()
    ]
