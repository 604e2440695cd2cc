"""The command: what is typed in, measured or taken for granted is said."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace

import pytest

from jobs import plan as command
from jobs.plans.planning import Kind, Load, Machines, Rates, night_on
from jobs.plans.tables import work
from model_registry.errors import UsageError
from tests.planning import CPU_TRUTH, GPU_TRUTH, write_night


def call(*options: str) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args(["--videos", "5e6", "--hours", "20000", "--within", "8", *options]))


class TestCommand:
    def test_typed_rates_make_a_plan_that_says_so(self, capsys):
        rates = ("--rate", "decode=400", "--rate", "look=90", "--rate", "listen=60")
        machines = ("--decode-machine", "cpus=32,price=1.2", "--look-machine", "gpus=1,cpus=16,price=2.9")

        assert call(*rates, *machines, "--lost", "0.05") == 0

        said = capsys.readouterr().out
        gpus = -(-90 * 20000 * 1.05 // (0.8 * 8 * 3600))
        assert f"look machine        {gpus:.0f}" in said
        assert "One GPU keeps up with 4.44 cores that decode." in said
        assert "Typed in, not measured: decode=400, listen=60, look=90." in said
        assert "Nothing is known of hashing, matching, reading, judging" in said
        assert "busy 80% of the time: assumed." in said
        assert "5% of the work is done again" in said

    def test_a_measured_night_makes_a_plan(self, tmp_path, capsys):
        at = write_night(tmp_path, replace(CPU_TRUTH, judge=2), Load(2500, 10))

        assert call("--measured", str(at), "--decode-machine", "cpus=32,price=1.5", "--json") == 0

        found = json.loads(capsys.readouterr().out)
        (machine,) = found["machines"]
        assert machine["count"] > 1
        assert found["cost"] == pytest.approx(machine["count"] * 1.5 * found["hours"])
        assert 0 < found["hours"] <= 8
        assert found["bottleneck"] == "decoding"
        assert found["storage_bytes"]["features"] == pytest.approx(1000 / 10 * 20000)
        assert any("2e+03 times as much video" in one for one in found["assumptions"])
        assert any("From one night nobody can tell" in one for one in found["assumptions"])

    def test_a_typed_rate_goes_before_a_measured_one(self, tmp_path, capsys):
        at = write_night(tmp_path, replace(CPU_TRUTH, judge=2), Load(2500, 10))

        call("--measured", str(at), "--rate", "decode=77", "--json")

        found = json.loads(capsys.readouterr().out)
        assert found["rates"]["decode"] == 77
        assert "Typed in, not measured: decode=77." in found["assumptions"]

    def test_videos_of_another_length_are_warned_of(self, tmp_path, capsys):
        at = write_night(tmp_path, replace(CPU_TRUTH, judge=2), Load(100, 10))

        call("--measured", str(at), "--json")

        said = json.loads(capsys.readouterr().out)["assumptions"]
        assert any("14.4 s on average, those measured 360 s" in one for one in said)

    def test_a_gpu_night_plans_both_kinds_of_machine(self, tmp_path, capsys):
        truth = replace(GPU_TRUTH, judge=2)
        nights = [
            str(write_night(tmp_path, truth, load, cpus=16.0, gpus=1.0, name=f"n{load.videos}"))
            for load in (Load(250, 1), Load(2500, 10))
        ]

        call("--measured", *nights, "--json")

        found = json.loads(capsys.readouterr().out)
        look, decode = found["machines"]
        assert (look["gpus"], look["cpus"]) == (1, 16)
        assert found["decode_cores_a_gpu"] == pytest.approx(5)
        assert look["count"] * 8 + decode["count"] * 16 >= 5 * look["count"] * 0.9
        kinds = [(Kind(one["name"], one["cpus"], one["gpus"]), one["count"]) for one in found["machines"]]
        assert night_on(Machines(tuple(kinds)), truth, Load(5e6, 20000)).hours == pytest.approx(
            found["hours"], rel=1e-3
        )

    def test_a_night_without_a_gpu_says_nothing_of_one(self, tmp_path, capsys):
        at = str(write_night(tmp_path, replace(CPU_TRUTH, judge=2), Load(2500, 10)))

        with pytest.raises(UsageError, match="without a GPU: give --rate look=SECONDS and --rate listen=SECONDS"):
            call("--measured", at, "--look-machine", "gpus=1,cpus=16")
        call("--measured", at, "--look-machine", "gpus=1,cpus=16", "--rate", "look=20", "--rate", "listen=5", "--json")

        found = json.loads(capsys.readouterr().out)
        assert found["rates"]["on_gpu"]
        assert found["machines"][0]["gpus"] == 1
        assert any("Nothing is known of matching" in one for one in found["assumptions"])

    def test_without_rates_it_says_what_it_needs(self):
        with pytest.raises(UsageError, match="give --rate decode=SECONDS and --rate look=SECONDS"):
            call()

    @pytest.mark.parametrize(
        ("option", "value", "sentence"),
        [
            ("--rate", "speed=3", "'speed' is no rate, wanted one of decode, look"),
            ("--rate", "decode", "'decode' is not NAME=NUMBER"),
            ("--rate", "decode=fast", "'decode=fast' is not NAME=NUMBER"),
            ("--decode-machine", "cpus=4,disks=2", "has disks, wanted some of cpus, gpus, price"),
            ("--look-machine", "gpus=1", "lacks cpus"),
        ],
    )
    def test_a_call_that_is_wrong(self, capsys, option, value, sentence):
        with pytest.raises(SystemExit):
            call(option, value)
        assert sentence in capsys.readouterr().err

    def test_work_adds_up_to_what_the_machines_do(self):
        rates = Rates(decode=36, look=18, judge=3.6)

        assert work(rates, Load(1000, 100, 0.5)) == [
            ("decoding", "core", pytest.approx(1.5)),
            ("looking", "core", pytest.approx(0.75)),
            ("judging", "core", pytest.approx(0.001)),
        ]
