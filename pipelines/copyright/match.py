"""Match a batch of uploads with a bank: hits by shards, then, for each upload and reference, spans and claims."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pipelines.copyright.claims import ReferenceMatch, agree, claims, picture_match, sound_match
from pipelines.copyright.fingerprint import Fingerprint
from pipelines.copyright.picture.align import Hits, align
from pipelines.copyright.picture.hits import Exact, FrameHits, Frames, Nearest, find
from pipelines.copyright.picture.space import Space
from pipelines.copyright.sound.index import AudioIndex, AudioSpan

NEGATIVE_MARGIN = 0.1  # a frame that looks this nearly as much like a negative reference counts for no other


@dataclass(frozen=True)
class Found:
    """What a shard found for a batch."""

    frames: FrameHits
    sounds: tuple[tuple[int, AudioSpan], ...]  # (which upload, span)


class Shard:
    """Some references of a bank, laid out for matching. Whole references only, so that shards do not share one."""

    def __init__(self, references: Sequence[tuple[int, Fingerprint]], space: Space, device: str = "cpu") -> None:
        self.space = space
        self.frames = Frames.of(references, space.dimensions)
        self.nearest: Nearest = Exact(self.frames, device)
        self.sound = AudioIndex([(number, print_.peaks) for number, print_ in references])

    def find(self, uploads: Sequence[tuple[int, Fingerprint]]) -> Found:
        """Look up uploads, whose fingerprints are within the bank's space."""
        frames = find(Frames.of(uploads, self.space.dimensions), self.frames, self.space, self.nearest)
        sounds = [(number, span) for number, print_ in uploads for span in self.sound.match_all(print_.tracks)]
        return Found(frames, tuple(sounds))


class Check(Protocol):
    """Says which nominated pictures stay, and how sure they are; see verification/verifier.py."""

    def __call__(self, upload: int, nominated: Sequence[ReferenceMatch], /) -> list[ReferenceMatch]:
        """Return those of one upload that stay, scored anew."""


def unchecked(_: int, nominated: Sequence[ReferenceMatch]) -> list[ReferenceMatch]:
    """Nominations as they are: what the descriptor alone says, which is no claim."""
    return list(nominated)


def matches(
    founds: Sequence[Found],
    uploads: Sequence[tuple[int, Fingerprint]],
    durations_ms: Mapping[int, int],
    negative: frozenset[int] = frozenset(),
    check: Check = unchecked,
) -> dict[int, list[ReferenceMatch]]:
    """Put together what all shards found: for each upload its claims, surest first.

    `durations_ms` are those of the references by number; what lies under a match with a `negative` one is dropped.
    Every span of a picture is given to `check` before it meets the sound, and the pictures under what was heard too.
    """
    frames = without_negatives(FrameHits.joined([found.frames for found in founds]), negative)
    sounds = [pair for found in founds for pair in found.sounds]
    claimed: dict[int, list[ReferenceMatch]] = {}
    for number, print_ in uploads:
        seen = nominated(print_, frames.where(frames.query == number), durations_ms)
        heard = _kept(sounds, number, negative)
        shown = check(number, [*seen, *_beneath(heard, seen)])
        claimed[number] = claimed_of([one for one in shown if one.match.score > 0], heard)
    return claimed


def nominated(upload: Fingerprint, frames: FrameHits, durations_ms: Mapping[int, int]) -> list[ReferenceMatch]:
    """The spans of one upload whose frames look like those of a reference, by reference, the longest first."""
    sampled_ms = np.unique(upload.frame_ms)
    found: list[ReferenceMatch] = []
    for number in np.unique(frames.reference).tolist():
        own = frames.where(frames.reference == number)
        hits = Hits(own.query_ms, own.ref_ms, own.evidence)
        spans = align(hits, sampled_ms, upload.duration_ms, durations_ms[number])
        found += [ReferenceMatch(number, picture_match(span)) for span in spans]
    return found


def _beneath(heard: Sequence[AudioSpan], seen: Sequence[ReferenceMatch]) -> list[ReferenceMatch]:
    """The pictures under a sound that was found, where no picture was nominated on its line: they may be the film's.

    A song under another film is refuted; what stays in doubt keeps its score of 0, for nothing nominated it.
    """
    lines = [(span.reference, replace(sound_match(span), form="Image", score=0.0, track=None)) for span in heard]
    return [
        ReferenceMatch(number, line)
        for number, line in lines
        if not any(one.reference == number and agree(one.match, line) for one in seen)
    ]


def claimed_of(pictures: Sequence[ReferenceMatch], sounds: Sequence[AudioSpan]) -> list[ReferenceMatch]:
    """Join what is seen and what is heard of one upload to claims, surest first."""
    found: list[ReferenceMatch] = []
    for number in sorted({*(one.reference for one in pictures), *(span.reference for span in sounds)}):
        own = [one for one in pictures if one.reference == number]
        heard = [sound_match(span) for span in sounds if span.reference == number]
        first = 1 + max((one.match.claim for one in found), default=-1)
        shown = {(one.match.start_ms, one.match.ref_start_ms): one.shown for one in own}
        for match in claims([one.match for one in own], heard, first):
            seen = shown.get((match.start_ms, match.ref_start_ms)) if match.form == "Image" else None
            found.append(ReferenceMatch(number, match, seen))
    return sorted(found, key=lambda one: (-one.match.claim_score, one.match.claim, one.match.form))


def without_negatives(hits: FrameHits, negative: frozenset[int]) -> FrameHits:
    """Drop hits with negative references, and every hit of a frame that looks as much like one of those."""
    if not negative or not len(hits.query):
        return hits
    denied = np.isin(hits.reference, sorted(negative))
    frame = np.unique(np.stack([hits.query, hits.query_ms]), axis=1, return_inverse=True)[1].reshape(-1)
    worst = np.zeros(int(frame.max()) + 1)
    np.maximum.at(worst, frame[denied], hits.evidence[denied] + NEGATIVE_MARGIN)
    return hits.where(~denied & (hits.evidence > worst[frame]))


def _kept(sounds: Iterable[tuple[int, AudioSpan]], number: int, negative: frozenset[int]) -> list[AudioSpan]:
    """Sound spans of an upload, without those that mostly lie under a negative one."""
    own = [span for upload, span in sounds if upload == number]
    denied = [span for span in own if span.reference in negative]
    return [span for span in own if span.reference not in negative and not any(_covers(no, span) for no in denied)]


def _covers(negative: AudioSpan, span: AudioSpan) -> bool:
    if negative.track != span.track:
        return False
    shared = min(negative.end_ms, span.end_ms) - max(negative.start_ms, span.start_ms)
    return shared >= 0.5 * (span.end_ms - span.start_ms)


def spread(sizes: Sequence[int], shards: int) -> list[list[int]]:
    """Deal references to shards, largest first, each to the lightest."""
    loads: NDArray[np.int64] = np.zeros(shards, np.int64)
    dealt: list[list[int]] = [[] for _ in range(shards)]
    for number in sorted(range(len(sizes)), key=lambda n: (-sizes[n], n)):
        lightest = int(np.argmin(loads))
        dealt[lightest].append(number)
        loads[lightest] += sizes[number]
    return dealt
