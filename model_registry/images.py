"""Preprocessing as tensor operations: the same code offline, online, on a CPU and on a GPU."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as ops

from model_registry.model import Item


def to_NCHW(frames: Sequence[Item], device: str) -> list[torch.Tensor]:
    """Stack neighbours of one size: uint8 [n, 3, H, W] tensors on `device`, in order.

    Frames of one video share a size, so a batch makes few stacks. Raises ValueError for what is no frame.
    """
    for frame in frames:
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or min(frame.shape) < 2:
            raise ValueError(f"a frame is {frame.dtype} {frame.shape}, wanted uint8 (height, width, 3) from 2 x 2 on")
    stacks: list[torch.Tensor] = []
    start = 0
    for end in range(1, len(frames) + 1):
        if end == len(frames) or frames[end].shape != frames[start].shape:
            stacks.append(_stacked(frames[start:end], device).permute(0, 3, 1, 2))
            start = end
    return stacks


def _stacked(frames: Sequence[Item], device: str) -> torch.Tensor:
    """Copy frames of one size into one tensor: for CUDA through pinned memory, so that nobody waits for the copy there.

    torch gives a pinned block away again only when the copies out of it are done.
    """
    if not device.startswith("cuda"):
        return torch.from_numpy(np.stack(frames)).to(device)
    pinned_NHWC = torch.empty((len(frames), *frames[0].shape), dtype=torch.uint8, pin_memory=True)
    np.stack(frames, out=pinned_NHWC.numpy())
    return pinned_NHWC.to(device, non_blocking=True)


def resize_short_side(frames_NCHW: torch.Tensor, side: int, mode: InterpolationMode) -> torch.Tensor:
    """Scale so that the shorter side is `side` pixels; a stack of that size already passes untouched."""
    height, width = frames_NCHW.shape[-2:]
    if min(height, width) == side:
        return frames_NCHW
    resized: torch.Tensor = ops.resize(frames_NCHW, [side], interpolation=mode, antialias=True)
    return resized


def squash(frames_NCHW: torch.Tensor, side: int, mode: InterpolationMode) -> torch.Tensor:
    """Scale to `side` x `side`, aspect ignored."""
    if tuple(frames_NCHW.shape[-2:]) == (side, side):
        return frames_NCHW
    squashed: torch.Tensor = ops.resize(frames_NCHW, [side, side], interpolation=mode, antialias=True)
    return squashed


def center_crop(frames_NCHW: torch.Tensor, side: int) -> torch.Tensor:
    """Cut the middle `side` x `side` pixels."""
    cropped: torch.Tensor = ops.center_crop(frames_NCHW, [side, side])
    return cropped


def normalise(frames_NCHW: torch.Tensor, mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
    """Return float32 (x - mean) / std a channel, contiguous, for mean and std on the 0 to 255 scale.

    One copy that is worked on in place, channel by channel: in the frames' own order it takes three times as long.
    """
    mean_C, scale_C = _constants(tuple(mean), tuple(std), str(frames_NCHW.device))
    pixels_NCHW = frames_NCHW.to(torch.float32, copy=True, memory_format=torch.contiguous_format)
    return pixels_NCHW.sub_(mean_C).mul_(scale_C)


@cache
def _constants(mean: tuple[float, ...], std: tuple[float, ...], device: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and 1 / deviation, [1, 3, 1, 1], kept on the device: bringing them there waits for all that runs there."""
    with torch.inference_mode(False):  # they are read inside and outside of it
        mean_C = torch.tensor(mean, dtype=torch.float32).view(1, 3, 1, 1)
        scale_C = 1.0 / torch.tensor(std, dtype=torch.float32).view(1, 3, 1, 1)
        return mean_C.to(device), scale_C.to(device)


def example_frames() -> list[Item]:
    """Return small frames that exercise a vision model: flat, ramp and noise; landscape, portrait, square."""
    rng = np.random.default_rng(7)
    ramp_HW = np.linspace(0, 255, 256 * 456).reshape(256, 456)
    ramp_HWC = np.stack([ramp_HW, ramp_HW[::-1], ramp_HW[:, ::-1]], axis=-1).astype(np.uint8)
    return [
        np.full((256, 456, 3), 200, np.uint8),
        ramp_HWC,
        rng.integers(0, 256, (456, 256, 3), dtype=np.uint8),
        rng.integers(0, 256, (256, 256, 3), dtype=np.uint8),
    ]
