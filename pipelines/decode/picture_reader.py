"""A still picture as a video of one frame, by Pillow: upright, and refused unread if its header is too large."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from pipelines.decode.limits import Limits, Sampling
from pipelines.rows import ErrorCode, MediaError

FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "AVIF")


def read_picture(path: Path, sampling: Sampling, limits: Limits) -> NDArray[np.uint8]:
    """Return uint8 [1, H, W, 3]; transparency is laid on white. Raises MediaError."""
    Image.MAX_IMAGE_PIXELS = None  # the header is held to our own limit below
    try:
        with Image.open(path, formats=FORMATS) as picture:
            limits.check_pixels(*picture.size)
            width, height = sampling.frame_size(*picture.size)
            picture.draft("RGB", (width, height))
            upright = ImageOps.exif_transpose(picture).convert("RGBA")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise MediaError(ErrorCode.DAMAGED, f"the picture cannot be read: {error}") from error
    size = sampling.frame_size(*upright.size)
    on_white = Image.alpha_composite(Image.new("RGBA", upright.size, "white"), upright).convert("RGB")
    return np.asarray(on_white.resize(size, Image.Resampling.BICUBIC), np.uint8)[None]
