"""What is looked for: the literals that terms read like in a view, the terms behind each, and the regexes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pipelines.text.words.characters import Kind, kind_of
from pipelines.text.words.lexicon import Boundary, Entry, Lexicons
from pipelines.text.words.normalise import fold, normal_forms
from pipelines.text.words.patterns import folded_regex
from pipelines.text.words.pinyin import Reading, Syllables, readings
from pipelines.text.words.views import View, Way, squeezed

JOINED_LETTERS = 8  # from here on a term of several words is found written as one: "addmywechat"


@dataclass(frozen=True)
class Wanted:
    """A term or a regex of an entry, as one literal or pattern stands for it."""

    entry: Entry
    lexicon: str  # name@version
    term: str  # as in the lexicon
    unless: tuple[str, ...]  # in the squeezed view
    text: str = ""  # a term's normal form
    parted: tuple[bool, ...] = ()  # after each of the literal's characters, whether the term itself has a gap there
    chars: str = ""  # of a term that is looked for in pinyin, and
    reading: Reading = ()  # its syllables


@dataclass(frozen=True)
class Plan:
    """All literals and patterns of some lexicons."""

    literals: dict[str, tuple[Wanted, ...]]
    pinyin: dict[str, tuple[Wanted, ...]]  # literals of views in pinyin
    patterns: tuple[tuple[str, Wanted], ...]
    syllables: Syllables | None  # None: no term is looked for in pinyin

    def literals_of(self, view: View) -> dict[str, tuple[Wanted, ...]]:
        """What is looked for in such a view."""
        return self.pinyin if view.way is Way.PINYIN else self.literals

    @classmethod
    def of(cls, lexicons: Lexicons) -> Plan:
        """Work out what to look for."""
        literals, pinyin = dict[str, list[Wanted]](), dict[str, list[Wanted]]()
        patterns: list[tuple[str, Wanted]] = []
        for title, entry in ((each.title, entry) for each in lexicons.lexicons for entry in each.entries):
            unless = tuple(text for text, _ in _squeezed_all(entry.unless) if text)
            for literal, wanted in _literals(entry, title, unless):
                (pinyin if wanted.reading else literals).setdefault(literal, []).append(wanted)
            patterns += [(folded_regex(regex), Wanted(entry, title, regex, unless)) for regex in entry.regexes]
        spelled = sorted({each.chars for wanted in pinyin.values() for each in wanted})
        syllables = Syllables.of(spelled) if spelled else None
        return cls(_fixed(literals), _fixed(pinyin), tuple(patterns), syllables)


def _fixed(found: dict[str, list[Wanted]]) -> dict[str, tuple[Wanted, ...]]:
    return {literal: tuple(wanted) for literal, wanted in found.items()}


def _squeezed_all(texts: Sequence[str]) -> list[tuple[str, tuple[bool, ...]]]:
    """Each text in the squeezed view, and after which characters there is a gap."""
    view = squeezed(fold(texts))
    gaps = [after - before > 1 for before, after in pairwise(view.at_M.tolist())]
    out, at = [], 1
    for text in view.text.split("\n")[1:-1]:
        out.append((text, tuple(gaps[at : at + len(text) - 1])))
        at += len(text) + 1
    return out


def _literals(entry: Entry, lexicon: str, unless: tuple[str, ...]) -> Iterator[tuple[str, Wanted]]:
    forms = normal_forms(entry.terms)
    for term, form, (text, parted) in zip(entry.terms, forms, _squeezed_all(entry.terms), strict=True):
        for literal in _spellings(text, entry.boundary):
            yield literal, Wanted(entry, lexicon, term, unless, form, parted)
        if entry.pinyin is not False and len(text) > 1 and _all_chinese(text):
            for reading in readings(text):
                yield "".join(reading), Wanted(entry, lexicon, term, unless, form, (), text, reading)


def _spellings(text: str, boundary: Boundary) -> list[str]:
    """How a term may read in the squeezed view."""
    spellings = [text]
    joined = text[:1] + text[1:].lower()
    if len(text) >= JOINED_LETTERS and text.isascii() and text.isalpha():
        spellings.append(joined)
    if boundary is Boundary.NONE:
        spellings += [joined, text.lower()]
    return list(dict.fromkeys(spellings))


def _all_chinese(text: str) -> bool:
    return all(kind_of(char) == Kind.HAN for char in text)
