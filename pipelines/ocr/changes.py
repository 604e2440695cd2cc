"""Which frames have to be read: those where strokes like text's are seen that the last frame read did not have.

Text is made to be legible: its strokes are thin, of high contrast, and stand side by side. So a frame is cut into small
cells, a cell is like text where many pixels step sharply to the right and many downwards (the edge density of Zhong,
Zhang and Jain, "Automatic caption localization in compressed video", TPAMI 2000, on pixels instead of DCT
coefficients), and a caption is several such cells in a row. A new caption is told from an old one by where its steps
are and whether they go up or down: a picture that moves below a caption leaves those alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

SIDE = 256  # pixels of the shorter side for which the numbers below are; a larger frame is thinned out
CELL_HEIGHT, CELL_WIDTH = 8, 16
SHARP, FAINT = 48, 28  # grey levels of a step: one that counts, and one that may be the same a second later
BOTH_WAYS, EACH_WAY = 36, 8  # of a cell's 128 pixels, how many step sharply: right and down together, and each
RUN = 2  # cells in a row, which are 32 pixels: three letters of 12 pixels
KEPT = 0.7  # of the steps, found again: in unchanged text 0.9 and more, where other text has taken its place some 0.4
# One letter or digit that changes in a text that stays: so many steps are other ones, and such a share of all, in two
# cells one above the other, or in four. Video makes a tenth of them anew.
LETTER, LETTER_OF_TWO, LETTER_OF_FOUR = (32, 44), 0.22, 0.16
STAYS = 0.6  # of the cells like text: below, it is the picture that moves
LONG = 4  # cells in a row, beside which one letter may change
MOST_LETTERS = 16  # places: beyond, it is no letter that changed
COARSER = 2  # text of a sixth of the frame's height and more is too smooth for its cells, and is found at half the size
COARSE_RUN = 4  # cells in a row there: three letters of a quarter of the height

Box = tuple[float, float, float, float]
Cells = NDArray[np.uint16]


@dataclass(frozen=True)
class Strokes:
    """The steps of one frame from pixel to pixel, and which cells look like text."""

    sharp_HW: NDArray[np.uint8]  # bits: 1 brighter to the right, 2 darker to the right, 4 brighter below, 8 darker
    faint_HW: NDArray[np.uint8]  # the same for steps from FAINT on
    like_text_RC: NDArray[np.bool_]  # cells by row and column
    coarse: Strokes | None = None  # of the same frame at half its size


def strokes_of(frame_HWC: NDArray[np.uint8]) -> Strokes:
    """Find the steps of uint8 [H, W, 3] RGB, of any size."""
    grey_HW = _grey(frame_HWC)
    return replace(_strokes(grey_HW), coarse=_strokes(_halved(grey_HW), COARSE_RUN))


def _strokes(grey_HW: NDArray[np.int16], run: int = RUN) -> Strokes:
    right_HW, below_HW = np.zeros_like(grey_HW), np.zeros_like(grey_HW)
    np.subtract(grey_HW[:, 1:], grey_HW[:, :-1], out=right_HW[:, :-1])
    np.subtract(grey_HW[1:], grey_HW[:-1], out=below_HW[:-1])
    sharp_HW = _bits(right_HW, below_HW, SHARP)
    right_RC, below_RC = _count(sharp_HW & np.uint8(3)), _count(sharp_HW & np.uint8(12))
    dense_RC = (right_RC + below_RC >= BOTH_WAYS) & (np.minimum(right_RC, below_RC) >= EACH_WAY)
    return Strokes(sharp_HW, _bits(right_HW, below_HW, FAINT), in_runs(dense_RC, run))


def in_runs(cells_RC: NDArray[np.bool_], run: int = RUN) -> NDArray[np.bool_]:
    """Keep the cells that stand in a row with `run` or more."""
    kept_RC = np.zeros_like(cells_RC)
    starts = cells_RC.shape[1] - run + 1
    if starts < 1:
        return kept_RC
    whole_RC = np.logical_and.reduce([cells_RC[:, shift : shift + starts] for shift in range(run)])
    for shift in range(run):
        kept_RC[:, shift : shift + starts] |= whole_RC
    return kept_RC


def new_text(now: Strokes, read: Strokes | None) -> int:
    """Count the cells of `now` that look like text and that `read` did not have: a row of them, or one letter."""
    coarse = new_text(now.coarse, read and read.coarse) if now.coarse else 0
    if read is None:
        return int(now.like_text_RC.sum()) + coarse
    if not now.like_text_RC.any():
        return coarse
    sharp_RC, again_RC = _count(now.sharp_HW), _count(now.sharp_HW & read.faint_HW)
    changed = in_runs(now.like_text_RC & (again_RC < KEPT * sharp_RC)).sum()
    return int(changed) + coarse or _other_letters(now, read, sharp_RC, again_RC)


def _other_letters(now: Strokes, read: Strokes, sharp_RC: Cells, again_RC: Cells) -> int:
    """Count the places in a text that stays, each of the size of a letter, where the steps are other ones."""
    stays_RC = now.like_text_RC & (again_RC >= KEPT * sharp_RC)
    if stays_RC.sum() < STAYS * now.like_text_RC.sum():
        return 0
    gone_RC = _count(read.sharp_HW & ~now.faint_HW)
    other_RC, all_RC = sharp_RC - again_RC + gone_RC, sharp_RC + _count(read.sharp_HW)
    beside_RC = in_runs(now.like_text_RC | read.like_text_RC, LONG)
    beside_RC[:, 1:] |= beside_RC[:, :-1].copy()
    found = 0
    for least, share, columns in zip(LETTER, (LETTER_OF_TWO, LETTER_OF_FOUR), (1, 2), strict=True):
        others, every = _together(other_RC, columns), _together(all_RC, columns)
        near = _together(beside_RC.astype(np.uint16), columns) > 0
        found += int((near & (others >= least) & (others >= share * every)).sum())
    return found if found <= MOST_LETTERS else 0


def _together(counts_RC: Cells, columns: int) -> Cells:
    """Add up two cells one above the other, or two such pairs side by side."""
    pairs_RC = counts_RC[:-1] + counts_RC[1:]
    return pairs_RC if columns == 1 else pairs_RC[:, :-1] + pairs_RC[:, 1:]


def still_there(box: Box, read: Strokes, now: Strokes) -> bool:
    """Whether what was read within `box` (left, top, right, bottom as shares of the frame) is still shown.

    Where nothing steps sharply nobody can tell, and what was there is taken to have stayed.
    """
    within = _slices(box, read.sharp_HW.shape)
    sharp = np.count_nonzero(read.sharp_HW[within])
    again = np.count_nonzero(read.sharp_HW[within] & now.faint_HW[within])
    return bool(again >= KEPT * sharp)


def frames_to_read(strokes: Sequence[Strokes], most: int) -> list[int]:
    """Choose the frames of one window that have to be read, ascending, at most `most` of them.

    A frame is wanted where it shows text that the last wanted one did not. Of more than `most`, a scrolling list or
    foliage in the wind, neighbours are grouped and of each group the frame with the most new text is read: to read one
    takes two hundred times as long as to look at it.
    """
    wanted: list[tuple[int, int]] = []
    read: Strokes | None = None
    for index, now in enumerate(strokes):
        if cells := new_text(now, read):
            wanted.append((index, cells))
            read = now
    if len(wanted) <= most:
        return [index for index, _ in wanted]
    cuts = [round(number * len(wanted) / most) for number in range(most + 1)]
    groups = [wanted[start:end] for start, end in pairwise(cuts)]
    return [max(group, key=lambda each: each[1])[0] for group in groups]


def _grey(frame_HWC: NDArray[np.uint8]) -> NDArray[np.int16]:
    step = max(1, min(frame_HWC.shape[:2]) // SIDE)
    red, green, blue = (frame_HWC[::step, ::step, channel] for channel in range(3))
    return np.asarray((red >> 2) + (green >> 1) + (blue >> 2), np.int16)


def _halved(grey_HW: NDArray[np.int16]) -> NDArray[np.int16]:
    height, width = grey_HW.shape[0] // COARSER * COARSER, grey_HW.shape[1] // COARSER * COARSER
    even = grey_HW[:height, :width]
    return np.asarray((even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]) >> 2, np.int16)


def _bits(right_HW: NDArray[np.int16], below_HW: NDArray[np.int16], level: int) -> NDArray[np.uint8]:
    bits_HW = (right_HW > level).view(np.uint8)
    for bit, far_HW in ((2, right_HW < -level), (4, below_HW > level), (8, below_HW < -level)):
        bits_HW |= far_HW.view(np.uint8) * np.uint8(bit)
    return bits_HW


def _count(bits_HW: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Count the pixels of each cell that have a bit; what is left over at the right and at the bottom is left out."""
    rows, columns = bits_HW.shape[0] // CELL_HEIGHT, bits_HW.shape[1] // CELL_WIDTH
    set_HW = (bits_HW[: rows * CELL_HEIGHT, : columns * CELL_WIDTH] != 0).view(np.uint8)
    by_row_RW = set_HW.reshape(rows, CELL_HEIGHT, columns * CELL_WIDTH).sum(1, dtype=np.uint8)
    return np.asarray(by_row_RW.reshape(rows, columns, CELL_WIDTH).sum(2), np.uint16)


def _slices(box: Box, shape: tuple[int, ...]) -> tuple[slice, slice]:
    height, width = shape
    left, top, right, bottom = box
    return slice(int(top * height), round(bottom * height) + 1), slice(int(left * width), round(right * width) + 1)
