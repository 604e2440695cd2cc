"""Find the pictures inside a picture: what borders frame, what is stacked, what is laid into a corner.

A pasted picture ends in straight edges that stand in the same place from frame to frame, while what moves smears its
own edges over the columns beside. So gradients are averaged over a few frames, and a column (or row) counts as an edge
where its gradient stands out from its neighbours'; the longest run of such pixels is a line, and four lines, or sides
of the frame, that support each other are a rectangle.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

LEVELS = 6.0  # mean step in grey levels from which a pixel may belong to an edge
STANDS_OUT = 2.0  # how many times the gradient of the neighbours three and more pixels away
SHORTEST = 0.15  # share of the frame that a line must run along
GAP_COST = 2.0  # a pixel that is no edge costs a run as much as two that are
MOST_LINES = 5  # a direction
SUPPORT = 0.7  # share of a side that must be edge
SMALLEST, LARGEST = 0.05, 0.93  # share of the frame's area
NARROWEST = 0.18  # share of the frame's shorter side
SAME = 0.75  # intersection over union from which two rectangles are one
FLAT = 6.0  # standard deviation in grey levels below which there is no picture inside
MARGIN = 2  # pixels left out inside each edge: scaling blurs it


@dataclass(frozen=True, order=True)
class Rectangle:
    """Rows top to before bottom, columns left to before right."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def area(self) -> int:
        """In pixels."""
        return (self.bottom - self.top) * (self.right - self.left)

    def overlap(self, other: Rectangle) -> float:
        """Intersection over union."""
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        width = min(self.right, other.right) - max(self.left, other.left)
        shared = max(height, 0) * max(width, 0)
        return shared / (self.area + other.area - shared)

    def of(self, frame_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Cut it out."""
        return frame_HWC[self.top : self.bottom, self.left : self.right]


@dataclass(frozen=True)
class _Line:
    """A straight edge before pixel `at`, along pixels start to before end."""

    at: int
    start: int
    end: int


def rectangles(frames_THWC: NDArray[np.uint8], most: int = 3) -> list[Rectangle]:
    """Return at most `most` pictures found inside a few neighbouring frames, the best framed first.

    The frame itself is not among them. uint8 [T, H, W, 3]; some milliseconds a call at 256 pixels.
    """
    grey_THW = frames_THWC.astype(np.float32).mean(axis=3)
    height, width = grey_THW.shape[1:]
    if min(height, width) < 32:
        return []
    upright_HW = _edges(np.abs(np.diff(grey_THW, axis=2)).mean(axis=0))
    level_HW = _edges(np.abs(np.diff(grey_THW, axis=1)).mean(axis=0).T)
    columns = [0, *sorted(line.at for line in _lines(upright_HW)), width]
    rows = [0, *sorted(line.at for line in _lines(level_HW)), height]
    scored = _scored(rows, columns, _sums(upright_HW), _sums(level_HW), (height, width))
    mean_HW = grey_THW.mean(axis=0)
    return _best([(score, box) for score, box in scored if mean_HW[_slices(box)].std() >= FLAT], most)


def _slices(box: Rectangle) -> tuple[slice, slice]:
    return slice(box.top, box.bottom), slice(box.left, box.right)


def _edges(gradient_HW: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Mark where the step to the next column stands out; [H, W + 1] with column x the edge before pixel x."""
    padded = np.pad(gradient_HW, ((0, 0), (5, 5)), mode="edge")
    width = gradient_HW.shape[1]
    around = sum(padded[:, 5 + off : 5 + off + width] for off in (-5, -4, -3, 3, 4, 5)) / 6
    edge = (gradient_HW >= LEVELS) & (gradient_HW >= STANDS_OUT * around)
    return np.pad(edge, ((0, 0), (1, 1)))


def _lines(edge_HW: NDArray[np.bool_]) -> list[_Line]:
    """Return the strongest upright lines: in each column the run that gains most, neighbours suppressed."""
    thick = edge_HW.copy()
    thick[:, 1:] |= edge_HW[:, :-1]  # an edge between two pixels may fall on either
    gain_HW = np.where(thick, 1.0, -GAP_COST)
    best, start, end = _best_runs(gain_HW)
    found: list[_Line] = []
    for column in np.argsort(-best):
        if best[column] < SHORTEST * len(edge_HW) or len(found) == MOST_LINES:
            break
        if all(abs(column - line.at) > 4 for line in found):
            found.append(_Line(int(column), int(start[column]), int(end[column])))
    return found


def _best_runs(
    gain_HW: NDArray[np.floating],
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Kadane's maximum subarray in every column at once: the gain, where it starts and where it ends."""
    total_HW = np.concatenate([np.zeros((1, gain_HW.shape[1])), np.cumsum(gain_HW, axis=0)])
    lowest_HW = np.minimum.accumulate(total_HW, axis=0)
    rise_HW = total_HW - lowest_HW
    end = rise_HW.argmax(axis=0)
    columns = np.arange(gain_HW.shape[1])
    start = np.array([int(np.argmax(total_HW[: stop + 1, x] <= lowest_HW[stop, x])) for x, stop in enumerate(end)])
    return rise_HW[end, columns], start, end


def _sums(edge_HW: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Running sums along each line, one pixel of slack to both sides: support of a stretch is a difference."""
    slack = edge_HW.copy()
    slack[:, 1:] |= edge_HW[:, :-1]
    slack[:, :-1] |= edge_HW[:, 1:]
    return np.concatenate([np.zeros((1, slack.shape[1]), np.int64), np.cumsum(slack, axis=0)])


def _scored(
    rows: list[int],
    columns: list[int],
    upright: NDArray[np.int64],
    level: NDArray[np.int64],
    shape: tuple[int, int],
) -> list[tuple[float, Rectangle]]:
    """Return every rectangle between lines whose inner sides are edges, with its weakest side's support."""
    height, width = shape
    found = []
    for top, bottom in combinations(sorted(set(rows)), 2):
        for left, right in combinations(sorted(set(columns)), 2):
            box = Rectangle(top, left, bottom, right)
            if not _fits(box, height, width):
                continue
            sides = [_support(upright, x, top, bottom) for x in (left, right) if 0 < x < width]
            sides += [_support(level, y, left, right) for y in (top, bottom) if 0 < y < height]
            if sides and min(sides) >= SUPPORT:
                found.append((len(sides) + min(sides), box))
    return found


def _fits(box: Rectangle, height: int, width: int) -> bool:
    short = min(box.bottom - box.top, box.right - box.left)
    share = box.area / (height * width)
    return SMALLEST <= share <= LARGEST and short >= NARROWEST * min(height, width)


def _support(sums: NDArray[np.int64], at: int, start: int, end: int) -> float:
    return float(sums[end, at] - sums[start, at]) / (end - start)


def _best(scored: list[tuple[float, Rectangle]], most: int) -> list[Rectangle]:
    kept: list[Rectangle] = []
    for _, box in sorted(scored, key=lambda pair: (-pair[0], -pair[1].area, pair[1])):
        if len(kept) == most:
            break
        if all(box.overlap(other) < SAME for other in kept):
            kept.append(box)
    return kept


def inner(box: Rectangle, height: int, width: int) -> Rectangle:
    """Leave out a margin at the sides that are not the frame's own."""
    return Rectangle(
        box.top + MARGIN * (box.top > 0),
        box.left + MARGIN * (box.left > 0),
        box.bottom - MARGIN * (box.bottom < height),
        box.right - MARGIN * (box.right < width),
    )
