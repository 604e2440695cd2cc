"""Match texts with lexicons: a batch is folded and viewed at once, one database of literals reads all of its texts.

Literals and regexes have a Hyperscan database each: regexes read the texts as they are folded, terms a view without
gaps, and one database for both would read both views with all of it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain, pairwise
from typing import Any, TypeVar

import hyperscan
import numpy as np
from numpy.typing import NDArray

from pipelines.text.words.disguise import Batch, hit_of_literal, hit_of_pattern
from pipelines.text.words.hits import Hit, standing
from pipelines.text.words.lexicon import Lexicons
from pipelines.text.words.many_hits import Simple, as_they_are, hits_of
from pipelines.text.words.patterns import compiled, database, trimmed
from pipelines.text.words.pinyin import pinyin_view
from pipelines.text.words.sound import sound_view
from pipelines.text.words.surroundings import KINDS, can_be_lowered, cues, in_its_place, surroundings
from pipelines.text.words.views import View, Way, further
from pipelines.text.words.wanted import Plan

__all__ = ["Hit", "Matcher", "TextMatcher"]

BATCH_CHARACTERS = 200_000  # few enough for the processor's cache, many enough that numpy's calls do not count
FEW = 1000  # bytes a place, from which on counting between places is faster than listing all characters
MANY = 2  # a batch has many finds from one for so many texts on
MOST_FINDS = 10_000  # of one literal or pattern in one text
What = TypeVar("What", int, str)
Span = tuple[int, int, int]  # which pattern, and from where to where


class TextMatcher(ABC):
    """What every matcher does with the literals and patterns it finds. Made of lexicons alone, it can be pickled."""

    def __init__(self, lexicons: Lexicons) -> None:
        self.lexicons = lexicons
        self.plan = Plan.of(lexicons)

    def __reduce__(self) -> tuple[type[TextMatcher], tuple[Lexicons]]:
        return type(self), (self.lexicons,)

    def match(self, texts: Sequence[str]) -> list[list[Hit]]:
        """Return each text's hits, in their order; any text will do, and none makes it raise."""
        return list(chain.from_iterable(self.match_batch(Batch.of(batch)) for batch in self.batches(texts)))

    @abstractmethod
    def batches(self, texts: Sequence[str]) -> Iterator[Sequence[str]]:
        """Yield the texts in batches, in their order."""

    @abstractmethod
    def find_literals(self, view: View) -> Iterable[tuple[str, int, int]]:
        """Every occurrence of every literal of such a view, and from where to where."""

    @abstractmethod
    def find_patterns(self, text: str) -> Iterable[tuple[int, int, int]]:
        """The number of each pattern that matches, and from where to where: for each end the farthest start."""

    def match_batch(self, batch: Batch) -> list[list[Hit]]:
        """Return the hits of texts that were folded before."""
        found: list[list[Hit]] = [[] for _ in batch.texts]
        several = set[int]()
        for number, hit in chain(self._patterns(batch), self._literals(batch)):
            if found[number]:
                several.add(number)
            found[number].append(hit)
        self.add_many(batch, found)
        for number in several:
            found[number] = standing(found[number])
        return [self._in_their_places(batch, number, hits) if hits else hits for number, hits in enumerate(found)]

    def find_in(self, batch: Batch, view: View) -> Iterable[tuple[str, int, int]]:  # noqa: ARG002 - a faster one may
        """Every occurrence that needs a second look; here all of them do."""
        return self.find_literals(view)

    def add_many(self, batch: Batch, found: list[list[Hit]]) -> None:  # noqa: B027 - most leave out nothing
        """Add the hits of what `find_in` has left out; here nothing."""

    def cues_in(self, text: str) -> Collection[str]:  # noqa: ARG002 - a faster matcher looks
        """Kinds of what may speak against hits that a folded text may have in it."""
        return KINDS

    def _in_their_places(self, batch: Batch, number: int, hits: list[Hit]) -> list[Hit]:
        """The hits of one text as sure as their surroundings leave them."""
        if not any(map(can_be_lowered, hits)):
            return hits
        text = batch.own_text(number)
        if not (kinds := self.cues_in(text)):
            return hits
        _, source_N = batch.own(number)
        spans = np.searchsorted(source_N, [[hit.start, hit.end] for hit in hits]).tolist()
        return [in_its_place(hit, text, start, end, kinds) for hit, (start, end) in zip(hits, spans, strict=True)]

    def views(self, batch: Batch) -> tuple[View, ...]:
        """What literals are looked for in; made once a batch."""
        if not batch.views:
            pinyin = self.plan.syllables and pinyin_view(batch.main, self.plan.syllables)
            sound = self.plan.sounds and sound_view(batch.main, self.plan.sounds)
            rare = [view for view in (pinyin, sound) if view]
            batch.views.extend([batch.main, *further(batch.folded), *rare])
        return tuple(batch.views)

    def _patterns(self, batch: Batch) -> Iterator[tuple[int, Hit]]:
        if self.plan.patterns:
            spans = longest(self._trimmed(batch.plain))
            for which, start, end in _bounded(spans, batch, None):
                if hit := hit_of_pattern(batch, self.plan.patterns[which][1], start, end):
                    yield hit

    def _trimmed(self, text: str) -> Iterator[Span]:
        """The spans of patterns without what stands beside their words."""
        for which, start, end in self.find_patterns(text):
            yield which, *trimmed(self.plan.patterns[which][0], text, start, end)

    def _literals(self, batch: Batch) -> Iterator[tuple[int, Hit]]:
        for view in self.views(batch):
            known = self.plan.literals_of(view)
            spans = list(self.find_in(batch, view)) if known else []
            for literal, start, end in _bounded(spans, batch, view):
                for wanted in known[literal]:
                    if hit := hit_of_literal(batch, view, wanted, start, end):
                        yield hit


