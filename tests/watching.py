"""What a reader makes of a file, in one value."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import pipelines.decode.read
from pipelines.decode.ending import End
from pipelines.decode.limits import Limits, Sampling
from pipelines.decode.read import read
from pipelines.rows import MediaError, Window

SMALL = Sampling(frame_side=64)
ENGINES = ("sparse", "decord", "pyav")  # as they are tried
LIMITS = Limits()


def only(decoder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave a file to one engine, or to those that come after it."""
    for engine in ENGINES[: ENGINES.index(decoder)]:
        monkeypatch.setattr(pipelines.decode.read, f"suits_{engine}", lambda *_: False)


@dataclass(frozen=True)
class Seen:
    """Everything that came out of a file, and how it ended."""

    windows: tuple[Window, ...]
    end: End | None
    error: MediaError | None

    @property
    def code(self) -> str | None:
        return self.error.code.value if self.error else None

    @property
    def frame_ms(self) -> list[int]:
        return [ms for window in self.windows for ms in window.frame_ms]

    @property
    def frames_THWC(self) -> NDArray[np.uint8]:
        return np.concatenate([window.frames_THWC for window in self.windows if window.frames_THWC is not None])

    @property
    def sound(self) -> NDArray[np.int16]:
        return np.concatenate([[], *[w.audio_16k for w in self.windows if w.audio_16k is not None]]).astype(np.int16)


def watch(path: Path, sampling: Sampling = SMALL, limits: Limits = LIMITS) -> Seen:
    """Read a file in this process. Anything but a MediaError is the reader's fault and is raised."""
    windows: list[Window] = []
    try:
        for step in read(path, sampling, limits):
            if isinstance(step, End):
                return Seen(tuple(windows), step, step.error)
            windows.append(step)
    except MediaError as error:
        return Seen(tuple(windows), None, error)
    raise AssertionError("read() ended without an End")
