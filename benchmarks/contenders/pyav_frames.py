"""PyAV as its users write it: decode every frame on one thread, scale only those on screen at a tick."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import av
import numpy as np
from av.container import InputContainer
from numpy.typing import NDArray

from benchmarks.contenders.contract import Frame, Task


def frames(path: str, task: Task) -> Iterator[Frame]:
    """Yield the frames on screen at the ticks of one file."""
    with av.open(path) as container:
        yield from frames_of(container, path, task)


def frames_of(container: InputContainer, path: str, task: Task) -> Iterator[Frame]:
    """Yield them from a container that is open."""
    stream = container.streams.video[0]
    stream.thread_type, stream.codec_context.thread_count = "NONE", 1
    width, height = task.size(stream.width, stream.height)
    for start_ms, frame in _at_ticks(container.decode(stream), task.interval_ms):
        yield Frame(path, start_ms, _small(frame, width, height))


def _at_ticks(decoded: Iterable[av.VideoFrame], interval_ms: int) -> Iterator[tuple[int, av.VideoFrame]]:
    """Hold each frame until the next begins: only then is it known what was on screen at a tick."""
    held: tuple[int, av.VideoFrame] | None = None
    tick_ms = 0
    for frame in decoded:
        start_ms = round((frame.time or 0.0) * 1000)
        if held and start_ms > tick_ms:
            yield held
            tick_ms += interval_ms
        held = (start_ms, frame)
    if held and held[0] >= tick_ms:
        yield held


def _small(frame: av.VideoFrame, width: int, height: int) -> NDArray[np.uint8]:
    return frame.to_ndarray(format="rgb24", width=width, height=height, interpolation="BILINEAR").astype(np.uint8)
