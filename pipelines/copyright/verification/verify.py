"""Verify a nominated span: is the upload's picture the reference's, or one of the same kind?

A few pairs of frames along the aligned line are laid on each other (placement.py) and compared block by block
(detail.py). A copy agrees in most of what it shows, in every pair by one and the same placement, and where the
reference moves it moves alike (motion.py). What shows only the same place, game, template or lettering does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipelines.copyright.claims import Match
from pipelines.copyright.verification.features import FeatureCache, Picture
from pipelines.copyright.verification.judged import Evidence, Verdict, judged
from pipelines.copyright.verification.motion import Pair, moving
from pipelines.copyright.verification.pairs import Moment, chosen
from pipelines.copyright.verification.placement import applied
from pipelines.copyright.verification.search import Laid, again, laid
from pipelines.copyright.verification.stills import Stills, stored_stills

__all__ = ["FeatureCache", "FramePair", "Stills", "Verdict", "Verification", "stored_stills", "verify"]

MOST_POINTS = 40  # kept of a pair, to be drawn
SEARCHED = 3  # moments at which a placement is looked for


@dataclass(frozen=True)
class FramePair:
    """Two frames held against each other, and what agreed."""

    upload_ms: int
    ref_ms: int
    upload: int  # number of the still
    reference: int
    agreement: float  # share of the blocks that show something and are the same
    points_N4: NDArray[np.float32]  # x, y of the upload, x, y of the reference, each 0 to 1 of its picture


@dataclass(frozen=True)
class Verification:
    """What became of a nominated span."""

    verdict: Verdict
    score: float  # 0 to 1, how sure the pictures alone make it
    reason: str  # in plain words
    pairs: tuple[FramePair, ...] = ()  # the best first


def verify(upload: Stills, reference: Stills, match: Match, cache: FeatureCache) -> Verification:
    """Hold the stills of a span against each other; see `Verdict` for what it comes to."""
    if not len(upload) or not len(reference):
        return Verification(Verdict.UNSEEN, 0.0, "no pictures were kept to verify it on")
    moments = chosen(upload, reference, match)
    pictures = [
        (cache.picture(upload.pictures[one.upload]), cache.picture(reference.pictures[one.reference]))
        for one in moments
    ]
    found = _laid_all(pictures)
    said = judged(_evidence(found, pictures))
    pairs = [
        _pair(one, moment, upload, reference, *pair)
        for one, moment, pair in zip(found, moments, pictures, strict=True)
        if one
    ]
    return Verification(said.verdict, said.score, said.reason, tuple(sorted(pairs, key=lambda p: -p.agreement)))


def _laid_all(pictures: Sequence[Pair]) -> list[Laid | None]:
    """Lay every moment by one placement, that of the best of the few that are searched; the middle ones first."""
    middle = (len(pictures) - 1) / 2
    order = sorted(range(len(pictures)), key=lambda at: (abs(at - middle), at))
    best: Laid | None = None
    for at in order[:SEARCHED]:
        if (found := laid(*pictures[at])) and (best is None or found.worth > best.worth):
            best = found
        if best and best.good:
            break
    if best is None:
        return [None] * len(pictures)
    return [again(*pair, best.placement) for pair in pictures]


def _evidence(found: Sequence[Laid | None], pictures: Sequence[Pair]) -> list[Evidence]:
    """What each moment shows, held against the one after it, the last one against the one before."""
    return [_of_moment(found, pictures, at, at + 1 if at + 1 < len(found) else at - 1) for at in range(len(found))]


def _of_moment(found: Sequence[Laid | None], pictures: Sequence[Pair], at: int, other: int) -> Evidence:
    one = found[at]
    if one is None:
        return Evidence()
    blocks = one.blocks
    counts = blocks.told, blocks.same, blocks.same & blocks.rich, blocks.other
    plain = Evidence(*(int(which.sum()) for which in counts))
    later = found[other] if 0 <= other < len(found) else None
    if later is None or len(later.blocks.told) != len(blocks.told):
        return plain
    moves = moving(blocks, pictures[at], pictures[other]) & (blocks.told | later.blocks.told)
    alike = moves & blocks.same & later.blocks.same
    return replace(plain, moving=int(moves.sum()), moving_same=int(alike.sum()))


def _pair(found: Laid, moment: Moment, upload: Stills, reference: Stills, ours: Picture, theirs: Picture) -> FramePair:
    return FramePair(
        int(upload.frame_ms[moment.upload]),
        int(reference.frame_ms[moment.reference]),
        moment.upload,
        moment.reference,
        found.blocks.agreement,
        _points(found, ours, theirs),
    )


def _points(found: Laid, ours: Picture, theirs: Picture) -> NDArray[np.float32]:
    """Points that agree, for people: matched features, or the middles of blocks that are the same."""
    at, there = found.placement.points_N2, found.placement.ref_points_N2
    if not len(at):
        same, blocks = found.blocks.same, found.blocks
        at = applied(blocks.to_upload_23, blocks.centre_N2[same]).astype(np.float32)
        there = applied(blocks.to_ref_23, blocks.centre_N2[same]).astype(np.float32)
    if not len(at):
        return np.zeros((0, 4), np.float32)
    kept = np.unique(np.linspace(0, len(at) - 1, MOST_POINTS).astype(np.int64))
    shares = np.concatenate([at[kept] / ours.size, there[kept] / theirs.size], axis=1)
    return np.asarray(np.clip(shares, 0, 1), np.float32)
