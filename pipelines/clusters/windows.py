"""The vectors of one content: one of the whole and one a window, each the mean of whitened descriptors.

The mean of a stretch changes less under edits than a frame does, and a copy of a whole is found by one comparison. An
excerpt is no longer like the whole it was cut from, but like a window of it: a shot, or 30 s of a longer one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from pipelines.clusters.joined import Matrix
from pipelines.copyright.fingerprint import Fingerprint
from pipelines.copyright.picture.hits import FLAT
from pipelines.copyright.picture.pdq import GOOD
from pipelines.copyright.picture.space import unit
from pipelines.copyright.picture.views import View
from pipelines.rows import PDQ_BYTES

LONGEST_MS = 30_000
SHORTEST_MS = 3000  # of a window that a cut may end
CUT = 0.3  # similarity of a frame to its window's mean below which there is a cut
FRAME_MS = 1000  # that the last frame of a window stands for, at least


@dataclass(frozen=True)
class Clip:
    """Vectors of one content: row 0 is of the whole, the others of its windows in order of time.

    A content without a frame that could be anybody's has no rows.
    """

    start_ms: NDArray[np.int64]  # [W]
    end_ms: NDArray[np.int64]  # [W]
    vectors_WD: Matrix  # unit vectors, float16
    pdq_WB: Matrix  # uint8, hash of the middle frame
    hashed_W: NDArray[np.bool_]  # whether that hash says something

    def __len__(self) -> int:
        return len(self.start_ms)


def clip_of(fingerprint: Fingerprint) -> Clip:
    """Pool the frames as the tower saw them; `fingerprint` has descriptors of a space."""
    keep = (fingerprint.view == View.FRAME) & (fingerprint.pdq_quality >= FLAT)
    rows = np.flatnonzero(keep)
    rows = rows[np.argsort(fingerprint.frame_ms[rows], kind="stable")]
    if not len(rows):
        return empty(fingerprint.descriptors_ND.shape[1])
    frame_ms, descriptors_ND = fingerprint.frame_ms[rows], fingerprint.descriptors_ND[rows].astype(np.float32)
    windows = [slice(0, len(rows)), *_windows(frame_ms, descriptors_ND)]
    middle = rows[[(window.start + window.stop) // 2 for window in windows]]
    step_ms = max(FRAME_MS, int(np.median(np.diff(frame_ms)))) if len(rows) > 1 else FRAME_MS
    return Clip(
        np.array([frame_ms[window.start] for window in windows], np.int64),
        np.array([frame_ms[window.stop - 1] + step_ms for window in windows], np.int64),
        unit(np.stack([descriptors_ND[window].mean(axis=0) for window in windows])).astype(np.float16),
        fingerprint.pdq_NB[middle],
        fingerprint.pdq_quality[middle] >= GOOD,
    )


def empty(dimensions: int) -> Clip:
    """Of a content that shows nothing."""
    none = np.zeros(0, np.int64)
    hashes = np.zeros((0, PDQ_BYTES), np.uint8)
    return Clip(none, none, np.zeros((0, dimensions), np.float16), hashes, np.zeros(0, np.bool_))


def _windows(frame_ms: NDArray[np.int64], descriptors_ND: NDArray[np.float32]) -> Iterator[slice]:
    """Cut where a frame is unlike the mean of its window so far, and after 30 s."""
    first, total = 0, descriptors_ND[0].copy()
    for row in range(1, len(frame_ms)):
        lasted_ms = frame_ms[row] - frame_ms[first]
        length = float(np.linalg.norm(total)) or 1.0
        cut = lasted_ms >= SHORTEST_MS and float(descriptors_ND[row] @ total) / length < CUT
        if cut or lasted_ms >= LONGEST_MS:
            yield slice(first, row)
            first, total = row, np.zeros_like(total)
        total += descriptors_ND[row]
    yield slice(first, len(frame_ms))


@dataclass(frozen=True)
class Vectors:
    """The clips of many contents, end to end, in any order of contents."""

    contents: tuple[str, ...]  # sha256, ascending
    owner: NDArray[np.int64]  # [V], a place in `contents`; rows of one stand together
    whole: NDArray[np.bool_]  # [V], not a window
    clip: Clip

    @classmethod
    def of(cls, clips: Mapping[str, Clip], dimensions: int) -> Vectors:
        """Lay clips end to end, whatever their order."""
        contents = tuple(sorted(clips))
        ordered = [clips[sha256] for sha256 in contents]
        counts = [len(one) for one in ordered]
        parts = [empty(dimensions), *ordered]
        joined = Clip(*(np.concatenate([getattr(one, field.name) for one in parts]) for field in fields(Clip)))
        owner = np.repeat(np.arange(len(contents)), counts)
        whole = np.concatenate([np.zeros(0, np.bool_), *(np.arange(count) == 0 for count in counts)])
        return cls(contents, owner, whole, joined)

    @property
    def first(self) -> NDArray[np.int64]:
        """The first row of each content; of one that has none a number that means nothing."""
        found = np.zeros(len(self.contents), np.int64)
        found[self.owner[::-1]] = np.arange(len(self.owner))[::-1]
        return found

    def __len__(self) -> int:
        return len(self.owner)
