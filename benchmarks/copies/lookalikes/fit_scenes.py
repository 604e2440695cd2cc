"""Scenes of the half `fit`: places, things and figures; the pair shares the place or the figures, not the picture."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from benchmarks.copies.lookalikes.boxes import Box, Camera, render
from benchmarks.copies.lookalikes.canvas import (
    Colour,
    Moving,
    Rng,
    Theme,
    any_colour,
    in_another_light,
    mixed,
    paragraph,
)


def _bricks(colour: Colour, rng: Rng, floors: int, across: int) -> Image.Image:
    """A wall of bricks with windows; which are lit, curtained or open is the wall's own."""
    wall = Image.new("RGB", (320, 320), colour)
    pen = ImageDraw.Draw(wall)
    mortar = mixed(colour, (255, 255, 255), 0.35)
    for row in range(40):
        pen.line((0, row * 8, 320, row * 8), mortar)
        for column in range(21):
            x = column * 16 + (row % 2) * 8
            pen.line((x, row * 8, x, row * 8 + 8), mortar)
    high, wide = 320 / floors, 320 / across
    for floor in range(floors):
        for at in range(across):
            left, top = wide * (at + 0.25), high * (floor + 0.2)
            glass = [(50, 60, 80), (240, 220, 140), (200, 200, 210)][rng.integers(3)]
            pen.rectangle((left, top, left + wide / 2, top + high * 0.55), glass, (245, 245, 245), 3)
            if rng.random() < 0.3:
                pen.rectangle((left, top, left + wide / 4, top + high * 0.55), any_colour(rng))
    return wall


def building(theme: Theme, style: Rng, content: Rng) -> Moving:
    """One building of bricks, seen from another side."""
    colour, floors, across = any_colour(style, 90, 200), int(style.integers(3, 6)), int(style.integers(3, 6))
    seeds, roof = style.integers(0, 2**31, 4), Image.new("RGB", (64, 64), any_colour(style, 60, 120))
    sides = dict(
        zip(
            ("front", "right", "back", "left"),
            (_bricks(colour, np.random.default_rng(s), floors, across) for s in seeds),
            strict=True,
        )
    )
    ground = Image.new("RGB", (64, 64), (120, 125, 110))
    boxes = [Box((0, 0, 0), (3, 2.4, 2.5), {**sides, "top": roof}), Box((-8, -0.02, -8), (11, 0, 11), {"top": ground})]
    start = theme.side * math.pi + float(content.uniform(0, 0.3))  # the look-alike goes round the back

    def shown(seconds: float) -> Image.Image:
        turn = start + 0.5 + 0.05 * seconds
        eye = (1.5 - 5 * math.sin(turn), 1.4, 1.25 - 5 * math.cos(turn))
        return render(boxes, Camera(eye, (1.5, 1.2, 1.25)), theme.size, (170, 200, 235))

    return shown


def room(theme: Theme, style: Rng, content: Rng) -> Moving:
    """A room with the same walls and floor, other furniture in it and other pictures on the wall."""
    paper, floor = any_colour(style, 150, 235), any_colour(style, 80, 150)
    wall = Image.new("RGB", (300, 200), paper)
    pen = ImageDraw.Draw(wall)
    for x in range(0, 300, 20):
        pen.line((x, 0, x, 200), mixed(paper, (60, 60, 60), 0.15), 6)
    hung = wall.copy()
    for _ in range(int(content.integers(1, 4))):
        x, y = int(content.integers(10, 230)), int(content.integers(15, 90))
        ImageDraw.Draw(hung).rectangle(
            (x, y, x + int(content.integers(30, 60)), y + 45), any_colour(content), (40, 30, 20), 4
        )
    boards = Image.new("RGB", (300, 300), floor)
    for y in range(0, 300, 25):
        ImageDraw.Draw(boards).line((0, y, 300, y), mixed(floor, (0, 0, 0), 0.4), 2)
    sides = {
        "back": hung,
        "left": wall,
        "right": wall,
        "bottom": boards,
        "top": Image.new("RGB", (9, 9), (240, 240, 235)),
    }
    boxes = [Box((0, 0, 0), (4, 2.5, 4), sides, inside=True)]
    for x in content.permutation(4)[: int(content.integers(2, 4))]:
        wide, high = content.uniform(0.5, 0.9), content.uniform(0.4, 1.4)
        colour, z = any_colour(content), content.uniform(1.6, 2.8)
        faces = {
            n: Image.new("RGB", (9, 9), mixed(colour, (0, 0, 0), s))
            for n, s in (("front", 0), ("left", 0.25), ("right", 0.25), ("top", -0.1))
        }
        boxes.append(Box((float(x), 0, z), (float(x) + wide, high, z + 0.7), faces))

    def shown(seconds: float) -> Image.Image:
        eye = (2 + 0.4 * math.sin(0.3 * seconds), 1.4, -1.6)
        return render(boxes, Camera(eye, (2, 1.1, 3), 70), theme.size, (20, 20, 20))

    return shown


