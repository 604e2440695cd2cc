"""Whether what reads like a term in a view is that term in the text: its boundaries, its gaps, its context.

A view finds everything that could be a term; here each find is looked at in the text itself, one at a time, which is
cheap because finds are rare.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.text.words.characters import Kind, kind_of, simplified
from pipelines.text.words.hits import Hit
from pipelines.text.words.lexicon import Boundary
from pipelines.text.words.normalise import Folded, as_text, fold
from pipelines.text.words.numbers import can_be_called
from pipelines.text.words.views import View, Way, squeezed
from pipelines.text.words.wanted import Wanted

LONGEST_GAP = 4  # characters between two of a term
LOOSE = frozenset(" ,;:!?、。…")  # what prose has between words; other marks within a word are no accident
DOTS = frozenset(".。·")
ENDERS = frozenset(",:;!?、。…")  # one of these parts clauses, several are decoration
SPACES, BESIDE = re.compile(r"\s+"), re.compile(r"^\W+|\W+$")
WHOLLY_PINYIN, PARTLY_PINYIN = 6, 5  # letters from which on a term's pinyin is no accident


@dataclass(frozen=True)
class Batch:
    """Texts that are looked at together, folded and squeezed."""

    texts: Sequence[str]
    folded: Folded
    main: View
    views: list[View] = field(default_factory=list)  # the matcher's, which knows which it needs
    many: list[Any] = field(default_factory=list)  # the matcher's too: finds that wait for the others of their texts

    @classmethod
    def of(cls, texts: Sequence[str]) -> Batch:
        """Fold and squeeze them."""
        folded = fold(texts)
        return cls(texts, folded, squeezed(folded))

    @cached_property
    def plain(self) -> str:
        """The normal forms, with their edges."""
        return as_text(self.folded.code_N)

    def text_at(self, place: int) -> int:
        """The number of the text in which a place of `plain` lies."""
        return int(np.searchsorted(self.folded.edges, place)) - 1

    def original(self, start: int, end: int) -> tuple[int, int, int]:
        """A text's number, and where in it [start, end) of `plain` lies."""
        number = self.text_at(start)
        first = int(self.folded.start_T[number])
        source_N = self.folded.source_N
        return number, int(source_N[start]) - first, int(source_N[end - 1]) + 1 - first

    def own_text(self, number: int) -> str:
        """The normal form of one text."""
        first, past = self.folded.edges[number : number + 2].tolist()
        return self.plain[first + 1 : past]

    def own(self, number: int) -> tuple[str, NDArray[np.int32]]:
        """The normal form of one text, and where in it each character stands."""
        first, past = self.folded.edges[number : number + 2].tolist()
        return self.plain[first + 1 : past], self.folded.source_N[first + 1 : past] - self.folded.start_T[number]

    def place_of(self, view: View) -> NDArray[np.int32]:
        """Where in `plain` each of a view's characters stands."""
        return self.main.at_M[view.at_M] if view.way in (Way.PINYIN, Way.SOUND) else view.at_M

    def parted(self, start: int, end: int) -> bool:
        """Whether the original has more there than [start, end) of `plain`."""
        source_N = self.folded.source_N
        return bool(source_N[end - 1] - source_N[start] != end - 1 - start)

    def spaced(self, before: int, after: int) -> bool:
        """Whether the original has a space between two places of `plain`, which drops those beside Chinese."""
        if not self.parted(before, after + 1):
            return False
        number, start, end = self.original(before, after + 1)
        return any(char.isspace() for char in self.texts[number][start:end])


def hit_of_pattern(batch: Batch, wanted: Wanted, start: int, end: int) -> tuple[int, Hit] | None:
    """The text's number and the hit for [start, end) of `plain`, unless the context allows it."""
    if wanted.entry.number and not can_be_called(batch.plain, start, end):
        return None
    return None if _excused(batch, wanted, start, end) else _hit(batch, wanted, start, end, Way.PLAIN)


def hit_of_literal(batch: Batch, view: View, wanted: Wanted, start: int, end: int) -> tuple[int, Hit] | None:
    """The text's number and the hit for a literal at [start, end) of a view, if it is the term and does count."""
    look = {Way.PINYIN: _pinyin, Way.SOUND: _heard}.get(view.way, _written)
    found = look(batch, view, wanted, start, end)
    if found is None or _excused(batch, wanted, found[0], found[1]):
        return None
    return _hit(batch, wanted, *found)


def _hit(batch: Batch, wanted: Wanted, start: int, end: int, way: Way) -> tuple[int, Hit]:
    number, first, past = batch.original(start, end)
    entry, found = wanted.entry, batch.texts[number][first:past]
    if way is Way.PLAIN and found.casefold() != batch.plain[start:end]:
        way = Way.FOLDED
    certain, score = entry.certain, entry.score
    if entry.disguised is not None and _on_purpose(way, found, batch.plain[start:end]):
        certain, score = True, entry.disguised
    return number, Hit(entry.label, entry.severity, certain, score, wanted.lexicon, wanted.term, first, past, way)


