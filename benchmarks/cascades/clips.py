"""Distinct short clips cut from real videos and encoded anew, with keyframes as far apart as uploads have them."""

from __future__ import annotations

import csv
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from model_registry.errors import NightjarError
from pipelines.decode.limits import Limits
from pipelines.decode.probe import probe
from pipelines.decode.sniff import format_of

LONGEST_S = 10
FPS = 30
KEYFRAME_EVERY = (30, 60, 250)  # frames, in turn: a phone's, a streaming ladder's, and x264's own default
WIDEST = 1280  # pixels
ENCODER = ("-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-c:a", "aac")


@dataclass(frozen=True)
class Clip:
    """A piece of a video."""

    path: Path
    source: str  # pieces of one video resemble each other


def cut(videos: Sequence[Path], folder: Path) -> list[Clip]:
    """Cut every video into pieces of up to LONGEST_S; x264 sets a keyframe at a cut besides."""
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        raise NightjarError("ffmpeg is not installed, and it is what cuts the clips of this benchmark")
    folder.mkdir(parents=True, exist_ok=True)
    clips: list[Clip] = []
    for source in distinct(videos):
        for start_s in range(0, max(1, round(_seconds(source) / LONGEST_S)) * LONGEST_S, LONGEST_S):
            target = folder / f"{len(clips):04d}-{source.stem}.mp4"
            _encode(ffmpeg, source, start_s, KEYFRAME_EVERY[len(clips) % len(KEYFRAME_EVERY)], target)
            clips.append(Clip(target, str(source)))
    return clips


def distinct(videos: Sequence[Path]) -> list[Path]:
    """Leave out what a manifest.csv above calls a clip: it is cut from another of the videos."""
    roots = {root for path in videos for root in path.parents if (root / "manifest.csv").is_file()}
    cut_already = {root / row["path"] for root in roots for row in _rows(root) if row.get("kind") == "clip"}
    return [path for path in videos if path not in cut_already]


def _rows(root: Path) -> list[dict[str, str]]:
    with (root / "manifest.csv").open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if "path" in row]


def _seconds(path: Path) -> float:
    limits = Limits()
    return probe(path, format_of(path, limits), limits).duration_ms / 1000


def _encode(ffmpeg: str, source: Path, start_s: int, keyframe_every: int, target: Path) -> None:
    command = [ffmpeg, "-nostdin", "-v", "error", "-ss", str(start_s), "-t", str(LONGEST_S), "-i", str(source)]
    command += ["-vf", f"scale='min(iw,{WIDEST})':-2,fps={FPS}", *ENCODER, "-g", str(keyframe_every), str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NightjarError(f"ffmpeg cannot cut {source} at {start_s} s: {done.stderr.strip().splitlines()[-1]}")
