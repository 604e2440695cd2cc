"""Where two contents run along each other, by what changes in them: a second opinion on how they are aligned.

A game, a studio or a stage looks alike at every second, so frames of two copies agree whatever the offset, and the
alignment by how alike they are ends a second or more beside the truth. What a content shows less what it shows all the
time is its own course; of two copies the courses agree along one line only. (Centring descriptors to take out what is
common is that of H. Jegou and O. Chum, "Negative evidences and co-occurences in image retrieval", ECCV 2012.)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.copyright.claims import Match
from pipelines.copyright.fingerprint import Fingerprint
from pipelines.copyright.picture.align import OUTSIDE_MS, SPEEDS, best_stretch
from pipelines.copyright.picture.hits import FLAT
from pipelines.copyright.picture.views import View

STEP_MS = 200  # of offset
MOST_TRIED = 2_000_000  # frames times offsets: of long contents the step is longer
OTHER_SPEED = 0.95  # of what a line is worth that is not of the same speed
LEAST_FRAMES = 2  # on a line
APART_MS = 1500  # of two lines
COST = 0.1  # likeness that a frame of the stretch has to add
Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Course:
    """What changes in a content, frame by frame."""

    frame_ms: NDArray[np.int64]  # [N], ascending
    rows_ND: Floats  # unit vectors, or zeros where nothing changes
    duration_ms: int

    @classmethod
    def of(cls, print_: Fingerprint) -> Course:
        """Take off the mean of the frames as the tower saw them; those too plain to be anybody's are left out."""
        rows = np.flatnonzero((print_.view == View.FRAME) & (print_.pdq_quality >= FLAT))
        rows = rows[np.argsort(print_.frame_ms[rows], kind="stable")]
        found_ND = print_.descriptors_ND[rows].astype(np.float32)
        if len(rows):
            found_ND = found_ND - found_ND.mean(axis=0)
        found_ND /= np.linalg.norm(found_ND, axis=1, keepdims=True) + 1e-3
        return cls(print_.frame_ms[rows], found_ND, print_.duration_ms)


def lines(one: Course, other: Course, most: int = 2) -> list[Match]:
    """Return the stretches of the best lines of two contents, best first; the score is how alike they are along it."""
    if len(one.frame_ms) < LEAST_FRAMES or len(other.frame_ms) < LEAST_FRAMES:
        return []
    likeness_NM = one.rows_ND @ other.rows_ND.T
    worth, speeds, offsets = (np.concatenate(column) for column in zip(*_tried(one, other, likeness_NM), strict=True))
    found: list[Match] = []
    middles: list[float] = []
    for at in np.argsort(-worth, kind="stable"):
        middle = float(offsets[at] + speeds[at] * one.duration_ms / 2)
        if worth[at] <= 0 or len(found) == most:
            break
        if all(abs(middle - known) >= APART_MS for known in middles):
            middles.append(middle)
            found += _stretch(one, other, likeness_NM, float(speeds[at]), float(offsets[at]))
    return found


def _tried(one: Course, other: Course, likeness_NM: Floats) -> Iterator[tuple[Floats, Floats, Floats]]:
    """For each speed what every offset is worth: the sum of likeness over the root of the frames that count."""
    for speed in SPEEDS:
        first, last = -speed * one.duration_ms, float(other.duration_ms)
        step = max(STEP_MS, (last - first) * len(one.frame_ms) * len(SPEEDS) / MOST_TRIED)
        offsets = np.arange(first, last, step)
        at_ms = speed * one.frame_ms[:, None] + offsets
        inside = _inside(at_ms, other)
        total = np.where(inside, _between(likeness_NM, other.frame_ms, at_ms), 0).sum(axis=0)
        count = inside.sum(axis=0)
        worth = np.where(count >= LEAST_FRAMES, total / np.sqrt(np.maximum(count, 1)), -1)
        yield worth * (1 if speed == 1 else OTHER_SPEED), np.full(len(offsets), speed), offsets


def _inside(at_ms: Floats, other: Course) -> NDArray[np.bool_]:
    first, last = other.frame_ms[0] - OUTSIDE_MS, other.frame_ms[-1] + OUTSIDE_MS
    return np.asarray((at_ms >= first) & (at_ms <= last))


def _between(likeness_NM: Floats, frame_ms: NDArray[np.int64], at_ms: Floats) -> Floats:
    """Likeness of each frame to what lies at some times, between two frames of both."""
    after = np.clip(np.searchsorted(frame_ms, at_ms), 1, len(frame_ms) - 1)
    before_ms, after_ms = frame_ms[after - 1], frame_ms[after]
    share = np.clip((at_ms - before_ms) / np.maximum(1, after_ms - before_ms), 0, 1)
    rows = np.arange(len(likeness_NM)).reshape(-1, *[1] * (at_ms.ndim - 1))
    return np.asarray((1 - share) * likeness_NM[rows, after - 1] + share * likeness_NM[rows, after])


def _stretch(one: Course, other: Course, likeness_NM: Floats, speed: float, offset_ms: float) -> Iterator[Match]:
    """The part of a line along which they are alike."""
    at_ms = speed * one.frame_ms + offset_ms
    inside = _inside(at_ms, other)
    along = np.where(inside, _between(likeness_NM, other.frame_ms, at_ms), -1)
    first, past, _ = best_stretch(along - COST)
    if past - first < LEAST_FRAMES:
        return
    half_ms = float(np.median(np.diff(one.frame_ms))) / 2
    start, end = max(0.0, one.frame_ms[first] - half_ms), min(one.duration_ms, one.frame_ms[past - 1] + half_ms)
    start = max(start, -offset_ms / speed)
    end = min(end, (other.duration_ms - offset_ms) / speed)
    if end - start < 1:
        return
    places = (round(start), round(end), round(speed * start + offset_ms), round(speed * end + offset_ms))
    yield Match("Image", float(np.clip(along[first:past].mean(), 0, 1)), *places, speed)
