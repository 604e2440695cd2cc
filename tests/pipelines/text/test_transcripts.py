"""Transcripts: lines of stored pieces, words in time, titles in sentences, accounts."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_registry.model import Word
from pipelines.pieces import Pieces, write_piece
from pipelines.rows import CONTENTS, MANIFEST
from pipelines.text.transcripts import (
    LONGEST_UNIT,
    SAID,
    TranscriptLine,
    lines_of_night,
    spoken_and_shown,
    units,
    written,
)
from tests.windows import looked_at, window

TALK, QUIET = "a" * 64, "b" * 64


@pytest.fixture
def pieces(tmp_path):
    write_piece(
        tmp_path,
        looked_at(
            window(TALK, 0, last=False, said=[(5000, 6000, "second"), (0, 900, "the first")], shown=[(0, 100, "SALE")]),
            window(TALK, 1, said=[(30_000, 31_000, "third")]),
            window(QUIET),
        ),
    )
    return Pieces(tmp_path)


def test_lines_of_all_windows_come_in_order_of_time(pieces):
    found = spoken_and_shown(pieces, [TALK, QUIET])
    assert [(line.form, line.start_ms, line.text) for line in found[TALK]] == [
        ("OCR", 0, "SALE"),
        ("Voice", 0, "the first"),
        ("Voice", 5000, "second"),
        ("Voice", 30_000, "third"),
    ]
    assert QUIET not in found
    assert found[TALK][1].words == (Word(0, 3, 0, 337), Word(4, 9, 337, 900))


def test_text_that_stands_over_the_end_of_a_window_is_one_line(tmp_path):
    write_piece(
        tmp_path,
        looked_at(
            window(TALK, 0, last=False, shown=[(20_000, 30_000, "SALE"), (29_000, 30_000, "NOW")]),
            window(TALK, 1, shown=[(30_000, 34_000, "SALE"), (33_000, 34_000, "NOW"), (50_000, 51_000, "SALE")]),
        ),
    )
    found = spoken_and_shown(Pieces(tmp_path), [TALK])[TALK]
    assert [(line.text, line.start_ms, line.end_ms) for line in found] == [
        ("SALE", 20_000, 34_000),
        ("NOW", 29_000, 30_000),
        ("NOW", 33_000, 34_000),
        ("SALE", 50_000, 51_000),
    ]


def test_when_is_the_time_of_the_words_touched():
    line = TranscriptLine(SAID, 0, 900, "the first", words=(Word(0, 3, 100, 337), Word(4, 9, 400, 900)))
    assert line.when(5, 6) == (400, 900)
    assert line.when(2, 5) == (100, 900)
    assert line.when(3, 4) == (0, 900)  # the space belongs to no word


def test_titles_and_descriptions_speak_of_the_whole_video():
    row = {"title": "Free gold! Call now", "description": "第一句。第二句\nthird"}
    found = written(row, 8000)
    assert [line.text for line in found] == ["Free gold!", "Call now", "第一句。", "第二句", "third"]
    assert {(line.form, line.start_ms, line.end_ms) for line in found} == {("Text", 0, 8000)}
    assert written({"title": None, "description": None}, 0) == []


@given(st.text())
def test_units_lose_no_letter_and_none_is_too_long(text):
    found = list(units(text))
    assert letters("".join(found)) == letters(text)
    assert all(0 < len(unit) <= LONGEST_UNIT for unit in found)


def letters(text):
    return [char for char in text if char.isalnum()]


def test_a_megabyte_on_one_line_is_cut():
    assert len(list(units("x" * 1_000_000))) == 1_000_000 // LONGEST_UNIT


def test_lines_of_a_night_name_the_uploader_or_else_the_video(pieces, tmp_path):
    rows = [
        {"video_id": "one", "uri": "u", "title": "Hi", "uploader_id": "ann"},
        {"video_id": "two", "uri": "u"},
        {"video_id": "gone", "uri": "u", "title": "Lost"},
    ]
    pq.write_table(pa.Table.from_pylist(rows, MANIFEST), tmp_path / "manifest.parquet")
    owners = [("one", QUIET), ("two", TALK), ("gone", None)]
    contents = pa.Table.from_pylist([{"video_id": v, "content_sha256": c} for v, c in owners], CONTENTS)
    lines = lines_of_night(tmp_path / "manifest.parquet", contents, pieces)
    found = [(account, content, line.text) for account, content, line in lines]
    assert found == [
        ("ann", QUIET, "Hi"),
        ("two", TALK, "SALE"),
        ("two", TALK, "the first"),
        ("two", TALK, "second"),
        ("two", TALK, "third"),
        ("gone", None, "Lost"),
    ]


def test_a_code_is_a_line_with_its_source_also_over_a_cut_between_windows(tmp_path):
    first = window("a", 0, last=False, found=[(28_000, 30_000, "https://t.me/bet?start=7")])
    second = window("a", 1, found=[(30_000, 33_000, "https://t.me/bet?start=7"), (40_000, 41_000, "other")])
    write_piece(tmp_path, looked_at(first, second))
    lines = spoken_and_shown(Pieces(tmp_path), ["a"])["a"]
    assert [(line.text, line.form, line.source, line.start_ms, line.end_ms) for line in lines] == [
        ("https://t.me/bet?start=7", "OCR", "code QRCode", 28_000, 33_000),
        ("other", "OCR", "code QRCode", 40_000, 41_000),
    ]
    assert lines[0].as_row("v")["source"] == "code QRCode"
