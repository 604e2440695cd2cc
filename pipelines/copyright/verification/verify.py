"""Verify a nominated span: is the upload's picture the reference's, or one of the same kind?

A few pairs of frames along the aligned line are laid on each other (placement.py) and compared block by block
(detail.py). A copy agrees in most of what it shows, in every pair by one and the same placement, and where the
reference moves it moves alike (motion.py). What shows only the same place, game, template or lettering does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from pipelines.copyright.claims import Match
from pipelines.copyright.verification.detail import coarse_likeness
from pipelines.copyright.verification.features import FeatureCache, Picture
from pipelines.copyright.verification.judged import ALL_MOVES, HOLDS_SHARE, LIKELY, Evidence, Verdict, judged
from pipelines.copyright.verification.lasting import Look, lasting
from pipelines.copyright.verification.motion import Pair, moving
from pipelines.copyright.verification.pairs import Moment, chosen
from pipelines.copyright.verification.placement import applied, guesses
from pipelines.copyright.verification.search import Laid, again, laid
from pipelines.copyright.verification.stills import Stills, stored_stills

__all__ = ["FeatureCache", "FramePair", "Stills", "Verdict", "Verification", "stored_stills", "verify"]

MOST_POINTS = 40  # kept of a pair, to be drawn
SEARCHED = 4  # moments at which a placement is looked for
HOPELESS = 2  # moments at which none was found, after which no more are tried
ENOUGH = 3  # moments that hold
OFF_MS = (-1000, -500, 500, 1000)  # that a line may be off
SIMPLE = 3  # placements of the whole on the whole
NEARLY_ALL = 0.9  # of the detail agrees where no other line can be better
CLEARLY = 0.02  # coarse likeness by which another line is better
CUT = 0.95  # share of what shows something that moves where two moments are of two shots, or the camera pans
Beside = Callable[[Moment], Sequence[Pair]]  # the stills before and behind a moment


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
    score: float  # 0 to 1, how sure the pictures alone make it; of a doubt the highest score of its claim
    reason: str  # in plain words
    pairs: tuple[FramePair, ...] = ()  # the best first

    @property
    def agreement(self) -> float:
        """Of the detail of the frames laid on each other, the share that agrees, in the middle one; 0 without any."""
        return float(np.median([pair.agreement for pair in self.pairs])) if self.pairs else 0.0


@dataclass(frozen=True)
class _Sides:
    """The stills of both, and their pictures as they are asked for."""

    upload: Stills
    reference: Stills
    cache: FeatureCache

    def pictures(self, moments: Iterable[Moment]) -> list[Pair]:
        """What both show at some moments."""
        return [
            (
                self.cache.picture(self.upload.pictures[one.upload]),
                self.cache.picture(self.reference.pictures[one.reference]),
            )
            for one in moments
        ]

    def beside(self, moment: Moment) -> list[Pair]:
        """The stills behind a moment and before it, as far as both have one."""
        near = [replace(moment, upload=moment.upload + s, reference=moment.reference + s) for s in (1, -1)]
        ends = len(self.upload), len(self.reference)
        return self.pictures(one for one in near if 0 <= one.upload < ends[0] and 0 <= one.reference < ends[1])

    def along(self, line: Match, moments: Sequence[Moment]) -> list[Moment]:
        """The same moments of the upload, with the stills of the reference that another line puts there."""
        there = [self.reference.at(line.place(int(self.upload.frame_ms[one.upload]))) for one in moments]
        return [replace(one, reference=at) for one, at in zip(moments, there, strict=True)]


def verify(upload: Stills, reference: Stills, match: Match, cache: FeatureCache) -> Verification:
    """Hold the stills of a span against each other; see `Verdict` for what it comes to."""
    if not len(upload) or not len(reference):
        return Verification(Verdict.UNSEEN, LIKELY, "no pictures were kept to verify it on")
    sides, moments = _Sides(upload, reference, cache), chosen(upload, reference, match)
    pictures = sides.pictures(moments)
    found = _laid_all(pictures)
    if moved := _moved(sides, match, moments, found):
        others = sides.pictures(moved)
        laid_there = _laid_all(others)
        if _worth(laid_there) > _worth(found):
            moments, pictures, found = moved, others, laid_there
    looks = _looks(found, moments, pictures, sides.beside)
    said = judged(_evidence(looks), lasting(looks))
    pairs = [
        _pair(one, moment, upload, reference, *pair)
        for one, moment, pair in zip(found, moments, pictures, strict=True)
        if one
    ]
    return Verification(said.verdict, said.score, said.reason, tuple(sorted(pairs, key=lambda p: -p.agreement)))


def _moved(sides: _Sides, match: Match, moments: Sequence[Moment], found: Sequence[Laid | None]) -> list[Moment] | None:
    """The line moved in time, where the same placement lays other stills on each other clearly better.

    Descriptors are alike from one second to the next, so that a line may be a second off; detail is not.
    """
    best = max((one for one in found if one), key=lambda one: one.worth, default=None)
    if best is None or sum(bool(one and one.blocks.agreement >= NEARLY_ALL) for one in found) >= ENOUGH:
        return None
    at_line = _coarsely(best, sides.pictures(moments))
    likeliest, moved = at_line, list(moments)
    for off_ms in OFF_MS:
        line = replace(match, ref_start_ms=match.ref_start_ms + off_ms, ref_end_ms=match.ref_end_ms + off_ms)
        others = sides.along(line, moments)
        alike = _coarsely(best, sides.pictures(others))
        if alike > likeliest:
            likeliest, moved = alike, others
    return moved if likeliest >= at_line + CLEARLY else None


def _worth(found: Sequence[Laid | None]) -> float:
    """Of the best moments: how many were laid depends on when enough of them held."""
    return sum(sorted((one.worth for one in found if one), reverse=True)[:ENOUGH])


def _coarsely(best: Laid, pairs: Sequence[Pair]) -> float:
    """How alike pictures are, shrunk: as the best of others were laid, or simply one on the other.

    What was laid a second off in a film that pans has its placement from there.
    """
    ways = [best.placement, *islice(guesses(*pairs[0]), SIMPLE)]
    return max(float(np.mean([coarse_likeness(*pair, way) for pair in pairs])) for way in ways)


def _laid_all(pictures: Sequence[Pair]) -> list[Laid | None]:
    """Lay the moments, the middle ones first, until enough hold.

    One placement serves all where it fits. A camera that pans needs another one for each: between the frame of the
    upload and that of the reference lies up to half a second.
    """
    middle = (len(pictures) - 1) / 2
    found: list[Laid | None] = [None] * len(pictures)
    best: Laid | None = None
    searched = 0
    for at in sorted(range(len(pictures)), key=lambda at: (abs(at - middle), at)):
        one = again(*pictures[at], best.placement) if best else None
        if not (one and one.good) and searched < SEARCHED:
            searched += 1
            anew = laid(*pictures[at])
            one = max((each for each in (one, anew) if each), key=lambda each: each.worth, default=None)
        found[at] = one
        if one and (best is None or one.worth > best.worth):
            best = one
        if sum(bool(each and each.good) for each in found) == ENOUGH:
            break
        if best is None and searched == HOPELESS:
            break
    return found


def _looks(
    found: Sequence[Laid | None], moments: Sequence[Moment], pictures: Sequence[Pair], beside: Beside
) -> list[Look]:
    """What moves in each moment that was laid: against the next one that agrees, or against any.

    Between two shots of one camera that stands all would move that does not; so where all moves, the stills a second
    before and behind are asked.
    """
    known = [(at, one) for at, one in enumerate(found) if one]
    agreeing = [(at, one) for at, one in known if one.blocks.agreement >= HOLDS_SHARE]
    looks: list[Look] = []
    for at, one in known:
        alone = at + 1 if at + 1 < len(pictures) else max(0, at - 1)
        other, later = _next(at, agreeing) or _next(at, known) or (alone, one)
        look = Look(one.blocks, *moving(one.blocks, pictures[at], pictures[other]), later.blocks)
        looks.append(look if _moves(look) < CUT else _within_the_shot(look, one, pictures[at], beside(moments[at])))
    return looks


def _next(at: int, known: Sequence[tuple[int, Laid]]) -> tuple[int, Laid] | None:
    """The first moment behind it, from the beginning again; None where there is no other one."""
    others = [pair for pair in known if pair[0] != at]
    return next((pair for pair in others if pair[0] > at), others[0]) if others else None


def _within_the_shot(look: Look, one: Laid, pair: Pair, beside: Sequence[Pair]) -> Look:
    """Of the looks at stills beside it the one in which least moves, if it is clearly less."""
    for other in beside:
        later = again(*other, one.placement)
        found = Look(one.blocks, *moving(one.blocks, pair, other), later.blocks if later else one.blocks)
        if _moves(found) < min(ALL_MOVES, _moves(look)):
            look = found
    return look


def _moves(look: Look) -> float:
    """Of the blocks that show something, the share that moves in the upload or the reference."""
    told = look.blocks.told
    return float((look.ours | look.theirs)[told].mean()) if told.any() else 0.0


def _evidence(looks: Sequence[Look]) -> list[Evidence]:
    """What each moment that was laid shows."""
    return [_of_moment(look) for look in looks] or [Evidence()]


def _of_moment(look: Look) -> Evidence:
    blocks, ours, theirs = look.blocks, look.ours, look.theirs
    moves = (ours | theirs) & blocks.told
    foreign = blocks.other & (ours | ~theirs)  # a caption stays where all else moves
    alike = moves & blocks.same
    both = alike & look.later.same if len(look.later.told) == len(blocks.told) else alike
    flags = blocks.told, blocks.same, blocks.same & blocks.rich, foreign, moves, alike, both
    told, same, rich, other, moving, moving_same, moving_both = (int(which.sum()) for which in flags)
    return Evidence(told, same, rich, other, moving, moving_same, moving_both, blocks.soft)


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
