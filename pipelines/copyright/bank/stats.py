"""What a bank holds, counted: narrow columns only, a batch at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import lance
import pyarrow as pa
import pyarrow.compute as pc

from model_registry.errors import NightjarError

if TYPE_CHECKING:
    from pathlib import Path

COUNTED = ["content_sha256", "kind", "state", "duration_ms", "complete"]
SIZES = ["content_sha256", "frames", "peaks"]


@dataclass(frozen=True)
class Stats:
    """What a bank holds."""

    references: dict[str, dict[str, int]]  # by kind, then by state
    hours: float
    incomplete: int
    frames: int  # descriptors
    peaks: int
    bytes: int  # on disk, with what old versions left
    version: str
    space: str
    dimensions: int


@dataclass(frozen=True)
class Counts:
    """What the table of references says of itself."""

    references: dict[str, dict[str, int]]  # by kind, then by state
    duration_ms: int
    incomplete: int
    contents: pa.Array  # their sha256, sorted in no way


def counts_of(references: lance.LanceDataset) -> Counts:
    """Count the references."""
    kinds: dict[str, Counter[str]] = {}
    duration_ms, incomplete, contents = 0, 0, []
    for rows in references.to_batches(columns=COUNTED):
        for kind, state in zip(rows["kind"].to_pylist(), rows["state"].to_pylist(), strict=True):
            kinds.setdefault(kind, Counter())[state] += 1
        duration_ms += pc.sum(rows["duration_ms"]).as_py() or 0
        incomplete += pc.sum(pc.invert(rows["complete"])).as_py() or 0
        contents.append(rows["content_sha256"])
    ordered = {kind: dict(sorted(found.items())) for kind, found in sorted(kinds.items())}
    return Counts(ordered, duration_ms, incomplete, pa.chunked_array(contents, pa.string()).combine_chunks())


def sizes_of(fingerprints: lance.LanceDataset, contents: pa.Array, folder: Path) -> tuple[int, int]:
    """Return the frames and peaks of some contents together; raises NightjarError where one has no fingerprint."""
    frames = peaks = found = 0
    for rows in _of(fingerprints, contents):
        found += rows.num_rows
        frames += pc.sum(rows["frames"]).as_py() or 0
        peaks += pc.sum(rows["peaks"]).as_py() or 0
    if found < len(contents):
        raise NightjarError(f"bank {folder} has fingerprints of {found} of its {len(contents)} references, wanted all")
    return frames, peaks


def _of(fingerprints: lance.LanceDataset, contents: pa.Array) -> Iterator[pa.RecordBatch]:
    for rows in fingerprints.to_batches(columns=SIZES):
        yield rows.filter(pc.is_in(rows["content_sha256"], value_set=contents))
