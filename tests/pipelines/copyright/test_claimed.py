"""Claims as judging sees them: licences by place and day, lengths, cues, and the words a reviewer reads."""

from __future__ import annotations

from datetime import date
from itertools import count

import pytest

from pipelines.copyright.bank.reference import Kind
from pipelines.copyright.claimed import LABELS, VIDEO_MATCHES, claimed, with_cue
from pipelines.copyright.cues import TITLE
from pipelines.risk.policy import Suggestion, load_policy, parse_policy
from tests.pipelines.copyright.matches import matched, reference, row

DAY = date(2026, 11, 21)
RULE = {"label": "Copyright", "abstain": [0.5, 0.9], "min_duration_ms": 5000, "action": "block", "severity": 4}
SHA = "a" * 64


def policy(*rules, **more):
    return parse_policy({"name": "ours", "version": "1", "rule": list(rules or [RULE]), **more}, "0" * 64)


@pytest.fixture
def claims(tmp_path):
    """The claims of one upload from rows about it."""

    nights = count()

    def made(*rows, references=(), territory="*", day=DAY):
        kept = matched(tmp_path / str(next(nights)), [row(SHA, **said) for said in rows], references or [reference()])
        return claimed(kept, territory, day).get(SHA, [])

    return made


@pytest.fixture
def claim(claims):
    """Its only claim."""

    def made(said=None, **more):
        (found,) = claims(said or {}, **more)
        return found

    return made


class TestLicences:
    @pytest.mark.parametrize(
        ("licences", "territory", "licensed"),
        [
            ("none", "US", False),
            ("US", "US", True),
            ("US", "JP", False),
            ("US", "*", False),
            ("*", "JP", True),
            ("*", "*", True),
            ("US:2026-11-21..2026-11-21", "US", True),
            ("US:..2026-11-20", "US", False),
            ("US:2026-11-22..", "US", False),
            ("JP;US:2026-01-01..", "US", True),
        ],
    )
    def test_where_the_policy_shows_videos_on_the_day_of_the_run(self, claim, licences, territory, licensed):
        found = claim(references=[reference(licences=licences)], territory=territory)

        assert found.licensed is licensed
        assert (found.finding(policy(), 60_000) is None) is licensed
        assert found.detail().endswith("licensed") is licensed
        assert found.as_match("v")["licensed"] is licensed


class TestFinding:
    def test_it_carries_the_reference_and_both_times(self, claim):
        found = claim().finding(policy(), 60_000)

        assert (found.label, found.form, found.severity) == ("Copyright/Film and TV", "Image", 4)
        assert (found.start_ms, found.end_ms, found.evidence_ms) == (10_000, 30_000, 20_000)
        assert (found.reference_id, found.ref_start_ms, found.ref_end_ms) == ("dune", 110_000, 130_000)
        assert found.text == "Dune"
        assert found.suggestion is Suggestion.REVIEW
        assert found.score == pytest.approx(0.75)

    def test_from_high_on_the_rule_acts(self, claim):
        assert claim({"score": 0.95}).finding(policy(), 60_000).suggestion is Suggestion.BLOCK

    def test_not_sure_enough(self, claim):
        assert claim({"score": 0.49}).finding(policy(), 60_000) is None
        assert claim({"score": 0.5}).finding(policy(), 60_000)

    def test_picture_and_sound_together_may_be_sure_enough(self, claim):
        assert claim({"score": 0.4, "claim_score": 0.6}).finding(policy(), 60_000).score == pytest.approx(0.6)

    def test_without_a_rule_it_is_in_shadow(self, claim):
        assert claim().finding(policy({"label": "Gambling", "abstain": [0.4, 0.8]}), 60_000) is None

    @pytest.mark.parametrize(
        ("length_ms", "duration_ms", "found"),
        [(5000, 60_000, True), (4999, 60_000, False), (3000, 3000, True), (1000, 3000, False), (0, 0, True)],
    )
    def test_too_short_but_for_a_video_that_is_no_longer(self, claim, length_ms, duration_ms, found):
        one = claim({"start_ms": 0, "end_ms": length_ms})

        assert (one.finding(policy(), duration_ms) is not None) is found

    def test_a_rule_may_speak_of_one_form_only(self, claim):
        assert claim().finding(policy(RULE | {"forms": ["Audio"]}), 60_000) is None
        assert claim({"form": "Audio"}).finding(policy(RULE | {"forms": ["Audio"]}), 60_000)

    def test_a_reference_without_a_title_has_no_text(self, claim):
        assert claim(references=[reference(title="")]).finding(policy(), 60_000).text is None

    @pytest.mark.parametrize("name", ["default", "strict"])
    def test_the_shipped_policies_have_a_reupload_of_a_second_reviewed(self, claim, name):
        short = {"start_ms": 0, "end_ms": 1000, "score": 0.95}
        found = claim(short, references=[reference(kind=Kind.KNOWN_BAD)]).finding(load_policy(name), 60_000)

        assert (found.label, found.suggestion) == ("Copyright/Reupload", Suggestion.REVIEW)


