"""A pipeline is a list: it is checked before it runs, and runs the same in one process and on Ray."""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from pipelines.stage import Drop, PipelineError, Stage, Together, check, demand, refuse_if_short, run, run_local
from tests.fakes import CountDown, Double, WhereAmI

ROOT = Path(__file__).parents[2]


def numbers(*values):
    return pa.table({"n": pa.array(values, pa.int64())})


def rows_of(table):
    """Rows without their order."""
    return sorted(tuple(sorted(row.items())) for row in table.to_pylist())


def on_ray(stages, table, blocks=1):
    import ray

    size = -(-table.num_rows // blocks)
    chunks = [table.slice(start, size).combine_chunks() for start in range(0, table.num_rows, size)]
    batches = run(stages, ray.data.from_arrow(chunks)).iter_batches(batch_size=None, batch_format="pyarrow")
    return pa.concat_tables([batch for batch in batches if batch.num_rows])


# Before anything runs


def test_check_returns_the_columns_that_come_out():
    stages = [Double(), CountDown(), Drop.of("twice")]
    assert check(stages, ["n", "m"]) == {"n", "m", "step"}


def test_check_names_the_stage_the_column_and_what_there_is():
    with pytest.raises(PipelineError, match=r"^stage double reads \['n'\]; available: \['a', 'b'\]$"):
        check([Double()], ["b", "a"])


def test_a_dropped_column_is_gone_for_the_next_reader():
    with pytest.raises(PipelineError, match=r"^stage double reads \['n'\]; available: \['step'\]$"):
        check([CountDown(), Drop.of("n"), Double()], ["n"])


def test_what_cannot_be_dropped_is_missed():
    with pytest.raises(PipelineError, match=r"^stage drop reads \['m'\]; available: \['n'\]$"):
        check([Drop.of("m")], ["n"])


def test_demand_is_all_actors_and_the_largest_task():
    """Actors hold their CPUs from beginning to end; one task at a time is enough to move on."""
    stages = [
        Double(cpus=0.5),
        Double(actors=2, cpus=0.75, gpus=0.25),
        Double(actors=1, cpus=1.0, gpus=0.5),
        Double(cpus=0.25),
    ]
    assert demand(stages) == (2 * 0.75 + 1.0 + 0.5, 2 * 0.25 + 0.5)
    assert demand(iter(stages[:1])) == (0.5, 0.0)
    assert demand([Double(actors=3)]) == (3.0, 0.0)
    assert demand([]) == (0.0, 0.0)


def test_a_pipeline_that_fits_exactly_is_not_refused():
    refuse_if_short([Double(actors=3, cpus=0.1), Double(cpus=0.7)], {"CPU": 1.0})
    refuse_if_short([Double(actors=1, gpus=1.0)], {"CPU": 1.0, "GPU": 1.0})


@pytest.mark.parametrize(
    ("stage", "sentence"),
    [
        (Double(actors=3), "the pipeline needs 3 CPUs at once, the cluster has 2"),
        (Double(cpus=2.5), "the pipeline needs 2.5 CPUs at once, the cluster has 2"),
        (Double(actors=1, gpus=0.5), "the pipeline needs 0.5 GPUs at once, the cluster has 0"),
    ],
)
def test_a_pipeline_that_would_wait_for_ever_is_refused(stage, sentence):
    with pytest.raises(PipelineError, match=f"^{sentence}$"):
        refuse_if_short([stage], {"CPU": 2.0, "memory": 1e9})


def test_a_stage_needs_to_say_how_it_opens():
    with pytest.raises(TypeError, match="abstract"):
        Stage()


# Running


def test_run_local_goes_stage_by_stage():
    found = run_local([CountDown(), Double()], numbers(2, 0, 1))
    assert found.to_pydict() == {"n": [2, 2, 1], "step": [2, 1, 1], "twice": [4, 4, 2]}


@pytest.mark.parametrize("actors", [0, 1])
@pytest.mark.parametrize("blocks", [1, 3])
def test_ray_gives_the_rows_of_run_local(ray_cluster, actors, blocks):
    stages = [CountDown(actors=actors, cpus=0.5), Double(cpus=0.5), Drop.of("n")]
    table = numbers(3, 0, 1, 5, 2, 4, 0)
    assert rows_of(on_ray(stages, table, blocks)) == rows_of(run_local(stages, table))


def test_an_actor_opens_its_stage_once(ray_cluster):
    """Weights load there."""
    found = on_ray([WhereAmI.column("place", actors=1, cpus=0.5)], numbers(*range(6)), blocks=6)
    assert len(set(found["place"].to_pylist())) == 1
    assert sorted(found["n"].to_pylist()) == list(range(6))


def test_tasks_before_an_actor_stay_tasks(ray_cluster):
    """Where both ask for the same, Ray would fuse them: all decoding in the one process of the actor."""
    stages = [WhereAmI.column("task", cpus=0.5), WhereAmI.column("actor", cpus=0.5, actors=1)]
    found = on_ray(stages, numbers(*range(6)), blocks=6)
    tasks, actors = ({place.partition("/")[0] for place in found[name].to_pylist()} for name in ("task", "actor"))
    assert len(actors) == 1
    assert not tasks & actors


def test_a_batch_is_a_block(ray_cluster):
    """What one row fans out into stays together, up to the size of a block."""
    found = on_ray([CountDown(cpus=0.5), Together.of(Double(), source=("n", "step"), **small())], numbers(4))
    assert [len(busy) for busy in found["busy"].to_pylist()] == [1, 0, 0, 0]


ON_A_GPU = """
import pyarrow as pa
from jobs import session

session._local = lambda folder, cpus, local=session._local: {**local(folder, cpus), "num_gpus": 1}
with session.ray_up(cpus=2) as resources:
    from pipelines.stage import Together, refuse_if_short
    from tests.fakes import CountDown, Double
    from tests.pipelines.test_stage import numbers, on_ray, rows_of, run_local

    group = Together.of(Double(), source=("n", "step"), actors=1, cpus=0.5, gpus=0.5)
    stages, table = [CountDown(cpus=0.5), group], numbers(*range(7))
    refuse_if_short(stages, resources)
    found, wanted = on_ray(stages, table, blocks=7), run_local(stages, table)
    assert rows_of(found.drop_columns("busy")) == rows_of(wanted.drop_columns("busy"))
    print(resources["GPU"], found.num_rows)
"""


def test_a_stage_on_a_gpu_gives_the_rows_of_run_local():
    """Ray wants a batch size where a GPU is asked for. It only counts GPUs here, so none is needed."""
    done = subprocess.run([sys.executable, "-c", ON_A_GPU], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == ["1.0", "21"]


def test_a_program_that_fails_on_ray_ends_the_job(ray_cluster):
    import ray

    with pytest.raises(ray.exceptions.RayTaskError, match="KeyError"):
        on_ray([Double(cpus=0.5)], pa.table({"m": [1]}))


# Together


def small(**changes):
    return {"actors": 1, "cpus": 0.5, "gpus": 0.0, **changes}


def test_together_derives_what_it_reads_writes_and_drops():
    group = Together.of(CountDown(), Double(), Drop.of("n", "step"), source=("n", "m"), **small(gpus=0.25))
    assert group.reads == ("n",)
    assert group.writes == ("busy", "twice")
    assert group.drops == ("n",)
    assert (group.actors, group.cpus, group.gpus) == (1, 0.5, 0.25)
    assert group.name == "countdown+double+drop"
    assert check([group], ["n", "m"]) == {"m", "twice", "busy"}


def test_a_column_that_the_group_makes_itself_is_not_read():
    group = Together.of(Double(), Drop.of("twice"), source=("n",), **small())
    assert (group.reads, group.writes, group.drops) == (("n",), ("busy",), ())


def test_together_is_checked_when_it_is_made():
    with pytest.raises(PipelineError, match=r"^stage double reads \['n'\]; available: \['m'\]$"):
        Together.of(Double(), source=("m",), **small())


def test_together_does_what_its_parts_do_one_after_the_other():
    stages = [CountDown(), Double()]
    group = Together.of(*stages, source=("n",), **small())
    found = run_local([group], numbers(3, 1))
    assert found.drop_columns("busy").to_pydict() == run_local(stages, numbers(3, 1)).to_pydict()
    assert set(found.column_names) == check([group], ["n"])


def test_busy_names_each_part_once_a_block():
    found = run_local([Together.of(CountDown(), Double(), source=("n",), **small())], numbers(3))
    first, *rest = found["busy"].to_pylist()
    assert [entry["stage"] for entry in first] == ["countdown", "double"]
    assert all(entry["ms"] >= 0 for entry in first)
    assert rest == [[], []]


def test_a_second_group_adds_to_what_the_first_measured():
    first = Together.of(CountDown(), source=("n",), **small())
    second = Together.of(Double(), source=check([first], ["n"]), **small())
    found = run_local([first, second], numbers(2, 1))
    measured = [entry["stage"] for busy in found["busy"].to_pylist() for entry in busy]
    assert sorted(measured) == ["countdown", "double"]
    assert set(found.column_names) == check([first, second], ["n"])


@pytest.mark.parametrize("table", [numbers(), numbers(0, 0)], ids=["no rows", "rows that lead to none"])
def test_together_hands_on_nothing_where_nothing_is_left(table):
    work = Together.of(CountDown(), Double(), source=("n",), **small()).open()
    assert list(work(table)) == []


def test_together_on_ray_gives_what_it_gives_here(ray_cluster):
    group = Together.of(CountDown(), Double(), source=("n",), **small())
    table = numbers(3, 0, 1, 5)
    found, wanted = on_ray([group], table, blocks=2), run_local([group], table)
    assert rows_of(found.drop_columns("busy")) == rows_of(wanted.drop_columns("busy"))
    assert sum(len(busy) for busy in found["busy"].to_pylist()) == 2 * 2
