"""The stage that writes down what is said: voice activity, chunks of speech, one speech model for all windows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from difflib import SequenceMatcher
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from model_registry.model import AnyModel, Line, ModelRef, Span, read_all
from model_registry.models.speech.words import later
from pipelines.predict import loaded
from pipelines.rows import LINE, SOUND_COLUMNS, sounds_of_windows
from pipelines.rows import Sound as WindowSound
from pipelines.speech.chunks import chunks_of
from pipelines.speech.digits import with_digits
from pipelines.speech.guards import guarded
from pipelines.speech.level import levelled
from pipelines.speech.seams import Take, parts_of
from pipelines.speech.slowed import SURE, is_doubtful, quicker, slowed, worth_slowing
from pipelines.stage import Stage, Work
from pipelines.tracks import is_whole

Sound = NDArray[np.int16]
Lines = tuple[Line, ...]
ALIKE = 0.7  # two sounds of a window in which the same is said are one (difflib's ratio)


@dataclass(frozen=True, kw_only=True)
class Transcribe(Stage):
    """Add the lines said in each window, in the video's time; the sounds stay for the next listener."""

    vad: ModelRef
    speech: ModelRef
    device: str = "cpu"
    threads: int = 1
    reads: tuple[str, ...] = (*SOUND_COLUMNS, "start_ms", "last")
    writes: tuple[str, ...] = ("said",)

    def open(self) -> Work:
        """Load both models on this worker."""
        vad, speech = (loaded(ref, self.device, self.threads) for ref in (self.vad, self.speech))

        def work(table: pa.Table) -> Iterator[pa.Table]:
            rows = list(zip(sounds_of_windows(table), table["last"].to_pylist(), strict=True))
            takes = [Take(sound.samples, sound.before, bool(last)) for sounds, last in rows for sound in sounds]
            said = iter(said_in_takes(vad, speech, takes))
            cells = [
                _cells(sounds, [next(said) for _ in sounds], start_ms)
                for (sounds, _), start_ms in zip(rows, table["start_ms"].to_pylist(), strict=True)
            ]
            yield table.append_column("said", pa.array(cells, pa.list_(LINE)))

        return work


def said_in(vad: AnyModel, speech: AnyModel, sounds: Sequence[Sound]) -> list[Lines]:
    """Return the lines of sounds that begin and end by themselves."""
    return said_in_takes(vad, speech, [Take(sound) for sound in sounds])


def said_in_takes(vad: AnyModel, speech: AnyModel, takes: Sequence[Take]) -> list[Lines]:
    """Return the lines of each take in its own time; only what holds speech reaches the speech model."""
    parts = parts_of(vad, takes)
    loud = [levelled(part.sound) for part in parts]
    found = _heard(vad, speech, loud)
    again = [place for place, lines in enumerate(found) if is_doubtful(lines) and worth_slowing(loud[place])]
    for place, lines in zip(again, _heard_slowed(vad, speech, [loud[place] for place in again]), strict=True):
        found[place] = lines or found[place]
    said: list[list[Line]] = [[] for _ in takes]
    for part, lines in zip(parts, found, strict=True):
        said[part.take] += [with_digits(later(line, part.start_ms)) for line in lines]
    return [tuple(lines) for lines in said]


def _heard(vad: AnyModel, speech: AnyModel, sounds: Sequence[Sound]) -> list[Lines]:
    """The lines of sounds of at most 30 s that are believed."""
    voices: list[tuple[Span, ...]] = read_all(vad, sounds)
    chunks = [chunks_of(spans, sound) for spans, sound in zip(voices, sounds, strict=True)]
    heard = iter(
        read_all(speech, [chunk.of(sound) for each, sound in zip(chunks, sounds, strict=True) for chunk in each])
    )
    return [
        guarded([later(line, chunk.start_ms) for chunk in each for line in next(heard)], spans).lines
        for each, spans in zip(chunks, voices, strict=True)
    ]


def _heard_slowed(vad: AnyModel, speech: AnyModel, sounds: Sequence[Sound]) -> list[Lines]:
    """The same at half the speed, where only what is sure counts."""
    parts = parts_of(vad, [Take(slowed(sound)) for sound in sounds]) if sounds else []
    found: list[list[Line]] = [[] for _ in sounds]
    for part, lines in zip(parts, _heard(vad, speech, [part.sound for part in parts]), strict=True):
        found[part.take] += [quicker(later(line, part.start_ms)) for line in lines if line.confidence >= SURE]
    return [tuple(lines) for lines in found]


def _cells(sounds: Sequence[WindowSound], said: Sequence[Lines], start_ms: int) -> list[dict[str, Any]]:
    """The lines of a window's sounds; what several say at once is written down once."""
    every = [(sound.track, line) for sound, lines in zip(sounds, said, strict=True) for line in lines]
    kept: list[tuple[int, Line]] = []
    for track, line in every:
        if not _is_jumble(track, line, every) and not any(_same(line, other) for _, other in kept):
            kept.append((track, line))
    return [_cell(later(line, start_ms), track) for track, line in kept]


def _is_jumble(track: int, line: Line, every: Sequence[tuple[int, Line]]) -> bool:
    """Whether a mix of channels was written down of which one was heard better by itself at that time."""
    if not is_whole(track):
        return False
    beside = [(_together_ms(line, other), other) for own, other in every if own != track and not is_whole(own)]
    return any(2 * ms >= line.end_ms - line.start_ms and other.confidence > line.confidence for ms, other in beside)


def _same(line: Line, other: Line) -> bool:
    alike = SequenceMatcher(None, line.text, other.text, autojunk=False)
    return _together_ms(line, other) > 0 and alike.ratio() >= ALIKE


def _together_ms(line: Line, other: Line) -> int:
    return min(line.end_ms, other.end_ms) - max(line.start_ms, other.start_ms)


def _cell(line: Line, track: int) -> dict[str, Any]:
    values = asdict(line) | {"track": track}
    return {name: values[name] for name in LINE.names}
