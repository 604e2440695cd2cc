"""Clusters of reposts: a million clips from nothing and one in a hundred more, chains, and a night of real uploads.

The clips are synthetic, with planted copies, one clip copied two thousand times, and a thousand chains in which A holds
a part of B and B a part of C: see `benchmarks/reposts/planted.py`. Comparing two contents is not part of that cost, but
their number is. The pairs are those of a night over real uploads (`benchmarks/reposts/uploads.py`), of the split on
which nothing was fitted.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.copy_detection import sources_for
from benchmarks.registry import Result
from benchmarks.reposts.night import Pairs, measured
from benchmarks.reposts.planted import planted
from benchmarks.reposts.runs import Run, build, recall_of, spread
from jobs import progress
from model_registry.errors import NightjarError
from model_registry.home import home

MILLION, FEW = 1_000_000, 100_000
SHARE = 0.01  # of all contents comes later
SPLIT = "report"  # of the uploads; thresholds were fitted on the other
NOTES = (
    "`add_cost` is the time on all cores of taking in one content in a hundred, over that of building everything, each "
    "from files to files; `cost_10x` that of a million clips over a hundred thousand.",
    "A pair of uploads is true from a share of 0.3 of the shorter one on; pairs that share less count neither way.",
)


def run(videos: Sequence[Path], repeat: int) -> Result:  # noqa: ARG001 - the same each time
    """Measure each size in a process of its own, so that peaks of memory are its own."""
    few, many = _measured(FEW), _measured(MILLION)
    metrics = {name: [value] for name, value in many.items()}
    metrics |= {"cost_10x": [many["build_cpu_s"] / few["build_cpu_s"]]}
    pairs, excerpts = measured(sources_for(videos, 0), home() / "benchmarks" / "reposts" / SPLIT, SPLIT)
    metrics |= {"pair_recall": [pairs.recall()], "pair_precision": [pairs.precision]}
    metrics |= {"excerpt_recall": [pairs.recall(excerpts)]}
    setup = {"clips": MILLION, "few": FEW, "share_later": SHARE, "pairs": len(pairs.true), "told": len(pairs.told)}
    return Result(metrics, setup, [*NOTES, *_wrong(pairs)])


def _wrong(pairs: Pairs) -> list[str]:
    """Which pairs were missed, and which stand in one cluster and share nothing."""
    kinds = {"Missed": pairs.true - pairs.told, "False": pairs.false}
    return [
        f"{kind}: {', '.join(' and '.join(pair) for pair in sorted(found))}." for kind, found in kinds.items() if found
    ]


def _measured(contents: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.clusters", str(contents)]
    progress.say(f"clusters: {contents} clips")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NightjarError(f"clustering {contents} clips failed: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
    return {name: float(value) for name, value in (line.split() for line in done.stdout.splitlines())}


def measure(contents: int) -> dict[str, float]:
    """Build all but one in a hundred, add those, and build all from nothing."""
    made = planted(contents)
    late = np.zeros(contents, np.bool_)
    late[np.random.default_rng(1).choice(contents, int(SHARE * contents), replace=False)] = True
    with tempfile.TemporaryDirectory() as folder:
        _said("all but one in a hundred", build(made, ~late, Path(folder) / "state"))
        added = _said("one in a hundred more", build(made, late, Path(folder) / "state"))
        whole = _said("all", build(made, np.ones(contents, np.bool_), Path(folder) / "whole"))
    found = {
        f"{name}_{kind}": value
        for name, one in (("build", whole), ("add", added))
        for kind, value in (
            ("s", one.seconds),
            ("cpu_s", one.cpu_s),
            ("recall", recall_of(one.clusters, made)[0]),
            ("precision", recall_of(one.clusters, made)[1]),
            ("chains_spread", spread(one.clusters, made)),
        )
    }
    status = dict(line.split(":") for line in Path("/proc/self/status").read_text("utf-8").splitlines() if ":" in line)
    return found | {
        "build_minutes": whole.seconds / 60,
        "add_cost": added.cpu_s / whole.cpu_s,
        "chains_spread": max(found["build_chains_spread"], found["add_chains_spread"]),
        "peak_mb": int(status["VmHWM"].split()[0]) / 1024,
    }


def _said(what: str, run: Run) -> Run:
    """A million take long: say what is done."""
    progress.say(f"clusters: {what} in {run.seconds:.1f} s, {run.cpu_s:.1f} s of all cores")
    return run


if __name__ == "__main__":
    for name, value in measure(int(sys.argv[1])).items():
        print(name, value)
