r"""Words in regexes: which characters `\w` means in folded texts, and what stands beside a `\b`.

The letters and digits of every script are words, as in Python. The class is written as ranges of code points that
Hyperscan and `re` read alike: marks of living scripts, which Python leaves out, belong to their letters here, and in
rare scripts punctuation is not told from letters, because a class of all of Unicode takes seconds to compile.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from functools import cache
from typing import Any

from pipelines.text.words.characters import CODES, DROPPED, Kind, kind_of, tables

ASCII_WORD = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_")
_UNTOLD = (
    (0x7C0, 0x900), (0xA00, 0xE00), (0xE50, 0x2000), (0x2C00, 0x3000), (0xA000, 0xFD00), (0x10000, 0x1D000),
)  # fmt: skip
_BEYOND = 0x20000  # from here on there are Chinese characters only


class Edge(StrEnum):
    r"""What a `\b` is beside."""

    ASCII = "a word of a to z"
    OTHER = "a word of any alphabet"
    ALWAYS = "a word and something else"  # an edge whatever the text
    CHINESE = "Chinese"
    UNKNOWN = "unknown"


class _Side(StrEnum):
    """The characters that may stand on one side."""

    ASCII = "a to z, digits"
    WORD = "letters of any alphabet"
    CHINESE = "Chinese"
    NONE = "no letters"
    OPEN = "anything"


def is_edge(items: Sequence[Any]) -> bool:
    r"""Whether the first of some nodes is `\b` or `\B`."""
    return any(str(kind) == "AT" and "BOUNDARY" in str(value) for kind, value in items[:1])


def edge_sign(item: Any) -> str:
    """How it is written."""
    return r"\B" if "NON" in str(item[1]) else r"\b"


def boundary(items: Sequence[Any], at: int) -> Edge:
    """What the edge at `at` of some nodes is beside."""
    sides = {_side(items[at + 1 :], first=True), _side(items[:at], first=False)}
    if _Side.ASCII in sides and _Side.WORD not in sides:
        return Edge.ASCII
    if _Side.CHINESE in sides:
        return Edge.CHINESE
    if sides == {_Side.WORD, _Side.NONE}:
        return Edge.ALWAYS
    other = edge_sign(items[at]) == r"\b" and _Side.WORD in sides and at in (0, len(items) - 1)
    return Edge.OTHER if other else Edge.UNKNOWN


def _side(items: Sequence[Any], first: bool) -> _Side:
    """The characters with which some nodes surely begin, or end."""
    found = list[_Side]()
    for kind, value in items if first else reversed(items):
        if str(kind) == "AT":
            continue
        optional = str(kind) in ("MAX_REPEAT", "MIN_REPEAT") and value[0] == 0
        found.append(_side(value[2], first) if optional else _node_side(str(kind), value, first))
        if not optional:
            return _joined(found)
    return _Side.OPEN


def _node_side(kind: str, value: Any, first: bool) -> _Side:
    if kind == "LITERAL":
        return _side_of([(value, value)])
    if kind == "IN" and str(value[0][0]) != "NEGATE":
        return _joined(_member_side(str(name), member) for name, member in value)
    if kind == "BRANCH":
        return _joined(_side(branch, first) for branch in value[1])
    if kind == "SUBPATTERN":
        return _side(value[3], first)
    if kind in ("MAX_REPEAT", "MIN_REPEAT"):
        return _side(value[2], first)
    return _Side.OPEN


def _member_side(name: str, value: Any) -> _Side:
    if name == "CATEGORY":
        known = {"CATEGORY_DIGIT": _Side.ASCII, "CATEGORY_WORD": _Side.WORD, "CATEGORY_SPACE": _Side.NONE}
        return known.get(str(value), _Side.NONE if str(value) == "CATEGORY_NOT_WORD" else _Side.OPEN)
    return _side_of([(value, value) if name == "LITERAL" else value])


def _side_of(spans: Iterable[tuple[int, int]]) -> _Side:
    """Of spans of code points; a long one is seen by its ends."""
    return _joined(_char_side(code) for span in spans for code in span)


def _char_side(code: int) -> _Side:
    folded = int(tables().fold[code])
    if folded in (DROPPED, *range(CODES, CODES + len(tables().expansions))):
        return _Side.OPEN
    char = chr(folded)
    if char in ASCII_WORD:
        return _Side.ASCII
    if kind_of(char) == Kind.HAN:
        return _Side.CHINESE
    return _Side.WORD if is_word(char) else _Side.NONE


def _joined(sides: Iterable[_Side]) -> _Side:
    """What holds for all of them."""
    found = set(sides)
    if len(found) == 1:
        return found.pop()
    if found <= {_Side.ASCII, _Side.WORD}:
        return _Side.WORD
    if found == {_Side.ASCII, _Side.NONE}:
        return _Side.ASCII
    return _Side.CHINESE if _Side.CHINESE in found else _Side.OPEN


def category(name: str) -> str:
    """The members of a class such as CATEGORY_DIGIT, as they stand in brackets."""
    return {"CATEGORY_DIGIT": "0-9", "CATEGORY_SPACE": " "}.get(name) or word_class()


@cache
def word_class() -> str:
    r"""What `\w` means, as it stands in brackets."""
    ranges = [f"{chr(first)}-{chr(last)}" if last > first else chr(first) for first, last in _word_ranges()]
    return "a-z0-9_" + "".join(ranges)


@cache
def opening() -> str:
    """The character before a word, or the start."""
    return f"(?:^|[^{word_class()}\\n])"


@cache
def closing() -> str:
    """The character after a word, or the end."""
    return f"(?:$|[^{word_class()}\\n])"


def is_word(char: str) -> bool:
    r"""Whether `\w` matches it."""
    return bool(_word().match(char))


@cache
def _word() -> re.Pattern[str]:
    return re.compile(f"[{word_class()}]")


def _word_ranges() -> Iterator[tuple[int, int]]:
    """Spans of letters and digits beyond ASCII, and of what is in no folded text between them."""
    first = 128
    for code in [*filter(_parts, range(128, _BEYOND)), CODES]:
        if any(chr(each).isalnum() for each in range(first, min(code, _BEYOND + 1))):
            yield first, code - 1
        first = code + 1


def _parts(code: int) -> bool:
    """Whether a character of folded texts is none of a word."""
    if any(first <= code < past for first, past in _UNTOLD) or int(tables().fold[code]) != code:
        return False
    return not chr(code).isalnum() and unicodedata.category(chr(code))[0] not in "MC"
