"""Only the stars that new pairs reach are grouped again; the others stay, the same objects."""

from __future__ import annotations

import pytest

from pipelines.clusters.links import Basis, Link, Stretch
from pipelines.clusters.star_table import StoredStar
from pipelines.clusters.stars import group
from pipelines.clusters.takeup import take_up

LINK = Link((Stretch("Image", 0, 8000, 0, 8000),), 0.9, Basis.VERIFIED)
CONTENTS = list("abcdefgh")


def star(name, medoid, *members):
    return StoredStar(name, "dt=1", medoid, (0, 8000), dict.fromkeys(members, LINK))


BASE = [star("one", "a", "b", "c"), star("two", "c", "d"), star("three", "e", "f")]


def ids(stars):
    return sorted(one.id for one in stars)


@pytest.mark.parametrize(
    ("pairs", "reached"),
    [
        ({}, []),
        ({(6, 7): 0.9}, []),
        ({(4, 7): 0.9}, ["three"]),
        ({(3, 7): 0.9}, ["one", "two"]),  # they share c
    ],
)
def test_those_that_new_pairs_reach_and_those_beside_them(pairs, reached):
    taken = take_up(BASE, CONTENTS, pairs, ())
    assert ids(taken.stars) == sorted(reached)
    assert ids(taken.rest) == sorted({"one", "two", "three"} - set(reached))
    assert all(any(one is other for other in BASE) for one in taken.rest)


def test_a_star_that_lost_a_member_or_its_medoid_is_grouped_again():
    without_f = take_up(BASE, list("abcdegh"), {}, ["f"])
    assert (ids(without_f.rest), without_f.stars, without_f.pairs) == (["one", "two"], [], {})
    without_a = take_up(BASE, list("bcdefgh"), {}, ["a"])
    assert (ids(without_a.stars), without_a.pairs) == (["two"], {(0, 1): 1.0})
    [one] = take_up([BASE[0]], list("abdefgh"), {}, ["c"]).stars
    assert (one.members.keys(), one.changed) == ({1}, True)


@pytest.mark.parametrize("pairs", [{(4, 7): 0.9}, {(3, 7): 0.9}, {(0, 6): 0.9, (6, 7): 0.8}, {(2, 4): 0.9}])
def test_grouping_what_is_reached_is_grouping_all(pairs):
    def compare(medoid, others):
        return {other: LINK for other in others if {medoid, other} != {2, 7}}

    def plainly(taken):
        stars = group({**pairs, **taken.pairs}, taken.stars, compare)
        same, changed = taken.settle(stars, CONTENTS)
        assert all(any(one is other for other in BASE) for one in same)
        return sorted((one.medoid, sorted(one.members)) for one in [*same, *changed])

    every = take_up(BASE, CONTENTS, {**pairs, (0, 4): 0, (2, 3): 0}, ())
    assert ids(every.stars) == ["one", "three", "two"]
    assert plainly(take_up(BASE, CONTENTS, pairs, ())) == plainly(every)


def test_a_star_that_did_not_change_is_not_named_again():
    taken = take_up(BASE, CONTENTS, {(4, 7): 0.9}, ())
    stars = group({(4, 7): 0.9}, taken.stars, lambda *_: {})
    same, changed = taken.settle(stars, CONTENTS)
    assert (ids(same), changed) == (["one", "three", "two"], [])
