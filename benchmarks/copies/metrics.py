"""What VSC2022 measures of copy detection, and what a review team asks besides.

Definitions: Pizzi et al., "The 2023 Video Similarity Dataset and Challenge", arXiv 2306.09489, section 4, and
`vsc/metrics.py` of github.com/facebookresearch/vsc2022. Times are milliseconds. Matches of equal score count as one
step of a curve, so that no metric depends on their order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import inf, nan, sqrt
from typing import NamedTuple

Span = tuple[float, float]
Pair = tuple[str, str]
HOUR_MS = 3_600_000


@dataclass(frozen=True)
class Match:
    """A span of a query that shows a span of a reference, found with a score or, as truth, known with any."""

    query: str
    reference: str
    score: float
    start_ms: float
    end_ms: float
    ref_start_ms: float
    ref_end_ms: float
    doubted: bool = False  # said, but not verified: nobody acts on it, whatever its score

    def __post_init__(self) -> None:
        if self.end_ms < self.start_ms or self.ref_end_ms < self.ref_start_ms:
            raise ValueError(f"a span must end after it starts, found {self}")

    @property
    def pair(self) -> Pair:
        """The two videos."""
        return self.query, self.reference

    @property
    def spans(self) -> tuple[Span, Span]:
        """The span of the query and that of the reference."""
        return (self.start_ms, self.end_ms), (self.ref_start_ms, self.ref_end_ms)


class Point(NamedTuple):
    """Precision and recall of everything that scores at least `score`."""

    score: float
    precision: float
    recall: float


def pair_scores(matches: Iterable[Match]) -> dict[Pair, float]:
    """Detection looks at pairs of videos; a pair scores what its best match does (VSC2022, descriptor track)."""
    scores: dict[Pair, float] = {}
    for match in matches:
        scores[match.pair] = max(match.score, scores.get(match.pair, -inf))
    return scores


def detection_curve(truth: Iterable[Match], matches: Iterable[Match]) -> list[Point]:
    """Precision and recall over pairs of videos, from the highest score down; all queries share one threshold."""
    wanted = {match.pair for match in truth}
    ranked = sorted(pair_scores(matches).items(), key=lambda item: -item[1])
    points, found, right = [], 0, 0
    for score, group in groupby(ranked, key=lambda item: item[1]):
        pairs = [pair for pair, _ in group]
        found += len(pairs)
        right += len(wanted.intersection(pairs))
        points.append(Point(score, right / found, right / len(wanted) if wanted else nan))
    return points


def area(points: Sequence[Point]) -> float:
    """Return average precision: the sum over thresholds of precision times the recall gained."""
    gained, total = 0.0, 0.0
    for point in points:
        total += point.precision * (point.recall - gained)
        gained = point.recall
    return total


def micro_ap(truth: Iterable[Match], matches: Iterable[Match]) -> float:
    """Return uAP, the micro average precision of detection: all pairs of all queries in one ranking."""
    return area(detection_curve(truth, matches))


def segment_curve(truth: Iterable[Match], matches: Iterable[Match]) -> list[Point]:
    """Precision and recall of spans: the geometric mean of both along the queries' and the references' time.

    Along either, recall is the length of truth that matches cover over all there is, precision that length over what
    matches cover; lengths are of unions within a pair, and truth counts as covered only where a match overlaps the
    same copy in both videos at once (VSC2022, matching track, after VCSL, arXiv 2203.02654).
    """
    pairs: dict[Pair, _Pair] = defaultdict(_Pair)
    for match in truth:
        pairs[match.pair].truth.append(match)
    whole = [sum(_length(_spans(pair.truth, axis)) for pair in pairs.values()) for axis in (0, 1)]
    covered, claimed, points = [0.0, 0.0], [0.0, 0.0], []
    for score, group in groupby(sorted(matches, key=lambda match: -match.score), key=lambda match: match.score):
        for match in group:
            for axis, (more_covered, more_claimed) in enumerate(pairs[match.pair].add(match)):
                covered[axis] += more_covered
                claimed[axis] += more_claimed
        points.append(Point(score, _mean(covered, claimed), _mean(covered, whole)))
    return points


def segment_ap(truth: Iterable[Match], matches: Iterable[Match]) -> float:
    """Return the segment-level average precision, VSC2022's matching metric."""
    return area(segment_curve(truth, matches))


class _Pair:
    """The truth of one pair of videos, and what matches have claimed of it so far."""

    def __init__(self) -> None:
        self.truth: list[Match] = []
        self.matches: list[Match] = []
        self.lengths = [(0.0, 0.0), (0.0, 0.0)]

    def add(self, match: Match) -> Iterator[tuple[float, float]]:
        """Take a match; for query and reference, the length covered and the length claimed that it adds."""
        self.matches.append(match)
        seen = [copy for copy in self.truth if any(_overlap(copy, other) for other in self.matches)]
        for axis, (covered, claimed) in enumerate(self.lengths):
            claims = _spans(self.matches, axis)
            now = _common(claims, _spans(seen, axis)), _length(claims)
            self.lengths[axis] = now
            yield now[0] - covered, now[1] - claimed


def _spans(matches: Iterable[Match], axis: int) -> list[Span]:
    return [match.spans[axis] for match in matches]


def _overlap(one: Match, other: Match) -> bool:
    return all(max(a[0], b[0]) < min(a[1], b[1]) for a, b in zip(one.spans, other.spans, strict=True))


def _length(spans: Sequence[Span]) -> float:
    """The length of a union of spans."""
    total, reached = 0.0, -inf
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


def _common(one: Sequence[Span], other: Sequence[Span]) -> float:
    """The length that two unions of spans share: |A| + |B| - |A or B|."""
    return _length(one) + _length(other) - _length([*one, *other])


def _mean(parts: Sequence[float], wholes: Sequence[float]) -> float:
    """The geometric mean of two ratios; 0 where nothing is claimed."""
    return sqrt(parts[0] / wholes[0] * parts[1] / wholes[1]) if all(wholes) else 0.0


def operating_point(points: Sequence[Point], precision: float = 0.9) -> Point:
    """Return the point of highest recall at that precision or better; nothing is found where there is none."""
    good = [point for point in points if point.precision >= precision]
    return max(good, key=lambda point: point.recall, default=Point(inf, nan, 0.0))


def point_at(points: Sequence[Point], score: float) -> Point:
    """Return the point of everything that scores at least `score`."""
    return next((point for point in reversed(points) if point.score >= score), Point(score, nan, 0.0))


def recall_at_precision(truth: Iterable[Match], matches: Iterable[Match], precision: float = 0.9) -> float:
    """Return the share of copies found where at least `precision` of what is found is one."""
    return operating_point(detection_curve(truth, matches), precision).recall


def false_per_thousand_hours(
    truth: Iterable[Match], matches: Iterable[Match], score: float, uploads_ms: float
) -> float:
    """Return how many wrong pairs score at least `score`, for every thousand hours of uploads searched."""
    wanted = {match.pair for match in truth}
    false = sum(found >= score and pair not in wanted for pair, found in pair_scores(matches).items())
    return false * 1000 * HOUR_MS / uploads_ms
