"""Evidence: one small WebP picture for each frame that a policy may point at, and a poster for each video."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from pipelines.rows import THUMBNAIL, windows_of_frames
from pipelines.stage import Stage, Work

STRIP_MS = 2000  # between the small pictures of a film strip
STRIP_SIDE = 120  # pixels of their shorter side
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
class Strip(Stage):
    """Keep a film strip: a copy is found after the frames are gone, and a reviewer wants to see both sides of it."""

    reads: tuple[str, ...] = ("frames_THWC", "frame_ms", "frame_height", "frame_width")
    writes: tuple[str, ...] = ("strip",)

    def open(self) -> Work:
        """Nothing to load."""

        def work(table: pa.Table) -> Iterator[pa.Table]:
            windows = zip(windows_of_frames(table), table["frame_ms"].to_pylist(), strict=True)
            column = [_strip(*window) for window in windows]
            yield table.append_column("strip", pa.array(column, pa.list_(THUMBNAIL)))

        return work


def _pictures(
    frames_THWC: NDArray[np.uint8], frame_ms: list[int], signals: list[dict[str, object]], window_index: int
) -> list[dict[str, object]]:
    wanted = {signal["evidence_ms"] for signal in signals if float(str(signal["score"])) >= EVIDENCE_FLOOR}
    if window_index == 0 and frame_ms:
        wanted.add(frame_ms[len(frame_ms) // 2])  # the poster
    chosen = [(ms, frame) for ms, frame in zip(frame_ms, frames_THWC, strict=True) if ms in wanted]
    return [{"frame_ms": ms, "webp": webp(frame)} for ms, frame in chosen]


def _strip(frames_THWC: NDArray[np.uint8], frame_ms: list[int]) -> list[dict[str, object]]:
    kept: dict[int, bytes] = {}
    for ms, frame_HWC in zip(frame_ms, frames_THWC, strict=True):
        if not kept or ms - max(kept) >= STRIP_MS:
            kept[ms] = webp(_small(frame_HWC))
    return [{"frame_ms": ms, "webp": picture} for ms, picture in kept.items()]


def _small(frame_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = frame_HWC.shape[:2]
    scale = min(1.0, STRIP_SIDE / min(height, width))
    return np.asarray(Image.fromarray(frame_HWC).resize((max(1, round(width * scale)), max(1, round(height * scale)))))


def webp(frame_HWC: NDArray[np.uint8]) -> bytes:
    """Encode one frame, some 5 to 10 kB at 256 pixels."""
    out = io.BytesIO()
    Image.fromarray(frame_HWC).save(out, "WEBP", quality=QUALITY, method=2)
    return out.getvalue()
