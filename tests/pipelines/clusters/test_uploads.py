"""Which upload came first: times in many forms, missing ones last, ties by id; and who reposts whom."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pipelines.clusters.uploads import Upload, in_order, is_repost, parse_time


def upload(name, at=None, who=None, night="dt=2026-11-24"):
    return Upload(name, "c" * 64, night, uploaded_at=at, uploader_id=who)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2026-11-21", datetime(2026, 11, 21, tzinfo=UTC)),
        ("2026-11-21T10:30:00Z", datetime(2026, 11, 21, 10, 30, tzinfo=UTC)),
        ("2026-11-21T10:30:00+08:00", datetime(2026, 11, 21, 2, 30, tzinfo=UTC)),
        ("2026-11-21 10:30:00.250", datetime(2026, 11, 21, 10, 30, 0, 250_000, tzinfo=UTC)),
        ("1795257000", datetime(2026, 11, 21, 10, 30, tzinfo=UTC)),
        ("1795257000000", datetime(2026, 11, 21, 10, 30, tzinfo=UTC)),
        (" 20261121 ", datetime(2026, 11, 21, tzinfo=UTC)),
        ("yesterday", None),
        ("2026-13-01", None),
        ("", None),
        (None, None),
    ],
)
def test_times_are_read(text, wanted):
    assert parse_time(text) == wanted


def test_the_earliest_comes_first_whatever_its_zone():
    east, west = upload("east", "2026-11-21T10:30:00+08:00"), upload("west", "2026-11-21T09:00:00Z")
    day, unknown, odd = upload("day", "2026-11-21"), upload("a-unknown"), upload("b-odd", "soon")

    assert in_order([unknown, west, odd, east, day]) == [day, east, west, unknown, odd]


def test_ties_go_by_id():
    assert [one.video_id for one in in_order([upload(name, "2026-11-21") for name in "cab"])] == ["a", "b", "c"]


def test_a_later_one_of_another_uploader_is_a_repost():
    first = upload("x", "2026-11-21", "ann")

    assert is_repost(upload("y", "2026-11-22", "ben"), first)
    assert not is_repost(upload("y", "2026-11-22", "ann"), first)
    assert not is_repost(first, first)


@pytest.mark.parametrize(
    ("at", "who"), [(None, "ben"), ("soon", "ben"), ("2026-11-22", None), ("2026-11-22", ""), ("2026-11-21", "ben")]
)
def test_what_is_not_known_accuses_nobody(at, who):
    assert not is_repost(upload("y", at, who), upload("x", "2026-11-21", "ann"))
