"""Groups around a medoid: everybody shares the core with it, chains do not spread, no order of pairs matters."""

from __future__ import annotations

import random

import pytest

from pipelines.clusters.links import Basis, Link, Stretch
from pipelines.clusters.stars import Star, group, without_parts


def link(start, end, medoid_start, medoid_end, score=0.9):
    """Seconds."""
    return Link.of(
        [Stretch("Image", 1000 * start, 1000 * end, 1000 * medoid_start, 1000 * medoid_end)], score, Basis.VERIFIED
    )


class Films:
    """Contents as lists of (film, from, to) in seconds, compared by what they are made of; who was asked is kept."""

    def __init__(self, *contents):
        self.contents = contents
        self.asked = []

    def __call__(self, medoid, others):
        self.asked += [(medoid, other) for other in others]
        found = {other: self._shared(other, medoid) for other in others}
        return {other: one for other, one in found.items() if one}

    def _shared(self, one, other):
        stretches = []
        for film, start, end, at in self._placed(one):
            for its_film, its_start, its_end, its_at in self._placed(other):
                first, last = max(start, its_start), min(end, its_end)
                if film == its_film and last > first:
                    mine, its = at + first - start, its_at + first - its_start
                    stretches.append(
                        Stretch(
                            "Image", 1000 * mine, 1000 * (mine + last - first), 1000 * its, 1000 * (its + last - first)
                        )
                    )
        return Link.of(stretches, 0.9, Basis.VERIFIED) if stretches else None

    def _placed(self, number):
        at = 0
        for film, start, end in self.contents[number]:
            yield film, start, end, at
            at += end - start

    def pairs(self):
        numbers = range(len(self.contents))
        return {(a, b): 0.9 for a in numbers for b in numbers if a < b and self._shared(a, b)}


def grouped(films, given=(), pairs=None):
    stars = group(films.pairs() if pairs is None else pairs, given, films)
    return sorted(sorted(star.contents) for star in stars)


def test_copies_are_one_group():
    assert grouped(Films([("x", 0, 20)], [("x", 0, 20)], [("x", 0, 20)], [("y", 0, 20)])) == [[0, 1, 2]]


def test_a_chain_does_not_spread():
    """B holds a part of A and a part of C."""
    assert grouped(Films([("x", 0, 10)], [("x", 0, 10), ("y", 0, 10)], [("y", 0, 10)])) == [[0, 1], [1, 2]]


def test_two_excerpts_of_different_parts_have_nothing_in_common():
    films = Films([("x", 0, 60)], [("x", 0, 60)], [("x", 0, 18)], [("x", 40, 58)], [("x", 2, 18)])

    assert grouped(films) == [[0, 1, 2, 4], [0, 1, 3]]


def test_a_thousand_planted_chains():
    """Links of three to five, each with the next by another film, among copies; shuffled."""
    generator = random.Random(0)
    contents, chained = [], []
    for chain in range(1000):
        long = generator.randint(3, 5)
        own = [
            [(f"{chain}-{n - 1}", 0, generator.randint(8, 12)), (f"{chain}-{n}", 0, generator.randint(8, 12))]
            for n in range(long)
        ]
        chained += [(len(contents) + a, len(contents) + b) for a in range(long) for b in range(a + 2, long)]
        contents += own
    found = grouped(Films(*contents), pairs=_neighbours(contents))

    together = {(a, b) for one in found for a in one for b in one if a < b}
    assert len(chained) > 3000
    assert [pair for pair in chained if pair in together] == []
    assert {(a, b) for a, b in _neighbours(contents)} <= together


def _neighbours(contents):
    numbers = range(len(contents) - 1)
    return {(n, n + 1): 0.9 for n in numbers if contents[n][1][0] == contents[n + 1][0][0]}


