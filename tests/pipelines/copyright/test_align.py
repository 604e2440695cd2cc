"""Alignment: hits on one line are a span with the right times and speed, and hits strewn about are none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.copyright.picture.align import MOST_SPANS, SPEEDS, Hits, align, best_line, best_stretch

MINUTE = np.arange(0, 60_000, 1000)
HOUR_MS = 3_600_000


def hits(*pairs, evidence=1.0) -> Hits:
    query_ms, ref_ms = np.array(pairs, np.int64).reshape(-1, 2).T
    return Hits(query_ms, ref_ms, np.full(len(query_ms), evidence))


def copied(first_s, past_s, ref_s, speed=1.0):
    """Each second of the upload from `first_s` on shows the reference from `ref_s` on."""
    return [(1000 * s, round(1000 * (ref_s + speed * (s - first_s)))) for s in range(first_s, past_s)]


def spans(found, sampled=MINUTE, duration_ms=60_000, ref_duration_ms=HOUR_MS):
    return align(found, sampled, duration_ms, ref_duration_ms)


def test_nothing_gives_nothing():
    assert spans(hits()) == []


def test_a_stretch_of_the_upload_is_a_stretch_of_the_reference():
    """A frame speaks for half a second to both sides."""
    (span,) = spans(hits(*copied(12, 31, 2462)))

    assert (span.start_ms, span.end_ms) == (11_500, 30_500)
    assert (span.ref_start_ms, span.ref_end_ms) == pytest.approx((2_461_500, 2_480_500), abs=2)
    assert span.speed == pytest.approx(1)
    assert (span.frames, span.evidence) == (19, pytest.approx(19))
    assert 0 < span.gain < span.evidence


def test_it_does_not_reach_over_the_ends():
    (span,) = spans(hits(*copied(0, 60, 0)), ref_duration_ms=59_200)

    assert (span.start_ms, span.end_ms) == (0, 59_500)
    assert (span.ref_start_ms, span.ref_end_ms) == (0, 59_200)


@pytest.mark.parametrize("speed", [0.8, 0.87, 0.95, 1.04, 1.12, 1.25])
def test_a_changed_speed_is_found(speed):
    (span,) = spans(hits(*copied(5, 50, 300, speed)))

    assert span.speed == pytest.approx(speed, abs=0.01)
    assert (span.start_ms, span.end_ms) == (4500, 49_500)
    assert span.ref_start_ms == pytest.approx(300_000 - 500 * speed, abs=300)
    assert span.ref_end_ms == pytest.approx(300_000 + 44_500 * speed, abs=300)


def test_a_jitter_of_the_sampling_does_not_matter():
    """The reference was sampled twice a second, and not at the same moments."""
    jitter = np.random.default_rng(0).uniform(-500, 500, 30)
    (span,) = spans(hits(*[(q, round(r + j)) for (q, r), j in zip(copied(10, 40, 500), jitter, strict=True)]))

    assert span.ref_start_ms == pytest.approx(499_500, abs=600)
    assert span.ref_end_ms == pytest.approx(529_500, abs=600)


def test_a_short_gap_is_bridged():
    (span,) = spans(hits(*copied(5, 25, 100), *copied(27, 47, 122)))

    assert (span.start_ms, span.end_ms) == (4500, 46_500)
    assert span.frames == 40


def test_a_long_gap_makes_two():
    sampled = np.arange(0, 2_000_000, 1000)
    found = spans(hits(*copied(5, 25, 100), *copied(1905, 1925, 2000)), sampled, 2_000_000)

    assert sorted((span.start_ms, span.end_ms) for span in found) == [(4500, 24_500), (1_904_500, 1_924_500)]


def test_two_stretches_of_the_reference_the_longer_first():
    found = spans(hits(*copied(2, 12, 900), *copied(20, 50, 100)))

    assert [(span.start_ms, span.end_ms) for span in found] == [(19_500, 49_500), (1500, 11_500)]
    assert [span.ref_start_ms for span in found] == pytest.approx([99_500, 899_500], abs=2)


def test_the_same_stretch_twice_in_the_upload():
    found = spans(hits(*copied(0, 20, 100), *copied(30, 50, 100)))

    assert sorted(span.start_ms for span in found) == [0, 29_500]
    assert [span.ref_start_ms for span in found] == pytest.approx([99_500, 99_500], abs=600)


def test_a_still_stretch_of_the_reference_is_reported_once():
    """Each frame of the upload looks like each of ten seconds: one line, and nothing beside it."""
    still = [(q, r) for q in range(0, 10_000, 1000) for r in range(100_000, 110_000, 1000)]

    assert len(spans(hits(*still))) == 1


def test_never_more_than_so_many():
    pairs = [pair for n in range(6) for pair in copied(10 * n, 10 * n + 8, 500 * (6 - n))]

    assert len(spans(hits(*pairs))) == MOST_SPANS


@pytest.mark.parametrize("seed", range(5))
def test_weak_hits_strewn_about_are_nothing(seed):
    generator = np.random.default_rng(seed)
    strewn = np.stack([generator.choice(MINUTE, 100), generator.integers(0, HOUR_MS, 100)], axis=1)

    assert spans(hits(*strewn, evidence=0.1)) == []


def test_a_copy_is_found_among_them():
    generator = np.random.default_rng(0)
    strewn = np.stack([generator.choice(MINUTE, 300), generator.integers(0, HOUR_MS, 300)], axis=1)
    both = [hits(*strewn, evidence=0.1), hits(*copied(12, 31, 2462))]
    best, *_ = spans(Hits(*(np.concatenate([getattr(one, name) for one in both]) for name in vars(both[0]))))

    assert (best.start_ms, best.end_ms) == pytest.approx((11_500, 30_500), abs=2000)


def test_frames_without_a_hit_speak_against_a_span():
    (dense,) = spans(hits(*copied(10, 40, 500)))
    (thin,) = spans(hits(*copied(10, 40, 500)[::2], copied(10, 40, 500)[-1]))

    assert thin.gain < dense.gain - 10


def test_a_picture_is_one_frame():
    (span,) = spans(hits((0, 77_000)), np.zeros(1, np.int64), duration_ms=0)

    assert (span.start_ms, span.end_ms) == (0, 0)
    assert span.ref_start_ms == pytest.approx(77_000, abs=500)
    assert span.ref_start_ms <= span.ref_end_ms


def test_the_order_of_hits_does_not_matter():
    """But for the rounding of a sum."""
    pairs = copied(5, 25, 100) + copied(30, 56, 700, 1.1)
    shuffled = np.random.default_rng(0).permutation(pairs)

    for one, other in zip(spans(hits(*shuffled)), spans(hits(*pairs)), strict=True):
        assert list(vars(one).values()) == pytest.approx(list(vars(other).values()))


@pytest.mark.parametrize("speed", SPEEDS)
def test_the_fullest_line_wins(speed):
    line = best_line(hits(*copied(0, 40, 200, speed), *copied(0, 9, 900)))

    assert line.speed == pytest.approx(speed, abs=0.051)
    assert line.at(np.array([20_000]))[0] == pytest.approx(200_000 + 20_000 * speed, abs=1100)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.integers(-5, 5), max_size=8))
def test_the_best_stretch_gains_as_much_as_any(gains):
    every = [sum(gains[first:past]) for first in range(len(gains)) for past in range(first, len(gains) + 1)]
    first, past, total = best_stretch(np.array(gains, float))

    assert total == max(every, default=0)
    assert sum(gains[first:past]) == total


def test_a_line_counts_no_further_than_the_reference_goes():
    """The last frame of the reference is near a line that has left it, and a still scene has many like it."""
    within = copied(0, 8, 0)
    best, *_ = spans(hits(*within, (8000, 7000)), ref_duration_ms=7000)

    assert (best.frames, best.end_ms) == (8, 7500)


def test_slowed_down_the_same_frames_weigh_less():
    """They are fewer seconds of the reference."""
    (straight,), (slowed,) = spans(hits(*copied(5, 25, 100))), spans(hits(*copied(5, 25, 100, 0.8)))

    assert straight.frames == slowed.frames
    assert slowed.gain == pytest.approx(straight.gain * slowed.speed)
