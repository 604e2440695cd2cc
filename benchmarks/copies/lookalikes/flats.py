"""Pictures with next to nothing on them: black, white, noise, gradients."""

from __future__ import annotations

import numpy as np
from PIL import Image

from benchmarks.copies.lookalikes.canvas import Moving, Rng, Theme, still


def black(theme: Theme, _: Rng, content: Rng) -> Moving:
    """Black, not quite even."""
    return still(_even(theme, content, 4))


def white(theme: Theme, _: Rng, content: Rng) -> Moving:
    """White, not quite even."""
    return still(_even(theme, content, 250))


def noise(theme: Theme, _: Rng, content: Rng) -> Moving:
    """A television without a station; the grain is finer in the half `fit`."""
    grain = 2 if theme.half == "fit" else 5
    width, height = (length // grain for length in theme.size)
    grains = content.integers(0, 256, (16, height, width), np.uint8)
    shown = [Image.fromarray(grain).resize(theme.size, Image.Resampling.NEAREST).convert("RGB") for grain in grains]
    return lambda seconds: shown[int(seconds * 5) % len(shown)]


def gradient(theme: Theme, style: Rng, content: Rng) -> Moving:
    """From one colour to another, straight across (fit) or round a middle (report)."""
    one, other = style.integers(0, 256, (2, 3))
    across, down = np.meshgrid(np.linspace(-1, 1, theme.size[0]), np.linspace(-1, 1, theme.size[1]))
    turn, (x, y) = content.uniform(0, 2 * np.pi), content.uniform(-0.6, 0.6, 2)
    straight = (across * np.cos(turn) + down * np.sin(turn)) / 3 + 0.5
    share = (straight if theme.half == "fit" else np.hypot(across - x, down - y) / 2.5).clip(0, 1)[..., None]
    return still(Image.fromarray((one + (other - one) * share).astype(np.uint8)))


def _even(theme: Theme, rng: Rng, level: int) -> Image.Image:
    width, height = theme.size
    return Image.fromarray((level + rng.integers(-3, 4, (height, width, 3))).clip(0, 255).astype(np.uint8))
