"""Numbers for Prometheus: through Ray's own metrics while a cluster is up, and as a text file for everywhere else.

Names and units follow https://prometheus.io/docs/practices/naming/. Ray puts `ray_` before each name.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

COMMON = ("job", "day")  # labels that all have
Values = Mapping[str, Mapping[str, float]]  # by measure, then by the measure's own label, "" where it has none


@dataclass(frozen=True)
class Measure:
    """One metric; those that only grow end in `_total`."""

    name: str
    about: str
    by: str = ""  # a label of its own

    @property
    def grows(self) -> bool:
        """Whether it is a counter."""
        return self.name.endswith("_total")

    @property
    def labels(self) -> tuple[str, ...]:
        """All label names."""
        return (*COMMON, self.by) if self.by else COMMON


MEASURES = {
    measure.name: measure
    for measure in (
        Measure("nightjar_videos_total", "Contents looked at to their end by this run."),
        Measure("nightjar_video_hours_total", "Hours of video in these contents."),
        Measure("nightjar_frames_total", "Frames looked at."),
        Measure("nightjar_errors_total", "Videos that could not be wholly seen.", "code"),
        Measure("nightjar_stage_busy_seconds_total", "Seconds that workers were busy with a stage.", "stage"),
        Measure("nightjar_stage_busy_share", "A stage's share of all busy time of this run.", "stage"),
        Measure("nightjar_queue_videos", "Videos that no decision has been made on when the run began."),
        Measure("nightjar_queue_age_seconds", "Age of the oldest upload that has not been settled."),
        Measure("nightjar_step_done", "Things done in a step of the run.", "step"),
        Measure("nightjar_step_size", "Things to do in a step of the run.", "step"),
        Measure("nightjar_last_success_timestamp_seconds", "When a night of this series last ended well."),
    )
}


def values_of(facts: Mapping[str, Any]) -> Values:
    """Return the measures of what `progress.json` tells; what it does not know is left out."""
    last = facts["last_success_at"]
    single = {
        "nightjar_videos_total": facts["videos"],
        "nightjar_video_hours_total": facts["hours"],
        "nightjar_frames_total": facts["frames"],
        "nightjar_queue_videos": facts["queue"],
        "nightjar_queue_age_seconds": facts["queue_age_s"],
        "nightjar_last_success_timestamp_seconds": last and datetime.fromisoformat(last).timestamp(),
    }
    return {name: {"": value} for name, value in single.items() if value is not None} | {
        "nightjar_errors_total": facts["errors"],
        "nightjar_stage_busy_seconds_total": facts["busy_s"],
        "nightjar_stage_busy_share": facts["busy_share"],
        "nightjar_step_done": {title: step["done"] for title, step in facts["steps"].items()},
        "nightjar_step_size": {title: step["total"] for title, step in facts["steps"].items()},
    }


class Exposition(Collector):
    """Values as a Prometheus client library collects them."""

    def __init__(self, common: Mapping[str, str], values: Values) -> None:
        self.common, self.values = common, values

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """Name each measure that has a value."""
        for name, by_label in self.values.items():
            measure = MEASURES[name]
            family = (CounterMetricFamily if measure.grows else GaugeMetricFamily)(
                measure.name, measure.about, labels=measure.labels
            )
            for label, value in by_label.items():
                own = [label] if measure.by else []
                family.add_metric([*(self.common[key] for key in COMMON), *own], value)
            yield family


def exposed(common: Mapping[str, str], values: Values) -> str:
    """Return the text exposition format, as the textfile collector of node-exporter reads it."""
    registry = CollectorRegistry()
    registry.register(Exposition(common, values))
    return generate_latest(registry).decode()


class RayMetrics:
    """The same values through Ray's metrics agent; without a Ray that is up nothing happens."""

    def __init__(self, common: Mapping[str, str]) -> None:
        self.common = dict(common)
        self._made: dict[str, Any] = {}
        self._counted: dict[tuple[str, str], float] = {}  # what Ray has been told so far

    def push(self, values: Values) -> None:
        """Tell Ray what has changed since the last time."""
        ray = sys.modules.get("ray")
        if ray is None or not ray.is_initialized():
            return
        for name, by_label in values.items():
            for label, value in by_label.items():
                self._tell(MEASURES[name], label, value)

    def _tell(self, measure: Measure, label: str, value: float) -> None:
        tags = self.common | ({measure.by: label} if measure.by else {})
        if not measure.grows:
            self._metric(measure).set(float(value), tags=tags)
            return
        before = self._counted.get((measure.name, label), 0.0)
        if value > before:
            self._metric(measure).inc(float(value - before), tags=tags)
            self._counted[measure.name, label] = value

    def _metric(self, measure: Measure) -> Any:
        from ray.util.metrics import Counter, Gauge

        if measure.name not in self._made:
            kind = Counter if measure.grows else Gauge
            self._made[measure.name] = kind(measure.name, measure.about, measure.labels)
        return self._made[measure.name]
