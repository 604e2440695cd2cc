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
from pipelines.text.words.sound import FEWEST, Sounds
from pipelines.text.words.terms import has_sign, is_address, sign_regex
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
    chars: str = ""  # of a term that is looked for in pinyin or by its sound, and
    reading: Reading = ()  # its syllables
    dotted: tuple[bool, ...] = ()  # of an address, after which of the literal's characters a dot must stand


@dataclass(frozen=True)
class Plan:
    """All literals and patterns of some lexicons."""

    literals: dict[str, tuple[Wanted, ...]]
    pinyin: dict[str, tuple[Wanted, ...]]  # literals of views in pinyin
    patterns: tuple[tuple[str, Wanted], ...]
    syllables: Syllables | None  # None: no term is looked for in pinyin
    sound: dict[str, tuple[Wanted, ...]]  # literals of views of sounds
    sounds: Sounds | None  # None: no term is looked for by its sound

    def literals_of(self, view: View) -> dict[str, tuple[Wanted, ...]]:
        """What is looked for in such a view."""
        return {Way.PINYIN: self.pinyin, Way.SOUND: self.sound}.get(view.way, self.literals)

    @classmethod
    def of(cls, lexicons: Lexicons) -> Plan:
        """Work out what to look for."""
        literals, pinyin = dict[str, list[Wanted]](), dict[str, list[Wanted]]()
        patterns: list[tuple[str, Wanted]] = []
        heard: list[Wanted] = []
        for title, entry in ((each.title, entry) for each in lexicons.lexicons for entry in each.entries):
            unless = tuple(text for text, _ in _squeezed_all(entry.unless) if text)
            for literal, wanted in _literals(entry, title, unless):
                if wanted.reading and entry.sound and len(wanted.chars) >= FEWEST:
                    heard.append(wanted)
                if not wanted.reading:
                    literals.setdefault(literal, []).append(wanted)
                elif entry.pinyin is not False:
                    pinyin.setdefault(literal, []).append(wanted)
            patterns += [(folded_regex(regex), Wanted(entry, title, regex, unless)) for regex in entry.regexes]
            patterns += [
                (sign_regex(term), Wanted(entry, title, term, unless)) for term in entry.terms if has_sign(term)
            ]
        spelled = sorted({each.chars for wanted in pinyin.values() for each in wanted})
        syllables = Syllables.of(spelled) if spelled else None
        sounds = Sounds.of({each.chars for each in heard}) if heard else None
        sound = dict[str, list[Wanted]]()
        for each in heard:
            if sounds:
                sound.setdefault(sounds.literal(each.reading), []).append(each)
        return cls(_fixed(literals), _fixed(pinyin), tuple(patterns), syllables, _fixed(sound), sounds)


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
    terms = [term for term in entry.terms if not has_sign(term)]
    for term, form, (text, parted) in zip(terms, normal_forms(terms), _squeezed_all(terms), strict=True):
        dotted = _dotted(form) if is_address(form) else ()
        for literal in _spellings(text, entry.boundary):
            yield literal, Wanted(entry, lexicon, term, unless, form, parted, dotted=dotted)
        if (entry.sound or entry.pinyin is not False) and len(text) > 1 and _all_chinese(text):
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


def _dotted(address: str) -> tuple[bool, ...]:
    """After which of an address's letters and digits, but the last, a dot stands."""
    content = [at for at, char in enumerate(address) if kind_of(char) > Kind.SPACE]
    return tuple("." in address[one:other] for one, other in pairwise(content))


def _all_chinese(text: str) -> bool:
    return all(kind_of(char) == Kind.HAN for char in text)
