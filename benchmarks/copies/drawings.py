"""What is drawn over a picture: captions and emoji, as PNG files with transparency."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Size = tuple[int, int]
WORDS = "wait for it this is so funny watch until the end part two follow me no way best moment ever you won't believe"
COLOURS = ((255, 255, 255), (255, 230, 0), (255, 90, 90), (120, 220, 255))


def draw(kind: str, seed: int, size: Size, path: Path) -> Path:
    """Draw a caption or emoji of that seed on a clear picture of that size."""
    picture = Image.new("RGBA", size)
    rng = np.random.default_rng(seed)
    (_caption if kind == "caption" else _emoji)(ImageDraw.Draw(picture), rng, size)
    picture.save(path)
    return path


def _caption(pen: ImageDraw.ImageDraw, rng: np.random.Generator, size: Size) -> None:
    height = size[1] * rng.uniform(0.09, 0.14)
    font = ImageFont.load_default(round(height))
    words = WORDS.split()
    lines = [" ".join(rng.choice(words, int(rng.integers(3, 6)))) for _ in range(int(rng.integers(1, 4)))]
    top = size[1] * rng.uniform(0.05, 0.15) if rng.random() < 0.3 else size[1] * 0.95 - 1.3 * height * len(lines)
    if rng.random() < 0.5:
        pen.rectangle((0, top - 4, size[0], top + 1.3 * height * len(lines)), fill=(0, 0, 0, 170))
    colour = COLOURS[rng.integers(len(COLOURS))]
    for index, line in enumerate(lines):
        place = (size[0] / 2, top + 1.3 * height * index)
        pen.text(place, line, colour, font, anchor="ma", stroke_width=2, stroke_fill=(0, 0, 0))


def _emoji(pen: ImageDraw.ImageDraw, rng: np.random.Generator, size: Size) -> None:
    for _ in range(int(rng.integers(1, 5))):
        radius = size[1] * rng.uniform(0.07, 0.17)
        x, y = (rng.uniform(radius, max(radius + 1, length - radius)) for length in size)
        (_face, _heart, _star)[rng.integers(3)](pen, float(x), float(y), float(radius))


def _face(pen: ImageDraw.ImageDraw, x: float, y: float, radius: float) -> None:
    pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(255, 205, 50, 255), outline=(190, 130, 0))
    for side in (-0.35, 0.35):
        eye = (x + (side - 0.12) * radius, y - 0.4 * radius, x + (side + 0.12) * radius, y - 0.1 * radius)
        pen.ellipse(eye, fill=(60, 40, 0, 255))
    pen.chord((x - 0.55 * radius, y - 0.3 * radius, x + 0.55 * radius, y + 0.65 * radius), 10, 170, fill=(120, 40, 20))


def _heart(pen: ImageDraw.ImageDraw, x: float, y: float, radius: float) -> None:
    turns = np.linspace(0, 2 * math.pi, 60)
    across = 16 * np.sin(turns) ** 3
    down = -(13 * np.cos(turns) - 5 * np.cos(2 * turns) - 2 * np.cos(3 * turns) - np.cos(4 * turns))
    points = list(zip((x + across * radius / 17).tolist(), (y + down * radius / 17).tolist(), strict=True))
    pen.polygon(points, fill=(230, 30, 60, 255))


def _star(pen: ImageDraw.ImageDraw, x: float, y: float, radius: float) -> None:
    points = []
    for index in range(10):
        reach, turn = radius * (1 if index % 2 == 0 else 0.42), math.pi * (index / 5 - 0.5)
        points.append((x + reach * math.cos(turn), y + reach * math.sin(turn)))
    pen.polygon(points, fill=(255, 230, 60, 255), outline=(200, 150, 0, 255))
