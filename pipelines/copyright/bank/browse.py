"""Looking through the references of a bank: those that are asked for, in order of their ids, some at a time.

Only narrow columns are read to decide which rows are wanted; what is held is one id and one row number a reference.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import lance
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.copyright.bank.reference import Kind, State

ROWS = 1024  # references in memory at a time
SEARCHED = ("id", "title", "owner", "uri")


@dataclass(frozen=True)
class Selection:
    """Which references are asked for; what is None asks for nothing."""

    kind: Kind | None = None
    state: State | None = None
    text: str | None = None  # stands in id, title, owner or URI; upper and lower case are the same
    changed_since: datetime | None = None  # with its zone: added or changed then or later
    after: str | None = None  # an id: only those that come later in order
    limit: int | None = None  # how many at most, the first ones in order

    @property
    def columns(self) -> list[str]:
        """What has to be read to decide."""
        asked = {"kind": self.kind, "state": self.state, "changed_at": self.changed_since}
        searched = SEARCHED if self.text is not None else ("id",)
        return [*searched, *(name for name, wanted in asked.items() if wanted is not None)]

    def keeps(self, rows: pa.RecordBatch) -> pa.Array:
        """Say of each row, with `columns`, whether it is wanted; the limit is not looked at."""
        keep = pa.array([True] * rows.num_rows, pa.bool_())
        for name, value in (("kind", self.kind), ("state", self.state)):
            if value is not None:
                keep = pc.and_(keep, pc.equal(rows[name], value.value))
        if self.changed_since is not None:
            since = pa.scalar(self.changed_since.astimezone(UTC), pa.timestamp("ms", "UTC"))
            keep = pc.and_(keep, pc.fill_null(pc.greater_equal(rows["changed_at"], since), False))
        if self.after is not None:
            keep = pc.and_(keep, pc.greater(rows["id"], self.after))
        return keep if self.text is None else pc.and_(keep, _mentions(rows, self.text))


EVERYTHING = Selection()


def _mentions(rows: pa.RecordBatch, text: str) -> pa.Array:
    found = pa.array([False] * rows.num_rows, pa.bool_())
    for name in SEARCHED:
        here = pc.match_substring(rows[name], text, ignore_case=True)
        found = pc.or_(found, pc.fill_null(here, False))
    return found


def places(references: lance.LanceDataset, selection: Selection = EVERYTHING) -> list[int]:
    """Return the row numbers of the references asked for, in order of their ids."""
    found = _found(references, selection)
    rows: list[int] = found.sort_by("id")["row"].to_pylist()
    return rows if selection.limit is None else rows[: selection.limit]


def _found(references: lance.LanceDataset, selection: Selection) -> pa.Table:
    """Id and row number of what is asked for, in the table's own order, the limit not looked at."""
    parts = [pa.table({"id": pa.array([], pa.string()), "row": pa.array([], pa.int64())})]
    first = 0
    for rows in references.to_batches(columns=selection.columns):
        numbered = pa.table({"id": rows["id"], "row": pa.array(range(first, first + rows.num_rows), pa.int64())})
        parts.append(numbered.filter(selection.keeps(rows)))
        first += rows.num_rows
    return pa.concat_tables(parts)


def tables_at(references: lance.LanceDataset, rows: list[int]) -> Iterator[pa.Table]:
    """Yield whole rows of the references, in the order given, ROWS at a time."""
    for first in range(0, len(rows), ROWS):
        yield references.take(rows[first : first + ROWS])
