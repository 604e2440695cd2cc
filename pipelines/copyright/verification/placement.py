"""Where the reference's picture lies in the upload's: guesses from layout, and a model from matched features."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.copyright.picture.layout import Rectangle
from pipelines.copyright.verification.features import Features, Picture

RATIO = 0.85  # Lowe's test: the best match at most this far, of the second best
LEAST_POINTS = 6  # consistent matches that make a model
PLENTY = 25  # points with which a model needs no other beside it
REACH = 3.0  # pixels that a point may lie off the model
SCALES = (0.15, 6.0)  # of the reference in the upload
STRETCH = 2.2  # how much more one direction may be scaled than the other
Affine = NDArray[np.float64]  # [2, 3], pixels of the reference to pixels of the upload


@dataclass(frozen=True)
class Placement:
    """An affine map of the reference's picture into the upload's, and what speaks for it."""

    affine_23: Affine
    points_N2: NDArray[np.float32]  # matched points of the upload, and ...
    ref_points_N2: NDArray[np.float32]  # ... of the reference; none of a guess

    @property
    def scale(self) -> float:
        """Pixels of the upload a pixel of the reference."""
        return scale_of(self.affine_23)

    def moved_from(self, other: Placement, size: tuple[int, int]) -> float:
        """How far the two maps put the corners of the reference apart, in shares of its diagonal in the upload."""
        corners = corners_of(size)
        apart = np.linalg.norm(applied(self.affine_23, corners) - applied(other.affine_23, corners), axis=1)
        return float(apart.mean() / (np.hypot(*size) * max(self.scale, other.scale)))


def scale_of(affine_23: Affine) -> float:
    """How many times longer a map makes things, both directions together."""
    return float(np.sqrt(abs(np.linalg.det(affine_23[:, :2]))))


def corners_of(size: tuple[int, int]) -> NDArray[np.float64]:
    """The four corners of a picture."""
    width, height = size
    return np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)


def applied(affine_23: Affine, points_N2: NDArray[np.floating]) -> NDArray[np.float64]:
    """Map points."""
    return np.asarray(points_N2 @ affine_23[:, :2].T + affine_23[:, 2], np.float64)


_NO_POINTS = np.zeros((0, 2), np.float32)


def guesses(upload: Picture, reference: Picture) -> Iterator[Placement]:
    """The whole reference on the whole upload, or on a box in it: as it is, mirrored, turned."""
    width, height = upload.size
    ref_width, ref_height = reference.size
    whole = Rectangle(0, 0, height, width)
    upright = abs(np.log((width / height) / (ref_width / ref_height)))
    lying = abs(np.log((width / height) * (ref_width / ref_height)))
    yield _onto(whole, reference.size, 0, mirrored=False)
    yield _onto(whole, reference.size, 0, mirrored=True)
    yield _onto(whole, reference.size, 2, mirrored=False)
    if lying < upright + 0.1:
        yield _onto(whole, reference.size, 1, mirrored=False)
        yield _onto(whole, reference.size, 3, mirrored=False)
    for box in upload.boxes:
        yield _onto(box, reference.size, 0, mirrored=False)
        yield _onto(box, reference.size, 0, mirrored=True)


def _onto(box: Rectangle, ref_size: tuple[int, int], quarters: int, *, mirrored: bool) -> Placement:
    """Stretch the reference, turned and mirrored, onto a box."""
    corners = corners_of(ref_size)
    goal = np.array(
        [[box.left, box.top], [box.right, box.top], [box.right, box.bottom], [box.left, box.bottom]], np.float64
    )
    goal = np.roll(goal, -quarters, axis=0)
    if mirrored:
        goal = goal[[1, 0, 3, 2]]
    system = np.concatenate([corners[:3], np.ones((3, 1))], axis=1)
    return Placement(np.linalg.solve(system, goal[:3]).T, _NO_POINTS, _NO_POINTS)


def modelled(upload: Picture, reference: Picture, boxes: bool = True) -> list[Placement]:
    """Models from features, most points first: of the whole upload, and, where that has few, of boxes in it."""
    found = _both_ways(upload.features, reference.features)
    if boxes and max((len(one.points_N2) for one in found), default=0) < PLENTY:
        for box in upload.boxes:
            found += _both_ways(upload.features_in(box), reference.features)
    return sorted(found, key=lambda one: -len(one.points_N2))


def _both_ways(upload: Features, reference: Features) -> list[Placement]:
    """As it is, and mirrored."""
    return [one for theirs in (reference, reference.mirrored) if (one := fitted(upload, theirs))]


def fitted(upload: Features, reference: Features) -> Placement | None:
    """Fit an affine map to matched features by RANSAC (MAGSAC++, Barath et al., CVPR 2020); None without one."""
    import cv2

    pairs = matched(upload, reference)
    if len(pairs) < LEAST_POINTS:
        return None
    ours, theirs = upload.points_N2[pairs[:, 0]], reference.points_N2[pairs[:, 1]]
    affine, inside = cv2.estimateAffine2D(
        theirs, ours, method=cv2.USAC_MAGSAC, ransacReprojThreshold=REACH, maxIters=1000, confidence=0.995
    )
    if affine is None or not sane(affine):
        return None
    kept = inside.reshape(-1).astype(bool) & (np.linalg.norm(applied(affine, theirs) - ours, axis=1) <= REACH)
    if int(kept.sum()) < LEAST_POINTS:
        return None
    return Placement(np.asarray(affine, np.float64), ours[kept], theirs[kept])


def matched(upload: Features, reference: Features) -> NDArray[np.int64]:
    """Pairs of features that are each other's nearest, and clearly: [M, 2]."""
    if len(upload.points_N2) < 2 or len(reference.points_N2) < 2:
        return np.zeros((0, 2), np.int64)
    likeness = upload.descriptors_ND @ reference.descriptors_ND.T
    best = likeness.argmax(axis=1)
    rows = np.arange(len(best))
    first = likeness[rows, best]
    second = np.partition(likeness, -2, axis=1)[:, -2]
    clear = (1 - first) <= RATIO**2 * (1 - second)  # squared distances of unit vectors
    mutual = likeness.argmax(axis=0)[best] == rows
    kept = rows[clear & mutual]
    return np.stack([kept, best[kept]], axis=1)


def sane(affine_23: Affine) -> bool:
    """Whether a map is one that an editor makes: not too small, not too stretched."""
    if not np.all(np.isfinite(affine_23)):
        return False
    wide, narrow = np.linalg.svd(affine_23[:, :2], compute_uv=False)
    return bool(narrow > 0 and wide / narrow <= STRETCH and SCALES[0] <= np.sqrt(wide * narrow) <= SCALES[1])