def _on_purpose(way: Way, found: str, folded: str) -> bool:
    """Whether somebody hid a term: traditional characters, spaces and what stands beside it hide nothing."""
    if way is Way.FOLDED:
        return _core(simplified(found).casefold()) != _core(folded)
    if way is Way.SQUEEZED:
        return any(kind_of(char) == Kind.GAP for char in folded) or bool(re.search(r"(?:\b\w ){2}\w\b", found))
    return way is not Way.PLAIN


def _core(text: str) -> str:
    """Without spaces, nor the signs at both ends: a regex takes in the character beside its words."""
    return BESIDE.sub("", SPACES.sub("", text))


def _excused(batch: Batch, wanted: Wanted, start: int, end: int) -> bool:
    """Whether an allowed context lies over [start, end) of `plain` or touches it, gaps aside."""
    if not wanted.unless:
        return False
    bounds = np.array([start, end], np.int32)  # of another type, searchsorted would copy all places
    first, past = np.searchsorted(batch.main.at_M, bounds).tolist()
    return any(phrase in batch.main.text[max(0, first - len(phrase)) : past + len(phrase)] for phrase in wanted.unless)


def _written(batch: Batch, view: View, wanted: Wanted, start: int, end: int) -> tuple[int, int, Way] | None:
    """Where in `plain` a term stands, and in which disguise; None where it does not."""
    if view.way is Way.PLAIN and wanted.entry.boundary is Boundary.WORD and _goes_on(view, end):
        return None
    places, after = view.at_M[start:end].tolist(), int(view.at_M[end])
    past = places[-1] + 1
    if view.way is Way.SIGNS and (places[0] == view.at_M[start - 1] or places[-1] == after):
        return None  # half of a sign's word
    while view.way is not Way.PLAIN and past < after and batch.plain[past] == batch.plain[past - 1]:
        past += 1  # the rest of a letter's repetitions
    if wanted.dotted and not _is_address(batch, places, wanted.dotted):
        return None
    if not _bounded(batch, view, wanted, start, end, after == past):
        return None
    if batch.plain[places[0] : past] == wanted.text and not batch.parted(places[0], past):
        return (places[0], past, Way.PLAIN) if view.way is Way.PLAIN else None  # the main view has it
    between = [batch.plain[one + 1 : other] for one, other in pairwise(places)]
    marks = ["".join(char for char in gap if kind_of(char) <= Kind.SPACE) for gap in between]
    letters = view.text[start:end]
    gaps = [
        mark + " " * (_beside_chinese(letters, index) and batch.spaced(places[index], places[index + 1]))
        for index, mark in enumerate(marks)
    ]
    if not _gaps_fit(letters, gaps, wanted) or (_by_chance(letters, gaps) and not _alone(batch, view, start, end)):
        return None
    way = _way(batch.plain, view, start, places, between == marks and past == places[-1] + 1)
    if way is Way.PLAIN and view.way is not Way.PLAIN:
        return None  # the main view has it
    if way is Way.PLAIN and any(len(gap) != own for gap, own in zip(gaps, wanted.parted, strict=True)):
        way = Way.SQUEEZED
    return places[0], past, way


def _is_address(batch: Batch, places: list[int], dotted: tuple[bool, ...]) -> bool:
    """Whether the dots of an address stand there, and it is not the end or the beginning of another one."""
    between = [batch.plain[one + 1 : other] for one, other in pairwise(places)]
    dots = all(bool(DOTS & set(gap)) == dot for gap, dot in zip(between, dotted, strict=True))
    before, after = batch.plain[places[0] - 1], batch.plain[places[-1] + 1 : places[-1] + 3]
    goes_on = after[:1] == "-" or (after[:1] == "." and after[1:].isalnum())
    return dots and before != "-" and not goes_on


def _goes_on(view: View, end: int) -> bool:
    """Whether a Latin word goes on: what most finds fail at, seen at the least cost."""
    last, after = view.text[end - 1], view.text[end]
    return last.isascii() and last.isalpha() and "a" <= after <= "z" and int(view.at_M[end] - view.at_M[end - 1]) == 1


def _way(plain: str, view: View, start: int, places: list[int], once: bool) -> Way:
    """Which disguise was undone, gaps aside; `once`: no letter was repeated."""
    if any(plain[place] != view.text[start + index].lower() for index, place in enumerate(places)):
        return Way.SIGNS if view.way is Way.SIGNS else Way.LEET
    return Way.PLAIN if once else Way.STRETCHED


def _beside_chinese(letters: str, index: int) -> bool:
    return Kind.HAN in (kind_of(letters[index]), kind_of(letters[index + 1]))


