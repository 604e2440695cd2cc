"""The columns that cross the pipeline: one row is a window of one video, and every error is a row with a reason."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

log = logging.getLogger(__name__)

AUDIO_HZ = 16_000
BEFORE_MS = 6000  # of the window before that a window's sound comes with: somebody takes a breath in so long

# What a manifest row must and may say.
MANIFEST = pa.schema(
    [
        pa.field("video_id", pa.string(), nullable=False),
        pa.field("uri", pa.string(), nullable=False),
        ("title", pa.string()),
        ("description", pa.string()),
        ("uploader_id", pa.string()),
        ("uploaded_at", pa.string()),
        ("views", pa.int64()),
        ("account_risk", pa.float32()),  # 0 to 1, as the platform rates the uploader
        ("prior_violations", pa.int64()),  # of the uploader
    ]
)

# What hashing adds: whose content it is, or why nobody can tell.
CONTENTS = pa.schema(
    [
        ("video_id", pa.string()),
        ("uri", pa.string()),
        ("content_sha256", pa.string()),
        ("bytes", pa.int64()),
        ("modified_ns", pa.int64()),  # when a local file's status last changed: if it did not, no second hashing
        ("error_code", pa.string()),
        ("error_message", pa.string()),
    ]
)

# What decode reads: each content once.
SOURCES = pa.schema([CONTENTS.field(name) for name in ("content_sha256", "uri", "bytes")])

SOUND = pa.struct([("track", pa.uint16()), ("audio_16k", pa.large_binary()), ("audio_before", pa.large_binary())])

SIGNAL = pa.struct(
    [
        ("label", pa.string()),
        ("form", pa.string()),
        ("score", pa.float32()),
        ("start_ms", pa.int64()),
        ("end_ms", pa.int64()),
        ("evidence_ms", pa.int64()),
        ("source", pa.string()),
        ("detail", pa.string()),
    ]
)
THUMBNAIL = pa.struct([("frame_ms", pa.int64()), ("webp", pa.binary())])
STILL = pa.struct([("frame_ms", pa.int64()), ("jpeg", pa.binary())])  # a sampled frame: copies are verified on it
PDQ_BYTES = 32
VIEW = pa.struct(  # of a frame: see pipelines/copyright/picture/views.py
    [
        ("frame_ms", pa.int64()),
        ("view", pa.uint8()),
        ("embedding", pa.list_(pa.float16(), -1)),
        ("pdq", pa.binary(PDQ_BYTES)),
        ("pdq_quality", pa.uint8()),
    ]
)
PEAK = pa.struct(  # of a spectrogram; the pitch in cents
    [("time_ms", pa.int32()), ("pitch", pa.uint16()), ("track", pa.uint16())]
)
WORD = pa.struct([("start", pa.int32()), ("end", pa.int32()), ("start_ms", pa.int64()), ("end_ms", pa.int64())])
LINE = pa.struct(  # said or shown; see model_registry.model.Line
    [
        ("start_ms", pa.int64()),
        ("end_ms", pa.int64()),
        ("text", pa.string()),
        ("language", pa.string()),
        ("confidence", pa.float32()),
        ("words", pa.list_(WORD)),
        ("track", pa.uint16()),  # of what was said; null where it was shown
    ]
)
FOUND = pa.struct(  # by the decoder: codes on pictures, and text that comes with the file; see decode/found.py
    [
        *LINE,
        ("form", pa.string()),
        ("source", pa.string()),
        ("box", pa.list_(pa.float32())),  # left, top, right, bottom as shares of the picture
        ("raw", pa.binary()),  # of a code
    ]
)
# What decode writes. Only the last window of a content says how it ended.
WINDOWS = pa.schema(
    [
        ("content_sha256", pa.string()),
        ("window_index", pa.int32()),
        ("last", pa.bool_()),
        ("start_ms", pa.int64()),
        ("end_ms", pa.int64()),
        ("duration_ms", pa.int64()),
        ("media", pa.string()),  # "video", "picture" or "audio"
        ("decoder", pa.string()),
        ("frame_ms", pa.list_(pa.int64())),
        ("frame_height", pa.int32()),
        ("frame_width", pa.int32()),
        ("frames_THWC", pa.large_binary()),  # uint8 RGB
        ("audio_16k", pa.large_binary()),  # int16 mono samples from start_ms on; null where there is no sound
        ("audio_before", pa.large_binary()),  # and the last seconds before start_ms: speech crosses windows
        ("audio_track", pa.uint16()),  # which sound of the file that is: see pipelines/tracks.py
        ("more_sounds", pa.list_(SOUND)),  # what is heard besides: other tracks, channels that differ
        ("found", pa.list_(FOUND)),
        ("codes_ms", pa.float64()),  # what the decode child spent on codes
        ("error_code", pa.string()),
        ("error_message", pa.string()),
        ("decode_ms", pa.float64()),  # what the decode child spent on all the rest
        ("attempts", pa.int32()),  # how often a worker died or failed at it; null: never
    ]
)
SOUND_COLUMNS = ("audio_16k", "audio_before", "audio_track", "more_sounds")  # gone once everybody has listened
VOICE = pa.struct([("speech_ms", pa.int32()), ("embedding", pa.list_(pa.float16(), -1))])  # of a window's speech
SIGNALS = pa.schema([("content_sha256", pa.string()), *SIGNAL])


class ErrorCode(StrEnum):
    """Why a video was not, or not wholly, looked at."""

    NOT_FOUND = "not_found"
    NOT_A_FILE = "not_a_file"
    NOT_READABLE = "not_readable"
    FETCH_FAILED = "fetch_failed"
    CHANGED = "changed"  # its bytes are not those that were hashed
    EMPTY_FILE = "empty_file"
    TOO_LARGE = "too_large"
    TOO_LONG = "too_long"
    TOO_MANY_PIXELS = "too_many_pixels"
    UNSUPPORTED = "unsupported_format"
    PLAYLIST = "playlist_refused"
    NO_VIDEO = "no_video"
    DAMAGED = "damaged"
    TRUNCATED = "truncated"
    TIMEOUT = "timeout"
    CRASHED = "decoder_crashed"
    NOT_EXAMINED = "not_examined"
    MODEL_FAILED = "model_failed"
    MODEL_CRASHED = "model_crashed"
    MODEL_TIMEOUT = "model_timeout"


class MediaError(Exception):
    """A video that cannot be looked at: its code goes into the row, its message tells a reviewer why."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Sound:
    """One sound of a window: int16 mono samples at 16 kHz, and what came right before them."""

    track: int  # see pipelines/tracks.py
    samples: NDArray[np.int16]
    before: NDArray[np.int16]


