"""The flood guard: what matches too much of a night is held back, with the numbers that say why."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipelines.copyright.bank.flood import FloodLimits, floods
from pipelines.copyright.bank.reference import Kind, Reference, State

LIMITS = FloodLimits(share=0.02, least=50)


def reference(name: str, **said) -> Reference:
    return Reference(id=name, content_sha256="0" * 64, **said)


def test_one_sentence_with_numbers():
    found = floods({"logo": 300, "film": 200}, 10_000, [reference("logo"), reference("film")], LIMITS)

    assert found == {"logo": "it matched 300 of 10000 contents of a night (3.0%); the limit is 2% and at least 50"}


@pytest.mark.parametrize(
    ("count", "contents", "flooding"),
    [(200, 10_000, False), (201, 10_000, True), (49, 49, False), (50, 50, True), (0, 0, False), (50, 2500, False)],
)
def test_more_than_the_share_and_no_fewer_than_the_least(count, contents, flooding):
    assert bool(floods({"a": count}, contents, [reference("a")], LIMITS)) == flooding


@pytest.mark.parametrize(
    ("said", "flooding"),
    [
        ({}, True),
        ({"kind": Kind.NEGATIVE}, False),
        ({"trusted": True}, False),
        ({"state": State.DISABLED}, False),
        ({"state": State.QUARANTINED}, False),
        *[({"kind": kind}, True) for kind in Kind if kind is not Kind.NEGATIVE],
    ],
)
def test_who_is_watched(said, flooding):
    assert set(floods({"a": 99}, 100, [replace(reference("a"), **said)], LIMITS)) == ({"a"} if flooding else set())


def test_matches_of_what_the_bank_no_longer_holds():
    assert floods({"gone": 99}, 100, [reference("a")], LIMITS) == {}


@pytest.mark.parametrize(("share", "least"), [(0, 1), (1.1, 1), (0.5, 0)])
def test_limits_that_mean_nothing(share, least):
    with pytest.raises(ValueError, match=f"flood limits {share}, {least}"):
        FloodLimits(share, least)
