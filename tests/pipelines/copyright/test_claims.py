"""Claims: picture and sound that say the same are one claim and surer than either; others stand alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.copyright.claims import SLACK_MS, Match, agree, claims, picture_match, sound_match, together
from pipelines.copyright.picture.align import Span
from pipelines.copyright.sound.index import AudioSpan

PICTURE = Match("Image", 0.6, 10_000, 30_000, 110_000, 130_000)
SOUND = Match("Audio", 0.5, 12_000, 40_000, 112_000, 140_000)


def numbered(found: list[Match]) -> list[tuple[str, int, float]]:
    return [(match.form, match.claim, round(match.claim_score, 6)) for match in found]


class TestScores:
    def test_a_picture_span_is_the_surer_the_more_it_gained(self):
        spans = [Span(0, 1000, 5000, 6000, 1.0, 1, 1.0, gain) for gain in (0, 0.5, 1, 2, 4, 100)]
        scores = [picture_match(span).score for span in spans]

        assert scores == sorted(scores)
        assert 0 < scores[0] < 0.5 < scores[-1] <= 1

    def test_times_and_speed_are_kept(self):
        span = Span(1, 2, 3, 4, 1.25, 5, 6.0, 7.0)
        sound = AudioSpan(9, 1, 2, 3, 4, 1.25, 30, 40, 0.75)

        for match in (picture_match(span), sound_match(sound)):
            assert (match.start_ms, match.end_ms, match.ref_start_ms, match.ref_end_ms) == (1, 2, 3, 4)
            assert match.speed == 1.25
        assert (picture_match(span).form, sound_match(sound).form) == ("Image", "Audio")
        assert sound_match(sound).score == 0.75

    @pytest.mark.parametrize(
        ("scores", "wanted"), [([], 0), ([0.25], 0.25), ([0.5, 0.5], 0.75), ([0.6, 0.5], 0.8), ([1, 0.3], 1)]
    )
    def test_together(self, scores, wanted):
        assert together(scores) == pytest.approx(wanted)

    @given(st.lists(st.floats(0, 1), min_size=1, max_size=5))
    def test_together_is_never_less_than_the_surest(self, scores):
        assert max(scores) - 1e-9 <= together(scores) <= 1


class TestAgree:
    def test_the_same_line(self):
        assert agree(PICTURE, SOUND)
        assert agree(SOUND, PICTURE)

    def test_no_common_time(self):
        assert not agree(PICTURE, replace(SOUND, start_ms=30_000))

    @pytest.mark.parametrize(("off_ms", "same"), [(SLACK_MS - 1, True), (-SLACK_MS + 1, True), (SLACK_MS + 1, False)])
    def test_another_place_of_the_reference(self, off_ms, same):
        moved = replace(SOUND, ref_start_ms=SOUND.ref_start_ms + off_ms)

        assert agree(PICTURE, moved) is same

    def test_in_the_middle_of_what_they_share(self):
        """Two speeds 5 % apart that meet at 21 s, in the middle of 12 to 30 s."""
        faster = replace(SOUND, speed=1.05, ref_start_ms=round(121_000 - 1.05 * 9000))

        assert agree(PICTURE, faster)
        assert not agree(PICTURE, replace(faster, ref_start_ms=faster.ref_start_ms + SLACK_MS + 100))

    def test_where_in_the_reference_a_time_lies(self):
        assert replace(PICTURE, speed=1.25).place(14_000) == 115_000


class TestClaims:
    def test_a_pair_is_one_claim(self):
        assert numbered(claims([PICTURE], [SOUND])) == [("Image", 0, 0.8), ("Audio", 0, 0.8)]

    def test_the_rest_of_a_match_stays_as_it_was(self):
        found = claims([PICTURE], [SOUND], first=3)

        assert [replace(match, claim=0, claim_score=0.0) for match in found] == [PICTURE, SOUND]
        assert [match.claim for match in found] == [3, 3]

    def test_each_alone(self):
        elsewhere = replace(SOUND, ref_start_ms=500_000, ref_end_ms=528_000)

        assert numbered(claims([PICTURE], [elsewhere])) == [("Image", 0, 0.6), ("Audio", 1, 0.5)]
        assert numbered(claims([PICTURE], [])) == [("Image", 0, 0.6)]
        assert numbered(claims([], [SOUND], first=7)) == [("Audio", 7, 0.5)]
        assert claims([], []) == []

    def test_a_sound_is_the_partner_of_one_picture_only(self):
        later = replace(PICTURE, start_ms=32_000, end_ms=39_000, ref_start_ms=132_000, ref_end_ms=139_000)

        assert numbered(claims([PICTURE, later], [SOUND])) == [
            ("Image", 0, 0.8),
            ("Audio", 0, 0.8),
            ("Image", 1, 0.6),
        ]

    def test_the_surest_of_several_partners(self):
        sounds = [replace(SOUND, score=0.2), replace(SOUND, score=0.5, start_ms=13_000, ref_start_ms=113_000)]
        found = claims([PICTURE], sounds)

        assert numbered(found) == [("Image", 0, 0.8), ("Audio", 0, 0.8), ("Audio", 1, 0.2)]
        assert found[1].start_ms == 13_000
