"""Music that nobody owns, made from a seed: a tune over chords and a beat, no two alike, the same on every machine."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

AUDIO_HZ = 16_000
MAJOR, MINOR = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10)  # semitones above the key
LENGTHS = (0.5, 0.5, 1.0, 1.0, 1.5, 2.0)  # beats
VOICES = 8  # give a second some 20 peaks, as recorded music has
HARMONICS = 12
LOUDEST = 12_000


def song(seed: int, seconds: float) -> NDArray[np.int16]:
    """Play int16 [N] samples at 16 kHz."""
    random = np.random.default_rng(seed)
    sound = np.zeros(int(seconds * AUDIO_HZ))
    beat_s = 60 / random.uniform(70, 150)
    key, scale = random.integers(45, 57), (MAJOR, MINOR)[random.integers(2)]
    for voice in range(VOICES):
        brightness, at_s = random.uniform(0.5, 1.5), random.uniform(0, 0.5)
        while at_s < seconds:
            beats = random.choice(LENGTHS)
            degree = random.integers(7)
            midi = key + 12 * (voice % 3) + scale[degree] + random.normal(0, 0.1)  # nobody plays dead in tune
            _add(sound, at_s, _tone(midi, beats * beat_s, brightness) * random.uniform(0.3, 1.0))
            at_s += beats * beat_s * random.uniform(0.97, 1.03)  # or dead in time
    for at_s in np.arange(0, seconds, beat_s):
        _add(sound, at_s, random.normal(size=1200) * np.exp(-np.arange(1200) / 250) * random.uniform(0.2, 0.6))
    return np.asarray(sound / np.abs(sound).max() * LOUDEST, np.int16)


def _tone(midi: float, seconds: float, brightness: float) -> NDArray[np.float64]:
    """A plucked string: harmonics, the higher the softer and the sooner gone."""
    time_s = np.arange(int(seconds * AUDIO_HZ)) / AUDIO_HZ
    hertz = 440 * 2 ** ((midi - 69) / 12)
    angle = 2 * np.pi * hertz * time_s
    twice_cosine, before, wave = 2 * np.cos(angle), np.zeros_like(angle), np.sin(angle)
    fading, faster = np.exp(-1.7 * time_s), np.exp(-0.7 * time_s)
    sound = np.zeros_like(angle)
    for harmonic in range(1, min(HARMONICS, int(AUDIO_HZ / 2 / hertz)) + 1):
        sound += wave * fading / harmonic**brightness
        before, wave = wave, twice_cosine * wave - before  # sin (n + 1)x = 2 cos x sin nx - sin (n - 1)x
        fading *= faster
    return sound


def _add(sound: NDArray[np.float64], at_s: float, note: NDArray[np.float64]) -> None:
    start = int(at_s * AUDIO_HZ)
    room = sound[start : start + len(note)]
    room += note[: len(room)]
