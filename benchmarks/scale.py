"""Scale: what a night of 10,000 videos costs beside one of 1,000, apart from looking at them.

Clips of one second and 64 x 48 pixels, made of the videos given and each with bytes of its own, through the real
command, once a size: a fresh night, the same command again when all is finished, and again with half of the pieces
taken away, as a kill leaves it. The driver's memory is its own process's alone.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.nights.compare import Work, work_in
from benchmarks.registry import Result
from benchmarks.videos import many
from jobs import progress
from model_registry.errors import NightjarError
from pipelines.decode.limits import Limits
from pipelines.decode.sniff import format_of

SIZES = (1_000, 10_000)
SOURCES = 4  # distinct pictures
DATE = "2026-11-21"
SKIPPED = ("speech", "ocr", "text")  # their cost a video has benchmarks of its own; here it would hide the rest
WIDTH, HEIGHT, FRAMES = 64, 48, 10
POLL_SECONDS = 0.1


def run(videos: Sequence[Path], _repeat: int) -> Result:
    """Measure both sizes. One repetition: 10,000 videos average over more than repeating would."""
    return measure(videos, *SIZES)


def measure(videos: Sequence[Path], few: int, many_more: int) -> Result:
    """Run the nights of both sizes and hold them against each other."""
    with tempfile.TemporaryDirectory() as scratch:
        clips = list(_clips(videos, Path(scratch) / "sources"))
        nights = {}
        for count in (few, many_more):
            made = many(clips, count, Path(scratch) / f"videos-{count}")
            nights[count] = Nights.of(made, Path(scratch) / f"night-{count}")
            progress.say(f"{count} videos: {nights[count].facts}")
    metrics: dict[str, Sequence[float]] = {}
    for name, found in nights[many_more].facts.items():
        metrics[f"{name}_ratio"] = [found / nights[few].facts[name]]
        metrics |= {f"{name}_{count}": [night.facts[name]] for count, night in nights.items()}
    setup = {"few": few, "many": many_more, "distinct": len(clips), "bundle": "lite", "skipped": " ".join(SKIPPED)}
    return Result(metrics, setup)


@dataclass(frozen=True)
class Run:
    """One run of the command: how long it took, and the most its driver held."""

    seconds: float
    driver_mb: float
    summary: dict[str, Any]

    @property
    def bare_seconds(self) -> float:
        """What its stages take with nothing between them: all on these cores, or the models in their actors alone."""
        busy: dict[str, float] = self.summary["busy_s"]
        models = sum(busy.values()) - busy.get("decode", 0.0)
        actors = int(self.summary["machine"]["machines"]["model_actors"])
        return max(sum(busy.values()) / (os.cpu_count() or 1), models / actors)


@dataclass(frozen=True)
class Nights:
    """The runs over one set of videos."""

    count: int
    fresh: Run
    again: Run
    half: Run
    work: Work

    @classmethod
    def of(cls, videos: Sequence[Path], output: Path) -> Nights:
        """Run a fresh night, one with nothing to do, and one with half to do."""
        manifest = _manifest(videos, output.with_suffix(".parquet"))
        fresh = _run(manifest, output)
        work = work_in(output)
        again = _run(manifest, output)
        _take_half_away(output)
        return cls(len(videos), fresh, again, _run(manifest, output), work)

    @property
    def facts(self) -> dict[str, float]:
        """What is compared; milliseconds and bytes are a video's, so a night that scales has ratios of 1."""
        each = 1000 / self.count
        return {
            "driver_mb": self.fresh.driver_mb,
            "driver_mb_again": self.again.driver_mb,
            "wall_ms_a_video": self.fresh.seconds * each,
            "overhead_ms_a_video": (self.fresh.seconds - self.fresh.bare_seconds) * each,
            "again_ms_a_video": self.again.seconds * each,
            "half_ms_a_video": self.half.seconds * each,
            "pieces_a_video": self.work.pieces / self.count,
            "bytes_a_video": self.work.bytes / self.count,
        } | {f"{step}_ms_a_video": seconds * each for step, seconds in self.fresh.summary["steps_s"].items()}


def _run(manifest: Path, output: Path) -> Run:
    """Run the night and watch its driver."""
    own = ["--date", DATE, "--input", str(manifest), "--output", str(output), "--skip", *SKIPPED]
    began = time.monotonic()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen([sys.executable, "-m", "jobs.recall", *own], stdout=subprocess.DEVNULL, stderr=said)
        driver, peak = psutil.Process(process.pid), 0
        while process.poll() is None:
            peak = max(peak, _resident_bytes(driver))
            time.sleep(POLL_SECONDS)
        took = time.monotonic() - began
        said.seek(0)
        if process.returncode:
            raise NightjarError(f"the recall failed: {said.read()[-500:].decode(errors='replace')}")
    summary = json.loads((output / f"dt={DATE}" / "summary.json").read_text("utf-8"))
    if summary["counts"]["errors"] or summary["counts"]["videos"] != pq.read_metadata(manifest).num_rows:
        raise NightjarError(f"the recall has not seen every video: {summary['counts']}")
    return Run(took, peak / 1e6, summary)


def _resident_bytes(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0  # it ended meanwhile


def _take_half_away(output: Path) -> None:
    """Remove every second piece, by the file that says it is there."""
    for path in sorted(output.rglob("windows-*.parquet"))[::2]:
        path.unlink()


def _manifest(videos: Sequence[Path], path: Path) -> Path:
    rows = {"video_id": [f"v{index:06d}" for index in range(len(videos))], "uri": [str(video) for video in videos]}
    pq.write_table(pa.table(rows), path)
    return path


def _clips(videos: Sequence[Path], folder: Path) -> Iterator[Path]:
    """Make a small clip of the first second of each of a few videos."""
    folder.mkdir(parents=True)
    for index, source in enumerate(videos[:: max(1, len(videos) // SOURCES)][:SOURCES]):
        path = folder / f"{index}.mp4"
        with av.open(str(source), format=format_of(source, Limits()).demuxer) as film, av.open(str(path), "w") as out:
            stream = out.add_stream("libx264", rate=FRAMES)
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            for number, frame in zip(range(FRAMES), film.decode(video=0), strict=False):
                small = frame.reformat(WIDTH, HEIGHT, "yuv420p")
                small.pts, small.time_base = number, Fraction(1, FRAMES)
                out.mux(stream.encode(small))
            out.mux(stream.encode(None))
        yield path
