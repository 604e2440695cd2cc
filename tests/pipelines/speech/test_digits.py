"""Digits that are said become the number that is meant; words that only look like some stay."""

from __future__ import annotations

import pytest

from model_registry.model import Line, Word
from pipelines.speech.digits import with_digits


@pytest.mark.parametrize(
    ("heard", "meant"),
    [
        ("call one three eight double zero triple eight now", "call 13800888 now"),
        ("triple eight", "888"),
        ("double o seven", "007"),
        ("My number is 1, 3, 8, 0, 0", "My number is 13800"),
        ("Call me at 1-3-8, AAA-0055", "Call me at 1-3-8, 888-0055"),
        ("加微信幺三八零零幺三八", "加微信13800138"),
    ],
)
def test_a_number_said_digit_by_digit_is_written_as_one(heard: str, meant: str):
    assert with_digits(Line(heard, 0.9)).text == meant


@pytest.mark.parametrize(
    "text", ["one of two", "12, 13, 14", "eight hundred and five", "三三两两", "三千五百", "1-800-555", "AAA batteries"]
)
def test_what_is_no_such_number_stays(text: str):
    line = Line(text, 0.9)

    assert with_digits(line) is line


def test_words_move_with_the_text():
    words = (Word(0, 4, 0, 100), Word(5, 11, 100, 200), Word(12, 17, 200, 300), Word(18, 21, 300, 400))
    found = with_digits(Line("call triple eight now", 0.9, "en", 0, 400, words))

    assert found.text == "call 888 now"
    assert [(found.text[word.start : word.end], word.start_ms, word.end_ms) for word in found.words] == [
        ("call", 0, 100),
        ("888", 100, 300),
        ("now", 300, 400),
    ]