@pytest.mark.parametrize("seed", range(20))
def test_the_order_of_pairs_changes_nothing(seed):
    generator = random.Random(seed)
    films = Films(
        *[[(generator.choice("xyz"), s := generator.randint(0, 20), s + generator.randint(5, 25))] for _ in range(25)]
    )
    pairs = list(films.pairs().items())
    wanted = grouped(films, pairs=dict(pairs))
    generator.shuffle(pairs)

    assert grouped(films, pairs=dict(pairs)) == wanted
    for star in group(dict(pairs), (), films):
        assert all(star.takes(one) for one in star.members.values())


def test_many_copies_cost_a_comparison_each():
    films = Films(*[[("x", 0, 20)]] * 200)

    assert grouped(films) == [list(range(200))]
    assert len(films.asked) == 199


def test_a_copy_that_nobody_nominated_with_the_medoid_is_asked_about():
    """0 is near 1 to 5, and 6 only near 5."""
    films = Films(*[[("x", 0, 20)]] * 7)

    assert grouped(films, pairs={**{(0, n): 0.9 for n in range(1, 6)}, (5, 6): 0.4}) == [list(range(7))]


def test_what_is_compared_and_not_the_same_is_no_member():
    films = Films([("x", 0, 20)], [("x", 0, 20)], [("template", 0, 20)])

    assert grouped(films, pairs={(0, 1): 0.9, (0, 2): 0.97, (1, 2): 0.97}) == [[0, 1]]
    assert grouped(films, pairs={(0, 2): 0.97}) == []


class TestGivenStars:
    def test_new_ones_join_and_the_medoid_stays(self):
        films = Films(*[[("x", 0, 20)]] * 4)
        given = Star(2, (0, 20_000), {0: link(0, 20, 0, 20), 1: link(0, 20, 0, 20)}, "c1")

        [star] = group({(0, 3): 0.9, (1, 3): 0.9}, [given], films)

        assert (star.medoid, sorted(star.contents), star.id) == (2, [0, 1, 2, 3], "c1")
        assert films.asked == [(2, 3)]

    def test_nobody_new_asks_nobody(self):
        films = Films(*[[("x", 0, 20)]] * 2)
        given = Star(1, (0, 20_000), {0: link(0, 20, 0, 20)})

        assert [star.contents for star in group({}, [given], films)] == [{0, 1}]
        assert films.asked == []

    def test_two_that_are_one_merge(self):
        """A new copy is near both; the smaller one's medoid and members follow it into the larger."""
        films = Films(*[[("x", 0, 20)]] * 6)
        same = link(0, 20, 0, 20)
        given = [Star(0, (0, 20_000), {1: same, 2: same}, "big"), Star(3, (0, 20_000), {4: same}, "small")]

        found = group({(0, 5): 0.9, (3, 5): 0.9}, given, films)

        assert [(star.id, sorted(star.contents)) for star in found] == [("big", [0, 1, 2, 3, 4, 5])]

    def test_an_excerpt_joins_what_all_share(self):
        films = Films([("x", 0, 60)], [("x", 0, 60)], [("x", 10, 30)], [("x", 40, 55)])
        given = Star(0, (0, 60_000), {1: link(0, 60, 0, 60)}, "c1")

        assert grouped(films, [given], {(0, 2): 0.6, (1, 2): 0.6}) == [[0, 1, 2]]
        assert grouped(films, [given], {(0, 2): 0.6, (1, 2): 0.6, (0, 3): 0.6, (1, 3): 0.6}) == [[0, 1, 2], [0, 1, 3]]

    def test_a_chain_to_a_given_star_does_not_spread(self):
        films = Films([("x", 0, 10)], [("x", 0, 10)], [("x", 0, 10), ("y", 0, 10)], [("y", 0, 10)])
        given = Star(0, (0, 10_000), {1: link(0, 10, 0, 10)}, "c1")

        assert grouped(films, [given], {(0, 2): 0.9, (1, 2): 0.9, (2, 3): 0.9}) == [[0, 1, 2], [2, 3]]


def test_parts_of_another_star_go():
    same = link(0, 1, 0, 1)
    stars = [Star(0, (0, 1), {1: same, 2: same}), Star(1, (0, 1), {2: same}), Star(2, (0, 1), {0: same, 1: same})]

    assert without_parts(stars) == stars[:1]
