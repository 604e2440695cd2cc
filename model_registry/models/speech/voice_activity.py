"""Silero VAD: where in a sound somebody speaks, by an LSTM over frames of 32 ms.

Silero Team, "Silero VAD: pre-trained enterprise-grade Voice Activity Detector" (2021-2026), version 6.2.3. The graph
takes a whole sound in one call; its probabilities are those of the graph that is called once a frame.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from model_registry.model import InputKind, Model, ModelSpec, OutputKind, Span
from model_registry.models.speech.sound import (
    AUDIO_HZ,
    Sound,
    as_float,
    checked,
    example_sounds,
    may_hold_speech,
    milliseconds,
)
from model_registry.onnx import open_graph

ARTIFACT = "silero-vad"
FRAME, CONTEXT = 512, 64  # samples the network steps by, and sees again of the frame before
FRAME_MS = FRAME * 1000 // AUDIO_HZ
STATE_SHAPE = (1, 1, 128)

# Silero's own defaults (`get_speech_timestamps`), but for the padding: Whisper hears a word's first consonant only
# if it gets it whole.
ENTER, LEAVE = 0.5, 0.35  # probability that begins speech, and below which it may end
SHORTEST_SPEECH_MS = 250
SHORTEST_SILENCE_MS = 100
PADDING_MS = 100


class SileroVad(Model[Sound, tuple[Span, ...]]):
    """Sound to the spans that hold speech, by ONNX Runtime."""

    spec: ClassVar[ModelSpec] = ModelSpec(
        name="silero_vad",
        version="1.0.0",
        reads=InputKind.SOUND,
        writes=OutputKind.SPANS,
        artifacts=(ARTIFACT,),
        max_batch=64,
        memory_mb=100,
    )

    def __init__(self, session: Any) -> None:
        self.session = session

    @classmethod
    def load(cls, weights: Mapping[str, Path], device: str) -> Self:  # noqa: ARG003 - two milliseconds a second of sound
        """Open the ONNX graph on the CPU, whatever the device: it is an LSTM of 128 cells."""
        return cls(open_graph(weights[ARTIFACT], threads=1))

    def predict(self, batch: Sequence[Sound]) -> list[tuple[Span, ...]]:
        """Return the spans of each sound in order, none overlapping another; () where nobody speaks."""
        sounds = [checked(sound) for sound in batch]
        return [
            tuple(spans(self.probabilities(sound), len(sound))) if may_hold_speech(sound) else () for sound in sounds
        ]

    def probabilities(self, sound: Sound) -> NDArray[np.float32]:
        """Speech probability of each frame, the last one padded with zeros."""
        frames_NS = framed(as_float(sound))
        state = np.zeros(STATE_SHAPE, np.float32)
        found: NDArray[np.float32] = self.session.run(None, {"input": frames_NS, "h": state, "c": state})[0]
        return found.reshape(-1)

    @classmethod
    def examples(cls) -> list[Sound]:
        """Return synthetic sounds."""
        return example_sounds()


def framed(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cut samples into rows of a frame, with the end of the row before in front of each: float32 [N, 576]."""
    frames_NF = np.zeros((-(-len(samples) // FRAME), FRAME), np.float32)
    frames_NF.reshape(-1)[: len(samples)] = samples
    before_NC = np.zeros((len(frames_NF), CONTEXT), np.float32)
    before_NC[1:] = frames_NF[:-1, -CONTEXT:]
    return np.concatenate([before_NC, frames_NF], axis=1)


def spans(probabilities: NDArray[np.float32], samples: int) -> list[Span]:
    """Turn frame probabilities into padded spans; where two paddings meet, they share what is between."""
    end_ms = milliseconds(samples)
    runs = [(first, last) for first, last in _runs(probabilities) if _long_enough(first, last, end_ms)]
    edges = [(first * FRAME_MS, min(last * FRAME_MS, end_ms)) for first, last in runs]
    middles = [(stop + start) // 2 for (_, stop), (start, _) in pairwise(edges)]
    return [
        Span(max(start - PADDING_MS, before), min(stop + PADDING_MS, after), float(probabilities[first:last].mean()))
        for (first, last), (start, stop), before, after in zip(
            runs, edges, [0, *middles], [*middles, end_ms], strict=False
        )
    ]


def _long_enough(first: int, last: int, end_ms: int) -> bool:
    return min(last * FRAME_MS, end_ms) - first * FRAME_MS > SHORTEST_SPEECH_MS


def _runs(probabilities: NDArray[np.float32]) -> Iterator[tuple[int, int]]:
    """Frames [first, last) of speech: it begins at ENTER and ends where it stays below LEAVE for long enough."""
    patience = -(-SHORTEST_SILENCE_MS // FRAME_MS)
    first, quiet = -1, -1
    for place, probability in enumerate(probabilities.tolist()):
        if probability >= ENTER:
            first, quiet = (place if first < 0 else first), -1
        elif first >= 0 and probability < LEAVE:
            quiet = place if quiet < 0 else quiet
            if place - quiet >= patience:
                yield first, quiet
                first, quiet = -1, -1
    if first >= 0:
        yield first, len(probabilities)
