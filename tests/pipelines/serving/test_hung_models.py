"""How long a batch may run before its model counts as hung."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import pytest

from model_registry.model import InputKind, Item, ModelSpec, Vector
from pipelines.serving.batching import Batcher
from pipelines.serving.beside import Models
from pipelines.serving.replica import ModelReplica
from pipelines.serving.watch import ITEM_S, Hung, allowed_s, check_running
from tests.fakes import FakeTower
from tests.serving_parts import ref

TOWER = FakeTower.spec


@dataclass(frozen=True)
class Running:
    """A batcher by what it says."""

    running: list[tuple[float, int]]
    spec: ModelSpec = TOWER


def test_what_runs_as_long_as_batches_do_is_well() -> None:
    check_running([])
    check_running([Running([]), Running([(64.9, 1), (0.0, 1)]), Running([(139.0, 16)])])


def test_what_runs_longer_is_named_with_what_was_allowed() -> None:
    with pytest.raises(Hung, match=f"model {TOWER.name} has been at a batch of 1 for 66 s, at most 65 s are allowed"):
        check_running([Running([]), Running([(1.0, 1), (66.0, 1)])])


def test_sound_takes_longer_than_a_picture() -> None:
    listens = replace(TOWER, reads=InputKind.SOUND)
    check_running([Running([(119.0, 1)], listens)])
    with pytest.raises(Hung):
        check_running([Running([(121.0, 1)], listens)])


def test_every_kind_of_item_has_its_time() -> None:
    assert set(ITEM_S) == set(InputKind)
    assert allowed_s(TOWER, 100) - allowed_s(TOWER, 1) == pytest.approx(99 * ITEM_S[InputKind.FRAME])


class Stuck(FakeTower):
    """Answers once it is let."""

    let = threading.Event()

    def predict(self, batch: Sequence[Item]) -> list[Vector]:
        self.let.wait()
        return super().predict(batch)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A batch of any size may run for 50 ms."""
    monkeypatch.setattr("pipelines.serving.watch.BATCH_S", 0.05)
    monkeypatch.setattr("pipelines.serving.watch.ITEM_S", dict.fromkeys(InputKind, 0.0))
    Stuck.let.clear()
    yield
    Stuck.let.set()


def until_hung(check: Callable[[], None]) -> str:
    check()
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            check()
        except Hung as error:
            return str(error)
        time.sleep(0.01)
    raise AssertionError("it never counts as hung")


def test_a_batcher_says_what_runs_and_is_well_again_when_it_ends(impatient: None) -> None:
    batcher = Batcher(Stuck())
    assert batcher.running == []
    asked = batcher.submit(Stuck.examples()[:2])
    assert f"model {TOWER.name} has been at a batch of 2" in until_hung(lambda: check_running([batcher]))
    Stuck.let.set()
    asked.result(10)
    batcher.close()
    assert batcher.running == []
    check_running([batcher])


def test_each_of_two_lanes_is_watched(impatient: None) -> None:
    batcher = Batcher(Stuck(), lanes=2)
    asked = [batcher.submit(Stuck.examples()[:1]) for _ in range(2)]
    until_hung(lambda: check_running([batcher]))
    assert [items for _, items in batcher.running] == [1, 1]
    Stuck.let.set()
    for each in asked:
        each.result(10)
    batcher.close()


def test_a_model_beside_and_a_replica_fail_their_health(impatient: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.serving.replica._use_threads", lambda threads: None)
    monkeypatch.setattr(ModelReplica, "_loaded", lambda self, ref: Batcher(Stuck()))
    replica, beside = ModelReplica(ref(FakeTower), "cpu", 1), Models()
    monkeypatch.setattr(type(ref(FakeTower)), "load", lambda self, device: Stuck())
    asked = [*replica._batchers.values(), beside.get(ref(FakeTower), "cpu")]
    for batcher in asked:
        batcher.submit(Stuck.examples()[:1])
    until_hung(replica.check_health)
    with beside._lock, pytest.raises(Hung, match="has been at a batch of 1"):  # held as while a model loads
        beside.check_running()
    Stuck.let.set()
    for batcher in asked:
        batcher.close()