@dataclass(frozen=True)
class Window:
    """Up to 30 s of one video as decode delivers it; see WINDOWS for units."""

    index: int
    start_ms: int
    end_ms: int
    frame_ms: tuple[int, ...] = ()
    frames_THWC: NDArray[np.uint8] | None = None
    sounds: tuple[Sound, ...] = ()
    found: tuple[Any, ...] = ()  # pipelines.decode.found.Found
    codes_ms: float = 0.0

    @property
    def audio_16k(self) -> NDArray[np.int16] | None:
        """What a player would play: the first sound, None where there is none."""
        return self.sounds[0].samples if self.sounds and len(self.sounds[0].samples) else None


def windows_of_frames(table: pa.Table) -> list[NDArray[np.uint8]]:
    """View the frames of every row in Arrow's own memory: uint8 [T, H, W, 3]; no pixels are no frames."""
    pixels = [cell for chunk in table["frames_THWC"].chunks for cell in _cells(chunk)]
    counts = [len(times) for times in table["frame_ms"]]
    heights, widths = table["frame_height"].to_pylist(), table["frame_width"].to_pylist()
    shapes = zip(pixels, counts, heights, widths, strict=True)
    return [cell.reshape(count, height or 0, width or 0, 3) for cell, count, height, width in shapes]


def sounds_of_windows(table: pa.Table) -> list[list[Sound]]:
    """View the sounds of every row, that of the first track first; a cell that is no int16 is silence."""
    found = [
        [Sound(track or 0, samples_of(own), samples_of(before))]
        for own, before, track in zip(
            table["audio_16k"], table["audio_before"], table["audio_track"].to_pylist(), strict=True
        )
    ]
    for sounds, more in zip(found, table["more_sounds"], strict=True):
        sounds += [
            Sound(cell["track"].as_py(), samples_of(cell["audio_16k"]), samples_of(cell["audio_before"]))
            for cell in (more.values if more.is_valid else ())
        ]
    return found


def samples_of(cell: pa.LargeBinaryScalar) -> NDArray[np.int16]:
    """View the samples of one cell; what is no sound is passed over, so that its neighbours are heard."""
    raw = cell.as_buffer() if cell.is_valid else b""
    if len(raw) % 2:
        log.warning("a window's sound has %d bytes, which is no int16; nobody listens to it", len(raw))
        return np.zeros(0, np.int16)
    return np.frombuffer(raw, np.int16)


def _cells(chunk: pa.LargeBinaryArray) -> list[NDArray[np.uint8]]:
    """View each cell's bytes; `cell.as_buffer()` would copy them."""
    if len(chunk) == 0:
        return []
    _, offsets, data = chunk.buffers()
    ends = np.frombuffer(offsets, np.int64)[chunk.offset :][: len(chunk) + 1]
    flat: NDArray[np.uint8] = np.frombuffer(b"" if data is None else memoryview(data).toreadonly(), np.uint8)
    return [flat[start:end] for start, end in pairwise(ends)]


def lists_of_vectors(vectors_ND: NDArray[np.float32], counts: Sequence[int]) -> pa.Array:
    """Cut [N, D] vectors into one list a window: list<fixed_size_list<float32, D>>."""
    offsets = pa.array(np.cumsum([0, *counts], dtype=np.int32))
    flat = pa.array(np.ascontiguousarray(vectors_ND, np.float32).reshape(-1))
    return pa.ListArray.from_arrays(offsets, pa.FixedSizeListArray.from_arrays(flat, vectors_ND.shape[1]))


def vectors_of(column: pa.Array | pa.ChunkedArray) -> NDArray[np.float32]:
    """Undo `lists_of_vectors` without the cuts: float32 [N, D]."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    lists = array.flatten()
    return np.asarray(lists.flatten(), np.float32).reshape(-1, lists.type.list_size)
