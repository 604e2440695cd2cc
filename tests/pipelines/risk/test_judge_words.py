"""Judging what was said, shown and written: transcripts, quoted segments, pictures, and nothing without a reader."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.copyright import strips
from pipelines.pieces import Pieces, write_piece
from pipelines.risk.judge import Night, judge_night
from pipelines.rows import CONTENTS, MANIFEST
from pipelines.text.readings import Reader, Readings, readings_table
from pipelines.text.tiers import Band
from pipelines.text.words.matcher import Hit
from tests.pipelines.risk.test_judge import policy
from tests.windows import looked_at, seen, window

TALK, QUIET = "a" * 64, "b" * 64
SURE, WEAK, TITLE, OTHER = "place a bet", "you may bet", "bet with me", "bet with us"
READER = Reader("starter@1", "heads@1", (("Gambling", Band(0.3, 0.4, 0.8)),))


def hit(text, *, certain):
    at = text.index("bet")
    return Hit("Gambling", 3, certain, 0.9 if certain else 0.5, "gambling_en@1", "bet", at, at + 3, "plain")


@pytest.fixture
def night(tmp_path, monkeypatch):
    monkeypatch.setattr(strips, "shown_small", lambda still: still)  # stills are words here
    write_piece(
        tmp_path / "pieces",
        looked_at(
            window(
                TALK,
                said=[(4000, 5000, SURE)],
                shown=[(8000, 9000, WEAK)],
                stills={0: b"zero", 4000: b"four", 8000: b"eight"},
                duration_ms=10_000,
            ),
            window(QUIET, duration_ms=3000),
        ),
    )
    rows = [
        {"video_id": "talk", "uri": "u"},
        {"video_id": "titled", "uri": "u", "title": TITLE, "account_risk": 1.0},
        {"video_id": "trusted", "uri": "u", "title": OTHER, "account_risk": 0.0},
        {"video_id": "gone", "uri": "u", "title": SURE},
    ]
    pq.write_table(pa.Table.from_pylist(rows, MANIFEST), tmp_path / "manifest.parquet")
    owners = [("talk", TALK), ("titled", QUIET), ("trusted", QUIET), ("gone", None)]
    contents = pa.Table.from_pylist(
        [{"video_id": v, "content_sha256": c, "error_code": None if c else "not_found"} for v, c in owners], CONTENTS
    )
    readings = Readings.made_by(READER, tmp_path / "text")
    # Sure words; words that meaning bears out; meaning alone; words that meaning neither bears out nor denies.
    hits = [[hit(SURE, certain=True)], [hit(WEAK, certain=False)], [], [hit(OTHER, certain=False)]]
    scores = [None, {"Gambling": 0.5}, {"Gambling": 0.6}, {"Gambling": 0.35}]
    readings.write(readings_table([SURE, WEAK, TITLE, OTHER], hits, scores))
    pieces = Pieces(tmp_path / "pieces")
    return Night(tmp_path / "manifest.parquet", contents, pieces, "lite@2+0", readings=readings)


def judged(night, out):
    tally = judge_night(night, policy(), out)
    rows = pq.read_table(out / "verdicts.parquet").to_pylist()
    return tally, {row["video_id"]: row for row in rows}


def test_segments_quote_what_was_said_and_shown(night, tmp_path):
    _, found = judged(night, tmp_path / "out")
    segments = found["talk"]["segments"]
    assert [(one["form"], one["text"], one["start_ms"] >= 4000) for one in segments] == [
        ("Voice", SURE, True),
        ("OCR", WEAK, True),
    ]
    assert segments[0]["start_ms"] > 4500  # "bet" is the last word
    assert segments[1]["score"] > 0.5  # the line that is settled speaks for it


def test_an_account_that_is_risky_or_trusted_settles_its_title_each_way(night, tmp_path):
    _, found = judged(night, tmp_path / "out")
    assert found["titled"]["suggestion"] == "review"
    assert (found["trusted"]["suggestion"], found["trusted"]["segments"]) == ("pass", [])


def test_the_title_of_a_video_that_is_gone_still_counts(night, tmp_path):
    _, found = judged(night, tmp_path / "out")
    assert found["gone"]["error_code"] == "not_found"
    assert [one["text"] for one in found["gone"]["segments"]] == [SURE]


def test_transcripts_and_signals_are_written_and_counted(night, tmp_path):
    tally, _ = judged(night, tmp_path / "out")
    lines = pq.read_table(tmp_path / "out" / "transcripts.parquet").to_pylist()
    assert [(row["video_id"], row["form"], row["text"]) for row in lines] == [
        ("talk", "Voice", SURE),
        ("talk", "OCR", WEAK),
    ]
    signals = pq.read_table(tmp_path / "out" / "signals.parquet").to_pylist()
    assert {row["source"] for row in signals} == {"gambling_en@1", "heads@1"}
    assert (tally.lines, tally.told) == (2, len(signals))


def test_the_picture_beside_what_was_said_is_kept(night, tmp_path):
    _, found = judged(night, tmp_path / "out")
    for segment, picture in zip(found["talk"]["segments"], (b"four", b"eight"), strict=True):
        path = tmp_path / "out" / "evidence" / f"{TALK}-{segment['evidence_ms']}.webp"
        assert path.read_bytes() == picture


def test_without_readings_there_are_lines_and_no_signals(night, tmp_path):
    tally, found = judged(replace(night, readings=None), tmp_path / "out")
    assert (tally.lines, tally.told) == (2, 0)
    assert found["talk"]["suggestion"] == "pass"


def test_what_pictures_show_settles_a_doubt(night, tmp_path):
    write_piece(
        tmp_path / "pieces",
        looked_at(window(QUIET, signals=[seen(0.35, 0, 1000, "Gambling")], duration_ms=3000)),
    )
    _, found = judged(replace(night, pieces=Pieces(tmp_path / "pieces")), tmp_path / "out")
    assert found["trusted"]["suggestion"] == "review"  # and without the picture it passes: see above
    assert "the picture shows Gambling (0.35)" in _details(tmp_path / "out", "trusted")[0]


def _details(folder, video):
    rows = pq.read_table(folder / "signals.parquet").to_pylist()
    return [row["detail"] for row in rows if row["video_id"] == video and row["form"] == "Text"]
