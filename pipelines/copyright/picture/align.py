"""Ordered alignment: hits between single frames to spans, "seconds 12 to 31 of this are 41:02 to 41:21 of that".

Hits of one upload in one reference vote for a speed and an offset (a Hough transform, as in Douze, Jegou and Schmid,
"An image-based approach to video copy detection with spatio-temporal post-filtering", IEEE TMM 2010); along the best
line the stretch with the greatest sum of evidence over its cost is the span: Kadane's dynamic programme.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SPEEDS = (1.0, 0.8, 0.85, 0.9, 0.95, 1.05, 1.1, 1.15, 1.2, 1.25)  # reference seconds a second of the upload
BIN_MS = 1500  # of offset: two samplings a second apart, and a speed between two of SPEEDS
NEAR_MS = 1100  # a hit lies on a line that passes it this closely
OUTSIDE_MS = 500  # how far a line may leave the reference: half a sampling step
COST = 0.2  # evidence a second that a stretch needs to be worth it
LEAST = 0.5  # sum of evidence over cost of a span worth reporting
MOST_SPANS = 4  # of one upload in one reference
FIT_HITS, FIT_MS = 4, 4000  # from so many hits over so much time on, the line is fitted to them
SLOWEST, FASTEST = 0.77, 1.3


@dataclass(frozen=True)
class Hits:
    """Frames of one upload that look like frames of one reference."""

    query_ms: NDArray[np.int64]  # [H]
    ref_ms: NDArray[np.int64]  # [H]
    evidence: NDArray[np.float64]  # [H], 0 to 1

    def where(self, keep: NDArray[np.bool_]) -> Hits:
        """Those that stay."""
        return Hits(self.query_ms[keep], self.ref_ms[keep], self.evidence[keep])


@dataclass(frozen=True)
class Span:
    """A stretch of the upload and the stretch of the reference it is."""

    start_ms: int
    end_ms: int
    ref_start_ms: int
    ref_end_ms: int
    speed: float
    frames: int  # frames of the upload with a hit on the line
    evidence: float  # their sum of evidence
    gain: float  # what is left of it after the cost of its seconds


@dataclass(frozen=True)
class Line:
    """ref_ms = speed * query_ms + offset_ms."""

    speed: float
    offset_ms: float

    def at(self, query_ms: NDArray[np.int64]) -> NDArray[np.float64]:
        """Where in the reference."""
        return np.asarray(self.speed * query_ms + self.offset_ms, np.float64)


def align(hits: Hits, sampled_ms: NDArray[np.int64], duration_ms: int, ref_duration_ms: int) -> list[Span]:
    """Return the spans of one upload in one reference, best first.

    `sampled_ms` holds every time the upload was looked at, ascending: a time without a hit speaks against a span.
    """
    found: list[Span] = []
    step_ms = _steps(sampled_ms)
    while len(hits.query_ms) and len(found) < MOST_SPANS:
        line = _fitted(hits, best_line(hits))
        on_line = _on(line, hits, ref_duration_ms)
        evidence = _along(hits.where(on_line), sampled_ms)
        first, past, gain = best_stretch(evidence - COST * step_ms / 1000)
        gain *= min(1.0, line.speed)  # slowed down, a second of the reference would count more than once
        if gain < LEAST:
            break
        found.append(_span(line, sampled_ms, step_ms, evidence, (first, past), gain, (duration_ms, ref_duration_ms)))
        inside = (hits.query_ms >= sampled_ms[first]) & (hits.query_ms <= sampled_ms[past - 1])
        hits = hits.where(~inside)  # a second of the upload is one second of the reference, the likeliest
    return sorted(found, key=lambda span: (-span.gain, span.start_ms, span.ref_start_ms))


def _on(line: Line, hits: Hits, ref_duration_ms: int) -> NDArray[np.bool_]:
    """Hits that the line passes closely, while it is inside the reference: a still scene is like itself everywhere."""
    at_ms = line.at(hits.query_ms)
    inside = (at_ms >= -OUTSIDE_MS) & (at_ms <= ref_duration_ms + OUTSIDE_MS)
    return inside & (np.abs(hits.ref_ms - at_ms) <= NEAR_MS)


def _steps(sampled_ms: NDArray[np.int64]) -> NDArray[np.float64]:
    """The time that each sampled frame stands for: about that to the next one, and at most some seconds."""
    if len(sampled_ms) < 2:
        return np.full(len(sampled_ms), 1000.0)
    gaps = np.diff(sampled_ms).astype(np.float64)
    return np.minimum(np.append(gaps, np.median(gaps)), 5000.0)


def best_line(hits: Hits) -> Line:
    """Vote: every hit for each speed and the offset it implies, each frame once a cell; the fullest cell wins."""
    best = (-1.0, Line(1.0, 0.0))
    for speed in SPEEDS:
        offsets = hits.ref_ms - speed * hits.query_ms
        for phase in (0.0, 0.5):
            cell = np.floor(offsets / BIN_MS + phase).astype(np.int64)
            votes, cells = _votes(cell, hits)
            top = int(np.argmax(votes))
            if votes[top] > best[0] + 1e-9:
                best = (float(votes[top]), Line(speed, float(np.median(offsets[cell == cells[top]]))))
    return best[1]


def _votes(cell: NDArray[np.int64], hits: Hits) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Sum for each cell the best evidence of each frame in it."""
    order = np.lexsort((-hits.evidence, hits.query_ms, cell))
    cells, times = cell[order], hits.query_ms[order]
    first = np.r_[True, (cells[1:] != cells[:-1]) | (times[1:] != times[:-1])]
    names, number = np.unique(cells[first], return_inverse=True)
    return np.asarray(np.bincount(number, hits.evidence[order][first]), np.float64), names


