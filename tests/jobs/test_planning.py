"""The arithmetic of a night by hand, and the machines it takes against trying them all."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.plans.planning import Kind, Load, Machines, Rates, night_on, plan
from model_registry.errors import UsageError

CORES = Kind("decode machine", 10, price=1.0)
GPU = Kind("look machine", 4, gpus=1, price=3.0)
LOAD = Load(videos=1000, hours=100)


def on(rates: Rates, load: Load, *counts: tuple[Kind, int]):
    return night_on(Machines(counts), rates, load)


class TestNight:
    def test_without_a_gpu_everything_shares_the_cores(self):
        rates = Rates(decode=20, look=10, listen=6, hash=1, match=2, read=19, judge=36)

        night = on(rates, LOAD, (CORES, 2))

        assert night.steps_h["looking"] == pytest.approx(36 * 100 / 20 / 3600)
        assert night.steps_h["hashing"] == pytest.approx(1 * 100 / 20 / 3600)
        assert night.steps_h["matching"] == pytest.approx(2 * 100 / 20 / 3600)
        assert night.steps_h["reading"] == pytest.approx(19 * 1 / 19 / 3600)  # one core is the driver's
        assert night.steps_h["judging"] == pytest.approx(0.01)
        assert night.bottleneck == "decoding"
        assert night.hours == pytest.approx(sum(night.steps_h.values()))

    def test_with_gpus_the_slowest_of_three_sets_the_pace(self):
        rates = Rates(on_gpu=True, decode=72, look=9, listen=18, efficiency=0.5, actor_cpus_a_gpu=2)

        night = on(rates, LOAD, (GPU, 2), (CORES, 1))

        free = 2 * 4 + 10 - 2 * 2
        assert night.steps_h["looking"] == pytest.approx(max(72 / free, 18 / 2) * 100 / 0.5 / 3600)
        assert night.bottleneck == "listening"
        assert on(rates, LOAD, (GPU, 4), (CORES, 0)).bottleneck == "decoding"
        assert rates.cores_a_gpu == 4

    def test_actors_leave_half_of_the_cores(self):
        rates = Rates(on_gpu=True, decode=36, look=0.001, actor_cpus_a_gpu=4)

        assert on(rates, LOAD, (GPU, 1)).steps_h["looking"] == pytest.approx(36 * 100 / 2 / 3600)

    def test_what_is_lost_is_done_again_but_for_judging(self):
        rates = Rates(decode=20, look=10, hash=1, judge=36, start_s=7)

        calm, rough = (on(rates, replace(LOAD, lost=lost), (CORES, 1)).steps_h for lost in (0.0, 0.25))

        assert rough["looking"] == pytest.approx(1.25 * calm["looking"])
        assert rough["hashing"] == pytest.approx(1.25 * calm["hashing"])
        assert (rough["judging"], rough["starting"]) == (calm["judging"], calm["starting"])

    def test_rates_of_gpus_need_one(self):
        with pytest.raises(UsageError, match="none of the machines has one"):
            on(Rates(on_gpu=True, decode=1, look=1), LOAD, (CORES, 1))

    @pytest.mark.parametrize(
        ("make", "sentence"),
        [
            (lambda: Rates(decode=-1, look=1), "rate decode is -1, wanted 0 or more"),
            (lambda: Rates(decode=1, look=float("nan")), "rate look is nan, wanted 0 or more"),
            (lambda: Kind("m", float("nan")), "m: cpus is nan, wanted 0 or more"),
            (lambda: Rates(decode=1, look=1, efficiency=0), "efficiency is 0, wanted more than 0 and at most 1"),
            (lambda: Load(0, 1), "videos is 0, wanted more than 0"),
            (lambda: Load(1, float("nan")), "hours is nan, wanted more than 0"),
            (lambda: Load(1, 1, 1.0), "lost is 1, wanted a share from 0 to below 1"),
            (lambda: Kind("m", 0), "m: cpus is 0, wanted more"),
            (lambda: Kind("m", 1, gpus=-1), "m: gpus is -1, wanted 0 or more"),
        ],
    )
    def test_what_makes_no_sense_is_refused(self, make, sentence):
        with pytest.raises(UsageError) as refusal:
            make()
        assert str(refusal.value) == sentence


rate = st.floats(0.1, 500)
cpu_rates = st.builds(Rates, decode=rate, look=rate, listen=rate, hash=rate, match=rate, read=rate)
gpu_rates = st.builds(
    Rates,
    on_gpu=st.just(True),
    decode=rate,
    look=rate,
    listen=rate,
    hash=rate,
    match=rate,
    efficiency=st.floats(0.3, 1),
    actor_cpus_a_gpu=st.floats(0, 4),
)


class TestFewest:
    @settings(max_examples=60, deadline=None)
    @given(cpu_rates, st.floats(0.2, 30))
    def test_one_machine_less_would_not_do(self, rates, within_h):
        found = plan(rates, LOAD, within_h, CORES)

        ((_, count),) = found.machines.counts
        assert found.hours <= within_h
        assert count == 1 or on(rates, LOAD, (CORES, count - 1)).hours > within_h

    @settings(max_examples=60, deadline=None)
    @given(gpu_rates, st.floats(2, 30))
    def test_the_cheapest_as_trying_them_all_finds_it(self, rates, within_h):
        found = plan(rates, LOAD, within_h, CORES, GPU)

        tried = []
        for gpus in range(1, 1000):
            fits = (night for n in range(1000) if (night := on(rates, LOAD, (GPU, gpus), (CORES, n))).hours <= within_h)
            tried += [night for night in [next(fits, None)] if night]
            if tried and not tried[-1].machines.counts[1][1]:
                break
        assert found.hours <= within_h
        assert found.cost == pytest.approx(min(night.cost for night in tried))

    @settings(max_examples=60, deadline=None)
    @given(gpu_rates, st.floats(2, 30))
    def test_without_prices_a_gpu_is_worth_forty_cores(self, rates, within_h):
        priced = plan(rates, LOAD, within_h, replace(CORES, price=10), replace(GPU, price=44))
        found = plan(rates, LOAD, within_h, replace(CORES, price=None), replace(GPU, price=None))

        assert [count for _, count in found.machines.counts] == [count for _, count in priced.machines.counts]
        assert found.cost is None

    @settings(max_examples=60, deadline=None)
    @given(cpu_rates | gpu_rates, st.integers(1, 50), st.integers(0, 50))
    def test_more_machines_are_never_slower(self, rates, looking, decoding):
        hours = on(rates, LOAD, (GPU, looking), (CORES, decoding)).hours

        assert on(rates, LOAD, (GPU, looking), (CORES, decoding + 1)).hours <= hours + 1e-12
        assert on(rates, LOAD, (GPU, looking + 1), (CORES, decoding)).hours <= hours + 1e-12

    def test_what_no_machine_can_do_is_said(self):
        with pytest.raises(UsageError, match=r"does not fit into 1 hours: starting and judging take 1.01 hours"):
            plan(Rates(decode=1, look=1, judge=3600, start_s=36), LOAD, 1, CORES)
        with pytest.raises(UsageError, match="on 100,000 machines of a kind"):
            plan(Rates(decode=1e12, look=1), LOAD, 1, CORES)
        with pytest.raises(UsageError, match="may last 0 hours"):
            plan(Rates(decode=1, look=1), LOAD, 0, CORES)
        with pytest.raises(UsageError, match="say what a machine with GPUs has"):
            plan(Rates(on_gpu=True, decode=1, look=1), LOAD, 1, CORES)
