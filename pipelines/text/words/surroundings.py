"""What stands around a hit: a warning, a ban, a report, a lesson or a quotation takes back that it is certain.

A hit stays a hit, for a lure that adds a warning is one still; but meaning and context decide about it (tiers 2 and 3).
The phrases are data, in `surroundings.toml`.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

from pipelines.text.words.hits import Hit

FILE = Path(__file__).with_name("surroundings.toml")
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

    def speaks_against(self, text: str, start: int, end: int) -> bool:
        """Whether what stands around [start, end) of a folded text says that it is not meant."""
        before = self.never.sub("\n", text[max(0, start - self.reach) : start])
        after = self.never.sub("\n", text[end : end + self.reach])
        if self.before.search(before) or self.after.match(after):
            return True
        if self.anywhere.search(f"{before}\n{after}"):
            return True
        within = any(found.start(1) <= start and end <= found.end(1) for found in QUOTES.finditer(text))
        return within and bool(self.quoted.search(before) or self.quoted.search(after))


@cache
def surroundings() -> Surroundings:
    """Those that come with this version."""
    return Surroundings.read()


def cues(known: Surroundings) -> list[str]:
    """Regexes without anchors: where nothing matches, nothing speaks against a hit. Quotation marks are among them."""
    before = known.before.pattern.removesuffix("$")
    return [known.anywhere.pattern, before, known.after.pattern, known.technical.pattern, "[“「『‘«\"']"]


def in_its_place(hit: Hit, text: str, start: int, end: int) -> Hit:
    """The hit as sure as its surroundings leave it; it lies at [start, end) of a folded text."""
    known = surroundings()
    if not can_be_lowered(hit):
        return hit
    technical = not hit.certain and bool(known.technical.search(text))
    return (
        hit._replace(certain=False, score=known.score) if technical or known.speaks_against(text, start, end) else hit
    )


def can_be_lowered(hit: Hit) -> bool:
    """Whether its surroundings are looked at."""
    known = surroundings()
    return hit.score > known.score and hit.label not in known.spared
