"""Verdicts: the gravest finding decides, incomplete is never pass, and the priority keeps its promises."""

from __future__ import annotations

import math
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.risk.policy import Suggestion, parse_policy
from pipelines.risk.verdicts import (
    MOST_VIEWS,
    REACH_SHARE,
    UNSEEN_PRIORITY,
    VERDICTS,
    Finding,
    findings,
    priority,
    suggestion,
    top_labels,
)
from tests.windows import seen

PASS, REVIEW, BLOCK = Suggestion
POLICY = parse_policy(
    {
        "name": "ours",
        "version": "1",
        "rule": [
            {"label": "Explicit", "abstain": [0.5, 0.8], "action": "block", "severity": 5},
            {"label": "Gambling", "abstain": [0.4, 0.8], "in_doubt": "pass"},
            {"label": "Violence/Weapons", "models": "imagenet_weapons", "abstain": [0.3, 0.9], "severity": 2},
            {"label": "Violence/Weapons", "models": "zero_shot_*", "abstain": [0.5, 0.9]},
        ],
    },
    "0" * 64,
)


def finding(score=0.5, suggests=REVIEW, severity=3, label="Gambling", form="Image") -> Finding:
    return Finding(label, form, 0, 1000, score, 0, suggests, severity)


any_finding = st.builds(finding, st.floats(0, 1), st.sampled_from(Suggestion), st.integers(1, 5))
some_findings = st.lists(any_finding, max_size=6)
any_views = st.one_of(st.none(), st.integers(-10, 10**12))


class TestFindings:
    def test_the_highest_of_a_segment_against_the_bands_of_its_rule(self):
        found = findings([seen(0.6, 0, 1000, "Explicit"), seen(0.9, 9000, 10_000, "Explicit")], POLICY, 10_000)

        assert [(f.start_ms, f.suggestion, f.severity) for f in found] == [(0, REVIEW, 5), (9000, BLOCK, 5)]

    def test_two_models_under_one_rule_are_one_curve(self):
        one, other = seen(0.5, 0, 1000, source="a@1"), seen(0.6, 1000, 2000, source="b@1")

        assert [(f.start_ms, f.end_ms, f.score) for f in findings([one, other], POLICY, 2000)] == [(0, 2000, 0.6)]

    def test_two_models_under_two_rules_are_judged_apart(self):
        label = "Violence/Weapons"
        one, other = seen(0.4, 0, 1000, label, source="imagenet_weapons@1"), seen(0.45, 0, 1000, label)

        assert [(f.severity, f.score) for f in findings([one, other], POLICY, 1000)] == [(2, 0.4)]

    def test_labels_and_forms_under_one_rule_are_judged_apart(self):
        nude, toy = seen(0.9, 0, 1000, "Explicit/Explicit Nudity"), seen(0.9, 0, 1000, "Explicit/Sex Toys")
        said = seen(0.9, 0, 1000, "Explicit/Sex Toys", form="Voice")

        assert [(f.label, f.form) for f in findings([toy, nude, said], POLICY, 1000)] == [
            ("Explicit/Explicit Nudity", "Image"),
            ("Explicit/Sex Toys", "Image"),
            ("Explicit/Sex Toys", "Voice"),
        ]

    @settings(deadline=None)
    @given(st.permutations([seen(0.5 + i / 20, i * 5000, i * 5000 + 1000, source=f"m{i % 3}@1") for i in range(6)]))
    def test_the_order_of_signals_changes_nothing(self, signals):
        ordered = sorted(signals, key=lambda signal: signal.start_ms)

        assert findings(signals, POLICY, 60_000) == findings(ordered, POLICY, 60_000)


class TestSuggestion:
    @pytest.mark.parametrize(
        ("suggested", "expected"),
        [
            ([], PASS),
            ([PASS, PASS], PASS),
            ([PASS, REVIEW], REVIEW),
            ([BLOCK, REVIEW, PASS], BLOCK),
        ],
    )
    def test_the_gravest_decides(self, suggested, expected):
        assert suggestion([finding(suggests=s) for s in suggested], complete=True) is expected

    @settings(deadline=None)
    @given(some_findings)
    def test_what_was_not_wholly_seen_is_never_passed(self, found):
        incomplete, complete = suggestion(found, complete=False), suggestion(found, complete=True)

        assert incomplete is not PASS
        assert incomplete is (REVIEW if complete is PASS else complete)

    @settings(deadline=None)
    @given(some_findings, any_finding)
    def test_one_more_finding_never_makes_it_milder(self, found, more):
        assert suggestion([*found, more], complete=True).rank >= suggestion(found, complete=True).rank

    def test_ranks(self):
        assert [s.rank for s in (PASS, REVIEW, BLOCK)] == [0, 1, 2]


