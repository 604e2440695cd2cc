"""What is said at a policy's thresholds, peers joined, and uploads that share footage: worked by hand."""

from __future__ import annotations

from math import isnan
from pathlib import Path

import pyarrow as pa
import pytest

from benchmarks.copies.films import Film
from benchmarks.copies.joined import Calibration, calibrated, joined
from benchmarks.copies.levels import Levels, said, shipped
from benchmarks.copies.metrics import Match
from benchmarks.copies.ours import _fused, _matches
from benchmarks.copies.reposts import Piece, Repost, pair_rows, reposts_of, shown_by
from benchmarks.copies.sources import Source
from benchmarks.copies.uploads import Segment, Upload

HOUR = 3_600_000


def seen(query: str, reference: str, score: float, length: float = 5000, doubted: bool = False) -> Match:
    return Match(query, reference, score, 0, length, 0, length, doubted)


def test_the_shipped_policy_acts_from_its_upper_threshold_on() -> None:
    assert shipped() == Levels(0.5, 0.9, 3000)


@pytest.mark.parametrize(
    ("match", "level"),
    [
        (seen("q", "r", 0.9), "action"),
        (seen("q", "r", 0.89), "in_doubt"),
        (seen("q", "r", 0.49), None),
        (seen("q", "r", 0.99, length=2999), None),
        (seen("q", "r", 0.99, doubted=True), "in_doubt"),
    ],
)
def test_a_match_is_acted_on_doubted_or_let_go(match: Match, level: str | None) -> None:
    assert Levels(0.5, 0.9, 3000).level(match, 20_000) == level


def test_an_upload_shorter_than_the_least_duration_needs_its_own_length_only() -> None:
    levels = Levels(0.5, 0.9, 3000)
    assert levels.level(seen("q", "r", 0.95, length=2000), 2000) == "action"
    assert levels.level(seen("q", "r", 0.95, length=1999), 2000) is None


def test_pairs_are_counted_once_at_the_gravest_level() -> None:
    """Three uploads of an hour. q1-A right at action, said twice; q2-A right in doubt; q3-A and q3-B false."""
    truth = [seen("q1", "A", 1), seen("q2", "A", 1)]
    found = [
        seen("q1", "A", 0.6),
        seen("q1", "A", 0.95),
        seen("q1", "A", 0.7),
        seen("q2", "A", 0.6),
        seen("q3", "A", 0.99),
        seen("q3", "B", 0.55),
    ]
    counted = said(truth, found, Levels(0.5, 0.9), {"q1": HOUR, "q2": HOUR, "q3": HOUR})
    assert (counted.right_action, counted.false_action, counted.right_doubt, counted.false_doubt) == (1, 1, 1, 1)
    assert (counted.precision, counted.recall, counted.recall_with_doubt) == (0.5, 0.5, 1.0)
    assert counted.false_per(300) == 100
    assert counted.false_per(300, "in_doubt") == 100
    assert counted.false_per_1000h == pytest.approx(1000 / 3)


def test_who_says_nothing_has_no_precision() -> None:
    assert isnan(said([], [], Levels(0.5, 0.9), {"q": HOUR}).precision)


def test_a_score_is_worth_the_precision_it_had() -> None:
    """From 0.8 on one of one is right, from 0.6 on one of two, from 0.4 on two of three."""
    truth = [seen("q1", "A", 1), seen("q2", "A", 1)]
    found = [seen("q1", "A", 0.8), seen("x", "A", 0.6), seen("q2", "A", 0.4)]
    calibration = calibrated(truth, found)
    assert calibration.scores == (0.4, 0.6, 0.8)
    assert calibration.precisions == pytest.approx((2 / 3, 2 / 3, 1))
    assert calibration(0.7) == pytest.approx(5 / 6, abs=0.002)
    assert calibration(0.9) > calibration(0.8)


def test_joined_peers_take_the_surer_of_both() -> None:
    half, sure = Calibration((0.0, 1.0), (0.0, 0.5)), Calibration((0.0, 1.0), (0.0, 1.0))
    pictures = [seen("q1", "A", 1.0, length=10), seen("q2", "A", 0.8)]
    sounds = [seen("q1", "A", 0.9, length=20)]
    one, two = sorted(joined([(pictures, half), (sounds, sure)]), key=lambda match: match.query)
    assert (one.score, one.end_ms) == (pytest.approx(0.9, abs=0.002), 20)
    assert (two.query, two.score) == ("q2", pytest.approx(0.4, abs=0.002))


