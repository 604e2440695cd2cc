"""From what pairs of frames show to a verdict: verified, in doubt, or another picture of the same kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pipelines.copyright.verification.features import Picture
    from pipelines.copyright.verification.search import Laid


class Verdict(StrEnum):
    """What verification came to."""

    VERIFIED = "verified"  # the same picture
    IN_DOUBT = "in_doubt"  # it may be: a person should look
    REFUTED = "refuted"  # another picture of the same kind
    UNSEEN = "unseen"  # no pictures were kept


MOVED = 0.6  # correlation with itself at another moment below which a block moves
LEAST_MOVING = 5  # blocks from which motion has a say
HOLDS_BLOCKS, HOLDS_SHARE = 10, 0.3  # that agree in a pair that speaks for the claim
MOVES_ALIKE = 0.25  # share of the moving blocks that agree, over all pairs
STILL_SHARE = 0.8  # of the blocks, where nothing moves
SOME_SHARE = 0.12  # below it a pair speaks against the claim


@dataclass(frozen=True)
class Evidence:
    """What one pair of frames shows."""

    same: int = 0  # blocks that are the same
    told: int = 0  # blocks that show something in either
    moving: int = 0  # of these, those that show something else at another moment
    moving_same: int = 0

    @classmethod
    def of(cls, found: Laid | None, others: tuple[Picture, Picture] | None) -> Evidence:
        """Count the blocks of a pair; `others` are the frames of another moment."""
        from pipelines.copyright.verification.motion import moving

        if found is None:
            return cls()
        blocks = found.blocks
        told = blocks.shown | blocks.seen
        moves = moving(found, others) if others else np.zeros(len(told), np.bool_)
        moves &= told
        return cls(int(blocks.same.sum()), int(told.sum()), int(moves.sum()), int((moves & blocks.same).sum()))

    @property
    def share(self) -> float:
        """Of the blocks that show something, those that are the same."""
        return self.same / self.told if self.told else 0.0

    @property
    def holds(self) -> bool:
        """Whether the pair speaks for the claim."""
        return self.same >= HOLDS_BLOCKS and self.share >= HOLDS_SHARE


@dataclass(frozen=True)
class Judged:
    """The verdict on a span."""

    verdict: Verdict
    score: float
    reason: str
    clear: bool = False  # more pairs would not change it


def judged(evidence: Sequence[Evidence]) -> Judged:
    """Weigh the pairs of a span."""
    share = float(np.median([one.share for one in evidence]))
    holding = sum(one.holds for one in evidence)
    moving, alike = sum(one.moving for one in evidence), sum(one.moving_same for one in evidence)
    percent = f"{share:.0%} of the detail agrees"
    if not holding:
        refuted = max(one.share for one in evidence) < HOLDS_SHARE
        verdict = Verdict.REFUTED if refuted else Verdict.IN_DOUBT
        return Judged(verdict, 0.0, f"another picture of the same kind: {percent}", clear=True)
    many = moving >= LEAST_MOVING * len(evidence)
    if many and alike < MOVES_ALIKE * moving:
        reason = f"same scene or layout, other content: {alike / moving:.0%} of what moves agrees"
        return Judged(Verdict.REFUTED, 0.1, reason, clear=True)
    if not many and share < STILL_SHARE:
        return Judged(Verdict.IN_DOUBT, 0.4, f"a still picture of the same layout: only {percent}")
    if 2 * holding < len(evidence):
        return Judged(Verdict.IN_DOUBT, 0.4, f"only {holding} of {len(evidence)} frames hold: {percent}")
    score = 1 - 1 / (2 + 0.25 * sum(one.same for one in evidence if one.holds) * share)
    return Judged(Verdict.VERIFIED, score, percent, clear=share >= 0.5)
