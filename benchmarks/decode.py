"""Decode: sampled frames and 16 kHz sound out of the decode child, against ffmpeg; and our ways of decoding in turn.

Both decode on one thread, take one frame a second at the same size and resample the sound; what comes out is
read through a pipe and thrown away. ffmpeg starts a process a file, as a pipeline built on it would.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.lights.engines import compare
from benchmarks.registry import Result
from model_registry.errors import NightjarError
from pipelines.decode.child import DecodeChild
from pipelines.decode.limits import Limits, Sampling
from pipelines.decode.probe import MediaInfo, probe
from pipelines.decode.sniff import format_of
from pipelines.decode.worker import Request

SAMPLING, LIMITS = Sampling(threads=1), Limits()


def run(videos: Sequence[Path], repeat: int) -> Result:
    """Alternate the two over all videos; a warm-up of each is not counted."""
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        raise NightjarError("ffmpeg is not installed, and it is what decoding is measured against")
    infos = [probe(path, format_of(path, LIMITS), LIMITS) for path in videos]
    child = DecodeChild(LIMITS)
    ours, theirs = [], []
    for turn in range(repeat + 1):
        mine = _seconds_of_child(child, videos)
        other = sum(_seconds_of_ffmpeg(ffmpeg, path, info) for path, info in zip(videos, infos, strict=True))
        if turn:
            ours.append(mine)
            theirs.append(other)
    child.close()
    ratios = [other / mine for mine, other in zip(ours, theirs, strict=True)]
    engines = [compare(videos) for _ in range(repeat)]
    metrics = {
        "throughput_vs_ffmpeg": ratios,
        "ours_s": ours,
        "ffmpeg_s": theirs,
        "sparse_vs_whole": [each.ratio("sparse", "pyav") for each in engines],
        "sparse_vs_decord": [each.ratio("sparse", "decord") for each in engines],
        "sparse_equal": [sum(each.equal) / len(each.equal) for each in engines],
        "score_gap": [max(each.score_gaps) for each in engines],
    }
    hours = sum(info.duration_ms for info in infos) / 3.6e6
    setup = {"videos": len(videos), "hours": round(hours, 4), "threads": 1, "sampling": SAMPLING.id}
    return Result(metrics, setup, [f"ffmpeg: {_version(ffmpeg)}", engines[-1].table()])


def _seconds_of_child(child: DecodeChild, videos: Sequence[Path]) -> float:
    began = time.perf_counter()
    for path in videos:
        for _ in child.windows(Request("0" * 64, str(path), path.stat().st_size, SAMPLING, LIMITS)):
            pass
    return time.perf_counter() - began


def _seconds_of_ffmpeg(ffmpeg: str, path: Path, info: MediaInfo) -> float:
    width, height = SAMPLING.frame_size(info.width, info.height)
    filters = f"fps=1000/{SAMPLING.interval_ms},scale={width}:{height}"
    command = [ffmpeg, "-v", "quiet", "-nostdin", "-threads", "1", "-filter_threads", "1", "-i", str(path)]
    command += ["-map", "0:v:0", "-vf", filters, "-pix_fmt", "rgb24", "-f", "rawvideo", "-threads", "1", "pipe:1"]
    if info.has_audio:
        command += ["-map", "0:a:0", "-ar", "16000", "-ac", "1", "-f", "s16le", "pipe:1"]
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        while process.stdout and process.stdout.read(1 << 20):
            pass
    return time.perf_counter() - began


def _version(ffmpeg: str) -> str:
    return subprocess.run([ffmpeg, "-version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
