"""The plain reference of the matcher: one text at a time, one literal after the other, every end of every regex."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache

from pipelines.text.words.matcher import TextMatcher
from pipelines.text.words.views import View


class PlainMatcher(TextMatcher):
    """Finds what Matcher finds; slow, and quadratic in the length of a text where there are regexes."""

    def batches(self, texts: Sequence[str]) -> Iterator[Sequence[str]]:
        """One by one."""
        yield from ([text] for text in texts)

    def find_literals(self, view: View) -> Iterable[tuple[str, int, int]]:
        """Every occurrence of every literal."""
        for literal in self.plan.literals_of(view):
            at = view.text.find(literal)
            while at >= 0:
                yield literal, at, at + len(literal)
                at = view.text.find(literal, at + 1)

    def find_patterns(self, text: str) -> Iterable[tuple[int, int, int]]:
        """For each end the farthest start: whatever may follow is held to be as long as what does."""
        for which, (pattern, _) in enumerate(self.plan.patterns):
            for end in range(1, len(text) + 1):
                ending = _ending(pattern, len(text) - end)
                if (start := next((at for at in range(end) if ending.match(text, at)), None)) is not None:
                    yield which, start, end


@cache
def _ending(pattern: str, left: int) -> re.Pattern[str]:
    """The pattern, ending so many characters before the end."""
    return re.compile(rf"(?:{pattern})(?=[\s\S]{{{left}}}\Z)", re.ASCII | re.MULTILINE)
