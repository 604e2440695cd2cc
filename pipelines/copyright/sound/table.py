"""Where in the bank each landmark hash stands: one sorted array and a table of where its buckets begin."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from pipelines.copyright.sound.landmarks import Peaks, hashes_of

UNIT_MS = 8  # of a position: 32 bits hold 9,500 hours
OWN_MOST = 16  # times that one reference may hold a hash: a metronome has nothing more to say
COMMON, COMMON_SHARE = 256, 1e-5  # times, or of all entries, that a hash may stand before it is left out as common

SPREAD = np.uint32(2_654_435_769)  # 2^32 / golden ratio, odd: mixes hashes and merges none (Knuth, TAOCP 3, 6.4)
CHECK_BITS = 16  # of a mixed hash stand beside its position; its bucket says the rest
MOST_BUCKETS = 28  # bits; 1 GiB


class HashTable:
    """Positions by hash: compressed sparse rows of 6 bytes an entry, and 2 to 4 for its part of the table."""

    def __init__(self, tracks: Iterable[tuple[Peaks, int]]) -> None:
        """Read tracks, each with its start in units."""
        entries = _entries(tracks)
        mixed = (entries >> np.uint64(32)).astype(np.uint32)
        self.bits = min(MOST_BUCKETS, max(CHECK_BITS, len(entries).bit_length() - 1))
        self.position_H = entries.astype(np.uint32)  # in units, in the order of mixed hashes
        self.check_H = self._check(mixed)
        counts = np.bincount(self._bucket(mixed), minlength=1 << self.bits)
        self.first_B = np.concatenate([[0], np.cumsum(counts)]).astype(np.uint32)  # [buckets + 1]

    def __len__(self) -> int:
        return len(self.position_H)

    @property
    def nbytes(self) -> int:
        """The memory of its arrays."""
        return self.position_H.nbytes + self.check_H.nbytes + self.first_B.nbytes

    def lookup(self, hashes_H: NDArray[np.uint32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return every entry of every hash: the hash's index, ascending, and the position, in units."""
        mixed = hashes_H * SPREAD
        bucket = self._bucket(mixed)
        first, past = self.first_B[bucket], self.first_B[bucket + 1]
        some = np.flatnonzero(past > first)
        counts = (past[some] - first[some]).astype(np.int64)
        hit = np.repeat(some, counts)
        entry = np.arange(len(hit)) + np.repeat(first[some] - np.cumsum(counts) + counts, counts)
        same = np.flatnonzero(self.check_H[entry] == self._check(mixed)[hit])
        return hit[same], self.position_H[entry[same]].astype(np.int64)

    def _bucket(self, mixed: NDArray[np.uint32]) -> NDArray[np.int64]:
        return (mixed >> np.uint32(32 - self.bits)).astype(np.int64)

    def _check(self, mixed: NDArray[np.uint32]) -> NDArray[np.uint16]:
        """The bits of a hash that follow those of its bucket, all that there are."""
        return ((mixed << np.uint32(self.bits)) >> np.uint32(32 - CHECK_BITS)).astype(np.uint16)


def _entries(tracks: Iterable[tuple[Peaks, int]]) -> NDArray[np.uint64]:
    """Mixed hash and position in one number, sorted, uint64 [H]; without what is common."""
    parts = [np.zeros(0, np.uint64), *(_entries_of(peaks, start) for peaks, start in tracks)]
    entries = np.concatenate(parts)
    entries.sort()
    mixed = (entries >> np.uint64(32)).astype(np.uint32)
    _, counts = np.unique_counts(mixed) if len(mixed) else (mixed, np.zeros(0, np.int64))
    most = max(COMMON, int(COMMON_SHARE * len(entries)))
    return entries if counts.max(initial=0) <= most else entries[np.repeat(counts <= most, counts)]


def _entries_of(peaks: Peaks, start: int) -> NDArray[np.uint64]:
    hashes_H, time_ms = hashes_of(peaks)
    order = np.lexsort((time_ms, hashes_H))
    hashes_H, time_ms = hashes_H[order], time_ms[order]
    own = np.arange(len(hashes_H)) - np.searchsorted(hashes_H, hashes_H) < OWN_MOST
    position = (start + time_ms[own] // UNIT_MS).astype(np.uint64)
    return ((hashes_H[own] * SPREAD).astype(np.uint64) << np.uint64(32)) | position
