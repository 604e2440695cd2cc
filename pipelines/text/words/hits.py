"""What the lexicons found in a text, and which of two that overlap stands."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import NamedTuple

from pipelines.text.words.views import Way

PLAINNESS = {way: -place for place, way in enumerate(Way)}
MOST_HITS = 1000  # of one text; a text that repeats a term for a megabyte says no more after these


class Hit(NamedTuple):
    """A term or a regex of a lexicon in a text; a tuple, because raw word lists have a dozen of them a text."""

    label: str
    severity: int
    certain: bool
    score: float
    lexicon: str  # name@version
    term: str  # the term or regex as in the lexicon
    start: int  # in the original text
    end: int
    how: Way

    def rank(self) -> tuple[bool, int, int, float, int, str, str]:
        """What stands of two that overlap: certain before uncertain, then the longer, the graver, the plainer."""
        plainness = PLAINNESS[self.how]
        return self.certain, self.end - self.start, self.severity, self.score, plainness, self.lexicon, self.term


def standing(hits: Iterable[Hit]) -> list[Hit]:
    """Of hits of one label that overlap, keep the one that ranks highest; in order, at most MOST_HITS of a text."""
    by_label: dict[str, list[Hit]] = {}
    for hit in hits:
        by_label.setdefault(hit.label, []).append(hit)
    kept = [hit for group in by_label.values() for hit in _apart(group)]
    return sorted(kept, key=lambda hit: (hit.start, hit.end, hit.label))[:MOST_HITS]


def _apart(group: list[Hit]) -> list[Hit]:
    if len(group) == 1:
        return group
    starts: list[int] = []
    kept: dict[int, Hit] = {}
    for hit in sorted(group, key=lambda hit: (hit.rank(), -hit.start), reverse=True):
        at = bisect_right(starts, hit.start)
        before = at == 0 or kept[starts[at - 1]].end <= hit.start
        after = at == len(starts) or hit.end <= starts[at]
        if before and after:
            starts.insert(at, hit.start)
            kept[hit.start] = hit
    return list(kept.values())
