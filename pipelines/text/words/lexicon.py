"""Lexicons: TOML files of terms and regexes with what a hit means, where it does not count, and examples of both.

`load_lexicons` reads the shipped ones, or the user's, and refuses in one sentence what could not work. A lexicon holds
what is looked for; how it is found under a disguise is the matcher's business.
"""

from __future__ import annotations

import hashlib
import os
import tomllib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from model_registry.errors import UsageError
from model_registry.labels import taxonomy
from pipelines.risk.kinds import Kind, hold_to, is_number, is_tables, is_text, is_whole, one_of
from pipelines.text.words.normalise import VERSION, normal_forms
from pipelines.text.words.patterns import folded_regex
from pipelines.text.words.terms import check_term

LEXICONS = Path(__file__).with_name("lexicons")
MOST_TERMS = 200_000
MOST_REGEXES = 2_000
LARGEST_FILE = 32 * 2**20
Language = ("zh", "en", "any")


class Boundary(StrEnum):
    """Where a Latin term may stand: as a whole word, at a word's start, or within one."""

    WORD = "word"
    START = "start"
    NONE = "none"


@dataclass(frozen=True)
class Entry:
    """Terms and regexes that mean one thing."""

    label: str
    severity: int  # 1 to 5
    language: str
    score: float  # how sure a hit is
    certain: bool = False  # a hit settles the line; else it is a suspicion for the tiers that follow
    terms: tuple[str, ...] = ()
    regexes: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()  # a hit inside or beside one of these does not count
    boundary: Boundary = Boundary.WORD
    pinyin: bool | None = None  # Chinese terms in Latin letters; None: where these are long enough to be no accident
    sound: bool = False  # Chinese terms of three characters and more in others of the same sound, too
    number: bool = False  # a regex counts only where its digits, or the words for them, are a number to call
    disguised: float | None = None  # how sure a hit is that was disguised, and then certain; None: as sure as another
    match: tuple[str, ...] = ()  # examples in which this entry has a hit
    passes: tuple[str, ...] = ()  # examples in which it has none

    def __post_init__(self) -> None:
        """Hold the entry to the taxonomy and to reason."""
        taxonomy()[self.label]
        if not 1 <= self.severity <= 5:
            raise UsageError(f"severity is {self.severity}, wanted 1 to 5")
        if not 0 < self.score <= 1:
            raise UsageError(f"score is {self.score}, wanted more than 0 and at most 1")
        if self.disguised is not None and not self.score <= self.disguised <= 1:
            raise UsageError(f"disguised is {self.disguised}, wanted at least the score, {self.score}, and at most 1")
        if not self.terms and not self.regexes:
            raise UsageError("it has neither terms nor regexes, wanted at least one")
        written = (*self.terms, *self.unless)
        for term, text in zip(written, normal_forms(written), strict=True):
            check_term(term, text)
        for regex in self.regexes:
            folded_regex(regex)


@dataclass(frozen=True)
class Lexicon:
    """One file of entries."""

    name: str
    version: str
    digest: str  # of the file: an edited lexicon is another one
    entries: tuple[Entry, ...]

    @property
    def title(self) -> str:
        """`name@version`, as hits call it."""
        return f"{self.name}@{self.version}"

    @property
    def id(self) -> str:
        """`name@version+digest`."""
        return f"{self.title}+{self.digest[:8]}"


@dataclass(frozen=True)
class Lexicons:
    """All lexicons that are matched together, in the order of their names."""

    lexicons: tuple[Lexicon, ...]
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        """Refuse two of one name, and more than can be compiled in reasonable time."""
        object.__setattr__(self, "lexicons", tuple(sorted(self.lexicons, key=lambda lexicon: lexicon.name)))
        names = [lexicon.name for lexicon in self.lexicons]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise UsageError(f"there are two lexicons of the name {', '.join(map(repr, repeated))}, wanted one of each")
        entries = [entry for lexicon in self.lexicons for entry in lexicon.entries]
        for what, most in (("terms", MOST_TERMS), ("regexes", MOST_REGEXES)):
            if (found := sum(len(getattr(entry, what)) for entry in entries)) > most:
                raise UsageError(f"the lexicons have {found} {what}, wanted at most {most}")
        parts = "\n".join([VERSION, *(lexicon.name + lexicon.digest for lexicon in self.lexicons)])
        object.__setattr__(self, "digest", hashlib.sha256(parts.encode()).hexdigest())

    @property
    def id(self) -> str:
        """`name@version+digest` of one lexicon, `lexicons@number+digest` of several; any change makes another."""
        title = self.lexicons[0].title if len(self.lexicons) == 1 else f"lexicons@{len(self.lexicons)}"
        return f"{title}+{self.digest[:8]}"


