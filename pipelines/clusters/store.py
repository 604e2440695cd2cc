"""What a night keeps so that the next one need not compare again: vectors, and the stars with what their members share.

It lies in the night's features, which go with it: FOLDER/<format>-<space>/. Files appear whole. `stars.parquet` is the
last and names the files of compared contents that it goes with, so that a killed run is done again from its vectors on.
A run that adds contents writes a file of those; one that compares fewer than the run before writes all of them anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipelines.clusters.links import Basis, Link, Stretch
from pipelines.clusters.vector_table import VECTORS, table_of
from pipelines.clusters.windows import Vectors
from pipelines.copyright.picture.space import Space
from pipelines.pieces import new_piece
from pipelines.places import Place, each, exists, listed, make, read_table, write_table

FOLDER = "clusters"
FORMAT = 2  # 1 wrote every compared content each time
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
FILES = b"covered"  # in the metadata of stars.parquet: names of the files of COVERED, the oldest first


@dataclass(frozen=True)
class Covered:
    """Contents that were compared with each other."""

    contents: pa.ChunkedArray  # hashes, in any order, each once or more
    stopped: Mapping[str, Sequence[int]]  # of some, the places of vectors that join nobody
    files: tuple[str, ...] = ()  # that say so

    def among(self, contents: Sequence[str]) -> NDArray[np.bool_]:
        """Which of some contents were."""
        return np.asarray(pc.is_in(pa.array(contents, pa.string()), value_set=self.contents))


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

    def covered(self) -> Covered | None:
        """Return what was compared; None where no run ended."""
        path = self.folder / "stars.parquet"
        if not exists(path):
            return None
        files = tuple(name for name in read_table(path).schema.metadata[FILES].decode().split() if name)
        tables = each(lambda path: read_table(path, schema=COVERED), [self.folder / name for name in files])
        table = pa.concat_tables([COVERED.empty_table(), *tables])
        some = table.filter(table["stopped"].is_valid())
        stopped = dict(zip(*(some[name].to_pylist() for name in COVERED.names), strict=True))
        return Covered(table["content_sha256"], stopped, files)

    def stars(self) -> list[StoredStar]:
        """Return the stars that the last run ended with."""
        path = self.folder / "stars.parquet"
        return _stars(read_table(path, schema=STARS)) if exists(path) else []

    def keep_stars(
        self, stars: Iterable[StoredStar], contents: Sequence[str], stopped: Mapping[str, Sequence[int]]
    ) -> None:
        """Write what a run ended with: the contents that it compared, then the stars."""
        make(self.folder)
        before = self.covered()
        files, rows = self._to_write(before, contents, stopped)
        if rows.num_rows:
            files = (*files, f"covered-{new_piece()}.parquet")
            write_table(self.folder / files[-1], rows)
        found = pa.Table.from_pylist([row for star in stars for row in _star_rows(star)], STARS)
        write_table(self.folder / "stars.parquet", found.replace_schema_metadata({FILES: " ".join(files).encode()}))
        for name in before.files if before else ():
            if name not in files:
                (self.folder / name).unlink()

    def _to_write(
        self, before: Covered | None, contents: Sequence[str], stopped: Mapping[str, Sequence[int]]
    ) -> tuple[tuple[str, ...], pa.Table]:
        """Files that stay, and the rows that they lack: a later row of a content counts."""
        names = pa.array(contents, pa.string())
        if before and pc.all(pc.is_in(before.contents, value_set=names)).as_py() is not False:
            fresh = names.filter(pa.array(~before.among(contents)))
            new = set(fresh.to_pylist())
            either = [name for name in before.stopped if name not in stopped] + list(stopped)
            changed = [name for name in either if list(stopped.get(name, ())) != before.stopped.get(name, [])]
            changed = sorted(set(changed) - new)
            names = pa.concat_arrays([fresh, pa.array(changed, pa.string())])
            files = before.files
        else:
            files, changed = (), []
        none = dict.fromkeys(changed, ())
        return files, pa.table([names, [stopped.get(name, none.get(name)) for name in names.to_pylist()]], COVERED)


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
    heads: dict[str, StoredStar] = {}
    names = ("cluster_id", "founded", "medoid_sha256", "core_start_ms", "core_end_ms")
    rows = zip(*(table[name].to_pylist() for name in names), strict=True)
    links = zip(*(table[name].to_pylist() for name in ("content_sha256", "score", "basis")), strict=True)
    for (id_, founded, medoid, *core), (sha256, score, basis), own in zip(rows, links, _stretches(table), strict=True):
        if id_ not in heads:
            members[id_] = {}
            heads[id_] = StoredStar(id_, founded, medoid, (core[0], core[1]), members[id_])
        if sha256 is not None:
            members[id_][sha256] = Link(own, score, Basis(basis))
    return list(heads.values())


def _stretches(table: pa.Table) -> Iterator[tuple[Stretch, ...]]:
    """The stretches of each row, none of a medoid's."""
    lists = table["stretches"].combine_chunks()
    fields = zip(*(column.to_pylist() for column in lists.flatten().flatten()), strict=True)
    for count in pc.fill_null(pc.list_value_length(lists), 0).to_pylist():
        yield tuple(Stretch(*one) for one in islice(fields, count))
