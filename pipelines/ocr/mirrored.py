"""Text that stands in a mirror: a selfie camera writes it so, and whoever hides from readers does too.

A reader makes nothing of it, or garbage of which it is not sure. A frame with that is read once more the other way
round, and each line is kept the way in which it was read with more confidence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from model_registry.model import Line
from pipelines.ocr.changes import Strokes, in_runs
from pipelines.ocr.junk import legible

SURE = 0.95  # confidence; of text the right way round nearly all lines are above, of mirrored text all below
LETTERS = 3  # of a line that is worth a second look, and of one that is believed
LONG = 5  # cells in a row that look like text and were not read
MOST = 2  # frames of a window that are read again before one of them had mirrored text
Lines = tuple[Line, ...]
Read = Callable[[Sequence[NDArray[np.uint8]]], list[Lines]]


def read_both_ways(
    frames: Sequence[NDArray[np.uint8]], strokes: Sequence[Strokes], read: Read, windows: Sequence[int]
) -> list[Lines]:
    """Read frames, in order, all together; `windows` says of each to which window it belongs.

    Where a window has mirrored text, all its doubtful frames are read again.
    """
    found = read(frames)
    lines = [legible(each) for each in found]
    doubtful: dict[int, list[int]] = {}
    for at, each in enumerate(found):
        if is_doubtful(each, strokes[at]):
            doubtful.setdefault(windows[at], []).append(at)
    won = _again([at for own in doubtful.values() for at in own[:MOST]], frames, read, found, lines)
    mirrored = {windows[at] for at in won}
    _again([at for number in mirrored for at in doubtful[number][MOST:]], frames, read, found, lines)
    return lines


def is_doubtful(found: Lines, strokes: Strokes) -> bool:
    """Whether a frame may have text that was not read: a line without confidence, or none where text seems to be."""
    if found:
        return any(line.confidence < SURE and _letters(line) >= LETTERS for line in found)
    return bool(in_runs(strokes.like_text_RC, LONG).any())


def other_way(lines: Lines) -> Lines:
    """Lines of a mirrored frame, in their places on the frame itself."""
    return tuple(
        replace(line, box=(1 - line.box[2], line.box[1], 1 - line.box[0], line.box[3])) if line.box else line
        for line in lines
    )


def better_of(plain: Lines, mirrored: Lines) -> Lines:
    """Keep of two lines in one place the one that was read with more confidence; of a mirrored one, more is asked."""
    believed = [line for line in mirrored if line.confidence >= SURE and _letters(line) >= LETTERS]
    won = [
        line for line in believed if all(line.confidence > other.confidence for other in plain if _overlap(line, other))
    ]
    return (*[line for line in plain if not any(_overlap(line, other) for other in won)], *won)


def _again(
    chosen: Sequence[int], frames: Sequence[NDArray[np.uint8]], read: Read, found: Sequence[Lines], lines: list[Lines]
) -> list[int]:
    """Read some frames mirrored, put what is better into `lines`, and return the frames that had something."""
    turned = read([np.ascontiguousarray(frames[at][:, ::-1]) for at in chosen]) if chosen else []
    won = []
    for at, each in zip(chosen, turned, strict=True):
        both = better_of(found[at], other_way(legible(each)))
        if both != found[at]:
            won.append(at)
            lines[at] = legible(both)
    return won


def _letters(line: Line) -> int:
    return sum(letter.isalnum() for letter in line.text)


def _overlap(one: Line, other: Line) -> bool:
    if one.box is None or other.box is None:
        return True
    (left, top, right, bottom), (their_left, their_top, their_right, their_bottom) = one.box, other.box
    return left < their_right and their_left < right and top < their_bottom and their_top < bottom
