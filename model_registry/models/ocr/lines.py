"""Pieces of text to lines: those that stand side by side are one line, and lines come in reading order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from model_registry.model import Line

Box = tuple[float, float, float, float]  # left, top, right, bottom in pixels

OVERLAP = 0.6  # share of the lower piece's height beside the other
TALLER = 1.6  # a headline and the small print beside it are two lines
GAP = 1.5  # heights between two pieces of one line: a wide space, not the gutter between two columns
UNSPACED = (("\u2e80", "\u9fff"), ("\uf900", "\ufaff"), ("\uff00", "\uffef"), ("\U00020000", "\U0003ffff"))


@dataclass(frozen=True)
class Piece:
    """What was read in one box."""

    text: str
    confidence: float
    box: Box

    @property
    def height(self) -> float:
        """Pixels."""
        return self.box[3] - self.box[1]


def joined(pieces: Iterable[Piece], height: int, width: int) -> tuple[Line, ...]:
    """Return the lines of a frame of that size, from top to bottom and from left to right; no text is no line."""
    rows: list[list[Piece]] = []
    for piece in sorted((piece for piece in pieces if piece.text), key=lambda piece: piece.box[1] + piece.box[3]):
        beside = [row for row in rows if _beside(row[-1], piece)]
        if beside:
            beside[-1].append(piece)
        else:
            rows.append([piece])
    return tuple(_line(part, height, width) for row in rows for part in _parts(row))


def needs_space(left: str, right: str) -> bool:
    """Whether two texts are joined with a space: not where one of them ends in Chinese or Japanese there."""
    return not (_unspaced(left[-1:]) or _unspaced(right[:1]))


def _beside(one: Piece, other: Piece) -> bool:
    shared = min(one.box[3], other.box[3]) - max(one.box[1], other.box[1])
    low, high = sorted((one.height, other.height))
    return shared >= OVERLAP * low and high <= TALLER * low


def _parts(row: Sequence[Piece]) -> list[list[Piece]]:
    """Cut a row, from left to right, where the gap is wide."""
    parts: list[list[Piece]] = []
    for piece in sorted(row, key=lambda piece: piece.box[0]):
        if parts and piece.box[0] - parts[-1][-1].box[2] <= GAP * min(piece.height, parts[-1][-1].height):
            parts[-1].append(piece)
        else:
            parts.append([piece])
    return parts


def _line(pieces: Sequence[Piece], height: int, width: int) -> Line:
    text = pieces[0].text
    for piece in pieces[1:]:
        text += " " * needs_space(text, piece.text) + piece.text
    letters = sum(len(piece.text) for piece in pieces)
    confidence = sum(piece.confidence * len(piece.text) for piece in pieces) / letters
    lefts, tops, rights, bottoms = zip(*(piece.box for piece in pieces), strict=True)
    box = (min(lefts) / width, min(tops) / height, max(rights) / width, max(bottoms) / height)
    return Line(text, confidence, box=box)


def _unspaced(letter: str) -> bool:
    return any(low <= letter <= high for low, high in UNSPACED)
