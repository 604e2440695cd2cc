"""Spans of speech to chunks for a speech model: near ones together, over-long ones cut where it is quietest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_registry.model import Span
from model_registry.models.speech.sound import SAMPLES_A_MS

LONGEST_MS = 30_000  # what a speech model takes
JOINED_MS = 1500  # a longer pause costs more to encode than another chunk's margin
QUIET_MS = 50  # a breath


@dataclass(frozen=True)
class Chunk:
    """A stretch of one window that goes through the speech model as one sound."""

    start_ms: int
    end_ms: int
    speech_ms: int  # of it, what voice activity found

    def of(self, sound: NDArray[np.int16]) -> NDArray[np.int16]:
        """View the chunk's samples."""
        return sound[self.start_ms * SAMPLES_A_MS : self.end_ms * SAMPLES_A_MS]


def chunks_of(spans: Sequence[Span], sound: NDArray[np.int16], longest_ms: int = LONGEST_MS) -> list[Chunk]:
    """Join spans in order of time, as long as the pause is short and the chunk not too long."""
    chunks: list[Chunk] = []
    for start_ms, end_ms in _cut(spans, sound, longest_ms):
        last = chunks[-1] if chunks else None
        if last and start_ms - last.end_ms <= JOINED_MS and end_ms - last.start_ms <= longest_ms:
            chunks[-1] = Chunk(last.start_ms, end_ms, last.speech_ms + end_ms - start_ms)
        else:
            chunks.append(Chunk(start_ms, end_ms, end_ms - start_ms))
    return chunks


def _cut(spans: Sequence[Span], sound: NDArray[np.int16], longest_ms: int) -> Iterator[tuple[int, int]]:
    """Every span, in parts of at most `longest_ms`."""
    for span in spans:
        start_ms = span.start_ms
        while span.end_ms - start_ms > longest_ms:
            cut_ms = quietest_ms(sound, start_ms + longest_ms // 2, start_ms + longest_ms)
            yield start_ms, cut_ms
            start_ms = cut_ms
        yield start_ms, span.end_ms


def quietest_ms(sound: NDArray[np.int16], start_ms: int, end_ms: int) -> int:
    """The middle of the quietest breath between two times; the last of several."""
    samples = sound[start_ms * SAMPLES_A_MS : end_ms * SAMPLES_A_MS].astype(np.float64)
    breath = QUIET_MS * SAMPLES_A_MS
    if len(samples) < breath:
        return end_ms
    power = (samples[: len(samples) // breath * breath].reshape(-1, breath) ** 2).sum(axis=1)
    last = len(power) - 1 - int(power[::-1].argmin())
    return start_ms + last * QUIET_MS + QUIET_MS // 2
