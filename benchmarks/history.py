"""The last recorded run of a benchmark on the same kind of machine, and what became better or worse since."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from benchmarks.environment import machine_kind
from benchmarks.result import Bounds, Result

LOW, HIGH = ".low", ".high"  # of a metric's repetitions; the metric itself is their median
PARAM_LETTERS = 500  # as many of a value session.log_run keeps
NOTICED = 0.05  # a median that moved by less is no regression, however small the spread


@dataclass(frozen=True)
class Spread:
    """The repetitions of one metric in three numbers."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Summarise repetitions."""
        return cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True)
class Run:
    """A recorded run."""

    run_id: str
    when: datetime
    metrics: Mapping[str, Spread]
    setup: Mapping[str, str]


@dataclass(frozen=True)
class Change:
    """One required metric then and now."""

    metric: str
    before: Spread
    now: Spread
    verdict: str  # "regression", "improved" or "same"

    @property
    def percent(self) -> str:
        """By how much the median moved, with its sign."""
        moved = share_moved(self.before.median, self.now.median)
        return "from 0" if moved in (float("inf"), float("-inf")) else f"{100 * moved:+.1f} %"

    def __str__(self) -> str:
        noise = f"{self.before.low:.3f} to {self.before.high:.3f}"
        return f"{self.metric}: {self.now.median:.3f}, was {self.before.median:.3f} ({noise}), {self.percent}"


def logged(result: Result) -> dict[str, float]:
    """What goes to MLflow: each median under the metric's own name, and how far repetitions spread, where there are."""
    found = {metric: Spread.of(values) for metric, values in result.metrics.items()}
    medians = {metric: spread.median for metric, spread in found.items()}
    lows = {metric + LOW: found[metric].low for metric, values in result.metrics.items() if len(values) > 1}
    highs = {metric + HIGH: found[metric].high for metric, values in result.metrics.items() if len(values) > 1}
    return {**medians, **lows, **highs}


def last_run(name: str, machine: Mapping[str, str]) -> Run | None:
    """Return the newest finished run of a benchmark on this kind of machine; raises NightjarError as the store does."""
    from jobs import session

    found = session.last_run({"benchmark": name, **machine_kind(machine)})
    return _run(found) if found else None


def _run(found: Any) -> Run:
    metrics: Mapping[str, float] = found.data.metrics
    medians = {name: value for name, value in metrics.items() if not name.endswith((LOW, HIGH))}
    spreads = {
        name: Spread(value, metrics.get(name + LOW, value), metrics.get(name + HIGH, value))
        for name, value in medians.items()
    }
    when = datetime.fromtimestamp(found.info.start_time / 1000, UTC)
    return Run(found.info.run_id, when, spreads, dict(found.data.params))


def changes(required: Sequence[Bounds], result: Result, before: Run) -> list[Change]:
    """Hold every required metric that both runs measured against its earlier self, in order, each once."""
    rows: dict[str, list[Bounds]] = {}
    for bounds in required:
        rows.setdefault(bounds.metric, []).append(bounds)
    return [
        change(metric, before.metrics[metric], Spread.of(result.metrics[metric]), better_of(asked))
        for metric, asked in rows.items()
        if metric in before.metrics and metric in result.metrics
    ]


def better_of(asked: Sequence[Bounds]) -> int:
    """1 where a higher value is better, -1 where a lower one is, 0 where a metric has to stay between two bounds."""
    higher = any(bounds.min_value is not None for bounds in asked)
    lower = any(bounds.max_value is not None for bounds in asked)
    return int(higher) - int(lower)


def change(metric: str, before: Spread, now: Spread, better: int) -> Change:
    """Judge one metric: it moved where the two runs' repetitions do not overlap and the medians differ by NOTICED."""
    apart = now.low > before.high or now.high < before.low
    moved = share_moved(before.median, now.median)
    if not apart or abs(moved) <= NOTICED:
        return Change(metric, before, now, "same")
    if not better:
        return Change(metric, before, now, "moved")
    return Change(metric, before, now, "improved" if moved * better > 0 else "regression")


def share_moved(before: float, now: float) -> float:
    """(now - before) / |before|; infinite where it was 0 and is not."""
    if before == now:
        return 0.0
    return (now - before) / abs(before) if before else float("inf") * (now - before)


def other_setup(before: Run, result: Result) -> list[str]:
    """What the two runs were not set up alike in: their figures may differ for that."""
    now = {name: str(value)[:PARAM_LETTERS] for name, value in result.setup.items()}
    names = [*now, *(name for name in before.setup if name not in now)]
    return [
        f"{name} {before.setup.get(name, 'absent')} -> {now.get(name, 'absent')}"
        for name in names
        if before.setup.get(name) != now.get(name)
    ]
