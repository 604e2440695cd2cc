"""A crew's threads share what waits: one that takes along leaves the others theirs."""

from __future__ import annotations

import threading
import time
from contextlib import closing

import pytest

from pipelines.serving.contract import Refused
from pipelines.serving.crew import Crew


class Gated:
    """Takes along all that it may; a job that is an event is waited for before."""

    def __init__(self):
        self.turns = []
        self.begun = threading.Semaphore(0)

    def __call__(self, tool, first, along):
        company = [first]
        if isinstance(first.job, threading.Event):
            self.begun.release()
            assert first.job.wait(20)
        else:
            company += iter(along, None)
        self.turns.append([taken.job for taken in company])
        for taken in company:
            with taken.telling():
                if taken.job == "raises":
                    raise ValueError("its own fault")
                taken.future.set_result(taken.job)


@pytest.fixture
def crew():
    """Two threads."""
    with closing(Crew("the crew", "ab", 16, Gated())) as found:
        yield found


def begun(crew, *gates):
    """Both threads are busy."""
    futures = [crew.submit(gate) for gate in gates]
    for _ in gates:
        assert crew._do.begun.acquire(timeout=20)
    return futures


def test_a_thread_takes_its_share_of_what_waits(crew):
    first, second = threading.Event(), threading.Event()
    begun(crew, first, second)
    futures = [crew.submit(number) for number in range(6)]
    first.set()
    assert [future.result(20) for future in futures] == list(range(6))
    assert crew._do.turns[1:] == [[0, 1, 2, 3], [4, 5]]  # of the five behind the first, half is three
    second.set()


def test_nothing_is_taken_along_that_an_idle_thread_takes(crew):
    assert [crew.submit(number).result(20) for number in range(3)] == [0, 1, 2]
    assert crew._do.turns == [[0], [1], [2]]


def test_who_left_the_queue_is_not_taken_along_and_a_fault_is_its_own(crew):
    first, second = threading.Event(), threading.Event()
    begun(crew, first, second)
    futures = [crew.submit(job) for job in ("one", "leaves", "raises", "last")]
    assert crew.forget(futures[1])
    first.set()
    assert futures[0].result(20) == "one"
    with pytest.raises(ValueError, match="its own fault"):
        futures[2].result(20)
    assert futures[3].result(20) == "last"
    assert ["one", "raises"] in crew._do.turns
    second.set()


def test_jobs_that_are_done_together_count_as_so_many(crew):
    first, second = threading.Event(), threading.Event()
    begun(crew, first, second)
    futures = [crew.submit(number) for number in range(4)]
    time.sleep(0.2)
    first.set()
    for future in futures:
        future.result(20)
    assert 0 < crew._mean_s < 0.2  # 0.04 of the job that waited, which the quick ones bring down
    second.set()


def test_a_turn_that_breaks_off_is_told_to_all_who_wait_for_it():
    def break_off(tool, first, along):
        if isinstance(first.job, threading.Event):
            assert first.job.wait(20)
            first.future.set_result(tool)
            return
        along()
        raise RuntimeError("broken off")

    with closing(Crew("the crew", "a", 16, break_off)) as crew:
        gate = threading.Event()
        futures = [crew.submit(gate), crew.submit("one"), crew.submit("other")]
        gate.set()
        assert futures[0].result(20) == "a"
        for future in futures[1:]:
            with pytest.raises(RuntimeError, match="broken off"):
                future.result(20)
        gate.set()
        assert crew.submit(gate).result(20) == "a"


def test_who_is_taken_along_still_has_a_place_in_the_queue():
    gates = {"own": threading.Event(), "shared": threading.Event()}

    def hold(tool, first, along):
        company = [first, *iter(along, None)]
        assert gates[first.job].wait(20)
        for taken in company:
            taken.future.set_result(tool)

    with closing(Crew("the crew", "a", 2, hold)) as crew:
        futures = [crew.submit("own")]
        until_taken(crew)
        futures += [crew.submit("shared"), crew.submit("shared")]
        gates["own"].set()
        until_taken(crew)  # one turn has both
        crew.submit("shared")
        with pytest.raises(Refused, match="no room"):
            crew.submit("too many")
        gates["shared"].set()
        assert [future.result(20) for future in futures] == ["a"] * 3


def until_taken(crew):
    end = time.monotonic() + 20
    while crew.waiting:
        assert time.monotonic() < end
        time.sleep(0.01)
