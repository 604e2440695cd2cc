"""Rates read off nights: two give back what they went at, one never promises too much."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.plans.planning import Kind, Load, Machines, night_on
from jobs.plans.rates import EAR_STAGES, line, measured, rates_of
from jobs.plans.tables import storage
from model_registry.errors import UsageError
from pipelines.decode.limits import Limits, Sampling
from pipelines.nightly import Machines as Spread
from pipelines.nightly import nightly_stages
from tests.planning import CPU_TRUTH, GPU_TRUTH, write_night

LOAD = Load(videos=1000, hours=100)


class TestRates:
    @pytest.mark.parametrize(("truth", "cpus", "gpus"), [(CPU_TRUTH, 4.0, 0.0), (GPU_TRUTH, 16.0, 1.0)])
    def test_two_nights_give_back_the_rates_they_went_at(self, tmp_path, truth, cpus, gpus):
        loads = (Load(200, 2), Load(900, 7))
        nights = [
            measured(write_night(tmp_path, truth, load, cpus=cpus, gpus=gpus, name=f"n{load.videos}")) for load in loads
        ]

        found = rates_of(nights)

        for name, value in vars(truth).items():
            assert getattr(found, name) == pytest.approx(value, rel=1e-6), name

    @pytest.mark.parametrize(("truth", "cpus", "gpus"), [(CPU_TRUTH, 4.0, 0.0), (GPU_TRUTH, 16.0, 1.0)])
    def test_one_night_predicts_itself_and_never_less_for_a_larger_one(self, tmp_path, truth, cpus, gpus):
        load, larger = Load(200, 2), Load(2000, 20)
        night = measured(write_night(tmp_path, truth, load, cpus=cpus, gpus=gpus))
        machines = Machines(((Kind("m", cpus, gpus), 1),))

        found = rates_of([night])

        assert night_on(machines, found, load).hours == pytest.approx(night_on(machines, truth, load).hours)
        assert night_on(machines, found, larger).hours >= night_on(machines, truth, larger).hours

    def test_listening_is_what_the_pipeline_does_with_sound(self, lite):
        spread = Spread(model_actors=1, model_gpus=0.5, speech_actors=1, speech_gpus=0.5)
        _, eyes, ears, _ = nightly_stages(lite, Sampling(), Limits(), spread, "out")

        assert {stage.name for stage in ears.stages} - {"nothing"} == EAR_STAGES
        assert not {stage.name for stage in eyes.stages} & EAR_STAGES
        assert len(eyes.stages) > 4

    def test_a_line_through_points(self):
        assert line([1, 2, 3], [5, 7, 9]) == (pytest.approx(3), pytest.approx(2))
        assert line([2], [6]) == (0, 3)
        assert line([2, 2.01], [6, 99]) == (0, pytest.approx(26.25, abs=0.3))  # of one size: no start can be told
        assert line([1, 2], [1, 3]) == (0, pytest.approx(7 / 5))  # no start is below 0
        assert line([1, 2], [3, 2])[0] == 0  # and no night is the shorter for more video

    def test_nights_that_differ_are_not_averaged(self, tmp_path):
        one = measured(write_night(tmp_path, CPU_TRUTH, LOAD, name="one"))
        for name, more in (
            ("bundle", {"versions": {"bundle": "clip-l14@1", "sampling": "frames/1000ms"}}),
            ("sampling", {"versions": {"bundle": "lite@1", "sampling": "frames/500ms"}}),
        ):
            other = measured(write_night(tmp_path, CPU_TRUTH, LOAD, name=name, **more))
            with pytest.raises(UsageError, match=f"one and {name} differ in {name}"):
                rates_of([one, other])
        gpu = measured(write_night(tmp_path, GPU_TRUTH, LOAD, cpus=16.0, gpus=1.0, name="gpu"))
        with pytest.raises(UsageError, match=r"one and gpu differ in GPUs a core: 0\.0 and 0\.0625"):
            rates_of([one, gpu])

    def test_a_night_that_says_too_little_is_refused(self, tmp_path):
        at = write_night(tmp_path, CPU_TRUTH, LOAD)
        summary = json.loads((at / "summary.json").read_text())
        del summary["machine"], summary["steps_s"]
        (at / "summary.json").write_text(json.dumps(summary))

        with pytest.raises(UsageError, match="its summary lacks machine, steps_s"):
            measured(at)

    def test_a_night_that_looked_at_nothing_is_refused(self, tmp_path):
        with pytest.raises(UsageError, match="looked at no video"):
            measured(write_night(tmp_path, CPU_TRUTH, LOAD, throughput={"hours": 0.0}))

    def test_a_resumed_night_is_refused(self, tmp_path):
        at = write_night(tmp_path, CPU_TRUTH, LOAD, counts={"videos": 4, "contents_looked_at": 2})
        contents = pa.table({"content_sha256": ["a", "b", "c", "a", None]})
        pq.write_table(contents, at / "features" / "contents.parquet")

        with pytest.raises(UsageError, match="did not run in one go: its last run looked at 2 of 3 contents"):
            measured(at)

    def test_storage_grows_with_video_and_is_unknown_of_pruned_nights(self, tmp_path):
        night = measured(write_night(tmp_path, CPU_TRUTH, LOAD))

        assert storage([night], Load(1000, 500))["features"] == pytest.approx(5000)
        pruned = measured(write_night(tmp_path, CPU_TRUTH, LOAD, name="p", pruned=[{"parts": {"features": {}}}]))
        assert storage([pruned], LOAD) == {}
