"""Pairs above a threshold: the same as every score compared, whatever the tiles, the type of the screen and threads."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipelines.clusters import similar
from pipelines.clusters.similar import Pairs, similar_between, similar_plain, similar_within

WIDE = 32


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture
def rows():
    """300 vectors, in which 40 have near copies, 30 are the same and two are zeros."""
    generator = np.random.default_rng(0)
    found = unit(generator.standard_normal((300, WIDE)))
    found[100:140] = unit(found[:40] + 0.5 * unit(generator.standard_normal((40, WIDE))))
    found[200:230] = found[7]
    found[250:252] = 0
    return found.astype(np.float16)


def as_set(pairs):
    return set(zip(pairs.first.tolist(), pairs.second.tolist(), pairs.score.tolist(), strict=True))


@pytest.fixture(params=["bfloat16", "float32"])
def kind(request, monkeypatch):
    monkeypatch.setattr(similar, "has_bfloat16", lambda: request.param == "bfloat16")


@pytest.mark.usefixtures("kind")
@pytest.mark.parametrize("least", [0.05, 0.3, 0.6, 0.9])
def test_small_tiles_find_what_every_score_says(rows, least, monkeypatch):
    for name, size in (("QUERY_TILE", 64), ("ROW_TILE", 48), ("BLOCK", 2), ("STRIP", 2), ("RESCORED", 100)):
        monkeypatch.setattr(similar, name, size)

    within = Pairs.joined(list(similar_within(rows, least, threads=2)))
    between = Pairs.joined(list(similar_between(rows[:70], rows, least, threads=2)))

    assert as_set(within) == as_set(similar_plain(rows, rows, least, within=True))
    assert len(within) == len(as_set(within)) >= 435  # the pairs among 30 equal ones
    assert as_set(between) == as_set(similar_plain(rows[:70], rows, least))


def test_a_screen_takes_its_rounding_off(rows):
    """A threshold that is the very score of a pair keeps the pair."""
    found = similar_plain(rows, rows, 0.3, within=True).score
    score = found[found < 0.99].max()

    assert len(Pairs.joined(list(similar_within(rows, float(score))))) >= 1


def test_threads_of_torch_are_as_before(rows):
    before = torch.get_num_threads()
    list(similar_within(rows, 0.5))

    assert torch.get_num_threads() == before


def test_nothing_is_similar_to_nothing():
    none = np.zeros((0, WIDE), np.float16)

    assert list(similar_within(none, 0.5)) == []
    assert list(similar_between(none, none, 0.5)) == []


@pytest.mark.parametrize("least", [0.0, 0.02, 1.5])
def test_a_threshold_that_tells_nothing_is_refused(rows, least):
    with pytest.raises(ValueError, match="wanted more than"):
        list(similar_within(rows, least))
