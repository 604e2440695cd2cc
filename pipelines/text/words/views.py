"""Views of folded texts in which a disguised term reads like the term: without gaps, leet as letters, stretches short.

In the squeezed view there is nothing but letters and digits, and the first letter of each Latin word is a capital. So
"add-my_wechat" reads AddMyWechat, a literal of a term is whole words by itself, and "was sent" is no insult. Letters
that stand alone, as in "w e c h a t", are read as one word. Chinese needs no such care here: which gaps a term may
have is looked at where one was found (pipelines/text/words/disguise.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pipelines.text.words.characters import CODES, Kind
from pipelines.text.words.normalise import Folded, as_text
from pipelines.text.words.signs import read_signs, signs_at

SPELLED_GAP = 3  # characters at most between letters that stand alone, as in "w . e . c . h . a . t"
STRETCHED = 3  # a letter this often in a row is no spelling
TO_CAPITAL = ord("a") - ord("A")
_LEET = {"0": "o", "1": "i", "3": "e", "4": "a", "5": "s", "7": "t", "8": "b", "9": "g", "@": "a", "$": "s", "€": "e"}
_INNER_LEET = {"!": "i", "|": "i", "¡": "i"}  # at the end of a word these are marks
_INNER = np.array([ord(sign) for sign in _INNER_LEET], np.uint32)
_EITHER = np.array([ord(sign) for sign in "1!|"], np.uint32)  # an i or an l
_LETTER_OF = np.zeros(CODES, np.uint8)
for _sign, _letter in {**_LEET, **_INNER_LEET}.items():
    _LETTER_OF[ord(_sign)] = ord(_letter)


class Way(StrEnum):
    """How a term was written, the plainest first."""

    PLAIN = "plain"
    FOLDED = "folded"  # in other letters, widths or characters
    SQUEEZED = "squeezed"  # with something between its letters
    STRETCHED = "stretched"  # with letters repeated
    LEET = "leet"  # with digits and signs for letters
    SIGNS = "signs"  # with signs or emoji for words
    PINYIN = "pinyin"  # Chinese in Latin letters, wholly or partly
    SOUND = "sound"  # with other Chinese characters of the same sound


@dataclass(frozen=True, eq=False)
class View:
    """M characters of a view, edges included, and where in the folded texts each of them stands."""

    code_M: NDArray[np.uint32]
    at_M: NDArray[np.int32]
    way: Way = Way.PLAIN  # the disguise that it undoes, beside gaps

    @cached_property
    def text(self) -> str:
        """The same characters as a text."""
        return as_text(self.code_M)


@dataclass(frozen=True)
class _Part:
    """Some of the folded texts, perhaps with characters replaced."""

    code_N: NDArray[np.uint32]
    kind_N: NDArray[np.uint8]
    at_N: NDArray[np.int32]

    def only(self, keep_N: NDArray[np.bool_]) -> _Part:
        kept = np.flatnonzero(keep_N)
        return _Part(self.code_N[kept], self.kind_N[kept], self.at_N[kept])


def squeezed(folded: Folded) -> View:
    """The view of all texts that undoes gaps alone."""
    return _squeezed(_whole(folded), Way.PLAIN)


def further(folded: Folded) -> Iterator[View]:
    """Yield views of the texts, few as a rule, that have a letter three times in a row, signs or digits for letters."""
    whole, edges = _whole(folded), folded.edges
    yield from _shortened(whole, edges, Way.STRETCHED)
    if len(signs := signs_at(whole.code_N, whole.kind_N)):
        part = _lines(whole, edges, signs)
        for words in read_signs(part.code_N, part.kind_N, part.at_N, signs_at(part.code_N, part.kind_N)):
            yield _squeezed(_Part(*words), Way.SIGNS)
    first_R, _ = _leet_runs(whole)
    if not len(first_R):
        return
    part = _lines(whole, edges, first_R)
    for either in ("i", "l") if np.isin(part.code_N, _EITHER).any() else ("i",):
        read = _read_leet(part, either)
        yield _squeezed(read, Way.LEET)
        yield from _shortened(read, np.flatnonzero(read.kind_N == Kind.EDGE), Way.LEET)


def _whole(folded: Folded) -> _Part:
    return _Part(folded.code_N, folded.kind_N, np.arange(len(folded.code_N), dtype=np.int32))


def _squeezed(part: _Part, way: Way) -> View:
    """Drop what is neither letter nor digit, write the first letter of each Latin word large."""
    latin_N = part.kind_N == Kind.LATIN
    letter_N = latin_N | (part.kind_N == Kind.LETTER)
    first_N, alone_N = latin_N.copy(), latin_N.copy()
    first_N[1:] &= ~letter_N[:-1]
    alone_N[:-1] &= ~letter_N[1:]
    alone_N &= first_N
    content = np.flatnonzero(part.kind_N > Kind.SPACE)
    code_M, at_M, first_M = part.code_N[content], part.at_N[content], first_N[content]
    if alone_N.any():
        first_M &= ~_spelled(alone_N[content], at_M)
    code_M -= first_M * np.uint32(TO_CAPITAL)
    return View(code_M, at_M, way)


def _spelled(alone_M: NDArray[np.bool_], at_M: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Whether a letter goes on with the word of the one before: of three that stand alone near each other."""
    after_M = alone_M.copy()
    after_M[0] = False
    after_M[1:] &= alone_M[:-1] & (np.diff(at_M) <= SPELLED_GAP + 1)
    three_M = np.zeros_like(after_M)
    three_M[1:] |= after_M[:-1]
    three_M[:-1] |= after_M[1:]
    return after_M & three_M