def test_a_claim_of_pictures_alone_is_doubted_unless_one_was_verified() -> None:
    """Claim 0: a picture in doubt. 1: one verified. 2: in doubt, and sound agrees. 3: sound alone."""
    rows = [
        ("Image", 0, 0.9, "in_doubt"),
        ("Image", 1, 0.9, "verified"),
        ("Image", 2, 0.9, "in_doubt"),
        ("Audio", 2, 0.8, None),
        ("Audio", 3, 0.7, None),
    ]
    times = dict.fromkeys(("start_ms", "end_ms", "ref_start_ms", "ref_end_ms"), 0)
    about = {"content_sha256": "sha", "reference_id": "r", **times}
    table = pa.Table.from_pylist(
        [
            {**about, "form": form, "claim": claim, "score": score, "claim_score": score, "verified": verified}
            for form, claim, score, verified in rows
        ]
    )
    assert [match.doubted for match in _fused(table, {"sha": "q"})] == [True, False, False, False]
    assert [match.doubted for match in _matches(table, {"sha": "q"}, "Image", "score")] == [True, False, True]
    assert not any(match.doubted for match in _fused(table.drop_columns(["verified"]), {"sha": "q"}))


SOURCE = Source(Path("a.mp4"), "real", "g", 60.0, (640, 360), "report", "copied")
FILM = Film("film", (SOURCE,), SOURCE.size, "none")
OTHER = Film("other", (SOURCE,), SOURCE.size, "none")


def upload(name: str, *segments: Segment) -> Upload:
    return Upload(name, "report", "real", ("plain",), segments, SOURCE.size)


def test_two_uploads_share_the_moments_of_a_film_that_both_show() -> None:
    """At 25 frames a second: a shows 0-4 s of the film from 2 s on; b shows 2-8 s from its start: 2-4 s are shared."""
    a = upload("a", Segment(OTHER, 0, 50), Segment(FILM, 0, 100))
    b = upload("b", Segment(FILM, 50, 150))
    c = upload("c", Segment(FILM, 500, 100))
    (ab, ac, bc) = pair_rows("report", shown_by([a, b, c]))
    assert (ab["query"], ab["other"], ab["shared_ms"], ab["share"], ab["via"]) == ("a", "b", 2000, 0.333, "footage")
    assert ab["spans"] == "4000-6000=0-2000"
    assert (ac["shared_ms"], bc["shared_ms"], ac["spans"]) == (0, 0, "")  # other moments of one film


def test_an_excerpt_of_an_upload_shows_its_part_at_its_own_speed() -> None:
    """Of a (6 s), the repost shows 3-6 s in 2 s: 1.5 times as fast. The film stands at 2-6 s of a, from 0 s on."""
    a = upload("a", Segment(OTHER, 0, 50), Segment(FILM, 0, 100))
    again = Repost(upload("z", Segment(FILM, 75, 50)), "a", 75, 150)
    shown = shown_by([a], [again])
    assert shown["z"] == [Piece("film", 25, 0, 50, 1.5)]
    (row,) = pair_rows("report", shown)
    assert (row["shared_ms"], row["share"], row["longest_ms"], row["spans"]) == (3000, 1.0, 3000, "3000-6000=0-2000")


def test_reposts_are_in_turn_whole_and_an_excerpt_of_a_third_to_a_half() -> None:
    uploads = [upload(f"u{number}", Segment(FILM, 0, 500)) for number in range(6)]
    paths = {each.name: Path(f"{each.name}.mp4") for each in uploads}
    again = reposts_of(uploads, paths, "report", 6, 1)
    assert again == reposts_of(uploads, paths, "report", 6, 1) != reposts_of(uploads, paths, "report", 6, 2)
    shares = [(repost.end - repost.start) / 500 for repost in again]
    assert all(share > 0.95 for share in shares[::2])
    assert all(0.28 <= share <= 0.51 for share in shares[1::2])
