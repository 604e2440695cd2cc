"""Take up the stars of the run before: those that new pairs reach are grouped again, the others stay as they are."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pipelines.clusters.star_table import StoredStar
from pipelines.clusters.stars import Star

Pairs = Mapping[tuple[int, int], float]


@dataclass(frozen=True)
class TakenUp:
    """Stars of the run before."""

    rest: Sequence[StoredStar]  # that share no content with anything that is grouped
    stars: Sequence[Star]  # to be grouped, contents by number
    pairs: Pairs  # of contents whose star lost its medoid
    known: Mapping[str, StoredStar]  # those to be grouped, by id

    def settle(self, grouped: Sequence[Star], contents: Sequence[str]) -> tuple[list[StoredStar], list[StoredStar]]:
        """Return the stars that are what they were, and those that need a name, contents by hash."""
        same = [*self.rest, *(self.known[star.id] for star in grouped if not star.changed)]
        return same, [_stored(star, contents) for star in grouped if star.changed]


def take_up(base: Sequence[StoredStar], contents: Sequence[str], pairs: Pairs, gone: Iterable[str]) -> TakenUp:
    """Take up stars by the contents [C], ascending, that there are now; `gone` are those that there are no more."""
    reached = _reached(base, {*gone, *(contents[one] for pair in pairs for one in pair)})
    stars: list[Star] = []
    lost: dict[tuple[int, int], float] = {}
    for one in sorted(reached, key=lambda star: (-len(star.members), star.id)):
        medoid = _place(contents, one.medoid)
        places = {name: place for name in one.members if (place := _place(contents, name)) is not None}
        if places and medoid is not None:
            members = {place: one.members[name] for name, place in places.items()}
            stars.append(Star(medoid, one.core_ms, members, one.id, changed=len(members) < len(one.members)))
        elif len(places) > 1:
            first, *others = sorted(places.values())
            lost |= dict.fromkeys([(first, other) for other in others], 1.0)
    near = {id(one) for one in reached}
    return TakenUp([one for one in base if id(one) not in near], stars, lost, {one.id: one for one in reached})


def _reached(base: Sequence[StoredStar], names: set[str]) -> list[StoredStar]:
    """Stars with some contents, those that share a content with them, and so on."""
    holders: dict[str, list[int]] = {}
    for number, star in enumerate(base):
        for name in (star.medoid, *star.members):
            holders.setdefault(name, []).append(number)
    found: set[int] = set()
    waiting = [*names]
    while waiting:
        for number in holders.pop(waiting.pop(), ()):
            if number not in found:
                found.add(number)
                waiting += [base[number].medoid, *base[number].members]
    return [base[number] for number in sorted(found)]


def _place(contents: Sequence[str], name: str) -> int | None:
    at = bisect_left(contents, name)
    return at if at < len(contents) and contents[at] == name else None


def _stored(star: Star, contents: Sequence[str]) -> StoredStar:
    members = {contents[one]: link for one, link in star.members.items()}
    return StoredStar("", "", contents[star.medoid], star.core_ms, members)
