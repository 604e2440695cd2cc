"""One engine process: threads run the first stages side by side, one thread loads the models and works for all.

The driver sends jobs, each a table of rows; the engine asks for as many as it can hold and reports what is finished.
Files are written for several jobs at once, so that a night has few of them.
"""

from __future__ import annotations

import importlib
import os
import pickle
import queue
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import NamedTuple

import pyarrow as pa

from pipelines.local.messages import Done, Failed, Finished, Job, Plan, Want
from pipelines.processes import die_with_parent
from pipelines.stage import Stage, Work

MOST_ROWS = 16  # windows that models get together
MOST_BYTES = 64 << 20
READY_ROWS = 8  # windows that wait for the models: what decodes goes on meanwhile
PRELOADED = ("torch", "torchvision.transforms.v2", "onnxruntime", "pipelines.nightly")  # while the driver gets ready
FLUSH_S = 10.0  # what is done waits no longer for company


class _Part(NamedTuple):
    """Rows of a job that the first stages have done; the last part of a job has none."""

    job: int
    table: pa.Table | None


class Engine:
    """The stages of a plan over the jobs of one driver."""

    def __init__(self, driver: Connection, plan: Plan) -> None:
        self.driver, self.plan = driver, plan
        self.jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self.ready: queue.Queue[_Part | Exception | None] = queue.Queue(READY_ROWS)
        self.sending = threading.Lock()

    def run(self) -> None:
        """Work until the driver has no more jobs."""
        first, models, last = self.plan.parts()
        for target in (self._take, *[lambda: self._prepare(first)] * self.plan.threads):
            threading.Thread(target=target, daemon=True).start()
        self._send(Want(self.plan.threads + 1))
        work, finish = chained(models), chained(last)
        _open_ahead(self.plan.ahead)
        tables: list[pa.Table] = []
        finished: list[int] = []
        since = time.monotonic()
        for parts in self._batches():
            rows = [part.table for part in parts if part.table is not None]
            tables += [out for table in _alike(rows) for out in work(table)]
            finished += [part.job for part in parts if part.table is None]
            waits = not parts or time.monotonic() - since > FLUSH_S
            if (tables or finished) and (waits or sum(table.num_rows for table in tables) >= self.plan.rows_a_piece):
                self._finish(finish, tables, finished)
                tables, finished, since = [], [], time.monotonic()
        if tables or finished:
            self._finish(finish, tables, finished)

    def _finish(self, finish: Work, tables: list[pa.Table], finished: list[int]) -> None:
        together = [pa.concat_tables(tables, promote_options="default")] if tables else []
        self._send(Done([out for table in together for out in finish(table)], finished))

    def _take(self) -> None:
        """Receive jobs; the driver ends them with None."""
        while (job := self.driver.recv()) is not None:
            self.jobs.put(job)
        for _ in range(self.plan.threads):
            self.jobs.put(None)

    def _prepare(self, stages: Sequence[Stage]) -> None:
        """One of the threads that run the first stages."""
        try:
            work = chained(stages)
            while (job := self.jobs.get()) is not None:
                for table in work(job.table):
                    self.ready.put(_Part(job.number, table))
                self.ready.put(_Part(job.number, None))
                self._send(Want(1))
            self.ready.put(None)
        except Exception as error:  # noqa: BLE001 raised where the driver is told
            self.ready.put(error)

    def _batches(self) -> Iterator[list[_Part]]:
        """Yield what is ready, so much that models are busy and no more than fits; empty after a while of nothing."""
        threads = self.plan.threads
        while threads:
            parts: list[_Part] = []
            held = 0
            try:
                while len(parts) < MOST_ROWS and held < MOST_BYTES:
                    part = self.ready.get(block=not parts, timeout=FLUSH_S)
                    if isinstance(part, Exception):
                        raise part
                    if part is None:
                        threads -= 1
                        break
                    parts.append(part)
                    held += part.table.nbytes if part.table is not None else 0
            except queue.Empty:
                pass
            yield parts

    def _send(self, message: Want | Done) -> None:
        with self.sending:
            self.driver.send(message)


_opened: list[tuple[Stage, Future[Work]]] = []  # ahead, each for one plan


def _open_ahead(stages: Sequence[Stage]) -> None:
    """Open stages of the next plan in a thread: compiling and loading leave cores idle that models could not use."""
    if not stages:
        return
    threads = ThreadPoolExecutor(1, thread_name_prefix="ahead")
    _opened.extend((stage, threads.submit(stage.open)) for stage in stages)
    threads.shutdown(wait=False)


def _work_of(stage: Stage) -> Work:
    """What was opened ahead for an equal stage, else the stage opened now."""
    for place, (known, work) in enumerate(_opened):
        if known == stage:
            del _opened[place]
            return work.result()
    return stage.open()


def chained(stages: Iterable[Stage]) -> Work:
    """Open some stages here, one behind the other."""
    works = [_work_of(stage) for stage in stages]

    def work(table: pa.Table) -> Iterable[pa.Table]:
        tables: Iterable[pa.Table] = [table]
        for step in works:
            tables = _through(step, tables)
        return tables

    return work


def _through(step: Work, tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    for table in tables:
        yield from step(table)


def _alike(tables: Sequence[pa.Table]) -> list[pa.Table]:
    return [pa.concat_tables(tables)] if tables else []


def main() -> None:
    """Serve one driver. argv: its process id, the file descriptor of its connection."""
    die_with_parent(int(sys.argv[1]))
    driver = Connection(int(sys.argv[2]))
    for name in PRELOADED:
        if driver.poll():
            break
        with suppress(ImportError):  # a model that needs it will say so
            importlib.import_module(name)
    try:
        while True:
            Engine(driver, driver.recv()).run()
            driver.send(Finished())
    except (EOFError, BrokenPipeError):
        os._exit(0)  # the driver is gone, or wants no more
    except Exception as error:  # noqa: BLE001 told to the driver, which raises it
        driver.send(Failed(_portable(error)))
    driver.close()
    os._exit(0)  # threads may wait for a decoder


def _portable(error: Exception) -> Exception:
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 made in this line
    except Exception:  # noqa: BLE001 whatever an exception's own state does
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


if __name__ == "__main__":
    main()
