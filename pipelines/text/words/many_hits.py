"""Hits of Chinese terms that stand in a text as they are: found for all texts at once, however many there are.

A raw word list with terms of one character has ten hits a text, and looking at them one by one takes all the time.
Only what needs no second look comes here: terms of Chinese characters alone, which no context excuses, written as they
are. What is left out is looked at by `disguise.py`, which finds the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.text.words.characters import Kind, kind_of
from pipelines.text.words.disguise import Batch
from pipelines.text.words.hits import MOST_HITS, Hit, standing
from pipelines.text.words.views import Way
from pipelines.text.words.wanted import Wanted


@dataclass(frozen=True, eq=False)
class Simple:
    """Which literals need no second look, and what a hit of each says."""

    is_L: NDArray[np.bool_]  # by number of the literal
    says_L: Sequence[tuple[str, int, bool, float, str, str]]  # a Hit but for its place
    single: bool  # they are all of one entry, so that of two that overlap the longer stands

    @classmethod
    def of(cls, literals: dict[str, tuple[Wanted, ...]]) -> Simple:
        """Look at each literal once."""
        is_L = np.array([_is_simple(text, wanted) for text, wanted in literals.items()], bool)
        entries = {id(wanted[0].entry) for wanted, simple in zip(literals.values(), is_L, strict=True) if simple}
        return cls(is_L, [_says(wanted[0]) for wanted in literals.values()], len(entries) == 1)


def _is_simple(text: str, wanted: tuple[Wanted, ...]) -> bool:
    one = wanted[0]
    return len(wanted) == 1 and not one.unless and one.text == text and all(kind_of(char) == Kind.HAN for char in text)


def _says(wanted: Wanted) -> tuple[str, int, bool, float, str, str]:
    entry = wanted.entry
    return entry.label, entry.severity, entry.certain, entry.score, wanted.lexicon, wanted.term


@dataclass(frozen=True, eq=False)
class Places:
    """E hits: which literal, in which text, and where in it."""

    which_E: NDArray[np.int64]
    number_E: NDArray[np.int64]
    start_E: NDArray[np.int64]
    end_E: NDArray[np.int64]

    def only(self, kept: NDArray[np.bool_] | NDArray[np.int64]) -> Places:
        """Some of them."""
        return Places(self.which_E[kept], self.number_E[kept], self.start_E[kept], self.end_E[kept])


def as_they_are(
    batch: Batch, simple: Simple, which_E: NDArray[np.int64], start_E: NDArray[np.int64], end_E: NDArray[np.int64]
) -> tuple[Places, NDArray[np.bool_]]:
    """The finds in the main view that are hits without a second look, and which of the finds those are."""
    folded = batch.folded
    first_E, last_E = batch.main.at_M[start_E], batch.main.at_M[end_E - 1]
    from_E, to_E = folded.source_N[first_E], folded.source_N[last_E]
    is_E = simple.is_L[which_E] & (to_E - from_E == end_E - start_E - 1)
    before_N = folded.changed_before
    is_E &= before_N[last_E + 1] == before_N[first_E]
    which_E, first_E, from_E, to_E = which_E[is_E], first_E[is_E], from_E[is_E], to_E[is_E]
    number_E = np.searchsorted(folded.edges, first_E) - 1
    offset_E = folded.start_T[number_E]
    places = Places(which_E, number_E, from_E - offset_E, to_E + 1 - offset_E)
    return places.only(np.lexsort((places.end_E, places.start_E, number_E))), is_E


def hits_of(places: Places, simple: Simple, found: list[list[Hit]]) -> None:
    """Add the hits to those found in each text; of hits that overlap those stand that `standing` would keep."""
    if not len(places.which_E):
        return
    also_E = np.array([bool(hits) for hits in found], bool)[places.number_E]
    rest = places.only(np.flatnonzero(~also_E))
    cluster_E, size_C = _clusters(rest)
    if simple.single and len(cluster_E):
        rest = rest.only(_undisputed(rest, cluster_E, size_C))
        cluster_E, size_C = _clusters(rest)
    disputed = {*places.number_E[also_E].tolist(), *rest.number_E[size_C[cluster_E] > 1].tolist()}
    for part in (places.only(np.flatnonzero(also_E)), rest):
        for which, number, start, end in zip(
            part.which_E.tolist(), part.number_E.tolist(), part.start_E.tolist(), part.end_E.tolist(), strict=True
        ):
            found[number].append(Hit._make((*simple.says_L[which], start, end, Way.PLAIN)))
    for number in disputed:
        found[number] = standing(found[number])
    for number in set(places.number_E.tolist()) - disputed:
        del found[number][MOST_HITS:]


def _clusters(places: Places) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number the groups of hits that overlap each other; how many are in each."""
    if not len(places.which_E):
        return places.which_E, np.zeros(0, np.int64)
    room = int(places.end_E.max()) + 1
    start_E, end_E = places.start_E + places.number_E * room, places.end_E + places.number_E * room
    farthest_E = np.maximum.accumulate(end_E)
    cluster_E = np.concatenate([[0], np.cumsum(start_E[1:] >= farthest_E[:-1])])
    return cluster_E, np.bincount(cluster_E)


def _undisputed(places: Places, cluster_E: NDArray[np.int64], size_C: NDArray[np.int64]) -> NDArray[np.bool_]:
    """What stands where one hit spans all that overlap it, or is not overlapped; all where that is not so."""
    first_C = np.cumsum(size_C) - size_C
    start_C = places.start_E[first_C]
    end_C = np.maximum.reduceat(places.end_E, first_C)
    spans_E = (places.start_E == start_C[cluster_E]) & (places.end_E == end_C[cluster_E])
    settled_C = np.bincount(cluster_E[spans_E], minlength=len(size_C)) == 1
    stands_E: NDArray[np.bool_] = spans_E | ~settled_C[cluster_E]
    return stands_E
