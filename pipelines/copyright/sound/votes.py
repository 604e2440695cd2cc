"""Which offsets the hashes of a query agree on, read at every speed and pitch: many guesses, nearly all of them wrong.

A vote is a hash of the query that stands in the bank as well, and votes of a copy agree on one offset between the two
(Wang, "An Industrial-Strength Audio Search Algorithm", ISMIR 2003). The spectrogram is not computed again for a speed
or a pitch: both are arithmetic on the peaks.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from pipelines.copyright.sound.landmarks import QUERY_FAN, Peaks, before, hashes, hashes_of, trios
from pipelines.copyright.sound.table import COMMON, COMMON_SHARE, OWN_MOST, UNIT_MS, HashTable

FASTEST = 1.26  # and the slowest is as far below 1
RESAMPLED_STEP, STRETCHED_STEP = 0.01, 0.015  # of the logarithm of speed; half a step costs a fifth of the votes
TRANSPOSED_MOST, TRANSPOSED_STEP = 340, 20  # cents

BLOCK_MS = 8000  # votes are counted in two blocks together: over more, half a step of speed would spoil the offset
CHUNK_BLOCKS = 8  # are looked up together, so that memory does not grow with the query
BEYOND_MS = 1300  # of peaks after a chunk belong to hashes of its last ones: the zone at the slowest
QUERY_MOST = 64  # times that a chunk may hold a hash before it is left out: a hum
AGREE_UNITS = 12  # votes agree within 96 ms
VOTES = 3  # nominate
CELL_MS = 400  # of nominations this near one stands, the one with the most votes
NOMINATED = 16  # a block at most

ANCHOR_BITS, OFFSET_BITS = 16, 36  # of a vote packed into one number; offsets are below 2^34 either way
ZERO = 1 << OFFSET_BITS - 2


@dataclass(frozen=True)
class Reading:
    """One way to read a query: as sound that was played `speed` times as fast and `pitch` cents higher."""

    speed: float
    pitch: int


@dataclass(frozen=True, order=True)
class Nomination:
    """An offset that hashes from two blocks agree on, in the order of merit."""

    against: int  # minus the number of hashes with different first peaks
    block: int  # the first of the two
    reading: int  # its number in `readings`
    offset: int  # of the bank against the query as read, in units

    def middle_ms(self) -> float:
        """Where in the bank the middle of the two blocks lies."""
        return self.offset * UNIT_MS + readings()[self.reading].speed * (self.block + 1) * BLOCK_MS


@cache
def readings() -> tuple[Reading, ...]:
    """Three lines through the plane of speed and pitch: resampled (both), stretched (speed), transposed (pitch)."""
    resampled = [Reading(math.exp(log), round(1200 * log / math.log(2))) for log in _around_zero(RESAMPLED_STEP)]
    stretched = [Reading(math.exp(log), 0) for log in _around_zero(STRETCHED_STEP)]
    count = TRANSPOSED_MOST // TRANSPOSED_STEP
    transposed = [Reading(1.0, TRANSPOSED_STEP * step) for step in range(-count, count + 1) if step]
    return (Reading(1.0, 0), *resampled, *stretched, *transposed)


def _around_zero(step: float) -> list[float]:
    count = round(math.log(FASTEST) / step)
    return [step * number for number in range(-count, count + 1) if number]


@cache
def _by_speed() -> dict[float, list[tuple[int, int]]]:
    """Number and pitch of the readings at each speed, which share the choice of peaks."""
    grouped = defaultdict(list)
    for number, reading in enumerate(readings()):
        grouped[reading.speed].append((number, reading.pitch))
    return dict(grouped)


@dataclass(frozen=True)
class Read:
    """The H hashes of a chunk as one reading has them."""

    reading: int
    hashes_H: NDArray[np.uint32]
    time_ms: NDArray[np.int32]  # [H] of the first peak, as read
    block: NDArray[np.int32]  # [H] of the first peak, from the chunk's first on
    anchor: NDArray[np.int64]  # [H] which peak the first one is


def nominations(table: HashTable, query: Peaks) -> list[Nomination]:
    """Return the offsets that most hashes agree on, the best of each block, in the order of merit."""
    found: list[Nomination] = []
    for chunk in _chunks(query):
        agreeing = [_agreeing(read, *table.lookup(read.hashes_H)) for read in _read(query, chunk)]
        found += _best(np.concatenate(agreeing, axis=1), chunk)
    return sorted(found)


def _chunks(query: Peaks) -> list[int]:
    """The first blocks of the chunks that hold anything."""
    chunks: list[int] = np.unique(query.time_ms // (CHUNK_BLOCKS * BLOCK_MS)).tolist()
    return [chunk * CHUNK_BLOCKS for chunk in chunks]


def _read(query: Peaks, chunk: int) -> Iterator[Read]:
    """Every reading of the blocks from `chunk` on."""
    start_ms, until_ms = chunk * BLOCK_MS, (chunk + CHUNK_BLOCKS + 1) * BLOCK_MS
    part = query.between(start_ms, until_ms + BEYOND_MS)
    pitch, block_P = part.pitch.astype(np.int32), (part.time_ms - start_ms) // BLOCK_MS
    for speed, numbered in _by_speed().items():
        time_ms = before(part.time_ms, speed)
        trios_3H = trios(time_ms, part.pitch, QUERY_FAN)
        trios_3H = trios_3H[:, block_P[trios_3H[0]] <= CHUNK_BLOCKS]
        trios_3H = trios_3H[:, _telling(hashes(time_ms, pitch, trios_3H))]
        anchor = trios_3H[0]
        for number, higher in numbered:
            yield Read(number, hashes(time_ms, pitch - higher, trios_3H), time_ms[anchor], block_P[anchor], anchor)


def _telling(hashes_H: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """Which hashes do not come over and over."""
    ordered = np.sort(hashes_H)
    if not (ordered[QUERY_MOST:] == ordered[:-QUERY_MOST]).any():
        return np.ones(len(hashes_H), np.bool_)
    times = np.searchsorted(ordered, hashes_H, "right") - np.searchsorted(ordered, hashes_H)
    return np.asarray(times <= QUERY_MOST)


def _agreeing(read: Read, hit: NDArray[np.int64], position: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where VOTES or more agree, int64 [4, N]: how many, block of the chunk, reading, and the offset in their middle.

    Votes are sorted as numbers made of block, offset and first peak; one that is there twice is one.
    """
    block, offset = read.block[hit].astype(np.int64), position - read.time_ms[hit] // UNIT_MS
    packed = ((block << OFFSET_BITS) + offset + ZERO << ANCHOR_BITS) + read.anchor[hit]
    one_before = packed[block > 0] - (1 << OFFSET_BITS + ANCHOR_BITS)
    packed = np.concatenate([packed[block < CHUNK_BLOCKS], one_before])
    packed.sort()
    votes = packed[np.diff(packed, prepend=-1) != 0] >> ANCHOR_BITS
    low = np.flatnonzero(votes[VOTES - 1 :] - votes[: max(0, len(votes) - VOTES + 1)] <= AGREE_UNITS)
    past = np.searchsorted(votes, votes[low] + AGREE_UNITS, "right")
    middle = votes[(low + past - 1) // 2]
    offset = (middle & (1 << OFFSET_BITS) - 1) - ZERO
    return np.stack([past - low, middle >> OFFSET_BITS, np.full(len(low), read.reading), offset])


def _best(agreeing: NDArray[np.int64], chunk: int) -> list[Nomination]:
    """One a cell, and the NOMINATED best of each block."""
    votes, block, reading, offset = agreeing
    speed = np.array([reading.speed for reading in readings()])[reading]
    cell = (offset * UNIT_MS + speed * (block + chunk + 1) * BLOCK_MS) // CELL_MS
    order = np.lexsort((offset, reading, -votes, cell, block))
    first = (np.diff(cell[order], prepend=np.nan) != 0) | (np.diff(block[order], prepend=-1) != 0)
    votes, block, reading, offset = agreeing[:, order[first]]
    order = np.lexsort((offset, reading, -votes, block))
    rank = np.arange(len(order)) - np.searchsorted(block[order], block[order])
    rows = agreeing[:, :0] if not len(order) else np.stack([-votes, block + chunk, reading, offset])[:, order]
    return [Nomination(*row) for row in rows[:, rank < NOMINATED].T.tolist()]


def nominations_plain(tracks: Iterable[tuple[Peaks, int]], query: Peaks) -> list[Nomination]:
    """Return what `nominations` returns, one vote at a time; tracks come with their start in units."""
    bank = _bank_plain(tracks)
    cells: dict[tuple[int, float], Nomination] = {}
    for chunk in _chunks(query):
        for read in _read(query, chunk):
            for nomination in _agreeing_plain(bank, read, chunk):
                cell = nomination.block, nomination.middle_ms() // CELL_MS
                cells[cell] = min(nomination, cells.get(cell, nomination))
    blocks: dict[int, list[Nomination]] = defaultdict(list)
    for nomination in sorted(cells.values()):
        blocks[nomination.block].append(nomination)
    return sorted(nomination for best in blocks.values() for nomination in best[:NOMINATED])


def _bank_plain(tracks: Iterable[tuple[Peaks, int]]) -> dict[int, list[int]]:
    """The positions of every hash that is not common."""
    bank: dict[int, list[int]] = defaultdict(list)
    for peaks, start in tracks:
        own: Counter[int] = Counter()
        for time_ms, code in sorted(zip(*(column.tolist() for column in reversed(hashes_of(peaks))), strict=True)):
            own[code] += 1
            if own[code] <= OWN_MOST:
                bank[code].append(start + time_ms // UNIT_MS)
    most = max(COMMON, int(COMMON_SHARE * sum(map(len, bank.values()))))
    return {code: positions for code, positions in bank.items() if len(positions) <= most}


def _agreeing_plain(bank: dict[int, list[int]], read: Read, chunk: int) -> Iterator[Nomination]:
    votes: dict[int, set[tuple[int, int]]] = defaultdict(set)
    columns = (column.tolist() for column in (read.hashes_H, read.time_ms, read.block, read.anchor))
    for code, time_ms, block, anchor in zip(*columns, strict=True):
        for position in bank.get(code, []):
            for of_two in {block, block - 1} & set(range(CHUNK_BLOCKS)):
                votes[of_two].add((position - time_ms // UNIT_MS, anchor))
    for block, pairs in votes.items():
        offsets = [offset for offset, _ in sorted(pairs)]
        for low, offset in enumerate(offsets):
            agreeing = [other for other in offsets[low:] if other <= offset + AGREE_UNITS]
            if len(agreeing) >= VOTES:
                yield Nomination(-len(agreeing), chunk + block, read.reading, agreeing[(len(agreeing) - 1) // 2])
