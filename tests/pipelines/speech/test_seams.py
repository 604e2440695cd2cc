"""Speech over the border of two windows is written down once and whole; quiet and raised voices are brought near."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.speech.level import levelled
from pipelines.speech.seams import REACH, Take
from pipelines.speech.slowed import is_doubtful, slowed, worth_slowing
from pipelines.speech.transcribe import said_in_takes
from tests.pipelines.speech.voices import AUDIO_HZ, LoudIsSpeech, SaysItsValue, bursts

VALUE = 400  # loud enough to be worth a look


def lines_of(whole: np.ndarray, border_s: int = 30) -> list[list[tuple[int, int]]]:
    """Start and end of the lines of two windows, in the time of the whole."""
    border = border_s * AUDIO_HZ
    takes = [Take(whole[:border], last=False), Take(whole[border:], whole[border - REACH : border])]
    found = said_in_takes(LoudIsSpeech(), SaysItsValue(), takes)
    return [
        [(line.start_ms + shift, line.end_ms + shift) for line in lines]
        for lines, shift in zip(found, (0, 1000 * border_s), strict=True)
    ]


@pytest.mark.parametrize("second", [25, 28, 29])
def test_what_begins_before_the_border_and_ends_after_it_is_whole(second: int):
    sound = bursts((10, VALUE), seconds=40)
    sound[second * AUDIO_HZ : (second + 6) * AUDIO_HZ] = VALUE

    first, after = lines_of(sound)

    assert first == [(10_000, 12_000)]
    assert after == [(1000 * second, 1000 * second + 6000)]


def test_what_ends_before_the_border_stays_where_it_is():
    first, after = lines_of(bursts((10, VALUE), (25, VALUE), (35, VALUE), seconds=40))

    assert first == [(10_000, 12_000), (25_000, 27_000)]
    assert after == [(35_000, 37_000)]


def test_the_end_of_a_sound_is_heard_where_the_next_window_has_none():
    sound = bursts((10, VALUE), (28, VALUE), seconds=30)

    assert [line for lines in lines_of(sound) for line in lines] == [(10_000, 12_000), (28_000, 30_000)]


def test_quiet_speech_is_raised_and_loud_sound_is_left():
    quiet = bursts((3, 100), seconds=8)

    assert levelled(quiet).max() == pytest.approx(3300, rel=0.01)
    assert levelled(bursts((3, 9000), seconds=8)).max() == 9000
    assert levelled(bursts((3, 9), seconds=8)).max() == 9  # hiss


def test_only_sound_as_strong_as_speech_is_worth_slowing():
    at = np.arange(2 * AUDIO_HZ) / AUDIO_HZ
    voiced = (3000 * np.sin(2 * np.pi * 1500 * at)).astype(np.int16)

    assert worth_slowing(voiced)
    assert not worth_slowing((3000 * np.sin(2 * np.pi * 60 * at)).astype(np.int16))
    assert not worth_slowing(np.zeros(AUDIO_HZ, np.int16))
    assert len(slowed(voiced)) == 2 * len(voiced)
    assert is_doubtful([])
