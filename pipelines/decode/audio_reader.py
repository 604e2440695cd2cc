"""Sound as 16 kHz mono int16, cut to the windows of the frames."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from numpy.typing import NDArray

from pipelines.decode.limits import Limits
from pipelines.decode.probe import MediaInfo, audio_tracks, clock_ms, demux, open_container
from pipelines.decode.sniff import Format
from pipelines.rows import AUDIO_HZ

Samples = NDArray[np.int16]
GAP_MS = 200  # a longer hole between timestamps is filled with silence
BEYOND_MS = 1000  # sound may outlast the container's own word by so much
LOWEST_HZ = 1000  # a rate that no recorder has would blow up in resampling


class AudioReader:
    """The first sound track of a file, read once from start to end."""

    def __init__(self, path: Path, media: Format, info: MediaInfo, limits: Limits) -> None:
        self.path, self.media, self.info = path, media, info
        self.longest_ms = info.duration_ms + BEYOND_MS if info.duration_ms else limits.max_duration_ms
        self.bad_packets = 0
        self.taken = 0  # samples
        self._made = 0
        self._chunks = self._decode() if info.has_audio else iter(())
        self._left: Samples = np.empty(0, np.int16)

    @property
    def end_ms(self) -> int:
        """How far the sound was taken."""
        return self.taken * 1000 // AUDIO_HZ

    def take(self, samples: int) -> Samples:
        """Return the next `samples` samples, fewer at the end."""
        parts, have = [self._left], len(self._left)
        while have < samples and (chunk := next(self._chunks, None)) is not None:
            parts.append(chunk)
            have += len(chunk)
        whole = np.concatenate(parts)
        self._left = whole[samples:]
        self.taken += min(samples, len(whole))
        return whole[:samples]

    def _decode(self) -> Iterator[Samples]:
        resampler = _Resampler()
        with open_container(self.path, self.media) as container:
            for frame in self._frames(container):
                parts = self._resampled(resampler, frame)
                if parts:
                    yield from self._silence_before(frame)
                for part in parts:
                    self._made += len(part)
                    yield part
            yield from self._resampled(resampler, None)

    def _frames(self, container: InputContainer) -> Iterator[av.AudioFrame]:
        seen = False
        try:
            for packet in demux(container, audio_tracks(container)[0]):
                try:
                    frames = packet.decode()
                except av.FFmpegError:
                    self.bad_packets += seen  # before the first frame it is only a late tune-in
                    continue
                seen = seen or bool(frames)
                yield from frames
        except av.FFmpegError:
            self.bad_packets += 1  # the demuxer cannot go on

    def _resampled(self, resampler: _Resampler, frame: av.AudioFrame | None) -> list[Samples]:
        try:
            return resampler.feed(frame)
        except (av.FFmpegError, ValueError):
            self.bad_packets += 1
            return []

    def _silence_before(self, frame: av.AudioFrame) -> Iterator[Samples]:
        """Fill what the timestamps leave out, a second at a time."""
        if frame.pts is None or frame.time_base is None:
            return
        due_ms = clock_ms(frame.pts, frame.time_base, self.info.start_us)
        self.bad_packets += due_ms > self.longest_ms
        due = min(due_ms, self.longest_ms) * AUDIO_HZ // 1000
        if due - self._made <= GAP_MS * AUDIO_HZ // 1000:
            return
        while self._made < due:
            piece = np.zeros(min(AUDIO_HZ, due - self._made), np.int16)
            self._made += len(piece)
            yield piece


class _Resampler:
    """Any sound to 16 kHz mono int16, also where its rate or its channels change on the way."""

    def __init__(self) -> None:
        self.setup: tuple[str, str, int] | None = None
        self.resampler: av.AudioResampler | None = None

    def feed(self, frame: av.AudioFrame | None) -> list[Samples]:
        """Return the sound that is ready; None takes out the rest."""
        setup = (frame.format.name, frame.layout.name, frame.sample_rate) if frame else None
        parts: list[av.AudioFrame] = []
        if setup != self.setup:
            parts += self.resampler.resample(None) if self.resampler else []
            self.setup, self.resampler = setup, None
        if frame:
            self.resampler = self.resampler or _mono_16k(frame.sample_rate)
            parts += self.resampler.resample(frame)
        return [part.to_ndarray().reshape(-1).astype(np.int16, copy=False) for part in parts]


def _mono_16k(hertz: int) -> av.AudioResampler:
    if hertz < LOWEST_HZ:
        raise ValueError(f"sound at {hertz} Hz")
    return av.AudioResampler(format="s16", layout="mono", rate=AUDIO_HZ)
