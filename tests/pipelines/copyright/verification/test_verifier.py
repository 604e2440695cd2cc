"""What becomes of an upload's nominations: who stays, how sure, and how many are looked at."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.copyright.claims import Match, ReferenceMatch, claims
from pipelines.copyright.verification import verifier as module
from pipelines.copyright.verification.features import features_of
from pipelines.copyright.verification.judged import HARDLY, LIKELY, Evidence, Verdict, judged
from pipelines.copyright.verification.lasting import Lasting
from pipelines.copyright.verification.placement import matched
from pipelines.copyright.verification.stills import NO_STILLS, Stills
from pipelines.copyright.verification.verifier import LEFT, Verifier
from pipelines.copyright.verification.verify import FramePair, Verification
from tests.pipelines.copyright.verification.scenes import SECONDS, film, stills, world

FILM, OTHER = stills(film(1)), stills(film(7))


def nominated(reference: int, score: float = 0.95) -> ReferenceMatch:
    return ReferenceMatch(reference, Match("Image", score, 0, 1000 * SECONDS - 1, 0, 1000 * SECONDS - 1))


def verifier(*references):
    return Verifier(lambda _: FILM, lambda number: references[number])


def test_a_copy_stays_with_the_pair_that_shows_it_and_a_twin_goes():
    (kept,) = verifier(OTHER, FILM)(0, [nominated(0, 0.99), nominated(1, 0.7)])

    assert (kept.reference, kept.match.verified) == (1, "verified")
    assert kept.match.score > 0.95, "however little the descriptor was sure"
    assert kept.shown is not None
    assert kept.shown.picture == kept.shown.ref_picture
    assert {len(point) for point in kept.shown.points} == {4}


def test_without_pictures_the_score_is_a_doubts():
    (kept,) = verifier(NO_STILLS)(0, [nominated(0, 0.99)])

    assert (kept.match.verified, kept.match.score, kept.shown) == ("unseen", LIKELY, None)


def test_no_more_than_so_many_twins_are_looked_at_and_the_rest_says_so(monkeypatch):
    monkeypatch.setattr(module, "MOST_REFUTED", 2)
    kept = verifier(OTHER, OTHER, FILM, FILM)(0, [nominated(n, 0.9 - n / 10) for n in range(4)])

    assert [(one.reference, one.match.verified, one.match.score) for one in kept] == [
        (2, "unseen", LEFT),
        (3, "unseen", LEFT),
    ]
    assert kept[0].match.reason.startswith("not looked at: of this upload ")


def in_a_longer(other: int) -> Stills:
    """A reference in which the film is a part, at its beginning."""
    frames = [*film(1), *film(20 + other), *film(40 + other), *film(60 + other)]
    return stills(frames)


def test_what_many_references_begin_with_is_nobodys_alone():
    with_intro = [in_a_longer(number) for number in range(4)]
    three = verifier(*with_intro)(0, [nominated(n) for n in range(3)])
    four = verifier(*with_intro)(0, [nominated(n) for n in range(4)])

    assert {one.match.verified for one in three} == {"verified"}
    assert {(one.match.verified, one.match.score) for one in four} == {("in_doubt", LIKELY)}
    assert four[0].match.reason.startswith("the same picture is in 4 references")


def test_but_what_is_there_many_times_as_a_whole_is_a_copy():
    kept = verifier(FILM, FILM, FILM, FILM, FILM)(0, [nominated(n) for n in range(5)])

    assert {one.match.verified for one in kept} == {"verified"}


def verified(agreement: float) -> Verification:
    pair = FramePair(0, 0, 0, 0, agreement, np.zeros((0, 4), np.float32))
    return Verification(Verdict.VERIFIED, 0.95, "so much agrees", (pair,))


@pytest.mark.parametrize(("lesser", "said"), [(0.9, "verified"), (0.8, "in_doubt")])
def test_of_twins_in_the_bank_the_one_that_explains_the_upload_is_claimed(lesser, said, monkeypatch):
    """A room that was furnished twice: both hold on their own, and one of them clearly better."""
    found = iter([verified(lesser), verified(1.0)])
    monkeypatch.setattr(module, "verify", lambda *_: next(found))
    twin, same = verifier(FILM, FILM)(0, [nominated(0, 0.99), nominated(1)])

    assert (twin.match.verified, same.match.verified) == (said, "verified")
    if said == "in_doubt":
        assert twin.match.score == HARDLY
        assert twin.match.reason.endswith("100% of the detail agrees there, 80% here")


def test_the_time_it_took_is_counted():
    one = verifier(FILM)
    one(0, [nominated(0)])
    first = one.seconds
    one(0, [nominated(0)])

    assert 0 < first < one.seconds


@pytest.mark.parametrize("doubt", [0.0, 0.3, 0.6])
def test_a_picture_in_doubt_never_pulls_down_what_sound_found(doubt):
    sound = Match("Audio", 0.9, 0, 8000, 0, 8000)
    found = claims([Match("Image", doubt, 0, 8000, 0, 8000)], [sound])

    assert min(match.claim_score for match in found if match.form == "Audio") >= 0.9


def test_the_mirrored_descriptors_are_those_of_the_mirrored_picture():
    grey = world(5)[:256, :256, 1].astype(np.float32)
    mirrored = features_of(np.ascontiguousarray(grey[:, ::-1]))
    pairs = matched(mirrored, features_of(grey).mirrored)
    ours, theirs = mirrored.points_N2[pairs[:, 0]], features_of(grey).points_N2[pairs[:, 1]]
    near = np.abs(ours[:, 0] + theirs[:, 0] - 255) + np.abs(ours[:, 1] - theirs[:, 1]) < 3

    assert len(pairs) > 100
    assert near.mean() > 0.9
    assert len(matched(mirrored, features_of(grey))) < len(pairs) / 4


class TestJudged:
    """Worked counts of blocks: what is said of a span of three pairs."""

    @pytest.mark.parametrize(
        ("evidence", "verdict", "reason"),
        [
            (Evidence(100, 95, 90, 0, 100, 95), Verdict.VERIFIED, "95% of the detail agrees, 95% of what moves"),
            (Evidence(100, 10, 10, 60, 100, 10), Verdict.REFUTED, "another picture of the same kind"),
            (Evidence(100, 70, 60, 20, 30, 3), Verdict.REFUTED, "same scene or layout, other content"),
            (Evidence(100, 70, 60, 20, 30, 5), Verdict.IN_DOUBT, "same scene or layout, other content"),
            (Evidence(100, 93, 80, 2, 20, 19), Verdict.VERIFIED, "93% of the detail agrees, 95% of what moves"),
            (Evidence(100, 80, 70, 2, 20, 19), Verdict.IN_DOUBT, "same scene or layout, other detail: 76% of what"),
            (Evidence(40, 40, 40, 0, 0, 0), Verdict.VERIFIED, "100% of the detail agrees of a picture that stays"),
            (Evidence(40, 40, 40, 0, 0, 0, soft=True), Verdict.REFUTED, "too plain to be anybody's"),
            (Evidence(100, 60, 50, 0, 100, 60, soft=True), Verdict.IN_DOUBT, "same scene or layout, other content"),
            (Evidence(40, 33, 33, 3, 0, 0), Verdict.IN_DOUBT, "same layout, other text or detail"),
            (Evidence(40, 20, 20, 12, 0, 0), Verdict.REFUTED, "same layout, other text or detail"),
            (Evidence(40, 40, 0, 0, 0, 0), Verdict.REFUTED, "too plain to be anybody's"),
            (Evidence(), Verdict.REFUTED, "another picture of the same kind"),
        ],
    )
    def test_three_pairs_alike(self, evidence, verdict, reason):
        found = judged([evidence] * 3)

        assert (found.verdict, found.reason.startswith(reason)) == (verdict, True), found.reason

    def test_one_moment_that_holds_of_three_is_a_doubt(self):
        good, bad = Evidence(100, 95, 90, 0, 100, 95), Evidence(100, 5, 5, 0, 100, 5)

        assert judged([good, bad, bad]).verdict is Verdict.IN_DOUBT
        assert judged([good, good, bad]).verdict is Verdict.VERIFIED

    def test_a_pair_in_which_little_moves_does_not_carry_the_others(self):
        """A studio: where almost nothing moved all of it agrees; elsewhere the speaker is another."""
        calm, lively = Evidence(100, 78, 70, 3, 4, 4), Evidence(100, 70, 60, 5, 28, 1)

        assert judged([calm, lively, lively]).verdict is not Verdict.VERIFIED

    @pytest.mark.parametrize(
        ("other", "verdict"),
        [
            (Lasting(150, 2, 2), Verdict.VERIFIED),  # a flaw
            (Lasting(150, 6, 2), Verdict.VERIFIED),  # flaws here and there
            (Lasting(150, 6, 4), Verdict.IN_DOUBT),  # a name on a plate
            (Lasting(150, 3, 2, around=5), Verdict.VERIFIED),
            (Lasting(150, 3, 2, around=7), Verdict.IN_DOUBT),  # other letters of the same type
            (Lasting(150, 18, 18), Verdict.IN_DOUBT),  # a plate, or a picture laid over a copy
            (Lasting(150, 30, 9), Verdict.REFUTED),  # other furniture all over the room
        ],
    )
    def test_what_is_another_at_every_moment_weighs_by_what_adjoins(self, other, verdict):
        assert judged([Evidence(150, 125, 110, 6, 140, 120)] * 3, other).verdict is verdict

    def test_and_refutes_where_what_moves_disagrees_too(self):
        assert judged([Evidence(150, 110, 90, 9, 40, 8)] * 3, Lasting(150, 6, 4)).verdict is Verdict.REFUTED
