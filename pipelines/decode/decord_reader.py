"""Frames by decord: exact random access, resized in the decoder, rotation honoured. The only import of decord."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import decord
import numpy as np
from numpy.typing import NDArray

from pipelines.decode.limits import Sampling
from pipelines.decode.probe import MediaInfo
from pipelines.decode.sampling import frames_at_ticks, window_slices

EDIT_LIST_MS = 100  # decord shows frames that an edit list cuts away; they come before time 0
Frames = tuple[int, NDArray[np.int64], NDArray[np.uint8]]  # window index, frame_ms [T], frames_THWC


class DecordError(Exception):
    """decord cannot read this file, or not on from here; another decoder may."""


class DecordReader:
    """One video, opened: its true timestamps and its sampled frames, window by window."""

    def __init__(self, path: Path, info: MediaInfo, sampling: Sampling) -> None:
        self.sampling = sampling
        try:
            width, height = sampling.frame_size(*info.upright_size)  # decord turns first, then scales
            self.reader = decord.VideoReader(str(path), width=width, height=height, num_threads=sampling.threads)
            spans_s = self.reader.get_frame_timestamp(np.arange(len(self.reader)))
        except (decord.DECORDError, RuntimeError, ValueError, IndexError) as error:
            raise DecordError(_sentence(error)) from error
        # Presentation order, counted from the container's first timestamp.
        self.starts_ms = np.round((spans_s[:, 0] - info.start_s) * 1000).astype(np.int64)
        self.end_ms = round((float(spans_s[-1, 1]) - info.start_s) * 1000)
        if np.any(np.diff(self.starts_ms) < 0) or self.starts_ms[0] < -EDIT_LIST_MS:
            raise DecordError("the timestamps run backwards, or an edit list hides frames")

    def windows(self) -> Iterator[Frames]:
        """Decode the frames on screen at each tick; raises DecordError where decord gives up."""
        first_ms = max(0, int(self.starts_ms[0]))
        chosen = frames_at_ticks(self.starts_ms - first_ms, self.sampling.interval_ms)
        frame_ms = np.maximum(self.starts_ms[chosen], 0)
        for index, first, end in window_slices(frame_ms, self.sampling.window_ms):
            try:
                frames_THWC = self.reader.get_batch(chosen[first:end]).asnumpy()
            except (decord.DECORDError, RuntimeError, ValueError, IndexError) as error:
                raise DecordError(_sentence(error)) from error
            yield index, frame_ms[first:end], frames_THWC


def _sentence(error: Exception) -> str:
    """Keep the line of decord's message that speaks; it opens with a C++ source position."""
    return str(error).strip().splitlines()[0].rpartition("] ")[2][:200] if str(error).strip() else "decord failed"
