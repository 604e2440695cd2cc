"""Whisper by CTranslate2: sounds of many videos through one encoder, each decoded in its own language.

Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision" (2022). The engine, its features and its
words are those of faster-whisper; the batching is ours, so that one language or one long text spoils no neighbour.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from model_registry.model import ModelSpec
from model_registry.models.speech.decoding import Decoder
from model_registry.models.speech.listening import Heard, Whisper, kind_of, whisper_spec
from model_registry.models.speech.sound import AUDIO_HZ, Sound, as_float, milliseconds
from model_registry.models.speech.tokens import tokenizer_of
from model_registry.reading import reading

ENGINE_FILES = ("model.bin", "config.json", "vocabulary.json")  # as CTranslate2 finds them in a folder
PRECISION = {"cpu": "int8", "cuda": "float16"}
MEL_HOP = 160


class CTranslate2Whisper(Whisper):
    """Sound to lines with times, language and words. A subclass names its files and how large it is."""

    files: ClassVar[Mapping[str, str]]  # file name -> artifact

    def __init__(self, engine: Any, tokenizer: Any, device: str) -> None:
        from faster_whisper.feature_extractor import FeatureExtractor

        self.engine = engine
        self.device = device
        self.features = FeatureExtractor(feature_size=engine.n_mels)  # 80, or 128 since large-v3
        # BLAS rounds single precision by its number of threads, and 8 bits make 0.02 of a confidence out of that
        self.features.mel_filters = self.features.mel_filters.astype(np.float64)
        self.decoder = Decoder(engine, tokenizer)

    @classmethod
    def load(cls, weights: Mapping[str, Path], device: str) -> Self:
        """Open the weights in 8 bits on a CPU, in half precision on CUDA, with torch's thread count."""
        paths = {name: weights[artifact] for name, artifact in cls.files.items()}
        for name in ("config.json", "vocabulary.json"):
            with reading(paths[name], "a JSON file"):
                json.loads(paths[name].read_bytes())
        return cls(_engine(paths, device), tokenizer_of(paths["tokenizer.json"]), device)

    def hear(self, sounds: Sequence[Sound], seconds: int) -> list[Heard]:
        """Encode sounds padded to so many seconds, and decode each."""
        import ctranslate2

        features_NMT = np.stack([self._mel(sound, seconds) for sound in sounds])
        encoded = self.engine.encode(ctranslate2.StorageView.from_array(features_NMT))
        return self.decoder.decode(encoded, [milliseconds(len(sound)) for sound in sounds])

    def _mel(self, sound: Sound, seconds: int) -> NDArray[np.float32]:
        """Features of the sound, and zeros up to so many seconds: faster-whisper's padding, which costs fewer words
        than features of silence, by four in a hundred letters of short Mandarin clips.
        """
        mel_MT: NDArray[np.float32] = self.features(as_float(sound)).astype(np.float32)
        frames = min(mel_MT.shape[1], len(sound) // MEL_HOP)
        padded_MT = np.zeros((len(mel_MT), seconds * AUDIO_HZ // MEL_HOP), np.float32)
        padded_MT[:, :frames] = mel_MT[:, :frames]
        return padded_MT


def _engine(paths: Mapping[str, Path], device: str) -> Any:
    """Open the weights through links in a folder, where the engine finds its files by their names."""
    import ctranslate2
    import torch

    kind, number = kind_of(device), int(device.partition(":")[2] or 0)
    options = {"device": kind, "device_index": number, "compute_type": PRECISION[kind]}
    options["intra_threads"] = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as folder:
        for name in ENGINE_FILES:
            (Path(folder) / name).symlink_to(paths[name].absolute())
        with reading(paths["model.bin"], "a CTranslate2 Whisper model"):
            return ctranslate2.models.Whisper(folder, **options)


def _files(size: str) -> dict[str, str]:
    engine = {name: f"whisper-{size}-ct2-{name.partition('.')[0]}" for name in ENGINE_FILES}
    return engine | {"tokenizer.json": f"whisper-{size}-tokenizer"}


class FasterWhisperBase(CTranslate2Whisper):
    """74 million parameters: what a CPU can hear."""

    files: ClassVar[Mapping[str, str]] = _files("base")
    spec: ClassVar[ModelSpec] = whisper_spec("whisper_base_ct2", [*files.values()], memory_mb=700, gpus=0.1)


class FasterWhisperLargeV3Turbo(CTranslate2Whisper):
    """809 million parameters, four of them layers that decode: for a GPU."""

    files: ClassVar[Mapping[str, str]] = _files("large-v3-turbo")
    spec: ClassVar[ModelSpec] = whisper_spec("whisper_large_v3_turbo_ct2", [*files.values()], memory_mb=3000, gpus=0.5)
