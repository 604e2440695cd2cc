"""Small films made on the spot: every test draws its own, so that nothing depends on a file outside the repository."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

Draw = Callable[[int, int, int], NDArray[np.uint8]]
PIXELS = {"mjpeg": "yuvj420p", "gif": "rgb8"}
OPTIONS = {
    "libx264": {"sc_threshold": "0"},  # keyframes come by the clock
    "libx265": {"x265-params": "log-level=none"},
    "libsvtav1": {"preset": "12", "svtav1-params": "lp=1"},
}


@contextmanager
def same_scheduling() -> Iterator[None]:
    """Undo what SVT-AV1 does for root: the thread that encodes gets real-time priority, and keeps it.

    All that the thread starts later inherits it, and two spinning threads with that priority leave two cores to nobody.
    """
    policy, priority = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, priority)


def shade(index: int) -> int:
    """The grey level that tells frame `index` from its neighbours, also after lossy coding."""
    return 40 + (index * 23) % 180


def corners(index: int, width: int, height: int) -> NDArray[np.uint8]:
    """Draw grey by `shade` with a red quarter top left and a blue one below it: no turn or mirroring looks the same."""
    picture = np.full((height, width, 3), shade(index), np.uint8)
    picture[: height // 2, : width // 2] = (220, 20, 20)
    picture[height // 2 :, : width // 2] = (20, 20, 220)
    return picture


def noise(index: int, width: int, height: int) -> NDArray[np.uint8]:
    """Draw grey grain, which compresses badly, so that a file has bytes enough to damage."""
    grain = np.random.default_rng(index).integers(0, 255, (height, width, 1), np.uint8)
    return np.repeat(grain, 3, axis=2)


@dataclass(frozen=True)
class Tone:
    """A sine wave from `start_s` on."""

    seconds: float
    hertz: float = 440.0
    start_s: float = 0.0
    amplitude: float = 0.5
    layout: str = "mono"
    rate: int = 48_000
    codec: str = "aac"


class SoundTrack:
    """Encodes a tone beside the picture, interleaved as a camera does it."""

    def __init__(self, out: av.container.OutputContainer, tone: Tone) -> None:
        self.out, self.tone, self.done = out, tone, 0
        self.stream = out.add_stream(tone.codec, rate=tone.rate, layout=tone.layout)
        sample = self.stream.codec_context.format.name
        self.resampler = av.AudioResampler(format=sample, layout=tone.layout, rate=tone.rate)

    def until(self, seconds: float) -> None:
        """Encode up to there, or to the tone's end."""
        tone, size = self.tone, self.stream.codec_context.frame_size or 1024
        while self.done < min(seconds - tone.start_s, tone.seconds) * tone.rate:
            count = min(size, round(tone.seconds * tone.rate) - self.done)
            self.out.mux(self.stream.encode(self._frame(np.arange(self.done, self.done + count))))
            self.done += count

    def close(self) -> None:
        """Encode the rest."""
        self.until(float("inf"))
        self.out.mux(self.stream.encode(None))

    def _frame(self, at: NDArray[np.int64]) -> av.AudioFrame:
        tone, context = self.tone, self.stream.codec_context
        wave = tone.amplitude * np.sin(2 * np.pi * tone.hertz * at / tone.rate)
        samples = np.repeat(wave.astype(np.float32), context.layout.nb_channels)[None]
        frame = av.AudioFrame.from_ndarray(samples, format="flt", layout=tone.layout)
        frame.sample_rate, frame.time_base = tone.rate, Fraction(1, tone.rate)
        frame.pts = round(tone.start_s * tone.rate) + int(at[0])
        (converted,) = self.resampler.resample(frame)
        return converted


@same_scheduling()
def write_film(
    path: Path,
    *,
    seconds: float = 3.0,
    fps: int = 10,
    times_ms: Sequence[int] | None = None,
    size: tuple[int, int] = (96, 64),
    codec: str = "libx264",
    draw: Draw = corners,
    gop: int = 10,
    bframes: int = 0,
    turn: int = 0,
    mirror: tuple[bool, bool] = (False, False),
    tone: Tone | None = None,
    container: str | None = None,
    flags: str = "",
) -> Path:
    """Encode a film; `times_ms` are its frames' timestamps, else one comes every 1000 / `fps`."""
    clock = Fraction(1, fps) if times_ms is None else Fraction(1, 1000)
    stamps = range(round(seconds * fps)) if times_ms is None else times_ms
    with av.open(str(path), "w", format=container, options={"movflags": flags} if flags else {}) as out:
        stream = out.add_stream(codec, rate=fps, options=OPTIONS.get(codec, {}))
        stream.width, stream.height = size
        stream.pix_fmt = PIXELS.get(codec, "yuv420p")
        stream.codec_context.time_base = clock
        stream.codec_context.gop_size, stream.codec_context.max_b_frames = gop, bframes
        if turn or any(mirror):
            stream.set_display_rotation(turn, *mirror)
        sound = SoundTrack(out, tone) if tone else None
        for index, stamp in enumerate(stamps):
            frame = av.VideoFrame.from_ndarray(draw(index, *size), format="rgb24")
            frame.pts, frame.time_base = stamp, clock
            out.mux(stream.encode(frame))
            if sound:
                sound.until(float(stamp * clock))
        out.mux(stream.encode(None))
        if sound:
            sound.close()
    return path


def write_sound(path: Path, tone: Tone) -> Path:
    """Encode a tone with no picture."""
    with av.open(str(path), "w") as out:
        SoundTrack(out, tone).close()
    return path


def boxes(data: bytes, begin: int = 0, end: int | None = None) -> list[tuple[bytes, int, int]]:
    """List the ISO boxes in a stretch of a file: (type, first byte of the content, past the last)."""
    found, end = [], len(data) if end is None else end
    while begin + 8 <= end:
        length = struct.unpack_from(">I", data, begin)[0]
        found.append((data[begin + 4 : begin + 8], begin + 8, begin + length))
        begin += length
    return found


def box_at(data: bytes, path: str) -> tuple[int, int]:
    """Return where a box's content lies, by its path: "moov/trak/mdia/mdhd"; the first of a kind at each level."""
    begin, end = 0, len(data)
    for name in path.split("/"):
        begin, end = next((b, e) for kind, b, e in boxes(data, begin, end) if kind == name.encode())
    return begin, end
