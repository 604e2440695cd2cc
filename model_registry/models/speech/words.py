"""Where each word of a line lies in time, from the alignment of its tokens with the sound."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from model_registry.model import Line, Word

FRAME_MS = 20  # the alignment's step: two mel frames of 10 ms


def token_starts_ms(alignment: Iterable[tuple[int, int]], tokens: int) -> list[int]:
    """When each of so many tokens begins, and when the last ends: of (token, frame) pairs the first of each token."""
    pairs = np.array(list(alignment), np.int64).reshape(-1, 2)
    if len(pairs) == 0:
        return [0] * (tokens + 1)
    frames = np.interp(np.arange(tokens + 1), *_firsts(pairs))
    return [int(frame) * FRAME_MS for frame in frames]


def _firsts(pairs_N2: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    tokens, places = np.unique(pairs_N2[:, 0], return_index=True)
    return tokens, pairs_N2[places, 1]


def words(
    parts: Sequence[str], counts: Sequence[int], starts_ms: Sequence[int], start_ms: int, end_ms: int
) -> tuple[str, tuple[Word, ...]]:
    """Join a line's parts and place each that is a word; `counts` says how many tokens a part has.

    `starts_ms` has one number a token and one more; times are kept between those of the line.
    """
    text = "".join(parts)
    lead = len(text) - len(text.lstrip())
    found, position = [], -lead
    for part, first, count in zip(parts, accumulate(counts, initial=0), counts, strict=False):
        word = part.strip()
        begin = position + part.find(word)
        position += len(part)
        if any(letter.isalnum() for letter in word):
            times = (min(max(starts_ms[place], start_ms), end_ms) for place in (first, first + count))
            found.append(Word(begin, begin + len(word), *times))
    return text.strip(), tuple(found)


def later(line: Line, by_ms: int) -> Line:
    """The same line in a sound that began so much earlier."""
    moved = tuple(replace(word, start_ms=word.start_ms + by_ms, end_ms=word.end_ms + by_ms) for word in line.words)
    return replace(line, start_ms=line.start_ms + by_ms, end_ms=line.end_ms + by_ms, words=moved)
