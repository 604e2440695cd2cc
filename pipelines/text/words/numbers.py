"""Numbers that are said or written as words: "one three eight", "triple five", 幺三八, 壹叁捌.

A row of digits is a number to call, or it only counts: "one two three four", "five four three". A regex cannot tell
them apart, this can.
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

FEWEST = 7  # digits of a number that can be called
MOSTLY = 0.75  # of its steps are the same: it counts
_CHINESE = {
    "零": 0, "〇": 0, "洞": 0, "一": 1, "幺": 1, "壹": 1, "二": 2, "两": 2, "贰": 2, "三": 3, "叁": 3, "四": 4,
    "肆": 4, "五": 5, "伍": 5, "六": 6, "陆": 6, "七": 7, "柒": 7, "拐": 7, "八": 8, "捌": 8, "九": 9, "玖": 9,
}  # fmt: skip
_ENGLISH = dict(
    zip("zero oh o one two three four five six seven eight nine".split(), [0, 0, *range(10)], strict=True)  # noqa: SIM905
)
_TIMES = {"double": 2, "triple": 3, "treble": 3}
_GOES_ON = re.compile("[0-9{0}](?=[0-9a-z{0}])|[0-9a-z{0}](?=[0-9{0}])".format("".join(_CHINESE)))
_NUMBERS = "double|triple|treble|zero|oh|one|two|three|four|five|six|seven|eight|nine"
_TOKENS = re.compile(rf"[0-9]|{_NUMBERS}|\bo\b|[{''.join(_CHINESE)}]")


def digits_of(text: str) -> str:
    """The digits that stand or are named in a folded text: "triple five 1 幺" is "55511"."""
    found, times = "", 1
    for token in _TOKENS.findall(text):
        if token in _TIMES:
            times = _TIMES[token]
            continue
        digit = token if token.isascii() and token.isdigit() else str({**_CHINESE, **_ENGLISH}[token])
        found, times = found + digit * times, 1
    return found


def can_be_called(text: str, start: int, end: int) -> bool:
    """Whether the digits in [start, end) of a folded text are a number to call: enough, whole, and no counting."""
    digits = digits_of(text[start:end])
    whole = not _GOES_ON.match(text, start - 1) and not _GOES_ON.match(text, end - 1)
    return whole and len(digits) >= FEWEST and not counts(digits)


def counts(digits: str) -> bool:
    """Whether most digits follow by one step: 1234567, 9876, 2468, 0000000; or there are but noughts and ones."""
    steps = Counter((int(after) - int(before)) % 10 for before, after in pairwise(digits))
    return set(digits) <= {"0", "1"} or max(steps.values(), default=0) >= MOSTLY * (len(digits) - 1)
