"""Groups of contents around a medoid: a star. Every member was compared with the medoid and shares the same stretch.

Copies are no equivalence: B may hold a part of A and another part of C, and then A and C have nothing in common. So a
star has a core, a stretch of its medoid, and each member covers most of it; any two members then share at least half
of the core. A content may be in several stars. What two members of one star share needs no comparison of its own.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pipelines.clusters.links import Compare, Link

COVERED = 0.75  # of the core that a member shares; two members then share half of it or more
MOST_SEEDS = 64  # stretches that are tried as a core


@dataclass
class Star:
    """A medoid, its members with what each shares with it, and the stretch of it that all of them share."""

    medoid: int
    core_ms: tuple[int, int]
    members: dict[int, Link] = field(default_factory=dict)  # times are in the member and in the medoid
    id: str = ""  # of the cluster, where it is known from before
    changed: bool = True  # since it was given

    @property
    def contents(self) -> set[int]:
        """All, the medoid too."""
        return {self.medoid, *self.members}

    def takes(self, link: Link) -> bool:
        """Whether what somebody shares with the medoid is the core."""
        return covers(link, self.core_ms)


def covers(link: Link, core_ms: tuple[int, int]) -> bool:
    """Whether a link shares most of a stretch of its medoid."""
    return link.overlap(*core_ms) >= COVERED * (core_ms[1] - core_ms[0])


def group(pairs: Mapping[tuple[int, int], float], given: Sequence[Star], compare: Compare) -> list[Star]:
    """Compare as few of the nominated pairs as settle all of them; return the stars, those given first.

    `pairs` are unordered, each with how similar it is. The result depends on the numbers of contents, not on the order
    of anything. A given star keeps its medoid and its members; one that has become a part of another is dropped.
    """
    return _Grouping(pairs, given, compare).run()


class _Grouping:
    """Pairs that nobody has settled, and the stars so far."""

    def __init__(self, pairs: Mapping[tuple[int, int], float], given: Sequence[Star], compare: Compare) -> None:
        self.open: dict[int, dict[int, float]] = {}
        self.heap: list[tuple[int, float, int]] = []  # contents by how many of their pairs are open
        self.settled: set[tuple[int, int]] = set()  # (medoid, member) of some star
        self.counting = False  # whether the heap is in use
        for (one, other), score in sorted(pairs.items()):
            self._reopen(one, other, score)
        self.stars = [Star(one.medoid, one.core_ms, dict(one.members), one.id, one.changed) for one in given]
        self.given = {star.medoid: star for star in reversed(self.stars)}
        self.compare = compare
        self.known: dict[tuple[int, int], Link | None] = {}  # (medoid, other) -> what they share

    def run(self) -> list[Star]:
        """Grow what there is, then the best-connected contents, until no pair is open."""
        for star in list(self.stars):
            self._close_within(star)
            self._grow(star)
        self.heap = [self._place(one) for one in self.open]
        heapq.heapify(self.heap)
        self.counting = True
        while self.heap:
            found = heapq.heappop(self.heap)
            now = self._place(found[2])
            if now == found and now[0]:
                self._around(now[2], sorted(self.open[now[2]]))
            elif now[0]:
                heapq.heappush(self.heap, now)
        return without_parts(self.stars)

    def _place(self, one: int) -> tuple[int, float, int]:
        near = self.open.get(one, {})
        return -len(near), -sum(near.values()), one

    def _around(self, medoid: int, near: Sequence[int]) -> None:
        """Settle every open pair of one content."""
        links = self._ask(medoid, near)
        for other in near:
            self._close(medoid, other)
        left = set(links)
        while left:
            core_ms = best_core(links, left)
            star = Star(medoid, core_ms, {other: link for other, link in links.items() if covers(link, core_ms)})
            left -= star.members.keys()
            self._close_within(star)
            self._grow(star)
            self.stars.append(star)

    def _grow(self, star: Star) -> None:
        """Ask whoever is near a member whether it shares the core too, as long as somebody does."""
        grown = sorted(star.contents)
        while grown:
            near = {other for one in grown for other in self.open.get(one, ())} - star.contents
            links = self._ask(star.medoid, sorted(near))
            _narrow(star, links)
            for other in near:
                if other in links and not star.takes(links[other]) and (star.medoid, other) not in self.settled:
                    self._reopen(star.medoid, other, links[other].score)  # they share another stretch
                else:
                    self._close(star.medoid, other)
            grown = sorted(other for other, link in links.items() if star.takes(link))
            for other in grown:
                star.changed = True
                star.members[other] = links[other]
                self._open_star_of(other, star)
            self._close_within(star, grown)

    def _open_star_of(self, medoid: int, into: Star) -> None:
        """Where the medoid of a given star joins another one its members may follow."""
        other = self.given.get(medoid)
        if other is not None and other is not into:
            for member in other.members:
                self._reopen(medoid, member, other.members[member].score)

    def _ask(self, medoid: int, others: Sequence[int]) -> dict[int, Link]:
        """Compare, each pair once whichever is the medoid."""
        for other in others:
            if (medoid, other) not in self.known and (other, medoid) in self.known:
                link = self.known[other, medoid]
                self.known[medoid, other] = link and link.turned()
        fresh = [other for other in others if (medoid, other) not in self.known]
        found = self.compare(medoid, fresh) if fresh else {}
        self.known |= {(medoid, other): found.get(other) for other in fresh}
        return {other: link for other in others if (link := self.known[medoid, other])}

    def _reopen(self, one: int, other: int, score: float) -> None:
        if one != other:
            self.open.setdefault(one, {})[other] = score
            self.open.setdefault(other, {})[one] = score
            for reopened in (one, other) if self.counting else ():
                heapq.heappush(self.heap, self._place(reopened))

    def _close(self, one: int, other: int) -> None:
        self.open.get(one, {}).pop(other, None)
        self.open.get(other, {}).pop(one, None)

    def _close_within(self, star: Star, news: Iterable[int] | None = None) -> None:
        """Settle the pairs within a star, or those of its new members."""
        inside = star.contents
        self.settled |= {(star.medoid, other) for other in (star.members if news is None else news)}
        for one in star.contents if news is None else news:
            for other in [other for other in self.open.get(one, ()) if other in inside]:
                self._close(one, other)


def _narrow(star: Star, links: Mapping[int, Link]) -> None:
    """Let an excerpt in: the core becomes a part of itself that takes more, if it keeps every member."""
    if all(star.takes(link) for link in links.values()):
        return
    every = {**star.members, **links}
    core_ms = best_core(every, set(every))
    if all(covers(link, core_ms) for link in star.members.values()):
        star.changed |= core_ms != star.core_ms
        star.core_ms = core_ms


def best_core(links: Mapping[int, Link], left: set[int]) -> tuple[int, int]:
    """The stretch of the medoid that most of those left share; of equals the longest, then the earliest.

    Tried are the longest stretches that links share, the shortest and longest of too many among them.
    """
    seeds = sorted({_span(links[other]) for other in left}, key=lambda span: (span[1] - span[0], span))
    if len(seeds) > MOST_SEEDS:
        seeds = [seeds[row] for row in np.linspace(0, len(seeds) - 1, MOST_SEEDS).astype(int)]
    counts = [sum(covers(links[other], seed) for other in left) for seed in seeds]
    return max(zip(counts, seeds, strict=True), key=lambda one: (one[0], one[1][1] - one[1][0], -one[1][0]))[1]


def _span(link: Link) -> tuple[int, int]:
    longest = link.stretches[0]
    return longest.medoid_start_ms, longest.medoid_end_ms


def without_parts(stars: Sequence[Star]) -> list[Star]:
    """Leave out stars whose contents are all in another one; of two equal ones the first stays."""
    inside: dict[int, set[int]] = {}
    for number, star in enumerate(stars):
        for one in star.contents:
            inside.setdefault(one, set()).add(number)
    return [star for number, star in enumerate(stars) if not any(_holders(number, star, stars, inside))]


def _holders(number: int, star: Star, stars: Sequence[Star], inside: Mapping[int, set[int]]) -> Iterator[bool]:
    """For each star with all of these contents, whether it stays instead."""
    few = min((inside[one] for one in star.contents), key=len)
    for other in (set.intersection(*(inside[one] for one in star.contents)) if len(few) > 1 else few) - {number}:
        yield len(stars[other].contents) > len(star.contents) or other < number
