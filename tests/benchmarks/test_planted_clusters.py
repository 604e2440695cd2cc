"""The benchmark of clusters in small: planted copies are found, also those added later, and no chain spreads."""

from __future__ import annotations

import pytest

from benchmarks.clusters import measure
from benchmarks.reposts.planted import Planted, planted
from benchmarks.reposts.runs import recall_of, spread
from pipelines.clusters.windows import Vectors

CONTENTS = 4000


def test_copies_are_found_from_nothing_and_added_later():
    found = measure(CONTENTS)

    assert (found["build_recall"], found["build_precision"]) == (1.0, 1.0)
    assert (found["add_recall"], found["add_precision"]) == (1.0, 1.0)
    assert found["chains_spread"] == 0


def test_what_is_wrong_is_counted():
    made = Planted(Vectors.of({}, 4), [(0,), (0, 1), (1,), (2,)], [(0, 2)])

    assert recall_of([{0, 1}, {2, 3}], made) == (0.5, 0.5)
    assert (spread([{0, 1}, {1, 2}], made), spread([{0, 1, 2}], made)) == (0, 1)


def test_a_chain_has_ends_that_share_nothing():
    made = planted(CONTENTS)
    assert len(made.chained) == 1000
    assert not any(set(made.shows[one]) & set(made.shows[other]) for one, other in made.chained)
    assert made.pairs() == pytest.approx(2000 + 10 * 40 + 80 * 79 / 2, abs=60)
