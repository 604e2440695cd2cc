"""From what pairs of frames show to a verdict: verified, in doubt, or another picture of the same kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from pipelines.copyright.verification.lasting import Lasting


class Verdict(StrEnum):
    """What verification came to."""

    VERIFIED = "verified"  # the same picture
    IN_DOUBT = "in_doubt"  # it may be: a person should look
    REFUTED = "refuted"  # another picture of the same kind
    UNSEEN = "unseen"  # no pictures were kept


NOTHING_LASTS = Lasting()
ALL_MOVES = 0.75  # share of the blocks: the whole picture moves
LEAST_MOVING = 4  # blocks a pair from which motion has a say
HOLDS_BLOCKS, HOLDS_SHARE = 8, 0.3  # that agree in a pair that speaks for the claim
# Share of the moving blocks of all pairs together that agree: below the first it is another, below the second a doubt.
MOVES_OTHERWISE, MOVES_ALIKE = 0.12, 0.35
OTHER_BLOCKS, OTHER_SHARE = 3, 0.025  # adjoining places that are another at every moment; of all, those that are
AROUND_BLOCKS, AROUND_SHARE = 3, 0.04  # adjoining places that were never the same; of all, those
CLEARLY_OTHER = 0.15  # the same, in several parts: nothing that is laid over a copy
SLOWLY = 0.25  # of what moves: below it, and with such places, it is another
# Less of all moves: the camera stands; so much of what moves has to agree, and of what does not.
STANDS, STANDING_ALIKE, STANDING_SAME = 0.5, 0.65, 0.9
MOST_AGREES, ALL_MOVING_ALIKE = 0.5, 0.45  # where less of the detail agrees, so much of what moves has to
# The highest score of a doubt: where too little was seen, where what moves agrees in part, where something is another.
LIKELY, UNLIKELY, HARDLY = 0.6, 0.45, 0.35
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
    moving_same: int = 0  # of these, that are the same
    moving_both: int = 0  # of these, that are the same at the other moment too
    soft: bool = False  # both show so little detail that they were compared shrunk

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


def judged(evidence: Sequence[Evidence], other: Lasting = NOTHING_LASTS) -> Judged:
    """Weigh the pairs of a span that could be laid on each other, and what is another at every moment."""
    share = float(np.median([one.share for one in evidence]))
    holding = [one for one in evidence if one.holds]
    agrees = f"{share:.0%} of the detail agrees"
    if not holding:
        what = "too plain to be anybody's" if share >= HOLDS_SHARE else "another picture of the same kind"
        return Judged(Verdict.REFUTED, 0.0, f"{what}: {agrees}")
    score = 1 - 1 / (2 + 0.25 * sum(one.same for one in holding) * share)
    if sum(one.moving for one in evidence) < LEAST_MOVING * len(evidence):
        if any(one.soft for one in evidence):
            return Judged(Verdict.REFUTED, 0.0, f"too plain to be anybody's: {agrees}, and nothing moves")
        return _of_a_still(evidence, score, agrees)
    alike = _alike(holding)
    moves = f"same scene or layout, other content: {alike:.0%} of what moves agrees"
    if _alike(evidence) < MOVES_OTHERWISE:
        return Judged(Verdict.REFUTED, 0.1, moves)
    if _is_another(other):
        said = f"same layout, other text or detail: {agrees}, {other.share:.0%} is another at every moment"
        if (other.scattered and other.share >= CLEARLY_OTHER) or alike < SLOWLY or _before_one_ground(evidence):
            return Judged(Verdict.REFUTED, 0.1, said)
        return Judged(Verdict.IN_DOUBT, HARDLY, said)
    standing = _standing(holding)
    if alike < _enough(evidence, share) or (standing and _alike(standing) < STANDING_ALIKE):
        return Judged(Verdict.IN_DOUBT, UNLIKELY, moves)
    if standing and (same := _standing_same(standing)) < STANDING_SAME:
        said = f"same scene or layout, other detail: {same:.0%} of what stands agrees"
        return Judged(Verdict.IN_DOUBT, HARDLY, said)
    if len(holding) < 2 and len(evidence) > 1:
        return Judged(Verdict.IN_DOUBT, LIKELY, f"only one of {len(evidence)} frames holds: {agrees}")
    return Judged(Verdict.VERIFIED, score, f"{agrees}, {alike:.0%} of what moves")


def _enough(evidence: Sequence[Evidence], share: float) -> float:
    """How much of what moves has to agree.

    Where the camera moves with all it shows, two samplings of one film half a second apart agree in part. Soft shapes
    alone are alike sooner than fine detail is.
    """
    if any(one.soft for one in evidence):
        return STANDING_ALIKE
    return MOVES_ALIKE if share >= MOST_AGREES else ALL_MOVING_ALIKE


def _is_another(other: Lasting) -> bool:
    """Whether enough is another at every moment, or never the same around what is."""
    clearly = other.largest >= OTHER_BLOCKS and other.share >= OTHER_SHARE
    return clearly or (other.around >= AROUND_BLOCKS and other.around_share >= AROUND_SHARE)


def _standing(holding: Sequence[Evidence]) -> list[Evidence]:
    """The moments at which the camera stands, if they are half of them or more.

    There the ground agrees with any other day at the same place: only what moves before it tells.
    """
    standing = [one for one in holding if LEAST_MOVING <= one.moving < STANDS * one.told]
    return standing if 2 * len(standing) >= len(holding) else []


def _standing_same(evidence: Sequence[Evidence]) -> float:
    """Of what does not move, the share that is the same: of a copy nearly all, whenever it is looked at."""
    standing = sum(one.told - one.moving for one in evidence)
    return sum(one.same - one.moving_same for one in evidence) / standing if standing else 1.0


def _alike(evidence: Sequence[Evidence]) -> float:
    """Of what moves in all pairs together, the share that is the same.

    Pooled: one pair in which little moves, or in which what moves happens to agree, does not carry a span.
    """
    moving = sum(one.moving for one in evidence)
    return sum(one.moving_same for one in evidence) / moving if moving else 0.0


def _before_one_ground(evidence: Sequence[Evidence]) -> bool:
    """Whether the camera stands, and of what moves before it nothing agrees but where the ground shows again."""
    moving, both = sum(one.moving for one in evidence), sum(one.moving_both for one in evidence)
    told = sum(one.told for one in evidence)
    return moving < ALL_MOVES * told and both < MOVES_OTHERWISE * moving


def _of_a_still(evidence: Sequence[Evidence], score: float, agrees: str) -> Judged:
    """Where nothing moves, a template with other words agrees in most: all of the detail has to."""
    share = float(np.median([one.share for one in evidence]))
    foreign = sum(one.foreign for one in evidence) / max(1, sum(one.told for one in evidence))
    if share >= STILL_SHARE and foreign <= STILL_FOREIGN:
        return Judged(Verdict.VERIFIED, score, f"{agrees} of a picture that stays")
    said = f"same layout, other text or detail: {agrees}, {foreign:.0%} is another"
    return Judged(Verdict.IN_DOUBT, HARDLY, said) if share >= STILL_DOUBT else Judged(Verdict.REFUTED, 0.1, said)
