"""Sound as 16 kHz mono int16, cut to the windows of the frames."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from pipelines.decode.probe import MediaInfo, open_container
from pipelines.decode.sniff import Format
from pipelines.rows import AUDIO_HZ

GAP_S = 0.2  # a longer hole between timestamps is filled with silence


class AudioReader:
    """The first sound track of a file, read once from start to end."""

    def __init__(self, path: Path, media: Format, info: MediaInfo) -> None:
        self.path, self.media, self.info = path, media, info
        self.failed = False  # the track broke off
        self.end_ms = 0
        self._chunks = self._decode() if info.has_audio else iter(())
        self._left = np.empty(0, np.int16)

    def take(self, samples: int | None) -> NDArray[np.int16]:
        """Return the next `samples` samples, fewer at the end; None takes all that is left."""
        parts, have = [self._left], len(self._left)
        while samples is None or have < samples:
            chunk = next(self._chunks, None)
            if chunk is None:
                break
            parts.append(chunk)
            have += len(chunk)
        whole = np.concatenate(parts)
        cut = len(whole) if samples is None else samples
        self._left = whole[cut:]
        self.end_ms += len(whole[:cut]) * 1000 // AUDIO_HZ
        return whole[:cut]

    def _decode(self) -> Iterator[NDArray[np.int16]]:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=AUDIO_HZ)
        written = 0
        with open_container(self.path, self.media) as container:
            try:
                for frame in container.decode(container.streams.audio[0]):
                    missing = self._samples_missing(frame, written)
                    if missing:
                        yield np.zeros(missing, np.int16)
                        written += missing
                    for part in resampler.resample(frame):
                        samples = part.to_ndarray().reshape(-1).astype(np.int16, copy=False)
                        written += len(samples)
                        yield samples
                for part in resampler.resample(None):
                    yield part.to_ndarray().reshape(-1).astype(np.int16, copy=False)
            except (av.FFmpegError, ValueError):
                self.failed = True

    def _samples_missing(self, frame: av.AudioFrame, written: int) -> int:
        if frame.time is None:
            return 0
        due = round((frame.time - self.info.start_s) * AUDIO_HZ)
        hole = min(due, round((self.info.duration_ms / 1000 + 1) * AUDIO_HZ)) - written
        return hole if hole > GAP_S * AUDIO_HZ else 0
