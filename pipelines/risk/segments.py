"""From a score curve to segments: combine, smooth, hysteresis, merge, minimum duration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.risk.signals import Signal

DIGITS = 6  # float32 keeps 0.9 as 0.89999998, and a policy's 0.9 means 0.9
OWN_LENGTH = 0.9  # what a video shorter than the minimum duration needs of itself: its first frame may come late


@dataclass(frozen=True)
class Shape:
    """How a curve becomes segments."""

    enter: float  # a segment begins where the smoothed score reaches this
    hold: float  # and goes on while it stays at or above this
    smooth_ms: int = 0  # width of the centred mean; 0 takes the curve as it is
    gap_ms: int = 0  # segments this close are one
    min_duration_ms: int = 0


@dataclass(frozen=True)
class Segment:
    """One stretch of one video with its peak."""

    start_ms: int
    end_ms: int
    score: float  # highest smoothed score
    evidence_ms: int  # where the raw score peaks


@dataclass(frozen=True)
class Curve:
    """A step function: scores[i] from edges_ms[i] to before edges_ms[i + 1], 0 elsewhere."""

    edges_ms: NDArray[np.int64]
    scores: NDArray[np.float64]
    evidence_ms: NDArray[np.int64]  # the frame behind each step, and in a hole the one before it


def curve(signals: Sequence[Signal]) -> Curve:
    """Lay signals of one label over each other; where several speak, the highest counts."""
    starts = np.array([signal.start_ms for signal in signals], np.int64)
    ends = np.maximum(np.array([signal.end_ms for signal in signals], np.int64), starts + 1)
    edges_ms = np.unique(np.concatenate([starts, ends]))
    first, past = np.searchsorted(edges_ms, starts), np.searchsorted(edges_ms, ends)
    scores, behind = np.full(len(edges_ms) - 1, -1.0), np.zeros(len(edges_ms) - 1, np.int64)
    for number in sorted(range(len(signals)), key=lambda n: (signals[n].score, -n)):  # the highest, laid last, stays
        steps = slice(first[number], past[number])
        scores[steps], behind[steps] = signals[number].score, number
    before_hole = np.maximum.accumulate(np.where(scores < 0, 0, np.arange(len(scores))))
    evidence_ms = np.array([signal.evidence_ms for signal in signals], np.int64)[behind[before_hole]]
    return Curve(edges_ms, np.maximum(scores, 0.0).round(DIGITS), evidence_ms)


def smoothed(raw: Curve, width_ms: int, duration_ms: int = 0) -> NDArray[np.float64]:
    """Return the mean of the curve in a window of `width_ms` around the middle of each step.

    At the ends of the video the window is cut, so that a video that is bad throughout keeps its score. Elsewhere
    silence counts as 0, before the first signal and after the last as in between.
    """
    if width_ms <= 0:
        return raw.scores
    area = np.concatenate([[0.0], np.cumsum(raw.scores * np.diff(raw.edges_ms))])
    middles = (raw.edges_ms[:-1] + raw.edges_ms[1:]) / 2
    left = np.maximum(middles - width_ms / 2, min(0, raw.edges_ms[0]))
    right = np.minimum(middles + width_ms / 2, max(duration_ms, raw.edges_ms[-1]))
    mean = (np.interp(right, raw.edges_ms, area) - np.interp(left, raw.edges_ms, area)) / (right - left)
    return np.asarray(mean.round(DIGITS), np.float64)


def segments(signals: Sequence[Signal], shape: Shape, duration_ms: int) -> list[Segment]:
    """Return the stretches that a rule speaks of, in order.

    A video shorter than the minimum duration, a picture among them, needs nearly its own length only.
    """
    if not signals:
        return []
    raw = curve(signals)
    scores = smoothed(raw, shape.smooth_ms, duration_ms)
    needed_ms = min(shape.min_duration_ms, OWN_LENGTH * duration_ms)
    runs = _merged(_runs(scores, shape), raw.edges_ms, shape.gap_ms)
    found = [_segment(raw, scores, first, past) for first, past in runs]
    return [segment for segment in found if segment.end_ms - segment.start_ms >= needed_ms]


def _runs(scores: NDArray[np.float64], shape: Shape) -> list[tuple[int, int]]:
    """Hysteresis: stretches at or above `hold` that somewhere reach `enter`, as (first, past the last) steps."""
    held = np.concatenate([[False], scores >= shape.hold, [False]])
    firsts, pasts = np.flatnonzero(held[1:] & ~held[:-1]), np.flatnonzero(held[:-1] & ~held[1:])
    pairs = zip(firsts, pasts, strict=True)
    return [(int(first), int(past)) for first, past in pairs if scores[first:past].max() >= shape.enter]


def _merged(runs: list[tuple[int, int]], edges_ms: NDArray[np.int64], gap_ms: int) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for first, past in runs:
        if merged and edges_ms[first] - edges_ms[merged[-1][1]] <= gap_ms:
            merged[-1] = (merged[-1][0], past)
        else:
            merged.append((first, past))
    return merged


def _segment(raw: Curve, scores: NDArray[np.float64], first: int, past: int) -> Segment:
    peak = first + int(np.argmax(raw.scores[first:past]))
    return Segment(
        start_ms=int(raw.edges_ms[first]),
        end_ms=int(raw.edges_ms[past]),
        score=float(scores[first:past].max()),
        evidence_ms=int(raw.evidence_ms[peak]),
    )
