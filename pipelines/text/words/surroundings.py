"""What stands around a hit: a warning, a ban, a report, a lesson or a quotation takes back that it is certain.

A hit stays a hit, for a lure that adds a warning is one still; but meaning and context decide about it (tiers 2 and 3).
The phrases are data, in `surroundings.toml`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

from pipelines.text.words.hits import Hit

FILE = Path(__file__).with_name("surroundings.toml")
KINDS = ("anywhere", "before", "after", "technical", "quotes")
DIRECTLY = 24  # characters: no phrase that stands directly before a hit is longer
QUOTES = re.compile(r"[“「『‘«\"']([^”」』’»\"']{1,60})[”」』’»\"']")


@dataclass(frozen=True)
class Surroundings:
    """The phrases, as regexes of folded texts."""

    reach: int
    score: float
    spared: frozenset[str]
    never: re.Pattern[str]
    anywhere: re.Pattern[str]
    before: re.Pattern[str]
    after: re.Pattern[str]
    quoted: re.Pattern[str]
    technical: re.Pattern[str]

    @classmethod
    def read(cls, file: Path = FILE) -> Self:
        """Read the phrases that come with this version."""
        data = tomllib.loads(file.read_text("utf-8"))
        names = ("not", "anywhere", "before", "after", "quoted", "technical")
        never, anywhere, before, after, quoted, technical = ("|".join(data[name]) for name in names)
        return cls(
            data["reach"],
            data["score"],
            frozenset(data["spared"]),
            re.compile(never),
            re.compile(anywhere),
            re.compile(f"(?:{before})$"),
            re.compile(after),
            re.compile(quoted),
            re.compile(technical),
        )

    def speaks_against(self, text: str, start: int, end: int, kinds: Collection[str]) -> bool:
        """Whether what stands around [start, end) of a folded text says that it is not meant.

        `kinds` are those of which the text has something in it, or more.
        """
        before, after = text[max(0, start - self.reach) : start], text[end : end + self.reach]
        directly = "before" in kinds and self.before.search(before[-DIRECTLY:])
        if not directly and not {*kinds} - {"before", "technical"}:
            return False  # as most texts of a raw word list: the rest takes longer than the matching
        before, after = self.never.sub("\n", before), self.never.sub("\n", after)
        if directly and self.before.search(before[-DIRECTLY:]):
            return True
        if "after" in kinds and self.after.match(after):
            return True
        if "anywhere" in kinds and self.anywhere.search(f"{before}\n{after}"):
            return True
        if "quotes" not in kinds:
            return False
        within = any(found.start(1) <= start and end <= found.end(1) for found in QUOTES.finditer(text))
        return within and bool(self.quoted.search(before) or self.quoted.search(after))


@cache
def surroundings() -> Surroundings:
    """Those that come with this version."""
    return Surroundings.read()


def cues(known: Surroundings) -> list[str]:
    """Regexes without anchors, in the order of KINDS: where none matches, nothing speaks against a hit."""
    before = known.before.pattern.removesuffix("$")
    return [known.anywhere.pattern, before, known.after.pattern, known.technical.pattern, "[“「『‘«\"']"]


def in_its_place(hit: Hit, text: str, start: int, end: int, kinds: Collection[str] = KINDS) -> Hit:
    """The hit as sure as its surroundings leave it; it lies at [start, end) of a folded text."""
    known = surroundings()
    if not can_be_lowered(hit):
        return hit
    technical = not hit.certain and "technical" in kinds and bool(known.technical.search(text))
    if technical or known.speaks_against(text, start, end, kinds):
        return hit._replace(certain=False, score=known.score)
    return hit


def can_be_lowered(hit: Hit) -> bool:
    """Whether its surroundings are looked at."""
    known = surroundings()
    return hit.score > known.score and hit.label not in known.spared
