"""Views in which signs and emoji read as the words that they stand for: "➕💚" as "加微信".

What a sign stands for is slang of spam, not its name. Some stand for a Chinese word and an English one, so there is a
view of each.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
from numpy.typing import NDArray

from pipelines.text.words.characters import CODES, Kind
from pipelines.text.words.normalise import codes_of

_CHINESE = {
    "➕": "加", "✚": "加", "╋": "加", "┼": "加", "✛": "加", "✜": "加", "✙": "加", "⊕": "加",
    "⨁": "加", "☩": "加", "🞡": "加", "🞤": "加", "+": "加", "💚": "微信", "🍀": "微信", "🐧": "qq",
    "✈": "飞机", "🛩": "飞机", "🛫": "飞机", "🔗": "链接", "📎": "链接", "☎": "电话", "📞": "电话", "📱": "手机",
    "💬": "私信", "✉": "私信", "📩": "私信", "📧": "邮箱", "🧧": "红包", "👗": "群", "🐎": "码", "🐴": "码",
    "❤": "信", "♥": "信", "💌": "信", "📨": "信", "🏠": "主页", "👤": "头像", "👇": "下面", "⬇": "下面",
    "🆔": "号", "💰": "钱", "🤑": "钱", "🎁": "礼物", "🛰": "卫星", "🚗": "车", "🈶": "有", "🈚": "无",
}  # fmt: skip
_ENGLISH = {
    "➕": "add", "✚": "add", "╋": "add", "+": "add", "💚": "wechat", "🐧": "qq", "✈": "telegram", "🛩": "telegram",
    "🔗": "link", "📎": "link", "☎": "call", "📞": "call", "📱": "phone", "💬": "dm", "✉": "dm", "📩": "dm",
    "📨": "dm", "📧": "mail", "👻": "snapchat", "💰": "money", "🤑": "money", "💵": "cash", "🎁": "gift", "🏠": "home",
    "🆓": "free", "👇": "below", "⬇": "below", "🆔": "id",
}  # fmt: skip
_PLUS = ord("+")
SPACED = np.array([32], np.uint32)
Expanded = tuple[NDArray[np.uint32], NDArray[np.uint8], NDArray[np.int32]]  # codes, kinds, places


@cache
def _known() -> NDArray[np.bool_]:
    """[CODES] whether a character stands for a word."""
    table = np.zeros(CODES, bool)
    table[[ord(sign) for words in (_CHINESE, _ENGLISH) for sign in words]] = True
    return table


def signs_at(code_N: NDArray[np.uint32], kind_N: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Where the signs are that stand for words; a plus between numbers or Latin letters adds, and is none."""
    gaps = np.flatnonzero(kind_N == Kind.GAP)
    at = gaps[_known()[code_N[gaps].astype(np.intp)]]
    if not len(at):
        return at
    after = kind_N[np.minimum(at + 1, len(kind_N) - 1)]
    plain = (code_N[at] == _PLUS) & (after != Kind.HAN) & (after != Kind.GAP)
    kept: NDArray[np.int64] = at[~plain]
    return kept


def read_signs(
    code_N: NDArray[np.uint32], kind_N: NDArray[np.uint8], at_N: NDArray[np.int32], signs: NDArray[np.int64]
) -> Iterator[Expanded]:
    """Yield the texts with words for their signs, in each language; a word of letters stands apart."""
    for words, kind in ((_CHINESE, Kind.HAN), (_ENGLISH, Kind.LATIN)):
        found = [(at, codes_of(words[sign])) for at in signs.tolist() if (sign := chr(int(code_N[at]))) in words]
        if found:
            yield _expanded(code_N, kind_N, at_N, found, kind)


def _expanded(
    code_N: NDArray[np.uint32],
    kind_N: NDArray[np.uint8],
    at_N: NDArray[np.int32],
    found: list[tuple[int, NDArray[np.uint32]]],
    kind: int,
) -> Expanded:
    codes, kinds, places, before = [], [], [], 0
    space = np.array([Kind.SPACE], np.uint8)
    for at, word in found:
        latin = bool(word[0] < 128)
        codes += [code_N[before:at], *([word] if not latin else [SPACED, word, SPACED])]
        own = np.full(len(word), Kind.LATIN if latin else kind, np.uint8)
        kinds += [kind_N[before:at], *([own] if not latin else [space, own, space])]
        places += [at_N[before:at], np.full(len(word) + 2 * latin, at_N[at], np.int32)]
        before = at + 1
    rest = slice(before, None)
    return (
        np.concatenate([*codes, code_N[rest]]),
        np.concatenate([*kinds, kind_N[rest]]),
        np.concatenate([*places, at_N[rest]]),
    )
