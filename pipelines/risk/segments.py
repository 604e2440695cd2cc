"""From a score curve to segments: combine, smooth, hysteresis, merge, minimum duration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.risk.signals import Signal


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
    evidence_ms: NDArray[np.int64]  # the frame behind each step


def curve(signals: Sequence[Signal]) -> Curve:
    """Lay signals of one label over each other; where several speak, the highest counts."""
    starts = np.array([signal.start_ms for signal in signals], np.int64)
    ends = np.maximum(np.array([signal.end_ms for signal in signals], np.int64), starts + 1)
    edges_ms = np.unique(np.concatenate([starts, ends]))
    scores, evidence_ms = np.zeros(len(edges_ms) - 1), edges_ms[:-1].copy()
    first, past = np.searchsorted(edges_ms, starts), np.searchsorted(edges_ms, ends)
    for signal, begin, end in zip(signals, first, past, strict=True):
        higher = np.flatnonzero(scores[begin:end] < signal.score) + begin
        scores[higher], evidence_ms[higher] = signal.score, signal.evidence_ms
    return Curve(edges_ms, scores, evidence_ms)


def smoothed(raw: Curve, width_ms: int) -> NDArray[np.float64]:
    """Return the mean of the curve in a window of `width_ms` around the middle of each step.

    At the ends of the curve the window is cut, so that a video that is bad throughout keeps its score.
    """
    if width_ms <= 0:
        return raw.scores
    area = np.concatenate([[0.0], np.cumsum(raw.scores * np.diff(raw.edges_ms))])
    middles = (raw.edges_ms[:-1] + raw.edges_ms[1:]) / 2
    left = np.maximum(middles - width_ms / 2, raw.edges_ms[0])
    right = np.minimum(middles + width_ms / 2, raw.edges_ms[-1])
    mean = (np.interp(right, raw.edges_ms, area) - np.interp(left, raw.edges_ms, area)) / (right - left)
    return np.asarray(mean, np.float64)


def segments(signals: Sequence[Signal], shape: Shape, duration_ms: int) -> list[Segment]:
    """Return the stretches that a rule speaks of, in order.

    A video shorter than the minimum duration, a picture among them, needs its own length only.
    """
    if not signals:
        return []
    raw = curve(signals)
    scores = smoothed(raw, shape.smooth_ms)
    needed_ms = min(shape.min_duration_ms, duration_ms)
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
