"""Tables over all of Unicode: what each character is folded to before it is compared, and of which kind that is."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from pipelines.text.words.homoglyphs import LOOKALIKES

CODES = 0x110000
DROPPED = 0  # in the table of folds: the character goes, as NUL itself does
BREAK = 10  # the code of a line's edge
SPACE_CODE = ord(" ")
KIND_SHIFT = 24


class Kind:
    """What a folded character does in a word; whole numbers, because numpy would compare an Enum's as 64 bits."""

    GAP = 0  # punctuation, symbols, emoji: what is put between letters to part them
    SPACE = 1
    EDGE = 2  # of a text
    HAN = 3  # Chinese characters, and kana, which stand without spaces too
    LATIN = 4  # a to z
    LETTER = 5  # of every other alphabet
    DIGIT = 6  # 0 to 9, and the percent sign, which is content
    MARK = 7  # of another script: it belongs to its own letters, and is dropped behind any other


@dataclass(frozen=True)
class Tables:
    """One row a code point. A fold of CODES + n stands for the n-th of `expansions`."""

    fold: NDArray[np.uint32]  # [CODES]
    kind: NDArray[np.uint8]  # [CODES], of folded characters
    both: NDArray[np.uint32]  # [CODES], the fold, and the kind of the fold above KIND_SHIFT: one look-up for two
    lookalike: NDArray[np.uint8]  # [CODES], the Latin letter that an unfolded character looks like, else 0
    expansions: tuple[str, ...]


# Marks that decorate any letter; those of living scripts (Thai vowels, Devanagari signs) are letters there.
_LOOSE_BLOCKS = (
    (0x300, 0x370), (0x483, 0x48A), (0x591, 0x5C8), (0x610, 0x61B), (0x640, 0x641), (0x64B, 0x660), (0x670, 0x671),
    (0x1AB0, 0x1B00), (0x1DC0, 0x1E00), (0x20D0, 0x2100), (0x302A, 0x3030), (0xFE00, 0xFE10), (0xFE20, 0xFE30),
)  # fmt: skip
_LOOSE_MARKS = frozenset(code for block in _LOOSE_BLOCKS for code in range(*block))
_BLANK_LETTERS = frozenset("\u115f\u1160\u17b4\u17b5\u3164\uffa0")  # Hangul and Khmer fillers, which show nothing
_HAN = ((0x3005, 0x3008), (0x3040, 0x3100), (0x31F0, 0x3200), (0x3400, 0x4DC0), (0x4E00, 0xA000), (0xF900, 0xFB00))
_HAN_BEYOND = (0x20000, 0x32400)
_TAGS = (0xE0000, 0xE0200)  # and the further variation selectors
_LATIN_NAME = re.compile(r"(?:LATIN|INDICATOR) .*LETTER (?:SMALL CAPITAL )?([A-Z])(?: WITH .*)?$")
_ODD_LATIN = dict(zip("ıɑɡəɛŋɩɪʟʏɴʜꞓ", "iageeniillnhc", strict=True))
_LIGATURES = {"æ": "ae", "œ": "oe", "þ": "th", "ð": "d", "ß": "ss"}
_KEPT_SIGNS = "%"


@cache
def tables() -> Tables:
    """Build the tables, once in a process: some tenths of a second."""
    fold, expansions = np.arange(CODES, dtype=np.uint32), list[str]()
    for code in [*range(0x3400), *range(0xA000, 0xAC00), *range(0xD7A4, 0xD800), *range(0xE000, 0x20000)]:
        fold[code] = _entry(_folded(chr(code)), expansions)
    for code in range(0x2F800, 0x2FA20):  # compatibility ideographs
        fold[code] = _entry(unicodedata.normalize("NFKC", chr(code)), expansions)
    fold[slice(*_TAGS)] = DROPPED
    fold[0xD800:0xE000] = 0xFFFD  # half a surrogate pair has no UTF-8
    single = fold < CODES
    fold[single] = _simplified()[fold[single]]
    kind = _kinds()
    both = fold | (kind[np.minimum(fold, CODES - 1)].astype(np.uint32) << np.uint32(KIND_SHIFT))
    return Tables(fold, kind, both, _lookalikes(), tuple(expansions))


