"""Tier 3: only doubts are weighed, each circumstance in its own direction."""

from dataclasses import replace

import pytest

from pipelines.text.context import Circumstances, seen_levels, settle_doubt, weigh
from pipelines.text.tiers import Band, Reading
from tests.windows import seen

BANDS = {"Gambling": Band(0.3, 0.4, 0.8)}
DOUBT = Reading("Gambling", 0.5, 2, False, "text_heads@1")
NOTHING = Circumstances()


def score_in(**around):
    found = settle_doubt(DOUBT, replace(NOTHING, **around), BANDS)
    return found.score if found else 0.0


def test_what_is_settled_stays_as_it_is_whatever_stands_around_it():
    settled = replace(DOUBT, settled=True, score=0.9)
    for around in (NOTHING, Circumstances(account_risk=0.0), Circumstances(seen={"Gambling": 1.0})):
        assert settle_doubt(settled, around, BANDS) is settled


def test_nothing_around_a_line_speaks_against_it():
    found = settle_doubt(DOUBT, NOTHING, BANDS)
    assert found is not None
    assert found.score == pytest.approx(0.31, abs=0.005)  # 0.5 less 0.8 in log-odds
    assert (found.tier, found.settled) == (3, False)
    assert found.why == "0.50 in doubt: nothing around it speaks for it"
    assert settle_doubt(replace(DOUBT, score=0.45), NOTHING, BANDS) is None


@pytest.mark.parametrize(
    "around",
    [
        {"seen": {"Gambling": 0.9}},
        {"told": frozenset({"Gambling"})},
        {"account_risk": 0.9},
        {"prior_violations": 2},
        {"echoes": 3},
        {"voices": 1},
    ],
)
def test_each_circumstance_raises_a_doubt_by_itself(around):
    assert score_in(**around) > 0.5


def test_circumstances_of_another_kind_say_nothing():
    assert score_in(seen={"Violence": 1.0}, told=frozenset({"Fraud"})) == score_in()


def test_a_trusted_account_lowers_a_doubt_further():
    assert score_in(account_risk=0.0) < score_in()
    assert score_in(account_risk=0.5) == score_in()


def test_together_they_settle_and_say_why():
    around = Circumstances({"Gambling": 0.9}, account_risk=0.9, echoes=7)
    found = settle_doubt(DOUBT, around, BANDS)
    assert found is not None
    assert found.settled
    assert found.why == (
        "0.50 in doubt: the picture shows Gambling (0.90); the account's risk is 0.90; 7 other accounts use these words"
    )


def test_echoes_weigh_by_their_doublings_and_not_without_end():
    weights = [weigh("Gambling", Circumstances(echoes=n))[0].weight for n in (1, 3, 7, 10**6)]
    assert weights == pytest.approx([0.6, 1.2, 1.8, 2.4])


def test_a_label_without_a_band_has_one_of_its_own():
    assert settle_doubt(replace(DOUBT, label="Alcohol", score=0.5), NOTHING, BANDS) is None  # 0.31 is below 0.4


def test_levels_come_from_pictures_alone():
    signals = [seen(0.4, 0, 1, "Gambling"), seen(0.6, 5, 6, "Gambling"), seen(0.9, 0, 1, "Abuse/Insult", form="Voice")]
    assert seen_levels(signals) == {"Gambling": 0.6}
