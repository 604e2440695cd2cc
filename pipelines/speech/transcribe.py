"""The stage that writes down what is said: voice activity, chunks of speech, one speech model for all windows."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from model_registry.model import AnyModel, Line, ModelRef, Span, read_all
from model_registry.models.speech.words import later
from pipelines.predict import loaded
from pipelines.rows import AUDIO_HZ, LINE
from pipelines.speech.chunks import LONGEST_MS, chunks_of
from pipelines.speech.guards import guarded
from pipelines.stage import Stage, Work

log = logging.getLogger(__name__)
Sound = NDArray[np.int16]
NOTHING: Sound = np.zeros(0, np.int16)


@dataclass(frozen=True, kw_only=True)
class Transcribe(Stage):
    """Add the lines said in each window, in the video's time; the sound stays for the next listener."""

    vad: ModelRef
    speech: ModelRef
    device: str = "cpu"
    threads: int = 1
    reads: tuple[str, ...] = ("audio_16k", "start_ms")
    writes: tuple[str, ...] = ("said",)

    def open(self) -> Work:
        """Load both models on this worker."""
        vad, speech = (loaded(ref, self.device, self.threads) for ref in (self.vad, self.speech))

        def work(table: pa.Table) -> Iterator[pa.Table]:
            sounds = [_sound(cell) for cell in table["audio_16k"]]
            said = said_in(vad, speech, sounds)
            cells = [
                [_cell(line, start_ms) for line in lines]
                for lines, start_ms in zip(said, table["start_ms"].to_pylist(), strict=True)
            ]
            yield table.append_column("said", pa.array(cells, pa.list_(LINE)))

        return work


def said_in(vad: AnyModel, speech: AnyModel, sounds: Sequence[Sound]) -> list[tuple[Line, ...]]:
    """Return the lines of each sound in the sound's own time; only what holds speech reaches the speech model."""
    parts = [part for row, sound in enumerate(sounds) for part in _parts(row, sound)]
    voices: list[tuple[Span, ...]] = read_all(vad, [part.sound for part in parts])
    chunks = [chunks_of(spans, part.sound) for spans, part in zip(voices, parts, strict=True)]
    pieces = [chunk.of(part.sound) for each, part in zip(chunks, parts, strict=True) for chunk in each]
    heard = iter(read_all(speech, pieces))
    said: list[list[Line]] = [[] for _ in sounds]
    for part, each, spans in zip(parts, chunks, voices, strict=True):
        lines = [later(line, chunk.start_ms) for chunk in each for line in next(heard)]
        said[part.row] += [later(line, part.start_ms) for line in guarded(lines, spans).lines]
    return [tuple(lines) for lines in said]


@dataclass(frozen=True)
class _Part:
    """As much of one row's sound as a model takes."""

    row: int
    start_ms: int
    sound: Sound


def _parts(row: int, sound: Sound) -> Iterator[_Part]:
    step = LONGEST_MS * AUDIO_HZ // 1000
    for start in range(0, len(sound), step):
        yield _Part(row, start * 1000 // AUDIO_HZ, sound[start : start + step])


def _sound(cell: pa.LargeBinaryScalar) -> Sound:
    """View a window's samples; what is no sound is passed over, so that its neighbours are heard."""
    raw = cell.as_buffer() if cell.is_valid else b""
    if len(raw) % 2:
        log.warning("a window's sound has %d bytes, which is no int16; nobody listens to it", len(raw))
        return NOTHING
    return np.frombuffer(raw, np.int16)


def _cell(line: Line, start_ms: int) -> dict[str, Any]:
    values = asdict(later(line, start_ms))
    return {name: values[name] for name in LINE.names}
