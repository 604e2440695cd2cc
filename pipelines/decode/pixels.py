"""From a decoded frame to the pixels that models see: scaled in FFmpeg, in the shape and the colours of a player."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from pipelines.decode.codes import CodeReader
from pipelines.decode.limits import Sampling
from pipelines.decode.orientation import orientation_of
from pipelines.decode.probe import MediaInfo
from pipelines.decode.sampling import Frames
from pipelines.decode.tone import is_hdr, to_sdr
from pipelines.decode.transparency import has_alpha, on_ground

SCALING = Interpolation.BILINEAR  # decord's, so that a video looks the same to the models whoever decodes it
Picture = NDArray[np.uint8]


class Pixels:
    """Of one video: each frame in the shape in which it is shown."""

    def __init__(self, info: MediaInfo, sampling: Sampling) -> None:
        self.sampling, self.aspect = sampling, info.pixel_aspect
        self.orientation, self.turned = info.orientation, info.turned
        self.reformatter = VideoReformatter()
        self.codes = CodeReader() if sampling.codes else None

    def of(self, frame: av.VideoFrame) -> Picture:
        """Return uint8 [H, W, 3]."""
        if self.orientation is None or frame.rotation != self.turned:  # a stream may be turned on the way
            self.orientation, self.turned = orientation_of(frame), frame.rotation
        shown = frame.width * self.aspect.numerator, frame.height * self.aspect.denominator
        return self.orientation.upright(self._scaled(frame, *self.sampling.frame_size(*shown)))

    def seen(self, start_ms: int, frame: av.VideoFrame) -> Picture:
        """The same, and codes are read on the way."""
        if self.codes:
            self.codes.look(start_ms, frame)
        return self.of(frame)

    def _scaled(self, frame: av.VideoFrame, width: int, height: int) -> Picture:
        if is_hdr(frame.color_trc):
            return to_sdr(self._as(frame, width, height, "rgb48le"), frame.color_trc, frame.color_primaries)
        if has_alpha(frame.format):
            return on_ground(self._as(frame, width, height, "rgba"))
        return self._as(frame, width, height, "rgb24").astype(np.uint8, copy=False)

    def _as(self, frame: av.VideoFrame, width: int, height: int, layout: str) -> NDArray[Any]:
        small = self.reformatter.reformat(frame, width, height, layout, interpolation=SCALING, threads=1)
        return small.to_ndarray()


def in_windows(sampled: Iterable[tuple[int, av.VideoFrame]], pixels: Pixels, window_ms: int) -> Iterator[Frames]:
    """Group sampled frames, in order, by the window that they are shown in."""
    for index, group in groupby(sampled, key=lambda one: one[0] // window_ms):
        window = [(start_ms, pixels.seen(start_ms, frame)) for start_ms, frame in group]
        yield index, np.array([ms for ms, _ in window], np.int64), of_one_size([each for _, each in window])


def of_one_size(frames: Sequence[Picture]) -> NDArray[np.uint8]:
    """Stack frames; where they differ in shape each keeps its own, in the middle of black."""
    height, width = (max(frame.shape[side] for frame in frames) for side in (0, 1))
    if all(frame.shape[:2] == (height, width) for frame in frames):
        return np.stack(frames)
    frames_THWC = np.zeros((len(frames), height, width, 3), np.uint8)
    for whole_HWC, frame in zip(frames_THWC, frames, strict=True):
        top, left = (height - frame.shape[0]) // 2, (width - frame.shape[1]) // 2
        whole_HWC[top : top + frame.shape[0], left : left + frame.shape[1]] = frame
    return frames_THWC
