"""The measures of the speech benchmark: edits by hand, what counts as a word, and where recordings are looked for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.speech_recordings import Recording, audio_folder, edits, error_rate, recordings, units
from model_registry.errors import UsageError

NOTHING = np.zeros(0, np.int16)


@pytest.mark.parametrize(
    ("wanted", "found", "count"),
    [
        ("", "", 0),
        ("abc", "", 3),
        ("", "abc", 3),
        ("kitten", "sitting", 3),
        ("abc", "abc", 0),
        ("abc", "axc", 1),
        ("abcd", "bcda", 2),
    ],
)
def test_edits_by_hand(wanted, found, count):
    assert edits(wanted, found) == count


@given(st.text("ab", max_size=9), st.text("ab", max_size=9))
def test_edits_are_those_of_another_implementation(wanted, found):
    jiwer = pytest.importorskip("jiwer")
    if wanted:
        expected = jiwer.process_characters(wanted, found)
        assert edits(wanted, found) == expected.substitutions + expected.deletions + expected.insertions


def test_english_is_counted_in_words_without_punctuation():
    assert units("Feed’st thy light's flame;  1. Never--more!", "en") == [
        "feed'st",
        "thy",
        "light's",
        "flame",
        "one",
        "never",
        "more",
    ]


def test_chinese_is_counted_in_simplified_letters():
    pytest.importorskip("opencc")

    assert units("歡迎收看, 本期節目。", "zh") == list("欢迎收看本期节目")


def test_an_error_rate_is_over_all_words_and_not_over_files():
    long = Recording("long", NOTHING, "en", "one two three four five six seven eight nine")
    short = Recording("short", NOTHING, "en", "ten")

    assert error_rate([(long, long.said), (short, "den")]) == pytest.approx(0.1)
    assert error_rate([]) == 0


def test_recordings_are_found_from_any_video_of_the_folder(real_media):
    found = recordings([real_media / "video" / "moviepy" / "trailer_bbb.mp4"])

    assert audio_folder([real_media / "video", real_media / "clip"]) == real_media / "audio"
    assert [each.language for each in found] == ["en"] * 3 + ["zh"] * 10
    assert 100 < sum(each.seconds for each in found) < 110
    assert found[2].said.startswith("1\nFrom fairest creatures")


def test_without_recordings_the_sentence_says_what_is_wanted(tmp_path):
    with pytest.raises(
        UsageError, match=r"^there is no speech to measure on in or above .*audio/librivox/sonnet1\.wav"
    ):
        recordings([tmp_path / "a.mp4"])
