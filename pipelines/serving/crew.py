"""A few threads, each with a tool of its own, and a short queue before them that says when it is full."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

from pipelines.serving.contract import Refused, no_room

Tool = TypeVar("Tool")
Out = TypeVar("Out")
SMOOTHING = 0.2  # of the mean time that a job takes: the last five count most
SHORTEST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0  # that a caller without room is told


class Crew(Generic[Tool, Out]):
    """Runs jobs in order, each with the tool of the thread that takes it."""

    def __init__(self, name: str, tools: Sequence[Tool], queue_size: int) -> None:
        if not tools or queue_size < 0:
            raise ValueError(f"{name} has {len(tools)} workers and a queue of {queue_size}; allowed: 1 and 0 or more")
        self.name, self.queue_size = name, queue_size
        self._mean_s = 0.0
        self._jobs: deque[tuple[Callable[[Tool], Out], Future[Out]]] = deque()
        self._own: list[deque[Callable[[Tool], object]]] = [deque() for _ in tools]
        self._idle, self._closed = len(tools), False
        self._news = threading.Condition()
        self._threads = [
            threading.Thread(target=self._work, args=(tool, own), name=f"{name}-{number}", daemon=True)
            for number, (tool, own) in enumerate(zip(tools, self._own, strict=True))
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, job: Callable[[Tool], Out], within_s: float | None = None) -> Future[Out]:
        """Queue a job; raises what `admit` raises."""
        future: Future[Out] = Future()
        with self._news:
            self.admit(within_s)
            self._jobs.append((job, future))
            self._news.notify()
        return future

    def admit(self, within_s: float | None = None) -> None:
        """Raise Refused where the queue is full, or too long for a job to come in time, or the crew has closed."""
        if self._closed:
            raise Refused(503, "shutting_down", f"{self.name} is shutting down; try again", SHORTEST_WAIT_S)
        queued = len(self._jobs) - self._idle
        late = within_s is not None and queued > 0 and self._mean_s * queued / len(self._threads) > within_s
        if queued >= self.queue_size or late:
            raise no_room(self.name, self._wait_s())

    def forget(self, future: Future[Out]) -> bool:
        """Take a job out of the queue, and whatever it holds; False where it runs already or has ended."""
        with self._news:
            if not future.cancel():
                return False
            self._jobs = deque(entry for entry in self._jobs if entry[1] is not future)
            return True

    def everyone(self, job: Callable[[Tool], object]) -> None:
        """Have each thread do a job as soon as it is free, before anything in the queue; returns when all have."""
        done = [Future[object]() for _ in self._own]
        with self._news:
            for own, future in zip(self._own, done, strict=True):
                own.append(_settling(job, future))
            self._news.notify_all()
        for future in done:
            future.result()

    def close(self) -> None:
        """Take no more, let everything that was taken end, and end the threads."""
        with self._news:
            self._closed = True
            self._news.notify_all()
        for thread in self._threads:
            thread.join()

    @property
    def waiting(self) -> int:
        """How many jobs no thread has taken yet."""
        return len(self._jobs)

    def _wait_s(self) -> float:
        """When there may be room: the whole queue's time, shared by the threads."""
        return min(LONGEST_WAIT_S, max(SHORTEST_WAIT_S, self._mean_s * (len(self._jobs) + 1) / len(self._threads)))

    def _work(self, tool: Tool, own: deque[Callable[[Tool], object]]) -> None:
        while True:
            with self._news:
                self._news.wait_for(lambda: own or self._jobs or self._closed)
                if not own and not self._jobs:
                    return
                special = own.popleft() if own else None
                entry = None if special else self._jobs.popleft()
                self._idle -= 1
            try:
                if special:
                    special(tool)
                elif entry:
                    self._do(tool, *entry)
            finally:
                del special, entry  # an idle thread holds nobody's upload
                with self._news:
                    self._idle += 1

    def _do(self, tool: Tool, job: Callable[[Tool], Out], future: Future[Out]) -> None:
        if not future.set_running_or_notify_cancel():
            return
        began = time.monotonic()
        try:
            future.set_result(job(tool))
        except BaseException as error:  # noqa: BLE001 the caller gets it; the thread goes on
            future.set_exception(error)
        self._mean_s += SMOOTHING * (time.monotonic() - began - self._mean_s)


def _settling(job: Callable[[Tool], object], future: Future[object]) -> Callable[[Tool], object]:
    def run(tool: Tool) -> None:
        try:
            future.set_result(job(tool))
        except BaseException as error:  # noqa: BLE001 whoever waits for everyone gets it
            future.set_exception(error)

    return run
