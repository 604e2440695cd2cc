"""Ids of clusters, the same from night to night.

A new cluster is named by the content in it that was uploaded first. From then on the name is kept by this rule: a
cluster takes the name of the earlier cluster with which it shares the most contents; of equals that of the one with
the same medoid, then the one founded first. Each name goes to one cluster only: where clusters merge, the larger part
keeps its name and the other name ends; where one splits, the larger part keeps the name and the other gets a new one.
A cluster that is what it was keeps its name before all others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass


@dataclass(frozen=True)
class Earlier:
    """A cluster of an earlier night."""

    id: str
    founded: str  # name of the night
    contents: Set[str]
    medoid: str


@dataclass(frozen=True)
class Named:
    """A name and since when it is used."""

    id: str
    founded: str


def names(
    clusters: Sequence[tuple[str, Set[str]]],
    earlier: Sequence[Earlier],
    founder: Callable[[Set[str]], str],
    night: str,
    kept: Set[str] = frozenset(),
) -> list[Named]:
    """Name clusters, each given as its medoid and its contents; `founder` says which content was uploaded first.

    `kept` are names that are taken by clusters that are what they were.
    """
    earlier = [one for one in earlier if one.id not in kept]
    holders: dict[str, list[int]] = {}
    for number, one in enumerate(earlier):
        for sha256 in one.contents:
            holders.setdefault(sha256, []).append(number)
    found: dict[int, Named] = {}
    taken: set[str] = {*kept}
    for cluster, number in sorted(_shared(clusters, holders), key=_preference(clusters, earlier)):
        one = earlier[number]
        if cluster not in found and one.id not in taken:
            found[cluster] = Named(one.id, one.founded)
            taken.add(one.id)
    known = {one.id for one in earlier}
    for cluster in sorted(set(range(len(clusters))) - found.keys(), key=lambda one: _rank(clusters[one])):
        name = _new_name(founder(clusters[cluster][1]), taken | known)
        found[cluster] = Named(name, night)
        taken.add(name)
    return [found[number] for number in range(len(clusters))]


def _shared(clusters: Sequence[tuple[str, Set[str]]], holders: Mapping[str, list[int]]) -> set[tuple[int, int]]:
    return {
        (cluster, number)
        for cluster, (_, contents) in enumerate(clusters)
        for sha256 in contents
        for number in holders.get(sha256, ())
    }


def _preference(
    clusters: Sequence[tuple[str, Set[str]]], earlier: Sequence[Earlier]
) -> Callable[[tuple[int, int]], tuple[object, ...]]:
    def preference(pair: tuple[int, int]) -> tuple[object, ...]:
        (medoid, contents), one = clusters[pair[0]], earlier[pair[1]]
        return -len(contents & one.contents), medoid != one.medoid, one.founded, one.id, _rank(clusters[pair[0]])

    return preference


def _rank(cluster: tuple[str, Set[str]]) -> tuple[int, str, list[str]]:
    """Large clusters first; no two have the same contents."""
    return -len(cluster[1]), cluster[0], sorted(cluster[1])


def _new_name(founder: str, taken: Set[str]) -> str:
    """Sixteen hexadecimal digits of the founder's hash; the founder of several clusters is hashed again."""
    digest = founder
    while True:
        digest = hashlib.sha256(digest.encode()).hexdigest()
        if (name := f"c{digest[:16]}") not in taken:
            return name