def product(theme: Theme, style: Rng, content: Rng) -> Moving:
    """Packages of one make, turning: the same label, other goods in other colours."""
    (brand,), (goods,) = theme.some("brands", 1, style, shared=True), theme.some("goods", 1, content)
    colour, table = any_colour(content, 60, 220), any_colour(style, 120, 200)
    label = Image.new("RGB", (200, 280), (250, 250, 245))
    pen = ImageDraw.Draw(label)
    pen.rectangle((0, 0, 200, 70), colour)
    pen.text((100, 35), brand, (255, 255, 255), theme.font(38, bold=True), anchor="mm")
    paragraph(pen, (100, 100), goods, theme.font(32, bold=True), (30, 30, 30), 180, "ma")
    pen.ellipse((60, 190, 140, 270), colour)
    pen.text((100, 230), f"{content.integers(1, 20) * 50} g", (255, 255, 255), theme.font(22), anchor="mm")
    plain = Image.new("RGB", (9, 9), mixed(colour, (0, 0, 0), 0.2))
    box = Box(
        (-0.5, 0, -0.3), (0.5, 1.4, 0.3), {"front": label, "back": label, "left": plain, "right": plain, "top": plain}
    )
    boxes = [box, Box((-6, -0.02, -6), (6, 0, 6), {"top": Image.new("RGB", (9, 9), table)})]

    def shown(seconds: float) -> Image.Image:
        turn = 0.7 * math.sin(0.4 * seconds)
        return render(
            boxes, Camera((2.6 * math.sin(turn), 1.2, -2.6 * math.cos(turn)), (0, 0.7, 0)), theme.size, (225, 225, 230)
        )

    return shown