@cache
def _kind_bytes() -> bytes:
    return tables().kind.tobytes()


def kind_of(char: str) -> int:
    """The kind of one folded character, or of a capital that a view has put in."""
    return _kind_bytes()[ord(char.lower()) if char.isascii() else ord(char)]


def _entry(folded: str, expansions: list[str]) -> int:
    """What the table says of a fold of no, one or several characters."""
    if len(folded) < 2:
        return ord(folded) if folded else DROPPED
    expansions.append(folded)
    return CODES + len(expansions) - 1


def _folded(char: str) -> str:
    """Compatibility form (NFKC), small, without accents; letters in circles and squares, and any script's digits."""
    category = unicodedata.category(char)
    if char.isspace() or char == "\u2800" or category in ("Zs", "Zl", "Zp"):  # U+2800: a braille cell without dots
        return " "
    if category in ("Cc", "Cf") or char in _BLANK_LETTERS or ord(char) in _LOOSE_MARKS:
        return ""
    if (digit := unicodedata.digit(char, None)) is not None:
        return str(digit)
    if plain := _latin(char):
        return plain
    return "".join(_bare(each) for each in unicodedata.normalize("NFKC", char).casefold())


def _latin(char: str) -> str:
    """The a to z that a Latin letter is a form of; empty where it is none, or stands for several."""
    name = unicodedata.name(char, "")
    if char.lower() in _LIGATURES:
        return _LIGATURES[char.lower()]
    if char.lower() in _ODD_LATIN:
        return _ODD_LATIN[char.lower()]
    found = _LATIN_NAME.search(name)
    return found[1].lower() if found and not name.startswith("COMBINING") else ""


def _bare(char: str) -> str:
    """A letter of an alphabet without its accents; spaces of compatibility forms stay spaces."""
    apart = unicodedata.normalize("NFD", char)
    base, marks = apart[0], apart[1:]
    plain = base if marks and all(ord(mark) in _LOOSE_MARKS for mark in marks) else char
    if ord(plain) in _LOOSE_MARKS:
        return ""
    return " " if plain.isspace() else plain


def simplified(text: str) -> str:
    """Write traditional Chinese characters as simplified ones, character by character."""
    return text.translate(_simple())


@cache
def _simple() -> dict[int, int]:
    """Of each traditional character the simplified one that OpenCC puts first."""
    lines = files("opencc").joinpath("dictionary/TSCharacters.txt").read_text("utf-8-sig").splitlines()
    pairs = (line.partition("\t") for line in lines)
    return {ord(traditional): ord(simples[0]) for traditional, _, simples in pairs}


def _simplified() -> NDArray[np.uint32]:
    """Every character, a traditional one simplified."""
    simple = np.arange(CODES, dtype=np.uint32)
    simple[list(_simple())] = list(_simple().values())
    return simple


def _kinds() -> NDArray[np.uint8]:
    kind = np.full(CODES, Kind.GAP, np.uint8)
    by_category = {"L": Kind.LETTER, "M": Kind.MARK, "N": Kind.LETTER}
    for code in range(0x20000):
        kind[code] = by_category.get(unicodedata.category(chr(code))[0], Kind.GAP)
    for block in (*_HAN, _HAN_BEYOND):
        kind[slice(*block)] = Kind.HAN
    kind[ord("a") : ord("z") + 1] = Kind.LATIN
    kind[[ord(char) for char in "0123456789" + _KEPT_SIGNS]] = Kind.DIGIT
    kind[SPACE_CODE], kind[BREAK] = Kind.SPACE, Kind.EDGE
    return kind


def _lookalikes() -> NDArray[np.uint8]:
    table = np.zeros(CODES, np.uint8)
    for foreign, latin in LOOKALIKES.items():
        table[ord(foreign)] = ord(latin)
    return table
