"""Sound as speech models take it: int16 mono at 16 kHz, checked once; other rates are resampled."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

AUDIO_HZ = 16_000
LONGEST_S = 30  # InputKind.SOUND
SAMPLES_A_MS = AUDIO_HZ // 1000
FULL_SCALE = 32_768.0
SHORTEST_MS = 100  # less is no syllable
AUDIBLE = 33  # what is nowhere louder than -60 dB of full scale holds no speech

Sound = NDArray[np.int16]


def checked(sound: Sound) -> Sound:
    """Return a sound as it is, or raise ValueError where it is none of up to 30 s."""
    if sound.dtype != np.int16 or sound.ndim != 1:
        raise ValueError(f"a sound is {sound.dtype} {sound.shape}, wanted int16 (samples,)")
    if len(sound) > LONGEST_S * AUDIO_HZ:
        raise ValueError(f"a sound is {len(sound) / AUDIO_HZ:.1f} s long, allowed are up to {LONGEST_S} s")
    return sound


def as_float(sound: Sound) -> NDArray[np.float32]:
    """Scale to [-1, 1)."""
    return sound.astype(np.float32) / np.float32(FULL_SCALE)


def may_hold_speech(sound: Sound) -> bool:
    """False where a sound is too short or too faint for a model to be asked: videos often have a silent track."""
    return milliseconds(len(sound)) >= SHORTEST_MS and max(int(sound.max()), -int(sound.min())) >= AUDIBLE


def milliseconds(samples: int) -> int:
    """How long so many samples last."""
    return samples // SAMPLES_A_MS


def to_16k(samples: Sound, hz: int) -> Sound:
    """Resample mono sound by a windowed sinc (torchaudio.functional.resample); what is at 16 kHz is returned as is."""
    if hz < 1:
        raise ValueError(f"a sample rate is {hz}, must be at least 1")
    if hz == AUDIO_HZ or len(samples) == 0:
        return samples
    import torch
    from torchaudio.functional import resample

    scaled = resample(torch.from_numpy(samples.astype(np.float32)), hz, AUDIO_HZ)
    resampled: Sound = np.clip(np.rint(scaled.numpy()), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)
    return resampled


def example_sounds() -> list[Sound]:
    """Return something like vowels, vowels after a pause, a hum, and silence of one second."""
    vowels = _vowels()
    hum = 3000 * np.sin(2 * np.pi * 50 * np.arange(2 * AUDIO_HZ) / AUDIO_HZ)
    silence = np.zeros(AUDIO_HZ, np.int16)
    return [vowels, np.concatenate([silence, vowels]), hum.astype(np.int16), silence]


# Peterson and Barney, "Control Methods Used in a Study of the Vowels" (1952), table II, men: i, a, u.
FORMANTS_HZ = ((270, 2290, 3010), (730, 1090, 2440), (300, 870, 2240))
VOWEL_S, BANDWIDTH_HZ = 0.35, 90


def _vowels() -> Sound:
    """Syllables of a falling voice: its harmonics, each as loud as the vowel's formants make it."""
    time_s = np.arange(int(VOWEL_S * AUDIO_HZ)) / AUDIO_HZ
    swell = np.sin(np.pi * time_s / VOWEL_S) ** 0.5
    syllables = []
    for number, formants in enumerate(FORMANTS_HZ * 2):
        pitch_hz = 130 - 4 * number - 25 * time_s
        phase = 2 * np.pi * np.cumsum(pitch_hz) / AUDIO_HZ
        harmonics = range(1, int(4000 / pitch_hz.max()))
        wave = sum(_loudness(h * pitch_hz.mean(), formants) / h**0.5 * np.sin(h * phase) for h in harmonics)
        syllables.append(wave * swell)
    sound = np.concatenate(syllables)
    return np.asarray(sound / np.abs(sound).max() * 12_000, np.int16)


def _loudness(hertz: float, formants: tuple[int, ...]) -> float:
    return sum(1 / (1 + ((hertz - formant) / BANDWIDTH_HZ) ** 2) for formant in formants)
