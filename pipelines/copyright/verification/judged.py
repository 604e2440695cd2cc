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
HOLDS_BLOCKS, HOLDS_SHARE = 8, 0.3  # that agree in a pair that speaks for the claim
MOVES_ALIKE, MOVES_OTHERWISE = 0.25, 0.12  # share of the moving blocks that agree: from the first on, below the second
STILL_SHARE, STILL_OTHER = 0.85, 0.03  # where nothing moves: of the blocks that must agree, that may be another's
STILL_DOUBT = 0.65  # below this it is another card of the same kind


@dataclass(frozen=True)
class Evidence:
    """What one pair of frames shows, in blocks."""

    told: int = 0  # that show something in either
    same: int = 0  # that are the same
    rich: int = 0  # of these, that show more than straight bars and ramps
    other: int = 0  # that show something in both, and not the same
    moving: int = 0  # of those told, that show something else at the next moment
    moving_same: int = 0  # of these, that are the same at both moments

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
    """Weigh the pairs of a span."""
    share = float(np.median([one.share for one in evidence]))
    holding = [one for one in evidence if one.holds]
    agrees = f"{share:.0%} of the detail agrees"
    if not holding:
        plain = share >= HOLDS_SHARE
        what = "too plain to be anybody's" if plain else "another picture of the same kind"
        return Judged(Verdict.REFUTED, 0.0, f"{what}: {agrees}")
    score = 1 - 1 / (2 + 0.25 * sum(one.same for one in holding) * share)
    moving = sum(one.moving for one in evidence)
    if moving < LEAST_MOVING * len(evidence):
        return _of_a_still(evidence, score, agrees)
    alike = sum(one.moving_same for one in evidence) / moving
    moves = f"same scene or layout, other content: {alike:.0%} of what moves agrees"
    if alike < MOVES_OTHERWISE:
        return Judged(Verdict.REFUTED, 0.1, moves)
    if alike < MOVES_ALIKE:
        return Judged(Verdict.IN_DOUBT, 0.4, moves)
    if 2 * len(holding) < len(evidence):
        return Judged(Verdict.IN_DOUBT, 0.4, f"only {len(holding)} of {len(evidence)} frames hold: {agrees}")
    return Judged(Verdict.VERIFIED, score, f"{agrees}, {alike:.0%} of what moves")


def _of_a_still(evidence: Sequence[Evidence], score: float, agrees: str) -> Judged:
    """Where nothing moves, a template with other words agrees in most: all of the detail has to."""
    share = float(np.median([one.share for one in evidence]))
    other = sum(one.other for one in evidence) / max(1, sum(one.told for one in evidence))
    if share >= STILL_SHARE and other <= STILL_OTHER:
        return Judged(Verdict.VERIFIED, score, f"{agrees} of a picture that stays")
    said = f"same layout, other text or detail: {agrees}, {other:.0%} is another"
    return Judged(Verdict.IN_DOUBT, 0.4, said) if share >= STILL_DOUBT else Judged(Verdict.REFUTED, 0.1, said)
