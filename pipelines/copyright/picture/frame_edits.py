"""What uploaders do to a picture, done to single frames: the examples that a descriptor space learns to ignore."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

Picture = Image.Image
Edit = Callable[[Picture, np.random.Generator], Picture]


def _crop(low: float, high: float) -> Edit:
    def edit(picture: Picture, random: np.random.Generator) -> Picture:
        width, height = (round(side * random.uniform(low, high)) for side in picture.size)
        left, top = (int(random.integers(n + 1)) for n in (picture.width - width, picture.height - height))
        return picture.crop((left, top, left + width, top + height))

    return edit


def _mirrored(picture: Picture, _: np.random.Generator) -> Picture:
    return ImageOps.mirror(picture)


def _rotated(degrees: float) -> Edit:
    def edit(picture: Picture, random: np.random.Generator) -> Picture:
        return picture.rotate(random.uniform(-degrees, degrees), Image.Resampling.BILINEAR)

    return edit


def _turned(picture: Picture, random: np.random.Generator) -> Picture:
    ways = (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270)
    return picture.transpose(ways[random.integers(3)])


def _blurred(picture: Picture, random: np.random.Generator) -> Picture:
    return picture.filter(ImageFilter.GaussianBlur(random.uniform(1, 3)))


def _shrunk(picture: Picture, random: np.random.Generator) -> Picture:
    scale = random.uniform(0.2, 0.45)
    small = picture.resize((max(8, round(picture.width * scale)), max(8, round(picture.height * scale))))
    return small.resize(picture.size, Image.Resampling.BILINEAR)


def _noisy(picture: Picture, random: np.random.Generator) -> Picture:
    pixels = np.asarray(picture) + random.normal(0, random.uniform(8, 28), (picture.height, picture.width, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def _recoded(picture: Picture, random: np.random.Generator) -> Picture:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=int(random.integers(8, 25)))
    return Image.open(out).convert("RGB")


def _recoloured(picture: Picture, random: np.random.Generator) -> Picture:
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        picture = enhance(picture).enhance(random.uniform(0.4, 1.8))
    return picture


def _hue_turned(picture: Picture, random: np.random.Generator) -> Picture:
    hue, saturation, value = picture.convert("HSV").split()
    shift = int(random.integers(20, 236))
    return Image.merge("HSV", (hue.point(lambda at: (at + shift) % 256), saturation, value)).convert("RGB")


def _grey(picture: Picture, _: np.random.Generator) -> Picture:
    return ImageOps.grayscale(picture).convert("RGB")


def _bordered(picture: Picture, random: np.random.Generator) -> Picture:
    colour = tuple(int(level) for level in random.integers(0, 256, 3)) if random.random() < 0.4 else (0, 0, 0)
    sides = [round(side * random.uniform(0, 0.2)) for side in (picture.width, picture.height) for _ in range(2)]
    frame = Image.new("RGB", (picture.width + sides[0] + sides[1], picture.height + sides[2] + sides[3]), colour)
    frame.paste(picture, (sides[0], sides[2]))
    return frame


def _captioned(picture: Picture, random: np.random.Generator) -> Picture:
    picture = picture.copy()
    draw = ImageDraw.Draw(picture)
    top = picture.height * random.choice([0.02, 0.4, 0.75])
    if random.random() < 0.5:
        draw.rectangle((0, top, picture.width, top + picture.height * 0.2), fill=(0, 0, 0))
    letters = "".join(random.choice(list("ABCDEFGHIJKLMNOPQRSTUVWXYZ !"), 24))
    draw.text((picture.width * 0.03, top), letters, fill=(255, 255, int(random.integers(256))), font_size=26)
    return picture


def _stickered(picture: Picture, random: np.random.Generator) -> Picture:
    picture = picture.copy()
    draw = ImageDraw.Draw(picture)
    for _ in range(random.integers(1, 6)):
        x, y = random.uniform(0, picture.width), random.uniform(0, picture.height)
        radius = picture.height * random.uniform(0.05, 0.15)
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=tuple(random.integers(0, 256, 3).tolist()))
    return picture


def _squeezed(picture: Picture, random: np.random.Generator) -> Picture:
    return picture.resize((max(32, round(picture.width * random.uniform(0.5, 1.4))), picture.height))


def _stretched(picture: Picture, _: np.random.Generator) -> Picture:
    return picture.resize((256, 256))


def _several(picture: Picture, random: np.random.Generator) -> Picture:
    for number in random.choice(len(SINGLE), 3, replace=False):
        picture = SINGLE[number](picture, random)
    return picture


SINGLE: tuple[Edit, ...] = (
    _crop(0.75, 0.95),
    _crop(0.5, 0.75),
    _mirrored,
    _rotated(20),
    _turned,
    _blurred,
    _shrunk,
    _noisy,
    _recoded,
    _recoloured,
    _hue_turned,
    _grey,
    _bordered,
    _captioned,
    _stickered,
    _squeezed,
    _stretched,
)
EDITS: tuple[Edit, ...] = (*SINGLE, _several, _several)
