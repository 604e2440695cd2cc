"""Cluster planted contents from nothing, and one in a hundred of them beside the rest, with what is kept on disk."""

from __future__ import annotations

import gc
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.reposts.planted import DIMENSIONS, Planted
from pipelines.clusters.identity import Earlier, names
from pipelines.clusters.links import Link
from pipelines.clusters.nominate import nominate
from pipelines.clusters.stars import group
from pipelines.clusters.store import Stored, StoredStar
from pipelines.clusters.takeup import take_up
from pipelines.clusters.vector_table import vectors_of
from pipelines.clusters.windows import Clip, Vectors


@dataclass(frozen=True)
class Run:
    """What one run came to and cost."""

    clusters: list[set[int]]  # contents by number
    seconds: float
    cpu_s: float  # of all threads


def build(planted: Planted, new: NDArray[np.bool_], folder: Path) -> Run:
    """Cluster contents, of which those that are not `new` were clustered in this folder before."""
    gc.collect()
    gc.freeze()  # what the benchmark itself holds is not gone through while the run is measured
    began, cpu = time.perf_counter(), time.process_time()
    stored = Stored(folder)
    stored.keep_vectors(part(planted.vectors, new))
    vectors = vectors_of(stored.vectors(), DIMENSIONS)
    covered, base = stored.covered(), stored.stars()
    fresh = ~covered.among(vectors.contents) if covered else np.ones(len(vectors.contents), np.bool_)
    found = nominate(vectors, fresh, np.zeros(len(vectors), np.bool_))
    taken = take_up(base, vectors.contents, found.pairs, covered.gone(vectors.contents) if covered else ())
    pairs = {**found.pairs, **taken.pairs}

    def compare(medoid: int, others: Sequence[int]) -> dict[int, Link]:
        mine = {int(vectors.contents[other], 16): other for other in others}
        found = planted.compare(int(vectors.contents[medoid], 16), list(mine))
        return {mine[number]: link for number, link in found.items()}

    stars = group(pairs, taken.stars, compare)
    same, changed = taken.settle(stars, vectors.contents)
    named = [*same, *_named(same, changed, base)]
    stored.keep_stars(named, vectors.contents, {}, base, ~fresh if covered else None)
    took = time.perf_counter() - began, time.process_time() - cpu
    gc.unfreeze()
    return Run([{int(name, 16) for name in one.contents} for one in named], *took)


def _named(same: Sequence[StoredStar], changed: Sequence[StoredStar], base: Sequence[StoredStar]) -> list[StoredStar]:
    kept = {one.id for one in same}
    before = [Earlier(one.id, one.founded, one.contents, one.medoid) for one in base if one.id not in kept]
    said = names([(one.medoid, one.contents) for one in changed], before, min, "dt=2026-11-24", kept)
    return [replace(one, id=name.id, founded=name.founded) for one, name in zip(changed, said, strict=True)]


def part(vectors: Vectors, wanted: NDArray[np.bool_]) -> Vectors:
    """Those of some contents."""
    rows = wanted[vectors.owner]
    clip = vectors.clip
    some = Clip(clip.start_ms[rows], clip.end_ms[rows], clip.vectors_WD[rows], clip.pdq_WB[rows], clip.hashed_W[rows])
    contents = tuple(name for name, keep in zip(vectors.contents, wanted.tolist(), strict=True) if keep)
    place = np.cumsum(wanted) - 1
    return Vectors(contents, place[vectors.owner[rows]], vectors.whole[rows], some)


def recall_of(clusters: Sequence[set[int]], planted: Planted) -> tuple[float, float]:
    """Share of the true pairs that some cluster holds, and of the pairs in clusters that are true."""
    told = {(a, b) for cluster in clusters for a in cluster for b in cluster if a < b}
    right = sum(bool(set(planted.shows[a]) & set(planted.shows[b])) for a, b in told)
    return right / planted.pairs(), right / max(1, len(told))


def spread(clusters: Sequence[set[int]], planted: Planted) -> int:
    """How many chains joined their ends."""
    holders: dict[int, set[int]] = {}
    for number, cluster in enumerate(clusters):
        for one in cluster:
            holders.setdefault(one, set()).add(number)
    return sum(bool(holders.get(a, set()) & holders.get(b, set())) for a, b in planted.chained)
