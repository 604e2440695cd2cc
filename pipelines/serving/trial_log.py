"""What trials came to, in MLflow: a run for each champion and challenger, and a step in it now and then."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any

from model_registry import store
from model_registry.reading import one_line
from pipelines.serving.disagreement import Disagreement, Judge

EXPERIMENT = "nightjar-shadow"
EVERY_S = 60.0  # between two steps
LOOK_S = 1.0  # between two looks for the first
Pair = tuple[Judge, Judge]  # champion, challenger
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Step:
    """The totals of one pair at one moment."""

    pair: Pair
    number: int  # uploads that the challenger was tried on
    metrics: Mapping[str, float]
    files: Mapping[str, str]  # content by name

    @classmethod
    def of(cls, pair: Pair, totals: Disagreement) -> Step:
        """Copy what goes on changing."""
        files = {
            "suggestions.csv": _csv(totals.rows(), ("champion", "challenger", "uploads")),
            "labels.csv": _csv(totals.label_rows()),
            "examples.json": json.dumps(totals.example_rows(), indent=1, ensure_ascii=False),
        }
        return cls(pair, totals.tried, totals.metrics(), files)


class TrialLog:
    """Totals by pair, and how much of them MLflow has. Lives on one event loop; writes in a thread of its own.

    Totals are those of one process since it began: each has its own runs, and several are told apart by their start.
    """

    def __init__(self, every_s: float = EVERY_S) -> None:
        self.every_s = every_s
        self.trouble: str | None = None
        self._totals: dict[Pair, Disagreement] = {}
        self._written: dict[Pair, int] = {}  # by pair: the number of the last step
        self._runs: dict[Pair, str] = {}
        self._turn = threading.Lock()

    def of(self, champion: Judge, challenger: Judge) -> Disagreement:
        """The totals of a pair, to be added to."""
        return self._totals.setdefault((champion, challenger), Disagreement())

    def due(self) -> list[Step]:
        """One step for each pair with something new."""
        return [
            Step.of(pair, totals) for pair, totals in self._totals.items() if totals.tried > self._written.get(pair, 0)
        ]

    async def run(self) -> None:
        """Write what is due until cancelled: the first of it at once, so that trouble shows, then now and then."""
        while True:
            if steps := self.due():
                await in_thread(partial(self._write, steps))
            await asyncio.sleep(self.every_s if steps else min(LOOK_S, self.every_s))

    async def close(self, within_s: float) -> None:
        """Write what is due and end the runs; what takes longer is left."""
        steps = self.due()
        if steps or self._runs:
            await in_thread(partial(self._write, steps, last=True), within_s)

    def _write(self, steps: Sequence[Step], *, last: bool = False) -> None:
        """Say once why it cannot be written; the totals go on, so that the next step makes up for it."""
        with self._turn:
            try:
                for step in steps:
                    self._write_one(step)
                for run in self._runs.values() if last else ():
                    store.end_run(run)
                self.trouble = None
            except Exception as error:  # noqa: BLE001 a fault here must not end a service
                if self.trouble is None:
                    log.warning("what the challenger came to is not written to MLflow: %s", one_line(error))
                self.trouble = one_line(error)

    def _write_one(self, step: Step) -> None:
        if step.pair not in self._runs:
            names = [f"{judge.bundle} {judge.policy}" for judge in step.pair]
            self._runs[step.pair] = store.start_run(EXPERIMENT, " against ".join(names), tags_of(step.pair))
        store.log_step(self._runs[step.pair], step.number, step.metrics, step.files)
        self._written[step.pair] = step.number


def tags_of(pair: Pair) -> dict[str, str]:
    """By which a run is found."""
    roles = zip(("champion", "challenger"), pair, strict=True)
    return {f"{role}.{name}": value for role, judge in roles for name, value in judge._asdict().items()}


def _csv(rows: Sequence[Mapping[str, Any]], names: Sequence[str] = ()) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, names or list(rows[0] if rows else ()), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


async def in_thread(work: Callable[[], None], within_s: float | None = None) -> bool:
    """Do it in a thread that keeps no process alive; False where it has not ended in time, and goes on by itself."""
    future: Future[None] = Future()
    future.set_running_or_notify_cancel()
    threading.Thread(target=_settle, args=(future, work), name="nightjar-shadow", daemon=True).start()
    waiting = asyncio.wrap_future(future)
    await asyncio.wait([waiting], timeout=within_s)
    if not waiting.done():
        return not waiting.cancel()
    waiting.result()
    return True


def _settle(future: Future[None], work: Callable[[], None]) -> None:
    try:
        work()
        future.set_result(None)
    except BaseException as error:  # noqa: BLE001 whoever waits gets it
        future.set_exception(error)
