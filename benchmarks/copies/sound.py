"""Sound for footage that has none, and to lay over sound: seeded music, and what stands in for a voice."""

from __future__ import annotations

import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Rng = np.random.Generator
Samples = NDArray[np.float32]
RATE = 22_050
SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 2, 3, 5, 7, 9, 10), (0, 2, 4, 7, 9))
AUDIBLE = 10 ** (-60 / 20)


def music(seconds: float, rng: Rng) -> Samples:
    """Return (samples,) of chords, a melody and drums at RATE hertz, peak 0.5: another piece for every seed."""
    beat_s = 60 / rng.uniform(78, 150)
    scale, root, steps = SCALES[rng.integers(len(SCALES))], int(rng.integers(45, 57)), _steps(rng)
    out = np.zeros(round(seconds * RATE), np.float32)
    timbres = [1 / np.arange(1, 7) ** rng.uniform(0.8, 2.5) * rng.uniform(0.2, 1, 6) for _ in range(3)]
    for beat in range(int(seconds / beat_s) + 1):
        chord = steps[beat // 4 % len(steps)]
        if beat % 4 == 0:
            for third in (0, 2, 4):
                _add(out, beat * beat_s, _note(_hertz(root, scale, chord + third), 4 * beat_s, timbres[0], 1.0) * 0.2)
        if beat % 2 == 0:
            _add(out, beat * beat_s, _note(_hertz(root - 12, scale, chord), beat_s, timbres[1], 3.0) * 0.4)
        for half in range(2):
            if rng.random() < 0.7:
                tone = _hertz(root + 12, scale, chord + int(rng.integers(-3, 8)))
                _add(out, (beat + half / 2) * beat_s, _note(tone, beat_s, timbres[2], 5.0) * 0.3)
            _add(out, (beat + half / 2) * beat_s, _drum(rng, beat % 2 == 0 and half == 0))
    return (0.5 * out / max(float(np.abs(out).max()), 1e-6)).astype(np.float32)


def babble(seconds: float, rng: Rng) -> Samples:
    """Return (samples,) of voiced syllables with wandering formants: a voice where a folder has none."""
    out = np.zeros(round(seconds * RATE), np.float32)
    at = 0.0
    while at < seconds:
        length = rng.uniform(0.09, 0.3)
        pitch, formants = rng.uniform(95, 220), rng.uniform((250, 800, 2200), (850, 2200, 3200))
        harmonics = pitch * np.arange(1, 26)
        weights = sum(1 / (1 + ((harmonics - formant) / 120) ** 2) for formant in formants)
        time = np.arange(round(length * RATE)) / RATE
        tone = np.sin(2 * np.pi * harmonics[:, None] * time) * np.asarray(weights)[:, None]
        _add(out, at, (tone.sum(0) * np.hanning(len(time))).astype(np.float32))
        at += length + (rng.uniform(0.2, 0.5) if rng.random() < 0.15 else 0.02)
    return (0.5 * out / max(float(np.abs(out).max()), 1e-6)).astype(np.float32)


def write_wav(path: Path, samples: Samples) -> Path:
    """Write (samples,) of -1 to 1 as 16-bit mono at RATE."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((samples.clip(-1, 1) * 32767).astype("<i2").tobytes())
    return path


def audible(samples: Samples) -> bool:
    """Tell sound from a silent track: a root mean square above -60 dB of full scale."""
    return bool(len(samples)) and float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) > AUDIBLE


def _steps(rng: Rng) -> Sequence[int]:
    return [int(step) for step in rng.integers(0, 7, 4)]


def _hertz(root: int, scale: Sequence[int], degree: int) -> float:
    octave, step = divmod(degree, len(scale))
    return float(440 * 2 ** ((root + 12 * octave + scale[step] - 69) / 12))


def _note(hertz: float, seconds: float, timbre: NDArray[np.float64], decay: float) -> Samples:
    time = np.arange(round(seconds * RATE)) / RATE
    tone = np.sin(2 * np.pi * hertz * np.arange(1, 7)[:, None] * time) * timbre[:, None]
    fade = np.minimum(1, time / 0.01) * np.exp(-decay * time) * np.minimum(1, (seconds - time) / 0.02)
    return np.asarray(tone.sum(0) * fade, np.float32)


def _drum(rng: Rng, low: bool) -> Samples:
    time = np.arange(round(0.12 * RATE)) / RATE
    if low:
        return np.asarray(0.8 * np.sin(2 * np.pi * 60 * time * np.exp(-6 * time)) * np.exp(-18 * time), np.float32)
    return np.asarray(0.15 * rng.standard_normal(len(time)) * np.exp(-50 * time), np.float32)


def _add(out: Samples, at_s: float, piece: Samples) -> None:
    start = round(at_s * RATE)
    part = piece[: max(0, len(out) - start)]
    out[start : start + len(part)] += part
