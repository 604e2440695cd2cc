"""The peers: PDQ with vPDQ's rule, an average hash with the same rule, and Chromaprint; each at its honest best.

A peer is a frozen value with its thresholds, so that a grid of them can be fitted on one split and held to another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.copies.hashes import FINGERPRINT_MS, HEARD_MS, SILENCE, distances, fingerprint, frame_hashes, has_fpcalc
from benchmarks.copies.metrics import Match, micro_ap, segment_ap

AT_ONCE = 2
SECOND_MS = 1000
GAP_S = 3
RUN_S = 2.0
ALIGNMENTS = 3
Share = Literal["query", "reference", "either", "seconds"]


class Peer(Protocol):
    """A way to find copies."""

    def detect(self, references: Sequence[Path], queries: Sequence[Path]) -> list[Match]:
        """Compare every query with every reference; at most one match a pair, none that scores 0."""


def _every_pair(
    references: Sequence[Path], queries: Sequence[Path], compare: Callable[[Path, Path], Match | None]
) -> list[Match]:
    found = (compare(query, reference) for query, reference in product(queries, references))
    return [match for match in found if match]


@dataclass(frozen=True)
class FrameRule:
    """vPDQ's rule: the share of frames that have a near frame on the other side (ThreatExchange, vpdq, matchTwoHash).

    As published: PDQ, quality at least 50, a distance up to 31, and the share of the query's frames. vPDQ names no
    span; here it goes from the first to the last near frame of the longest run at one offset in time.
    """

    hashed: Literal["pdq", "average"] = "pdq"
    distance: int = 31
    quality: int = 50
    share: Share = "query"

    def detect(self, references: Sequence[Path], queries: Sequence[Path]) -> list[Match]:
        """Compare frame by frame."""
        prepare([*references, *queries], frame_hashes)
        return _every_pair(references, queries, self._compare)

    def _compare(self, query: Path, reference: Path) -> Match | None:
        (q_second, q_hash), (r_second, r_hash) = self._kept(query), self._kept(reference)
        near = distances(q_hash, r_hash) <= self.distance
        if not near.any():
            return None
        start, end, ref_start, ref_end = (float(at * SECOND_MS) for at in longest_run(q_second, r_second, near))
        return Match(query.stem, reference.stem, self._score(near), start, end, ref_start, ref_end)

    def _kept(self, path: Path) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
        hashes = frame_hashes(path)
        kept = hashes.quality >= self.quality
        return hashes.second[kept], getattr(hashes, self.hashed)[kept]

    def _score(self, near: NDArray[np.bool_]) -> float:
        of_query, of_reference = near.any(1), near.any(0)
        if self.share == "seconds":
            return float(min(of_query.sum(), of_reference.sum()))
        shares = {"query": of_query.mean(), "reference": of_reference.mean()}
        return float(shares.get(self.share, max(shares.values())))


def longest_run(
    q_second: NDArray[np.int64], r_second: NDArray[np.int64], near: NDArray[np.bool_]
) -> tuple[int, int, int, int]:
    """Find the most near frames at one offset, give or take a second, without a gap of more than `GAP_S`.

    Return start and end in the query and in the reference, in seconds, ends after the last frame.
    """
    q_at, r_at = np.nonzero(near)
    pairs = np.stack([q_second[q_at], r_second[r_at]], 1)
    best = pairs[:1]
    for offset in np.unique(pairs[:, 1] - pairs[:, 0]):
        aligned = pairs[np.abs(pairs[:, 1] - pairs[:, 0] - offset) <= 1]
        for run in np.split(aligned, np.flatnonzero(np.diff(aligned[:, 0]) > GAP_S) + 1):
            if len(np.unique(run[:, 0])) > len(np.unique(best[:, 0])):
                best = run
    (q_start, r_start), (q_end, r_end) = best.min(0), best.max(0) + 1
    return int(q_start), int(q_end), int(r_start), int(r_end)


@dataclass(frozen=True)
class Chromaprint:
    """Align two fingerprints by a histogram of offsets, then take the bit error rate over the aligned stretch.

    As AcoustID compares (acoustid-server, fingerprint comparison) and as Chromaprint's own matcher cuts segments
    (src/fingerprint_matcher.cpp): sub-fingerprints vote for an offset where their first `align_bits` are equal; along
    the best offsets the bit errors are smoothed, and stretches below `error` are the match. The score is
    1 - 2 * bit error rate, less for short stretches: times length / (length + `patience_s`).
    """

    error: float = 0.31  # Chromaprint's threshold: 10 bits of 32
    align_bits: int = 12
    patience_s: float = 2.0

    def detect(self, references: Sequence[Path], queries: Sequence[Path]) -> list[Match]:
        """Compare what has sound; needs `fpcalc`."""
        prepare([*references, *queries], fingerprint)
        return _every_pair(references, queries, self._compare)

    def _compare(self, query: Path, reference: Path) -> Match | None:
        one, other = fingerprint(query), fingerprint(reference)
        found = [self._along(one, other, offset) for offset in alignments(one, other, self.align_bits)]
        score, start, end, offset = max((hit for hit in found if hit), default=(0.0, 0, 0, 0))
        if score <= 0:
            return None
        times = [at * FINGERPRINT_MS for at in (start, end, start + offset, end + offset)]
        spans = (times[0], times[1] + HEARD_MS, times[2], times[3] + HEARD_MS)
        return Match(query.stem, reference.stem, score, *spans)

    def _along(
        self, one: NDArray[np.uint32], other: NDArray[np.uint32], offset: int
    ) -> tuple[float, int, int, int] | None:
        """Find the best stretch at an offset: score, start and end in the query, offset."""
        start = max(0, -offset)
        size = min(len(one) - start, len(other) - start - offset)
        errors = bit_errors(one[start : start + size], other[start + offset : start + offset + size])
        window = min(size, round(RUN_S * 1000 / FINGERPRINT_MS))
        good = np.flatnonzero(np.convolve(errors, np.ones(window) / window, "same") < self.error)
        runs = [run for run in np.split(good, np.flatnonzero(np.diff(good) > 1) + 1) if len(run) >= window]
        scored = [(self._score(errors[run[0] : run[-1] + 1]), run) for run in runs]
        score, best = max(scored, key=lambda item: item[0], default=(0.0, None))
        return None if best is None else (score, int(best[0]) + start, int(best[-1]) + start + 1, offset)

    def _score(self, errors: NDArray[np.float64]) -> float:
        length_s = len(errors) * FINGERPRINT_MS / 1000
        return float((1 - 2 * errors.mean()) * length_s / (length_s + self.patience_s))


def bit_errors(one: NDArray[np.uint32], other: NDArray[np.uint32]) -> NDArray[np.float64]:
    """Return the share of bits that differ, place by place; silence on either side is like nothing: a half."""
    silent = (one == SILENCE) | (other == SILENCE)
    return np.where(silent, 0.5, np.bitwise_count(one ^ other) / 32)


def alignments(one: NDArray[np.uint32], other: NDArray[np.uint32], bits: int) -> list[int]:
    """Return the offsets (place in `other` minus place in `one`) with most votes, silence not voting."""
    equal = (one[:, None] >> (32 - bits)) == (other[None] >> (32 - bits))
    q_at, r_at = np.nonzero(equal & (one != SILENCE)[:, None])
    votes = np.bincount(r_at - q_at + len(one), minlength=1)
    best = np.argsort(-votes, kind="stable")[:ALIGNMENTS]
    return [int(at) - len(one) for at in best if votes[at] > 1]


def prepare(paths: Iterable[Path], see: Callable[[Path], object]) -> None:
    """Hash what was not hashed yet, two at once; the hashes stay in memory."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(see, paths))


