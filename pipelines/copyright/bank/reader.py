"""Reading a bank: one opened version of it. A reference exists once its row does, and then it is whole.

`references.lance` is small and changes in place; `fingerprints.lance` is heavy and never changes, one row a content.
Readers take no lock and see what they opened, whatever is written meanwhile.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self

import lance
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from model_registry.errors import NightjarError
from pipelines.copyright.bank import browse, tables
from pipelines.copyright.bank.browse import EVERYTHING, Selection
from pipelines.copyright.bank.folder import FINGERPRINTS, NAMED, REFERENCES, SPACE, read_card
from pipelines.copyright.bank.reference import Reference, State
from pipelines.copyright.bank.stats import Stats, counts_of, sizes_of
from pipelines.copyright.picture.space import Space
from pipelines.copyright.verification.stills import Stills

if TYPE_CHECKING:  # it needs torch, which `list` and `disable` do without
    from pipelines.copyright.fingerprint import Fingerprint

BATCH_BYTES = 64 << 20  # of fingerprints in memory at a time
CACHE_BYTES = 64 << 20  # by default Lance keeps up to 1 GB of pages that are read once


class BankReader:
    """The references and fingerprints of one version; `refresh` moves to the newest."""

    def __init__(self, folder: Path, space: Space) -> None:
        self.folder = folder
        self.space = space
        self.refresh()

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open the newest version; raises UsageError for a folder that is no bank, NightjarError for a torn one."""
        card = read_card(folder)
        space = Space.load(folder / SPACE)
        if space.id != card.get("space"):
            raise NightjarError(f"bank {folder} was made with the space {card.get('space')}, its {SPACE} is {space.id}")
        return cls(folder, space)

    def refresh(self) -> None:
        """Move to the newest version.

        Where the references have not changed while the fingerprints were opened, each finds its own.
        """
        while True:
            self._references = self._opened(REFERENCES)
            self._fingerprints = self._opened(FINGERPRINTS)
            self._places: pa.Table | None = None
            with tables.using(self.folder / REFERENCES):
                if self._references.latest_version == self._references.version:
                    return

    def _opened(self, name: str) -> lance.LanceDataset:
        with tables.using(self.folder / name):
            return lance.dataset(self.folder / name, metadata_cache_size_bytes=CACHE_BYTES)

    @property
    def version(self) -> str:
        """`number-digest`: another one whenever a match could change, also between copies of a bank that part ways."""
        with tables.using(self.folder / REFERENCES):
            transaction = self._references.read_transaction(self._references.version)
        return f"{self._references.version}-{transaction.uuid[:8] if transaction else 0}"

    def references(self, state: State | None = None, changed_since: datetime | None = None) -> list[Reference]:
        """Return references by id; only those in a state, and only those added or changed at a time or later."""
        selection = Selection(state=state, changed_since=changed_since)
        return [ref for rows in self.reference_tables(selection) for ref in tables.references_of(rows)]

    def reference_tables(self, selection: Selection = EVERYTHING) -> Iterator[pa.Table]:
        """Yield the references asked for, by id, as tables of `tables.REFERENCES`, a thousand rows at a time."""
        with tables.using(self.folder / REFERENCES):
            yield from browse.tables_at(self._references, browse.places(self._references, selection))

    def count(self, selection: Selection = EVERYTHING) -> int:
        """How many references are asked for."""
        with tables.using(self.folder / REFERENCES):
            return len(browse.places(self._references, selection))

    def ids(self) -> dict[str, str]:
        """The id of every content, in the table's own order."""
        with tables.using(self.folder / REFERENCES):
            found = self._references.to_table(columns=["content_sha256", "id"])
        return dict(zip(*(found[name].to_pylist() for name in ("content_sha256", "id")), strict=True))

    def column(self, name: str) -> pa.Array:
        """One column of all references, in the table's own order."""
        with tables.using(self.folder / REFERENCES):
            return self._references.to_table(columns=[name])[name].combine_chunks()

    def known(self, sha256s: Iterable[str]) -> dict[str, Reference]:
        """Return those contents that the bank holds, with their references."""
        return {ref.content_sha256: ref for ref in self._where(tables.one_of("content_sha256", sha256s))}

    def with_ids(self, ids: Iterable[str]) -> dict[str, Reference]:
        """Return the references among these ids that there are."""
        return {ref.id: ref for ref in self._where(tables.one_of("id", ids))}

    def _where(self, condition: str) -> list[Reference]:
        with tables.using(self.folder / REFERENCES):
            rows = self._references.to_table(filter=condition).to_pylist()
        return [tables.reference_of(row) for row in rows]

    def fingerprint(self, sha256: str) -> Fingerprint:
        """Return one fingerprint; raises NightjarError where no reference has that content."""
        ((_, found),) = self.fingerprints([sha256])
        return found

    def fingerprints(self, sha256s: Collection[str]) -> Iterator[tuple[str, Fingerprint]]:
        """Yield (content_sha256, fingerprint) in the bank's own order; holds at most BATCH_BYTES, or one, at a time."""
        for rows in self.fingerprint_tables(sha256s):
            yield from tables.fingerprints_of(rows, self.space.dimensions)

    def stills(self, sha256: str) -> Stills:
        """Return the stills of one reference."""
        (table,) = self.fingerprint_tables([sha256], list(tables.STILLS))
        frame_ms, pictures = (table[name][0].as_py() for name in tables.STILLS)
        return Stills(np.array(frame_ms, np.int64), tuple(pictures))

    def fingerprint_tables(
        self, sha256s: Collection[str], columns: list[str] = tables.FOR_MATCHING, batch_bytes: int | None = None
    ) -> Iterator[pa.Table]:
        """Yield the same as tables of some columns of `tables.FINGERPRINTS`."""
        for batch in _batches(self._find(sha256s), self.space.dimensions, batch_bytes or BATCH_BYTES):
            with tables.using(self.folder / FINGERPRINTS):
                found = self._fingerprints.take(batch, columns=columns)
            yield found

    def _find(self, sha256s: Collection[str]) -> pa.Table:
        """Places of some fingerprints, those that stand together together."""
        wanted = pa.array(dict.fromkeys(sha256s), pa.string())
        found = self._index().filter(pc.is_in(self._index()["content_sha256"], value_set=wanted))
        if found.num_rows < len(wanted):
            missing = sorted(set(wanted.to_pylist()) - set(found["content_sha256"].to_pylist()))
            raise NightjarError(f"bank {self.folder} has no fingerprint of {', '.join(missing[:NAMED])}")
        return found

    def _index(self) -> pa.Table:
        """Content, frames, peaks and row number of every fingerprint, read once a version."""
        if self._places is None:
            with tables.using(self.folder / FINGERPRINTS):
                found = self._fingerprints.to_table(columns=["content_sha256", "frames", "peaks"])
            self._places = found.append_column("row", pa.array(range(found.num_rows), pa.int64()))
        return self._places

    def stats(self) -> Stats:
        """Count everything; no column of a fingerprint is read but its sizes."""
        with tables.using(self.folder / REFERENCES):
            counts = counts_of(self._references)
        with tables.using(self.folder / FINGERPRINTS):
            frames, peaks = sizes_of(self._fingerprints, counts.contents, self.folder)
        return Stats(
            references=counts.references,
            hours=counts.duration_ms / 3.6e6,
            incomplete=counts.incomplete,
            frames=frames,
            peaks=peaks,
            bytes=sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file()),
            version=self.version,
            space=self.space.id,
            dimensions=self.space.dimensions,
        )


def _batches(places: pa.Table, dimensions: int, batch_bytes: int) -> Iterator[list[int]]:
    """Row numbers, together at most so many bytes of fingerprints, or one."""
    batch: list[int] = []
    held = 0
    for frames, peaks, row in zip(*(places[name].to_pylist() for name in ("frames", "peaks", "row")), strict=True):
        size = frames * (2 * dimensions + 42) + peaks * 6
        if batch and held + size > batch_bytes:
            yield batch
            batch, held = [], 0
        batch.append(row)
        held += size
    if batch:
        yield batch
