"""One file to windows: choose the decoder, fall back where it fails, say how the video ended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.decode.audio_reader import AudioReader
from pipelines.decode.decord_reader import DecordError, DecordReader
from pipelines.decode.limits import Limits, Sampling
from pipelines.decode.picture_reader import read_picture
from pipelines.decode.probe import MediaInfo, probe
from pipelines.decode.pyav_reader import PyAVReader
from pipelines.decode.sniff import Format, format_of
from pipelines.rows import AUDIO_HZ, ErrorCode, MediaError, Window

MISSING_MS = 1500  # a picture track that ends this much before its own header says is cut off
MISSING_SHARE = 0.05


@dataclass(frozen=True)
class End:
    """What is known of a video once it was read: the last thing that `read` yields."""

    media: str  # "video", "picture" or "audio"
    decoder: str
    duration_ms: int
    error: MediaError | None = None


def read(path: Path, sampling: Sampling, limits: Limits) -> Iterator[Window | End]:
    """Yield the windows of a file in order, then one End. Raises MediaError where nothing can be read."""
    media = format_of(path, limits)
    if media.is_picture:
        frames_THWC = read_picture(path, sampling, limits)
        yield Window(0, 0, 0, (0,), frames_THWC)
        yield End("picture", "pillow", 0)
        return
    info = probe(path, media, limits)
    audio = AudioReader(path, media, info)
    if not info.has_video:
        yield from _sound_only(audio, sampling, limits)
        return
    yield from _with_sound(_Frames(path, media, info, sampling, limits), audio, info, sampling)


class _Frames:
    """Windows of frames from decord, and from PyAV on from where decord gives up."""

    def __init__(self, path: Path, media: Format, info: MediaInfo, sampling: Sampling, limits: Limits) -> None:
        self.path, self.media, self.info, self.sampling, self.limits = path, media, info, sampling, limits
        self.decoder = "decord"
        self.end_ms = 0
        self.bad_packets = 0

    def windows(self) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.uint8]]]:
        done = -1
        if self.media.decord and not self.sampling.keyframes_only and self.info.codec != "av1":
            try:
                reader = DecordReader(self.path, self.info, self.sampling)
                for window in reader.windows():
                    yield window
                    done = window[0]
                self.end_ms = reader.end_ms
            except DecordError:
                pass
            else:
                return
        self.decoder = "pyav"
        fallback = PyAVReader(self.path, self.media, self.info, self.sampling, self.limits)
        for window in fallback.windows():
            if window[0] > done:
                yield window
        self.end_ms, self.bad_packets = fallback.end_ms, fallback.bad_packets


def _with_sound(frames: _Frames, audio: AudioReader, info: MediaInfo, sampling: Sampling) -> Iterator[Window | End]:
    """Join every window of frames with its stretch of sound; a stretch with only one of the two is a window too."""
    per_window = sampling.window_ms * AUDIO_HZ // 1000
    index = 0
    last_frame_ms = -1
    for found, frame_ms, frames_THWC in frames.windows():
        while index < found:
            yield _window(index, sampling, audio.take(per_window))
            index += 1
        yield _window(index, sampling, audio.take(per_window), frame_ms, frames_THWC)
        index, last_frame_ms = index + 1, int(frame_ms[-1])
    if last_frame_ms < 0:
        raise MediaError(ErrorCode.DAMAGED, f"no frame of the {info.codec} video could be decoded")
    while len(sound := audio.take(per_window)):
        yield _window(index, sampling, sound)
        index += 1
    end_ms = max(frames.end_ms, last_frame_ms)
    yield End("video", frames.decoder, max(end_ms, audio.end_ms), _how_it_ended(frames, audio, info, end_ms))


def _window(
    index: int,
    sampling: Sampling,
    sound: NDArray[np.int16],
    frame_ms: NDArray[np.int64] | None = None,
    frames_THWC: NDArray[np.uint8] | None = None,
) -> Window:
    start_ms = index * sampling.window_ms
    times = () if frame_ms is None else tuple(int(ms) for ms in frame_ms)
    return Window(index, start_ms, start_ms + sampling.window_ms, times, frames_THWC, sound if len(sound) else None)


def _how_it_ended(frames: _Frames, audio: AudioReader, info: MediaInfo, end_ms: int) -> MediaError | None:
    promised_ms = info.video_ms or info.duration_ms
    if promised_ms - end_ms > max(MISSING_MS, MISSING_SHARE * promised_ms):
        seen = f"pictures end at {end_ms / 1000:.1f} s of {promised_ms / 1000:.1f} s"
        return MediaError(ErrorCode.TRUNCATED, seen)
    if frames.bad_packets:
        return MediaError(ErrorCode.DAMAGED, f"{frames.bad_packets} packets or frames of the video are damaged")
    if audio.failed:
        return MediaError(ErrorCode.DAMAGED, f"the sound track breaks off at {audio.end_ms / 1000:.1f} s")
    return None


def _sound_only(audio: AudioReader, sampling: Sampling, limits: Limits) -> Iterator[Window | End]:
    per_window = sampling.window_ms * AUDIO_HZ // 1000
    index = 0
    while len(sound := audio.take(per_window)):
        limits.check_duration(audio.end_ms)
        yield _window(index, sampling, sound)
        index += 1
    if index == 0:
        raise MediaError(ErrorCode.DAMAGED, "no sample of the sound could be decoded")
    unseen = MediaError(ErrorCode.NO_VIDEO, "there is sound and no picture, and no model of this run listens")
    yield End("audio", "pyav", audio.end_ms, unseen)
