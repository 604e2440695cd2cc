"""Whose voice it is: one embedding of the speech in each window, and which voices of a night are alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from model_registry.model import ModelRef, predict_all
from pipelines.pieces import Pieces
from pipelines.predict import loaded
from pipelines.rows import AUDIO_HZ, SOUND_COLUMNS, VOICE, Sound, sounds_of_windows
from pipelines.stage import Stage, Work

LONGEST_MS = 8_000  # of speech that a window's voice is taken from: more says little more
SHORTEST_MS = 1_000  # less is too little to tell voices apart
# Cosine from which on two voices count as one: recordings of one voice had 0.87 to 0.96, of two up to 0.69.
SAME_VOICE = 0.82

Vectors = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class KnowVoices(Stage):
    """Embed the speech of each window; a window in which nobody speaks costs nothing."""

    ref: ModelRef
    device: str = "cpu"
    threads: int = 1
    reads: tuple[str, ...] = (*SOUND_COLUMNS, "start_ms", "said")
    writes: tuple[str, ...] = ("voices",)

    def open(self) -> Work:
        """Load the speaker encoder on this worker."""
        model = loaded(self.ref, self.device, self.threads)

        def work(table: pa.Table) -> Iterator[pa.Table]:
            rows = zip(sounds_of_windows(table), table["start_ms"].to_pylist(), table["said"].to_pylist(), strict=True)
            spoken = [_speech(sounds, start_ms, lines or []) for sounds, start_ms, lines in rows]
            long_enough = [i for i, sound in enumerate(spoken) if len(sound) >= SHORTEST_MS * AUDIO_HZ // 1000]
            embeds_ND = predict_all(model, [spoken[i] for i in long_enough])
            found: list[list[dict[str, Any]]] = [[] for _ in spoken]
            for i, embedding in zip(long_enough, embeds_ND, strict=True):
                found[i] = [{"speech_ms": len(spoken[i]) * 1000 // AUDIO_HZ, "embedding": embedding.astype(np.float16)}]
            yield table.append_column("voices", pa.array(found, pa.list_(VOICE)))

        return work


def _speech(sounds: Sequence[Sound], start_ms: int, lines: Sequence[Mapping[str, Any]]) -> NDArray[np.int16]:
    """The first seconds of what is said in a window, without what lies between, each line from its own sound."""
    own = {sound.track: sound.samples for sound in sounds}
    parts = [np.zeros(0, np.int16)]
    for line in lines:
        start, end = (max(0, line[edge] - start_ms) * AUDIO_HZ // 1000 for edge in ("start_ms", "end_ms"))
        parts.append(own.get(line["track"] or 0, parts[0])[start:end])
    return np.concatenate(parts)[: LONGEST_MS * AUDIO_HZ // 1000]


def voices_of(pieces: Pieces, contents: Iterable[str]) -> dict[str, Vectors]:
    """Return one unit vector a content in which somebody speaks: its windows' mean, weighted by speech."""
    sums: dict[str, Vectors] = {}
    for row in pieces.rows("voices", contents).to_pylist():
        own = np.asarray(row["embedding"], np.float32) * row["speech_ms"]
        sums[row["content_sha256"]] = sums.get(row["content_sha256"], np.float32(0)) + own
    return {sha256: total / max(float(np.linalg.norm(total)), 1e-9) for sha256, total in sums.items()}


@dataclass(frozen=True)
class KnownVoices:
    """Voices of videos in which something spoken was settled, with the account of each."""

    accounts: tuple[str, ...] = ()
    voices_ND: Vectors = field(default_factory=lambda: np.zeros((0, 1), np.float32))

    @classmethod
    def of(cls, voices: Mapping[str, Vectors], accounts: Mapping[str, set[str]]) -> KnownVoices:
        """Lay out one row for each content and account that uses it."""
        rows = [(account, voices[sha256]) for sha256, own in accounts.items() if sha256 in voices for account in own]
        return cls(tuple(account for account, _ in rows), np.stack([row for _, row in rows])) if rows else cls()

    def others(self, voice: Vectors | None, account: str) -> int:
        """How many other accounts have this voice."""
        if voice is None or not self.accounts:
            return 0
        alike = np.flatnonzero(self.voices_ND @ voice >= SAME_VOICE)
        return len({self.accounts[i] for i in alike} - {account})
