"""Courses: two contents that look alike all the time run along each other where what changes is the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipelines.clusters.lines import Course, lines
from tests.pipelines.copyright.drawn import WIDE, fingerprint, footage

SCENE, CHANGES = footage(0, 1), footage(1, 40)


def game(seconds, times=None):
    """Every frame is three parts scene; `seconds` are those of the one session."""
    mixed = 3 * SCENE + CHANGES[np.asarray(seconds)]
    rows = mixed / np.linalg.norm(mixed, axis=1, keepdims=True)
    return Course.of(fingerprint(rows, frame_ms=times))


def test_what_is_there_all_the_time_is_taken_off():
    course = game(range(20))
    assert np.abs(course.rows_ND.mean(axis=0)).max() < 0.01
    assert np.linalg.norm(course.rows_ND, axis=1) == pytest.approx(np.ones(20), abs=0.01)


@pytest.mark.parametrize("start", [0, 5, 12])
def test_an_excerpt_lies_where_it_was_cut(start):
    [best, *_] = lines(game(range(start, start + 8)), game(range(20)))
    assert best.speed == 1
    assert best.place(3000) == pytest.approx(3000 + 1000 * start, abs=200)
    assert (best.start_ms, best.end_ms) == (pytest.approx(0, abs=500), pytest.approx(8000, abs=1000))
    assert best.score > 0.8


def test_an_excerpt_before_other_footage_ends_where_that_begins():
    [best, *_] = lines(game([*range(4, 12), *range(30, 38)]), game(range(20)))
    assert best.place(2000) == pytest.approx(6000, abs=200)
    assert best.end_ms == pytest.approx(7500, abs=1000)


def test_a_faster_copy_is_found_at_its_speed():
    times = [round(1000 * second / 1.25) for second in range(20)]
    [best, *_] = lines(game(range(20), times), game(range(20)))
    assert best.speed == pytest.approx(1.25)
    assert best.place(times[10]) == pytest.approx(10_000, abs=300)


def test_another_session_is_like_it_along_no_line():
    assert all(one.score < 0.3 for one in lines(game(range(12)), game(range(20, 32))))


def test_two_lines_are_apart():
    twice = game([*range(8), *range(30, 36), *range(8)])
    found = sorted(round(one.place(3000) / 1000) for one in lines(game(range(8)), twice))
    assert found == [3, 17]


def test_nothing_to_go_by():
    film = fingerprint(footage(1, 10))
    none = fingerprint(np.zeros((0, WIDE), np.float32), duration_ms=9000)
    assert lines(Course.of(none), Course.of(film)) == []
    assert lines(Course.of(fingerprint(footage(1, 1))), Course.of(film)) == []
    plain = replace(film, pdq_quality=np.zeros(10, np.uint8))
    assert len(Course.of(plain).frame_ms) == 0