def _fitted(hits: Hits, line: Line) -> Line:
    """Fit the line to the hits near it, where they are enough to tell a speed."""
    near = hits.where(np.abs(hits.ref_ms - line.at(hits.query_ms)) <= BIN_MS)
    if len(set(near.query_ms.tolist())) < FIT_HITS or np.ptp(near.query_ms) < FIT_MS:
        return line
    speed, offset_ms = np.polyfit(near.query_ms, near.ref_ms, 1, w=near.evidence)
    return Line(float(speed), float(offset_ms)) if SLOWEST <= speed <= FASTEST else line


def _along(hits: Hits, sampled_ms: NDArray[np.int64]) -> NDArray[np.float64]:
    """The best evidence at each sampled time."""
    evidence = np.zeros(len(sampled_ms))
    np.maximum.at(evidence, np.searchsorted(sampled_ms, hits.query_ms), hits.evidence)
    return evidence


def best_stretch(gains: NDArray[np.float64]) -> tuple[int, int, float]:
    """Return the stretch [first, past) with the greatest sum, and the sum; Kadane's algorithm."""
    best, total, first = (0, 0, 0.0), 0.0, 0
    for number, gain in enumerate(gains):
        if total <= 0:
            total, first = 0.0, number
        total += float(gain)
        if total > best[2]:
            best = (first, number + 1, total)
    return best


def _span(
    line: Line,
    sampled_ms: NDArray[np.int64],
    step_ms: NDArray[np.float64],
    evidence: NDArray[np.float64],
    stretch: tuple[int, int],
    gain: float,
    durations_ms: tuple[int, int],
) -> Span:
    """A frame speaks for half a step to both sides."""
    first, past = stretch
    start = max(0, sampled_ms[first] - step_ms[first] / 2)
    end = min(max(durations_ms[0], sampled_ms[past - 1]), sampled_ms[past - 1] + step_ms[past - 1] / 2)
    ref_start, ref_end = np.clip(line.at(np.array([start, end])), 0, max(durations_ms[1], 1))
    within = evidence[first:past]
    return Span(
        round(start),
        round(end),
        round(ref_start),
        round(ref_end),
        line.speed,
        int((within > 0).sum()),
        float(within.sum()),
        gain,
    )
