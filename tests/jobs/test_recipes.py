"""How work is spread: never more than a machine has, never so little that it stands still."""

from __future__ import annotations

import pytest

from jobs import cli
from jobs.recipes import engines_for, machines_for, rows_a_task
from model_registry.bundles import PinnedBundle
from model_registry.model import ModelRef
from pipelines.decode.limits import Limits, Sampling
from pipelines.nightly import nightly_stages
from pipelines.stage import PipelineError, demand, refuse_if_short

TOWER = ModelRef("fake_tower", "1", "tests.fakes:FakeTower")
BUNDLE = PinnedBundle("fake", "1", 64, TOWER)


def stages(resources):
    return nightly_stages(BUNDLE, Sampling(), Limits(), machines_for(resources, BUNDLE), "out")


@pytest.mark.parametrize(
    "resources", [{"CPU": n} for n in (1, 2, 3, 4, 8, 16, 96)] + [{"CPU": 8, "GPU": 1}, {"CPU": 64, "GPU": 4}]
)
def test_the_pipeline_fits_the_machine_it_was_spread_for(resources):
    refuse_if_short(stages(resources), resources)


@pytest.mark.parametrize("cpus", [2, 4, 16])
def test_without_a_gpu_every_core_can_decode(cpus):
    machines = machines_for({"CPU": cpus}, BUNDLE)
    held = machines.model_actors * machines.model_cpus + machines.commit_cpus

    assert (cpus - held) / machines.decode_cpus >= cpus
    assert machines.device == "cpu"


GB = float(1 << 30)


@pytest.mark.parametrize(
    ("cores", "free_gb", "contents", "engines", "threads", "decode_threads"),
    [
        (2, 24, 1000, 2, 1, 1),
        (16, 128, 1000, 16, 1, 1),
        (2, 24, 1, 1, 2, 2),
        (2, 24, 15, 1, 2, 1),
        (2, 24, 16, 2, 1, 1),
        (16, 16, 1000, 2, 8, 1),  # its models, 3.6 GB an engine, have half of it
        (4, 1, 1000, 1, 4, 1),
        (8, 64, 2, 1, 8, 4),
    ],
)
def test_without_a_cluster_an_engine_a_core_where_there_is_work_and_memory(
    lite, cores, free_gb, contents, engines, threads, decode_threads
):
    machines = engines_for({"CPU": cores, "memory": free_gb * GB}, lite, contents)
    found = (machines.model_actors, machines.model_threads, machines.decode_threads)
    assert found == (engines, threads, decode_threads)


def test_with_a_gpu_the_models_live_there():
    machines = machines_for({"CPU": 16, "GPU": 2}, BUNDLE)

    assert machines.device == "cuda"
    assert machines.model_actors * machines.model_gpus <= 2


def test_with_a_gpu_ears_have_actors_of_their_own(lite):
    for resources in ({"CPU": 16, "GPU": 1}, {"CPU": 4, "GPU": 1}, {"CPU": 64, "GPU": 4}):
        machines = machines_for(resources, lite)
        assert machines.speech_actors >= 1
        used = machines.model_actors * machines.model_gpus + machines.speech_actors * machines.speech_gpus
        assert 0 < machines.speech_gpus < used <= resources["GPU"] + 1e-9
        night = nightly_stages(lite, Sampling(), Limits(), machines, "out")
        assert [stage.gpus > 0 for stage in night] == [False, True, True, False]
        refuse_if_short(night, resources)


def test_without_a_gpu_or_without_ears_one_pool_does_all(lite):
    for bundle, resources in ((lite, {"CPU": 4}), (BUNDLE, {"CPU": 16, "GPU": 1})):
        night = nightly_stages(bundle, Sampling(), Limits(), machines_for(resources, bundle), "out")
        assert len(night) == 3


def test_a_pipeline_spread_for_more_is_refused_at_once():
    wanted = stages({"CPU": 16, "GPU": 2})

    with pytest.raises(PipelineError, match="GPU"):
        refuse_if_short(wanted, {"CPU": 16})
    assert demand(wanted)[1] > 0


@pytest.mark.parametrize(("contents", "cpus", "wanted"), [(1, 2, 1), (60, 2, 3), (100_000, 64, 16), (0, 2, 1)])
def test_tasks_are_small_when_there_is_little_to_do(contents, cpus, wanted):
    assert rows_a_task(contents, cpus) == wanted


def test_what_is_skipped_may_be_said_at_once_or_one_by_one():
    for words in (["--skip", "speech", "ocr"], ["--skip", "speech", "--skip", "ocr"]):
        args = cli.parse(["scan", "a.mp4", *words])
        assert args.skip == ["speech", "ocr"]
    assert cli.parse(["scan", "a.mp4"]).skip == []
