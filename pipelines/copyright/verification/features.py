"""Local features of stills, found once a still: SIFT keypoints, and what a mirrored picture's would be.

D. Lowe, "Distinctive Image Features from Scale-Invariant Keypoints", IJCV 2004. A descriptor is 4 x 4 places of 8
directions in the keypoint's own frame; mirroring the picture turns the rows of places over and the sense of the
directions, so the mirrored picture's descriptors are the same numbers in another order and cost nothing. Quarter turns
need nothing: a keypoint has a direction.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.copyright.picture.layout import Rectangle, inner, rectangles

Grey = NDArray[np.float32]  # [H, W], 0 to 255

FEATURES = 400  # strongest, a picture
SIDE = 160  # pixels of the shorter side on which they are looked for: OpenCV doubles the picture first
CONTRAST = 0.015  # of OpenCV's; its own default of 0.04 finds too little in a blurred copy
MOST_BOXES = 3
_PLACES, _DIRECTIONS = 4, 8
_MIRRORED = np.array(
    [
        ((_PLACES - 1 - row) * _PLACES + column) * _DIRECTIONS + (-direction) % _DIRECTIONS
        for row in range(_PLACES)
        for column in range(_PLACES)
        for direction in range(_DIRECTIONS)
    ]
)


@dataclass(frozen=True)
class Features:
    """Keypoints of a picture, in its pixels, and their descriptors, of length 1 (the root of SIFT's shares)."""

    points_N2: NDArray[np.float32]
    descriptors_ND: NDArray[np.float32]

    @property
    def mirrored(self) -> Features:
        """Descriptors as the mirrored picture would have them; the points stay where they are."""
        return Features(self.points_N2, self.descriptors_ND[:, _MIRRORED])


class Picture:
    """One still: its luma, its features and the boxes in it, each found when first asked for."""

    def __init__(self, jpeg: bytes) -> None:
        """Decode; raises ValueError for bytes that are no picture."""
        import cv2

        pixels = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR) if jpeg else None
        if pixels is None:
            raise ValueError(f"a still of {len(jpeg)} bytes is no picture")
        self.pixels_HWC: NDArray[np.uint8] = np.asarray(pixels, np.uint8)
        self.grey: Grey = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY).astype(np.float32)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.grey.shape[1], self.grey.shape[0]

    def coarse(self, side: int) -> Grey:
        """Shrunk to so many pixels on the shorter side and band-passed."""
        import cv2

        known: dict[int, Grey] = self.__dict__.setdefault("_coarse", {})
        if side not in known:
            width, height = self.size
            scale = side / min(width, height)
            small = cv2.resize(self.grey, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
            known[side] = np.asarray(
                cv2.GaussianBlur(small, (0, 0), 1) - cv2.GaussianBlur(small, (0, 0), 6), np.float32
            )
        return known[side]

    @cached_property
    def features(self) -> Features:
        """Of the whole picture."""
        return features_of(self.grey)

    @cached_property
    def boxes(self) -> list[Rectangle]:
        """Pictures inside this one: what borders frame, what is stacked, what lies in a corner."""
        width, height = self.size
        return [inner(box, height, width) for box in rectangles(self.pixels_HWC[None], MOST_BOXES)]

    def features_in(self, box: Rectangle) -> Features:
        """Of one box, cut out and looked at as large as a whole picture; points are in this picture's pixels."""
        known: dict[Rectangle, Features] = self.__dict__.setdefault("_of_boxes", {})
        if box not in known:
            found = features_of(self.grey[box.top : box.bottom, box.left : box.right])
            known[box] = Features(found.points_N2 + np.array([box.left, box.top], np.float32), found.descriptors_ND)
        return known[box]


class FeatureCache:
    """Pictures of stills, the last ones asked for; one cache a batch, because uploads share references."""

    def __init__(self, most: int = 512) -> None:
        """Hold at most so many, some 1 MB each."""
        self._most = most
        self._held: OrderedDict[bytes, Picture] = OrderedDict()

    def picture(self, jpeg: bytes) -> Picture:
        """Decode, or find again."""
        held = self._held.get(jpeg)
        if held is None:
            held = self._held[jpeg] = Picture(jpeg)
        self._held.move_to_end(jpeg)
        if len(self._held) > self._most:
            self._held.popitem(last=False)
        return held


def features_of(grey: Grey) -> Features:
    """Find the features of luma [H, W]; none where there is nothing to hold on to."""
    import cv2

    height, width = grey.shape
    scale = SIDE / max(1, min(height, width))
    small = cv2.resize(
        grey,
        (max(8, round(width * scale)), max(8, round(height * scale))),
        interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC,
    )
    points, descriptors = _sift().detectAndCompute(np.clip(small, 0, 255).astype(np.uint8), None)
    if descriptors is None or not len(points):
        return Features(np.zeros((0, 2), np.float32), np.zeros((0, _PLACES**2 * _DIRECTIONS), np.float32))
    at = np.array([point.pt for point in points], np.float32)
    factors = np.array([width / small.shape[1], height / small.shape[0]], np.float32)
    shares = descriptors / np.maximum(descriptors.sum(axis=1, keepdims=True), 1e-6)
    return Features((at + 0.5) * factors - 0.5, np.sqrt(shares).astype(np.float32))


def _sift() -> Any:
    import cv2

    return cv2.SIFT_create(  # type: ignore[attr-defined]  # its stubs lack it
        FEATURES, contrastThreshold=CONTRAST
    )
