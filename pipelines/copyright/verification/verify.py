"""Verify a nominated span: is the upload's picture the reference's, or one of the same kind?

A few pairs of frames along the aligned line are laid on each other (placement.py) and compared block by block
(detail.py). A copy agrees in most of what it shows, in every pair by one and the same placement, and where the
reference moves it moves alike (motion.py). What shows only the same place, game, template or lettering does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.copyright.claims import Match
from pipelines.copyright.verification.features import FeatureCache, Picture
from pipelines.copyright.verification.judged import Evidence, Verdict, judged
from pipelines.copyright.verification.pairs import Moment, chosen
from pipelines.copyright.verification.placement import Placement, applied
from pipelines.copyright.verification.search import Laid, laid
from pipelines.copyright.verification.stills import Stills, stored_stills

__all__ = ["FeatureCache", "FramePair", "Stills", "Verdict", "Verification", "stored_stills", "verify"]

MOST_POINTS = 40  # kept of a pair, to be drawn
CLEAR_PAIRS = 3  # after so many the rest is not looked at where all say the same


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
    evidence: list[Evidence] = []
    pairs: list[FramePair] = []
    known: list[Placement] = []
    moments = _in_turn(chosen(upload, reference, match))
    for number, moment in enumerate(moments):
        ours, theirs = (
            cache.picture(upload.pictures[moment.upload]),
            cache.picture(reference.pictures[moment.reference]),
        )
        found = laid(ours, theirs, known)
        evidence.append(Evidence.of(found, _others(found, moments, number, upload, reference, cache)))
        if found:
            known = [found.placement]
            pairs.append(_pair(found, moment, upload, reference, ours, theirs))
        if len(evidence) >= CLEAR_PAIRS and judged(evidence).clear:
            break
    said = judged(evidence)
    return Verification(said.verdict, said.score, said.reason, tuple(sorted(pairs, key=lambda pair: -pair.agreement)))


def _in_turn(moments: Sequence[Moment]) -> list[Moment]:
    """The middle one first, then those to both sides: an aligned span is surest in its middle."""
    middle = (len(moments) - 1) / 2
    order = sorted(range(len(moments)), key=lambda at: (abs(at - middle), at))
    return [moments[at] for at in order]


def _others(
    found: Laid | None, moments: Sequence[Moment], number: int, upload: Stills, reference: Stills, cache: FeatureCache
) -> tuple[Picture, Picture] | None:
    """The frames of another moment, against which it shows what moves."""
    if found is None or len(moments) < 2:
        return None
    other = moments[(number + 1) % len(moments)]
    return cache.picture(upload.pictures[other.upload]), cache.picture(reference.pictures[other.reference])


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
