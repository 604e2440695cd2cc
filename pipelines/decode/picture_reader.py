"""A still picture as a video of one frame, read by Pillow: upright, and refused unread if its header is too large."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray
from PIL import Image, ImageOps

from pipelines.decode.codes import CodeReader
from pipelines.decode.limits import Limits, Sampling
from pipelines.rows import ErrorCode, MediaError

PLANES = "yuv444p"  # three of one size
SCALER = VideoReformatter()  # keeps what it has worked out for the sizes that it had last
CODES_SIDE = 720  # pixels of the shorter side, at least: a code of a sixth of it has 120
FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "AVIF")


def read_picture(
    path: Path, sampling: Sampling, limits: Limits, codes: CodeReader | None = None
) -> tuple[NDArray[np.uint8], int]:
    """Return uint8 [1, H, W, 3] and how many more frames there are; transparency is laid on white.

    `codes` looks at the picture in more pixels than are returned.

    Raises MediaError.
    """
    Image.MAX_IMAGE_PIXELS = None  # the header is held to our own limit below
    try:
        with Image.open(path, formats=FORMATS) as picture:
            limits.check_pixels(*picture.size)
            others = getattr(picture, "n_frames", 1) - 1
            wanted = replace(sampling, frame_side=max(sampling.frame_side, CODES_SIDE if codes else 0))
            picture.draft("RGB", wanted.frame_size(*picture.size))
            ImageOps.exif_transpose(picture, in_place=True)
            opaque = _on_white(_eight_bits(picture))
            if codes:
                codes.look_at(0, np.asarray(opaque.convert("L")))
    except MediaError:
        raise
    except Exception as error:  # Pillow's parsers raise whatever a damaged field leads them to
        raise MediaError(ErrorCode.DAMAGED, f"the picture cannot be read: {type(error).__name__}") from error
    return _resized(opaque, sampling.frame_size(*opaque.size))[None], others


def _resized(picture: Image.Image, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Bicubic, uint8 [H, W, 3], by FFmpeg's scaler, as films are: Pillow's takes more than twice the time.

    It gets the channels as the planes of a format that subsamples none, so it scales each and converts nothing. Pillow
    takes them apart: PyAV's `from_ndarray` goes through the picture byte by byte, which takes as long as scaling it.
    """
    frame = av.VideoFrame(*picture.size, PLANES)
    for plane, channel in zip(frame.planes, picture.split(), strict=True):
        padded_HW = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
        padded_HW[:, : plane.width] = np.asarray(channel)
    scaled = SCALER.reformat(frame, *size, format=PLANES, interpolation="BICUBIC", threads=1)
    return np.asarray(scaled.to_ndarray(channel_last=True), np.uint8)


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
