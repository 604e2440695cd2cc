"""Compare a medoid with other contents: frames and sounds are aligned, and pictures verified where there are any."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np

from pipelines.clusters.lines import Course, lines
from pipelines.clusters.links import Basis, Link, Stretch
from pipelines.copyright.claims import Match, agree, picture_match, sound_match
from pipelines.copyright.fingerprint import Fingerprint
from pipelines.copyright.picture.align import Hits, align
from pipelines.copyright.picture.hits import FLAT, FrameHits, Frames, find
from pipelines.copyright.picture.space import Space
from pipelines.copyright.sound.index import AudioIndex

LEAST_SCORE = 0.3  # of an aligned stretch that is looked at more closely
SURE_SCORE = 0.8  # of one that counts where nobody can look more closely
LEAST_COURSE = 0.3  # likeness of what changes along a line that is looked at; nine in ten unrelated pairs have less
SURELY_SAME = 0.9  # score of pictures along such a line: nothing else speaks for it
LEAST_SHARE, LEAST_MS = 0.25, 1500  # of the shorter content, and in all, that a copy shares
BLANK_SHARE = 0.5  # of its frames that show nothing: then sound speaks for a content by itself
KEPT = 2048  # fingerprints in memory, some 60 kB each


class Seen(StrEnum):
    """What looking at the pictures of an aligned stretch came to."""

    SAME = "same"
    DOUBT = "doubt"
    OTHER = "other"
    NOTHING = "nothing"  # there are no pictures to look at


Kept = tuple[Match, Basis, float]  # a stretch that holds, what it rests on, how surely
Spans = Sequence[tuple[int, int]]
Look = Callable[[int, int, Match], tuple[Seen, float]]  # upload, medoid, aligned stretch -> what is seen, how surely


def blind(upload: int, medoid: int, match: Match) -> tuple[Seen, float]:  # noqa: ARG001
    """Look at nothing."""
    return Seen.NOTHING, match.score


@dataclass
class Comparer:
    """Compares contents by number; `read` has fingerprints within `space`."""

    space: Space
    read: Callable[[Sequence[int]], Mapping[int, Fingerprint]]
    stopped: Mapping[int, Spans] = field(default_factory=dict)  # stretches of contents that join nobody
    look: Look = blind
    advance: Callable[[str, int, int], None] | None = None  # what is done, how many of how many
    comparisons: int = 0
    _prints: OrderedDict[int, Fingerprint] = field(default_factory=OrderedDict)

    def __call__(self, medoid: int, others: Sequence[int]) -> dict[int, Link]:
        """Return what each of the others shares with the medoid, if it is enough for a copy."""
        self.comparisons += len(others)
        if self.advance:
            self.advance("aligning", self.comparisons, 0)
        found: dict[int, Link] = {}
        for first in range(0, len(others), KEPT // 2):
            found |= self._batch(medoid, others[first : first + KEPT // 2])
        return found

    def _batch(self, medoid: int, others: Sequence[int]) -> dict[int, Link]:
        prints = self._known([medoid, *others])
        whole = prints[medoid]
        frames = Frames.of([(other, prints[other]) for other in others], self.space.dimensions)
        hits = find(frames, Frames.of([(medoid, whole)], self.space.dimensions), self.space)
        heard = AudioIndex([(medoid, whole.peaks)])
        found = {}
        for other in others:
            pictures = _pictures(hits.where(hits.query == other), prints[other], whole)
            sounds = [sound_match(span) for span in heard.match(prints[other].peaks)]
            if link := self._link(other, medoid, pictures, sounds):
                found[other] = link
        return found

    def _link(self, other: int, medoid: int, pictures: Sequence[Match], sounds: Sequence[Match]) -> Link | None:
        """Keep the stretches that hold; a copy shares enough of the shorter content by them."""
        kept = [one for match in pictures for one in self._picture(other, medoid, match, sounds)]
        for match in sounds:
            if not any(agree(match, known) for known, *_ in kept):
                kept += self._sound(other, medoid, match, alone=not pictures)
        if not kept:
            found = [one for match in self._courses(other, medoid) for one in self._picture(other, medoid, match, ())]
            kept = [one for one in found if one[1] is Basis.VERIFIED and one[2] >= SURELY_SAME]
        if not kept:
            return None
        prints = self._known([other, medoid])
        link = Link.of(
            [_stretch(match) for match, _, _ in kept],
            max(score for *_, score in kept),
            min((basis for _, basis, _ in kept), key=list(Basis).index),
        )
        return link if shares_enough(link, prints[other].duration_ms, prints[medoid].duration_ms) else None

    def _picture(self, other: int, medoid: int, match: Match, sounds: Sequence[Match]) -> list[Kept]:
        heard = any(agree(match, sound) for sound in sounds)
        seen, score = self._look(other, medoid, match, heard=heard)
        if seen is Seen.SAME:
            return [(match, Basis.VERIFIED, score)]
        if seen is Seen.OTHER:
            return []
        if heard:
            return [(match, Basis.SOUND, match.score)]
        sure = seen is Seen.NOTHING and match.score >= SURE_SCORE
        return [(match, Basis.ALIGNED, match.score)] if sure else []

    def _sound(self, other: int, medoid: int, match: Match, *, alone: bool) -> list[Kept]:
        """Two videos with the same song are no copies: pictures have to agree where it is heard, or there are none."""
        prints = self._known([other, medoid])
        if blank(prints[other]) or blank(prints[medoid]):
            return [(match, Basis.SOUND, match.score)] if alone else []
        seen, score = self._look(other, medoid, match, heard=True)
        if seen in (Seen.SAME, Seen.DOUBT):
            return [(match, Basis.VERIFIED if seen is Seen.SAME else Basis.SOUND, score)]
        return []

    def _look(self, other: int, medoid: int, match: Match, *, heard: bool) -> tuple[Seen, float]:
        """Look from both sides: one may be compared on frames that the other side does not come to.

        Both have to say that it is the same. Of what is heard too, one of both may leave it open, or both may.
        """
        first, score = self.look(other, medoid, match)
        if first is Seen.NOTHING or (first is not Seen.SAME and not heard):
            return first, score
        second, back = self.look(medoid, other, turned(match))
        found = {first, second}
        if found == {Seen.SAME}:
            return Seen.SAME, min(score, back)
        open_ = Seen.SAME in found or found == {Seen.DOUBT}
        return (Seen.DOUBT if open_ else Seen.OTHER), max(score, back)

    def _courses(self, other: int, medoid: int) -> list[Match]:
        """Where what changes in both runs alike, whatever the frames by themselves are like."""
        prints = self._known([other, medoid])
        found = lines(Course.of(prints[other]), Course.of(prints[medoid]))
        return [match for match in found if match.score >= LEAST_COURSE]

    def _known(self, wanted: Sequence[int]) -> dict[int, Fingerprint]:
        """Read what is not in memory, without the stretches that join nobody."""
        if missing := sorted({one for one in wanted if one not in self._prints}):
            read = self.read(missing)
            self._prints |= {one: without(read[one], self.stopped.get(one, ())) for one in missing}
        found = {one: self._prints[one] for one in wanted}
        for one in wanted:
            self._prints.move_to_end(one)
        while len(self._prints) > max(KEPT, len(found)):
            self._prints.popitem(last=False)
        return found


def turned(match: Match) -> Match:
    """The same stretch from the other side."""
    ours, theirs = (match.start_ms, match.end_ms), (match.ref_start_ms, match.ref_end_ms)
    return replace(
        match,
        start_ms=theirs[0],
        end_ms=theirs[1],
        ref_start_ms=ours[0],
        ref_end_ms=ours[1],
        speed=1 / match.speed,
    )


def without(print_: Fingerprint, stopped: Spans) -> Fingerprint:
    """Leave out the frames of some stretches; a flat picture matches nothing."""
    if not stopped:
        return print_
    out = np.zeros(len(print_.frame_ms), np.bool_)
    for start_ms, end_ms in stopped:
        out |= (print_.frame_ms >= start_ms) & (print_.frame_ms < end_ms)
    return replace(print_, pdq_quality=np.where(out, np.uint8(0), print_.pdq_quality))


def blank(print_: Fingerprint) -> bool:
    """Whether a content shows nothing most of the time: no picture, black, a plain card."""
    return bool((print_.pdq_quality < FLAT).mean() > BLANK_SHARE) if len(print_.pdq_quality) else True


def _pictures(hits: FrameHits, other: Fingerprint, medoid: Fingerprint) -> list[Match]:
    own = Hits(hits.query_ms, hits.ref_ms, hits.evidence)
    spans = align(own, np.unique(other.frame_ms), other.duration_ms, medoid.duration_ms)
    found = [picture_match(span) for span in spans]
    return [match for match in found if match.score >= LEAST_SCORE]


def _stretch(match: Match) -> Stretch:
    """A picture has no duration: it gets one of 1 ms."""
    ends = max(match.end_ms, match.start_ms + 1), max(match.ref_end_ms, match.ref_start_ms + 1)
    return Stretch(match.form, match.start_ms, ends[0], match.ref_start_ms, ends[1])


def shares_enough(link: Link, duration_ms: int, medoid_duration_ms: int) -> bool:
    """Whether what two contents share is more than an intro, of the shorter one and by itself."""
    own, its = link.turned().overlap(0, 1 << 60), link.overlap(0, 1 << 60)
    least = min(duration_ms, medoid_duration_ms)
    return (
        min(own, its) >= min(LEAST_MS, 0.5 * least)
        and max(own / max(1, duration_ms), its / max(1, medoid_duration_ms)) >= LEAST_SHARE
    )
