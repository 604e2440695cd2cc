"""Two nights held against each other, row for row; and what of a night's work was done twice."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

TABLES = ("verdicts", "signals", "transcripts", "matches")
WHEN = ("decided_at",)  # a run's own


def differences(night: Path, reference: Path) -> list[str]:
    """Name each table that is not the reference's, with the first row that differs; nothing where all are equal."""
    found = []
    for name in TABLES:
        ours, theirs = (_rows(folder / f"{name}.parquet") for folder in (night, reference))
        if ours == theirs:
            continue
        pairs = zip(ours, theirs, strict=False)
        first = next((index for index, (one, other) in enumerate(pairs) if one != other), min(len(ours), len(theirs)))
        shown = " | ".join(str(rows[first])[:1500] if first < len(rows) else "no row" for rows in (ours, theirs))
        found.append(f"{name}: {len(ours)} rows, wanted {len(theirs)}; row {first} differs: {shown}")
    return found


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
