"""Tiers 1 and 2: who settles what, and what stays in doubt."""

import pytest

from pipelines.text.tiers import Band, Mark, Reading, needs_meaning, settle
from pipelines.text.words.matcher import Hit

BANDS = {"Fraud/Fake Giveaway": Band(0.3, 0.5, 0.8), "Gambling": Band(0.2, 0.4, 0.7)}
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
        ({"Fraud/Fake Giveaway": 0.79}, [(0.79, False)]),
        ({"Fraud/Fake Giveaway": 0.8}, [(0.8, True)]),
        (None, [(0.5, False)]),  # nobody asked
    ],
)
def test_a_suspicion_stands_as_far_as_the_meaning_does_not_deny_it(scores, outcome):
    found = settle([hit(start=2, end=6)], scores, BANDS, HEADS)
    assert [(reading.score, reading.settled) for reading in found] == outcome
    assert all(reading.marks == (Mark(2, 6, "free", "plain"),) for reading in found)


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


def test_what_settled_names_its_source_and_the_words_keep_their_marks():
    (found,) = settle([hit(score=0.95)], {"Fraud/Fake Giveaway": 0.85}, BANDS, HEADS)
    assert (found.score, found.settled, found.source) == (pytest.approx(0.95), True, HEADS)
    assert found.marks == (Mark(0, 4, "free", "plain"),)


def test_contact_details_are_words_or_nothing():
    label, bands = "Fraud/Contact Details", {"Fraud/Contact Details": Band(0.1, 0.5, 0.9)}
    assert settle([], {label: 0.95}, bands, HEADS) == []
    (found,) = settle([hit(label, 0.4)], {label: 0.95}, bands, HEADS)
    assert (found.settled, found.score) == (True, 0.95)
