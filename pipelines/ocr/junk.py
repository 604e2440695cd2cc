"""What an OCR reads into pictures without text: leaves, bricks, the rim of a coin. Most of it is told by its looks.

On photographs a reader is unsure of what it makes up, and what it is sure of is a single letter or a row of bars.
"""

from __future__ import annotations

from collections.abc import Iterable

from model_registry.model import Line

FLOOR = 0.6  # confidence; of text that is there nine in ten lines are above 0.9, of texture most are below 0.5
ALONE_FLOOR, ALONE_TALLEST = 0.9, 0.4  # of one letter by itself: a shape of half the frame is no letter
BARS = frozenset("1|!Il/\\-_=一二三丨口日目田回囗〇oO0.·:'\"")  # what railings, windows, bricks and dots are read as


def legible(lines: Iterable[Line]) -> tuple[Line, ...]:
    """Keep the lines that were read and not made up, in order."""
    return tuple(line for line in lines if not is_junk(line))


def is_junk(line: Line) -> bool:
    """Whether nobody wrote this: unsure, without a letter or digit, one doubtful letter, or nothing but bars.

    A number may have bars: 1/10 and 10:01 are kept.
    """
    letters = [letter for letter in line.text if letter.isalnum()]
    if line.confidence < FLOOR or not letters:
        return True
    if len(letters) == 1:
        return line.confidence < ALONE_FLOOR or _height(line) > ALONE_TALLEST
    return BARS.issuperset("".join(line.text.split())) and not "".join(letters).isdecimal()


def _height(line: Line) -> float:
    return line.box[3] - line.box[1] if line.box else 0.0
