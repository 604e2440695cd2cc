"""Verify what a batch of uploads was nominated for: the best spans first, within a bound, with the time it took."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from pipelines.copyright.claims import Match, ReferenceMatch, Shown, together
from pipelines.copyright.verification.features import FeatureCache
from pipelines.copyright.verification.judged import HARDLY, LIKELY, Verdict
from pipelines.copyright.verification.stills import Stills
from pipelines.copyright.verification.verify import Verification, verify
from pipelines.risk.evidence import webp

VERIFY_STAGE = "verify"  # as busy times call it
LEFT = 0.2  # the score of a span that was not looked at because too many before it were not the same
MOST_REFUTED = 8  # spans of one upload, after which the rest of its nominations is left
MOST_SPANS = 40  # of one upload
COMMON = 4  # references that hold one stretch of the upload, from which it is common to them
PART = 0.5  # of a reference, of a stretch
HALF = 0.5  # of what the descriptor says that counts beside a verification
BETTER = 0.15  # more of the detail agrees: that reference explains a stretch, and the other only resembles it


class Verifier:
    """Checks nominations on stills that it fetches when they are needed; one for a batch, or for one upload."""

    def __init__(self, ours: Callable[[int], Stills], theirs: Callable[[int], Stills]) -> None:
        """Take who gives the stills of an upload and of a reference, by number."""
        self._ours, self._theirs = lru_cache(2)(ours), theirs
        self._cache = FeatureCache()
        self.seconds = 0.0  # spent so far

    def __call__(self, upload: int, nominated: Sequence[ReferenceMatch]) -> list[ReferenceMatch]:
        """Return the spans that stay, with the scores and reasons they have now."""
        began = time.perf_counter()
        kept: list[ReferenceMatch] = []
        agreement: dict[int, float] = {}  # by place in `kept`
        refuted = 0
        for number, one in enumerate(sorted(nominated, key=lambda one: -one.match.score)):
            if refuted >= MOST_REFUTED or number >= MOST_SPANS:
                kept.append(_left(one))
                continue
            found = verify(self._ours(upload), self._theirs(one.reference), one.match, self._cache)
            refuted += found.verdict is Verdict.REFUTED
            if found.verdict is not Verdict.REFUTED:
                agreement[len(kept)] = found.agreement
                kept.append(self._scored(upload, one, found))
        kept = [self._doubted_if_common(one, kept) for one in _without_lesser(kept, agreement)]
        self.seconds += time.perf_counter() - began
        return kept

    def _doubted_if_common(self, one: ReferenceMatch, kept: Sequence[ReferenceMatch]) -> ReferenceMatch:
        """Doubt what many references hold as a part of them: an intro, a card, a stock shot says not whose it is."""
        many = {other.reference for other in kept if _shows_the_same(one, other)}
        if len(many) < COMMON or not self._is_part(one):
            return one
        why = f"the same picture is in {len(many)} references: common to them, and so nobody's alone"
        score = min(one.match.score, LIKELY)
        return replace(one, match=replace(one.match, score=score, verified=Verdict.IN_DOUBT.value, reason=why))

    def _is_part(self, one: ReferenceMatch) -> bool:
        """Whether a span is less than half of the reference; one content may be in a bank many times, as a whole."""
        length = float(self._theirs(one.reference).frame_ms[-1])
        return one.match.ref_end_ms - one.match.ref_start_ms < PART * length

    def _scored(self, upload: int, one: ReferenceMatch, found: Verification) -> ReferenceMatch:
        match = replace(one.match, score=score_of(one.match, found), verified=found.verdict.value, reason=found.reason)
        return ReferenceMatch(one.reference, match, self._shown(upload, one.reference, found))

    def _shown(self, upload: int, reference: int, found: Verification) -> Shown | None:
        if not found.pairs:
            return None
        best = found.pairs[0]
        ours, theirs = self._ours(upload).pictures[best.upload], self._theirs(reference).pictures[best.reference]
        points = tuple((float(x), float(y), float(ref_x), float(ref_y)) for x, y, ref_x, ref_y in best.points_N4)
        return Shown(self._webp(ours), self._webp(theirs), points)

    def _webp(self, still: bytes) -> bytes:
        return webp(np.ascontiguousarray(self._cache.picture(still).pixels_HWC[:, :, ::-1]))


def score_of(match: Match, found: Verification) -> float:
    """How sure a nominated picture is now: what was verified, with some of what the descriptor said; or a doubt."""
    if found.verdict is Verdict.VERIFIED:
        return together([found.score, HALF * match.score])
    return min(match.score, found.score)


def _without_lesser(kept: Sequence[ReferenceMatch], agreement: Mapping[int, float]) -> list[ReferenceMatch]:
    """Doubt a reference where another one explains the same stretch clearly better: they are twins of each other."""
    left = list(kept)
    for at, one in enumerate(kept):
        rivals = [other for other, rival in enumerate(kept) if other != at and _shows_the_same(one, rival)]
        best = max((agreement[other] for other in rivals), default=0.0)
        if rivals and best - agreement[at] >= BETTER:
            why = f"another reference explains the same pictures better: {best:.0%} of the detail agrees there, "
            why += f"{agreement[at]:.0%} here"
            score = min(one.match.score, HARDLY)
            match = replace(one.match, score=score, verified=Verdict.IN_DOUBT.value, reason=why)
            left[at] = replace(one, match=match)
    return left


def _shows_the_same(one: ReferenceMatch, other: ReferenceMatch) -> bool:
    """Whether both are verified and lie on one stretch of the upload."""
    if {one.match.verified, other.match.verified} != {Verdict.VERIFIED.value}:
        return False
    both = min(one.match.end_ms, other.match.end_ms) - max(one.match.start_ms, other.match.start_ms)
    longest = max(match.end_ms - match.start_ms for match in (one.match, other.match))
    return both >= PART * longest


def _left(one: ReferenceMatch) -> ReferenceMatch:
    why = (
        f"not looked at: of this upload {MOST_REFUTED} likelier spans were another picture, or there were {MOST_SPANS}"
    )
    left = replace(one.match, score=min(one.match.score, LEFT), verified=Verdict.UNSEEN.value, reason=why)
    return ReferenceMatch(one.reference, left)
