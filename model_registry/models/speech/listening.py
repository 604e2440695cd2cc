"""How Whisper listens to a batch, whatever engine runs it: in length classes, and again from where it broke off."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from model_registry.model import InputKind, Line, Model, ModelSpec, OutputKind
from model_registry.models.speech.batches import batches
from model_registry.models.speech.sound import (
    AUDIO_HZ,
    Sound,
    checked,
    example_sounds,
    may_hold_speech,
    milliseconds,
)
from model_registry.models.speech.words import later

ENCODED_S = {"cpu": 60, "cuda": 480}  # padded seconds at once: larger batches gain nothing on a CPU
LISTENINGS = 4  # 30 s hold three more places where Whisper wants to go on


@dataclass(frozen=True)
class Heard:
    """The lines of one sound, and from where to listen again; None where all was heard."""

    lines: tuple[Line, ...]
    resume_ms: int | None = None


class Whisper(Model[Sound, tuple[Line, ...]]):
    """Sound to lines with times and language. A subclass loads an engine and hears one class of lengths."""

    device: str

    @abstractmethod
    def hear(self, sounds: Sequence[Sound], seconds: int) -> list[Heard]:
        """Decode sounds of at most so many seconds together; the margin of silence is in those seconds."""

    def predict(self, batch: Sequence[Sound]) -> list[tuple[Line, ...]]:
        """Return the lines of each sound in order; () where nothing is said."""
        sounds = [checked(sound) for sound in batch]
        found: list[list[Line]] = [[] for _ in sounds]
        todo = [(item, 0) for item in range(len(sounds))]
        for _ in range(LISTENINGS):
            todo = [(item, start) for item, start in todo if may_hold_speech(sounds[item][start:])]
            todo = self._listen(sounds, todo, found)
        return [tuple(lines) for lines in found]

    def _listen(
        self, sounds: Sequence[Sound], todo: Sequence[tuple[int, int]], found: Sequence[list[Line]]
    ) -> list[tuple[int, int]]:
        """Decode each (item, first sample) once; return those to go on with."""
        again: list[tuple[int, int]] = []
        for batch in batches([len(sounds[item]) - start for item, start in todo], ENCODED_S[kind_of(self.device)]):
            pieces = [todo[place] for place in batch.places]
            heard = self.hear([sounds[item][start:] for item, start in pieces], batch.seconds)
            for (item, start), each in zip(pieces, heard, strict=True):
                found[item].extend(later(line, milliseconds(start)) for line in each.lines)
                if each.resume_ms is not None:
                    again.append((item, start + each.resume_ms * AUDIO_HZ // 1000))
        return again

    @classmethod
    def examples(cls) -> list[Sound]:
        """Return synthetic sounds."""
        return example_sounds()


def kind_of(device: str) -> str:
    """`cuda` for any GPU ("cuda:1"), else `cpu`."""
    return "cuda" if device.startswith("cuda") else "cpu"


def whisper_spec(name: str, artifacts: Sequence[str], memory_mb: int, gpus: float) -> ModelSpec:
    """What all Whispers have in common."""
    return ModelSpec(
        name=name,
        version="1.0.0",
        reads=InputKind.SOUND,
        writes=OutputKind.LINES,
        artifacts=tuple(artifacts),
        max_batch=64,
        gpus=gpus,
        memory_mb=memory_mb,
    )
