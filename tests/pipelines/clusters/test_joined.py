"""Matrices end to end are read as if they were one."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.clusters.joined import Joined
from pipelines.clusters.similar import similar_between, similar_plain, similar_within

PARTS = [np.arange(6).reshape(3, 2), np.zeros((0, 2), int), np.arange(6, 14).reshape(4, 2)]
WHOLE = np.concatenate(PARTS)


@pytest.mark.parametrize("rows", [slice(0, 3), slice(2, 5), slice(0, 99), slice(5, 5), slice(3, 7), slice(6, 2)])
def test_a_stretch(rows):
    assert Joined(PARTS)[rows].tolist() == WHOLE[rows].tolist()


@pytest.mark.parametrize("rows", [[6, 0, 3, 3, 2], [], [1]])
def test_rows_by_number_and_by_flag(rows):
    rows = np.array(rows, np.int64)
    flags = np.isin(np.arange(7), rows)
    assert Joined(PARTS)[rows].tolist() == WHOLE[rows].tolist()
    assert Joined(PARTS)[flags].tolist() == WHOLE[flags].tolist()
    assert Joined(PARTS).where(flags)[:].tolist() == WHOLE[flags].tolist()
    assert Joined(PARTS).shape == (len(Joined(PARTS)), 2) == WHOLE.shape


def test_a_stretch_of_one_part_and_a_part_that_stays_whole_are_not_copied():
    joined = Joined(PARTS)
    assert np.shares_memory(joined[4:6], PARTS[2])
    kept = joined.where(np.array([True, False, True, *[True] * 4])).parts
    assert [len(part) for part in kept] == [2, 4]
    assert kept[1] is PARTS[2]


def test_nothing_has_its_width():
    assert Joined([np.zeros((0, 5))])[:].shape == (0, 5)
    assert Joined(PARTS).where(np.zeros(7, bool)).shape == (0, 2)


def test_parts_that_are_only_read_are_searched():
    random = np.random.default_rng(3)
    rows = random.standard_normal((90, 16))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)
    rows.flags.writeable = False
    joined = Joined([rows[:13], rows[13:60], rows[60:]])

    for found, wanted in (
        (similar_within(joined, 0.3), similar_plain(rows, rows, 0.3, within=True)),
        (similar_between(rows[:7], joined, 0.3), similar_plain(rows[:7], rows, 0.3)),
    ):
        pairs = [pair for some in found for pair in zip(some.first.tolist(), some.second.tolist(), strict=True)]
        assert sorted(pairs) == list(zip(wanted.first.tolist(), wanted.second.tolist(), strict=True))
