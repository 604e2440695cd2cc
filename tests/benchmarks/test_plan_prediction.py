"""The planning benchmark: a night that goes as its rates say is predicted to the second, one twice as slow is not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.plan import ratio
from jobs.plans.planning import Load
from jobs.plans.rates import measured
from tests.planning import CPU_TRUTH, write_night


@pytest.fixture
def night(tmp_path):
    return measured(write_night(tmp_path, CPU_TRUTH, Load(500, 3)))


def test_what_goes_as_it_should(night):
    assert ratio(CPU_TRUTH, night) == pytest.approx(1)
    assert ratio(CPU_TRUTH, night, "looking") == pytest.approx(1)


def test_what_takes_half_as_long_as_predicted(night):
    rates = replace(CPU_TRUTH, decode=2 * CPU_TRUTH.decode, look=2 * CPU_TRUTH.look, listen=2 * CPU_TRUTH.listen)

    assert ratio(rates, night, "looking") == pytest.approx(2)
    assert ratio(CPU_TRUTH, night, "looking", cores=2) == pytest.approx(2)
