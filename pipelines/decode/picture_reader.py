"""A still picture as a video of one frame, by Pillow: upright, and refused unread if its header is too large."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from pipelines.decode.limits import Limits, Sampling
from pipelines.rows import ErrorCode, MediaError

FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "AVIF")


def read_picture(path: Path, sampling: Sampling, limits: Limits) -> tuple[NDArray[np.uint8], int]:
    """Return uint8 [1, H, W, 3] and how many more frames there are; transparency is laid on white.

    Raises MediaError.
    """
    Image.MAX_IMAGE_PIXELS = None  # the header is held to our own limit below
    try:
        with Image.open(path, formats=FORMATS) as picture:
            limits.check_pixels(*picture.size)
            others = getattr(picture, "n_frames", 1) - 1
            picture.draft("RGB", sampling.frame_size(*picture.size))
            ImageOps.exif_transpose(picture, in_place=True)
            opaque = _on_white(_eight_bits(picture))
    except MediaError:
        raise
    except Exception as error:  # Pillow's parsers raise whatever a damaged field leads them to
        raise MediaError(ErrorCode.DAMAGED, f"the picture cannot be read: {type(error).__name__}") from error
    size = sampling.frame_size(*opaque.size)
    return np.asarray(opaque.resize(size, Image.Resampling.BICUBIC), np.uint8)[None], others


def _on_white(picture: Image.Image) -> Image.Image:
    if not picture.has_transparency_data:
        return picture if picture.mode == "RGB" else picture.convert("RGB")
    clear = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert("RGB")


def _eight_bits(picture: Image.Image) -> Image.Image:
    """Scale 16-bit grey, which Pillow would clip to white."""
    if not picture.mode.startswith("I"):
        return picture
    return Image.fromarray((np.asarray(picture) >> 8).clip(0, 255).astype(np.uint8))
