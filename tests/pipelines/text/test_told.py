"""What a video tells becomes signals with times, words and reasons."""

from dataclasses import replace

import numpy as np
import pytest

from model_registry.model import Word
from pipelines.pieces import Pieces, write_piece
from pipelines.risk.verdicts import findings
from pipelines.text.readings import Reader, Readings, readings_table
from pipelines.text.tiers import Band
from pipelines.text.told import Others, Video, tell
from pipelines.text.transcripts import SAID, SHOWN, WRITTEN, TranscriptLine
from pipelines.text.words.matcher import Hit
from tests.pipelines.risk.test_judge import policy
from tests.windows import looked_at, seen, window

READER = Reader("starter@1", "heads@1", (("Gambling", Band(0.3, 0.4, 0.8)),))
SURE, WEAK, MEANT = "come and place a bet now", "you may bet on it", "this is only meant"
WORDS = (Word(0, 4, 0, 400), Word(17, 20, 2000, 2500))


def hit(start, end, *, certain):
    return Hit(
        label="Gambling",
        severity=3,
        certain=certain,
        score=0.9 if certain else 0.5,
        lexicon="gambling_en@1",
        term="bet",
        start=start,
        end=end,
        how="leet",
    )


@pytest.fixture
def readings(tmp_path):
    made = Readings.made_by(READER, tmp_path)
    hits = [[hit(17, 20, certain=True)], [hit(8, 11, certain=False)], []]
    made.write(readings_table([SURE, WEAK, MEANT], hits, [None, {"Gambling": 0.35}, {"Gambling": 0.85}]))
    return made


def told(lines, readings, signals=(), *, others=None, **known):
    return tell(lines, readings, Video(signals, "me", **known), others or Others({}))


def night(tmp_path, *lines, voices=None):
    """The lines of a night as (account, content, line), and pieces with a voice a content."""
    write_piece(
        tmp_path / "pieces", looked_at(window("0" * 64), *(window(c, voice=v) for c, v in (voices or {}).items()))
    )
    return [(account, content, TranscriptLine(SAID, 0, 9, text)) for account, content, text in lines]


def test_words_are_heard_when_their_word_is_said(readings):
    (found,) = told([TranscriptLine(SAID, 0, 3000, SURE, words=WORDS)], readings)
    assert (found.label, found.form, found.start_ms, found.end_ms) == ("Gambling", "Voice", 2000, 2500)
    assert (found.text, found.marks, found.source) == (SURE, ((17, 20),), "gambling_en@1")
    assert found.detail == "tier 1; “bet” (leet: bet)"
    assert found.evidence_ms == 2250


def test_without_words_and_where_meaning_counts_it_is_the_whole_line(readings):
    found = told([TranscriptLine(SHOWN, 1000, 3000, SURE), TranscriptLine(SAID, 4000, 9000, MEANT)], readings)
    assert [(one.start_ms, one.end_ms) for one in found] == [(1000, 3000), (4000, 9000)]
    assert found[1].detail == "tier 2"
    assert found[1].marks == ()


def test_a_doubt_is_settled_by_what_stands_around_it(readings):
    line = TranscriptLine(SAID, 0, 1000, WEAK)
    (alone,) = told([line], readings)
    (shown,) = told([line], readings, [seen(0.9, 0, 1000, "Gambling")])
    (beside,) = [one for one in told([line, TranscriptLine(SHOWN, 0, 9, SURE)], readings) if one.text == WEAK]
    (risky,) = told([line], readings, risk=0.95)
    assert alone.score < 0.5 < min(shown.score, beside.score, risky.score)
    assert "the picture shows Gambling (0.90)" in shown.detail


def test_a_line_does_not_speak_for_itself(tmp_path):
    both = "place a bet, it is free"
    reader = Reader("starter@1", "heads@1", (("Gambling/A", Band(0.3, 0.4, 0.8)), ("Gambling/B", Band(0.3, 0.4, 0.8))))
    made = Readings.made_by(reader, tmp_path)
    made.write(readings_table([both], [[]], [{"Gambling/A": 0.9, "Gambling/B": 0.6}]))
    alone = told([TranscriptLine(SAID, 0, 1000, both)], made)
    twice = told([TranscriptLine(SAID, 0, 1000, both), TranscriptLine(SHOWN, 0, 1000, both)], made)
    assert [one.score for one in alone if one.label == "Gambling/B"] == [pytest.approx(0.40, abs=0.01)]
    assert all("another line says the same" in one.detail for one in twice if one.label == "Gambling/B")


def test_only_other_accounts_echo(readings, tmp_path):
    line = TranscriptLine(SAID, 0, 1000, WEAK)
    lines = night(tmp_path, *[(who, None, WEAK) for who in ("me", "me", "b", "c")], ("d", None, "else"))
    pieces = Pieces(tmp_path / "pieces")
    (same,) = told([line], readings, others=Others.among(lines[:2], readings, pieces))
    (others,) = told([line], readings, others=Others.among(lines, readings, pieces))
    assert same.score < 0.5 < others.score
    assert "2 other accounts use these words" in others.detail


def test_a_voice_that_was_caught_elsewhere_speaks_against_a_line_that_is_said(readings, tmp_path):
    caught, innocent, same = "1" * 64, "2" * 64, "3" * 64
    voices = {caught: [1, 0], innocent: [0.9, 0.1], same: [1, 0.1]}
    lines = night(tmp_path, ("x", caught, SURE), ("y", innocent, "new"), ("me", same, SURE), voices=voices)
    others = Others.among(lines, readings, Pieces(tmp_path / "pieces"))
    assert set(others.voices.accounts) == {"x", "me"}
    line = TranscriptLine(SAID, 0, 1000, WEAK)
    (heard,) = told([line], readings, others=others, voice=np.array([1, 0], np.float32))
    (other,) = told([line], readings, others=others, voice=np.array([0, 1], np.float32))
    (shown,) = told([replace(line, form=SHOWN)], readings, others=others, voice=np.array([1, 0], np.float32))
    assert heard.score > 0.5 > max(other.score, shown.score)
    assert "the same voice speaks for 1 other accounts that were caught" in heard.detail


def test_nothing_comes_of_texts_that_nobody_read(readings):
    assert told([TranscriptLine(SAID, 0, 1000, "new")], readings) == []


def test_segments_quote_the_lines_they_came_of_in_order_of_time(readings):
    lines = [
        TranscriptLine(SAID, 4000, 4500, MEANT),
        TranscriptLine(SAID, 3000, 3500, SURE),
        TranscriptLine(WRITTEN, 0, 60_000, SURE),
        TranscriptLine(SAID, 50_000, 51_000, SURE),
    ]
    found = findings(told(lines, readings), policy(), 60_000)
    assert [(one.form, one.start_ms, one.end_ms, one.text) for one in found] == [
        ("Text", 0, 60_000, SURE),
        ("Voice", 3000, 4500, f"{SURE} / {MEANT}"),
        ("Voice", 50_000, 51_000, SURE),
    ]