def plant(theme: Theme, style: Rng, content: Rng) -> Moving:
    """A bed of the same flowers on the same soil, other plants of them."""
    width, height = theme.size
    soil, leaf, petal = any_colour(style, 40, 90), (30, int(style.integers(100, 170)), 50), any_colour(style, 120, 255)
    petals, reach = int(style.integers(5, 9)), float(style.uniform(16, 26))
    ground = content.normal(0, 14, (height, width * 3 // 2, 1)) + np.array(soil)
    picture = Image.fromarray(ground.clip(0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(picture)
    for _ in range(160):
        x, y = content.uniform(0, width * 1.5), content.uniform(0, height)
        pen.ellipse((x - 22, y - 7, x + 22, y + 7), mixed(leaf, (0, 0, 0), content.uniform(0, 0.5)))
    for _ in range(int(content.integers(35, 55))):
        x, y, turn = content.uniform(0, width * 1.5), content.uniform(0, height), content.uniform(0, 6)
        for at in range(petals):
            px, py = (f(turn + 2 * math.pi * at / petals) * reach * 0.6 for f in (math.cos, math.sin))
            size = reach * content.uniform(0.35, 0.5)
            pen.ellipse(
                (x + px - size, y + py - size, x + px + size, y + py + size),
                mixed(petal, (0, 0, 0), content.uniform(0, 0.25)),
            )
        pen.ellipse((x - reach / 4, y - reach / 4, x + reach / 4, y + reach / 4), (240, 200, 60))
    picture = picture.filter(ImageFilter.GaussianBlur(0.8))
    return lambda seconds: picture.crop(
        (round(seconds / 12 * width / 2), 0, round(seconds / 12 * width / 2) + width, height)
    )


def news(theme: Theme, style: Rng, content: Rng) -> Moving:
    """A desk with a speaker, a picture beside and a headline below; another speaker, another headline."""
    width, height = theme.size
    (brand,), (line, more) = theme.some("brands", 1, style, shared=True), theme.some("lines", 2, content)
    skin, hair, shirt = (
        [(235, 200, 170), (150, 100, 70), (200, 150, 115)][content.integers(3)],
        any_colour(content, 10, 110),
        any_colour(content),
    )
    inset = Image.fromarray(content.integers(0, 255, (3, 4, 3), np.uint8)).resize(
        (round(width * 0.3), round(height * 0.3)), Image.Resampling.BICUBIC
    )
    x = width * float(content.choice([0.3, 0.35]))

    def shown(seconds: float) -> Image.Image:
        picture, pen = theme.blank()
        for stripe in range(0, width, 40):
            pen.line((stripe, 0, stripe + 80, height), mixed(theme.colours[0], theme.colours[2], 0.25), 6)
        picture.paste(inset, (round(width * 0.6), round(height * 0.15)))
        sway = 4 * math.sin(1.3 * seconds)
        pen.ellipse((x - 62 + sway, height * 0.12, x + 62 + sway, height * 0.5), hair)
        pen.ellipse((x - 45 + sway, height * 0.17, x + 45 + sway, height * 0.5), skin)
        pen.ellipse(
            (x - 12 + sway, height * 0.4, x + 12 + sway, height * (0.42 + 0.02 * (int(3 * seconds) % 2))), (140, 50, 50)
        )
        pen.rounded_rectangle((x - 95, height * 0.5, x + 95, height * 0.9), 30, shirt)
        pen.rectangle((0, height * 0.76, width, height), theme.colours[2])
        pen.text(
            (width * 0.03, height * 0.8), line, theme.colours[0], theme.font(min(width, height) * 0.055, bold=True)
        )
        pen.text(
            (width - 60 * seconds, height * 0.91),
            more + " +++ ",
            theme.colours[1],
            theme.font(min(width, height) * 0.045),
        )
        pen.text(
            (width * 0.97, height * 0.04),
            brand,
            theme.colours[1],
            theme.font(min(width, height) * 0.06, bold=True),
            anchor="ra",
        )
        return picture

    return shown


def static_camera(theme: Theme, style: Rng, content: Rng) -> Moving:
    """One street from one camera on another day: other light, other cars and people."""
    width, height = theme.size
    ground = Image.new("RGB", theme.size, (150, 185, 220))
    pen = ImageDraw.Draw(ground)
    x = 0
    while x < width:
        wide, high = int(style.integers(60, 130)), height * style.uniform(0.3, 0.6)
        wall = _bricks(any_colour(style, 90, 200), style, int(style.integers(3, 6)), int(style.integers(2, 5)))
        ground.paste(wall.resize((wide, round(high))), (x, round(height * 0.68 - high)))
        x += wide
    pen.rectangle((0, height * 0.68, width, height), (95, 95, 100))
    for x in range(0, width, 60):
        pen.rectangle((x, height * 0.84, x + 30, height * 0.86), (230, 230, 230))
    lit = in_another_light(ground, content.uniform(0.45, 1.25), content.uniform(0.85, 1.15, 3))
    cars = [
        (content.uniform(0, width), content.uniform(-90, 90), content.uniform(0.72, 0.9), any_colour(content))
        for _ in range(int(content.integers(2, 6)))
    ]

    def shown(seconds: float) -> Image.Image:
        picture = lit.copy()
        pen = ImageDraw.Draw(picture)
        for start, speed, level, colour in cars:
            x, y = (start + speed * seconds) % (width + 120) - 120, height * level
            pen.rounded_rectangle((x, y - 22, x + 90, y + 6), 8, colour)
            pen.rounded_rectangle((x + 18, y - 40, x + 68, y - 18), 8, mixed(colour, (220, 235, 255), 0.6))
            for wheel in (20, 70):
                pen.ellipse((x + wheel - 9, y - 3, x + wheel + 9, y + 15), (20, 20, 20))
        return picture

    return shown


def characters(theme: Theme, style: Rng, content: Rng) -> Moving:
    """Two round figures, always the same two, in other poses before another landscape."""
    width, height = theme.size
    figures = [(any_colour(style), any_colour(style), style.uniform(0.13, 0.2)) for _ in range(2)]
    sky, hill = any_colour(content, 120, 240), any_colour(content, 60, 180)
    hills = [(content.uniform(0, width), content.uniform(0.2, 0.5)) for _ in range(4)]
    places = content.uniform((0.15, 0.5), (0.85, 0.75), (2, 2))
    arms = content.uniform(-2.5, 2.5, (2, 2))

    def shown(seconds: float) -> Image.Image:
        picture, pen = theme.blank(sky)
        for x, reach in hills:
            pen.ellipse(
                (x - width * reach, height * 0.6, x + width * reach, height * 1.5), hill, mixed(hill, (0, 0, 0), 0.3), 3
            )
        for (body, ear, share), (across, down), lift in zip(figures, places, arms, strict=True):
            x, y, r = width * across + 6 * math.sin(seconds), height * down, min(width, height) * share
            for side, turn in zip((-1, 1), lift, strict=True):
                tip = (x + side * r * 1.7 * math.cos(turn), y - r * 1.5 * math.sin(turn + 0.3 * math.sin(2 * seconds)))
                pen.line((x + side * r * 0.8, y, *tip), body, round(r * 0.25))
                pen.ellipse(
                    (x + side * r * 0.6 - r / 3, y - r * 1.7, x + side * r * 0.6 + r / 3, y - r * 0.6),
                    ear,
                    (30, 30, 30),
                    2,
                )
            pen.ellipse((x - r, y - r, x + r, y + r * 1.2), body, (30, 30, 30), 3)
            for side in (-1, 1):
                pen.ellipse(
                    (x + side * r * 0.4 - r / 5, y - r / 2, x + side * r * 0.4 + r / 5, y),
                    (255, 255, 255),
                    (0, 0, 0),
                    2,
                )
                pen.ellipse((x + side * r * 0.4 - 4, y - r / 3, x + side * r * 0.4 + 4, y - r / 3 + 8), (0, 0, 0))
            pen.arc((x - r / 2, y, x + r / 2, y + r * 0.7), 10, 170, (80, 20, 20), 4)
        return picture

    return shown
