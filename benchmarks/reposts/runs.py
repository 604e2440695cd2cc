"""Cluster planted contents from nothing, and one in a hundred of them beside the rest, with what is kept on disk."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.reposts.planted import DIMENSIONS, Planted
from pipelines.clusters.identity import Earlier, names
from pipelines.clusters.night import taken_up
from pipelines.clusters.nominate import nominate
from pipelines.clusters.stars import Star, group
from pipelines.clusters.store import Stored, StoredStar
from pipelines.clusters.vector_table import vectors_of
from pipelines.clusters.windows import Clip, Vectors


@dataclass(frozen=True)
class Run:
    """What one run came to and cost."""

    stars: list[Star]
    seconds: float
    cpu_s: float  # of all threads


def build(planted: Planted, new: NDArray[np.bool_], folder: Path) -> Run:
    """Cluster contents, of which those that are not `new` were clustered in this folder before."""
    began, cpu = time.perf_counter(), time.process_time()
    stored = Stored(folder)
    stored.keep_vectors(part(planted.vectors, new))
    vectors = vectors_of([stored.vectors()], DIMENSIONS)
    covered, base = stored.covered(), stored.stars()
    numbers = np.array([int(name, 16) for name in vectors.contents])
    fresh = ~covered.among(vectors.contents) if covered else np.ones(len(vectors.contents), np.bool_)
    found = nominate(vectors, fresh, np.zeros(len(vectors), np.bool_))
    given, pairs = taken_up(base, vectors.contents)
    pairs |= found.pairs

    def compare(medoid: int, others: Sequence[int]) -> dict[int, object]:
        mine = {int(numbers[other]): other for other in others}
        return {mine[n]: link for n, link in planted.compare(int(numbers[medoid]), list(mine)).items()}

    stars = group(pairs, given, compare)  # type: ignore[arg-type]
    named = _named(stars, vectors.contents, base)
    stored.keep_stars(named, vectors.contents, {})
    return Run(stars, time.perf_counter() - began, time.process_time() - cpu)


def _named(stars: Sequence[Star], contents: Sequence[str], base: Sequence[StoredStar]) -> list[StoredStar]:
    found = [
        StoredStar("", "", contents[star.medoid], star.core_ms, {contents[m]: star.members[m] for m in star.members})
        for star in stars
    ]
    before = [Earlier(one.id, one.founded, one.contents, one.medoid) for one in base]
    said = names([(one.medoid, one.contents) for one in found], before, min, "dt=2026-11-24")
    pairs = zip(found, said, strict=True)
    return [StoredStar(name.id, name.founded, one.medoid, one.core_ms, one.members) for one, name in pairs]


def part(vectors: Vectors, wanted: NDArray[np.bool_]) -> Vectors:
    """Those of some contents."""
    rows = wanted[vectors.owner]
    clip = vectors.clip
    some = Clip(clip.start_ms[rows], clip.end_ms[rows], clip.vectors_WD[rows], clip.pdq_WB[rows], clip.hashed_W[rows])
    contents = tuple(name for name, keep in zip(vectors.contents, wanted.tolist(), strict=True) if keep)
    place = np.cumsum(wanted) - 1
    return Vectors(contents, place[vectors.owner[rows]], vectors.whole[rows], some)


def recall_of(stars: Sequence[Star], planted: Planted) -> tuple[float, float]:
    """Share of the true pairs that some cluster holds, and of the pairs in clusters that are true."""
    told = {(a, b) for star in stars for a in star.contents for b in star.contents if a < b}
    right = sum(bool(set(planted.shows[a]) & set(planted.shows[b])) for a, b in told)
    return right / planted.pairs(), right / max(1, len(told))


def spread(stars: Sequence[Star], planted: Planted) -> int:
    """How many chains joined their ends."""
    together = {(a, b) for star in stars if len(star.contents) <= 10 for a in star.contents for b in star.contents}
    large = [star.contents for star in stars if len(star.contents) > 10]
    joined = [pair in together or any(set(pair) <= one for one in large) for pair in planted.chained]
    return sum(joined)
