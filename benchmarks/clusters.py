"""Clusters of reposts: a million clips from nothing and one in a hundred more, chains, and the copy corpus's uploads.

The clips are synthetic, with planted copies, one clip copied two thousand times, and a thousand chains in which A holds
a part of B and B a part of C: see `benchmarks/reposts/planted.py`. Comparing two contents is not part of that cost, but
their number is. The pairs are those of the copy benchmark's uploads, held to its `pairs.csv`, where it is built.
"""

from __future__ import annotations

import csv
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.registry import Result
from benchmarks.reposts.planted import planted
from benchmarks.reposts.runs import build, recall_of, spread
from jobs import progress
from model_registry.errors import NightjarError
from model_registry.home import home

MILLION, FEW = 1_000_000, 100_000
SHARE = 0.01  # of all contents comes later
WANTED_SHARE = 0.3  # of the shorter upload that two share, to be a pair that has to be found
NOTES = (
    "`add_cost` is the time on all cores of taking in one content in a hundred, over that of building everything, each "
    "from files to files; `cost_10x` that of a million clips over a hundred thousand.",
    "A pair of uploads is true from a share of 0.3 of the shorter one on; pairs that share less count neither way.",
)
CORPUS = "benchmarks/copies"  # under NIGHTJAR_HOME: queries, pairs.csv and the clusters of a night over them


def run(videos: Sequence[Path], repeat: int) -> Result:  # noqa: ARG001 - clips are made, uploads are the corpus's
    """Measure each size in a process of its own, so that peaks of memory are its own."""
    few, many = _measured(FEW), _measured(MILLION)
    metrics = {name: [value] for name, value in many.items()}
    metrics |= {"cost_10x": [many["build_cpu_s"] / few["build_cpu_s"]]}
    found = corpus_pairs(home() / CORPUS)
    absent = f"there is no pairs.csv with clusters.parquet in {home() / CORPUS}"
    unmeasured = {} if found else {"pair_recall": absent, "pair_precision": absent}
    if found:
        metrics |= {"pair_recall": [found[0]], "pair_precision": [found[1]]}
    return Result(metrics, {"clips": MILLION, "few": FEW, "share_later": SHARE}, NOTES, unmeasured=unmeasured)


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
        build(made, ~late, Path(folder) / "state")
        added = build(made, late, Path(folder) / "state")
        whole = build(made, np.ones(contents, np.bool_), Path(folder) / "whole")
    found = {
        f"{name}_{kind}": value
        for name, one in (("build", whole), ("add", added))
        for kind, value in (
            ("s", one.seconds),
            ("cpu_s", one.cpu_s),
            ("recall", recall_of(one.stars, made)[0]),
            ("precision", recall_of(one.stars, made)[1]),
            ("chains_spread", spread(one.stars, made)),
        )
    }
    status = dict(line.split(":") for line in Path("/proc/self/status").read_text("utf-8").splitlines() if ":" in line)
    return found | {
        "build_minutes": whole.seconds / 60,
        "add_cost": added.cpu_s / whole.cpu_s,
        "chains_spread": max(found["build_chains_spread"], found["add_chains_spread"]),
        "peak_mb": int(status["VmHWM"].split()[0]) / 1024,
    }


def corpus_pairs(folder: Path) -> tuple[float, float] | None:
    """Return recall and precision of pairs by a clusters.parquet beside a corpus's pairs.csv; None without them."""
    import pyarrow.parquet as pq

    if not ((folder / "pairs.csv").exists() and (folder / "clusters.parquet").exists()):
        return None
    with (folder / "pairs.csv").open(encoding="utf-8", newline="") as file:
        shares = {tuple(sorted((row["query"], row["other"]))): float(row["share"]) for row in csv.DictReader(file)}
    return pair_quality(pq.read_table(folder / "clusters.parquet").to_pylist(), shares)


def pair_quality(rows: Sequence[dict[str, object]], shares: dict[tuple[str, ...], float]) -> tuple[float, float]:
    """Recall and precision of the pairs that stand in one cluster; `shares` says of pairs of ids what they share."""
    groups: dict[str, set[str]] = {}
    for row in rows:
        groups.setdefault(str(row["cluster_id"]), set()).add(str(row["video_id"]))
    told = {(a, b) for group in groups.values() for a in group for b in group if a < b}
    true = {pair for pair, share in shares.items() if share >= WANTED_SHARE}
    right, wrong = len(told & true), sum(shares.get(pair, 0.0) <= 0 for pair in told)
    return right / max(1, len(true)), right / max(1, right + wrong)


if __name__ == "__main__":
    for name, value in measure(int(sys.argv[1])).items():
        print(name, value)