def _bounded(spans: list[tuple[What, int, int]], batch: Batch, view: View | None) -> list[tuple[What, int, int]]:
    """Of each literal or pattern the first MOST_FINDS of each text: there are texts that are one term a million times.

    Spans lie in a view, or without one in `batch.plain`.
    """
    most = Counter(what for what, _, _ in spans)
    if not most or max(most.values()) <= MOST_FINDS:
        return spans
    starts = np.array([start for _, start, _ in spans])
    places = batch.place_of(view)[starts] if view else starts
    numbers = (np.searchsorted(batch.folded.edges, places) - 1).tolist()
    seen = Counter[tuple[object, int]]()
    kept = []
    for span, number in zip(spans, numbers, strict=True):
        seen[span[0], number] += 1
        if seen[span[0], number] <= MOST_FINDS:
            kept.append(span)
    return kept


def longest(spans: Iterable[Span]) -> list[Span]:
    """Of one pattern's matches that overlap, the first and then the longest."""
    kept: list[Span] = []
    for which, start, end in sorted(spans, key=lambda span: (span[0], span[1], -span[2])):
        if not kept or kept[-1][0] != which or kept[-1][2] <= start:
            kept.append((which, start, end))
    return kept


class Matcher(TextMatcher):
    """Tens of thousands of terms at hundreds of megabytes a second. One thread at a time; a worker has its own."""

    def __init__(self, lexicons: Lexicons) -> None:
        super().__init__(lexicons)
        self._literal_base = _Literals(list(self.plan.literals))
        self._bases = {Way.PINYIN: _Literals(list(self.plan.pinyin)), Way.SOUND: _Literals(list(self.plan.sound))}
        patterns = [pattern for pattern, _ in self.plan.patterns]
        self._pattern_base = compiled(patterns) if patterns else None
        self._simple = Simple.of(self.plan.literals)
        self._cue_base = database(cues(surroundings()), hyperscan.HS_FLAG_UTF8 | hyperscan.HS_FLAG_SINGLEMATCH)

    def batches(self, texts: Sequence[str]) -> Iterator[Sequence[str]]:
        """Texts of BATCH_CHARACTERS together, and a longer one by itself."""
        end_T = np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)) + 1)
        first = 0
        while first < len(texts):
            read = int(end_T[first - 1]) if first else 0
            past = max(first + 1, int(np.searchsorted(end_T, read + BATCH_CHARACTERS, "right")))
            yield texts[first:past]
            first = past

    def add_many(self, batch: Batch, found: list[list[Hit]]) -> None:
        """Add the hits of the main view that needed no second look."""
        if batch.many:
            hits_of(batch.many.pop(), self._simple, found)

    def find_in(self, batch: Batch, view: View) -> Iterable[tuple[str, int, int]]:
        """What needs a second look; where there are many, what needs none is left to `add_many`."""
        if view is not batch.main:
            return self.find_literals(view)
        which_E, start_E, end_E = self._literal_base.events(view.text)
        if len(which_E) * MANY > len(batch.texts) and np.bincount(which_E).max() <= MOST_FINDS:
            places, are_E = as_they_are(batch, self._simple, which_E, start_E, end_E)
            batch.many.append(places)
            which_E, start_E, end_E = which_E[~are_E], start_E[~are_E], end_E[~are_E]
        return self._literal_base.named(which_E, start_E, end_E)

    def cues_in(self, text: str) -> Collection[str]:
        """The kinds of cues that are in it."""
        return {KINDS[which] for which, _, _ in _scanned(self._cue_base, text.encode())}

    def find_literals(self, view: View) -> Iterable[tuple[str, int, int]]:
        """Every occurrence of every literal."""
        return self._bases.get(view.way, self._literal_base).find(view.text)

    def find_patterns(self, text: str) -> Iterable[tuple[int, int, int]]:
        """For each end of a match the farthest start."""
        events = _scanned(self._pattern_base, data := text.encode())
        if not events:
            return []
        which, start, end = np.array(events, np.int64).T
        starts, ends = _characters(data, start), _characters(data, end)
        return list(zip(which.tolist(), starts.tolist(), ends.tolist(), strict=True))


