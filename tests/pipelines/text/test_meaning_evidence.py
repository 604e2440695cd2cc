"""What has to stand in a line before its meaning may settle it."""

import pytest

from pipelines.text.evidence import may_be_settled, scorns_a_group
from pipelines.text.tiers import Band, settle

BANDS = {"Abuse": Band(0.1, 0.9, 0.98), "Fraud": Band(0.1, 0.9, 0.98), "Gambling": Band(0.1, 0.4, 0.7, ("en",))}


@pytest.mark.parametrize(
    ("label", "text", "marked"),
    [
        ("Abuse", "欺骗世界，欺骗最初的你", False),
        ("Abuse", "河南人都这样", True),
        ("Abuse", "damn, I lost a sock", False),
        ("Abuse", "those bitches", True),
        ("Abuse/Insult", "what a lovely day", False),
        ("Fraud", "sync directories to private mirrors", False),
        ("Fraud", "call now to claim your prize", True),
        ("Fraud", "call me later", False),
        ("Fraud", "won £100", True),
        ("Fraud", "Congress has called for 5 billion dollars in loans", False),
        ("Gambling", "what a lovely day", True),  # of a label without marks nothing is asked
    ],
)
def test_marks_of_a_register(label, text, marked):
    assert may_be_settled(label, text) is marked


@pytest.mark.parametrize(("text", "settled"), [("欺骗世界，欺骗最初的你", False), ("河南人都这样", True), ("", True)])
def test_meaning_alone_settles_no_line_without_them(text, settled):
    (found,) = settle([], {"Abuse": 0.99}, BANDS, "heads@1", text)
    assert found.settled is settled


def test_scorn_for_a_group_settles_what_its_meaning_leaves_in_doubt():
    assert scorns_a_group("河南人都偷井盖")
    assert not scorns_a_group("河南人都好客")
    assert not scorns_a_group("他真恶心")
    for text, settled in (("河南人都偷东西", True), ("河南人都好客", False)):
        (found,) = settle([], {"Abuse": 0.95}, BANDS, "heads@1", text)
        assert found.settled is settled
