"""Stages that need nothing of each other, at the same time: a lone upload then has several cores."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import pyarrow as pa

from pipelines.serving.contract import Refused
from pipelines.stage import Stage, Work

HEAVY = frozenset(
    {"frames_THWC", "audio_16k", "more_sounds"}
)  # whoever reads neither takes less time than the way to another thread
Took = dict[str, float]  # milliseconds by step
Done = tuple[pa.Table, float]


class StepFailed(Exception):  # noqa: N818 it is told, not shown
    """What a step raised, and which."""

    def __init__(self, step: str, error: Exception) -> None:
        super().__init__(str(error))
        self.step, self.error = step, error


@dataclass(frozen=True, eq=False)
class Step:
    """An opened stage."""

    stage: Stage
    work: Work

    def __call__(self, table: pa.Table) -> Done:
        """One row in, one row out, and the milliseconds between; raises StepFailed, or what the service refuses."""
        began = time.perf_counter()
        try:
            [found] = self.work(table)
        except Refused:
            raise
        except Exception as error:
            raise StepFailed(self.stage.name, error) from error
        return found, (time.perf_counter() - began) * 1000


def waves(steps: Sequence[Step]) -> list[list[Step]]:
    """Each step in the first wave that has all it reads; a column is let go when its last reader's wave is over."""
    laid: list[list[Step]] = []
    written, read = dict[str, int](), dict[str, int]()
    for step in steps:
        stage = step.stage
        after = [written[name] + 1 for name in (*stage.reads, *stage.writes) if name in written]
        beside = [read[name] for name in (*stage.writes, *stage.drops) if name in read]
        wave = max([*after, *beside], default=0)
        laid.extend([] for _ in range(wave + 1 - len(laid)))
        laid[wave].append(step)
        written |= dict.fromkeys(stage.writes, wave)
        read |= {name: max(wave, read.get(name, 0)) for name in stage.reads}
    return laid


class Aside:
    """Threads beside the one that calls, for any number of callers."""

    def __init__(self, threads: int = 0) -> None:
        self._pool = ThreadPoolExecutor(threads, "aside") if threads else None

    def through(self, wave: Sequence[Step], table: pa.Table, took: Took) -> pa.Table:
        """Add what the steps of a wave write and drop what they drop; raises what one raised, when all have ended."""
        elsewhere = self._elsewhere(wave, table)
        done, errors = list[tuple[Step, Done]](), list[Exception]()
        for step in sorted(wave, key=lambda step: step in elsewhere):
            try:
                done.append((step, _outcome(step, table, elsewhere.get(step))))
            except (Refused, StepFailed) as error:
                errors.append(error)
        if errors:
            raise errors[0]
        for step, (_, ms) in done:
            took[step.stage.name] = took.get(step.stage.name, 0.0) + ms
        return _joined(table, [(step.stage, found) for step, (found, _) in done])

    def close(self) -> None:
        """End the threads when what they do has ended."""
        if self._pool:
            self._pool.shutdown()

    def _elsewhere(self, wave: Sequence[Step], table: pa.Table) -> dict[Step, Future[Done]]:
        """Begin all heavy steps but one in other threads."""
        heavy = [step for step in wave if HEAVY & set(step.stage.reads)]
        return {step: self._pool.submit(step, table) for step in heavy[1:]} if self._pool else {}


def _outcome(step: Step, table: pa.Table, elsewhere: Future[Done] | None) -> Done:
    """Its own thread's, unless no other thread has begun it."""
    if elsewhere is None or elsewhere.cancel():
        return step(table)
    return elsewhere.result()


def _joined(table: pa.Table, found: Sequence[tuple[Stage, pa.Table]]) -> pa.Table:
    if len(found) == 1:
        return found[0][1]
    for stage, out in found:
        for name in stage.writes:
            place = table.schema.get_field_index(name)
            column = (out.schema.field(name), out[name])
            table = table.append_column(*column) if place < 0 else table.set_column(place, *column)
    dropped = {name for stage, _ in found for name in stage.drops} & set(table.column_names)
    return table.drop_columns(list(dropped))
