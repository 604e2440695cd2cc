"""Which contents to compare: those with a vector in common, a hash, or, where pictures tell nothing, a sound.

A vector that is in many contents which share nothing else (an intro, a card, a test picture) stops: it joins nobody.
How many contents a vector is in is its document frequency, as in text search (Sivic and Zisserman, "Video Google",
ICCV 2003, stop the most frequent visual words for the same reason).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.clusters.joined import Joined
from pipelines.clusters.similar import Pairs, similar_between, similar_within
from pipelines.clusters.windows import Vectors
from pipelines.copyright.picture import pdq
from pipelines.copyright.sound.index import AudioIndex
from pipelines.copyright.sound.landmarks import Peaks

LEAST = 0.35  # similarity of two vectors that nominates; unrelated ones have some 0.06 either way
NEAREST = 64  # pairs that a vector may nominate, the most similar
OFTEN, OFTEN_SHARE, OFTEN_MOST = 12, 0.001, 50  # contents, or a share of all, that are many; 50 are in any night
ALIKE = 0.6  # similarity from which on a window is in another content
MOSTLY = 0.5  # of the contents that a window is in: as many share nothing else
LEAST_SHARE = 0.3  # of the shorter content: two that have as much in common share more than an intro
NEAREST_HASHES = 8
MOST_HASH_PAIRS = 4_000_000_000  # comparisons of hashes, each five times: some 10 s. Larger nights do without


@dataclass(frozen=True)
class Nominated:
    """Pairs of contents to compare and the windows that stop."""

    pairs: Mapping[tuple[int, int], float]  # places in Vectors.contents, the lower first -> highest similarity
    stopped: NDArray[np.bool_]  # [V]


def nominate(vectors: Vectors, new: NDArray[np.bool_], stopped: NDArray[np.bool_], threads: int = 0) -> Nominated:
    """Compare `new` contents [C] with each other and with the rest, which was compared before, with its stops [V]."""
    kept = _Nearest(vectors)
    fresh = new[vectors.owner]
    for pairs in _similar(vectors, fresh, threads):
        kept.take(pairs)
    pairs = kept.joined()
    stopped = stopped | stops(vectors, pairs)
    found = _contents(vectors, pairs, stopped)
    for pair in _by_hash(vectors, fresh, stopped):
        found.setdefault(pair, 0.0)
    return Nominated(found, stopped)


def _similar(vectors: Vectors, fresh: NDArray[np.bool_], threads: int) -> Iterator[Pairs]:
    """Pairs of rows; what is known is never compared with what is known."""
    rows, old = np.flatnonzero(fresh), np.flatnonzero(~fresh)
    every_VD = vectors.clip.vectors_WD
    if not len(old):
        yield from similar_within(every_VD, LEAST, threads)
        return
    own_ND = every_VD[rows]
    for pairs in similar_within(own_ND, LEAST, threads):
        yield Pairs(rows[pairs.first], rows[pairs.second], pairs.score)
    known_ND = every_VD.where(~fresh) if isinstance(every_VD, Joined) else every_VD[old]
    for pairs in similar_between(own_ND, known_ND, LEAST, threads):
        yield Pairs(rows[pairs.first], old[pairs.second], pairs.score)


class _Nearest:
    """The most similar pairs of each row, so that a thousand copies of one clip are no million pairs in memory."""

    def __init__(self, vectors: Vectors) -> None:
        self.owner = vectors.owner
        self.parts: list[Pairs] = []

    def take(self, pairs: Pairs) -> None:
        """Keep the NEAREST pairs of each first row in this batch, which has all of them but for other strips."""
        other = self.owner[pairs.first] != self.owner[pairs.second]
        pairs = Pairs(pairs.first[other], pairs.second[other], pairs.score[other])
        order = np.lexsort((pairs.second, -pairs.score, pairs.first))
        first = pairs.first[order]
        place = np.arange(len(first)) - np.searchsorted(first, first)
        order = order[place < NEAREST]
        self.parts.append(Pairs(pairs.first[order], pairs.second[order], pairs.score[order]))

    def joined(self) -> Pairs:
        """All that were kept."""
        return Pairs.joined(self.parts)


def stops(vectors: Vectors, pairs: Pairs) -> NDArray[np.bool_]:
    """Which windows are in many contents that share nothing else with theirs, bool [V]."""
    often = min(max(OFTEN, int(OFTEN_SHARE * len(vectors.contents))), OFTEN_MOST)
    alike = ~vectors.whole[pairs.first] & ~vectors.whole[pairs.second] & (pairs.score >= ALIKE)
    row = np.concatenate([pairs.first[alike], pairs.second[alike]])
    other = np.concatenate([pairs.second[alike], pairs.first[alike]])
    if not len(row):
        return np.zeros(len(vectors), np.bool_)
    little = shared_shares(vectors, row, other) < LEAST_SHARE
    row, _, little = np.unique(np.stack([row, vectors.owner[other], little]), axis=1)
    frequency = np.bincount(row, minlength=len(vectors))
    alone = np.bincount(row, little, minlength=len(vectors))
    return np.asarray((frequency >= often) & (alone > MOSTLY * frequency))


def shared_shares(vectors: Vectors, row: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.float64]:
    """For each pair of like windows how much its two contents share, by all of these pairs, 0 to 1.

    A share is that of the content of which it is more, so that an excerpt shares all of itself. `row` and `other` have
    each pair both ways round.
    """
    length = (vectors.clip.end_ms - vectors.clip.start_ms).astype(np.float64)
    windows = np.flatnonzero(~vectors.whole)
    total = np.bincount(vectors.owner[windows], length[windows], minlength=len(vectors.contents))
    ways = vectors.owner[row] * len(vectors.contents) + vectors.owner[other]
    names, number = np.unique(ways, return_inverse=True)
    each = np.unique(np.stack([number, row]), axis=1)
    shared = np.bincount(each[0], length[each[1]]) / total[names // len(vectors.contents)]
    back = names % len(vectors.contents) * len(vectors.contents) + names // len(vectors.contents)
    return np.asarray(np.maximum(shared, shared[np.searchsorted(names, back)])[number])


def _contents(vectors: Vectors, pairs: Pairs, stopped: NDArray[np.bool_]) -> dict[tuple[int, int], float]:
    """Pairs of contents with their highest similarity, without what stops."""
    goes = ~stopped[pairs.first] & ~stopped[pairs.second]
    one, other = vectors.owner[pairs.first[goes]], vectors.owner[pairs.second[goes]]
    names = np.minimum(one, other) * len(vectors.contents) + np.maximum(one, other)
    names, number = np.unique(names, return_inverse=True)
    best = np.zeros(len(names), np.float32)
    np.maximum.at(best, number, pairs.score[goes])
    low, high = (names // len(vectors.contents)).tolist(), (names % len(vectors.contents)).tolist()
    return dict(zip(zip(low, high, strict=True), best.tolist(), strict=True))


def _by_hash(vectors: Vectors, fresh: NDArray[np.bool_], stopped: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Contents with nearly the same picture, mirrored or turned: descriptors do not survive a quarter turn."""
    goes = vectors.clip.hashed_W & ~stopped
    asked, held = np.flatnonzero(goes & fresh), np.flatnonzero(goes)
    if not len(asked) or len(asked) * len(held) > MOST_HASH_PAIRS:
        return
    turned = pdq.turns(vectors.clip.pdq_WB[asked])
    near, rows = pdq.nearest(turned.reshape(-1, turned.shape[2]), vectors.clip.pdq_WB[held], NEAREST_HASHES)
    query, column = np.nonzero(near <= pdq.NEAR)
    one, other = vectors.owner[asked[query % len(asked)]], vectors.owner[held[rows[query, column]]]
    different = one != other
    pairs = np.stack([np.minimum(one, other), np.maximum(one, other)])[:, different]
    yield from map(tuple, np.unique(pairs, axis=1).T.tolist())


def by_sound(new: Sequence[tuple[int, Peaks]], old: Iterable[tuple[int, Peaks]]) -> Iterator[tuple[int, int]]:
    """Contents of which one is heard in the other: `new` ones against each other and the `old`."""
    index = AudioIndex([*new, *old])
    for number, peaks in new:
        for other in {span.reference for span in index.match(peaks)} - {number}:
            yield min(number, other), max(number, other)
