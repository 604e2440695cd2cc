"""One loaded model for many callers at once: what queues up while it works is its next batch."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from itertools import groupby, islice
from typing import Any

from model_registry.model import AnyModel, ModelSpec, read_all
from pipelines.serving.contract import no_room

BATCHES_WAITING = 8  # full batches that may wait unless told otherwise


class _Call:
    """One caller's items, and the future that gets their results."""

    def __init__(self, items: Sequence[Any]) -> None:
        self.items, self.taken = items, 0  # how many have left the queue
        self.results: list[Any] = [None] * len(items)
        self.missing = len(items)
        self.future: Future[list[Any]] = Future()
        self._turn = threading.Lock()

    def answer(self, places: Sequence[int], results: Iterable[Any]) -> None:
        """Put results where they belong; the last ones end the call."""
        with self._turn:
            for place, result in zip(places, results, strict=True):
                self.results[place] = result
            self.missing -= len(places)
            if not self.missing and not self.future.done():
                self.future.set_result(self.results)

    def fail(self, error: BaseException) -> None:
        """End the call with an error, unless it has one: two lanes may work for one call."""
        with self._turn:
            if not self.future.done():
                self.future.set_exception(error)


_Part = tuple[_Call, int]  # an item of a call, by its place


class Batcher:
    """Looks like the model it runs; `predict` may be called from any number of threads.

    There is no timer: an idle model starts at once, so that a lone caller waits for nobody, and a busy one gathers, so
    that batches are full when it matters. Each lane is one thread that runs the model. A GPU has one lane. On a CPU a
    lane computes on one core: on two cores the visual models of `lite` take 31 ms of processor time a picture in two
    lanes, and 57 ms in one lane of two threads while the decoders and the server compete for the cores. Where there are
    several lanes, each takes the model's `core_batch`, or else its share of the items that wait. Items go in the order
    in which they came; a call larger than what is left of a batch is split.
    """

    def __init__(self, model: AnyModel, most_waiting: int | None = None, lanes: int = 1) -> None:
        self._model, self._lanes = model, lanes
        self.most_waiting = most_waiting or BATCHES_WAITING * model.spec.max_batch
        self.batches, self.items = 0, 0  # run since the start
        self._queue: deque[_Call] = deque()
        self._waiting = 0
        self._running: dict[int, tuple[float, int]] = {}  # by thread: when its batch began, and of how many items
        self._closed = False
        self._change = threading.Condition()
        self._threads = [
            threading.Thread(target=self._run, name=f"batcher-{self.spec.name}-{lane}", daemon=True)
            for lane in range(lanes)
        ]
        for thread in self._threads:
            thread.start()

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

    @property
    def running(self) -> list[tuple[float, int]]:
        """For how many seconds each batch that runs has been running, and of how many items; what hangs shows here."""
        with self._change:
            now = time.monotonic()
            return [(now - began, items) for began, items in self._running.values()]

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
            call.answer((), ())
        return call.future

    def close(self) -> None:
        """Answer what has been asked, then stop; the model is let go."""
        with self._change:
            self._closed = True
            self._change.notify_all()
        for thread in self._threads:
            thread.join()

    def _enqueue(self, call: _Call) -> None:
        with self._change:
            if self._closed:
                raise RuntimeError(f"model {self.spec.name} was closed")
            if self._waiting and self._waiting + len(call.items) > self.most_waiting:
                raise no_room(f"model {self.spec.name}")
            self._queue.append(call)
            self._waiting += len(call.items)
            self._change.notify(self._lanes)

    def _run(self) -> None:
        while parts := self._next():
            self._predict(parts)

    def _next(self) -> list[_Part]:
        """Wait for work and take at most one batch; empty when closed and nothing is left."""
        with self._change:
            self._running.pop(threading.get_ident(), None)
            while not self._queue and not self._closed:
                self._change.wait()
            return list(self._take())

    def _take(self) -> Iterator[_Part]:
        """A lane's share of what waits: the others find theirs."""
        share = math.ceil(self._waiting / self._lanes)
        room = min(self.spec.max_batch, (self._lanes > 1 and self.spec.core_batch) or share)
        while self._queue and room:
            call = self._queue[0]
            places = range(call.taken, min(call.taken + room, len(call.items)))
            call.taken = places.stop
            room -= len(places)
            self._waiting -= len(places)
            if call.taken == len(call.items):
                self._queue.popleft()
            yield from ((call, place) for place in places)

    def _predict(self, parts: Sequence[_Part]) -> None:
        """One batch; where it fails every caller's items go alone, so that the fault finds whom it belongs to."""
        with self._change:
            self.batches += 1
            self.items += len(parts)
            self._running[threading.get_ident()] = (time.monotonic(), len(parts))
        try:
            results = iter(read_all(self._model, [call.items[place] for call, place in parts]))
        except BaseException as error:  # noqa: BLE001 whatever it is belongs to a caller; this thread has to live
            self._one_by_one(parts, error)
            return
        for call, mine in groupby(parts, key=lambda part: part[0]):
            places = [place for _, place in mine]
            call.answer(places, islice(results, len(places)))

    def _one_by_one(self, parts: Sequence[_Part], error: BaseException) -> None:
        by_call = [(call, list(mine)) for call, mine in groupby(parts, key=lambda part: part[0])]
        if len(by_call) > 1:
            for _, mine in by_call:
                self._predict(mine)
            return
        call = parts[0][0]
        self._withdraw(call)
        call.fail(error)

    def _withdraw(self, call: _Call) -> None:
        """What is left of a call that failed is not worth a batch."""
        with self._change:
            if call in self._queue:
                self._queue.remove(call)
                self._waiting -= len(call.items) - call.taken
