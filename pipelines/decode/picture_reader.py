"""Pictures read by Pillow, upright: a still one is a video of one frame, one that moves gives a frame at each tick."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray
from PIL import Image, ImageOps

from pipelines.decode.codes import CodeReader
from pipelines.decode.limits import Limits, Sampling
from pipelines.decode.sampling import TickFilter
from pipelines.decode.tone import is_hdr, to_sdr
from pipelines.decode.transparency import on_ground
from pipelines.rows import ErrorCode, MediaError

PLANES = "yuv444p"  # three of one size
SCALER = VideoReformatter()  # keeps what it has worked out for the sizes that it had last
CODES_SIDE = 720  # pixels of the shorter side, at least: a code of a sixth of it has 120
PHOTO = 5  # times the pixels of a film's frame: 200 million; there is only one of them at a time
UNTIMED_MS = 100  # of a frame that says nothing, as browsers have it
FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "AVIF")
HEAD = 1 << 16  # bytes in which a picture says how its values are meant
LIGHT = {"AVIF": (b"colrnclx", 2), "PNG": (b"cICP", 1)}  # where it stands, and the bytes of either number behind it
Shown = tuple[int, int, NDArray[np.uint8]]  # from, to, in milliseconds; uint8 [H, W, 3]


def read_picture(path: Path, sampling: Sampling, limits: Limits, codes: CodeReader | None = None) -> Iterator[Shown]:
    """Yield the picture, or of one that moves the frames on screen at each tick, in order.

    `codes` looks at each in more pixels than are returned. Raises MediaError.
    """
    Image.MAX_IMAGE_PIXELS = None  # the header is held to our own limit below
    try:
        with Image.open(path, formats=FORMATS) as picture:
            replace(limits, max_pixels=PHOTO * limits.max_pixels).check_pixels(*picture.size)
            wanted = replace(sampling, frame_side=max(sampling.frame_side, CODES_SIDE if codes else 0))
            picture.draft("RGB", wanted.frame_size(*picture.size))
            primaries, transfer = _light(path, picture.format or "")
            for start_ms, end_ms in _times(picture, sampling, limits):
                opaque = _upright(picture, limits)
                if is_hdr(transfer):
                    opaque = Image.fromarray(to_sdr(np.asarray(opaque, np.uint16) * 257, transfer, primaries))
                if codes:
                    codes.look_at(start_ms, np.asarray(opaque.convert("L")))
                yield start_ms, end_ms, _resized(opaque, sampling.frame_size(*opaque.size))
    except MediaError:
        raise
    except Exception as error:  # Pillow's parsers raise whatever a damaged field leads them to
        raise MediaError(ErrorCode.DAMAGED, f"the picture cannot be read: {type(error).__name__}") from error


def _light(path: Path, name: str) -> tuple[int, int]:
    """Primaries and transfer by ITU-T H.273, which Pillow leaves out: 0 where the picture says none.

    ISO/IEC 23000-22, 2.3 for AVIF; PNG, third edition, 11.3.2.6.
    """
    if name not in LIGHT:
        return 0, 0
    mark, octets = LIGHT[name]
    with path.open("rb") as file:
        _, found, behind = file.read(HEAD).partition(mark)
    if not found or len(behind) < 2 * octets:
        return 0, 0
    return int.from_bytes(behind[:octets]), int.from_bytes(behind[octets : 2 * octets])


def _times(picture: Image.Image, sampling: Sampling, limits: Limits) -> Iterator[tuple[int, int]]:
    """Go to each frame that is on screen at a tick; every one before has to be decoded all the same."""
    count, start_ms, due = getattr(picture, "n_frames", 1), 0, TickFilter(sampling.interval_ms)
    if count > 1:
        limits.check_pixels(*picture.size)
    for number in range(count):
        if number:
            picture.seek(number)
        length_ms = 0
        if count > 1:
            picture.load()  # WebP and AVIF say only then how long a frame lasts
            length_ms = round(float(picture.info.get("duration") or 0)) or UNTIMED_MS
        limits.check_duration(start_ms + length_ms)
        if due.is_due(start_ms, start_ms + length_ms if number + 1 < count else None):
            yield start_ms, start_ms + length_ms
        start_ms += length_ms


def _upright(picture: Image.Image, limits: Limits) -> Image.Image:
    """RGB; of more pixels than a frame of a film may have, every second or third."""
    large = picture.width * picture.height / limits.max_pixels
    if large > 1:
        colours = picture if picture.mode in ("RGB", "RGBA", "L") else _eight_bits(picture).convert("RGB")
        picture = colours.reduce(int(large**0.5) + 1)
    turned = ImageOps.exif_transpose(picture)
    return _opaque(_eight_bits(turned))


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


def _opaque(picture: Image.Image) -> Image.Image:
    if not picture.has_transparency_data:
        return picture if picture.mode == "RGB" else picture.convert("RGB")
    return Image.fromarray(on_ground(np.asarray(picture.convert("RGBA"))))


def _eight_bits(picture: Image.Image) -> Image.Image:
    """Scale 16-bit grey, which Pillow would clip to white."""
    if not picture.mode.startswith("I"):
        return picture
    return Image.fromarray((np.asarray(picture) >> 8).clip(0, 255).astype(np.uint8))
