"""Views of sampled frames: the frame as the tower saw it, and the pictures found inside it, each with its descriptor.

An uploader hides a copy in borders, in a stack of two or in a corner. What is found inside a frame is cut out,
stretched to a square and embedded like a frame of its own, so that the reference, stretched alike, matches it. Every
view has a PDQ hash too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from model_registry.model import ModelRef, predict_all
from pipelines.copyright.picture.layout import Rectangle, inner, rectangles
from pipelines.copyright.picture.pdq import pdq
from pipelines.predict import loaded
from pipelines.rows import PDQ_BYTES, VIEW, vectors_of, windows_of_frames
from pipelines.stage import Stage, Work

GROUP_FRAMES = 4  # neighbours whose layout is taken to be the same
MOST_FOUND = 3  # pictures looked for inside a frame
SQUARE = 256  # pixels of a stretched view


class View(IntEnum):
    """What part of a frame was described."""

    FRAME = 0  # as the tower sees it: its own embedding, at no cost
    WHOLE = 1  # the frame stretched to a square: references have it, because what is found in uploads is stretched
    FOUND = 2  # a picture inside the frame, stretched; the next ones count on from here


@dataclass(frozen=True, kw_only=True)
class DescribeViews(Stage):
    """Embed the views of every frame and hash them."""

    ref: ModelRef  # the tower
    whole: bool = False  # also View.WHOLE, as references need it
    inside: bool = True  # also what is found inside frames, as uploads need it to be matched
    device: str = "cpu"
    threads: int = 1
    reads: tuple[str, ...] = ("frames_THWC", "frame_ms", "frame_height", "frame_width", "embedding_TD")
    writes: tuple[str, ...] = ("views",)
    drops: tuple[str, ...] = ("embedding_TD",)  # it is among the views

    @property
    def name(self) -> str:
        """As busy times call it."""
        return "views"

    def open(self) -> Work:
        """Load the tower, or share the one that this worker has."""
        model = loaded(self.ref, self.device, self.threads)

        def work(table: pa.Table) -> Iterator[pa.Table]:
            seen = list(self._seen(table))
            own = np.array([view.number == View.FRAME for view in seen], np.bool_)
            embeddings_ND = np.empty((len(seen), model.spec.embedding_dim), np.float32)
            embeddings_ND[own] = vectors_of(table["embedding_TD"])
            embeddings_ND[~own] = predict_all(model, [_stretched(view.pixels_HWC) for view in seen if view.number])
            counts = np.bincount([view.window for view in seen], minlength=table.num_rows)
            yield table.append_column("views", _column(seen, embeddings_ND, counts)).drop_columns("embedding_TD")

        return work

    def _seen(self, table: pa.Table) -> Iterator[_Seen]:
        windows = zip(windows_of_frames(table), table["frame_ms"].to_pylist(), strict=True)
        for window, (frames_THWC, times) in enumerate(windows):
            found = found_in(frames_THWC) if self.inside else [[]] * len(times)
            for frame_HWC, ms, inside in zip(frames_THWC, times, found, strict=True):
                yield _Seen(window, ms, View.FRAME, frame_HWC)
                if self.whole:
                    yield _Seen(window, ms, View.WHOLE, frame_HWC)
                for number, box in enumerate(inside, View.FOUND):
                    yield _Seen(window, ms, number, box.of(frame_HWC))


@dataclass(frozen=True)
class _Seen:
    """One view of one frame of one window of a block."""

    window: int
    frame_ms: int
    number: int
    pixels_HWC: NDArray[np.uint8]


def found_in(frames_THWC: NDArray[np.uint8]) -> list[list[Rectangle]]:
    """Return for each frame the pictures inside it; neighbours share a layout."""
    height, width = frames_THWC.shape[1:3]
    found: list[list[Rectangle]] = []
    for first in range(0, len(frames_THWC), GROUP_FRAMES):
        group = frames_THWC[first : first + GROUP_FRAMES]
        boxes = [inner(box, height, width) for box in rectangles(group, MOST_FOUND)]
        found += [boxes] * len(group)
    return found


def _stretched(pixels_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(pixels_HWC).resize((SQUARE, SQUARE), Image.Resampling.BILINEAR))


def _column(seen: Sequence[_Seen], embeddings_ND: NDArray[np.float32], counts: NDArray[np.int64]) -> pa.ListArray:
    """One list of VIEW structs a window."""
    hashes = [pdq(view.pixels_HWC) for view in seen]
    flat = pa.array(embeddings_ND.astype(np.float16).reshape(-1))
    columns = [
        pa.array([view.frame_ms for view in seen], pa.int64()),
        pa.array([view.number for view in seen], pa.uint8()),
        pa.FixedSizeListArray.from_arrays(flat, embeddings_ND.shape[1]),
        pa.array([bits for bits, _ in hashes], pa.binary(PDQ_BYTES)),
        pa.array([quality for _, quality in hashes], pa.uint8()),
    ]
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]), pa.int32())
    return pa.ListArray.from_arrays(offsets, pa.StructArray.from_arrays(columns, names=[field.name for field in VIEW]))
