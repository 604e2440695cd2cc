"""Two judges held against each other: small tables worked by hand."""

from __future__ import annotations

import pytest

from pipelines.serving.contract import Answer
from pipelines.serving.disagreement import MOST_EXAMPLES, Disagreement, Judge, Opinion, agreement, kappa

ALICE, BOB = Judge("alice@1+0", "mild@1+0"), Judge("bob@1+0", "strict@1+0")


def opinion(judge: Judge, suggestion: str, steps_ms: float = 10.0, **scores: float) -> Opinion:
    """Flags every label from 0.5 on."""
    flagged = frozenset(label for label, score in scores.items() if score >= 0.5)
    return Opinion(judge, suggestion, flagged, scores, steps_ms)


def compared(*pairs: tuple[Opinion, Opinion]) -> Disagreement:
    totals = Disagreement()
    for number, pair in enumerate(pairs):
        totals.add(f"upload {number}", f"sha {number}", *pair)
    return totals


class TestKappa:
    def test_what_is_left_of_agreement_beyond_chance(self) -> None:
        table = {("yes", "yes"): 20, ("yes", "no"): 5, ("no", "yes"): 10, ("no", "no"): 15}
        assert agreement(table) == pytest.approx(0.7)  # of which 0.5 * 0.6 + 0.5 * 0.4 = 0.5 by chance
        assert kappa(table) == pytest.approx((0.7 - 0.5) / (1 - 0.5))

    @pytest.mark.parametrize(
        ("table", "expected"),
        [
            ({("pass", "pass"): 9, ("block", "block"): 1}, 1.0),
            ({("pass", "block"): 5, ("block", "pass"): 5}, -1.0),
            ({("a", "a"): 1, ("a", "b"): 1, ("b", "a"): 1, ("b", "b"): 1}, 0.0),
            ({("pass", "pass"): 9, ("pass", "review"): 1}, 0.0),  # who always says the same tells nothing
        ],
    )
    def test_its_ends_and_its_middle(self, table: dict[tuple[str, str], int], expected: float) -> None:
        assert kappa(table) == pytest.approx(expected)

    def test_nothing_is_known_where_both_always_say_the_same_or_nothing(self) -> None:
        assert kappa({("pass", "pass"): 7}) is None
        assert kappa({}) is None


class TestOpinion:
    def test_the_highest_score_of_a_label_counts_wherever_it_stands(self) -> None:
        verdict = {
            "bundle": "alice@1+0",
            "policy": "mild@1+0",
            "suggestion": "block",
            "labels": [{"label": "Copyright/Film", "form": "Video", "score": 0.8}],
        }
        signals = [{"label": "Gambling", "score": score} for score in (0.2, 0.6, 0.4)]
        found = Opinion.of(Answer(verdict, signals, took_ms={"hash": 1.5, "decode": 2.5}))
        assert found == Opinion(
            ALICE, "block", frozenset({"Copyright/Film"}), {"Gambling": 0.6, "Copyright/Film": 0.8}, 4.0
        )


class TestDisagreement:
    def test_suggestions_are_counted_in_pairs(self) -> None:
        totals = compared(
            (opinion(ALICE, "pass"), opinion(BOB, "pass")),
            (opinion(ALICE, "pass"), opinion(BOB, "review")),
            (opinion(ALICE, "pass"), opinion(BOB, "review", steps_ms=40.0)),
        )
        assert totals.rows() == [
            {"champion": "pass", "challenger": "review", "uploads": 2},
            {"champion": "pass", "challenger": "pass", "uploads": 1},
        ]
        found = totals.metrics()
        assert found["agreement"] == pytest.approx(1 / 3)
        assert (found["compared"], found["champion_mean_ms"], found["challenger_mean_ms"]) == (3, 10.0, 20.0)

    def test_a_label_is_compared_where_at_least_one_has_a_score_for_it(self) -> None:
        totals = compared(
            (opinion(ALICE, "block", Weapons=0.9), opinion(BOB, "block", Weapons=0.8)),
            (opinion(ALICE, "block", Weapons=0.6), opinion(BOB, "pass", Weapons=0.4)),
            (opinion(ALICE, "pass"), opinion(BOB, "block", Weapons=0.7)),
            (opinion(ALICE, "pass"), opinion(BOB, "pass", Gambling=0.1)),
        )
        gambling, weapons = totals.label_rows()
        assert weapons.pop("score_difference") == pytest.approx((0.1 + 0.2 + 0.7) / 3)
        assert weapons == {"label": "Weapons", "scored": 3, "both": 1, "champion_only": 1, "challenger_only": 1}
        assert (gambling["label"], gambling["scored"], gambling["both"]) == ("Gambling", 1, 0)
        assert totals.metrics()["label/Weapons/challenger_only"] == 1

    def test_examples_are_the_latest_uploads_on_which_they_differ(self) -> None:
        same = (opinion(ALICE, "block", Weapons=0.9), opinion(BOB, "block", Gambling=0.9))
        differs = (opinion(ALICE, "pass"), opinion(BOB, "block", Weapons=0.9))
        totals = compared(same, *[differs] * (MOST_EXAMPLES + 5))
        rows = totals.example_rows()
        assert len(rows) == MOST_EXAMPLES
        assert rows[0] == {
            "upload_id": "upload 105",
            "content_sha256": "sha 105",
            "champion": "pass",
            "challenger": "block",
            "champion_labels": (),
            "challenger_labels": ("Weapons",),
        }
        assert rows[-1]["upload_id"] == "upload 6"

    def test_nothing_compared_has_no_means(self) -> None:
        totals = Disagreement(failed=2, dropped=1)
        assert totals.metrics() == {"compared": 0, "failed": 2, "dropped": 1}
        assert totals.tried == 2
