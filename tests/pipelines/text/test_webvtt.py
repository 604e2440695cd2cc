"""Subtitles: worked examples, and text that tries to be markup."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.text.transcripts import SAID, TranscriptLine
from pipelines.text.webvtt import timestamp, webvtt


def line(start_ms, end_ms, text):
    return TranscriptLine(SAID, start_ms, end_ms, text)


def test_cues_come_in_order_of_time():
    found = webvtt([line(2000, 3500, "世界"), line(0, 1999, "Hello")])
    assert found == "WEBVTT\n\n00:00:00.000 --> 00:00:01.999\nHello\n\n00:00:02.000 --> 00:00:03.500\n世界\n"


def test_no_line_is_no_cue_and_still_a_file():
    assert webvtt([]) == "WEBVTT\n"
    assert webvtt([line(0, 10, " \u0000 ")]) == "WEBVTT\n"


@pytest.mark.parametrize(
    ("ms", "text"),
    [(0, "00:00:00.000"), (61_001, "00:01:01.001"), (360_000_000, "100:00:00.000"), (-5, "00:00:00.000")],
)
def test_times(ms, text):
    assert timestamp(ms) == text


def test_a_cue_ends_after_it_starts():
    assert "00:00:01.000 --> 00:00:01.001" in webvtt([line(1000, 1000, "x")])


def test_text_cannot_become_markup_or_another_cue():
    hostile = "<v Bob>&amp;\n\n00:00:09.000 --> 00:00:10.000\nfake\x00\ud800"
    found = webvtt([line(0, 1, hostile)])
    assert found.count("-->") == 1
    assert found.count("\n\n") == 1
    assert "&lt;v Bob&gt;&amp;amp;" in found
    found.encode("utf-8")


@given(st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**9), st.text()), max_size=5))
def test_every_cue_has_one_arrow_and_no_empty_line(rows):
    found = webvtt([line(start, end, text) for start, end, text in rows])
    cues = found.split("\n\n")[1:]
    assert all(cue.count("-->") == 1 and all(cue.rstrip("\n").split("\n")) for cue in cues)
    assert len(cues) <= len(rows)
