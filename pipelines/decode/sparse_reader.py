"""Frames by PyAV that are exactly those of a whole decode, with only the packets decoded that they need.

Two things are left out: what lies between the last sampled frame of a group of pictures and the next keyframe, and,
where the codec marks them, pictures that no other is predicted from and that are not sampled themselves (H.264's
`nal_ref_idc` of 0, ITU-T H.264, 7.4.1). The rest is decoded as ever, so the pixels are the same to the bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from numpy.typing import NDArray

from pipelines.decode.clock import clock_ms
from pipelines.decode.limits import Limits, Sampling
from pipelines.decode.packets import PacketPlan, plan_keyframes, plan_packets
from pipelines.decode.pixels import Pixels, in_windows
from pipelines.decode.probe import MediaInfo, demux, open_container, video_tracks
from pipelines.decode.sampling import EngineError, Frames
from pipelines.decode.sniff import Format
from pipelines.decode.timeline import Timeline, read_timeline

# Where it costs less than decord or as much (benchmarks/decode.py), and where pictures may change their size on the
# way, which decord does not say.
CODECS = {"h264", "hevc", "vp8", "vp9", "mpeg4", "mjpeg", "png"}
REWOUND = {"mov", "matroska"}  # demuxers with an index of keyframes


def suits_sparse(info: MediaInfo, sampling: Sampling) -> bool:
    """Whether a video is worth it."""
    return (info.codec in CODECS or sampling.keyframes_only) and not info.has_alpha_track


class SparseReader:
    """One video, demuxed twice: first to know its packets, then to decode some of them."""

    def __init__(self, path: Path, media: Format, info: MediaInfo, sampling: Sampling, limits: Limits) -> None:
        self.path, self.media, self.info = path, media, info
        self.sampling, self.limits = sampling, limits
        self.timeline = Timeline(info, limits.max_duration_ms)
        self.pixels = Pixels(info, sampling)

    def windows(self) -> Iterator[Frames]:
        """Yield the frames on screen at each tick; raises EngineError at the first sign of damage."""
        yield from in_windows(self._sampled(), self.pixels, self.sampling.window_ms)

    def _sampled(self) -> Iterator[tuple[int, av.VideoFrame]]:
        with open_container(self.path, self.media) as container:
            self.timeline = read_timeline(container, self.info, self.limits)
            if not self.timeline.is_plain:
                raise EngineError("a packet is not always a picture that is shown")
            starts_ms = self.timeline.in_decoding_order_ms()
            choose = plan_keyframes if self.sampling.keyframes_only else plan_packets
            plan = choose(starts_ms, self.timeline.is_key(), self.sampling.interval_ms)
            if not len(plan.wanted):
                raise EngineError("there is no keyframe")
            due_ms = iter(starts_ms[plan.wanted].tolist())
            with self._from_the_start(container) as again:
                wanted = next(due_ms)
                for start_ms, frame in self._decoded(again, plan, starts_ms):
                    if start_ms == wanted:
                        yield start_ms, frame
                        if (wanted := next(due_ms, None)) is None:
                            return
        raise EngineError(f"the frame of {wanted} ms did not come")

    @contextmanager
    def _from_the_start(self, container: InputContainer) -> Iterator[InputContainer]:
        """Rewind where that is sure to work, else open again: opening decodes a little to see what there is."""
        if self.media.demuxer in REWOUND:
            container.seek(self.info.start_us)
            yield container
        else:
            with open_container(self.path, self.media) as again:
                yield again

    def _decoded(
        self, container: InputContainer, plan: PacketPlan, starts_ms: NDArray[np.int64]
    ) -> Iterator[tuple[int, av.VideoFrame]]:
        """What the packets of the plan give, in the order in which it is shown."""
        codec = video_tracks(container)[0].codec_context
        codec.thread_count, codec.thread_type = self.sampling.threads, "AUTO"
        codec.options = {"max_pixels": str(self.limits.max_pixels)}  # a stream may grow on the way
        wanted, skipped = set(plan.wanted.tolist()), False
        try:
            for number, packet in self._numbered(container, starts_ms):
                if not plan.needed[number]:
                    skipped = True
                    continue
                if skipped:  # the plan goes on at a keyframe, where the decoder begins anew
                    yield from self._timed(codec.decode(None), packet.time_base)
                    codec.flush_buffers()
                    skipped = False
                codec.skip_frame = "DEFAULT" if number in wanted else "NONREF"
                yield from self._timed(codec.decode(packet), packet.time_base)
            yield from self._timed(codec.decode(None), packet.time_base)
        except av.FFmpegError as error:
            raise EngineError("a packet cannot be decoded") from error

    def _numbered(
        self, container: InputContainer, starts_ms: NDArray[np.int64]
    ) -> Iterator[tuple[int, av.Packet[av.VideoStream]]]:
        """Count packets as the timeline did."""
        packets = (packet for packet in demux(container, video_tracks(container)[0]) if packet.pts is not None)
        for number, (start_ms, packet) in enumerate(zip(starts_ms.tolist(), packets, strict=False)):
            if self._start_ms(packet.pts, packet.time_base) != start_ms:
                raise EngineError("the packets are not those that were counted")
            yield number, packet

    def _timed(self, frames: list[av.VideoFrame], time_base: Fraction | None) -> Iterator[tuple[int, av.VideoFrame]]:
        for frame in frames:
            if frame.is_corrupt:
                raise EngineError("a picture is damaged")
            yield self._start_ms(frame.pts, time_base), frame

    def _start_ms(self, pts: int | None, time_base: Fraction | None) -> int:
        if pts is None or time_base is None:
            raise EngineError("a picture has no time")
        return clock_ms(pts, time_base, self.info.start_us)
