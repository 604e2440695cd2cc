"""Verdicts on a terminal: the reasons in one line, hostile names harmless, JSON that programs can read."""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
import unicodedata
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.table import clock, print_json, print_table, printable, why
from pipelines.risk.judge import Tally
from pipelines.risk.judged import Judged
from pipelines.risk.verdicts import SEGMENT, VERDICTS

WHEN = datetime(2026, 11, 21, 10, 0, 0, 123_000, tzinfo=UTC)


def segment(label="Gambling", start_ms=0, end_ms=1000, form="Image") -> dict:
    return dict.fromkeys(SEGMENT.names) | {
        "label": label,
        "form": form,
        "start_ms": start_ms,
        "end_ms": end_ms,
        "score": 0.75,
        "evidence_ms": start_ms,
    }


def label(name="Gambling", score=0.75, form="Image") -> dict:
    return {"label": name, "form": form, "score": score}


def verdict(video_id="a.mp4", **more) -> dict:
    quiet = {
        "video_id": video_id,
        "uri": f"/in/{video_id}",
        "duration_ms": 61_000,
        "suggestion": "pass",
        "labels": [],
        "segments": [],
        "complete": True,
        "priority": 0.25,
        "decided_at": WHEN,
    }
    return dict.fromkeys(VERDICTS.names) | quiet | more


class TestWhy:
    def test_nothing(self):
        assert why(verdict()) == ""

    def test_each_label_with_its_first_span(self):
        found = verdict(
            labels=[label("Explicit", 0.915), label()],
            segments=[segment(), segment("Explicit", 61_000, 125_000), segment("Explicit", 300_000, 301_000)],
        )

        assert why(found) == "Explicit 0.91 at 1:01-2:05; Gambling 0.75 at 0:00-0:01"

    def test_a_label_seen_and_heard_has_two_spans(self):
        found = verdict(
            labels=[label(form="Voice"), label(form="Image")],
            segments=[segment(), segment(start_ms=9000, end_ms=10_000, form="Voice")],
        )

        assert why(found) == "Gambling 0.75 at 0:09-0:10; Gambling 0.75 at 0:00-0:01"

    def test_the_error_comes_last(self):
        found = verdict(labels=[label()], segments=[segment()], error_code="damaged", error_message="3 bad packets")

        assert why(found).endswith("; damaged: 3 bad packets")
        assert why(verdict(error_code="timeout", error_message="too slow")) == "timeout: too slow"


@pytest.mark.parametrize(
    ("ms", "expected"),
    [
        (None, ""),
        (0, "0:00"),
        (999, "0:00"),
        (59_999, "0:59"),
        (60_000, "1:00"),
        (3_599_000, "59:59"),
        (3_600_000, "1:00:00"),
        (36_061_000, "10:01:01"),
    ],
)
def test_clock(ms, expected):
    assert clock(ms) == expected


class TestPrintable:
    @pytest.mark.parametrize("text", ["clip.mp4", "片段 1.mp4", "naïve café.mp4", "🎲.mp4", ""])
    def test_what_can_be_read_stays(self, text):
        assert printable(text) == text

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("\x1b[31mred", "\\x1b[31mred"),
            ("\x9b2J", "\\x9b2J"),
            ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
            ("gpj.\u202eexe", "gpj.\\u202eexe"),
            ("\u2066x\u2069", "\\u2066x\\u2069"),
            ("zero\u200bwidth", "zero\\u200bwidth"),
            ("nul\0", "nul\\x00"),
            ("\udcff.mp4", "\\udcff.mp4"),
            ("\u2028", "\\u2028"),
        ],
    )
    def test_what_moves_the_cursor_or_turns_the_line_is_spelt_out(self, text, expected):
        assert printable(text) == expected

    @settings(deadline=None)
    @given(st.text())
    def test_nothing_that_controls_is_left(self, text):
        shown = printable(text)

        assert all(unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Zl", "Zp") for char in shown)
        assert len(shown.splitlines()) <= 1
        shown.encode()


class TestTable:
    def tally(self, *verdicts, videos=None) -> Tally:
        shown = [Judged(row, "", []) for row in verdicts]
        return Tally(videos=len(shown) if videos is None else videos, shown=shown)

    def test_a_row_a_video(self, capsys, monkeypatch):
        monkeypatch.setenv("COLUMNS", "120")
        print_table(self.tally(verdict(), verdict("b.mp4", suggestion="block", priority=0.9)))
        lines = [line.split() for line in capsys.readouterr().out.splitlines()]

        assert lines[:3] == [
            ["suggestion", "priority", "video", "length", "why"],
            ["pass", "0.25", "a.mp4", "1:01"],
            ["block", "0.90", "b.mp4", "1:01"],
        ]

    def test_hostile_names_do_not_reach_the_terminal(self, capsys, monkeypatch):
        monkeypatch.setenv("COLUMNS", "200")
        hostile = "\x1b]0;owned\x07[red]x[/red]\u202e\n.mp4"
        print_table(self.tally(verdict(hostile, error_code="damaged", error_message=hostile)))
        out = capsys.readouterr().out

        assert not {"\x1b", "\x07", "\u202e"} & set(out)
        assert out.count("\\x1b]0;owned\\x07[red]x[/red]\\u202e\\n.mp4") == 2, "and no markup is read into them"

    def test_how_many_more_there_are(self, capsys):
        print_table(self.tally(verdict(), verdict("b"), videos=9), rows=1)
        assert "… and 8 more" in capsys.readouterr().out

        print_table(self.tally(verdict(), videos=1), rows=1)
        assert "more" not in capsys.readouterr().out


class TestJson:
    def write(self, folder, *rows):
        pq.write_table(pa.Table.from_pylist(list(rows), VERDICTS), folder / "v.parquet")
        return folder / "v.parquet"

    def test_one_object_a_line_with_the_columns_of_the_file(self, tmp_path, capsys):
        full = verdict("b\n中\u2028\x1b.mp4", labels=[label()], segments=[segment()], content_sha256="0" * 64)
        print_json(self.write(tmp_path, verdict(), full))
        out = capsys.readouterr().out
        first, second = map(json.loads, out.splitlines())

        assert list(first) == list(second) == VERDICTS.names
        assert second["video_id"] == "b\n中\u2028\x1b.mp4"
        assert second["labels"] == [label()]
        assert second["segments"] == [segment()]
        assert (first["complete"], first["duration_ms"], first["error_code"]) == (True, 61_000, None)
        assert out.isascii()

    def test_a_time_says_its_zone(self, tmp_path, capsys):
        print_json(self.write(tmp_path, verdict()))
        row = json.loads(capsys.readouterr().out)

        assert row["decided_at"] == "2026-11-21T10:00:00.123+00:00"
        assert datetime.fromisoformat(row["decided_at"]).utcoffset() == timedelta(0)

    def test_what_json_cannot_say_is_never_printed(self, tmp_path, capsys):
        with pytest.raises(ValueError, match="not JSON compliant"):
            print_json(self.write(tmp_path, verdict(priority=float("nan"))))
        assert capsys.readouterr().out == ""

    @settings(max_examples=50, deadline=None)
    @given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
    def test_any_name_is_one_line_and_comes_back(self, name):
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()) as out:
            print_json(self.write(Path(folder), verdict(name)))
        (line,) = out.getvalue().splitlines()

        assert json.loads(line)["video_id"] == name
