"""Calibration and bands, by hand."""

import numpy as np
import pytest

from model_registry.models.text.heads import NEVER
from pipelines.text.semantics.calibrate import (
    Calibration,
    Told,
    calibration_error,
    doubt_begins,
    lower_end,
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


def told(true, wrong=None, benign=None, register=None, allowed=None, writing=None):
    count = len(true)
    wrong = ~true if wrong is None else wrong
    return Told(
        true,
        wrong,
        wrong if benign is None else benign,
        np.array(["posts"] * count if register is None else register),
        np.full(count, 1.0) if allowed is None else np.array(allowed),
        np.array(["en"] * count if writing is None else writing),
    )


def test_the_lower_end_loses_one_in_fifty_of_every_register_that_was_measured():
    """A hundred true lines each: two may be lost, so it is the third lowest of the register that scores lower."""
    scores = np.concatenate([np.linspace(0.5, 0.99, 100), np.linspace(0.2, 0.69, 100), np.full(10, 0.01)])
    writing = np.repeat(["en", "zh", "zh short"], [100, 100, 10])
    low, measured = lower_end(scores, np.ones(210, bool), writing)
    assert low == pytest.approx(scores[102])
    assert measured == ("en", "zh")


def test_what_few_lines_measure_denies_nothing():
    assert lower_end(np.linspace(0.1, 1, 10), np.ones(10, bool), np.array(["en"] * 10)) == (0.1, ())


def test_a_head_settles_from_where_several_registers_have_shown_it():
    """Sixty true lines each in two registers, and four wrong ones in one: with all four, 4 of 64 there are wrong."""
    true = np.repeat([True, False], [120, 4])
    scores = np.concatenate([np.linspace(0.3, 0.89, 60), np.linspace(0.3, 0.89, 60), [0.6, 0.35, 0.31, 0.305]])
    register = np.array(["posts"] * 60 + ["chat"] * 60 + ["chat"] * 4)
    high, shown = upper_end(scores, told(true, register=register))
    assert shown == ("chat", "posts")
    assert high == pytest.approx(0.31)
    alone = np.array(["posts"] * 124)
    assert upper_end(scores, told(true, register=alone)) == (NEVER, ())
    assert upper_end(scores, told(true, register=alone), least=1)[1] == ("posts",)


def test_a_register_that_is_wrong_too_often_speaks_for_all():
    """Forty right and ten wrong in one of three registers, whatever the others have shown."""
    true = np.repeat([True, False], [140, 10])
    register = np.array(["a"] * 50 + ["b"] * 50 + ["c"] * 40 + ["c"] * 10)
    assert upper_end(np.full(150, 0.9), told(true, register=register)) == (NEVER, ())


def test_false_alarms_alone_can_keep_a_head_from_settling():
    true = np.repeat([True, False], [200, 1000])
    scores = np.concatenate([np.linspace(0.5, 0.9, 200), np.full(4, 0.6), np.full(996, 0.1)])
    register = np.array((["a", "b"] * 100) + ["novels"] * 1000)
    assert upper_end(scores, told(true, register=register, allowed=np.full(1200, 0.01)))[0] == pytest.approx(0.5)
    high, _ = upper_end(scores, told(true, register=register, allowed=np.full(1200, 0.001)))
    assert 0.6 < high < 0.61


def test_doubt_begins_above_all_but_three_in_a_thousand():
    """Of 1,000 benign lines three may come into doubt; other lines do not count."""
    scores = np.concatenate([np.arange(1000) / 2000, [0.9] * 50])
    benign = np.repeat([True, False], [1000, 50])
    begins = doubt_begins(scores, benign)
    assert (scores[benign] >= begins).sum() == 3
    assert doubt_begins(scores[1000:], benign[1000:]) == 0.0


def test_doubt_begins_within_the_band():
    """Benign lines far below what is lost: without the bound, what is denied would be in doubt."""
    logits, true = np.repeat([-5.0, 5.0], 200), np.repeat([False, True], 200)
    lines = told(true, allowed=np.full(400, 0.001))
    found = Calibration.fitted(logits + np.linspace(0, 1, 400), lines)
    assert found.doubt == found.low
    mixed = Calibration.fitted(np.zeros(400), lines)
    assert mixed.low <= mixed.doubt <= mixed.high
    assert not mixed.settles(np.ones(3)).any()  # nothing was shown, so that not even a score of 1 settles


def test_calibration_error_by_hand():
    """Two lines of 0.15, one of them true: off by 0.7; one of 0.9, true: off by 0.1; that over 3 lines."""
    assert calibration_error(np.array([0.15, 0.15, 0.9]), bools(1, 0, 1)) == pytest.approx(0.8 / 3)
    assert calibration_error(np.array([1.0, 0.0]), bools(1, 0)) == 0.0
