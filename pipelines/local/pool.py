"""The driver's side of the engines: deal out jobs, start an engine again that died, end them all at the end."""

from __future__ import annotations

import os
import sys
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from subprocess import DEVNULL, Popen
from typing import IO

import pyarrow as pa

from pipelines.local.engine import chained
from pipelines.local.messages import Done, Failed, Finished, Job, Plan
from pipelines.processes import start
from pipelines.stage import PipelineError, Stage, StageError

DEATHS_FORGIVEN = 20  # with nothing finished in between; a window that kills its engine is given up long before
THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
SHOWN = 300  # characters of what an engine said last


def stream(stages: Sequence[Stage], table: pa.Table, rows_a_task: int) -> Iterator[pa.Table]:
    """Run stages over a table; yields what comes out, in any order. Raises StageError, or PipelineError."""
    engines = max((stage.actors for stage in stages), default=0)
    plan = Plan(tuple(stages), 1, rows_a_task)
    if not engines:
        yield from _in_threads(plan, table)
        return
    first, _, _ = plan.parts()
    size = 1 if first else rows_a_task
    jobs = [Job(row, table.slice(row, size).combine_chunks()) for row in range(0, table.num_rows, size)]
    engines = min(engines, len(jobs))
    threads = max(1, min(-(-_cores() // engines), len(jobs)))
    ahead = tuple(_foreseen) if engines == 1 else ()  # of several nobody knows which will be asked
    _foreseen.clear()
    yield from _Pool(Plan(tuple(stages), threads if first else 1, rows_a_task, ahead), jobs).run(engines)


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def _in_threads(plan: Plan, table: pa.Table) -> Iterator[pa.Table]:
    """Stages without models, which leave the interpreter's lock alone."""

    def work(start: int) -> list[pa.Table]:
        try:
            return list(chained(plan.stages)(table.slice(start, plan.rows_a_piece)))
        except Exception as error:
            raise StageError(error) from error

    with ThreadPoolExecutor(_cores()) as pool:
        for tables in pool.map(work, range(0, table.num_rows, plan.rows_a_piece)):
            yield from tables


class _Process:
    """One engine, the jobs it has in hand, and what it says to people."""

    def __init__(self) -> None:
        self.connection, theirs = Pipe()
        self.said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 closed in `end`
        command = [sys.executable, "-P", "-m", "pipelines.local.engine", str(os.getpid()), str(theirs.fileno())]
        self.process: Popen[bytes] = start(
            command, env=THREADS, stdin=DEVNULL, stdout=self.said, stderr=self.said, pass_fds=(theirs.fileno(),)
        )
        theirs.close()
        self.in_hand: dict[int, Job] = {}
        self.is_told = False  # that there are no more jobs

    def give(self, job: Job | None) -> None:
        """Send a job, or say that there are no more."""
        self.is_told = job is None
        if job:
            self.in_hand[job.number] = job
        with suppress(OSError):  # it died; what it had in hand is known
            self.connection.send(job)

    def end(self) -> str:
        """Kill it, and return the last line that it said."""
        self.process.kill()
        status = self.process.wait()
        self.connection.close()
        with self.said:
            self.said.seek(0)
            lines = self.said.read().decode(errors="replace").strip().splitlines()
        how = f"signal {-status}" if status < 0 else f"status {status}"
        return f"it ended with {how}" + (f": {lines[-1][:SHOWN]}" if lines else "")


_spare: list[_Process] = []  # engines without a plan, while `kept` lasts
_foreseen: list[Stage] = []  # by the next plan
_keeping = 0


@contextmanager
def kept(started_ahead: bool = False) -> Iterator[None]:
    """Let engines of one plan work for the next, with their models loaded; at the end they are ended.

    One that is started ahead imports what models need while the caller still gets ready.
    """
    global _keeping
    _keeping += 1
    if started_ahead and not _spare:
        _spare.append(_Process())
    try:
        yield
    finally:
        _keeping -= 1
        if not _keeping:
            _foreseen.clear()
        while _spare and not _keeping:
            _spare.pop().end()


def foresee(*stages: Stage) -> None:
    """Let an engine that is kept open these while it works on the next plan, for the plan after it."""
    if _keeping:
        _foreseen[:] = stages


def engine_waits() -> bool:
    """Whether an engine is kept for the next plan: work for a few seconds is cheaper there than in this process."""
    return bool(_spare)


class _Pool:
    """All engines of one plan."""

    def __init__(self, plan: Plan, jobs: Sequence[Job]) -> None:
        self.plan = plan
        self.jobs = deque(jobs)
        self.deaths = 0
        self.engines: dict[Connection, _Process] = {}

    def run(self, engines: int) -> Iterator[pa.Table]:
        try:
            for _ in range(engines):
                self._start()
            while self.engines:
                for engine in [self.engines[ready] for ready in wait(self.engines) if isinstance(ready, Connection)]:
                    yield from self._hear(engine)
        finally:
            for engine in self.engines.values():
                engine.end()

    def _start(self) -> None:
        engine = _spare.pop() if _spare else _Process()
        self.engines[engine.connection] = engine
        with suppress(OSError):  # it died already, and will be buried
            engine.connection.send(self.plan)

    def _hear(self, engine: _Process) -> Iterator[pa.Table]:
        try:
            message = engine.connection.recv()
        except (EOFError, OSError):
            self._bury(engine)
            return
        if isinstance(message, Failed):
            raise StageError(message.error)
        if isinstance(message, Finished):
            self._release(engine)
            return
        if isinstance(message, Done):
            self.deaths = 0
            for number in message.jobs:
                engine.in_hand.pop(number, None)
            yield from message.tables
            return
        for _ in range(message.jobs):
            if not engine.is_told:  # work that came back from the dead is for others
                engine.give(self.jobs.popleft() if self.jobs else None)

    def _release(self, engine: _Process) -> None:
        """Keep an engine that has done its work, or end it."""
        del self.engines[engine.connection]
        if _keeping:
            engine.is_told = False
            _spare.append(engine)
        else:
            engine.end()

    def _bury(self, engine: _Process) -> None:
        """Start another engine where work is left: what this one had in hand comes first."""
        del self.engines[engine.connection]
        how = engine.end()
        self.jobs.extendleft(reversed(engine.in_hand.values()))
        self.deaths += 1
        if self.deaths > DEATHS_FORGIVEN:
            raise PipelineError(f"a worker died {self.deaths} times without finishing anything, at last {how}")
        if self.jobs:
            self._start()