class TestCue:
    def test_it_raises_the_score_and_is_mentioned(self, claim):
        plain = claim({"score": 0.6})
        cued = with_cue(plain, "DUNE, part two")  # four letters stand everywhere
        named = with_cue(claim({"score": 0.6}, references=[reference(title="Solaris")]), "Solaris!")

        assert cued.score == plain.score
        assert named.score == pytest.approx(1 - (1 - 0.6) * (1 - TITLE))
        assert named.detail().endswith(f"the uploader's words {TITLE:.2f}")
        assert named.signal().score == named.score

    def test_it_may_make_a_doubt_a_finding(self, claim):
        doubt = claim({"score": 0.4}, references=[reference(title="Solaris")])

        assert doubt.finding(policy(), 60_000) is None
        assert with_cue(doubt, "Solaris").finding(policy(), 60_000)

    def test_it_is_no_claim_by_itself(self, claim):
        """Words beside a likeness that is next to nothing."""
        faint = claim({"score": 0.01}, references=[reference(title="Solaris")])
        named = with_cue(faint, "Solaris, full movie")

        assert named.score == faint.score
        assert named.finding(policy(), 60_000) is None


class TestDetail:
    def test_in_a_few_words(self, claim):
        assert claim().detail() == "film dune, picture 0.75, verified"

    def test_sound_and_another_speed(self, claim):
        found = claim({"form": "Audio", "speed": 1.1}, references=[reference(kind=Kind.KNOWN_BAD)])

        assert found.detail() == "known bad dune, sound 0.75, 1.10 times its speed"

    def test_a_speed_that_nobody_hears_is_not_mentioned(self, claim):
        assert "speed" not in claim({"speed": 1.01}).detail()

    def test_the_other_modality_of_the_same_claim(self, claims):
        one, other, alone = claims({}, {"form": "Audio"}, {"form": "Audio", "claim": 1})

        assert (one.beside, other.beside, alone.beside) == ("sound", "picture", "")
        assert one.detail() == "film dune, picture 0.75, verified, sound agrees"

    def test_claims_of_other_uploads_are_others(self, tmp_path):
        kept = matched(tmp_path, [row("a"), row("b", form="Audio")], [reference()])

        assert {sha: one.beside for sha, (one,) in claimed(kept, "*", DAY).items()} == {"a": "", "b": ""}


class TestSignal:
    @pytest.mark.parametrize("kind", sorted(LABELS))
    def test_the_label_follows_from_what_the_reference_is(self, claim, kind):
        found = claim(references=[reference(kind=kind)]).signal()

        assert found.label == LABELS[kind]
        assert found.source == "bank@7-abcdef01"
        assert (found.start_ms, found.end_ms, found.evidence_ms) == (10_000, 30_000, 20_000)

    def test_all_kinds_but_negative_ones_have_a_label(self):
        assert set(LABELS) == set(Kind) - {Kind.NEGATIVE}


def test_what_matched_in_vain_or_was_held_back_is_no_claim(tmp_path):
    kept = matched(tmp_path, [row("a", None), row("b", "flooding"), row("c")], [reference()])

    assert set(claimed(kept, "*", DAY)) == {"c"}


def test_a_row_of_the_table_of_matches(claim):
    row_ = claim().as_match("my video")

    assert list(row_) == VIDEO_MATCHES.names
    assert (row_["video_id"], row_["reference_id"], row_["kind"], row_["owner"]) == (
        "my video",
        "dune",
        "film",
        "A Studio",
    )
