"""The metrics of copy detection, worked by hand; the numbers in the comments are the sums as done on paper."""

from __future__ import annotations

from itertools import groupby
from math import inf, isnan, sqrt

import numpy as np
import pytest

from benchmarks.copies.metrics import (
    Match,
    Point,
    detection_curve,
    false_per_thousand_hours,
    micro_ap,
    operating_point,
    pair_scores,
    point_at,
    recall_at_precision,
    segment_ap,
    segment_curve,
)


def seen(query: str, reference: str, score: float = 1.0, at: tuple[int, int] = (0, 10), ref: tuple[int, int] = (0, 10)):
    return Match(query, reference, score, *at, *ref)


TRUTH = [seen("q1", "A"), seen("q2", "B")]
# By score: right, wrong, right, wrong. q1-A has a second, lower match, which detection does not look at.
FOUND = [seen("q3", "A", 0.8), seen("q1", "A", 0.9), seen("q1", "A", 0.1), seen("q2", "B", 0.7), seen("q3", "B", 0.6)]


def test_a_span_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(ValueError, match="end after it starts"):
        seen("q", "A", at=(5, 4))


def test_a_pair_scores_what_its_best_match_does() -> None:
    assert pair_scores(FOUND)["q1", "A"] == 0.9


def test_the_detection_curve_goes_down_the_scores() -> None:
    assert detection_curve(TRUTH, FOUND) == [(0.9, 1, 0.5), (0.8, 0.5, 0.5), (0.7, 2 / 3, 1), (0.6, 0.5, 1)]


def test_micro_ap_is_precision_times_the_recall_gained() -> None:
    assert micro_ap(TRUTH, FOUND) == pytest.approx(1 * 0.5 + 2 / 3 * 0.5)


def test_micro_ap_is_micro_all_queries_share_one_ranking() -> None:
    """Each query ranks its own copy first (a macro average would be 1), but q3's wrong pair outranks q2's right one."""
    found = [seen("q1", "A", 0.9), seen("q2", "B", 0.2), seen("q3", "A", 0.5)]
    assert micro_ap(TRUTH, found) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


def test_what_is_never_found_costs_its_share() -> None:
    assert micro_ap([*TRUTH, seen("q4", "A"), seen("q5", "A")], FOUND[1:2]) == 0.25
    assert micro_ap(TRUTH, []) == 0


def test_equal_scores_are_one_step_in_any_order() -> None:
    """One right and one wrong at 0.5: precision 1/2 for the half of recall they gain, whichever comes first."""
    found = [seen("q1", "A", 0.5), seen("q3", "A", 0.5)]
    assert micro_ap(TRUTH, found) == micro_ap(TRUTH, found[::-1]) == 0.25


def test_a_match_that_is_the_truth_scores_one() -> None:
    assert segment_ap(TRUTH, TRUTH) == pytest.approx(1)


def test_half_of_the_query_and_all_of_the_reference() -> None:
    """Query: 5 of 10 covered, 5 claimed: P 1, R 1/2. Reference: 10 of 10: P 1, R 1. Means: P 1, R sqrt(1/2)."""
    (point,) = segment_curve(TRUTH[:1], [seen("q1", "A", 0.9, at=(0, 5))])
    assert point == pytest.approx(Point(0.9, 1, sqrt(0.5)))
    assert segment_ap(TRUTH[:1], [seen("q1", "A", 0.9, at=(0, 5))]) == pytest.approx(sqrt(0.5))


def test_a_match_too_long_on_both_sides() -> None:
    """20 claimed for 10 of truth on both axes: P 1/2, R 1."""
    assert segment_ap(TRUTH[:1], [seen("q1", "A", at=(0, 20), ref=(0, 20))]) == pytest.approx(0.5)


def test_the_right_time_in_the_wrong_part_of_the_reference_covers_nothing() -> None:
    """The boxes must overlap in both videos: right query span, but 20 to 30 in the reference."""
    (point,) = segment_curve(TRUTH[:1], [seen("q1", "A", ref=(20, 30))])
    assert point[1:] == (0, 0)


def test_lengths_are_of_unions_so_a_match_said_twice_counts_once() -> None:
    twice = [seen("q1", "A", 0.9, (0, 6), (0, 6)), seen("q1", "A", 0.8, (4, 10), (4, 10))]
    # 0.9: P 1, R 6/10. 0.8: the union is 0 to 10: P 1, R 1.
    assert segment_curve(TRUTH[:1], twice) == [pytest.approx(Point(0.9, 1, 0.6)), pytest.approx(Point(0.8, 1, 1))]


