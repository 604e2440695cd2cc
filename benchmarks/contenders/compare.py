"""Hold what a contender wrote to what Nightjar wrote: the same frames of the same videos, the same scores.

Decoders agree to the bit; scalers do not (OpenCV's area, swscale's and PyTorch's bilinear), and a tool that takes the
first frame after a tick shows the models another picture. So times are held to the millisecond limit frame by frame,
and what the models say is held at its median, and at its 99th percentile, which a cut in the picture may move.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks.contenders.contract import FEATURES, ROWS
from model_registry.errors import NightjarError


@dataclass(frozen=True)
class Gaps:
    """How far two outputs are apart, or how far they may be."""

    largest_ms: float = 60.0  # between a frame and its counterpart
    median_cosine: float = 0.02  # cosine distance of their embeddings
    p99_cosine: float = 0.1
    median_score: float = 0.005
    p99_score: float = 0.1

    def beyond(self, allowed: Gaps) -> list[str]:
        """Name every gap that is wider than allowed."""
        pairs = {field.name: (getattr(self, field.name), getattr(allowed, field.name)) for field in fields(self)}
        return [f"{name} is {found:.4g}, allowed are {most:g}" for name, (found, most) in pairs.items() if found > most]


ALLOWED = Gaps()


def compared(name: str, theirs: Path, ours: Path, allowed: Gaps = ALLOWED) -> Gaps:
    """Return the gaps between two outputs; raises NightjarError where they are not those of the same work."""
    one, other = _read(theirs), _read(ours)
    _check_frames(name, one["video"].to_pylist(), other["video"].to_pylist())
    cosine, score = _cosine(one, other), np.abs(_column(one, "score") - _column(other, "score"))
    gaps = Gaps(
        float(np.abs(_column(one, "frame_ms") - _column(other, "frame_ms")).max(initial=0)),
        float(np.median(cosine)),
        float(np.quantile(cosine, 0.99)),
        float(np.median(score)),
        float(np.quantile(score, 0.99)),
    )
    if wide := gaps.beyond(allowed):
        raise NightjarError(f"contender {name} did other work than nightjar: {'; '.join(wide)}")
    return gaps


def _check_frames(name: str, theirs: list[str], ours: list[str]) -> None:
    """Both are sorted: name the first video whose frames are more or fewer."""
    if not ours:
        raise NightjarError(f"contender {name} cannot be compared: nightjar wrote no frame")
    for video in sorted({*theirs, *ours}):
        if (found := theirs.count(video)) != (wanted := ours.count(video)):
            where = Path(video).name
            raise NightjarError(f"contender {name} wrote {found} frames of {where}, nightjar {wanted}")


def _read(path: Path) -> pa.Table:
    return pq.read_table(path, schema=ROWS).sort_by([("video", "ascending"), ("frame_ms", "ascending")])


def _column(table: pa.Table, name: str) -> NDArray[np.float64]:
    return np.asarray(table[name].to_numpy(), np.float64)


def _cosine(one: pa.Table, other: pa.Table) -> NDArray[np.float64]:
    """One minus the cosine of each pair of embeddings."""
    first, second = (_unit(table) for table in (one, other))
    return np.asarray(1.0 - (first * second).sum(axis=1), np.float64)


def _unit(table: pa.Table) -> NDArray[np.float64]:
    flat = table["embedding"].combine_chunks().flatten().to_numpy()
    vectors_ND = np.asarray(flat, np.float64).reshape(-1, FEATURES)
    return np.asarray(vectors_ND / np.linalg.norm(vectors_ND, axis=1, keepdims=True), np.float64)
