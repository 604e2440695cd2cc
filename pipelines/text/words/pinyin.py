"""Chinese terms in Latin letters: their readings, and the view of a text in which Chinese reads as Latin letters do.

A term may be written wholly in pinyin ("jia weixin") or partly ("加weixin"). A view of all texts would be of all
English ones too, so it shows only words that could be the pinyin of some term, by their pairs of letters, and the
characters of terms beside them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from string import ascii_lowercase

import numpy as np
from numpy.typing import NDArray

from pipelines.text.words.characters import BREAK, CODES
from pipelines.text.words.normalise import codes_of
from pipelines.text.words.views import View, Way

BEGINS, ENDS, BROKEN = 1, 2, 4
OTHER = np.uint32(63)
NEAR = 5  # characters of a term that a word in pinyin may have on either side
Reading = tuple[str, ...]  # of each character its syllable, without tones, ü as v


@cache
def readings(term: str) -> tuple[Reading, ...]:
    """How a term of Chinese characters may be read; the reading of its characters one by one stands first."""
    from pypinyin import lazy_pinyin

    each = tuple(syllable for char in term for syllable in lazy_pinyin(char))
    together = tuple(lazy_pinyin(term))
    fitting = [reading for reading in (each, together) if len(reading) == len(term) and all(map(_is_latin, reading))]
    return tuple(dict.fromkeys(fitting))


def _is_latin(syllable: str) -> bool:
    return syllable.isascii() and syllable.isalpha()


@dataclass(frozen=True, eq=False)
class Syllables:
    """What is known of the terms that may be written in pinyin."""

    row: NDArray[
        np.int32
    ]  # [CODES] where in `letters` a character's syllable begins, or a Latin letter is; -1: in no term
    size: NDArray[np.int32]  # [CODES] how many letters that is
    letters: NDArray[np.uint32]  # before each syllable stands an edge
    events: NDArray[np.uint8]  # [64 * 64] of two neighbours, what a reader of words has to know

    @classmethod
    def of(cls, terms: Iterable[str]) -> Syllables:
        """Collect them."""
        row, size = np.full(CODES, -1, np.int32), np.ones(CODES, np.int32)
        row[97:123], letters = np.arange(1, 53, 2), "".join("\n" + letter for letter in ascii_lowercase)
        pairs, first, last = set[str](), set[str](), set[str]()
        for term in terms:
            for char, syllable in zip(term, next(iter(readings(term)), ()), strict=False):
                if row[ord(char)] < 0:
                    row[ord(char)], size[ord(char)] = len(letters) + 1, len(syllable)
                    letters += "\n" + syllable
            for reading in readings(term):
                first |= {syllable[0] for syllable in reading}
                last |= {syllable[-1] for syllable in reading}
                pairs |= {one + other for one, other in pairwise("".join(reading))}
        return cls(row, size, codes_of(letters), _events(pairs, first, last))


def _events(pairs: set[str], first: set[str], last: set[str]) -> NDArray[np.uint8]:
    """For each two neighbours of a squeezed view whether a word begins, ends or breaks off between them.

    Neighbours are numbered from A = 0, so that a is 32; what is no letter is OTHER. 0 stands for "the word goes on".
    """
    table = np.zeros((64, 64), np.uint8)
    for before in range(64):
        for after in range(64):
            one, other = chr(before + 65), chr(after + 65)
            if other.islower() and one.isalpha():
                table[before, after] = 0 if one.lower() + other in pairs else BROKEN
            else:
                begins = BEGINS * (other.lower() in first) if other.isalpha() else 0
                ends = ENDS * (one.lower() in last) if one.isalpha() else 0
                table[before, after] = begins | ends | BROKEN * (one.isalpha() or other.isalpha())
    return table.ravel()


def pinyin_view(squeezed: View, known: Syllables) -> View | None:
    """The view of words that may be pinyin and of characters beside them; None where there are no such words.

    Its places are those of the squeezed view.
    """
    code_M = squeezed.code_M
    letters = _letters_of_words(code_M, known)
    if not len(letters):
        return None
    may_M = np.zeros(len(code_M), bool)
    may_M[letters] = True
    beside = np.flatnonzero(_beside(may_M, NEAR))
    code = code_M[beside].astype(np.intp)
    kept = np.flatnonzero(may_M[beside] | ((code >= 128) & (known.row[code] >= 0)))
    at, code = beside[kept], code[kept]
    code |= 32 * (code < 128)
    parted = np.diff(at, prepend=-2) > 1
    size = known.size[code] + parted
    first = known.row[code] - parted - (np.cumsum(size) - size)  # less the letters before, which `arange` counts
    spelled = known.letters[np.arange(int(size.sum())) + np.repeat(first, size)]
    return View(np.append(spelled, np.uint32(BREAK)), np.repeat(np.append(at, at[-1]), np.append(size, 1)), Way.PINYIN)


def _letters_of_words(code_M: NDArray[np.uint32], known: Syllables) -> NDArray[np.int64]:
    """Where the letters of the words are that have only pairs of letters that some term's pinyin has."""
    letter_M = np.minimum(code_M - np.uint32(65), OTHER).astype(np.uint16)
    event_M = known.events[((letter_M[:-1] << 6) | letter_M[1:]).astype(np.intp)]
    at = np.flatnonzero(event_M != 0)  # of a bool it is several times faster
    event = event_M[at]
    good = np.flatnonzero((event[:-1] & BEGINS > 0) & (event[1:] & ENDS > 0))
    first_W, size_W = at[good] + 1, at[good + 1] - at[good]
    return np.repeat(first_W - np.cumsum(size_W) + size_W, size_W) + np.arange(int(size_W.sum()))


def _beside(is_M: NDArray[np.bool_], reach: int) -> NDArray[np.bool_]:
    """Whether one within `reach` characters is so."""
    near_M, done = is_M, 0
    while done < reach:
        step = min(done + 1, reach - done)
        wider_M = near_M.copy()
        wider_M[step:] |= near_M[:-step]
        wider_M[:-step] |= near_M[step:]
        near_M, done = wider_M, done + step
    return near_M