def _lines(part: _Part, edges: NDArray[np.int64], marked: NDArray[np.int64]) -> _Part:
    """The texts in which these characters are, with their edges."""
    texts = np.unique(np.searchsorted(edges, marked) - 1)
    pieces = [np.arange(edges[text], edges[text + 1]) for text in texts.tolist()]
    at = np.concatenate([*pieces, edges[-1:]])
    return _Part(part.code_N[at], part.kind_N[at], part.at_N[at])


def _shortened(part: _Part, edges: NDArray[np.int64], way: Way) -> Iterator[View]:
    """Letters repeated three times and more, once and twice: "freee" is "free" and "looove" is "love"."""
    word_N = (part.kind_N >= Kind.HAN) & (part.kind_N <= Kind.LETTER)
    same_N = part.code_N[1:] == part.code_N[:-1]
    third = np.flatnonzero(same_N[1:] & same_N[:-1] & word_N[2:]) + 2
    if not len(third):
        return
    part = _lines(part, edges, third)
    run_N = np.cumsum(np.diff(part.code_N, prepend=part.code_N[:1]) != 0)
    size_R = np.bincount(run_N)
    within_N = np.arange(len(run_N)) - (np.cumsum(size_R) - size_R)[run_N]
    word_N = (part.kind_N >= Kind.HAN) & (part.kind_N <= Kind.LETTER)
    long_N = word_N & (size_R[run_N] >= STRETCHED)
    for kept in (1, 2):
        yield _squeezed(part.only(~(long_N & (within_N >= kept))), way)


def _leet_runs(part: _Part) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """From and to where digits and signs are read as letters: between letters, or beside two of them.

    What "mp3" becomes is harmless, and "4k", "5s" and prices stay.
    """
    signs = np.flatnonzero((part.kind_N == Kind.GAP) | (part.kind_N == Kind.DIGIT))
    leet = signs[_LETTER_OF[part.code_N[signs]] > 0]
    if not len(leet):
        return leet, leet
    parted = np.flatnonzero(np.diff(leet) > 1) + 1
    first_R, last_R = leet[np.concatenate([[0], parted])], leet[np.concatenate([parted, [len(leet)]]) - 1]
    latin_N, end = part.kind_N == Kind.LATIN, len(part.kind_N) - 1
    before_R, after_R = latin_N[first_R - 1], latin_N[last_R + 1]
    beside_R = (before_R & latin_N[first_R - 2]) | (after_R & latin_N[np.minimum(last_R + 2, end)])
    inner = np.isin(part.code_N[leet], _INNER)
    marks_R = np.add.reduceat(inner, np.concatenate([[0], parted]), dtype=np.int64) > 0
    reads_R = (before_R & after_R) | (beside_R & ~marks_R)
    return first_R[reads_R], last_R[reads_R] + 1


def _read_leet(part: _Part, either: str) -> _Part:
    """The same with letters where digits and signs stand for them."""
    first_R, past_R = _leet_runs(part)
    step_N = np.zeros(len(part.code_N) + 1, np.int8)
    step_N[first_R], step_N[past_R] = 1, -1
    read_N = np.cumsum(step_N[:-1], dtype=np.int8) > 0
    letter_N = np.where(np.isin(part.code_N, _EITHER), ord(either), _LETTER_OF[part.code_N])
    code_N = np.where(read_N, letter_N, part.code_N).astype(np.uint32)
    return _Part(code_N, np.where(read_N, np.uint8(Kind.LATIN), part.kind_N), part.at_N)
