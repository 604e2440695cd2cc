"""What look-alikes are drawn with: themes, type, and pictures that move."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from model_registry.errors import UsageError

Rng = np.random.Generator
Size = tuple[int, int]
Colour = tuple[int, int, int]
Frame = NDArray[np.uint8]  # (height, width, 3), RGB
Moving = Callable[[float], Image.Image]  # seconds from the start -> the picture on show then
FPS = 5
SECONDS = 12.0
FOLDERS = (Path("/usr/share/fonts"), Path.home() / ".fonts")
WORDS = Path(__file__).with_name("words.toml")
# The halves share no font. (regular, bold, Chinese)
FACES = {
    "fit": (
        ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "NotoSansCJK-Regular.ttc"),
        ("DejaVuSansCondensed.ttf", "DejaVuSansCondensed-Bold.ttf", "NotoSansCJK-Bold.ttc"),
    ),
    "report": (
        ("DejaVuSerif.ttf", "DejaVuSerif-Bold.ttf", "NotoSerifCJK-Regular.ttc"),
        ("DejaVuSansMono.ttf", "DejaVuSansMono-Bold.ttf", "NotoSerifCJK-Bold.ttc"),
        ("DejaVuSerifCondensed.ttf", "DejaVuSerifCondensed-Bold.ttf", "NotoSerifCJK-Bold.ttc"),
    ),
}
# Background, writing, accent.
PALETTES: dict[str, Sequence[tuple[Colour, Colour, Colour]]] = {
    "fit": (
        ((250, 247, 240), (40, 40, 44), (200, 60, 50)),
        ((28, 45, 74), (245, 245, 245), (250, 190, 60)),
        ((226, 240, 232), (20, 60, 50), (230, 120, 40)),
        ((255, 255, 255), (10, 10, 10), (40, 110, 220)),
    ),
    "report": (
        ((12, 12, 14), (235, 235, 230), (150, 150, 160)),
        ((96, 26, 46), (255, 240, 225), (240, 170, 150)),
        ((214, 222, 238), (34, 32, 70), (120, 60, 160)),
        ((250, 225, 120), (40, 30, 10), (20, 120, 110)),
    ),
}


@dataclass(frozen=True)
class Theme:
    """What a reference and its look-alike share before anything is drawn."""

    half: str
    size: Size
    faces: tuple[str, str, str]
    colours: tuple[Colour, Colour, Colour]
    side: int = 0  # 0: the reference, 1: its look-alike

    def font(self, height: float, bold: bool = False, chinese: bool = False) -> ImageFont.FreeTypeFont:
        """The theme's type, `height` pixels high."""
        return _font(self.faces[2 if chinese else int(bold)], max(6, round(height)))

    def blank(self, colour: Colour | None = None) -> tuple[Image.Image, ImageDraw.ImageDraw]:
        """An empty picture of the theme's background, or of a colour, and a pen for it."""
        picture = Image.new("RGB", self.size, colour or self.colours[0])
        return picture, ImageDraw.Draw(picture)

    def some(self, kind: str, count: int, rng: Rng, shared: bool = False) -> list[str]:
        """Different words of a kind (`names`, `lines`, ...) of this half.

        A reference and its look-alike draw from other words, where there are enough of them, unless they are `shared`.
        """
        known = words(self.half)[kind]
        if not shared and 2 * count <= len(known):
            known = known[self.side :: 2]
        return [known[at] for at in rng.permutation(len(known))[:count]]


def theme(half: str, size: Size, rng: Rng, side: int = 0) -> Theme:
    """Choose type and colours."""
    faces, palettes = FACES[half], PALETTES[half]
    return Theme(half, size, faces[int(rng.integers(len(faces)))], palettes[int(rng.integers(len(palettes)))], side)


@cache
def words(half: str) -> dict[str, list[str]]:
    """The words of a half by kind."""
    found: dict[str, list[str]] = tomllib.loads(WORDS.read_text("utf-8"))[half]
    return found


@cache
def _font(name: str, height: int) -> ImageFont.FreeTypeFont:
    for folder in FOLDERS:
        for path in sorted(folder.rglob(name)):
            return ImageFont.truetype(path, height)
    raise UsageError(
        f"the font {name} is not in {' or '.join(map(str, FOLDERS))}; wanted fonts-dejavu and fonts-noto-cjk of Debian"
    )


def wrapped(text: str, font: ImageFont.FreeTypeFont, width: float) -> list[str]:
    """Break a text into lines no wider than `width` pixels; a text without spaces is broken anywhere."""
    parts, glue = (text.split(), " ") if " " in text else (list(text), "")
    lines = [parts[0]]
    for part in parts[1:]:
        longer = lines[-1] + glue + part
        if font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(part)
    return lines


def paragraph(
    pen: ImageDraw.ImageDraw,
    at: tuple[float, float],
    text: str,
    font: ImageFont.FreeTypeFont,
    colour: Colour,
    width: float,
    anchor: str = "la",
) -> float:
    """Write a text over several lines; return where the next line would be."""
    x, y = at
    for line in wrapped(text, font, width):
        pen.text((x, y), line, colour, font, anchor=anchor)
        y += font.size * 1.35
    return y


def still(picture: Image.Image) -> Moving:
    """Show one picture all the time."""
    return lambda _: picture


def pages(pictures: Sequence[Image.Image], each_s: float) -> Moving:
    """Show pictures one after another, over and over."""
    return lambda seconds: pictures[int(seconds / each_s) % len(pictures)]


def after(first: Moving, second: Moving, at_s: float) -> Moving:
    """Show one, then the other from its own start."""
    return lambda seconds: first(seconds) if seconds < at_s else second(seconds - at_s)


def frames_of(moving: Moving, seconds: float) -> Iterator[Frame]:
    """Every picture on show, FPS a second."""
    for number in range(round(seconds * FPS)):
        yield np.asarray(moving(number / FPS).convert("RGB"), np.uint8)


def mixed(one: Colour, other: Colour, share: float) -> Colour:
    """The colour that lies that share of the way from one to the other."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def any_colour(rng: Rng, low: int = 40, high: int = 230) -> Colour:
    """A colour drawn at random, each channel within the bounds."""
    red, green, blue = (int(value) for value in rng.integers(low, high, 3))
    return red, green, blue


def in_another_light(picture: Image.Image, light: float, tint_3: NDArray[np.float64]) -> Image.Image:
    """The same place at another hour: brighter or darker, and of another tint."""
    return Image.fromarray((np.asarray(picture, float) * light * tint_3).clip(0, 255).astype(np.uint8))