def vpdq_grid() -> list[Peer]:
    """Settings of vPDQ to choose from."""
    shares: tuple[Share, ...] = ("query", "reference", "either", "seconds")
    return [FrameRule("pdq", d, q, s) for d, q, s in product((23, 31, 39, 47, 55, 63), (0, 50, 80), shares)]


def average_grid() -> list[Peer]:
    """Settings of the average hash to choose from."""
    shares: tuple[Share, ...] = ("query", "reference", "either", "seconds")
    return [FrameRule("average", d, q, s) for d, q, s in product((1, 2, 3, 4, 6, 8, 10), (0, 50), shares)]


def chromaprint_grid() -> list[Peer]:
    """Settings of Chromaprint to choose from; none where `fpcalc` is absent."""
    if not has_fpcalc():
        return []
    return [Chromaprint(e, b, p) for e, b, p in product((0.25, 0.28, 0.31, 0.35, 0.4), (8, 12, 16), (0.5, 2, 5))]


GRIDS: dict[str, Callable[[], list[Peer]]] = {
    "vPDQ": vpdq_grid,
    "average hash": average_grid,
    "Chromaprint": chromaprint_grid,
}
PUBLISHED: dict[str, Peer] = {"vPDQ as published": FrameRule()}


def fitted(
    grid: Sequence[Peer],
    references: Sequence[Path],
    queries: Sequence[Path],
    truth: Sequence[Match],
    counted: Callable[[Sequence[Match]], Sequence[Match]] = list,
) -> Peer | None:
    """Return the setting with the highest uAP on these videos, among equals that with the highest segment AP.

    `counted` leaves out the matches that count neither way.
    """

    def quality(peer: Peer) -> tuple[float, float]:
        matches = counted(peer.detect(references, queries))
        return micro_ap(truth, matches), segment_ap(truth, matches)

    return max(grid, key=quality, default=None)
