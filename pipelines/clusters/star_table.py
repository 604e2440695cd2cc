"""Stars as a table, and back: one row a medoid and one a member, with what it shares with the medoid."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.clusters.links import Basis, Link, Stretch

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
        ("medoid_sha256", pa.string()),  # null of a cluster that is no more
        ("core_start_ms", pa.int64()),
        ("core_end_ms", pa.int64()),
        ("content_sha256", pa.string()),  # of a member; null of the medoid
        ("stretches", pa.list_(STRETCH)),
        ("score", pa.float64()),
        ("basis", pa.string()),
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

    @cached_property
    def contents(self) -> frozenset[str]:
        """All, the medoid too."""
        return frozenset({self.medoid, *self.members})


def star_table(stars: Iterable[StoredStar], gone: Iterable[str] = ()) -> pa.Table:
    """STARS of some clusters, and ids of clusters that are no more."""
    rows = [row for star in stars for row in _star_rows(star)]
    return pa.Table.from_pylist([*rows, *({"cluster_id": name} for name in gone)], STARS)


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


def stars_of(table: pa.Table) -> dict[str, StoredStar | None]:
    """Undo `star_table`: clusters by id, None of one that is no more. Links are read when somebody asks for one."""
    found: dict[str, StoredStar | None] = {}
    names = table["content_sha256"].to_pylist()
    heads = [row for row, name in enumerate(names) if name is None]
    columns = (table[name].take(heads).to_pylist() for name in STARS.names[:5])
    for first, past, (id_, founded, medoid, start_ms, end_ms) in zip(
        heads, [*heads[1:], len(names)], zip(*columns, strict=True), strict=True
    ):
        members = _Links(names[first + 1 : past], table.slice(first + 1, past - first - 1))
        found[id_] = StoredStar(id_, founded, medoid, (start_ms, end_ms), members) if medoid else None
    return found


@dataclass(frozen=True, eq=False)
class _Links(Mapping[str, Link]):
    """What each member of one star shares with its medoid, as rows of STARS."""

    names: Sequence[str]
    rows: pa.Table

    @cached_property
    def links(self) -> dict[str, Link]:
        """Read all."""
        columns = zip(*(self.rows[name].to_pylist() for name in ("score", "basis")), strict=True)
        shared = zip(self.names, _stretches(self.rows), columns, strict=True)
        return {name: Link(own, score, Basis(basis)) for name, own, (score, basis) in shared}

    def __getitem__(self, name: str) -> Link:
        return self.links[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


def _stretches(table: pa.Table) -> Iterator[tuple[Stretch, ...]]:
    """The stretches of each row, none of a medoid's."""
    lists = table["stretches"].combine_chunks()
    fields = zip(*(column.to_pylist() for column in lists.flatten().flatten()), strict=True)
    for count in pc.fill_null(pc.list_value_length(lists), 0).to_pylist():
        yield tuple(Stretch(*one) for one in islice(fields, count))
