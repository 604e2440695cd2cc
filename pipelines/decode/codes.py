"""Codes on frames at their native resolution: QR, Data Matrix, PDF417, Aztec, EAN and the like, by zxing-cpp.

To look for all of them everywhere would cost more than the models do. A code is black and white side by side, many
times over: where that is, and only where it was not a moment ago, they are looked for.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import av
import numpy as np
import zxingcpp
from numpy.typing import NDArray

from pipelines.decode.found import SHOWN, Found
from pipelines.decode.payload import text_of

CELL = 16  # pixels
STEP = 40  # grey levels between two pixels side by side
LARGE, SMALL = 480, 120  # pixels of the shorter side at which is looked: for modules of 2 pixels, and of 20
BOTH_WAYS, ONE_WAY = 20, 40  # of a cell's 256 pixels, how many step: in each direction, or in one (bars)
LEAST_CELLS = 3
MARGIN = 24  # pixels around: a code has a quiet zone
SAME = 0.85  # of the steps, found again: the region was looked at before
MOST_REGIONS = 6
BIG = 0.35  # of the frame: such a region is foliage more often than a code, and all kinds are looked for now and then
EVERY = 4  # frames
SCAN_SIDE = 900  # pixels of a region's shorter side; a larger one is thinned out
# Those that check themselves: a wall of bricks is read as a number in kinds that do not.
KINDS = zxingcpp.barcode_formats_from_str(
    "QRCode,MicroQRCode,RMQRCode,DataMatrix,Aztec,PDF417,MaxiCode,EAN13,EAN8,UPCA,UPCE,Code128"
)
QUICK = zxingcpp.barcode_formats_from_str("QRCode")
LONGEST = 4000  # characters

Grey = NDArray[np.uint8]
Region = tuple[int, int, int, int]  # left, top, right, bottom in pixels


@dataclass
class _Held:
    """A code while it is shown."""

    found: Found
    seen: bool = True


class CodeReader:
    """Reads the sampled frames of one video, in order; `taken` gives what one window had."""

    def __init__(self) -> None:
        self.spent_ms = 0.0
        self._before: NDArray[np.bool_] | None = None
        self._number = 0
        self._held: dict[tuple[str, str], _Held] = {}
        self._done: list[Found] = []

    def look(self, start_ms: int, frame: av.VideoFrame) -> None:
        """Look at one frame."""
        began = time.perf_counter()
        grey_HW = grey_of(frame)
        self.spent_ms += (time.perf_counter() - began) * 1000
        self.look_at(start_ms, grey_HW)

    def look_at(self, start_ms: int, grey_HW: Grey) -> None:
        """Look at the brightness of one frame."""
        began = time.perf_counter()
        codes = self._codes(grey_HW)
        if codes is None:
            codes = [held.found for held in self._held.values()]  # the picture is the same
        self._follow(start_ms, codes)
        self._number += 1
        self.spent_ms += (time.perf_counter() - began) * 1000

    def taken(self, end_ms: int) -> tuple[list[Found], float]:
        """Return the codes seen since the last call, those still shown up to `end_ms`, and the time it took in ms."""
        found = [*self._done, *[replace(held.found, end_ms=end_ms) for held in self._held.values()]]
        spent_ms, self.spent_ms = self.spent_ms, 0.0
        self._done, self._held, self._before = [], {}, None
        return sorted(found, key=lambda each: (each.start_ms, each.text)), spent_ms

    def _codes(self, grey_HW: Grey) -> list[Found] | None:
        """What is in the frame; None where nothing changed that could be a code."""
        steps = _steps(grey_HW)
        same = self._before is not None and _is_same(steps, self._before)
        self._before = steps
        if same:
            return None
        height, width = grey_HW.shape
        found: dict[tuple[str, bytes], Found] = {}
        for region in regions_of(grey_HW):
            left, top, right, bottom = region
            big = (right - left) * (bottom - top) > BIG * height * width
            formats = QUICK if big and self._number % EVERY else KINDS
            for code in scan(grey_HW, region, formats):
                found.setdefault((code.source, code.raw or b""), code)
        return list(found.values())

    def _follow(self, start_ms: int, codes: list[Found]) -> None:
        for held in self._held.values():
            held.seen = False
        for code in codes:
            key = (code.source, code.text)
            if key in self._held:
                self._held[key].seen = True
            else:
                self._held[key] = _Held(replace(code, start_ms=start_ms, end_ms=start_ms))
        for key in [key for key, held in self._held.items() if not held.seen]:
            self._done.append(replace(self._held.pop(key).found, end_ms=start_ms))


def grey_of(frame: av.VideoFrame) -> Grey:
    """The brightness of a frame at its native size, uint8 [H, W]; no copy where the decoder gives it as it is."""
    layout = frame.format
    if layout.is_planar and not layout.is_rgb and all(part.bits == 8 for part in layout.components):
        plane = frame.planes[0]
        padded_HW: Grey = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        return padded_HW[: frame.height, : frame.width]
    return np.asarray(frame.reformat(format="gray", threads=1).to_ndarray(), np.uint8)


def scan(grey_HW: Grey, region: Region, formats: zxingcpp.BarcodeFormats = KINDS) -> Iterator[Found]:
    """Read the codes of a region; zxing-cpp reads them also turned, light on dark, and in a mirror."""
    left, top, right, bottom = region
    thin = max(1, min(right - left, bottom - top) // SCAN_SIDE)
    part_HW = np.ascontiguousarray(grey_HW[top:bottom:thin, left:right:thin])
    if min(part_HW.shape) < CELL:
        return
    height, width = grey_HW.shape
    for code in zxingcpp.read_barcodes(part_HW, formats=formats):
        where = code.position
        corners = [where.top_left, where.top_right, where.bottom_left, where.bottom_right]
        across, down = [thin * point.x for point in corners], [thin * point.y for point in corners]
        text = text_of(code)[:LONGEST]
        if code.valid and text.strip():
            ends = min(across) + left, min(down) + top, max(across) + left, max(down) + top
            box = ends[0] / width, ends[1] / height, ends[2] / width, ends[3] / height
            yield Found(0, 0, text, SHOWN, f"code {_name(code)}", box=box, raw=code.bytes)


def _name(code: zxingcpp.Barcode) -> str:
    return str(code.format).rpartition(".")[2].replace(" ", "")


def regions_of(grey_HW: Grey) -> list[Region]:
    """Where codes could be, largest first: cells with many steps that hang together, found at two sizes."""
    found: list[Region] = []
    for side in (LARGE, SMALL):
        thin = max(1, min(grey_HW.shape) // side)
        if side == SMALL and thin == max(1, min(grey_HW.shape) // LARGE):
            continue
        for region in _clusters(_busy_cells(grey_HW[::thin, ::thin])):
            left, top, right, bottom = (edge * CELL * thin for edge in region)
            found.append(_grown((left, top, right, bottom), MARGIN * thin, grey_HW.shape))
    found.sort(key=_area, reverse=True)
    kept: list[Region] = []
    for region in found:
        if not any(_within(region, other) for other in kept):
            kept.append(region)
    return kept[:MOST_REGIONS]


def _steps(grey_HW: Grey) -> NDArray[np.bool_]:
    thin = max(1, min(grey_HW.shape) // LARGE)
    return _sideways(grey_HW[:: 4 * thin, ::thin])


def _sideways(grey_HW: Grey) -> NDArray[np.bool_]:
    """Whether the next pixel to the right is far darker or lighter."""
    one, next_one = grey_HW[:, :-1], grey_HW[:, 1:]
    return np.asarray(np.maximum(one, next_one) - np.minimum(one, next_one) >= STEP)


def _is_same(steps: NDArray[np.bool_], before: NDArray[np.bool_]) -> bool:
    if steps.shape != before.shape:
        return False
    every = np.count_nonzero(steps | before)
    return every == 0 or bool(np.count_nonzero(steps & before) >= SAME * every)


def _busy_cells(grey_HW: Grey) -> NDArray[np.bool_]:
    """Cells of CELL x CELL pixels with many steps in both directions, or very many in one."""
    across_RC = _per_cell(_sideways(grey_HW)[::2]) * 2
    down_RC = _per_cell(_sideways(grey_HW[:, ::2].T).T, columns=CELL // 2) * 2
    rows, columns = (min(across_RC.shape[side], down_RC.shape[side]) for side in (0, 1))
    across_RC, down_RC = across_RC[:rows, :columns], down_RC[:rows, :columns]
    both = (across_RC >= BOTH_WAYS) & (down_RC >= BOTH_WAYS)
    return np.asarray(both | (across_RC >= ONE_WAY) | (down_RC >= ONE_WAY))


def _per_cell(set_HW: NDArray[np.bool_], columns: int = CELL) -> NDArray[np.int64]:
    rows = CELL if columns != CELL else CELL // 2
    down, across = set_HW.shape[0] // rows, set_HW.shape[1] // columns
    cut = set_HW[: down * rows, : across * columns].reshape(down, rows, across, columns)
    return np.asarray(np.count_nonzero(cut, axis=(1, 3)), np.int64)


def _clusters(busy_RC: NDArray[np.bool_]) -> Iterator[Region]:
    """The boxes of cells that touch, also at a corner or over one cell between, in cells."""
    left = {(int(row), int(column)) for row, column in np.argwhere(busy_RC)}
    while left:
        todo = [left.pop()]
        cells = []
        while todo:
            row, column = todo.pop()
            cells.append((row, column))
            near = [(row + down, column + across) for down in range(-2, 3) for across in range(-2, 3)]
            touching = [cell for cell in near if cell in left]
            left.difference_update(touching)
            todo += touching
        if len(cells) >= LEAST_CELLS:
            rows, columns = [row for row, _ in cells], [column for _, column in cells]
            yield min(columns), min(rows), max(columns) + 1, max(rows) + 1


def _grown(region: Region, by: int, shape: tuple[int, ...]) -> Region:
    left, top, right, bottom = region
    return max(0, left - by), max(0, top - by), min(shape[1], right + by), min(shape[0], bottom + by)


def _area(region: Region) -> int:
    return (region[2] - region[0]) * (region[3] - region[1])


def _within(region: Region, other: Region) -> bool:
    return all((region[0] >= other[0], region[1] >= other[1], region[2] <= other[2], region[3] <= other[3]))
