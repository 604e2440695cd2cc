"""Tiers 1 and 2: who settles what, and what stays in doubt."""

import pytest

from model_registry.models.text.heads import NEVER
from pipelines.text.registers import register_of
from pipelines.text.tiers import Band, Mark, Reading, needs_meaning, settle
from pipelines.text.words.matcher import Hit

BANDS = {"Fraud/Fake Giveaway": Band(0.3, 0.5, 0.8, ("en",)), "Gambling": Band(0.2, 0.4, 0.7, ("en",))}
ENGLISH = "it is all free in here"
HEADS = "text_heads@1"


def hit(label="Fraud/Fake Giveaway", score=0.5, *, certain=False, start=0, end=4, how="plain"):
    return Hit(
        label=label,
        severity=3,
        certain=certain,
        score=score,
        lexicon="fraud_en@1",
        term="free",
        start=start,
        end=end,
        how=how,
    )


def test_a_certain_hit_settles_a_text_and_the_semantic_model_is_not_asked():
    sure, weak = hit(certain=True, score=0.9), hit()
    assert not needs_meaning([weak, sure])
    assert needs_meaning([weak])
    assert needs_meaning([])
    assert settle([weak, sure], None, BANDS, HEADS) == [
        Reading(
            "Fraud/Fake Giveaway",
            0.9,
            1,
            True,
            "fraud_en@1",
            (Mark(0, 4, "free", "plain"), Mark(0, 4, "free", "plain")),
        )
    ]


@pytest.mark.parametrize(
    ("scores", "outcome"),
    [
        ({}, []),  # denied: below low is not stored
        ({"Fraud/Fake Giveaway": 0.29}, []),
        ({"Fraud/Fake Giveaway": 0.3}, [(0.5, False)]),
        ({"Fraud/Fake Giveaway": 0.6}, [(0.8, True)]),  # in doubt both: together 1 - 0.5 * 0.4
        (None, [(0.5, False)]),  # nobody asked
    ],
)
def test_a_suspicion_stands_as_far_as_the_meaning_does_not_deny_it(scores, outcome):
    found = settle([hit(start=2, end=6)], scores, BANDS, HEADS, ENGLISH)
    assert [(round(reading.score, 2), reading.settled) for reading in found] == outcome
    assert all(reading.marks == (Mark(2, 6, "free", "plain"),) for reading in found)


@pytest.mark.parametrize("text", ["это всё бесплатно", "todo es grátis aquí", "is free", "免费领取的红包都在这里"])
def test_nothing_is_denied_in_a_register_where_nobody_measured(text):
    assert [one.score for one in settle([hit()], {}, BANDS, HEADS, text)] == [0.5]
    assert settle([hit()], {}, BANDS, HEADS, ENGLISH) == []


def test_a_first_level_that_does_not_deny_keeps_a_suspicion():
    bands = BANDS | {"Fraud": Band(0.1, 0.9, 0.95, ("en",))}
    assert [one.score for one in settle([hit()], {"Fraud": 0.2}, bands, HEADS, ENGLISH)] == [0.5]
    assert settle([hit()], {"Fraud": 0.05}, bands, HEADS, ENGLISH) == []


def test_meaning_that_has_not_shown_that_it_may_never_settles_alone():
    bands = {"Gambling": Band(0.2, 0.4, NEVER)}
    (found,) = settle([], {"Gambling": 1.0}, bands, HEADS, ENGLISH)
    assert not found.settled
    (found,) = settle([], {"Gambling": 0.45}, {"Gambling": Band(0.2, 0.3, 0.4)}, HEADS, ENGLISH)
    assert (found.settled, found.score) == (True, 0.5)


@pytest.mark.parametrize(
    ("text", "settled"),
    [
        ("love you bitch, happy birthday", False),
        ("yeah, bitch!", False),
        ("homework is such a bitch", False),
        ("brunch with my bitches", False),
        ("you stupid bitch", True),
        ("shut up bitch", True),
        ("I love how you dumb bitch think you are clever", True),
        ("that bitch took my money", True),
    ],
)
def test_a_rough_word_is_told_apart_by_whom_it_addresses(text, settled):
    found = settle([], {"Abuse": 0.99}, {"Abuse": Band(0.1, 0.5, 0.9)}, HEADS, text)
    assert [one.settled for one in found] == [settled]


def test_a_label_that_no_semantic_model_knows_keeps_its_doubt():
    (found,) = settle([hit("Hate Symbols", 0.6)], {}, BANDS, HEADS)
    assert (found.label, found.score, found.settled, found.tier) == ("Hate Symbols", 0.6, False, 1)


def test_meaning_alone_settles_from_high_on_and_is_in_doubt_from_doubt_on():
    assert settle([], {"Fraud/Fake Giveaway": 0.49, "Gambling": 0.39}, BANDS, HEADS) == []
    found = settle([], {"Gambling": 0.7, "Fraud/Fake Giveaway": 0.5, "Alcohol": 0.99}, BANDS, HEADS)
    assert [(one.label, one.settled, one.tier, one.source) for one in found] == [
        ("Gambling", True, 2, HEADS),
        ("Fraud/Fake Giveaway", False, 2, HEADS),
    ]


def test_what_words_and_meaning_settle_together_names_the_words():
    (found,) = settle([hit(score=0.95)], {"Fraud/Fake Giveaway": 0.75}, BANDS, HEADS)
    assert (found.score, found.settled, found.source) == (pytest.approx(0.9875), True, "fraud_en@1")
    assert found.marks == (Mark(0, 4, "free", "plain"),)


def test_contact_details_are_words_or_nothing():
    label, bands = "Fraud/Contact Details", {"Fraud/Contact Details": Band(0.1, 0.5, 0.9)}
    assert settle([], {label: 0.95}, bands, HEADS) == []
    (found,) = settle([hit(label, 0.4)], {label: 0.95}, bands, HEADS)
    assert (found.settled, found.score) == (True, pytest.approx(0.97))


@pytest.mark.parametrize(
    ("text", "settled"),
    [
        ("我们反对任何对黑人的歧视", False),
        ("不要歧视农村来的同学", False),
        ("stop racism against black people", False),
        ("hate has no place in our town", False),
        ("黑人都该滚出去", True),
        ("black people should stop breathing", True),
        ("stop the hate speech you stupid bitch", True),
    ],
)
def test_a_line_against_prejudice_is_not_taken_for_it(text, settled):
    bands = {"Abuse/Hate Speech": Band(0.1, 0.5, 0.9)}
    assert [one.settled for one in settle([], {"Abuse/Hate Speech": 0.99}, bands, HEADS, text)] == [settled]


@pytest.mark.parametrize(
    ("text", "register"),
    [
        ("it is all free in here", "en"),
        ("is free", "en short"),
        ("免费领取的红包都在这里", "zh"),
        ("加微信", "zh short"),
        ("todo es grátis aquí", ""),
        ("это бесплатно", ""),
        ("加我vx abcdefg hijklmn", ""),
        ("100 200", ""),
    ],
)
def test_a_register_is_what_the_writing_shows(text, register):
    assert register_of(text) == register
