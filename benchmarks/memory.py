"""Memory: the peak of a recall over 200 videos against one over 40. It must not grow with the night.

Each run is a process of its own; its peak is the summed proportional set size of it and all it started, Ray's
object store included, sampled twice a second.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.registry import Result
from benchmarks.videos import many
from model_registry.errors import NightjarError

FEW, MANY = 40, 200


def run(videos: Sequence[Path], repeat: int) -> Result:
    """Alternate the two sizes."""
    peaks: dict[int, list[float]] = {FEW: [], MANY: []}
    with tempfile.TemporaryDirectory() as scratch:
        made = many(videos, MANY, Path(scratch) / "videos")
        for turn in range(repeat):
            for count in (FEW, MANY):
                peaks[count].append(_peak_mb(made[:count], Path(scratch) / f"{count}-{turn}"))
    ratios = [high / low for low, high in zip(peaks[FEW], peaks[MANY], strict=True)]
    metrics = {"peak_200_vs_40": ratios, "peak_40_mb": peaks[FEW], "peak_200_mb": peaks[MANY]}
    return Result(metrics, {"few": FEW, "many": MANY, "distinct": len(videos), "bundle": "lite"})


def _peak_mb(videos: Sequence[Path], folder: Path) -> float:
    command = [sys.executable, "-m", "jobs.scan", "--output", str(folder), *map(str, videos)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NightjarError(f"the scan of {len(videos)} videos failed: {done.stderr.strip().splitlines()[-1]}")
    summary = json.loads((folder / "summary.json").read_text("utf-8"))
    return float(summary["peak_memory_mb"])