class _Literals:
    """A database of literals; starts follow from ends, which Hyperscan knows for less."""

    def __init__(self, literals: Sequence[str]) -> None:
        self._literals = literals
        self._size_L = np.fromiter(map(len, literals), np.int64, len(literals))
        self._base = database(literals, 0) if literals else None

    def find(self, text: str) -> list[tuple[str, int, int]]:
        """Every occurrence."""
        return self.named(*self.events(text))

    def events(self, text: str) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """The numbers of the literals that occur, and from where to where."""
        which = list[int]()
        ends = list[int]()

        def on_match(number: int, start: int, end: int, flags: int, context: object) -> None:  # noqa: ARG001 - its call
            which.append(number)
            ends.append(end)

        base: Any = self._base
        base.scan(data := text.encode(), match_event_handler=on_match)
        which_E, end_E = np.array(which, np.int64), _characters(data, np.array(ends, np.int64))
        return which_E, end_E - self._size_L[which_E], end_E

    def named(
        self, which_E: NDArray[np.int64], start_E: NDArray[np.int64], end_E: NDArray[np.int64]
    ) -> list[tuple[str, int, int]]:
        """The same as literals."""
        found = [self._literals[which] for which in which_E.tolist()]
        return list(zip(found, start_E.tolist(), end_E.tolist(), strict=True))


def _scanned(base: Any, data: bytes) -> list[tuple[int, int, int]]:
    events: list[tuple[int, int, int]] = []

    def on_match(which: int, start: int, end: int, flags: int, context: object) -> None:  # noqa: ARG001 - its call
        events.append((which, start, end))

    base.scan(data, match_event_handler=on_match)
    return events


def _characters(data: bytes, place_byte: Any) -> Any:
    """Places in UTF-8 as places in the text: how many characters begin before each."""
    if data.isascii():
        return place_byte
    begins = np.frombuffer(data, np.int8) >= -64  # all but 0b10xxxxxx
    places, inverse = np.unique(place_byte, return_inverse=True)
    if len(places) * FEW > len(data):
        return np.searchsorted(np.flatnonzero(begins), place_byte)
    parts = [np.count_nonzero(begins[one:other]) for one, other in pairwise([0, *places.tolist()])]
    return np.cumsum(parts)[inverse]
