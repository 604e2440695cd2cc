"""A picture as windows, still or moving; and windows moved behind others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from pipelines.decode.codes import CodeReader
from pipelines.decode.ending import End
from pipelines.decode.limits import Limits, Sampling
from pipelines.decode.picture_reader import read_picture
from pipelines.decode.pixels import of_one_size
from pipelines.rows import Window


def picture_windows(path: Path, sampling: Sampling, limits: Limits) -> Iterator[Window | End]:
    """The frames of a picture, window by window; a still one is on screen at 0 ms and has no length."""
    codes = CodeReader() if sampling.codes else None
    end_ms = 0
    shown = read_picture(path, sampling, limits, codes)
    for index, group in groupby(shown, key=lambda one: one[0] // sampling.window_ms):
        starts, ends, frames = zip(*group, strict=True)
        end_ms = ends[-1]
        start_ms = index * sampling.window_ms
        found, codes_ms = codes.taken(end_ms) if codes else ([], 0.0)
        window = Window(index, start_ms, end_ms and start_ms + sampling.window_ms, starts, of_one_size(frames))
        yield replace(window, found=tuple(found), codes_ms=codes_ms)
    yield End("video" if end_ms else "picture", "pillow", end_ms)


def later(step: Window | End, windows: int, by_ms: int) -> Window | End:
    """Move what is seen behind what was seen before."""
    found = tuple(replace(one, start_ms=one.start_ms + by_ms, end_ms=one.end_ms + by_ms) for one in step.found)
    if isinstance(step, End):
        return replace(step, duration_ms=step.duration_ms + by_ms, found=found)
    return replace(
        step,
        index=step.index + windows,
        start_ms=step.start_ms + by_ms,
        end_ms=step.end_ms + by_ms,
        frame_ms=tuple(ms + by_ms for ms in step.frame_ms),
        found=found,
    )
