"""One track of sound at 16 kHz, its channels as floats, cut to the windows of the frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from numpy.typing import NDArray

from pipelines.decode.limits import Limits
from pipelines.decode.probe import MediaInfo, clock_ms, demux, open_container
from pipelines.decode.sniff import Format
from pipelines.rows import AUDIO_HZ

GAP_MS = 200  # a longer hole between timestamps is filled with silence
BEYOND_MS = 1000  # sound may outlast the container's own word by so much
STEREO = ("FL", "FR")  # two channels are left and right, also where a file does not say so
LOWEST_HZ = 1000  # a rate that no recorder has would blow up in resampling


@dataclass(frozen=True)
class Channels:
    """Sound of one layout: float32 of -1 to 1, [C, N], and FFmpeg's name of each channel."""

    names: tuple[str, ...]
    sound_CN: NDArray[np.float32]

    def __len__(self) -> int:
        return int(self.sound_CN.shape[1])

    def cut(self, at: int) -> tuple[Channels, Channels]:
        """What comes before a sample, and the rest."""
        return Channels(self.names, self.sound_CN[:, :at]), Channels(self.names, self.sound_CN[:, at:])


class AudioReader:
    """One track of a file, by its place among those of sound, read once from start to end."""

    def __init__(self, path: Path, media: Format, info: MediaInfo, limits: Limits, place: int = 0) -> None:
        self.path, self.media, self.info, self.place = path, media, info, place
        self.longest_ms = info.duration_ms + BEYOND_MS if info.duration_ms else limits.max_duration_ms
        self.bad_packets = 0
        self.taken = 0  # samples
        self._made = 0
        self._chunks = self._decode()
        self._left: list[Channels] = []

    @property
    def end_ms(self) -> int:
        """How far the sound was taken."""
        return self.taken * 1000 // AUDIO_HZ

    def take(self, samples: int) -> list[Channels]:
        """Return the next `samples` samples, fewer at the end; one part for each change of layout."""
        parts = self._left
        have = sum(map(len, parts))
        while have < samples and (chunk := next(self._chunks, None)) is not None:
            parts.append(chunk)
            have += len(chunk)
        whole = _joined(parts)
        taken: list[Channels] = []
        while whole and samples > 0:
            first, rest = whole.pop(0).cut(samples)
            samples -= len(first)
            taken.append(first)
            if len(rest):
                whole.insert(0, rest)
        self._left = whole
        self.taken += sum(map(len, taken))
        return taken

    def _decode(self) -> Iterator[Channels]:
        resampler = _Resampler()
        with open_container(self.path, self.media) as container:
            for frame in self._frames(container):
                parts = self._resampled(resampler, frame)
                if parts:
                    yield from self._silence_before(frame, parts[0].names)
                for part in parts:
                    self._made += len(part)
                    yield part
            yield from self._resampled(resampler, None)

    def _frames(self, container: InputContainer) -> Iterator[av.AudioFrame]:
        seen, failed = False, 0
        try:
            for packet in demux(container, container.streams.audio[self.place]):
                try:
                    frames = packet.decode()
                except av.FFmpegError:
                    failed += 1
                    self.bad_packets += seen  # before the first frame it is only a late tune-in
                    continue
                seen = seen or bool(frames)
                yield from frames
        except av.FFmpegError:
            self.bad_packets += 1  # the demuxer cannot go on
        self.bad_packets += 0 if seen else failed

    def _resampled(self, resampler: _Resampler, frame: av.AudioFrame | None) -> list[Channels]:
        try:
            return resampler.feed(frame)
        except (av.FFmpegError, ValueError):
            self.bad_packets += 1
            return []

    def _silence_before(self, frame: av.AudioFrame, names: tuple[str, ...]) -> Iterator[Channels]:
        """Fill what the timestamps leave out, a second at a time."""
        if frame.pts is None or frame.time_base is None:
            return
        due_ms = clock_ms(frame.pts, frame.time_base, self.info.start_us)
        self.bad_packets += due_ms > self.longest_ms
        due = min(due_ms, self.longest_ms) * AUDIO_HZ // 1000
        if due - self._made <= GAP_MS * AUDIO_HZ // 1000:
            return
        while self._made < due:
            piece = np.zeros((len(names), min(AUDIO_HZ, due - self._made)), np.float32)
            self._made += piece.shape[1]
            yield Channels(names, piece)


def _joined(parts: list[Channels]) -> list[Channels]:
    """Put neighbours of one layout together."""
    groups: list[list[Channels]] = []
    for part in parts:
        if groups and groups[-1][0].names == part.names:
            groups[-1].append(part)
        else:
            groups.append([part])
    return [Channels(group[0].names, np.concatenate([part.sound_CN for part in group], axis=1)) for group in groups]


class _Resampler:
    """Any sound to floats at 16 kHz, channels kept, also where its rate or its channels change on the way."""

    def __init__(self) -> None:
        self.setup: tuple[str, str, int] | None = None
        self.names: tuple[str, ...] = ()
        self.resampler: av.AudioResampler | None = None

    def feed(self, frame: av.AudioFrame | None) -> list[Channels]:
        """Return the sound that is ready; None takes out the rest."""
        setup = (frame.format.name, frame.layout.name, frame.sample_rate) if frame else None
        parts: list[Channels] = []
        if setup != self.setup:
            parts += self._channels(self.resampler.resample(None)) if self.resampler else []
            self.setup, self.resampler = setup, None
        if frame:
            if self.resampler is None:
                names = tuple(channel.name for channel in frame.layout.channels)
                self.names = STEREO if len(names) == 2 else names
                self.resampler = _at_16k(frame)
            parts += self._channels(self.resampler.resample(frame))
        return parts

    def _channels(self, frames: list[av.AudioFrame]) -> list[Channels]:
        count = len(self.names)
        return [Channels(self.names, _floats(frame).reshape(-1, count).T) for frame in frames]


def _floats(frame: av.AudioFrame) -> NDArray[np.float32]:
    return np.asarray(frame.to_ndarray(), np.float32)


def _at_16k(frame: av.AudioFrame) -> av.AudioResampler:
    if frame.sample_rate < LOWEST_HZ:
        raise ValueError(f"sound at {frame.sample_rate} Hz")
    # in one plane: PyAV keeps pointers to eight planes of a frame and no more
    return av.AudioResampler(format="flt", layout=frame.layout, rate=AUDIO_HZ)