def _kind(batch: Batch, view: View, at: int) -> int:
    """The kind of a view's character; a sign that stands for a word is one by itself."""
    return kind_of(batch.plain[view.at_M[at]] if view.way is Way.SIGNS else view.text[at])


def _bounded(batch: Batch, view: View, wanted: Wanted, start: int, end: int, touches: bool) -> bool:
    """Whether a term does not go on: letters beside letters are one word, digits beside digits one number."""
    before, first, last, after = (_kind(batch, view, at) for at in (start - 1, start, end - 1, end))
    starts = view.at_M[start] - view.at_M[start - 1] > 1 or not _one_word(before, first)
    ends = not touches or not _one_word(last, after)
    boundary = wanted.entry.boundary
    if boundary is not Boundary.WORD and after != Kind.DIGIT:
        ends = True
    if boundary is Boundary.NONE and before != Kind.DIGIT:
        starts = True
    return starts and ends


def _one_word(one: int, other: int) -> bool:
    letters = (Kind.LATIN, Kind.LETTER)
    return (one in letters and other in letters) or one == other == Kind.DIGIT


def _gaps_fit(letters: str, gaps: list[str], wanted: Wanted) -> bool:
    """Whether each gap is short and where it may be: beside Chinese, between a term's words, between lone letters."""
    for index, gap in enumerate(gaps):
        latin = kind_of(letters[index]) == kind_of(letters[index + 1]) == Kind.LATIN
        if len(gap) > LONGEST_GAP:
            return False
        if gap and not (wanted.parted[index] or latin or _beside_chinese(letters, index)):
            return False  # two numbers, or two words of an alphabet in which lone letters are not joined
    return True


def _by_chance(letters: str, gaps: list[str]) -> bool:
    """Whether prose could have these gaps in a term of Chinese: a sentence's end, or a space in a pair."""
    chinese = [gap for index, gap in enumerate(gaps) if _beside_chinese(letters, index)]
    loose = [gap for gap in chinese if LOOSE & set(gap)]
    return bool(loose) and (len(chinese) == 1 or (not all(chinese) and any(gap in ENDERS for gap in loose)))


def _alone(batch: Batch, view: View, start: int, end: int) -> bool:
    """Whether there is a gap before and after [start, end) of a view as well."""
    edges = ((start - 1, start), (end - 1, end))
    return all(
        "\n" in (view.text[one], view.text[other])
        or view.at_M[other] - view.at_M[one] > 1
        or batch.spaced(int(view.at_M[one]), int(view.at_M[other]))
        for one, other in edges
    )


def _pinyin(batch: Batch, view: View, wanted: Wanted, start: int, end: int) -> tuple[int, int, Way] | None:
    """A term of which some syllables are written in Latin letters; each starts or ends a word or a character."""
    main, at = batch.main, start
    before = -1 if view.text[start - 1] == "\n" else int(view.at_M[start - 1])
    latin = 0
    for char, syllable in zip(wanted.chars, wanted.reading, strict=True):
        places = view.at_M[at : at + len(syllable)].tolist()
        read = main.text[places[0] : places[-1] + 1]
        if len(set(places)) == 1 and before != places[0] and not read.isascii():
            if read != char:
                return None
        elif read.isascii() and len(read) == len(syllable) and read[1:].islower() | (len(read) == 1):
            latin += 1
        else:
            return None
        before, at = places[-1], at + len(syllable)
    least = WHOLLY_PINYIN if latin == len(wanted.chars) else PARTLY_PINYIN
    first, last = int(view.at_M[start]), int(view.at_M[end - 1])
    if not latin or (end - start < least and not wanted.entry.pinyin) or not _whole_words(main, first, last):
        return None
    places = main.at_M[first : last + 1].tolist()
    if any(after - one > LONGEST_GAP + 1 for one, after in pairwise(places)):
        return None
    return places[0], places[-1] + 1, Way.PINYIN


def _heard(batch: Batch, view: View, wanted: Wanted, start: int, end: int) -> tuple[int, int, Way] | None:
    """A term of which some characters are others of the same sound; the main view has the term itself."""
    first, last = int(view.at_M[start]), int(view.at_M[end - 1])
    if batch.main.text[first : last + 1] == wanted.chars:
        return None
    places = batch.main.at_M[first : last + 1].tolist()
    gaps = [batch.plain[one + 1 : other] for one, other in pairwise(places)]
    if any(len(gap) > LONGEST_GAP or ENDERS & set(gap) for gap in gaps):
        return None
    return places[0], places[-1] + 1, Way.SOUND


def _whole_words(main: View, first: int, last: int) -> bool:
    """Whether no Latin word goes on before or after."""
    starts = not main.text[first].islower() or not main.text[first].isascii()
    ends = not ("a" <= main.text[last + 1] <= "z" and main.text[last].isascii())
    return starts and ends
