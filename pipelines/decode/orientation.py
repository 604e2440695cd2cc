"""Which way up a coded picture is shown: the eight turns and mirrorings of a display matrix."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import av.filter
import numpy as np
from av.sidedata.sidedata import Type
from numpy.typing import NDArray

MOST_KINDS = 64  # of side data: FFmpeg 8 has 33


@dataclass(frozen=True)
class Orientation:
    """Transpose first, then mirror: every right-angled display matrix is that."""

    transposed: bool = False
    left_right: bool = False
    upside_down: bool = False
    right_angled: bool = True  # anything else is shown by the nearest of the eight

    @property
    def is_plain_turn(self) -> bool:
        """Whether it is a turn by a multiple of 90 degrees and no reflection, which is all that decord knows."""
        return self.right_angled and (self.transposed + self.left_right + self.upside_down) % 2 == 0

    def size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) as shown."""
        return (height, width) if self.transposed else (width, height)

    def upright(self, pixels_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Turn a coded picture as it is to be shown."""
        shown = pixels_HWC.transpose(1, 0, 2) if self.transposed else pixels_HWC
        return shown[:: -1 if self.upside_down else 1, :: -1 if self.left_right else 1]


def orientation_of(frame: av.VideoFrame) -> Orientation:
    """Read the display matrix that a decoded frame carries: x' = ax + cy, y' = bx + dy (libavutil/display.h)."""
    matrix = _display_matrix(frame)
    if matrix is None:
        return Orientation()
    a, b, _, c, d = np.frombuffer(matrix, np.int32)[:5].tolist()
    transposed = abs(b) > abs(a)
    along_x, along_y, rest = (c, b, (a, d)) if transposed else (a, d, (b, c))
    return Orientation(transposed, along_x < 0, along_y < 0, rest == (0, 0) and bool(along_x and along_y))


def _display_matrix(frame: av.VideoFrame) -> bytes | None:
    """Look past side data of kinds that PyAV has no name for: one of them makes it raise for all (an EXIF block)."""
    try:
        matrix: Any = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:
        matrix = _without_unnamed(frame).side_data.get("DISPLAYMATRIX")
    return None if matrix is None else bytes(matrix)


def _without_unnamed(frame: av.VideoFrame) -> av.VideoFrame:
    """Let FFmpeg's `sidedata` filter take out what PyAV cannot name; `frame.rotation` would not tell a mirror."""
    graph = av.filter.Graph()
    clock = frame.time_base or Fraction(1, 1000)
    last = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=clock)
    begin = last
    for kind in range(len(Type), MOST_KINDS):
        step = graph.add("sidedata", f"mode=delete:type={kind}")
        last.link_to(step)
        last = step
    end = graph.add("buffersink")
    last.link_to(end)
    graph.configure()
    begin.push(frame)
    cleared = end.pull()
    if not isinstance(cleared, av.VideoFrame):
        raise TypeError(f"a filter of pictures gave a {type(cleared).__name__}")
    return cleared
