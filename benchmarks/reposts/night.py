"""A night over the reposts' uploads, run as a person runs it, and how right its clusters are."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.copies.sources import Source
from benchmarks.reposts.uploads import build
from model_registry.errors import NightjarError

DAY = "2026-11-24"
WANTED_SHARE = 0.3  # of the shorter upload that two share, to be a pair that has to be found
Pair = tuple[str, str]


@dataclass(frozen=True)
class Pairs:
    """Pairs of uploads, each in the order of names."""

    shares: Mapping[Pair, float]  # what two that show one film share, of the shorter one, 0 to 1
    told: frozenset[Pair]  # that stand in one cluster

    @property
    def true(self) -> set[Pair]:
        """Those that have to stand in one."""
        return {pair for pair, share in self.shares.items() if share >= WANTED_SHARE}

    @property
    def false(self) -> set[Pair]:
        """Those that do and share nothing; who shares a little counts neither way."""
        return {pair for pair in self.told if self.shares.get(pair, 0.0) <= 0}

    def recall(self, among: frozenset[str] | None = None) -> float:
        """Share of the true pairs that were found; `among` those with one of some uploads."""
        true = {pair for pair in self.true if among is None or among & set(pair)}
        return len(self.told & true) / max(1, len(true))

    @property
    def precision(self) -> float:
        """Share of the pairs that are true."""
        right = len(self.told & self.true)
        return right / max(1, right + len(self.false))


def pairs_told(rows: Sequence[Mapping[str, object]]) -> frozenset[Pair]:
    """The pairs that stand in one cluster, by rows of clusters.parquet."""
    groups: dict[str, set[str]] = {}
    for row in rows:
        groups.setdefault(str(row["cluster_id"]), set()).add(str(row["video_id"]))
    return frozenset((a, b) for group in groups.values() for a in group for b in group if a < b)


def measured(sources: Sequence[Source], folder: Path, split: str) -> tuple[Pairs, frozenset[str]]:
    """Make the uploads of a split, recall them with clusters, and return its pairs, and which uploads are excerpts."""
    import pyarrow.parquet as pq

    videos = build(sources, folder, split)
    _recall(videos, folder)
    rows = pq.read_table(folder / "nights" / f"dt={DAY}" / "clusters.parquet").to_pylist()
    shares: dict[Pair, float] = {}
    for row in _rows(folder / "pairs.csv"):
        one, other = sorted((row["query"], row["other"]))
        shares[one, other] = float(row["share"])
    excerpts = frozenset(row["query"] for row in _rows(folder / "queries.csv") if "excerpt" in row["edits"])
    return Pairs(shares, pairs_told(rows)), excerpts


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _recall(videos: Sequence[Path], folder: Path) -> None:
    """One upload a minute, each by somebody else; clusters are made anew, everything else is kept."""
    first = datetime.fromisoformat(DAY).replace(tzinfo=UTC)
    with (folder / "manifest.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["video_id", "uri", "uploader_id", "uploaded_at"])
        for number, path in enumerate(videos):
            at = first + timedelta(minutes=number)
            writer.writerow([path.stem, path, f"uploader-{number}", at.isoformat()])
    nights = folder / "nights"
    told = ["--date", DAY, "--input", str(folder / "manifest.csv"), "--output", str(nights)]
    _nightjar("recall", *told, "--skip", "speech", "ocr", "text")
    _nightjar("clusters", str(nights / f"dt={DAY}"), "--rebuild")


def _nightjar(*words: str) -> None:
    done = subprocess.run([sys.executable, "-m", "jobs.cli", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise NightjarError(f"nightjar {words[0]} failed: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
