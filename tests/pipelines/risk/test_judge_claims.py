"""Judging with matches: a copy is a segment with its reference, and what is licensed or held back changes nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.copyright.bank.reference import Kind
from pipelines.copyright.claimed import VIDEO_MATCHES
from pipelines.pieces import Pieces, write_piece
from pipelines.risk.judge import Night, judge_night
from pipelines.risk.policy import parse_policy
from pipelines.rows import CONTENTS, MANIFEST
from tests.pipelines.copyright.matches import matched, reference, row
from tests.windows import looked_at, seen, window

SHA = "a" * 64
RULES = [
    {"label": "Copyright", "abstain": [0.5, 0.9], "action": "block", "min_duration_ms": 3000, "severity": 4},
    {"label": "Gambling", "abstain": [0.4, 0.8], "severity": 2},
]


def policy(**more):
    return parse_policy({"name": "ours", "version": "1", "rule": RULES, **more}, "0" * 64)


@pytest.fixture
def night(tmp_path):
    """Two videos of one content, a second content, both with a sign of gambling; one row names the film."""
    gambling = [seen(0.5, 0, 1000)]
    write_piece(
        tmp_path / "f", looked_at(*[window(sha, signals=gambling, duration_ms=60_000) for sha in (SHA, "b" * 64)])
    )
    rows = [
        {"video_id": "copy", "uri": "/in/copy.mp4", "title": "my holiday"},
        {"video_id": "named", "uri": "/in/named.mp4", "title": None, "description": "Solaris, full movie"},
        {"video_id": "own", "uri": "/in/own.mp4", "title": "Solaris"},
    ]
    pq.write_table(pa.Table.from_pylist(rows, MANIFEST), tmp_path / "manifest.parquet")
    owners = {"copy": SHA, "named": SHA, "own": "b" * 64}
    hashed = [{"video_id": name, "uri": f"/in/{name}.mp4", "content_sha256": sha} for name, sha in owners.items()]
    contents = pa.Table.from_pylist(hashed, CONTENTS)
    return Night(tmp_path / "manifest.parquet", contents, Pieces(tmp_path / "f"), "lite@1", day=date(2026, 11, 21))


@pytest.fixture
def judged(night, tmp_path):
    """Judge with matches; returns the tally and the verdicts by video."""

    def judge(*rows, references=None, of=None, day=night.day):
        known = [reference("solaris")] if references is None else references
        kept = matched(tmp_path / "matches" / str(len(list(tmp_path.rglob("*")))), rows, known)
        tally = judge_night(replace(night, matched=kept, day=day), of or policy(), tmp_path / "out")
        return tally, {row["video_id"]: row for row in table(tmp_path, "verdicts").to_pylist()}

    return judge


def table(folder: Path, name: str) -> pa.Table:
    return pq.read_table(folder / "out" / f"{name}.parquet")


@pytest.fixture
def without(night, tmp_path):
    """The verdicts of a night that was matched with nothing."""
    judge_night(night, policy(), tmp_path / "out")
    return {row["video_id"]: undated(row) for row in table(tmp_path, "verdicts").to_pylist()}


def undated(verdict):
    return {name: value for name, value in verdict.items() if name != "decided_at"}


def test_without_a_bank_there_is_an_empty_table_of_matches(without, tmp_path):
    assert table(tmp_path, "matches").equals(VIDEO_MATCHES.empty_table())
    assert [segment["reference_id"] for row in without.values() for segment in row["segments"]] == [None] * 3


class TestACopy:
    def test_its_segment_names_the_reference_and_both_times(self, judged):
        _, rows = judged(row(SHA, "solaris", score=0.95))
        _, copy = rows["copy"]["segments"]

        assert copy == {
            "label": "Copyright/Film and TV",
            "form": "Image",
            "start_ms": 10_000,
            "end_ms": 30_000,
            "score": pytest.approx(0.95),
            "evidence_ms": 20_000,
            "text": "Solaris",
            "reference_id": "solaris",
            "ref_start_ms": 110_000,
            "ref_end_ms": 130_000,
        }
        assert rows["copy"]["suggestion"] == "block"
        assert rows["copy"]["priority"] == pytest.approx(4 / 5 * 0.95 * 0.8)
        assert {"label": "Copyright/Film and TV", "form": "Image", "score": pytest.approx(0.95)} in rows["copy"][
            "labels"
        ]

    def test_what_was_seen_in_it_counts_as_before(self, judged, without):
        _, rows = judged(row(SHA, "solaris"))

        assert rows["copy"]["segments"][0] == without["copy"]["segments"][0]
        assert undated(rows["own"]) == without["own"]

    def test_every_video_of_the_content_has_it(self, judged, tmp_path):
        tally, rows = judged(row(SHA, "solaris"))

        assert [len(rows[name]["segments"]) for name in ("copy", "named", "own")] == [2, 2, 1]
        assert table(tmp_path, "matches")["video_id"].to_pylist() == ["copy", "named"]
        assert tally.claims == 2
        assert tally.segments == 5

    def test_segments_stand_in_the_order_of_time(self, judged):
        rows = judged(row(SHA, "solaris", start_ms=40_000, end_ms=50_000), row(SHA, "solaris", claim=1))[1]

        assert [segment["start_ms"] for segment in rows["copy"]["segments"]] == [0, 10_000, 40_000]

    def test_it_is_a_signal_too(self, judged, tmp_path):
        judged(row(SHA, "solaris"))
        signals = [one for one in table(tmp_path, "signals").to_pylist() if one["video_id"] == "copy"]

        assert [(one["label"], one["source"], one["start_ms"]) for one in signals] == [
            ("Gambling", "zero_shot_clip@1", 0),
            ("Copyright/Film and TV", "bank@7-abcdef01", 10_000),
        ]
        assert signals[1]["detail"] == "film solaris, picture 0.75, verified"

    def test_picture_and_sound_are_one_claim_and_two_segments(self, judged):
        both = [row(SHA, "solaris", form=form, claim_score=0.8) for form in ("Image", "Audio")]
        tally, rows = judged(*both)
        copies = [segment for segment in rows["copy"]["segments"] if segment["reference_id"]]

        assert tally.claims == 2, "one for each of the two videos"
        assert sorted(segment["form"] for segment in copies) == ["Audio", "Image"]
        assert {round(segment["score"], 6) for segment in copies} == {0.8}

    def test_what_the_uploader_wrote_makes_it_surer(self, judged):
        _, rows = judged(row(SHA, "solaris", score=0.6))
        scores = {name: rows[name]["segments"][1]["score"] for name in ("copy", "named")}

        assert scores["copy"] == pytest.approx(0.6)
        assert scores["named"] > 0.75

    def test_words_without_a_match_are_nothing(self, judged, without):
        _, rows = judged()

        assert undated(rows["own"]) == without["own"]


class TestWhatChangesNothing:
    @pytest.mark.parametrize("day", [date(2026, 1, 1), date(2026, 12, 31)])
    def test_a_licensed_copy(self, judged, without, tmp_path, day):
        """Recorded as licensed; neither a segment nor a signal."""
        licensed = reference("solaris", licences="US:2026-01-01..2026-12-31")
        tally, rows = judged(row(SHA, "solaris", score=0.95), references=[licensed], of=policy(territory="US"), day=day)

        assert {name: undated(found) for name, found in rows.items()} == without
        assert table(tmp_path, "matches")["licensed"].to_pylist() == [True, True]
        assert "bank@7-abcdef01" not in table(tmp_path, "signals")["source"].to_pylist()
        assert tally.claims == 2

    @pytest.mark.parametrize(
        ("territory", "day"), [("JP", date(2026, 6, 1)), ("*", date(2026, 6, 1)), ("US", date(2027, 1, 1))]
    )
    def test_but_not_elsewhere_and_not_on_another_day(self, judged, territory, day):
        licensed = reference("solaris", licences="US:2026-01-01..2026-12-31")
        _, rows = judged(
            row(SHA, "solaris", score=0.95), references=[licensed], of=policy(territory=territory), day=day
        )

        assert rows["copy"]["suggestion"] == "block"

    def test_a_reference_that_is_held_back(self, judged, without, tmp_path):
        """Its facts were not kept: nobody knows it."""
        weak = row(SHA, "solaris", score=0.1)
        _, rows = judged(row(SHA, "flooding", score=0.99), weak, references=[reference("solaris", title="")])

        assert {name: undated(found) for name, found in rows.items()} == without
        assert set(table(tmp_path, "matches")["reference_id"].to_pylist()) == {"solaris"}

    @pytest.mark.parametrize("said", [{"score": 0.49}, {"start_ms": 10_000, "end_ms": 12_999}])
    def test_what_is_not_sure_or_too_short(self, judged, without, said):
        rows = judged(row(SHA, "solaris", **said), references=[reference("solaris", title="")])[1]

        assert undated(rows["copy"]) == without["copy"]

    def test_a_policy_that_does_not_speak_of_it(self, judged, without, tmp_path):
        silent = parse_policy({"name": "ours", "version": "1", "rule": RULES[1:]}, "0" * 64)
        _, rows = judged(row(SHA, "solaris", score=0.99), of=silent)

        assert {name: undated(found) for name, found in rows.items()} == without
        assert "bank@7-abcdef01" in table(tmp_path, "signals")["source"].to_pylist(), "it is recorded: shadow mode"

    def test_what_was_matched_in_vain(self, judged, without):
        _, rows = judged(row(SHA, None))

        assert {name: undated(found) for name, found in rows.items()} == without


def test_a_closer_rule_speaks_of_known_bad_videos(judged):
    reupload = {"label": "Copyright/Reupload", "abstain": [0.3, 0.4], "action": "review", "severity": 5}
    ours = parse_policy({"name": "ours", "version": "1", "rule": [*RULES, reupload]}, "0" * 64)
    bad = [reference("solaris", Kind.KNOWN_BAD)]
    _, rows = judged(row(SHA, "solaris", score=0.35, end_ms=11_000), references=bad, of=ours)

    assert rows["copy"]["suggestion"] == "review"
    assert [segment["label"] for segment in rows["copy"]["segments"]] == ["Gambling", "Copyright/Reupload"]
