"""The videos that all contenders get: many short ones, and a single long one; both real.

Only files that every tool reads alike: MP4, pictures from 0 on, none hidden by an edit list. decord (under Ray's
`read_videos`) shows what an edit list hides, and TorchCodec times it otherwise.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av

from benchmarks.videos import many
from model_registry.errors import NightjarError, UsageError
from pipelines.decode.limits import Limits
from pipelines.decode.sniff import format_of
from pipelines.rows import MediaError

SHORT_VIDEOS = 102
SHORTEST_MS, LONGEST_MS = 2_000, 20_000  # of a source of the short set
LEAST_SIDE, MOST_PIXELS = 240, 1280 * 720
LONG_S = 165
LIMITS = Limits()


@dataclass(frozen=True)
class Claim:
    """What a file says of its pictures."""

    width: int
    height: int
    duration_ms: int

    @property
    def is_small(self) -> bool:
        """Whether it is of at most 720p."""
        return self.width * self.height <= MOST_PIXELS


def short_set(videos: Sequence[Path], folder: Path) -> list[Path]:
    """Multiply the short sources until there are SHORT_VIDEOS, each with bytes of its own."""
    sources = [path for path in videos if (claim := plain(path)) and _is_short(claim)]
    if not sources:
        raise UsageError(f"none of the videos is an MP4 file of {SHORTEST_MS} to {LONGEST_MS} ms and 240p to 720p")
    return many(sources, SHORT_VIDEOS, folder)


def _is_short(claim: Claim) -> bool:
    is_large_enough = min(claim.width, claim.height) >= LEAST_SIDE
    return SHORTEST_MS <= claim.duration_ms <= LONGEST_MS and is_large_enough and claim.is_small


def long_set(videos: Sequence[Path], folder: Path) -> list[Path]:
    """Repeat the longest source until it lasts LONG_S seconds, its stream copied by ffmpeg."""
    claims = {path: claim for path in videos if (claim := plain(path)) and claim.is_small}
    if not claims:
        raise UsageError("none of the videos is an MP4 file of at most 720p that every tool reads alike")
    source = max(claims, key=lambda path: claims[path].duration_ms)
    times = max(1, -(-LONG_S * 1000 // claims[source].duration_ms))
    folder.mkdir(parents=True)
    target = folder / "long.mp4"
    command = ["ffmpeg", "-v", "error", "-nostdin", "-stream_loop", str(times - 1), "-i", str(source)]
    try:
        subprocess.run([*command, "-map", "0:v:0", "-c", "copy", str(target)], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise NightjarError(f"ffmpeg could not repeat {source.name} to make a long video: {error}") from error
    return [target]


def plain(path: Path) -> Claim | None:
    """Return what an MP4 file says of its pictures, None for one that tools read differently."""
    try:
        if format_of(path, LIMITS).demuxer != "mov":
            return None
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            if any(packet.is_discard or (packet.pts or 0) < 0 for packet in container.demux(stream)):
                return None
            duration_ms = round(float((stream.duration or 0) * (stream.time_base or 0)) * 1000)
            starts_at_0 = stream.start_time == 0 and (container.start_time or 0) == 0
            return Claim(stream.width, stream.height, duration_ms) if starts_at_0 else None
    except (MediaError, av.FFmpegError, IndexError):
        return None