class TestPriority:
    def test_nothing_found_is_nothing_to_hurry_for(self):
        assert priority([], 10**9, complete=True) == 0
        assert priority([finding(1.0, PASS, 5)], 10**9, complete=True) == 0

    def test_by_hand(self):
        # Severity 3 of 5 and score 0.5 make 0.3; no views leave 80 % of it, a thousand million all of it.
        assert priority([finding(0.5)], 0, complete=True) == pytest.approx(0.24)
        assert priority([finding(0.5)], 10**9, complete=True) == pytest.approx(0.3)
        reach = math.log1p(1000) / math.log1p(1e9)
        assert priority([finding(0.5)], 1000, complete=True) == pytest.approx(0.3 * (0.8 + 0.2 * reach))

    def test_unseen_lies_in_the_middle(self):
        assert priority([], None, complete=False) == pytest.approx(UNSEEN_PRIORITY * (1 - REACH_SHARE))
        assert priority([finding(1.0, BLOCK, 5)], None, complete=False) == pytest.approx(1 - REACH_SHARE)

    @settings(deadline=None)
    @given(some_findings, any_views, st.booleans())
    def test_it_lies_between_0_and_1(self, found, views, complete):
        assert 0 <= priority(found, views, complete=complete) <= 1

    @settings(max_examples=200, deadline=None)
    @given(some_findings, any_finding, any_views, st.floats(0, 1), st.integers(0, 4), st.integers(0, 10**9))
    def test_more_score_more_severity_more_views_never_lower_it(self, rest, one, views, score, severity, more_views):
        before = priority([*rest, one], views, complete=True)
        higher = replace(one, score=max(one.score, score))
        graver = replace(one, severity=min(5, one.severity + severity))

        assert priority([*rest, higher], views, complete=True) >= before
        assert priority([*rest, graver], views, complete=True) >= before
        assert priority([*rest, one], (views or 0) + more_views, complete=True) >= before
        assert priority([*rest, one], views, complete=False) >= before

    def test_views_beyond_the_most_and_below_zero(self):
        assert priority([finding()], 10**18, complete=True) == priority([finding()], int(MOST_VIEWS), complete=True)
        assert priority([finding()], -5, complete=True) == priority([finding()], None, complete=True)


class TestTopLabels:
    def test_the_highest_of_each_label_and_form_highest_first(self):
        found = [finding(0.5), finding(0.7), finding(0.6, form="OCR"), finding(0.9, label="Explicit")]

        assert top_labels(found) == [
            {"label": "Explicit", "form": "Image", "score": 0.9},
            {"label": "Gambling", "form": "Image", "score": 0.7},
            {"label": "Gambling", "form": "OCR", "score": 0.6},
        ]

    def test_of_equal_scores_the_name_decides(self):
        found = [finding(label="Gambling"), finding(label="Alcohol")]

        assert [row["label"] for row in top_labels(found)] == ["Alcohol", "Gambling"]

    def test_nothing(self):
        assert top_labels([]) == []


def test_a_verdict_round_trips_through_parquet(tmp_path):
    found = [Finding("Explicit", "Image", 1000, 2500, 0.75, 1500, BLOCK, 5)]
    row = dict.fromkeys(VERDICTS.names) | {
        "video_id": "v",
        "labels": top_labels(found),
        "segments": [f.as_segment() for f in found],
    }
    pq.write_table(pa.Table.from_pylist([row], VERDICTS), tmp_path / "verdicts.parquet")
    back = pq.read_table(tmp_path / "verdicts.parquet")

    assert back.schema == VERDICTS
    assert back.to_pylist() == [row]
    assert back["segments"].to_pylist() == [
        [
            {
                "label": "Explicit",
                "form": "Image",
                "start_ms": 1000,
                "end_ms": 2500,
                "score": 0.75,
                "evidence_ms": 1500,
                "text": None,
                "reference_id": None,
                "ref_start_ms": None,
                "ref_end_ms": None,
            }
        ]
    ]
