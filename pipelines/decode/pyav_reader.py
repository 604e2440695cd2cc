"""Frames by PyAV: what decord cannot read (AV1, damaged files, streams without an index), and keyframes only."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av

from pipelines.decode.clock import clock_ms
from pipelines.decode.limits import Limits, Sampling
from pipelines.decode.pixels import Pixels, in_windows
from pipelines.decode.probe import MediaInfo, decoder_of, demux, open_container, video_tracks
from pipelines.decode.sampling import Frames, TickFilter
from pipelines.decode.sniff import Format
from pipelines.decode.timeline import Timeline

JUMP_MS = 1000  # a timestamp this much before its predecessor begins a new count: two recordings in one file


class PyAVReader:
    """One video, read from its start to its end or to where it breaks."""

    def __init__(self, path: Path, media: Format, info: MediaInfo, sampling: Sampling, limits: Limits) -> None:
        self.path, self.media, self.info = path, media, info
        self.sampling, self.limits = sampling, limits
        self.pixels = Pixels(info, sampling)
        self.timeline = Timeline(info, limits.max_duration_ms, sampling.keyframes_only)
        self.period_ms = 1.0  # from picture to picture, where none has a time

    def windows(self) -> Iterator[Frames]:
        """Yield the frames on screen at each tick, window by window; stops quietly where the file breaks."""
        yield from in_windows(self._sampled(), self.pixels, self.sampling.window_ms)

    def _sampled(self) -> Iterator[tuple[int, av.VideoFrame]]:
        due = TickFilter(self.sampling.interval_ms)
        held: tuple[int, av.VideoFrame] | None = None
        first_ms = 0
        for start_ms, frame in self._on_one_clock():
            self.limits.check_duration(start_ms)
            if held is None:
                first_ms = start_ms
            elif start_ms <= held[0]:
                continue  # a timestamp that repeats shows nothing new
            elif due.is_due(held[0] - first_ms, start_ms - first_ms):
                yield held
            held = (start_ms, frame)
        if held and due.is_due(held[0] - first_ms, None):
            yield held

    def _on_one_clock(self) -> Iterator[tuple[int, av.VideoFrame]]:
        """Time the frames, also where the file's own clock starts again or is silent.

        A bare stream has no clock at all: its pictures follow each other at its rate.
        """
        shift_ms, now_ms, timed = 0, -1, False
        for number, frame in enumerate(self._frames()):
            own_ms = self._start_ms(frame)
            timed = timed or own_ms is not None
            untimed_ms = now_ms + 1 if timed else round(number * self.period_ms)
            start_ms = untimed_ms if own_ms is None else own_ms + shift_ms
            if start_ms < now_ms - JUMP_MS:
                self.timeline.jumps += 1
                shift_ms += now_ms + 1 - start_ms
                start_ms = now_ms + 1
            now_ms = max(now_ms, start_ms)
            yield max(0, start_ms), frame

    def _start_ms(self, frame: av.VideoFrame) -> int | None:
        if frame.pts is None or frame.time_base is None:
            return None
        return clock_ms(frame.pts, frame.time_base, self.info.start_us)

    def _frames(self) -> Iterator[av.VideoFrame]:
        seen = False
        with open_container(self.path, self.media) as container:
            stream = video_tracks(container)[0]
            codec = decoder_of(stream)
            self._set_up(codec, stream.guessed_rate or stream.average_rate)
            for packet in self.timeline.packets(container):
                if packet.size == 0 and packet.pts is not None:
                    continue  # Theora repeats a frame so; only the flushing packet may be empty
                try:
                    frames = codec.decode(packet)
                except av.FFmpegError:
                    self.timeline.bad_packets += seen  # before the first frame it is only a late tune-in
                    continue
                for frame in frames:
                    seen = True
                    self.timeline.bad_packets += frame.is_corrupt
                    self.timeline.shown(self._start_ms(frame) or 0)
                    yield frame
        self.timeline.shown(self.timeline.end_ms)

    def _set_up(self, codec: av.VideoCodecContext, rate: Fraction | None) -> None:
        self.period_ms = max(1.0, 1000 / float(rate)) if rate else 1.0
        codec.thread_count, codec.thread_type = self.sampling.threads, "AUTO"
        codec.options = {"max_pixels": str(self.limits.max_pixels)}  # a stream may grow on the way
        if self.sampling.keyframes_only:
            codec.skip_frame = "NONKEY"


def is_intact(path: Path, media: Format, info: MediaInfo, from_ms: int, to_ms: int) -> bool:
    """Decode the stretch between two times, from the keyframe before, and tell whether nothing in it is damaged."""
    with open_container(path, media) as container:
        stream = video_tracks(container)[0]
        try:
            container.seek(from_ms * 1000 + info.start_us)
            for packet in demux(container, stream):
                for frame in packet.decode():
                    if frame.is_corrupt or frame.pts is None or frame.time_base is None:
                        return False
                    if clock_ms(frame.pts, frame.time_base, info.start_us) >= to_ms:
                        return True
        except av.FFmpegError:
            return False
    return True
