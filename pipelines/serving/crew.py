"""A few threads, each with a tool of its own, and a short queue before them that says when it is full.

A thread that has begun a job may take along what waits, as long as it gets no more than its share: what two jobs need
alike is then done once, while it is in the processor's caches.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pipelines.serving.contract import Refused, no_room

Tool = TypeVar("Tool")
Job = TypeVar("Job")
Out = TypeVar("Out")
SMOOTHING = 0.2  # of the mean time that a job takes: the last five count most
SHORTEST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0  # that a caller without room is told


@dataclass(eq=False)
class Taken(Generic[Job, Out]):
    """A job, and who waits for what comes of it."""

    job: Job
    future: Future[Out] = field(default_factory=Future)

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Tell who waits what is raised in this block; the thread goes on."""
        try:
            yield
        except BaseException as error:  # noqa: BLE001 whatever it is belongs to the caller
            self.future.set_exception(error)


Along = Callable[[], Taken[Job, Out] | None]


class Crew(Generic[Tool, Job, Out]):
    """Has jobs done in order, each with the tool of the thread that takes it.

    `do` is given the tool, a job, and a function that takes along the next one that waits, or None; it ends the future
    of each. What it raises ends those that it has not.
    """

    def __init__(
        self,
        name: str,
        tools: Sequence[Tool],
        queue_size: int,
        do: Callable[[Tool, Taken[Job, Out], Along[Job, Out]], None],
    ) -> None:
        if not tools or queue_size < 0:
            raise ValueError(f"{name} has {len(tools)} workers and a queue of {queue_size}; allowed: 1 and 0 or more")
        self.name, self.queue_size, self._do = name, queue_size, do
        self._mean_s = 0.0
        self._jobs: deque[Taken[Job, Out]] = deque()
        self._along = 0  # jobs that a thread has taken beside its own: they wait all the same
        self._own: list[deque[Callable[[Tool], object]]] = [deque() for _ in tools]
        self._idle, self._closed = len(tools), False
        self._news = threading.Condition()
        self._threads = [
            threading.Thread(target=self._work, args=(tool, own), name=f"{name}-{number}", daemon=True)
            for number, (tool, own) in enumerate(zip(tools, self._own, strict=True))
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, job: Job, within_s: float | None = None) -> Future[Out]:
        """Queue a job; raises what `admit` raises."""
        entry = Taken[Job, Out](job)
        with self._news:
            self.admit(within_s)
            self._jobs.append(entry)
            self._news.notify()
        return entry.future

    def admit(self, within_s: float | None = None) -> None:
        """Raise Refused where the queue is full, or too long for a job to come in time, or the crew has closed."""
        if self._closed:
            raise Refused(503, "shutting_down", f"{self.name} is shutting down; try again", SHORTEST_WAIT_S)
        queued = len(self._jobs) + self._along - self._idle
        late = within_s is not None and queued > 0 and self._mean_s * queued / len(self._threads) > within_s
        if queued >= self.queue_size or late:
            raise no_room(self.name, self._wait_s())

    def forget(self, future: Future[Out]) -> bool:
        """Take a job out of the queue, and whatever it holds; False where it runs already or has ended."""
        with self._news:
            if not future.cancel():
                return False
            self._jobs = deque(entry for entry in self._jobs if entry.future is not future)
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
                    self._turn(tool, entry)
            finally:
                del special, entry  # an idle thread holds nobody's upload
                with self._news:
                    self._idle += 1

    def _turn(self, tool: Tool, first: Taken[Job, Out]) -> None:
        if not first.future.set_running_or_notify_cancel():
            return
        began, company = time.monotonic(), [first]
        share = math.ceil(len(self._jobs) / len(self._threads))

        def along() -> Taken[Job, Out] | None:
            if found := self._next() if len(company) <= share else None:
                company.append(found)
            return found

        try:
            self._do(tool, first, along)
        except BaseException as error:  # noqa: BLE001 nobody waits for ever; the thread goes on
            for taken in company:
                if not taken.future.done():
                    taken.future.set_exception(error)
        with self._news:
            self._along -= len(company) - 1
        self._mean_s += SMOOTHING * ((time.monotonic() - began) / len(company) - self._mean_s)

    def _next(self) -> Taken[Job, Out] | None:
        """The first that waits and that no idle thread is about to take."""
        with self._news:
            while len(self._jobs) > self._idle:
                entry = self._jobs.popleft()
                if entry.future.set_running_or_notify_cancel():
                    self._along += 1
                    return entry
        return None


def _settling(job: Callable[[Tool], object], future: Future[object]) -> Callable[[Tool], object]:
    def run(tool: Tool) -> None:
        try:
            future.set_result(job(tool))
        except BaseException as error:  # noqa: BLE001 whoever waits for everyone gets it
            future.set_exception(error)

    return run
