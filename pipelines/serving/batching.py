"""One loaded model for many callers at once: what queues up while it works is its next batch."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from itertools import groupby
from typing import Any

from model_registry.model import AnyModel, ModelSpec, read_all
from pipelines.serving.contract import no_room

BATCHES_WAITING = 8  # full batches that may wait unless told otherwise


class _Call:
    """One caller's items, and the future that gets their results."""

    def __init__(self, items: Sequence[Any]) -> None:
        self.items, self.taken = items, 0  # how many have left the queue
        self.results: list[Any] = []
        self.future: Future[list[Any]] = Future()

    def answer(self, results: Sequence[Any]) -> None:
        """Add the results of its next items."""
        self.results += results
        if len(self.results) == len(self.items):
            self.future.set_result(self.results)


_Part = tuple[_Call, Any]


class Batcher:
    """Looks like the model it runs; `predict` may be called from any number of threads.

    There is no timer: an idle model starts at once, so that a lone caller waits for nobody, and a busy one gathers, so
    that batches are full when it matters. One thread runs the model: a model need not be safe for threads, and the
    OpenMP of torch keeps a pool for each thread that calls it. Items go in the order in which they came; a call larger
    than what is left of a batch is split.
    """

    def __init__(self, model: AnyModel, most_waiting: int | None = None) -> None:
        self._model = model
        self.most_waiting = most_waiting or BATCHES_WAITING * model.spec.max_batch
        self.batches, self.items = 0, 0  # run since the start
        self._queue: deque[_Call] = deque()
        self._waiting = 0
        self._closed = False
        self._change = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=f"batcher-{self.spec.name}", daemon=True)
        self._thread.start()

    @property
    def spec(self) -> ModelSpec:
        """The model's."""
        return self._model.spec

    def examples(self) -> list[Any]:
        """The model's."""
        return self._model.examples()

    @property
    def waiting(self) -> int:
        """Items that no batch has taken yet."""
        return self._waiting

    def predict(self, batch: Sequence[Any]) -> list[Any]:
        """Return what the model returns for these items; raises what it raises for them, whoever shared their batch.

        Refused where too much waits already. One call finds room in an empty queue, however large it is.
        """
        return self.submit(batch).result()

    def submit(self, batch: Sequence[Any]) -> Future[list[Any]]:
        """Ask without waiting for the answer."""
        call = _Call(batch)
        if len(batch):
            self._enqueue(call)
        else:
            call.answer([])
        return call.future

    def close(self) -> None:
        """Answer what has been asked, then stop; the model is let go."""
        with self._change:
            self._closed = True
            self._change.notify()
        self._thread.join()

    def _enqueue(self, call: _Call) -> None:
        with self._change:
            if self._closed:
                raise RuntimeError(f"model {self.spec.name} was closed")
            if self._waiting and self._waiting + len(call.items) > self.most_waiting:
                raise no_room(f"model {self.spec.name}")
            self._queue.append(call)
            self._waiting += len(call.items)
            self._change.notify()

    def _run(self) -> None:
        while parts := self._next():
            self._predict(parts)

    def _next(self) -> list[_Part]:
        """Wait for work and take at most one batch; empty when closed and nothing is left."""
        with self._change:
            while not self._queue and not self._closed:
                self._change.wait()
            return list(self._take())

    def _take(self) -> Iterator[_Part]:
        room = self.spec.max_batch
        while self._queue and room:
            call = self._queue[0]
            items = call.items[call.taken : call.taken + room]
            call.taken += len(items)
            room -= len(items)
            self._waiting -= len(items)
            if call.taken == len(call.items):
                self._queue.popleft()
            yield from ((call, item) for item in items)

    def _predict(self, parts: Sequence[_Part]) -> None:
        """One batch; where it fails every caller's items go alone, so that the fault finds whom it belongs to."""
        self.batches += 1
        self.items += len(parts)
        try:
            results = iter(read_all(self._model, [item for _, item in parts]))
        except BaseException as error:  # noqa: BLE001 whatever it is belongs to a caller; this thread has to live
            self._one_by_one(parts, error)
            return
        for call, mine in groupby(parts, key=lambda part: part[0]):
            call.answer([next(results) for _ in mine])

    def _one_by_one(self, parts: Sequence[_Part], error: BaseException) -> None:
        by_call = [(call, list(mine)) for call, mine in groupby(parts, key=lambda part: part[0])]
        if len(by_call) > 1:
            for _, mine in by_call:
                self._predict(mine)
            return
        call = parts[0][0]
        self._withdraw(call)
        call.future.set_exception(error)

    def _withdraw(self, call: _Call) -> None:
        """What is left of a call that failed is not worth a batch."""
        with self._change:
            if call in self._queue:
                self._queue.remove(call)
                self._waiting -= len(call.items) - call.taken
