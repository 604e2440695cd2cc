"""Which references are heard in a query, where, how fast and how high: hashes nominate, the peaks themselves decide.

A hash needs three peaks that all survived; in the decision each peak that meets one of the reference counts, against
what chance gives at its pitch.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from pipelines.copyright.sound.align import Line, fitted, followed, stands_out, stretches
from pipelines.copyright.sound.landmarks import Peaks
from pipelines.copyright.sound.table import UNIT_MS, HashTable
from pipelines.copyright.sound.votes import BLOCK_MS, Nomination, nominations, nominations_plain, readings

APART_MS = 24_000  # between references in the bank, so that no two blocks of a query lie on two
SEED_NATS = 16.0  # that make a nomination worth following beyond its blocks
COPY_NATS = 32.0  # that make a copy; 4 hours of music against 100 hours of other music gave 15 at most
COPY_MS = 2000  # two notes are nobody's
KNOWN_MS = 1000  # a nomination this near a copy already found is that copy
OVERLAP = 0.5  # of a copy that a surer one of the same reference may hold already


@dataclass(frozen=True)
class AudioSpan:
    """A stretch of the query that copies a stretch of a reference.

    The query plays the reference `speed` times as fast and `pitch` cents higher. `score` is 0.5 where the evidence is
    just enough and nears 1 with more; it is no probability.
    """

    reference: int
    start_ms: int
    end_ms: int
    ref_start_ms: int
    ref_end_ms: int
    speed: float
    pitch: int
    votes: int  # peaks of the query that meet one of the reference
    score: float
    track: int = 0  # which sound of the query: see pipelines/tracks.py


class AudioIndex:
    """The landmarks of many references, for exact matching in memory: about 2.8 MB an hour.

    An hour holds some 250,000 hashes of 8 to 10 bytes, with their part of the table, and 90,000 peaks of 6.
    """

    def __init__(self, references: Iterable[tuple[int, Peaks]]) -> None:
        """Index tracks under the caller's numbers."""
        heard = [(number, peaks) for number, peaks in references if len(peaks)]
        self.numbers = [number for number, _ in heard]
        self.peaks = [peaks for _, peaks in heard]
        starts = np.cumsum([APART_MS // UNIT_MS, *((peaks.end_ms + APART_MS) // UNIT_MS for peaks in self.peaks)])
        if starts[-1] > np.iinfo(np.uint32).max:
            raise ValueError(f"references of {starts[-1] * UNIT_MS // 3_600_000} hours, wanted at most 9,500 an index")
        self.starts = starts[:-1]  # [N] in units
        self.table = HashTable(self.tracks())

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def nbytes(self) -> int:
        """The memory of its arrays."""
        return self.table.nbytes + sum(peaks.time_ms.nbytes + peaks.pitch.nbytes for peaks in self.peaks)

    def tracks(self) -> Iterable[tuple[Peaks, int]]:
        """The peaks of every reference with its start in units."""
        return zip(self.peaks, self.starts.tolist(), strict=True)

    def match(self, query: Peaks) -> list[AudioSpan]:
        """Return every stretch of the query that copies a reference, in order of time."""
        return self._confirmed(query, nominations(self.table, query)) if len(self) else []

    def match_all(self, tracks: Iterable[tuple[int, Peaks]]) -> list[AudioSpan]:
        """Match every sound of a query; what one shares with one before it is said once."""
        found: list[AudioSpan] = []
        for track, peaks in tracks:
            own = [replace(span, track=track) for span in self.match(peaks)]
            found += [span for span in own if not any(_told(span, other) for other in found)]
        return found

    def match_plain(self, query: Peaks) -> list[AudioSpan]:
        """Return what `match` returns, from one vote at a time."""
        return self._confirmed(query, nominations_plain(self.tracks(), query))

    def _confirmed(self, query: Peaks, nominated: Iterable[Nomination]) -> list[AudioSpan]:
        found: list[AudioSpan] = []
        for nomination in nominated:
            at, line = self._line(nomination)
            if not _known(found, self.numbers[at], line, (nomination.block + 1) * BLOCK_MS):
                found += _copies(query, self.numbers[at], self.peaks[at], line, nomination.block)
        return _surest(found)

    def _line(self, nomination: Nomination) -> tuple[int, Line]:
        """The row of the reference that a nomination lies on, and the line through it."""
        middle = (nomination.middle_ms() + APART_MS / 2) / UNIT_MS
        at = max(0, int(np.searchsorted(self.starts, middle, "right")) - 1)
        reading = readings()[nomination.reading]
        offset_ms = (nomination.offset - int(self.starts[at])) * UNIT_MS
        return at, Line(reading.speed, offset_ms, reading.pitch)


def _copies(query: Peaks, number: int, reference: Peaks, guess: Line, block: int) -> list[AudioSpan]:
    """Fit a guess to its two blocks; where that is worth it, follow it as far as it goes."""
    part = query.between(block * BLOCK_MS, (block + 2) * BLOCK_MS)
    line = fitted(part, reference, guess)
    if not stands_out(part, reference, line):
        return []
    seed = max(stretches(part, reference, line), key=lambda stretch: stretch.nats, default=None)
    if seed is None or seed.nats < SEED_NATS:
        return []
    line = followed(query, reference, line, seed)
    around = query.between(-line.offset_ms / line.speed, (reference.end_ms + 1 - line.offset_ms) / line.speed)
    return [
        AudioSpan(
            reference=number,
            start_ms=stretch.start_ms,
            end_ms=stretch.end_ms,
            ref_start_ms=line.at(stretch.start_ms),
            ref_end_ms=line.at(stretch.end_ms),
            speed=round(line.speed, 4),
            pitch=round(line.pitch),
            votes=stretch.votes,
            score=round(stretch.nats / (stretch.nats + COPY_NATS), 4),
        )
        for stretch in stretches(around, reference, line)
        if stretch.nats >= COPY_NATS and stretch.end_ms - stretch.start_ms >= COPY_MS
    ]


def _known(found: list[AudioSpan], number: int, line: Line, at_ms: int) -> bool:
    """Whether a line runs along a copy that is found already; `at_ms` is the middle of its two blocks."""
    return any(
        span.reference == number
        and span.start_ms - BLOCK_MS <= at_ms <= span.end_ms + BLOCK_MS
        and abs(span.ref_start_ms + (at_ms - span.start_ms) * span.speed - line.at(at_ms)) < KNOWN_MS
        for span in found
    )


def _surest(found: list[AudioSpan]) -> list[AudioSpan]:
    """Leave out what a surer copy of the same reference covers: music repeats itself a bar later."""
    kept: list[AudioSpan] = []
    for span in sorted(found, key=lambda span: (-span.score, span.start_ms, span.ref_start_ms)):
        if all(_shared(span, other) < OVERLAP for other in kept if other.reference == span.reference):
            kept.append(span)
    return sorted(kept, key=lambda span: (span.start_ms, -span.score, span.reference))


def _shared(span: AudioSpan, other: AudioSpan) -> float:
    """The share of a span that another covers."""
    common_ms = min(span.end_ms, other.end_ms) - max(span.start_ms, other.start_ms)
    return common_ms / (span.end_ms - span.start_ms)


def _told(span: AudioSpan, other: AudioSpan) -> bool:
    """Whether another sound of the query holds the same stretch of the same reference there."""
    same = span.reference == other.reference and abs(_offset_ms(span) - _offset_ms(other)) <= KNOWN_MS
    return same and _shared(span, other) >= OVERLAP


def _offset_ms(span: AudioSpan) -> int:
    return span.ref_start_ms - span.start_ms
