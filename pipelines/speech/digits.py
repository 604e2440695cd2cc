"""Digits that are said one by one, as the number that is meant: `triple eight`, `one three double zero`, `幺三八`.

A speech model writes them down as it hears them, and whoever reads the line looks for a number: a telephone, a group, a
code. Only runs that are long enough to be one are joined; `one of two` and `三三两两` stay words.
"""

from __future__ import annotations

import re
from dataclasses import replace

from model_registry.model import Line, Word

ENGLISH = dict(
    zip(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"], "0123456789", strict=True)
)
ENGLISH |= dict.fromkeys(("nought", "oh", "o"), "0")
TIMES = {"double": 2, "triple": 3, "treble": 3, "quadruple": 4}
CHINESE = dict(zip("〇零洞一幺二两兩三四五六七八九", "000112223456789", strict=True))
# Digits that make a number: said, written down one by one, and in Chinese, which has idioms of four.
FEWEST, FEWEST_WRITTEN, FEWEST_CHINESE = 3, 5, 5

_DIGIT = "|".join(sorted(ENGLISH, key=len, reverse=True))
_ONE = rf"(?:(?:{'|'.join(TIMES)})[\s-]+(?:{_DIGIT}|\d)s?|(?:{_DIGIT})|\d+)"
_BETWEEN = r"(?:[\s-]+|,\s*|\.\s+)"
_SPOKEN = re.compile(rf"\b{_ONE}(?:{_BETWEEN}{_ONE})*\b", re.IGNORECASE)
_SPOKEN_CHINESE = re.compile(rf"[{''.join(CHINESE)}\d](?:[\s、,，-]?[{''.join(CHINESE)}\d])*")
_UNIT = re.compile(rf"({'|'.join(TIMES)})[\s-]+({_DIGIT}|\d)s?|({_DIGIT})|(\d+)", re.IGNORECASE)
_SCALE = "十百千万萬亿億点點"  # beside one of these a digit is part of a written-out number


_HEARD_AS_A = re.compile(r"(?<=\d)[\s,-]+(A{2,4})(?=[\s,-]*(?:\d|$|[.!?]))")


def with_digits(line: Line) -> Line:
    """Write the numbers of a line in digits; the words that a number stands for become one."""
    for match in reversed(list(_HEARD_AS_A.finditer(line.text))):  # `triple eight` is written down as AAA
        line = _replaced(line, *match.span(1), "8" * len(match.group(1)))
    for pattern, digits_of in ((_SPOKEN, _english), (_SPOKEN_CHINESE, _chinese)):
        for match in reversed(list(pattern.finditer(line.text))):
            digits = digits_of(match, line.text)
            if digits and digits != match.group():
                line = _replaced(line, match.start(), match.end(), digits)
    return line


def _english(match: re.Match[str], text: str) -> str:  # noqa: ARG001 as _chinese
    """The digits of a run, empty where it is no number: too short, or nothing in it was said as a word."""
    units = _UNIT.findall(match.group())
    digits = ""
    for times, digit, alone, written in units:
        digits += ENGLISH.get(alone.lower(), written)
        if times:
            digits += TIMES[times.lower()] * ENGLISH.get(digit.lower(), digit)
    if any(times for times, *_ in units):
        return digits if len(digits) >= FEWEST else ""
    if any(len(written) > 1 for *_, written in units):  # 12, 13, 14
        return ""
    fewest = FEWEST if any(alone for _, _, alone, _ in units) else FEWEST_WRITTEN
    return digits if len(digits) >= fewest else ""


def _chinese(match: re.Match[str], text: str) -> str:
    """The same of a run of Chinese digits; ten, hundred and thousand beside it make it a number that is written out."""
    beside = text[max(0, match.start() - 1) : match.start()] + text[match.end() : match.end() + 1]
    if any(letter in _SCALE for letter in beside) or not any(letter in CHINESE for letter in match.group()):
        return ""
    digits = "".join(CHINESE.get(letter, letter) for letter in match.group() if letter in CHINESE or letter.isdigit())
    return digits if len(digits) >= FEWEST_CHINESE else ""


def _replaced(line: Line, start: int, end: int, digits: str) -> Line:
    """Put digits in the place of some characters; the words there become one, and those after them move."""
    inside = [word for word in line.words if word.start < end and start < word.end]
    before = [word for word in line.words if word.end <= start]
    after = [word for word in line.words if word.start >= end]
    move = len(digits) - (end - start)
    whole = []
    if inside:
        times = min(word.start_ms for word in inside), max(word.end_ms for word in inside)
        whole = [Word(start, start + len(digits), *times)]
    moved = [replace(word, start=word.start + move, end=word.end + move) for word in after]
    text = line.text[:start] + digits + line.text[end:]
    return replace(line, text=text, words=(*before, *whole, *moved))
