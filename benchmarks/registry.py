"""Which benchmarks there are; run one or all, hold each against its last run, log to MLflow, write the dated report."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import history
from benchmarks.environment import environment
from benchmarks.report import History, write
from benchmarks.requirements import bounds_of, names, requirements
from benchmarks.result import Chart, Result, check
from benchmarks.videos import videos_in
from jobs import progress, session
from model_registry.errors import NightjarError, UsageError

__all__ = ["Chart", "Result", "requirements", "run"]


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
    met = [_run_one(each, videos, repeat, output) for each in (names() if name == "all" else [name])]
    return 0 if all(met) else 1


def _run_one(name: str, videos: Sequence[Path], repeat: int, output: Path | None) -> bool:
    """Run, compare, log, write; whether every requirement that could be measured is met."""
    progress.say(f"{name}: {len(videos)} videos, {repeat} repetitions")
    result: Result = importlib.import_module(f"benchmarks.{name}").run(videos, repeat)
    checks = [check(bounds, result) for bounds in bounds_of(name)]
    machine = environment()
    past = _past(name, result, machine)
    for line in [*(each.sentence for each in checks), *(past.lines if past else [])]:
        print(line)
    now = datetime.now(UTC)
    run_id = _log(name, result, machine)
    if output:
        path = write(output, name, now, result, checks, machine, run_id, past)
        progress.say(f"report: {path}")
    return not any(each.missed for each in checks)


def _past(name: str, result: Result, machine: Mapping[str, str]) -> History | None:
    """Look the last run up before this one is logged; a store that fails costs the comparison, not the result."""
    try:
        before = history.last_run(name, machine)
    except NightjarError as error:
        progress.say(f"warning: {error}")
        return None
    if before is None:
        return None
    return History(before, history.changes(bounds_of(name), result, before), history.other_setup(before, result))


def _log(name: str, result: Result, machine: Mapping[str, str]) -> str:
    tags = {"benchmark": name, **machine}
    try:
        return session.log_run(f"bench {name}", dict(result.setup), history.logged(result), tags)
    except NightjarError as error:
        progress.say(f"warning: {error}")
        return ""
