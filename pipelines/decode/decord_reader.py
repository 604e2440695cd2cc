"""Frames by decord: exact random access, resized in the decoder, rotation honoured. The only import of decord."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import decord
import numpy as np
from numpy.typing import NDArray

from pipelines.decode.limits import Sampling
from pipelines.decode.orientation import Orientation
from pipelines.decode.probe import MediaInfo
from pipelines.decode.sampling import EngineError, Frames, frames_at_ticks, window_slices
from pipelines.decode.sniff import Format
from pipelines.decode.timeline import Timeline

ERRORS = (decord.DECORDError, decord.DECORDLimitReachedError, RuntimeError, ValueError, IndexError, AssertionError)


def suits_decord(media: Format, info: MediaInfo, sampling: Sampling) -> bool:
    """Whether decord is known to read such a video right.

    It has no AV1, no mirroring, no transparency, no high dynamic range, no choice of a track, no second size for codes.
    """
    turn = info.orientation
    return (
        media.decord
        and info.codec != "av1"
        and info.is_plain
        and not info.has_alpha_track
        and info.video_tracks == 1
        and turn is not None
        and (turn == Orientation() or (media.demuxer == "mov" and turn.is_plain_turn))
        and not sampling.keyframes_only
        and not sampling.codes
    )


class DecordReader:
    """One video, opened: its sampled frames, window by window.

    `is_intact` tells whether another decoder reads a stretch, from and to in milliseconds, without a complaint.
    """

    def __init__(
        self, path: Path, info: MediaInfo, sampling: Sampling, timeline: Timeline, is_intact: Callable[[int, int], bool]
    ) -> None:
        self.sampling, self.is_intact = sampling, is_intact
        if not timeline.is_plain:
            raise EngineError("decord counts packets, and here a packet is not always a picture that is shown")
        size = sampling.frame_size(*info.size)
        width, height = info.orientation.size(*size) if info.orientation else size  # decord turns first, then scales
        try:
            self.reader = decord.VideoReader(str(path), width=width, height=height, num_threads=sampling.threads)
        except ERRORS as error:
            raise EngineError(_sentence(error)) from error
        self.starts_ms = timeline.starts_ms()
        if len(self.reader) != len(self.starts_ms):
            raise EngineError(f"decord counts {len(self.reader)} frames of {len(self.starts_ms)}")

    def windows(self) -> Iterator[Frames]:
        """Decode the frames on screen at each tick; raises EngineError where decord gives up, or seems to."""
        chosen = frames_at_ticks(self.starts_ms - self.starts_ms[0], self.sampling.interval_ms)
        frame_ms = self.starts_ms[chosen]
        last_THWC, last_ms = np.empty((0, 1, 1, 3), np.uint8), frame_ms[:0]
        for index, first, end in window_slices(frame_ms, self.sampling.window_ms):
            try:
                frames_THWC = self.reader.get_batch(chosen[first:end]).asnumpy()
            except ERRORS as error:
                raise EngineError(_sentence(error)) from error
            self._check_stills([*last_THWC, *frames_THWC], [*last_ms.tolist(), *frame_ms[first:end].tolist()])
            last_THWC, last_ms = frames_THWC[-1:], frame_ms[end - 1 : end]
            yield index, frame_ms[first:end], frames_THWC

    def _check_stills(self, frames: list[NDArray[np.uint8]], frame_ms: list[int]) -> None:
        """Over damage decord repeats a frame in silence. So does a still picture: FFmpeg tells the two apart."""
        repeats = [index for index, (one, two) in enumerate(pairwise(frames)) if np.array_equal(one, two)]
        if repeats and not self.is_intact(frame_ms[repeats[0]], frame_ms[repeats[-1] + 1]):
            raise EngineError("decord repeats a frame over damage")


def _sentence(error: Exception) -> str:
    """Keep the line of decord's message that speaks; it opens with a C++ source position."""
    return str(error).strip().splitlines()[0].rpartition("] ")[2][:200] if str(error).strip() else "decord failed"
