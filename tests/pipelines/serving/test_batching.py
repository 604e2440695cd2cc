"""The batcher: every caller gets what the plain call gives, batches fill up under load, faults go to their owner."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_registry.errors import NightjarError
from model_registry.model import Item, Vector, predict_all
from pipelines.serving.batching import Batcher
from pipelines.serving.contract import Refused
from tests.fakes import FakeHead, FakeTower, MiscountingHead

BAD = 99.0  # an embedding that begins with it


class Gated(FakeHead):
    """A head that waits for its gate, remembers its batches, and raises for what is bad."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.sizes: list[int] = []
        self.threads: set[int] = set()
        self.busy = threading.Event()

    def predict(self, batch: Sequence[Item]) -> list[Vector]:
        self.sizes.append(len(batch))
        self.threads.add(threading.get_ident())
        self.busy.set()
        assert self.gate.wait(20)
        if bad := [item for item in batch if item[0] == BAD]:
            raise ValueError(f"a bad embedding {bad[0][1]:g}")
        return super().predict(batch)


class Cramped(FakeHead):
    """Has memory for two items."""

    def predict(self, batch: Sequence[Item]) -> list[Vector]:
        if len(batch) > 2:
            raise MemoryError
        return super().predict(batch)


@contextmanager
def batcher(model: Any, **options: Any) -> Iterator[Batcher]:
    made = Batcher(model, **options)
    try:
        yield made
    finally:
        made.close()


def embeddings(*first: float) -> list[Item]:
    return [np.array([value, index, 0, 0], np.float32) for index, value in enumerate(first)]


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


@contextmanager
def held(model: Gated, batches: Batcher, pool: ThreadPoolExecutor) -> Iterator[None]:
    """The model is busy with one item while the block runs."""
    model.gate.clear()
    model.busy.clear()
    pool.submit(batches.predict, embeddings(0))
    assert model.busy.wait(20)
    try:
        yield
    finally:
        model.gate.set()


calls_of_items = st.lists(st.lists(st.floats(0, 1, width=32) | st.just(BAD), max_size=12), min_size=1, max_size=12)


@given(calls=calls_of_items)
@settings(deadline=None, max_examples=60)
def test_every_caller_gets_what_the_plain_call_gives(calls: list[list[float]]) -> None:
    """However calls are cut and joined: the same results in the same order, or the caller's own error."""
    model = Gated()
    with batcher(model, most_waiting=1000) as batches, ThreadPoolExecutor(len(calls) + 1) as pool:
        with held(model, batches, pool):
            futures = [pool.submit(batches.predict, embeddings(*call)) for call in calls]
            until(lambda: batches.waiting == sum(map(len, calls)))
        for call, future in zip(calls, futures, strict=True):
            if BAD in call:
                with pytest.raises(ValueError, match="a bad embedding"):
                    future.result(20)
            else:
                plain = FakeHead().predict(embeddings(*call))
                np.testing.assert_array_equal(future.result(20), plain)
                assert len(plain) == len(call)
    assert max(model.sizes) <= model.spec.max_batch
    assert len(model.threads) == 1
    assert batches.waiting == 0


def test_an_idle_model_starts_at_once() -> None:
    model = Gated()
    with batcher(model) as batches:
        batches.predict(embeddings(0.5))
        began = time.perf_counter()
        for _ in range(100):
            batches.predict(embeddings(0.5))
        assert (time.perf_counter() - began) / 100 < 0.005
    assert model.sizes == [1] * 101


def test_what_queued_up_goes_in_full_batches() -> None:
    model = Gated()
    with batcher(model) as batches, ThreadPoolExecutor(24) as pool:
        with held(model, batches, pool):
            futures = [pool.submit(batches.predict, embeddings(0.1)) for _ in range(23)]
            until(lambda: batches.waiting == 23)
        for future in futures:
            assert len(future.result(20)) == 1
    assert model.sizes == [1, 5, 5, 5, 5, 3]
    assert (batches.batches, batches.items) == (6, 24)


