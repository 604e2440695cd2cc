"""Which way up a coded picture is shown: the eight turns and mirrorings of a display matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray


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
    matrix: Any = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return Orientation()
    a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].tolist()
    transposed = abs(b) > abs(a)
    along_x, along_y, rest = (c, b, (a, d)) if transposed else (a, d, (b, c))
    return Orientation(transposed, along_x < 0, along_y < 0, rest == (0, 0) and bool(along_x and along_y))
