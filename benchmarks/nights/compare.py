"""Two nights held against each other, row for row; and what of a night's work was done twice."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

TABLES = ("verdicts", "signals", "transcripts", "matches")
WHEN = ("decided_at",)  # a run's own
# A batch of other windows is another order of adding floats: open_nsfw and imagenet_weapons move by up to 5e-8.
ROUNDING = 1e-6


def differences(night: Path, reference: Path) -> list[str]:
    """Name each table that is not the reference's, with the first row that differs; nothing where all are equal.

    Everything but floating-point numbers has to be the same; those may differ by ROUNDING.
    """
    found = []
    for name in TABLES:
        ours, theirs = (_rows(folder / f"{name}.parquet") for folder in (night, reference))
        pairs = zip(ours, theirs, strict=False)
        unequal = (index for index, (one, other) in enumerate(pairs) if not _gap(one, other) <= ROUNDING)
        first = next(unequal, min(len(ours), len(theirs)))
        if first < max(len(ours), len(theirs)):
            shown = " | ".join(str(rows[first])[:1500] if first < len(rows) else "no row" for rows in (ours, theirs))
            found.append(f"{name}: {len(ours)} rows, wanted {len(theirs)}; row {first} differs: {shown}")
    return found


def largest_gap(night: Path, reference: Path) -> float:
    """Return the most that any number of any table differs by; infinite where something else does."""
    tables = [[_rows(folder / f"{name}.parquet") for folder in (night, reference)] for name in TABLES]
    return max(_gap(ours, theirs) for ours, theirs in tables)


def _gap(one: object, other: object) -> float:
    """Return by how much two values differ at most, in a float anywhere within; infinite for any other difference."""
    if isinstance(one, float) and isinstance(other, float):
        return 0.0 if one == other else abs(one - other)
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return max((_gap(one[name], other[name]) for name in one), default=0.0)
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return max(map(_gap, one, other), default=0.0)
    return 0.0 if one == other else math.inf


def _rows(path: Path) -> list[dict[str, object]]:
    table = pq.read_table(path)
    rows: list[dict[str, object]] = table.drop_columns(
        [name for name in WHEN if name in table.column_names]
    ).to_pylist()
    return rows


@dataclass(frozen=True)
class Work:
    """What the pieces of a night say was done."""

    pieces: int
    bytes: int
    contents: int  # with a last window
    windows: int
    redone_windows: int  # that stand in more than one piece, once less
    redone_contents: int


def work_in(features: Path) -> Work:
    """Count what is committed below a folder of features."""
    files = sorted(features.rglob("windows-*.parquet"))
    seen: Counter[tuple[str, int]] = Counter()
    ended: set[str] = set()
    for file in files:
        table = pq.read_table(file, columns=["content_sha256", "window_index", "last"])
        for row in table.to_pylist():
            seen[row["content_sha256"], row["window_index"]] += 1
            if row["last"]:
                ended.add(row["content_sha256"])
    twice = [window for window, times in seen.items() if times > 1]
    size = sum(path.stat().st_size for path in features.rglob("*.parquet"))
    redone = seen.total() - len(seen)
    return Work(len(files), size, len(ended), len(seen), redone, len({sha256 for sha256, _ in twice}))
