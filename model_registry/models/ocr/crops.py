"""Frames and the stretches of text in them, as the two graphs of an OCR want them.

A crop is padded to a width that depends on nothing but itself, and crops of one width are read together: what is read
does not depend on what else was in the batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Box = tuple[float, float, float, float]  # left, top, right, bottom in pixels

SIDE, LONGEST, STEP = (
    256,
    1024,
    32,
)  # pixels for detection: 256 reads captions from 12 pixels on at a fifth of 736's time
STRIP_HEIGHT, STRIP_STEP, STRIP_LONGEST = 48, 64, 1920  # pixels for recognition
RUN_WIDTH = 4096  # pixels in one run: 18,710 scores for every eighth are 38 MB


@dataclass(frozen=True)
class Crop:
    """One stretch of text, upright; `box` is what it covers of frame number `frame`."""

    frame: int
    pixels_HWC: NDArray[np.uint8]
    box: Box

    @property
    def width(self) -> int:
        """Pixels of the strip without padding."""
        height, width, _ = self.pixels_HWC.shape
        return int(min(STRIP_LONGEST, max(1, -(-STRIP_HEIGHT * width // height))))

    @property
    def padded(self) -> int:
        """Pixels of the strip with padding."""
        return -(-self.width // STRIP_STEP) * STRIP_STEP


def checked(frame_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the frame, or raise ValueError where it is none."""
    if frame_HWC.dtype != np.uint8 or frame_HWC.ndim != 3 or frame_HWC.shape[2] != 3 or min(frame_HWC.shape) < 2:
        found = f"{frame_HWC.dtype} {frame_HWC.shape}"
        raise ValueError(f"a frame is {found}, wanted uint8 (height, width, 3) from 2 x 2 on")
    return frame_HWC


def for_detection(frame_HWC: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Scale to 256 pixels on the shorter side, in steps of 32; float32 [1, 3, H, W], BGR from -1 to 1."""
    import cv2

    height, width = frame_HWC.shape[:2]
    scale = SIDE / min(height, width)
    tall, wide = (min(LONGEST, max(STEP, round(side * scale / STEP) * STEP)) for side in (height, width))
    smaller = scale < 1
    small_HWC = cv2.resize(frame_HWC, (wide, tall), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
    return _normal(small_HWC)[None]


def crop_out(frame: int, frame_HWC: NDArray[np.uint8], corners_42: NDArray[np.float32]) -> Crop:
    """Cut a quadrilateral out of a frame, as wide and high as its sides; what is far higher than wide is turned."""
    from rapidocr.utils.process_img import get_rotate_crop_image

    (left, top), (right, bottom) = corners_42.min(0).tolist(), corners_42.max(0).tolist()
    pixels_HWC = get_rotate_crop_image(frame_HWC, np.ascontiguousarray(corners_42, np.float32))
    return Crop(frame, pixels_HWC, (left, top, right, bottom))


def runs(crops: Sequence[Crop]) -> Iterator[list[int]]:
    """Yield the numbers of crops to read together: of one width, at most RUN_WIDTH pixels in all."""
    by_width: dict[int, list[int]] = {}
    for number, crop in enumerate(crops):
        by_width.setdefault(crop.padded, []).append(number)
    for padded, numbers in sorted(by_width.items()):
        most = max(1, RUN_WIDTH // padded)
        for start in range(0, len(numbers), most):
            yield numbers[start : start + most]


def strips(crops: Sequence[Crop]) -> NDArray[np.float32]:
    """Scale crops of one padded width to strips; float32 [N, 3, 48, W], BGR from -1 to 1, 0 where padded."""
    import cv2

    strips_NCHW = np.zeros((len(crops), 3, STRIP_HEIGHT, crops[0].padded), np.float32)
    for strip_CHW, crop in zip(strips_NCHW, crops, strict=True):
        strip_CHW[:, :, : crop.width] = _normal(cv2.resize(crop.pixels_HWC, (crop.width, STRIP_HEIGHT)))
    return strips_NCHW


def _normal(rgb_HWC: NDArray[np.uint8]) -> NDArray[np.float32]:
    bgr_CHW = rgb_HWC[:, :, ::-1].transpose(2, 0, 1)
    return np.ascontiguousarray(bgr_CHW, np.float32) / 127.5 - 1
