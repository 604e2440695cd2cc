"""Boxes seen by a camera: the walls of buildings, rooms and packages, painted from far to near."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.copies.lookalikes.canvas import Colour, Size

Point = NDArray[np.float64]  # (3,): x to the right, y up, z away
# Corners of each side, as seen from outside: top left, top right, bottom right, bottom left.
SIDES: dict[str, Sequence[tuple[int, int, int]]] = {
    "front": ((0, 1, 0), (1, 1, 0), (1, 0, 0), (0, 0, 0)),
    "right": ((1, 1, 0), (1, 1, 1), (1, 0, 1), (1, 0, 0)),
    "back": ((1, 1, 1), (0, 1, 1), (0, 0, 1), (1, 0, 1)),
    "left": ((0, 1, 1), (0, 1, 0), (0, 0, 0), (0, 0, 1)),
    "top": ((0, 1, 1), (1, 1, 1), (1, 1, 0), (0, 1, 0)),
    "bottom": ((0, 0, 0), (1, 0, 0), (1, 0, 1), (0, 0, 1)),
}


@dataclass(frozen=True)
class Box:
    """A box with a picture on each side; `inside` is a room, of which the far sides are seen."""

    low: tuple[float, float, float]
    high: tuple[float, float, float]
    sides: Mapping[str, Image.Image]
    inside: bool = False


@dataclass(frozen=True)
class Camera:
    """Where the camera stands and looks, and how much it takes in (degrees from left to right)."""

    eye: tuple[float, float, float]
    target: tuple[float, float, float]
    degrees: float = 60.0


def render(boxes: Sequence[Box], camera: Camera, size: Size, back: Colour) -> Image.Image:
    """Paint the sides that face the camera; boxes must not cut into each other."""
    picture = np.full((size[1], size[0], 3), back, np.uint8)
    eye, turn = _view(camera)
    focal = size[0] / 2 / np.tan(np.radians(camera.degrees) / 2)
    painted = []
    for box in boxes:
        low, high = np.array(box.low), np.array(box.high)
        for name, texture in box.sides.items():
            corners = low + np.array(SIDES[name], float) * (high - low)
            outward = np.cross(corners[1] - corners[0], corners[3] - corners[0])
            facing = float(outward @ (eye - corners.mean(0)))
            if (facing > 0) != box.inside:
                seen = (corners - eye) @ turn.T
                if seen[:, 2].min() > 0.05:
                    painted.append((box.inside, float(np.linalg.norm(seen.mean(0))), seen, texture))
    for inside, _, seen, texture in sorted(painted, key=lambda side: (not side[0], -side[1])):
        places = np.stack(
            [size[0] / 2 + focal * seen[:, 0] / seen[:, 2], size[1] / 2 - focal * seen[:, 1] / seen[:, 2]], 1
        )
        _paste(picture, texture.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if inside else texture, places)
    return Image.fromarray(picture)


def _view(camera: Camera) -> tuple[Point, NDArray[np.float64]]:
    eye, target = np.array(camera.eye, float), np.array(camera.target, float)
    ahead = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross((0.0, 1.0, 0.0), ahead)
    right /= np.linalg.norm(right)
    return eye, np.stack([right, np.cross(ahead, right), ahead])


def _paste(picture: NDArray[np.uint8], texture: Image.Image, places: NDArray[np.float64]) -> None:
    width, height = texture.size
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    warp = cv2.getPerspectiveTransform(corners, places.astype(np.float32))
    size = (picture.shape[1], picture.shape[0])
    drawn = cv2.warpPerspective(np.asarray(texture.convert("RGB")), warp, size, flags=cv2.INTER_LINEAR)
    mask = cv2.warpPerspective(np.full((height, width), 255, np.uint8), warp, size)
    picture[mask > 127] = drawn[mask > 127]
