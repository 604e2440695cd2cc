"""What `nightjar plan` predicts against what happens: nights of two sizes are measured, a larger one is predicted.

Each night is a scan with `lite` in a process of its own, timed from the start of Ray to the last verdict. One more runs
on one core, pinned there, and is predicted from those that had all. The larger nights hold the small one's videos two
and four times, each as a content of its own: how well a sample stands for what is planned is not measured here.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.registry import Result
from benchmarks.videos import many
from jobs.plans.planning import HOUR_S, Kind, Load, Machines, Rates, night_on
from jobs.plans.rates import Measured, measured, rates_of
from model_registry.errors import NightjarError
from pipelines.decode.limits import Limits
from pipelines.decode.sniff import format_of

SMALL, LARGE, PREDICTED = 16, 32, 64
SEED = 7  # of the choice of videos


def run(videos: Sequence[Path], repeat: int) -> Result:
    """Measure two nights, predict a third, and run it."""
    rounds = [_round(videos, turn) for turn in range(repeat)]
    metrics = {name: [each[name] for each in rounds] for name in rounds[0]}
    setup = {"small": SMALL, "large": LARGE, "predicted": PREDICTED, "distinct": SMALL, "bundle": "lite"}
    return Result(metrics, setup)


def _round(videos: Sequence[Path], turn: int) -> dict[str, float]:
    order = random.Random(SEED + turn).sample(videos, len(videos))
    mix = [path for path in order if format_of(path, Limits()).demuxer == "mov"][:SMALL]  # what `many` can multiply
    with tempfile.TemporaryDirectory() as scratch:
        made = many(mix, SMALL + LARGE + PREDICTED, Path(scratch) / "videos")
        parts = made[:SMALL], made[SMALL : SMALL + LARGE], made[SMALL + LARGE :]
        small, large, predicted = (_night(part, Path(scratch) / str(len(part))) for part in parts)
        narrow = _night(parts[0], Path(scratch) / "narrow", cores=1)
    rates = rates_of([small, large])
    return {
        "predicted_vs_measured": ratio(rates, predicted),
        "predicted_vs_measured_looking": ratio(rates, predicted, "looking"),
        "predicted_from_one_vs_measured": ratio(rates_of([large]), predicted),
        "predicted_vs_measured_one_core": ratio(rates, narrow, cores=1),
        "start_s": rates.start_s,
        "cores_an_hour_of_video": (rates.decode + rates.look + rates.listen) / HOUR_S,
        **{f"{name}_s": night.seconds for name, night in (("small", small), ("large", large), ("night", predicted))},
    }


def ratio(rates: Rates, night: Measured, step: str | None = None, cores: float | None = None) -> float:
    """Predicted seconds against those it took; `cores` where it had fewer than Ray was told."""
    machines = Machines(((Kind("this machine", cores or night.cpus), 1),))
    found = night_on(machines, rates, Load(night.videos, night.hours))
    took_s = night.steps_s[step] if step else night.seconds
    return HOUR_S * (found.steps_h[step] if step else found.hours) / took_s


def _night(videos: Sequence[Path], folder: Path, cores: int | None = None) -> Measured:
    command = [sys.executable, "-m", "jobs.scan", "--output", str(folder), *map(str, videos)]
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, sorted(allowed)[:cores])  # what is started inherits it
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    finally:
        os.sched_setaffinity(0, allowed)
    if done.returncode:
        raise NightjarError(f"the scan of {len(videos)} videos failed: {done.stderr.strip().splitlines()[-1]}")
    return measured(folder)
