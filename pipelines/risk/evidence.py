"""Evidence: one small WebP picture for each frame that a policy may point at, and a poster for each video."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from pipelines.rows import STILL, THUMBNAIL, windows_of_frames
from pipelines.stage import Stage, Work

SHOWN_SIDE = 120  # pixels of the shorter side of a still as people see it
STILL_QUALITY = 70
SAME_LEVELS = 2.0  # a frame whose cells of 16 pixels are all this near to those of the last still is left out
LONGEST_MS = 10_000  # without a still
CELL = 16  # pixels
EVIDENCE_FLOOR = 0.25  # a frame with a score from here on is kept; policies usually ask for more
QUALITY = 60


@dataclass(frozen=True, kw_only=True)
class Thumbnails(Stage):
    """The last reader of frames: keep a few as pictures and let the rest go."""

    reads: tuple[str, ...] = ("frames_THWC", "frame_ms", "frame_height", "frame_width", "signals", "window_index")
    writes: tuple[str, ...] = ("thumbnails",)
    drops: tuple[str, ...] = ("frames_THWC",)

    def open(self) -> Work:
        """Nothing to load."""

        def work(table: pa.Table) -> Iterator[pa.Table]:
            windows = zip(
                windows_of_frames(table),
                table["frame_ms"].to_pylist(),
                table["signals"].to_pylist(),
                table["window_index"].to_pylist(),
                strict=True,
            )
            column = [_pictures(*window) for window in windows]
            yield table.append_column("thumbnails", pa.array(column, pa.list_(THUMBNAIL))).drop_columns("frames_THWC")

        return work


@dataclass(frozen=True, kw_only=True)
class KeepStills(Stage):
    """Keep the sampled frames as small JPEGs: a copy is nominated after the frames are gone, and verified on them.

    At 256 pixels one takes about 13 kB and 1 to 2 ms. A frame that looks as the still before it is left out.
    """

    reads: tuple[str, ...] = ("frames_THWC", "frame_ms", "frame_height", "frame_width")
    writes: tuple[str, ...] = ("stills",)

    def open(self) -> Work:
        """Nothing to load."""

        def work(table: pa.Table) -> Iterator[pa.Table]:
            windows = zip(windows_of_frames(table), table["frame_ms"].to_pylist(), strict=True)
            column = [_stills(*window) for window in windows]
            yield table.append_column("stills", pa.array(column, pa.list_(STILL)))

        return work


def _pictures(
    frames_THWC: NDArray[np.uint8], frame_ms: list[int], signals: list[dict[str, object]], window_index: int
) -> list[dict[str, object]]:
    wanted = {signal["evidence_ms"] for signal in signals if float(str(signal["score"])) >= EVIDENCE_FLOOR}
    if window_index == 0 and frame_ms:
        wanted.add(frame_ms[len(frame_ms) // 2])  # the poster
    chosen = [(ms, frame) for ms, frame in zip(frame_ms, frames_THWC, strict=True) if ms in wanted]
    return [{"frame_ms": ms, "webp": webp(frame)} for ms, frame in chosen]


def _stills(frames_THWC: NDArray[np.uint8], frame_ms: list[int]) -> list[dict[str, object]]:
    kept: list[dict[str, object]] = []
    last_ms, last = 0, np.zeros((0, 0), np.float32)
    for ms, frame_HWC in zip(frame_ms, frames_THWC, strict=True):
        cells = _cells(frame_HWC)
        same = last.shape == cells.shape and float(np.abs(cells - last).max(initial=0)) < SAME_LEVELS
        if not kept or not same or ms - last_ms >= LONGEST_MS:
            kept.append({"frame_ms": ms, "jpeg": jpeg(frame_HWC)})
            last_ms, last = ms, cells
    return kept


def _cells(frame_HWC: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Mean and spread of the green of cells of 16 pixels."""
    height, width = (side // CELL * CELL for side in frame_HWC.shape[:2])
    cells = frame_HWC[:height, :width, 1].reshape(height // CELL, CELL, width // CELL, CELL)
    return np.stack([cells.mean(axis=(1, 3), dtype=np.float32), cells.std(axis=(1, 3), dtype=np.float32)])


def jpeg(frame_HWC: NDArray[np.uint8]) -> bytes:
    """Encode a still."""
    out = io.BytesIO()
    Image.fromarray(frame_HWC).save(out, "JPEG", quality=STILL_QUALITY)
    return out.getvalue()


def shown_small(picture: bytes) -> bytes:
    """A still as reports and the service show it: a WebP of SHOWN_SIDE pixels, some 3 kB."""
    with Image.open(io.BytesIO(picture), formats=("JPEG",)) as still:
        scale = min(1.0, SHOWN_SIDE / min(still.size))
        small = still.convert("RGB").resize((max(1, round(still.width * scale)), max(1, round(still.height * scale))))
    return webp(np.asarray(small))


def webp(frame_HWC: NDArray[np.uint8]) -> bytes:
    """Encode one frame, some 5 to 10 kB at 256 pixels."""
    out = io.BytesIO()
    Image.fromarray(frame_HWC).save(out, "WEBP", quality=QUALITY, method=2)
    return out.getvalue()
