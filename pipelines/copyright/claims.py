"""Claims: what picture and sound say of one stretch of one reference, together and each by itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipelines.copyright.picture.align import Span
from pipelines.copyright.sound.index import AudioSpan
from pipelines.tracks import name_of

SLACK_MS = 2500  # picture and sound speak of the same stretch if their lines lie this close
MIDDLE, STEEP = 1.2, 3.2  # of the gain of a picture span: score 1/2 at the first, rising with the second


@dataclass(frozen=True)
class Match:
    """One modality's span: a row of `matches.parquet`, times in ms."""

    form: str  # "Image" or "Audio"
    score: float
    start_ms: int
    end_ms: int
    ref_start_ms: int
    ref_end_ms: int
    speed: float = 1.0
    claim: int = 0  # matches of one content with the same number are one claim
    claim_score: float = 0.0  # what picture and sound come to together
    verified: str | None = None  # of a picture: what became of it; see verification/judged.py
    reason: str | None = None
    track: str | None = None  # which sound of the upload: see pipelines/tracks.py

    def place(self, ms: float) -> float:
        """Where in the reference a time of the upload lies."""
        return self.ref_start_ms + self.speed * (ms - self.start_ms)


@dataclass(frozen=True)
class Shown:
    """The pair of frames on which a picture's match was verified, for people."""

    picture: bytes  # WebP of the upload
    ref_picture: bytes
    points: tuple[tuple[float, float, float, float], ...]  # x, y and ref_x, ref_y that show the same, 0 to 1


@dataclass(frozen=True)
class ReferenceMatch:
    """A match and the reference it names, by number."""

    reference: int
    match: Match
    shown: Shown | None = None


def picture_match(span: Span) -> Match:
    """Score a picture span by its gain, on a logarithmic scale: the tenth second adds less than the second."""
    score = 1 / (1 + np.exp(-STEEP * (np.log1p(span.gain) - np.log1p(MIDDLE))))
    times = (span.start_ms, span.end_ms, span.ref_start_ms, span.ref_end_ms)
    return Match("Image", float(score), *times, span.speed)


def sound_match(span: AudioSpan) -> Match:
    """The same for sound, which scores itself."""
    times = (span.start_ms, span.end_ms, span.ref_start_ms, span.ref_end_ms)
    return Match("Audio", span.score, *times, span.speed, track=name_of(span.track))


def claims(pictures: Sequence[Match], sounds: Sequence[Match], first: int = 0) -> list[Match]:
    """Pair picture and sound of one upload and one reference and number the claims from `first` on.

    Two that agree are surer than either: 1 - (1 - p)(1 - s), as if they erred independently.
    """
    left = list(sounds)
    groups: list[tuple[Match, ...]] = []
    for picture in pictures:
        partner = max((sound for sound in left if agree(picture, sound)), key=lambda m: m.score, default=None)
        if partner:
            left.remove(partner)
        groups.append((picture, partner) if partner else (picture,))
    groups += [(sound,) for sound in left]
    return [
        replace(match, claim=number, claim_score=together(match.score for match in group))
        for number, group in enumerate(groups, first)
        for match in group
    ]


def agree(one: Match, other: Match) -> bool:
    """Whether two spans overlap in the upload and say the same of where in the reference it is."""
    start, end = max(one.start_ms, other.start_ms), min(one.end_ms, other.end_ms)
    middle = (start + end) / 2
    return start < end and abs(one.place(middle) - other.place(middle)) <= SLACK_MS


def together(scores: Iterable[float]) -> float:
    """The chance that not all are wrong."""
    return float(1 - np.prod([1 - score for score in scores]))