def test_two_copies_in_one_pair_only_the_one_touched_is_covered() -> None:
    """Copies at 0-10 and 20-30, both of reference 0-10; a match over query 0-30, reference 0-10 touches both.

    Query: covered 20, claimed 30, truth 20. Reference: covered 10, claimed 10, truth 10.
    """
    truth = [seen("q1", "A"), seen("q1", "A", at=(20, 30))]
    (point,) = segment_curve(truth, [seen("q1", "A", at=(0, 30))])
    assert point == pytest.approx(Point(1.0, sqrt(2 / 3), 1))


def test_segments_and_wrong_pairs_in_one_ranking() -> None:
    """0.9: wrong pair, 10 claimed. 0.8: q1-A in full: covered 10, claimed 20, truth 20: P 1/2, R 1/2.

    0.7: q2-B, query 0-5 and reference 0-5: covered 15, claimed 25: P 3/5, R 3/4.
    """
    found = [seen("q3", "A", 0.9), seen("q1", "A", 0.8), seen("q2", "B", 0.7, (0, 5), (0, 5))]
    assert segment_ap(TRUTH, found) == pytest.approx(0.5 * 0.5 + 0.6 * 0.25)


def test_a_wrong_match_of_no_length_changes_nothing() -> None:
    found = [seen("q3", "A", 0.9, (5, 5), (5, 5)), *TRUTH]
    assert segment_ap(TRUTH, found) == pytest.approx(1)


def plain_segment_ap(truth: list[Match], found: list[Match]) -> float:
    """The definition, counted in single milliseconds of sets: slow and obvious."""

    def moments(matches: list[Match], axis: int) -> set[tuple]:
        return {(*match.pair, at) for match in matches for at in range(*map(int, match.spans[axis]))}

    def touch(one: Match, other: Match) -> bool:
        return one.pair == other.pair and all(moments([one], axis) & moments([other], axis) for axis in (0, 1))

    total, reached, taken = 0.0, 0.0, []
    for _, group in groupby(sorted(found, key=lambda match: -match.score), key=lambda match: match.score):
        taken += group
        seen_truth = [copy for copy in truth if any(touch(copy, match) for match in taken)]
        covered = [len(moments(taken, axis) & moments(seen_truth, axis)) for axis in (0, 1)]
        precision = sqrt(np.prod([covered[axis] / len(moments(taken, axis)) for axis in (0, 1)]))
        recall = sqrt(np.prod([covered[axis] / len(moments(truth, axis)) for axis in (0, 1)]))
        total, reached = total + precision * (recall - reached), recall
    return total


def random_match(rng: np.random.Generator, score: float) -> Match:
    starts, lengths = rng.integers(0, 30, 2), rng.integers(1, 15, 2)
    at, ref = ((int(start), int(start + length)) for start, length in zip(starts, lengths, strict=True))
    return seen(str(rng.choice(["q1", "q2", "q3"])), str(rng.choice(["A", "B"])), score, at, ref)


@pytest.mark.parametrize("seed", range(20))
def test_the_segment_ap_is_that_of_the_plain_definition(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = [random_match(rng, 1.0) for _ in range(5)]
    found = [random_match(rng, float(rng.integers(0, 6))) for _ in range(12)]
    assert segment_ap(truth, found) == pytest.approx(plain_segment_ap(truth, found))


def test_recall_at_precision_takes_the_best_threshold_not_the_first() -> None:
    """After the wrong one at 0.8 precision is 1/2, but ten right ones later it is 11/12, and recall 11/11."""
    truth = [seen(f"q{n}", "A") for n in range(11)]
    found = [seen("q0", "A", 0.9), seen("x", "A", 0.8), *[seen(f"q{n}", "A", 0.5) for n in range(1, 11)]]
    assert recall_at_precision(truth, found, 0.9) == 1
    assert recall_at_precision(truth, found, 0.95) == pytest.approx(1 / 11)


def test_no_threshold_is_precise_enough() -> None:
    point = operating_point(detection_curve(TRUTH, [seen("q3", "A")]))
    assert (point.score, point.recall) == (inf, 0)
    assert isnan(point.precision)


def test_the_point_at_a_score_holds_all_that_scores_as_much() -> None:
    points = detection_curve(TRUTH, FOUND)
    assert point_at(points, 0.7) == point_at(points, 0.65) == (0.7, pytest.approx(2 / 3), 1)
    assert point_at(points, 0.95).recall == 0


def test_false_matches_are_wrong_pairs_over_the_hours_searched() -> None:
    """Above 0.75 one wrong pair; above 0.5 two. Two hours of uploads: 500 and 1000 in a thousand hours."""
    two_hours_ms = 7_200_000
    assert false_per_thousand_hours(TRUTH, FOUND, 0.75, two_hours_ms) == 500
    assert false_per_thousand_hours(TRUTH, FOUND, 0.5, two_hours_ms) == 1000
    assert false_per_thousand_hours(TRUTH, FOUND, inf, two_hours_ms) == 0
