"""From what pairs of frames show to a verdict: verified, in doubt, or another picture of the same kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np


class Verdict(StrEnum):
    """What verification came to."""

    VERIFIED = "verified"  # the same picture
    IN_DOUBT = "in_doubt"  # it may be: a person should look
    REFUTED = "refuted"  # another picture of the same kind
    UNSEEN = "unseen"  # no pictures were kept


LEAST_MOVING = 4  # blocks a pair from which motion has a say
ALL_MOVES = 0.75  # share of the blocks: the camera moves, and what agrees, moves alike
HOLDS_BLOCKS, HOLDS_SHARE = 8, 0.3  # that agree in a pair that speaks for the claim
MOVES_ALIKE, MOVES_OTHERWISE = 0.25, 0.12  # share of the moving blocks that agree: from the first on, below the second
FOREIGN = 0.045  # share of the blocks that show something else at every moment that holds
LIKELY, UNLIKELY = (
    0.6,
    0.45,
)  # the highest score of a doubt: where too little was seen, where something speaks against it
STILL_SHARE, STILL_FOREIGN = 0.85, 0.03  # where nothing moves: of the blocks that must agree, that may be another's
STILL_DOUBT = 0.7  # below this it is another card of the same kind


@dataclass(frozen=True)
class Evidence:
    """What one pair of frames shows, in blocks."""

    told: int = 0  # that show something in either
    same: int = 0  # that are the same
    rich: int = 0  # of these, that show more than straight bars and ramps
    foreign: int = 0  # in which both show something, and not the same, but for what stays while the rest moves
    moving: int = 0  # of those told, that show something else at another moment
    moving_same: int = 0  # of these, that are the same at both moments
    moving_now: int = 0  # of these, that are the same at this one

    @property
    def share(self) -> float:
        """Of the blocks that show something, those that are the same."""
        return self.same / self.told if self.told else 0.0

    @property
    def holds(self) -> bool:
        """Whether the pair speaks for the claim."""
        return self.rich >= HOLDS_BLOCKS and self.share >= HOLDS_SHARE


@dataclass(frozen=True)
class Judged:
    """The verdict on a span."""

    verdict: Verdict
    score: float
    reason: str


def judged(evidence: Sequence[Evidence]) -> Judged:
    """Weigh the pairs of a span that could be laid on each other."""
    share = float(np.median([one.share for one in evidence]))
    holding = [one for one in evidence if one.holds]
    agrees = f"{share:.0%} of the detail agrees"
    if not holding:
        what = "too plain to be anybody's" if share >= HOLDS_SHARE else "another picture of the same kind"
        return Judged(Verdict.REFUTED, 0.0, f"{what}: {agrees}")
    score = 1 - 1 / (2 + 0.25 * sum(one.same for one in holding) * share)
    if sum(one.moving for one in evidence) < LEAST_MOVING * len(evidence):
        return _of_a_still(evidence, score, agrees)
    alike = max(_alike(one) for one in evidence)
    moves = f"same scene or layout, other content: {alike:.0%} of what moves agrees"
    if alike < MOVES_OTHERWISE:
        return Judged(Verdict.REFUTED, 0.1, moves)
    foreign = min(one.foreign / max(1, one.told) for one in holding)
    other = f"same layout, other text or detail: {agrees}, {foreign:.0%} is another at every moment"
    if foreign >= FOREIGN:
        return Judged(Verdict.IN_DOUBT, UNLIKELY, other)
    if alike < MOVES_ALIKE:
        return Judged(Verdict.IN_DOUBT, UNLIKELY, moves)
    if len(holding) < 2 and len(evidence) > 1:
        return Judged(Verdict.IN_DOUBT, LIKELY, f"only one of {len(evidence)} frames holds: {agrees}")
    return Judged(Verdict.VERIFIED, score, f"{agrees}, {alike:.0%} of what moves")


def _alike(one: Evidence) -> float:
    """Of what moves, the share that is the same: at both moments, or at this one where the whole picture moves."""
    if not one.moving:
        return 0.0
    return (one.moving_now if one.moving >= ALL_MOVES * one.told else one.moving_same) / one.moving


def _of_a_still(evidence: Sequence[Evidence], score: float, agrees: str) -> Judged:
    """Where nothing moves, a template with other words agrees in most: all of the detail has to."""
    share = float(np.median([one.share for one in evidence]))
    foreign = sum(one.foreign for one in evidence) / max(1, sum(one.told for one in evidence))
    if share >= STILL_SHARE and foreign <= STILL_FOREIGN:
        return Judged(Verdict.VERIFIED, score, f"{agrees} of a picture that stays")
    said = f"same layout, other text or detail: {agrees}, {foreign:.0%} is another"
    return Judged(Verdict.IN_DOUBT, UNLIKELY, said) if share >= STILL_DOUBT else Judged(Verdict.REFUTED, 0.1, said)
