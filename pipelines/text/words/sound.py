"""Chinese terms in other characters of the same sound: "嘉薇芯" for "加微信", and what speech models make of it.

A view shows syllables without tones, and only where two in a row are two of a term; nothing else of a text is looked
at. Sounds that many speakers do not tell apart are one: z and zh, c and ch, s and sh, n and ng at the end.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pipelines.text.words.characters import BREAK, CODES, simplified
from pipelines.text.words.pinyin import readings
from pipelines.text.words.views import View, Way

FIRST_CODE = 0xE000  # syllables are private characters from here on
FEWEST = 3  # characters of a term; two syllables are in too many words


def blurred(syllable: str) -> str:
    """A syllable as a careless speaker says it."""
    for clear, careless in (("zh", "z"), ("ch", "c"), ("sh", "s")):
        if syllable.startswith(clear):
            syllable = careless + syllable[2:]
    return syllable[:-1] if syllable.endswith("ng") and syllable != "ng" else syllable


@cache
def _syllable_of() -> dict[str, str]:
    """Of each character that stands in normal forms its first reading, blurred."""
    from pypinyin import Style, lazy_pinyin
    from pypinyin.constants import PINYIN_DICT

    chars = [chr(code) for code in PINYIN_DICT if 0x4E00 <= code < 0xA000]
    kept = [char for char in chars if simplified(char) == char]
    read = [lazy_pinyin(char, style=Style.NORMAL)[0] for char in kept]
    return {char: blurred(syllable) for char, syllable in zip(kept, read, strict=True)}


@dataclass(frozen=True, eq=False)
class Sounds:
    """The syllables of the terms that are looked for by their sound."""

    number: dict[str, int]  # of each syllable, from 1
    row: NDArray[np.uint16]  # [CODES] the number of a character's syllable; 0: of no term
    follows: NDArray[np.bool_]  # [(count + 1) ** 2] whether one stands before another in a term

    @classmethod
    def of(cls, terms: Iterable[str]) -> Sounds:
        """Collect them."""
        spoken = [tuple(map(blurred, reading)) for term in terms for reading in readings(term)]
        number = {syllable: place for place, syllable in enumerate(sorted({each for one in spoken for each in one}), 1)}
        row = np.zeros(CODES, np.uint16)
        for char, syllable in _syllable_of().items():
            row[ord(char)] = number.get(syllable, 0)
        follows = np.zeros((len(number) + 1) ** 2, bool)
        for one in spoken:
            for before, after in pairwise(one):
                follows[number[before] * (len(number) + 1) + number[after]] = True
        return cls(number, row, follows)

    def literal(self, reading: Iterable[str]) -> str:
        """A term's reading as it stands in the view."""
        return "".join(chr(FIRST_CODE + self.number[blurred(syllable)]) for syllable in reading)


def sound_view(squeezed: View, known: Sounds) -> View | None:
    """The view of runs of syllables that follow each other in a term; None where there are none.

    Its places are those of the squeezed view.
    """
    number_M = known.row[squeezed.code_M.astype(np.intp)]
    pair_M = number_M[:-1].astype(np.intp) * (len(known.number) + 1) + number_M[1:]
    first = np.flatnonzero(known.follows[pair_M])
    if not len(first):
        return None
    starts = np.diff(first, prepend=-2) > 1  # a run's first pair
    ends = np.append(starts[1:], True)
    # of each pair its first syllable; of a run's last pair its second one and a break as well, and a break before all
    size = 1 + 2 * ends
    total = int(size.sum())
    at = np.repeat(first, size) + _within(size, total).clip(0, 1)
    code = number_M[at].astype(np.uint32) + np.uint32(FIRST_CODE)
    code[np.cumsum(size)[ends] - 1] = BREAK
    at = np.concatenate([at[:1], at]).astype(np.int32)
    return View(np.concatenate([[np.uint32(BREAK)], code]).astype(np.uint32), at, Way.SOUND)


def _within(size: NDArray[np.int64], total: int) -> NDArray[np.int64]:
    """Of each item of groups of so many, the number within its group."""
    return np.arange(total) - np.repeat(np.cumsum(size) - size, size)