@pytest.mark.parametrize(
    ("core_batch", "sizes"), [(0, [1, 1, 1, 2, 3]), (1, [1] * 8), (4, [1, 1, 2, 4]), (5, [1, 1, 1, 5])]
)
def test_a_lane_takes_what_a_core_computes_best_or_else_its_share(core_batch: int, sizes: list[int]) -> None:
    model = Gated()
    model.spec = replace(FakeHead.spec, core_batch=core_batch)  # type: ignore[misc]
    with batcher(model, lanes=2) as batches, ThreadPoolExecutor(3) as pool:
        with held(model, batches, pool):
            pool.submit(batches.predict, embeddings(0))
            until(lambda: len(batches.running) == 2)
            call = pool.submit(batches.predict, embeddings(*[0.5] * 6))
            until(lambda: batches.waiting == 6)
        assert len(call.result(20)) == 6
    assert sorted(model.sizes) == sizes


def test_one_bad_item_fails_its_caller_only() -> None:
    model = Gated()
    with batcher(model) as batches, ThreadPoolExecutor(4) as pool:
        with held(model, batches, pool):
            good = [pool.submit(batches.predict, embeddings(value)) for value in (0.1, 0.2)]
            bad = pool.submit(batches.predict, embeddings(BAD))
            until(lambda: batches.waiting == 3)
        assert [float(future.result(20)[0][0]) for future in good] == pytest.approx([0.1, 0.2])
        with pytest.raises(ValueError, match="a bad embedding 0"):
            bad.result(20)
    assert model.sizes == [1, 3, 1, 1, 1]


def test_the_rest_of_a_failed_call_is_not_run() -> None:
    model = Gated()
    with batcher(model) as batches:
        with pytest.raises(ValueError, match="bad"):
            batches.predict(embeddings(BAD, *[0.0] * 20))
        assert batches.waiting == 0
        assert len(batches.predict(embeddings(0.5))) == 1
    assert model.sizes == [5, 1]


def test_a_full_queue_refuses_and_then_takes_again() -> None:
    model = Gated()
    with batcher(model, most_waiting=4) as batches, ThreadPoolExecutor(4) as pool:
        with held(model, batches, pool):
            large = pool.submit(batches.predict, embeddings(*[0.5] * 7))
            until(lambda: batches.waiting == 7)
            with pytest.raises(Refused, match="model fake_head has no room") as refused:
                batches.predict(embeddings(0.5))
            assert (refused.value.status, refused.value.code) == (429, "too_many_requests")
            assert refused.value.retry_after_s
        assert len(large.result(20)) == 7
        assert len(batches.predict(embeddings(0.5))) == 1


def test_a_batch_too_large_for_the_memory_is_halved() -> None:
    with batcher(Cramped()) as batches:
        np.testing.assert_array_equal(
            batches.predict(embeddings(1, 2, 3, 4, 5)), FakeHead().predict(embeddings(1, 2, 3, 4, 5))
        )


def test_a_model_that_loses_items_is_found_out() -> None:
    with batcher(MiscountingHead()) as batches, pytest.raises(NightjarError, match="returned 1 results for 2 items"):
        batches.predict(embeddings(1, 2))


def test_it_passes_for_the_model_it_runs() -> None:
    model = FakeTower()
    frames = FakeTower.examples() * 3
    with batcher(model) as batches:
        assert batches.spec is model.spec
        np.testing.assert_array_equal(predict_all(batches, frames), predict_all(model, frames))
        assert batches.predict([]) == []


def test_closing_answers_what_was_asked() -> None:
    model = Gated()
    batches = Batcher(model)
    with ThreadPoolExecutor(12) as pool:
        with held(model, batches, pool):
            futures = [pool.submit(batches.predict, embeddings(0.5)) for _ in range(10)]
            until(lambda: batches.waiting == 10)
            closing = pool.submit(batches.close)
        assert [len(future.result(20)) for future in futures] == [1] * 10
        closing.result(20)
    with pytest.raises(RuntimeError, match="was closed"):
        batches.predict(embeddings(0.5))