_TEXTS = Kind("a list of texts in quotes", lambda value: isinstance(value, list) and all(map(is_text, value)))
_FLAG = Kind("true or false", lambda value: isinstance(value, bool))
_FILE_KEYS = {
    "name": Kind("letters, digits, '.', '_' or '-' in quotes", is_text, required=True),
    "version": Kind("a version such as '1.0.0' in quotes", is_text, required=True),
    "entry": Kind("tables headed [[entry]]", is_tables, required=True),
}
_ENTRY_KEYS = {
    "label": Kind("a label in quotes", is_text, required=True),
    "severity": Kind("a whole number from 1 to 5", is_whole, required=True),
    "language": one_of(Language, required=True),
    "score": Kind("a number more than 0 and at most 1", is_number, required=True),
    "certain": _FLAG,
    "terms": _TEXTS,
    "regexes": _TEXTS,
    "unless": _TEXTS,
    "boundary": one_of(Boundary),
    "pinyin": _FLAG,
    "sound": _FLAG,
    "number": _FLAG,
    "disguised": Kind("a number from the score to 1", is_number),
    "examples": Kind("a table with match and pass", lambda value: isinstance(value, dict), required=True),
}
_EXAMPLE_KEYS = {"match": _TEXTS, "pass": _TEXTS}


def shipped() -> list[Path]:
    """The files that come with this version."""
    return sorted(LEXICONS.glob("*.toml"))


def load_lexicons(paths: Iterable[str | Path] | None = None) -> Lexicons:
    """Read the shipped lexicons, or files and folders instead; for both, give `shipped()` among the paths.

    Raises UsageError that names the file, the entry, the value found and the values allowed.
    """
    given = shipped() if paths is None else [file for path in paths for file in _files(Path(path))]
    return Lexicons(tuple(load_lexicon(path) for path in dict.fromkeys(given)))


def with_shipped(paths: Iterable[str | Path]) -> Lexicons:
    """Return the lexicons given and the shipped ones; one given replaces the shipped one of its name."""
    given = load_lexicons(paths).lexicons
    names = {lexicon.name for lexicon in given}
    return Lexicons((*given, *(lexicon for lexicon in load_lexicons().lexicons if lexicon.name not in names)))


def _files(path: Path) -> Sequence[Path]:
    if not path.is_dir():
        return [path]
    if found := sorted(path.glob("*.toml")):
        return found
    raise UsageError(f"the folder {path} holds no lexicon, wanted files whose names end in .toml")


def load_lexicon(path: Path) -> Lexicon:
    """Read one file; raises UsageError that names it and the fault."""
    try:
        if (size := os.path.getsize(path)) > LARGEST_FILE:
            raise UsageError(f"it has {size} bytes, wanted at most {LARGEST_FILE}")
        content = path.read_bytes()
        return parse_lexicon(tomllib.loads(content.decode("utf-8-sig")), hashlib.sha256(content).hexdigest())
    except OSError as error:
        raise UsageError(f"lexicon {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"lexicon {path}: byte {error.start + 1} is not UTF-8; save the file as UTF-8 text") from error
    except (UsageError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"lexicon {path}: {error}") from error


def parse_lexicon(data: dict[str, Any], digest: str) -> Lexicon:
    """Build a lexicon from parsed TOML; raises UsageError that names the fault."""
    hold_to(_FILE_KEYS, data, "it")
    entries = tuple(_entry(row, number) for number, row in enumerate(data["entry"], 1))
    _refuse_twice(entries)
    return Lexicon(data["name"], data["version"], digest, entries)


def _entry(row: dict[str, Any], number: int) -> Entry:
    where = f"entry {number}" + (f" ({row['label']!r})" if is_text(row.get("label")) else "")
    hold_to(_ENTRY_KEYS, row, where)
    hold_to(_EXAMPLE_KEYS, row["examples"], f"{where}: examples")
    given: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in row.items() if key != "examples"
    }
    given |= {"match": tuple(row["examples"].get("match", ())), "passes": tuple(row["examples"].get("pass", ()))}
    given["boundary"] = Boundary(row.get("boundary", Boundary.WORD))
    try:
        return Entry(**given)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error


def _refuse_twice(entries: Sequence[Entry]) -> None:
    """One term under one label is written once in a file, whatever its case, width or script."""
    seen: dict[tuple[str, str], int] = {}
    for number, entry in enumerate(entries, 1):
        texts = (*normal_forms(entry.terms), *entry.regexes)
        found = list(zip((*entry.terms, *entry.regexes), texts, strict=True))
        for given, text in found:
            if (first := seen.setdefault((entry.label, text), number)) != number:
                raise UsageError(f"entry {number} ({entry.label!r}): {given!r} stands in entry {first} already")
        if len(set(texts)) < len(texts):
            count = Counter(texts)
            twice = sorted(given for given, text in found if count[text] > 1)
            raise UsageError(f"entry {number} ({entry.label!r}): {', '.join(map(repr, twice))} stand in it twice")
