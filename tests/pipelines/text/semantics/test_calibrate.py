"""Calibration and bands, by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.text.semantics.calibrate import (
    FALSE_ALARMS,
    LOST,
    NEVER,
    PRECISION,
    Calibration,
    band,
    calibration_error,
    doubt_begins,
    platt,
    probabilities,
    upper_end,
)


def bools(*values):
    return np.array(values, bool)


def test_platt_finds_the_sigmoid_that_made_the_labels():
    """100,000 logits whose labels are drawn from sigmoid(2 x - 1)."""
    random = np.random.default_rng(0)
    logits = random.normal(size=100_000)
    true = random.random(len(logits)) < 1 / (1 + np.exp(1 - 2 * logits))
    slope, offset = platt(logits, true)
    assert slope == pytest.approx(2, abs=0.05)
    assert offset == pytest.approx(-1, abs=0.05)


def test_platt_is_never_quite_sure():
    """Two lines a class that a logit parts wholly: targets are 3/4 and 1/4, so scores are those."""
    slope, offset = platt(np.array([-1.0, -1.0, 1.0, 1.0]), bools(0, 0, 1, 1))
    np.testing.assert_allclose(probabilities(np.array([-1.0, 1.0]), slope, offset), [0.25, 0.75], atol=1e-3)


def test_a_head_that_is_wrong_on_the_whole_keeps_the_order_of_its_logits():
    slope, _ = platt(np.array([1.0, 1.0, -1.0, -1.0]), bools(0, 0, 1, 1))
    assert slope == pytest.approx(1e-3)


def test_a_band_by_hand():
    """Forty true lines: two of them, 5 %, may be lost, so low is the third lowest. Benign lines begin at 0.45."""
    true_scores = np.linspace(0.1, 0.88, 40)
    others = np.array([0.45] * 5 + [0.01] * 55)
    scores, true = np.concatenate([true_scores, others]), np.repeat([True, False], [40, 60])
    low, high = band(scores, true, ~true, ~true)
    assert low == pytest.approx(true_scores[2])
    assert high == pytest.approx(true_scores[true_scores > 0.45][0])


def test_precision_alone_can_raise_the_upper_end():
    """Lines of another label are no false alarms, and count against precision: only 0.9 is clean."""
    scores, true = np.array([0.9, 0.8, 0.75, 0.7]), bools(1, 0, 0, 1)
    assert upper_end(scores, true, ~true, bools(0, 0, 0, 0)) == 0.9


def test_false_alarms_alone_can_raise_the_upper_end():
    """A thousand true lines and three of a hundred benign ones at 0.5: 99.7 % right, and 3 % of what is benign."""
    scores = np.concatenate([np.full(1000, 0.5), np.full(500, 0.8), np.full(3, 0.5), np.full(97, 0.1)])
    true = np.repeat([True, False], [1500, 100])
    assert upper_end(scores, true, ~true, ~true) == 0.8
    assert upper_end(scores, true, ~true, np.zeros(1600, bool)) == 0.5


def test_where_nothing_is_sure_the_band_never_ends():
    scores, true = np.array([0.9, 0.8, 0.7]), bools(0, 1, 0)
    assert upper_end(scores, true, ~true, ~true) == NEVER
    low, high = band(scores, true, ~true, ~true)
    assert (low, high) == (0.8, NEVER)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.sampled_from("tobk")), min_size=5, max_size=80))
def test_a_band_keeps_its_promises(lines):
    """Whatever the scores: true lines, lines of other labels, of kin labels, benign ones."""
    scores, kinds = np.array([score for score, _ in lines]), np.array([kind for _, kind in lines])
    true, benign = kinds == "t", kinds == "b"
    wrong = ~true & (kinds != "k")
    if not true.any():
        return
    low, high = band(scores, true, wrong, benign)
    assert low <= high
    assert (scores[true] < low).mean() <= LOST
    if high < NEVER:
        above = scores >= high
        assert (above & true).sum() >= PRECISION * (above & (true | wrong)).sum()
        assert (scores[benign] >= high).sum() <= FALSE_ALARMS * benign.sum()


def test_doubt_begins_above_all_but_one_in_a_hundred():
    """Of 200 benign lines two may come into doubt; other lines do not count."""
    scores = np.concatenate([np.arange(200) / 1000, [0.9] * 50])
    benign = np.repeat([True, False], [200, 50])
    begins = doubt_begins(scores, benign)
    assert (scores[benign] >= begins).sum() == 2
    assert doubt_begins(scores[200:], benign[200:]) == 0.0


def test_doubt_begins_within_the_band():
    """Benign lines far below what is lost: without the bound, what is denied would be in doubt."""
    logits, true = np.repeat([-5.0, 5.0], 200), np.repeat([False, True], 200)
    found = Calibration.fitted(logits + np.linspace(0, 1, 400), true, ~true, ~true)
    assert found.doubt == found.low
    mixed = Calibration.fitted(np.zeros(400), true, ~true, ~true)
    assert mixed.low <= mixed.doubt <= mixed.high


def test_calibration_error_by_hand():
    """Two lines of 0.15, one of them true: off by 0.7; one of 0.9, true: off by 0.1; that over 3 lines."""
    assert calibration_error(np.array([0.15, 0.15, 0.9]), bools(1, 0, 1)) == pytest.approx(0.8 / 3)
    assert calibration_error(np.array([1.0, 0.0]), bools(1, 0)) == 0.0
