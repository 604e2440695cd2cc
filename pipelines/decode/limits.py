"""What a decoder is asked for and how much it may spend on it."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.rows import ErrorCode, MediaError

MAX_ASPECT = 4  # a frame longer than this many times its shorter side is squashed to it


@dataclass(frozen=True)
class Sampling:
    """Which frames to take, and how large they leave the decoder."""

    interval_ms: int = 1000
    frame_side: int = 256  # pixels of the shorter side
    window_ms: int = 30_000
    keyframes_only: bool = False  # a cheap first pass: at most one keyframe an interval
    sound: bool = True  # without it, what has only sound has nothing
    threads: int = 1
    codes: bool = False  # whether codes are read, on frames at their native size

    def __post_init__(self) -> None:
        """Refuse a sampling that has no frames."""
        for name in ("interval_ms", "frame_side", "window_ms", "threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"sampling {name} is {getattr(self, name)}, must be at least 1")

    def frame_size(self, width: int, height: int) -> tuple[int, int]:
        """Scale (width, height) so that the shorter side is `frame_side`, aspect kept up to MAX_ASPECT."""
        scale = self.frame_side / min(width, height)
        longest = MAX_ASPECT * self.frame_side
        return min(longest, round(width * scale)), min(longest, round(height * scale))

    @property
    def id(self) -> str:
        """What of it changes the features."""
        chosen = f"{'keyframes' if self.keyframes_only else 'frames'}/{self.interval_ms}ms/{self.frame_side}px"
        return f"{chosen}{'/codes' if self.codes else ''}{'' if self.sound else '/silent'}"


@dataclass(frozen=True)
class Limits:
    """Past any of these a video is a row with a reason."""

    max_bytes: int = 8 << 30
    max_duration_ms: int = 6 * 3600 * 1000
    max_pixels: int = 40_000_000  # 8K is 33 million
    stall_seconds: float = 60.0  # no window for so long: the child is killed
    child_memory_mb: int = 4096  # address space of the decode child
    recycle_after: int = 200  # videos, because decoders leak

    def check_bytes(self, size: int) -> None:
        """Raise MediaError for an empty or an outsized file."""
        if size == 0:
            raise MediaError(ErrorCode.EMPTY_FILE, "the file has no bytes")
        if size > self.max_bytes:
            raise MediaError(ErrorCode.TOO_LARGE, f"the file has {size:,} bytes, allowed are {self.max_bytes:,}")

    def check_duration(self, duration_ms: int) -> None:
        """Raise MediaError for a video longer than allowed."""
        if duration_ms > self.max_duration_ms:
            found, allowed = duration_ms / 3.6e6, self.max_duration_ms / 3.6e6
            raise MediaError(ErrorCode.TOO_LONG, f"the video lasts {found:.1f} h, allowed are {allowed:.1f} h")

    def check_pixels(self, width: int, height: int) -> None:
        """Raise MediaError for a frame without area or larger than allowed."""
        if min(width, height) < 1:
            raise MediaError(ErrorCode.DAMAGED, f"the frames are {width} x {height} pixels")
        if width * height > self.max_pixels:
            found = f"the frames are {width} x {height} pixels"
            raise MediaError(ErrorCode.TOO_MANY_PIXELS, f"{found}, allowed are {self.max_pixels:,}")
