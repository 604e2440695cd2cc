"""Segments: worked examples by hand, properties, and a reference that walks through every millisecond."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.risk.segments import DIGITS, OWN_LENGTH, Segment, Shape, curve, segments, smoothed
from tests.windows import seen

PLAIN = Shape(enter=0.5, hold=0.5)


def spans(found: list[Segment]) -> list[tuple[int, int]]:
    return [(segment.start_ms, segment.end_ms) for segment in found]


def frames(*scores: float, every_ms: int = 1000):
    """One signal a frame, back to back; 0 leaves a hole, as the floor does."""
    return [seen(score, i * every_ms, (i + 1) * every_ms) for i, score in enumerate(scores) if score]


class TestCurve:
    def test_where_two_sources_overlap_the_higher_counts_with_its_frame(self):
        laid = curve([seen(0.4, 0, 3000), seen(0.9, 1000, 2000, evidence_ms=1500, source="other@1")])

        assert laid.edges_ms.tolist() == [0, 1000, 2000, 3000]
        assert laid.scores.tolist() == [0.4, 0.9, 0.4]
        assert laid.evidence_ms.tolist() == [0, 1500, 0]

    def test_of_equals_the_first_one_counts(self):
        laid = curve([seen(0.4, 0, 1000, evidence_ms=7), seen(0.4, 0, 1000, evidence_ms=8)])

        assert laid.evidence_ms.tolist() == [7]

    def test_a_hole_is_zero_and_points_at_the_frame_before_it(self):
        laid = curve([seen(0.6, 5000, 6000), seen(0.4, 0, 1000)])

        assert laid.edges_ms.tolist() == [0, 1000, 5000, 6000]
        assert laid.scores.tolist() == [0.4, 0.0, 0.6]
        assert laid.evidence_ms.tolist() == [0, 0, 5000]

    def test_a_picture_has_no_length_and_gets_one_millisecond(self):
        laid = curve([seen(0.7, 0, 0)])

        assert (laid.edges_ms.tolist(), laid.scores.tolist()) == ([0, 1], [0.7])

    def test_scores_mean_what_a_policy_can_write(self):
        assert curve([seen(float(np.float32(0.9)), 0, 1000)]).scores.tolist() == [0.9]


class TestSmoothed:
    def test_the_mean_around_the_middle_of_each_step(self):
        # Windows of 2 s: [0, 1500] cut at the start, [500, 2500], [1500, 3000] cut at the end.
        raw = curve(frames(0.3, 0.9, 0.6))

        assert smoothed(raw, 2000).tolist() == [
            pytest.approx((300 + 450) / 1500),
            pytest.approx((150 + 900 + 300) / 2000),
            pytest.approx((450 + 600) / 1500),
        ]

    def test_width_zero_takes_the_curve_as_it_is(self):
        raw = curve(frames(0.3, 0.9))

        assert smoothed(raw, 0) is raw.scores

    def test_a_video_that_is_bad_throughout_keeps_its_score(self):
        raw = curve(frames(0.8, 0.8, 0.8))

        assert smoothed(raw, 60_000, duration_ms=3000).tolist() == [0.8, 0.8, 0.8]

    def test_silence_around_the_only_signal_counts_as_zero(self):
        raw = curve([seen(0.9, 5000, 6000)])

        assert smoothed(raw, 2000, duration_ms=20_000).tolist() == [0.45]

    def test_a_window_wider_than_the_video_is_the_mean_of_the_video(self):
        raw = curve([seen(1.0, 1000, 2000)])

        assert smoothed(raw, 60_000, duration_ms=4000).tolist() == [0.25]


class TestSegments:
    def test_nothing_seen(self):
        assert segments([], PLAIN, 10_000) == []

    def test_it_begins_at_enter_and_goes_on_down_to_hold(self):
        found = segments(frames(0.3, 0.4, 0.6, 0.4, 0.4, 0.3, 0.4), Shape(enter=0.6, hold=0.4), 7000)

        assert found == [Segment(start_ms=1000, end_ms=5000, score=0.6, evidence_ms=2000)]

    def test_what_never_reaches_enter_is_no_segment(self):
        assert segments(frames(0.59, 0.59), Shape(enter=0.6, hold=0.1), 2000) == []

    @pytest.mark.parametrize(("gap_ms", "expected"), [(999, [(0, 1000), (2000, 3000)]), (1000, [(0, 3000)])])
    def test_close_ones_become_one(self, gap_ms, expected):
        found = segments(frames(0.9, 0, 0.7), replace(PLAIN, gap_ms=gap_ms), 3000)

        assert spans(found) == expected
        assert found[0].score == 0.9

    @pytest.mark.parametrize(("needed_ms", "count"), [(2000, 1), (2001, 0)])
    def test_shorter_than_the_minimum_is_ignored(self, needed_ms, count):
        assert len(segments(frames(0, 0.9, 0.9, 0), replace(PLAIN, min_duration_ms=needed_ms), 60_000)) == count

    def test_gaps_are_closed_before_the_length_is_taken(self):
        shape = replace(PLAIN, gap_ms=1000, min_duration_ms=3000)

        assert spans(segments(frames(0.9, 0, 0.9), shape, 60_000)) == [(0, 3000)]

    def test_a_video_shorter_than_the_minimum_needs_its_own_length(self):
        shape = replace(PLAIN, min_duration_ms=2000)

        assert spans(segments([seen(0.9, 0, 1500)], shape, 1500)) == [(0, 1500)]
        assert spans(segments([seen(0.9, 80, 1500)], shape, 1500)) == [(80, 1500)]  # its first frame comes late
        assert segments([seen(0.9, 0, 1300)], shape, 1500) == []

    def test_a_picture_needs_no_length(self):
        shape = Shape(enter=0.5, hold=0.4, smooth_ms=3000, gap_ms=2000, min_duration_ms=2000)

        assert segments([seen(0.9, 0, 0)], shape, 0) == [Segment(0, 1, 0.9, 0)]

    def test_the_evidence_is_where_the_raw_score_peaks(self):
        # The mean peaks in the middle, at 2000; the highest frame stands at 3000.
        found = segments(frames(0.1, 0.6, 0.7, 0.8, 0.1), Shape(enter=0.5, hold=0.5, smooth_ms=3000), 5000)

        assert [(segment.score, segment.evidence_ms) for segment in found] == [(0.7, 3000)]

    def test_a_segment_in_a_hole_points_at_a_frame_that_was_seen(self):
        # 400 ms on either side of a hole of 200 ms: the mean over one second is highest in the hole.
        found = segments([seen(0.9, 1000, 1400), seen(0.9, 1600, 2000)], Shape(0.7, 0.7, smooth_ms=1000), 9000)

        assert found == [Segment(start_ms=1400, end_ms=1600, score=0.72, evidence_ms=1000)]

    def test_one_wild_frame_is_averaged_away_whatever_lies_under_the_floor(self):
        shape = Shape(enter=0.5, hold=0.4, smooth_ms=2000)

        assert segments([seen(0.95, 5000, 6000)], shape, 60_000) == []
        assert segments([seen(0.95, 5000, 6000), seen(0.02, 0, 1000)], shape, 60_000) == []


# The slow reference: one score a millisecond, and a mean counted millisecond by millisecond.


def every_ms(signals, length_ms):
    scores = [0.0] * length_ms
    for signal in signals:
        for ms in range(signal.start_ms, max(signal.end_ms, signal.start_ms + 1)):
            scores[ms] = max(scores[ms], round(signal.score, DIGITS))
    return scores


def steps_of(signals):
    edges = sorted({edge for s in signals for edge in (s.start_ms, max(s.end_ms, s.start_ms + 1))})
    return list(pairwise(edges))


def mean_around(scores, middle_twice, width_ms):
    """Half milliseconds, because the middle of a step may lie between two."""
    left, right = max(middle_twice - width_ms, 0), min(middle_twice + width_ms, 2 * len(scores))
    return round(sum(scores[half // 2] for half in range(left, right)) / (right - left), DIGITS)


def slow_segments(signals, shape, duration_ms):
    if not signals:
        return []
    length_ms = max(duration_ms, *(max(s.end_ms, s.start_ms + 1) for s in signals))
    scores = every_ms(signals, length_ms)
    judged = []
    for start, end in steps_of(signals):
        score = mean_around(scores, start + end, shape.smooth_ms) if shape.smooth_ms else scores[start]
        judged.append((start, end, score))
    runs, run = [], []
    for step in [*judged, None]:
        if step and step[2] >= shape.hold:
            run.append(step)
        elif run:
            runs, run = [*runs, run], []
    merged = []
    for run in [run for run in runs if any(score >= shape.enter for _, _, score in run)]:
        if merged and run[0][0] - merged[-1][1] <= shape.gap_ms:
            merged[-1] = (merged[-1][0], run[-1][1])
        else:
            merged.append((run[0][0], run[-1][1]))
    needed_ms = min(shape.min_duration_ms, OWN_LENGTH * duration_ms)
    return [
        (start, end, max(score for first, _, score in judged if start <= first < end), max(scores[start:end]))
        for start, end in merged
        if end - start >= needed_ms
    ]


signal_lists = st.lists(
    st.builds(
        lambda score, start, length: seen(score / 100, start, start + length),
        st.integers(2, 100),
        st.integers(0, 60),
        st.integers(0, 40),
    ),
    max_size=8,
)
shapes = st.builds(
    lambda enter, share, smooth, gap, least: Shape(enter / 100, enter * share / 1000, smooth, gap, least),
    st.integers(2, 100),
    st.integers(1, 10),
    st.one_of(st.just(0), st.integers(1, 50)),
    st.integers(0, 20),
    st.integers(0, 40),
)


@settings(max_examples=400, deadline=None)
@given(signal_lists, shapes, st.integers(0, 120))
def test_the_fast_way_finds_what_the_slow_reference_finds(signals, shape, duration_ms):
    fast = segments(signals, shape, duration_ms)
    slow = slow_segments(signals, shape, duration_ms)

    assert [(s.start_ms, s.end_ms) for s in fast] == [found[:2] for found in slow]
    assert [s.score for s in fast] == pytest.approx([found[2] for found in slow], abs=2e-6)  # rounded at six digits
    scores = every_ms(signals, 200)
    for segment, (start, end, _, peak) in zip(fast, slow, strict=True):
        behind = [s for s in signals if s.evidence_ms == segment.evidence_ms]
        assert behind, "the evidence is a frame that was seen"
        if peak:
            assert peak in {round(s.score, DIGITS) for s in behind}
            assert max(scores[start:end]) == peak


@settings(max_examples=200, deadline=None)
@given(signal_lists, shapes, st.integers(0, 120))
def test_segments_are_in_order_apart_and_within_what_was_seen(signals, shape, duration_ms):
    found = segments(signals, shape, duration_ms)

    assert all(0 <= segment.score <= 1 for segment in found)
    assert all(segment.start_ms < segment.end_ms for segment in found)
    assert all(after.start_ms - before.end_ms > shape.gap_ms for before, after in pairwise(found))
    if found:
        assert found[0].start_ms >= min(signal.start_ms for signal in signals)
        assert found[-1].end_ms <= max(max(signal.end_ms, signal.start_ms + 1) for signal in signals)


@settings(max_examples=200, deadline=None)
@given(signal_lists, shapes, st.integers(0, 120), st.floats(0, 1))
def test_a_higher_threshold_never_adds_time(signals, shape, duration_ms, more):
    def total(shape):
        return sum(segment.end_ms - segment.start_ms for segment in segments(signals, shape, duration_ms))

    assert total(replace(shape, enter=shape.enter + more)) <= total(shape)


@settings(max_examples=200, deadline=None)
@given(signal_lists, signal_lists, st.integers(0, 50), st.integers(0, 120))
def test_seeing_more_never_lowers_a_score(signals, more, width_ms, duration_ms):
    def scores(of):
        anchor = [seen(0.02, 0, 1)] + [seen(0.02, ms, ms) for s in [*signals, *more] for ms in (s.start_ms, s.end_ms)]
        raw = curve([*of, *anchor])  # the same steps in both
        return smoothed(raw, width_ms, duration_ms)

    assert (scores([*signals, *more]) >= scores(signals) - 10**-DIGITS).all()
