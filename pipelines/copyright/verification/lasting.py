"""What is another at every moment: places of the reference where the upload shows something else each time.

A template, a shop front or a studio agrees with its twin in most of what it shows. The words, the label, the
furniture, the speaker do not, and they are found in one place, moment after moment, over several adjoining blocks. In
a copy a block that fails at one moment, because somebody walked there half a second earlier, holds at another; and
what moves in both pictures may be found further away.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.copyright.verification.detail import BLOCK, DIFFERS, Blocks
from pipelines.copyright.verification.placement import applied, scale_of

Flags = NDArray[np.bool_]
Place = tuple[int, int]  # row and column of a grid over the reference, in blocks
LEAST_SAME, LEAST_SHARE = 4, 0.1  # of the blocks of a moment that is laid well enough to be asked
SEEN = 2  # moments at which a place must have been compared
OFTEN = 0.5  # of these, the share at which it is another
SEEDS = 2  # places that are clearly another, in a part that was never the same


@dataclass(frozen=True)
class Lasting:
    """Places of the reference that were compared, and those that are another at every moment."""

    told: int = 0  # in which either picture showed something
    other: int = 0  # that were never the same, and another most times
    largest: int = 0  # of these, adjoining ones
    around: int = 0  # places that were never the same, around at least two of these, adjoining

    @property
    def share(self) -> float:
        """Of the places that showed something, those that are another."""
        return self.other / self.told if self.told else 0.0

    @property
    def around_share(self) -> float:
        """Of the places that showed something, those of the largest part that was never the same."""
        return self.around / self.told if self.told else 0.0

    @property
    def scattered(self) -> bool:
        """Whether they lie in several parts; what is laid over a picture is mostly one."""
        return self.largest <= 0.6 * self.other


@dataclass(frozen=True)
class Look:
    """One moment that was laid: its blocks, and which of them move in the upload and in the reference."""

    blocks: Blocks
    ours: Flags
    theirs: Flags
    later: Blocks  # of the moment against which they move

    @property
    def counts(self) -> bool:
        """Whether enough agrees for what does not to mean something."""
        return int(self.blocks.same.sum()) >= LEAST_SAME and self.blocks.agreement >= LEAST_SHARE


@dataclass
class _Tally:
    """What a place showed, in moments."""

    told: int = 0
    same: int = 0
    both: int = 0  # both pictures showed something
    other: int = 0
    over: int = 0  # the upload stayed while the reference moved: something lies over it
    walked: int = 0  # it moved in both, and so may have been elsewhere half a second earlier
    nowhere: int = 0  # nor was it there

    def is_never_same(self, least: int) -> bool:
        return not self.same and not self.over and self.told >= least

    def is_never_seen(self, least: int) -> bool:
        """What moves in both must not be found further away either."""
        walks = self.walked >= OFTEN * self.told
        return self.is_never_same(least) and (not walks or self.nowhere >= OFTEN * self.told)

    def is_other(self, least: int) -> bool:
        return self.is_never_same(least) and self.both >= least and self.other >= OFTEN * self.both


def lasting(looks: Sequence[Look]) -> Lasting:
    """Count the places that are another at every moment that counts, or at every one where none does."""
    asked = [look for look in looks if look.counts] or list(looks)
    tallies = _tallies(asked)
    least = min(SEEN, len(asked))
    other = [place for place, tally in tallies.items() if tally.is_other(least)]
    never = [place for place, tally in tallies.items() if tally.is_never_seen(least)]
    told = sum(tally.told > 0 for tally in tallies.values())
    return Lasting(told, len(other), max(map(len, _parts(other)), default=0), _around(other, never))


def _tallies(looks: Iterable[Look]) -> dict[Place, _Tally]:
    tallies: dict[Place, _Tally] = defaultdict(_Tally)
    for look in looks:
        blocks = look.blocks
        told, same, both = blocks.told, blocks.same, blocks.shown & blocks.seen
        over = look.theirs & ~look.ours
        other = both & (blocks.likeness < DIFFERS) & (blocks.other | ~(look.ours & look.theirs))
        for at, place in enumerate(_places(blocks)):
            if told[at]:
                tally = tallies[place]
                tally.told += 1
                tally.same += bool(same[at])
                tally.both += bool(both[at])
                tally.other += bool(other[at])
                tally.over += bool(over[at])
                tally.walked += bool(look.ours[at] and look.theirs[at])
                tally.nowhere += bool(blocks.nowhere[at])
    return tallies


def _places(blocks: Blocks) -> list[Place]:
    """Where the blocks lie on the reference."""
    side = BLOCK * scale_of(blocks.to_ref_23)
    columns, rows = np.floor(applied(blocks.to_ref_23, blocks.centre_N2) / side).astype(int).T
    return list(zip(rows.tolist(), columns.tolist(), strict=True))


def _around(other: Sequence[Place], never: Sequence[Place]) -> int:
    """The largest part of what was never the same that holds at least two places that are clearly another.

    Two thresholds, as J. Canny links edges, "A Computational Approach to Edge Detection", PAMI 1986: letters of
    another word fall between the two, for the type is one.
    """
    clearly = set(other)
    return max((len(part) for part in _parts(never) if len(part & clearly) >= SEEDS), default=0)


def _parts(places: Sequence[Place]) -> list[set[Place]]:
    """Places that adjoin each other, corners counted."""
    import cv2

    if not places:
        return []
    at = np.array(places) - np.min(places, axis=0)
    drawn = np.zeros(at.max(axis=0) + 1, np.uint8)
    drawn[at[:, 0], at[:, 1]] = 1
    count, marks = cv2.connectedComponents(drawn, connectivity=8)
    parts: list[set[Place]] = [set() for _ in range(count)]
    for place, mark in zip(places, marks[at[:, 0], at[:, 1]].tolist(), strict=True):
        parts[mark].add(place)
    return parts
