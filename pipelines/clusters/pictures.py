"""Look at the stills of two contents along an aligned stretch: the same picture, or one of the same kind?"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from pipelines.clusters.compare import Look, Seen
from pipelines.clusters.contents import Contents
from pipelines.copyright.claims import Match
from pipelines.copyright.verification.features import FeatureCache
from pipelines.copyright.verification.stills import NO_STILLS, Stills, stored_stills
from pipelines.copyright.verification.verify import Verdict, verify

KEPT = 128  # contents whose stills are in memory, some 300 kB each
SEEN = {
    Verdict.VERIFIED: Seen.SAME,
    Verdict.IN_DOUBT: Seen.DOUBT,
    Verdict.REFUTED: Seen.OTHER,
    Verdict.UNSEEN: Seen.NOTHING,
}


def look_at_stills(contents: Contents) -> Look:
    """Return who looks at the stored stills of these contents."""
    return _Looker(contents)


@dataclass
class _Looker:
    """Fetches stills when they are needed, and keeps the last."""

    contents: Contents
    cache: FeatureCache = field(default_factory=FeatureCache)
    held: OrderedDict[int, Stills] = field(default_factory=OrderedDict)

    def __call__(self, upload: int, medoid: int, match: Match) -> tuple[Seen, float]:
        found = verify(self._stills(upload), self._stills(medoid), match, self.cache)
        return SEEN[found.verdict], found.score

    def _stills(self, number: int) -> Stills:
        if number not in self.held:
            name = self.contents.names[number]
            pieces = self.contents.nights[self.contents.night[number]]
            self.held[number] = stored_stills(pieces, [name]).get(name, NO_STILLS)
        self.held.move_to_end(number)
        if len(self.held) > KEPT:
            self.held.popitem(last=False)
        return self.held[number]
