"""What one benchmark measured, and how it stands against what was asked of it."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from model_registry.errors import NightjarError


@dataclass(frozen=True)
class Chart:
    """Bars side by side in one unit: seconds by stage, or images a second by contender."""

    title: str
    unit: str
    bars: Mapping[str, Sequence[float]]  # name -> repetitions: the median is drawn, and how far they spread

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn."""
        if empty := [name for name, values in self.bars.items() if not values]:
            raise ValueError(f"chart {self.title!r} has no value for {', '.join(empty)}, wanted one or more each")
        if not self.bars:
            raise ValueError(f"chart {self.title!r} has no bars, wanted one or more")


@dataclass(frozen=True)
class Result:
    """What one benchmark measured: every repetition of every metric, and how it was set up."""

    metrics: Mapping[str, Sequence[float]]
    setup: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()  # a sentence each, or a block of Markdown of several lines, such as a table
    charts: Sequence[Chart] = ()
    unmeasured: Mapping[str, str] = field(default_factory=dict)  # metric -> why this machine could not measure it

    def median(self, metric: str) -> float:
        """The middle of all repetitions."""
        return statistics.median(self.metrics[metric])


@dataclass(frozen=True)
class Bounds:
    """What one row of requirements.yaml asks of one metric."""

    metric: str
    claim: str
    min_value: float | None = None
    max_value: float | None = None

    def __post_init__(self) -> None:
        """Refuse a row that asks for nothing."""
        if self.min_value is None and self.max_value is None:
            raise ValueError(f"the requirement of {self.metric} has no bound, wanted min_value or max_value")

    def met_by(self, value: float) -> bool:
        """Whether a median lies within."""
        above = self.min_value is None or value >= self.min_value
        return above and (self.max_value is None or value <= self.max_value)

    @property
    def wanted(self) -> str:
        """The bounds in words."""
        low = [] if self.min_value is None else [f"at least {self.min_value}"]
        return " and ".join(low + ([] if self.max_value is None else [f"at most {self.max_value}"]))


@dataclass(frozen=True)
class Check:
    """One requirement held against one result."""

    bounds: Bounds
    sentence: str
    missed: bool


def check(bounds: Bounds, result: Result) -> Check:
    """Hold a result to one requirement. What could not be measured here is neither met nor missed."""
    if bounds.metric in result.metrics:
        met = bounds.met_by(result.median(bounds.metric))
        found = f"{spread(result.metrics[bounds.metric])}, wanted {bounds.wanted}: {'met' if met else 'MISSED'}"
        return Check(bounds, f"{bounds.metric}: {found}. {bounds.claim}", missed=not met)
    if reason := result.unmeasured.get(bounds.metric):
        found = f"not measured: {reason}; wanted {bounds.wanted}"
        return Check(bounds, f"{bounds.metric}: {found}. {bounds.claim}", missed=False)
    known = ", ".join(result.metrics) or "none"
    raise NightjarError(f"the benchmark measured no {bounds.metric} and does not say why; it measured {known}")


def spread(values: Sequence[float], digits: int = 3, unit: str = "") -> str:
    """The median, and the lowest and highest in brackets."""
    return f"{statistics.median(values):.{digits}f}{unit} ({min(values):.{digits}f} to {max(values):.{digits}f})"
