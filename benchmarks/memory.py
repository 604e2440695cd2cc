"""Memory: the peak of a recall over 1,000 videos against one over 100. It must not grow with the night.

Each run is a process of its own, as a machine without a cluster works and on a Ray of its own; its peak is the summed
proportional set size of it and all it started, Ray's object store included, sampled twice a second. The object store's
own peak is what its file of shared memory takes: Ray asks for pages when objects need them, and keeps them to its end.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.result import Chart, Result
from benchmarks.videos import many
from jobs import progress
from model_registry.errors import NightjarError
from pipelines.decode.limits import Limits
from pipelines.decode.probe import probe
from pipelines.decode.sniff import format_of

FEW, MANY = 100, 1_000
TURNS = 2  # repetitions of the smaller run at most; the larger is run once, it averages over enough
CLIPS = 8  # distinct videos: the shortest of those given
SKIPPED = ("speech", "ocr")
POLL_SECONDS = 0.5
BLOCK_BYTES = 512  # of st_blocks (POSIX stat)


@dataclass(frozen=True)
class Peak:
    """The most that one run held."""

    all_mb: float
    store_mb: float  # Ray's object store; 0 without Ray


def run(videos: Sequence[Path], repeat: int) -> Result:
    """Run both nights both ways."""
    with tempfile.TemporaryDirectory() as scratch:
        made = many(_shortest(videos), MANY, Path(scratch) / "videos")
        alone = _nights(made, min(repeat, TURNS), Path(scratch) / "alone", on_ray=False)
        ray = _nights(made, min(repeat, TURNS), Path(scratch) / "ray", on_ray=True)
    if not min(each.store_mb for peaks in ray.values() for each in peaks):
        raise NightjarError("Ray's object store was not found among the open files of its raylet")
    metrics = _peaks(alone, "") | _peaks(ray, "_ray")
    metrics[f"object_store_{FEW}_mb"] = [each.store_mb for each in ray[FEW]]
    metrics["object_store_peak_mb"] = [each.store_mb for each in ray[MANY]]
    setup = {"few": FEW, "many": MANY, "distinct": CLIPS, "bundle": "lite", "skipped": " ".join(SKIPPED)}
    bars = {name.removesuffix("_mb"): values for name, values in metrics.items() if name.endswith("_mb")}
    return Result(metrics, setup, charts=[Chart("Peak memory", "MB", bars)])


def _nights(made: Sequence[Path], turns: int, folder: Path, *, on_ray: bool) -> dict[int, list[Peak]]:
    """The small night a few times, and the large one once in their midst."""
    order = [FEW] * turns
    order.insert((turns + 1) // 2, MANY)
    peaks: dict[int, list[Peak]] = {FEW: [], MANY: []}
    for place, count in enumerate(order):
        progress.say(f"memory: {count} videos, {'Ray' if on_ray else 'no Ray'}")
        peaks[count].append(_peak(made[:count], folder / str(place), on_ray=on_ray))
    return peaks


def _peaks(peaks: Mapping[int, Sequence[Peak]], suffix: str) -> dict[str, list[float]]:
    (large,) = peaks[MANY]
    return {
        f"peak_{MANY}_vs_{FEW}{suffix}": [large.all_mb / each.all_mb for each in peaks[FEW]],
        f"peak_{FEW}{suffix}_mb": [each.all_mb for each in peaks[FEW]],
        f"peak_{MANY}{suffix}_mb": [large.all_mb],
    }


def _shortest(videos: Sequence[Path]) -> list[Path]:
    """A few short MP4 files, so that a thousand take minutes."""
    limits = Limits()
    formats = {path: format_of(path, limits) for path in videos}
    lengths = {
        path: probe(path, found, limits).duration_ms for path, found in formats.items() if found.demuxer == "mov"
    }
    return sorted(lengths, key=lengths.__getitem__)[:CLIPS]


def _peak(videos: Sequence[Path], folder: Path, *, on_ray: bool) -> Peak:
    """Scan the videos and watch."""
    command = [sys.executable, "-m", "jobs.scan", "--output", str(folder), "--skip", *SKIPPED, "--", *map(str, videos)]
    env = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    env |= {"RAY_ADDRESS": "local"} if on_ray else {}
    store_mb = 0.0
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said, env=env)
        while process.poll() is None:
            store_mb = max(store_mb, object_store_bytes(process.pid) / 1e6)
            _wait(process)
        said.seek(0)
        if process.returncode:
            last = said.read().decode(errors="replace").strip().splitlines()[-1:]
            raise NightjarError(f"the scan of {len(videos)} videos failed: {' '.join(last) or process.returncode}")
    summary = json.loads((folder / "summary.json").read_text("utf-8"))
    return Peak(float(summary["peak_memory_mb"]), store_mb)


def _wait(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(POLL_SECONDS)
    except subprocess.TimeoutExpired:
        return


def object_store_bytes(pid: int) -> int:
    """Shared memory and spilled-over files that the raylets below a process hold for objects."""
    files: dict[tuple[int, int], int] = {}
    try:
        below = psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return 0  # it ended meanwhile
    for process in below:
        for status in _plasma_files(process):
            files[status.st_dev, status.st_ino] = status.st_blocks * BLOCK_BYTES
    return sum(files.values())


def _plasma_files(process: psutil.Process) -> Iterator[os.stat_result]:
    """The store's file has no name left, so it is found by the descriptor that keeps it."""
    try:
        if process.name() != "raylet":
            return
        for link in Path(f"/proc/{process.pid}/fd").iterdir():
            if "plasma" in os.readlink(link):
                yield link.stat()
    except (psutil.Error, OSError):
        return  # it ended meanwhile
