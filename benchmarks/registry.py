"""Which benchmarks there are; run one or all, log to MLflow, write the dated report."""

from __future__ import annotations

import importlib
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from benchmarks.environment import environment
from benchmarks.report import markdown
from benchmarks.videos import videos_in
from jobs import progress, session
from model_registry.errors import NightjarError, UsageError

REQUIREMENTS = Path(__file__).with_name("requirements.yaml")


@dataclass(frozen=True)
class Result:
    """What one benchmark measured: every repetition of every metric, and how it was set up."""

    metrics: Mapping[str, Sequence[float]]
    setup: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()

    def median(self, metric: str) -> float:
        """The middle of all repetitions."""
        return statistics.median(self.metrics[metric])


def names() -> list[str]:
    """Every benchmark that has a requirement."""
    return list(yaml.safe_load(REQUIREMENTS.read_text("utf-8")))


def run(name: str | None, folder: Path | None, repeat: int, output: Path | None) -> int:
    """Run one benchmark, or all; status 1 where a requirement is missed."""
    if name is None:
        for known in names():
            claims = "; ".join(row["claim"] for row in requirements(known))
            print(f"{known:10} {claims}")
        return 0
    if name != "all" and name not in names():
        raise UsageError(f"there is no benchmark {name!r}; allowed: all, {', '.join(names())}")
    if repeat < 1:
        raise UsageError(f"--repeat is {repeat}, wanted 1 or more")
    videos = videos_in(folder)
    missed = [row for each in (names() if name == "all" else [name]) for row in _run_one(each, videos, repeat, output)]
    return 1 if missed else 0


def requirements(name: str) -> list[dict[str, Any]]:
    """What a benchmark has to show."""
    rows: list[dict[str, Any]] = yaml.safe_load(REQUIREMENTS.read_text("utf-8"))[name]
    return rows


def _run_one(name: str, videos: Sequence[Path], repeat: int, output: Path | None) -> list[str]:
    progress.say(f"{name}: {len(videos)} videos, {repeat} repetitions")
    result: Result = importlib.import_module(f"benchmarks.{name}").run(videos, repeat)
    checks = [check(row, result) for row in requirements(name)]
    for line, _ in checks:
        print(line)
    now = datetime.now(UTC)
    run_id = _log(name, result)
    if output:
        output.mkdir(parents=True, exist_ok=True)
        path = output / f"{now:%Y-%m-%d}-{name}.md"
        path.write_text(markdown(name, now, result, [line for line, _ in checks], environment(), run_id), "utf-8")
        progress.say(f"report: {path}")
    return [line for line, met in checks if not met]


def check(row: Mapping[str, Any], result: Result) -> tuple[str, bool]:
    """Hold a result to one requirement: a sentence, and whether it is met."""
    found = result.median(row["metric"])
    low, high = row.get("min_value"), row.get("max_value")
    met = (low is None or found >= low) and (high is None or found <= high)
    wanted = f"at least {low}" if low is not None else f"at most {high}"
    spread = f"{min(result.metrics[row['metric']]):.3f} to {max(result.metrics[row['metric']]):.3f}"
    verdict = "met" if met else "MISSED"
    return f"{row['metric']}: {found:.3f} ({spread}), wanted {wanted}: {verdict}. {row['claim']}", met


def _log(name: str, result: Result) -> str:
    metrics = {metric: result.median(metric) for metric in result.metrics}
    try:
        return session.log_run(f"bench {name}", dict(result.setup), metrics, {"benchmark": name, **environment()})
    except NightjarError as error:
        progress.say(f"warning: {error}")
        return ""
