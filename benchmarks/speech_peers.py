"""faster-whisper on the same weights: its own `transcribe`, one file after the other, and its batched pipeline."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.speech_recordings import Recording
from model_registry.models.speech.sound import as_float
from model_registry.models.speech.whisper_ct2 import PRECISION

BATCH = 8
Peer = Callable[[Recording], str]


@contextmanager
def peers(files: Mapping[str, Path], threads: int) -> Iterator[dict[str, Peer]]:
    """Each peer by name: `greedy` decodes as ours does, `default` with faster-whisper's own beam of five."""
    from faster_whisper import BatchedInferencePipeline, WhisperModel

    with tempfile.TemporaryDirectory() as folder:
        for name, path in files.items():
            (Path(folder) / name).symlink_to(path)
        model = WhisperModel(folder, device="cpu", compute_type=PRECISION["cpu"], cpu_threads=threads)
        batched = BatchedInferencePipeline(model)
        yield {
            "faster_whisper_default": lambda each: _text(model.transcribe(as_float(each.sound), vad_filter=True)),
            "faster_whisper_greedy": lambda each: _text(
                model.transcribe(as_float(each.sound), vad_filter=True, beam_size=1)
            ),
            "faster_whisper_batched": lambda each: _text(
                batched.transcribe(as_float(each.sound), batch_size=BATCH, beam_size=1)
            ),
        }


def _text(answer: Any) -> str:
    segments, _ = answer
    return " ".join(segment.text.strip() for segment in segments)
