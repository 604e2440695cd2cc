"""From a decoded frame to the pixels that models see: scaled in FFmpeg, turned upright."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from pipelines.decode.limits import Sampling
from pipelines.decode.orientation import orientation_of
from pipelines.decode.probe import MediaInfo
from pipelines.decode.sampling import Frames

SCALING = Interpolation.BILINEAR  # decord's, so that a video looks the same to the models whoever decodes it


class Pixels:
    """Of one video: all its frames get one size."""

    def __init__(self, info: MediaInfo, sampling: Sampling) -> None:
        self.size = sampling.frame_size(*info.size)  # as coded
        self.orientation = info.orientation
        self.reformatter = VideoReformatter()

    def of(self, frame: av.VideoFrame) -> NDArray[np.uint8]:
        """Return uint8 [H, W, 3]."""
        if self.orientation is None:
            self.orientation = orientation_of(frame)
        small = self.reformatter.reformat(frame, *self.size, "rgb24", interpolation=SCALING, threads=1)
        return self.orientation.upright(small.to_ndarray().astype(np.uint8, copy=False))


def in_windows(sampled: Iterable[tuple[int, av.VideoFrame]], pixels: Pixels, window_ms: int) -> Iterator[Frames]:
    """Group sampled frames, in order, by the window that they are shown in."""
    for index, group in groupby(sampled, key=lambda one: one[0] // window_ms):
        window = [(start_ms, pixels.of(frame)) for start_ms, frame in group]
        yield index, np.array([ms for ms, _ in window], np.int64), np.stack([each for _, each in window])
