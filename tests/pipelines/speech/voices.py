"""A voice activity and a speech model in small, and tables of windows with sound.

Loud is speech; a spoken line says which value its first sample has.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import pyarrow as pa

from model_registry.model import InputKind, Line, Model, ModelRef, ModelSpec, OutputKind, Span, Word
from pipelines.rows import WINDOWS

AUDIO_HZ = 16_000


class LoudIsSpeech(Model):
    """Whatever is not zero, as spans."""

    spec = ModelSpec("loud", "1", InputKind.SOUND, (), writes=OutputKind.SPANS, max_batch=3)

    @classmethod
    def load(cls, weights, device):
        return cls()

    def predict(self, batch: Sequence[np.ndarray]) -> list[tuple[Span, ...]]:
        return [tuple(self._spans(sound)) for sound in batch]

    def _spans(self, sound: np.ndarray) -> list[Span]:
        edges = np.flatnonzero(np.diff(np.concatenate([[0], (sound != 0).astype(np.int8), [0]])))
        return [Span(int(start) // 16, int(end) // 16, 0.9) for start, end in edges.reshape(-1, 2)]

    @classmethod
    def examples(cls):
        return [np.zeros(AUDIO_HZ, np.int16), np.full(AUDIO_HZ, 9, np.int16)]


class SaysItsValue(LoudIsSpeech):
    """One line and one word for each sound; remembers how many sounds each call brought."""

    spec = ModelSpec("says", "1", InputKind.SOUND, (), writes=OutputKind.LINES, max_batch=4)
    calls: ClassVar[list[int]] = []

    def predict(self, batch):
        self.calls.append(len(batch))
        return [self._lines(sound) for sound in batch]

    def _lines(self, sound: np.ndarray) -> tuple[Line, ...]:
        text, end_ms = f"value {sound[0]}", len(sound) // 16
        return (Line(text, 0.9, "en", 0, end_ms, (Word(6, len(text), end_ms // 2, end_ms),)),)


class BreaksDown(SaysItsValue):
    """A bad program."""

    spec = ModelSpec("breaks", "1", InputKind.SOUND, (), writes=OutputKind.LINES)

    def predict(self, batch):
        raise RuntimeError("the fake fails")


def ref_to(model: type[Model]) -> ModelRef:
    return ModelRef(model.spec.name, "1", f"{model.__module__}:{model.__qualname__}")


def table(*sounds: np.ndarray | bytes | None, start_ms: Sequence[int] | None = None) -> pa.Table:
    """Windows with these sounds, 30 s apart unless said otherwise."""
    raw = [sound.tobytes() if isinstance(sound, np.ndarray) else sound for sound in sounds]
    starts = list(start_ms or range(0, 30_000 * len(raw), 30_000))
    names = ("content_sha256", "start_ms", "last", "audio_16k", "audio_before", "audio_track", "more_sounds")
    fields = [WINDOWS.field(name) for name in names]
    count = len(raw)
    empty = [[None] * count, [64] * count, [[]] * count]
    return pa.table([["c"] * count, starts, [True] * count, raw, *empty], pa.schema(fields))


def bursts(*parts: tuple[int, int], seconds: float = 10) -> np.ndarray:
    """Silence with a value held for two seconds from each (second, value)."""
    sound = np.zeros(int(seconds * AUDIO_HZ), np.int16)
    for second, value in parts:
        sound[second * AUDIO_HZ : (second + 2) * AUDIO_HZ] = value
    return sound
