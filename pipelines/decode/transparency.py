"""What is transparent, and what it is laid on."""

from __future__ import annotations

from functools import cache
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

BRIGHT = 170  # mean grey level of what is drawn on nothing: from here on it would be lost on white


def has_alpha(layout: av.VideoFormat) -> bool:
    """Whether pictures of this layout may be transparent in places."""
    return _has_alpha(layout.name)


@cache
def _has_alpha(name: str) -> bool:
    return any(component.is_alpha for component in av.VideoFormat(name).components)


def on_ground(clear_HWC: NDArray[Any]) -> NDArray[np.uint8]:
    """Lay uint8 RGBA on white as a page does, or on black where what is drawn would be lost on white."""
    alpha_HW1 = clear_HWC[..., 3:].astype(np.uint16)
    drawn, total = clear_HWC[..., :3].astype(np.uint16) * alpha_HW1, int(alpha_HW1.sum())
    ground = 0 if total and drawn.sum(dtype=np.int64) / (3 * total) >= BRIGHT and total < 255 * alpha_HW1.size else 255
    return np.asarray((drawn + ground * (255 - alpha_HW1) + 127) // 255, np.uint8)
