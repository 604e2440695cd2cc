"""FunASR's speech models (SenseVoice, Paraformer): an optional engine, for those who have it and its weights.

Gao et al., "FunASR: A Fundamental End-to-End Speech Recognition Toolkit" (2023). The weights have a licence of their
own, so no artifact is listed: a `ModelRef` names this class and a folder as ModelScope delivers it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

from model_registry.errors import UsageError
from model_registry.model import InputKind, Line, Model, ModelSpec, OutputKind
from model_registry.models.speech.sound import Sound, as_float, checked, example_sounds, milliseconds
from model_registry.reading import reading

ARTIFACT = "funasr-model"
TAG = re.compile(r"<\|([^|]*)\|>")
LANGUAGES = {"zh", "en", "yue", "ja", "ko"}  # SenseVoiceSmall's; `nospeech` is a tag in their place
NO_SPEECH = "nospeech"
BATCH_S = 60  # seconds of sound that FunASR pads together
UNKNOWN_CONFIDENCE = 1.0  # FunASR gives none


@dataclass(frozen=True)
class Tagged:
    """The text of a result without its rich tags, and what the tags said."""

    text: str
    language: str = ""
    tags: tuple[str, ...] = ()


def parsed(text: str) -> Tagged:
    """Take `<|zh|><|HAPPY|><|Speech|><|withitn|>` off a text; a result tagged as no speech has no text."""
    tags = tuple(TAG.findall(text))
    language = next((tag for tag in tags if tag in LANGUAGES), "")
    said = "" if NO_SPEECH in tags else " ".join(TAG.sub(" ", text).split())
    return Tagged(said, language, tags)


class FunAsrSpeech(Model[Sound, tuple[Line, ...]]):
    """Sound to one line with its language; it spans the sound, which the model does not divide."""

    spec: ClassVar[ModelSpec] = ModelSpec(
        name="funasr_speech",
        version="1.0.0",
        reads=InputKind.SOUND,
        writes=OutputKind.LINES,
        artifacts=(ARTIFACT,),
        max_batch=64,
        gpus=0.25,
        memory_mb=2000,
    )

    def __init__(self, engine: Any) -> None:
        self.engine = engine

    @classmethod
    def load(cls, weights: Mapping[str, Path], device: str) -> Self:
        """Open a folder; nothing is downloaded and nothing asked of a server."""
        try:
            from funasr import AutoModel
        except ImportError as error:
            raise UsageError("FunASR is not installed: `pip install nightjar[funasr]` brings it") from error

        path = weights[ARTIFACT]
        with reading(path, "a model of FunASR"):
            return cls(AutoModel(model=str(path), device=device, disable_update=True, disable_pbar=True))

    def predict(self, batch: Sequence[Sound]) -> list[tuple[Line, ...]]:
        """Return one line a sound in order; () where nothing is said."""
        sounds = [checked(sound) for sound in batch]
        spoken = [sound for sound in sounds if len(sound)]
        if not spoken:
            return [() for _ in sounds]
        results = iter(
            self.engine.generate(
                input=[as_float(sound) for sound in spoken],
                fs=16_000,
                language="auto",
                use_itn=True,
                batch_size_s=BATCH_S,
            )
        )
        return [_lines(str(next(results)["text"]), milliseconds(len(sound))) if len(sound) else () for sound in sounds]

    @classmethod
    def examples(cls) -> list[Sound]:
        """Return synthetic sounds."""
        return example_sounds()


def _lines(text: str, duration_ms: int) -> tuple[Line, ...]:
    found = parsed(text)
    return (Line(found.text, UNKNOWN_CONFIDENCE, found.language, 0, duration_ms),) if found.text else ()
