"""The GE2E speaker encoder: sound to a vector that is close for one voice and far for two.

Wan, Wang, Papir and Lopez Moreno, "Generalized End-to-End Loss for Speaker Verification" (ICASSP 2018, section 2.1
and figure 1): three LSTM layers over 40 mel bands, the last state projected and normalised; a long utterance is the
mean of windows of 1.6 s that overlap by half (section 3.2). The weights are those of Resemblyzer 0.1.4.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from model_registry.model import InputKind, Model, ModelSpec, Vector
from model_registry.models.speech.sound import AUDIO_HZ, as_float
from model_registry.reading import reading

if TYPE_CHECKING:
    import torch

ARTIFACT = "resemblyzer-ge2e"
MELS, WINDOW, STEP = 40, 400, 160  # bands; samples of 25 ms and 10 ms
PARTIAL, HOP = 160, 80  # mel frames of 1.6 s and 0.8 s
WIDTH, LAYERS = 256, 3
LOUDNESS_DBFS = -30.0  # quieter sound is raised to it


class SpeakerGE2E(Model[NDArray[np.int16], Vector]):
    """Sound to a unit vector [256]; sound without a sample is all zeros."""

    spec: ClassVar[ModelSpec] = ModelSpec(
        name="speaker_ge2e",
        version="1.0.0",
        reads=InputKind.SOUND,
        artifacts=(ARTIFACT,),
        embedding_dim=WIDTH,
        max_batch=32,
        gpus=0.05,
        memory_mb=120,
    )

    def __init__(self, lstm: torch.nn.LSTM, linear: torch.nn.Linear, device: str) -> None:
        import torchaudio

        self.lstm, self.linear, self.device = lstm, linear, device
        self.mel = torchaudio.transforms.MelSpectrogram(
            AUDIO_HZ,
            n_fft=WINDOW,
            hop_length=STEP,
            n_mels=MELS,
            norm="slaney",
            mel_scale="slaney",
            pad_mode="constant",
        ).to(device)

    @classmethod
    def load(cls, weights: Mapping[str, Path], device: str) -> Self:
        """Read the tensors of the checkpoint; nothing else of its pickle is allowed."""
        import torch

        path = weights[ARTIFACT]
        with reading(path, "a GE2E checkpoint", also=(KeyError, pickle.UnpicklingError)):
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)["model_state"]
            lstm = torch.nn.LSTM(MELS, WIDTH, LAYERS, batch_first=True)
            linear = torch.nn.Linear(WIDTH, WIDTH)
            for name, module in (("lstm.", lstm), ("linear.", linear)):
                own = {key.removeprefix(name): value for key, value in state.items() if key.startswith(name)}
                module.load_state_dict(own)
        return cls(lstm.to(device).eval(), linear.to(device).eval(), device)

    def predict(self, batch: Sequence[NDArray[np.int16]]) -> list[Vector]:
        """Return one float32 [256] a sound, of length 1."""
        import torch

        partials = [self.partials(sound) for sound in batch]
        counts = [len(one) for one in partials]
        if not sum(counts):
            return [np.zeros(WIDTH, np.float32) for _ in batch]
        with torch.inference_mode():
            _, (state, _) = self.lstm(torch.cat(partials))
            embeds_ND = _unit(torch.relu(self.linear(state[-1])))
            means = [_unit(own.mean(0)) if len(own) else torch.zeros(WIDTH) for own in torch.split(embeds_ND, counts)]
        return [mean.cpu().numpy() for mean in means]

    def partials(self, sound: NDArray[np.int16]) -> torch.Tensor:
        """Mel windows of 1.6 s, 0.8 s apart, the last one filled with silence; float32 [windows, 160, 40]."""
        import torch

        if len(sound) == 0:
            return torch.zeros(0, PARTIAL, MELS, device=self.device)
        frames = len(sound) // STEP + 1
        windows = 1 + max(0, -(-(frames - PARTIAL) // HOP))
        needed = ((windows - 1) * HOP + PARTIAL) * STEP
        loud = torch.from_numpy(_raised(sound)).to(self.device)
        padded = torch.nn.functional.pad(loud, (0, max(0, needed - len(sound))))
        mel_TM: torch.Tensor = self.mel(padded).T
        return mel_TM[: (windows - 1) * HOP + PARTIAL].unfold(0, PARTIAL, HOP).transpose(1, 2)

    @classmethod
    def examples(cls) -> list[Any]:
        """Return hums of several pitches and lengths."""
        times = [np.arange(int(AUDIO_HZ * seconds)) / AUDIO_HZ for seconds in (0.5, 1.6, 4.0)]
        pitches = zip(times, (110, 180, 240), strict=True)
        return [(8000 * np.sin(2 * np.pi * hz * t) * np.sin(3 * t)).astype(np.int16) for t, hz in pitches]


def _unit(vectors: torch.Tensor) -> torch.Tensor:
    import torch

    return torch.nn.functional.normalize(vectors, dim=-1)


def _raised(sound: NDArray[np.int16]) -> NDArray[np.float32]:
    """To -1 to 1, quiet sound raised to a common loudness; loud sound stays."""
    wave = as_float(sound)
    dbfs = 10 * np.log10(max(float(np.mean(np.square(wave))), 1e-12))
    return np.asarray(wave * 10 ** (max(0.0, LOUDNESS_DBFS - dbfs) / 20), np.float32)
