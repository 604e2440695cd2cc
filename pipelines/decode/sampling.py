"""Which frames stand for a video: the one on screen at every tick, by its true timestamp."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Frames = tuple[int, NDArray[np.int64], NDArray[np.uint8]]  # window index, frame_ms [T], frames_THWC


class EngineError(Exception):
    """This way of decoding cannot read the file, or not on from here; a slower one may."""


def frames_at_ticks(starts_ms: NDArray[np.int64], interval_ms: int) -> NDArray[np.int64]:
    """Return the indices of the frames on screen at 0, interval, 2 interval, ...; each once.

    `starts_ms` is sorted and begins at 0: with a variable frame rate its gaps differ, and a frame that stays
    longer than an interval is taken once.
    """
    if len(starts_ms) == 0:
        return np.empty(0, np.int64)
    ticks_ms = np.arange(0, starts_ms[-1] + 1, interval_ms)
    return np.unique(np.searchsorted(starts_ms, ticks_ms, side="right") - 1).astype(np.int64)


class TickFilter:
    """The same choice for frames that come one at a time: keep the newest, emit it when a tick has passed it."""

    def __init__(self, interval_ms: int) -> None:
        self.interval_ms = interval_ms
        self.tick_ms = 0

    def is_due(self, start_ms: int, next_start_ms: int | None) -> bool:
        """Tell whether a frame on screen from `start_ms` to before `next_start_ms` (None: the last) is taken."""
        if next_start_ms is not None and next_start_ms <= self.tick_ms:
            return False
        if start_ms < self.tick_ms and next_start_ms is None:
            return False
        reached = start_ms if next_start_ms is None else next_start_ms - 1
        self.tick_ms = (reached // self.interval_ms + 1) * self.interval_ms
        return True


def window_slices(frame_ms: NDArray[np.int64], window_ms: int) -> list[tuple[int, int, int]]:
    """Cut sampled frames into windows: (window index, first, past the last), in order, empty ones left out."""
    indices = frame_ms // window_ms
    starts = np.flatnonzero(np.diff(indices, prepend=-1))
    ends = [*starts[1:], len(frame_ms)]
    return [(int(indices[first]), int(first), int(end)) for first, end in zip(starts, ends, strict=True)]
