"""Sound that many videos share: silence, applause, tones, loops. Another recording of it is no copy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.copies.lookalikes.canvas import Rng
from benchmarks.copies.sound import RATE, Samples, music

Sounding = Callable[[str, Rng, Rng, float], Samples]  # half, the pair's rng, the video's rng, seconds -> (samples,)
HERTZ = {"fit": (440.0, 1000.0), "report": (400.0, 880.0, 1200.0)}


def _time(seconds: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.arange(round(seconds * RATE)) / RATE


def silence(_: str, __: Rng, content: Rng, seconds: float) -> Samples:
    """A microphone's own noise at -62 dB, and nothing else."""
    return (0.0008 * content.standard_normal(round(seconds * RATE))).astype(np.float32)


def applause(half: str, style: Rng, content: Rng, seconds: float) -> Samples:
    """Claps of one hall, others every time; the report half has fewer people and a longer echo."""
    claps, echo = (400, 0.012) if half == "fit" else (120, 0.03)
    out = np.zeros(round(seconds * RATE))
    burst = np.exp(-_time(0.12) / (echo * style.uniform(0.8, 1.2)))
    for start in content.integers(0, len(out) - len(burst), round(claps * seconds)):
        out[start : start + len(burst)] += burst * content.standard_normal(len(burst)) * content.uniform(0.2, 1)
    swell = 0.6 + 0.4 * np.sin(2 * np.pi * content.uniform(0.05, 0.2) * _time(seconds) + content.uniform(0, 6))
    return _loud(out * swell)


def tone(half: str, style: Rng, content: Rng, seconds: float) -> Samples:
    """A test tone of the same pitch; in the report half it beeps."""
    time = _time(seconds)
    wave = np.sin(2 * np.pi * float(style.choice(HERTZ[half])) * time + content.uniform(0, 6))
    beeps = (time + content.uniform(0, 1)) % 1 < 0.7
    return _loud(wave if half == "fit" else wave * beeps)


def loop(half: str, style: Rng, content: Rng, seconds: float) -> Samples:
    """The same drum loop from another sixteenth on."""
    one = _drums(half, style)
    return _loud(np.resize(np.roll(one, -int(content.integers(32)) * len(one) // 32), round(seconds * RATE)))


def loop_under_music(half: str, style: Rng, content: Rng, seconds: float) -> Samples:
    """The same drum loop under other music."""
    return _loud(0.5 * loop(half, style, content, seconds) + 0.8 * music(seconds, content))


def _drums(half: str, style: Rng) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Two bars of sixteenths: kick, snare and hat (fit), or a low drum, a rim and a shaker (report)."""
    step = round(60 / style.uniform(85, 130) / 4 * RATE)
    out, time = np.zeros(32 * step), np.arange(step) / RATE
    low, noise, decay = (55, 0.5, 30.0) if half == "fit" else (80, 0.25, 60.0)
    kick = np.sin(2 * np.pi * low * time * np.exp(-8 * time)) * np.exp(-14 * time)
    snare = style.standard_normal(step) * np.exp(-decay * time) * noise
    hat = np.diff(style.standard_normal(step + 1)) * np.exp(-120 * time) * 0.25
    for at in range(32):
        parts = [(kick, at % 8 == 0 or style.random() < 0.15), (snare, at % 8 == 4), (hat, style.random() < 0.7)]
        out[at * step : (at + 1) * step] = (
            sum(part for part, struck in parts if struck) if any(s for _, s in parts) else 0
        )
    return out


def _loud(samples: np.ndarray[tuple[int], np.dtype[np.floating]]) -> Samples:
    return np.asarray(0.5 * samples / max(float(np.abs(samples).max()), 1e-6), np.float32)
