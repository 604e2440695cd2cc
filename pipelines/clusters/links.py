"""What two contents share, as somebody compared them: the stretches, how sure that is, and what it rests on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum


class Basis(StrEnum):
    """Why a link is taken for true."""

    EXACT = "exact"  # the same bytes
    VERIFIED = "verified"  # pictures were compared point by point
    SOUND = "sound"  # heard, where there is no picture to compare or pictures leave a doubt
    ALIGNED = "aligned"  # frames follow each other in the same order; the night kept no pictures to compare


@dataclass(frozen=True)
class Stretch:
    """A stretch of a content and the same stretch in the medoid, in ms; of a picture one of 1 ms."""

    form: str  # "Image" or "Audio"
    start_ms: int
    end_ms: int
    medoid_start_ms: int
    medoid_end_ms: int

    def __post_init__(self) -> None:
        """Refuse what is no stretch."""
        if not (self.start_ms < self.end_ms and self.medoid_start_ms < self.medoid_end_ms):
            raise ValueError(f"{self}: wanted ends after starts")

    @property
    def medoid_ms(self) -> int:
        """How long it is in the medoid."""
        return self.medoid_end_ms - self.medoid_start_ms

    def turned(self) -> Stretch:
        """The same with the sides swapped."""
        mine, others = (self.start_ms, self.end_ms), (self.medoid_start_ms, self.medoid_end_ms)
        return replace(self, start_ms=others[0], end_ms=others[1], medoid_start_ms=mine[0], medoid_end_ms=mine[1])


@dataclass(frozen=True)
class Link:
    """A content and the medoid that it was compared with; the longest stretch comes first."""

    stretches: tuple[Stretch, ...]
    score: float
    basis: Basis

    def __post_init__(self) -> None:
        """Refuse a link that shares nothing."""
        if not self.stretches:
            raise ValueError("a link has no stretches, wanted one or more")

    @classmethod
    def of(cls, stretches: Sequence[Stretch], score: float, basis: Basis) -> Link:
        """Order the stretches."""
        return cls(tuple(sorted(stretches, key=lambda one: (-one.medoid_ms, one.medoid_start_ms))), score, basis)

    def turned(self) -> Link:
        """The same seen from the other content."""
        return Link.of([one.turned() for one in self.stretches], self.score, self.basis)

    def overlap(self, start_ms: int, end_ms: int) -> int:
        """How much of a stretch of the medoid the link shares, in ms; stretches may overlap each other."""
        covered, at = 0, start_ms
        for first, last in sorted((one.medoid_start_ms, one.medoid_end_ms) for one in self.stretches):
            first, last = max(first, at), min(last, end_ms)
            if last > first:
                covered, at = covered + last - first, last
        return covered


# Compare one content, the medoid, with others, all by number; who shares nothing with it is left out.
Compare = Callable[[int, Sequence[int]], Mapping[int, Link]]
