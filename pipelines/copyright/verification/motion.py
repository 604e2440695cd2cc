"""What moves: places that show something else at another moment of the span, in the reference or in the upload."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipelines.copyright.verification.detail import BLOCK, Blocks
from pipelines.copyright.verification.features import Grey, Picture
from pipelines.copyright.verification.placement import applied, scale_of

Pair = tuple[Picture, Picture]  # of the upload and of the reference
MOVED = 0.75  # correlation of a place with itself at another moment below which it moves
NOISE = 4.0  # grey levels of spread that are nothing


def moving(blocks: Blocks, pair: Pair, other: Pair) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which blocks of a pair show something else in the other one: in the upload, and in the reference."""
    ours, theirs = (
        _changed(picture, later, applied(to, blocks.centre_N2), round(BLOCK * scale_of(to)) if blocks.soft else BLOCK)
        for picture, later, to in zip(pair, other, (blocks.to_upload_23, blocks.to_ref_23), strict=True)
    )
    return ours, theirs


def _changed(picture: Picture, other: Picture, at_N2: NDArray[np.float64], side: int) -> NDArray[np.bool_]:
    """Whether a picture looks otherwise around some points, so many pixels wide, at another moment."""
    if picture.size != other.size:
        return np.ones(len(at_N2), np.bool_)
    likeness = _likeness(picture.grey, other.grey, side)
    columns = np.clip(np.round(at_N2[:, 0]).astype(int), 0, picture.size[0] - 1)
    rows = np.clip(np.round(at_N2[:, 1]).astype(int), 0, picture.size[1] - 1)
    return np.asarray(likeness[rows, columns] < MOVED, np.bool_)


def _likeness(one: Grey, other: Grey, side: int) -> Grey:
    """Local correlation of two pictures of one size; 1 where both are flat."""
    import cv2

    def mean(values: Grey) -> Grey:
        return np.asarray(cv2.blur(values, (side, side)), np.float32)

    first, second = mean(one), mean(other)
    cross = mean(one * other) - first * second
    spreads = mean(one * one) - first**2, mean(other * other) - second**2
    noise = NOISE**2
    return np.asarray((cross + noise) / np.sqrt((spreads[0] + noise) * (spreads[1] + noise)), np.float32)
