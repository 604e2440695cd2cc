"""Frames by PyAV: what decord cannot read (AV1, damaged files, streams without an index), and keyframes only."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from pipelines.decode.limits import Limits, Sampling
from pipelines.decode.probe import MediaInfo, first_video, open_container
from pipelines.decode.sampling import TickFilter
from pipelines.decode.sniff import Format
from pipelines.rows import ErrorCode, MediaError

Frames = tuple[int, NDArray[np.int64], NDArray[np.uint8]]  # window index, frame_ms [T], frames_THWC


class PyAVReader:
    """One video, read from its start to its end or to where it breaks."""

    def __init__(self, path: Path, media: Format, info: MediaInfo, sampling: Sampling, limits: Limits) -> None:
        self.path, self.media, self.info = path, media, info
        self.sampling, self.limits = sampling, limits
        self.reformatter = VideoReformatter()
        self.end_ms = 0  # of the last packet that was read
        self.bad_packets = 0

    def windows(self) -> Iterator[Frames]:
        """Yield the frames on screen at each tick, window by window; stops quietly where the file breaks."""
        window: list[tuple[int, NDArray[np.uint8]]] = []
        index = 0
        for start_ms, frame in self._sampled():
            if window and start_ms // self.sampling.window_ms != index:
                yield _packed(index, window)
                window = []
            index = start_ms // self.sampling.window_ms
            window.append((start_ms, self._pixels(frame)))
        if window:
            yield _packed(index, window)

    def _sampled(self) -> Iterator[tuple[int, av.VideoFrame]]:
        due = TickFilter(self.sampling.interval_ms)
        held: tuple[int, av.VideoFrame] | None = None
        first_ms = 0
        for frame in self._frames():
            start_ms = self._start_ms(frame)
            self.limits.check_duration(start_ms)
            if held is None:
                first_ms = start_ms
            elif start_ms <= held[0]:
                continue  # a timestamp that runs backwards shows nothing new
            elif due.is_due(held[0] - first_ms, start_ms - first_ms):
                yield held
            held = (start_ms, frame)
        if held and due.is_due(held[0] - first_ms, None):
            yield held

    def _frames(self) -> Iterator[av.VideoFrame]:
        with open_container(self.path, self.media) as container:
            stream = first_video(container)
            if stream is None:
                raise MediaError(ErrorCode.NO_VIDEO, "the container has no pictures")
            stream.codec_context.thread_count = self.sampling.threads
            stream.codec_context.thread_type = "AUTO"
            if self.sampling.keyframes_only:
                stream.codec_context.skip_frame = "NONKEY"
            seen = False
            try:
                for packet in container.demux(stream):
                    if packet.size == 0 and packet.pts is not None:
                        continue  # Theora repeats a frame so; only the flushing packet may be empty
                    self._extend_end(packet)
                    try:
                        for frame in packet.decode():
                            seen = True
                            self.bad_packets += frame.is_corrupt
                            yield frame
                    except av.FFmpegError:
                        self.bad_packets += seen  # before the first frame it is only a late tune-in
            except av.FFmpegError:
                self.bad_packets += 1  # the demuxer cannot go on

    def _extend_end(self, packet: av.Packet[av.VideoStream]) -> None:
        if packet.pts is not None and packet.time_base is not None and not packet.is_discard:
            end_s = float((packet.pts + (packet.duration or 0)) * packet.time_base) - self.info.start_s
            self.end_ms = max(self.end_ms, round(end_s * 1000))

    def _start_ms(self, frame: av.VideoFrame) -> int:
        return max(0, round(((frame.time or 0.0) - self.info.start_s) * 1000))

    def _pixels(self, frame: av.VideoFrame) -> NDArray[np.uint8]:
        """Scale in FFmpeg, then turn by the display matrix: uint8 [H, W, 3]."""
        self.limits.check_pixels(frame.width, frame.height)
        width, height = self.sampling.frame_size(frame.width, frame.height)
        small = self.reformatter.reformat(frame, width, height, "rgb24", interpolation=Interpolation.BICUBIC)
        return np.rot90(small.to_ndarray(), round(frame.rotation / 90) % 4)


def _packed(index: int, window: list[tuple[int, NDArray[np.uint8]]]) -> Frames:
    """Stack a window; a stream that changes its size in between keeps the frames of the first size."""
    shape = window[0][1].shape
    same = [(ms, pixels) for ms, pixels in window if pixels.shape == shape]
    return index, np.array([ms for ms, _ in same], np.int64), np.stack([pixels for _, pixels in same])
