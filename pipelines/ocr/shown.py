"""The stage that reads what is shown: frames in, lines with spans out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from model_registry.model import Line, ModelRef, read_all
from pipelines.ocr.changes import Strokes, frames_to_read, still_there, strokes_of
from pipelines.ocr.merge import Reading, merge
from pipelines.ocr.mirrored import read_both_ways
from pipelines.predict import loaded
from pipelines.rows import LINE, windows_of_frames
from pipelines.stage import Stage, Work

Lines = tuple[Line, ...]


@dataclass(frozen=True, kw_only=True)
class ReadFrames(Stage):
    """Add the lines shown in each window, from those of its frames where text changed."""

    reads: tuple[str, ...] = ("frames_THWC", "frame_ms", "frame_height", "frame_width", "end_ms")
    writes: tuple[str, ...] = ("shown",)
    ref: ModelRef
    device: str = "cpu"
    threads: int = 1
    most: int = 12  # frames read of one window: captions change every two or three seconds, and reading is dear

    @property
    def name(self) -> str:
        """The model's name."""
        return self.ref.name

    def open(self) -> Work:
        """Load the model on this worker."""
        model = loaded(self.ref, self.device, self.threads)

        def work(table: pa.Table) -> Iterator[pa.Table]:
            windows = [_Seen.of(frames_THWC, self.most) for frames_THWC in windows_of_frames(table)]
            found = iter(self._found(model, windows))
            times = zip(windows, table["frame_ms"].to_pylist(), table["end_ms"].to_pylist(), strict=True)
            column = [
                _rows(window.readings([next(found) for _ in window.wanted], frame_ms), end_ms)
                for window, frame_ms, end_ms in times
            ]
            yield table.append_column("shown", pa.array(column, pa.list_(LINE)))

        return work

    def _found(self, model: Any, windows: Sequence[_Seen]) -> list[Lines]:
        """The lines of every wanted frame, those of all windows read together."""
        wanted = [frame_HWC for window in windows for frame_HWC in window.wanted]
        strokes = [window.strokes[index] for window in windows for index in window.chosen]
        places = [number for number, window in enumerate(windows) for _ in window.chosen]
        return read_both_ways(wanted, strokes, lambda frames: read_all(model, frames), places)


@dataclass(frozen=True)
class _Seen:
    """One window: the strokes of all its frames, and the frames to read."""

    strokes: list[Strokes]
    chosen: list[int]
    wanted: list[NDArray[np.uint8]]

    @classmethod
    def of(cls, frames_THWC: NDArray[np.uint8], most: int) -> _Seen:
        strokes = [strokes_of(frame_HWC) for frame_HWC in frames_THWC]
        chosen = frames_to_read(strokes, most)
        return cls(strokes, chosen, [frames_THWC[index] for index in chosen])

    def readings(self, found: Sequence[Lines], frame_ms: Sequence[int]) -> list[Reading]:
        """What is seen at each frame: what was read there, or what was read before and is still there."""
        by_index = dict(zip(self.chosen, found, strict=True))
        readings: list[Reading] = []
        read: tuple[Strokes, Lines] | None = None
        for index, (ms, now) in enumerate(zip(frame_ms, self.strokes, strict=True)):
            if index in by_index:
                read = now, by_index[index]
                readings.append(Reading(ms, by_index[index]))
            elif read is not None:
                kept = tuple(line for line in read[1] if line.box and still_there(line.box, read[0], now))
                readings.append(Reading(ms, kept))
        return readings


def language_of(text: str) -> str:
    """Tell the language by the script: "zh" where there is Han and no kana or hangul, "en" where all is ASCII."""
    letters = [letter for letter in text if letter.isalpha()]
    if any("\u3040" <= letter <= "\u30ff" or "\uac00" <= letter <= "\ud7af" for letter in letters):
        return ""
    if any("\u3400" <= letter <= "\u9fff" for letter in letters):
        return "zh"
    return "en" if letters and all(letter.isascii() for letter in letters) else ""


def _rows(readings: Sequence[Reading], end_ms: int | None) -> list[dict[str, object]]:
    return [
        {
            "start_ms": line.start_ms,
            "end_ms": line.end_ms,
            "text": line.text,
            "language": language_of(line.text),
            "confidence": line.confidence,
            "words": [],
        }
        for line in merge(readings, end_ms or 0)
    ]
