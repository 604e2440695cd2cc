"""Scenes of the half `report`: places, things and figures, drawn unlike those of the other half."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw

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


def _bands(colour: Colour, rng: Rng, floors: int) -> Image.Image:
    """A wall of glass bands; which panes are lit or blinded, and what hangs on it, is the wall's own."""
    wall = Image.new("RGB", (240, 360), colour)
    pen = ImageDraw.Draw(wall)
    high = 360 / floors
    for floor in range(floors):
        for pane in range(12):
            tone = [(70, 100, 130), (95, 130, 160), (235, 225, 180)][rng.integers(3)]
            pen.rectangle((pane * 20 + 1, high * floor + 6, pane * 20 + 18, high * (floor + 1) - 4), tone)
    x, y = int(rng.integers(20, 150)), int(rng.integers(20, 280))
    pen.rectangle((x, y, x + 70, y + 40), any_colour(rng), (255, 255, 255), 3)
    return wall


def building(theme: Theme, style: Rng, content: Rng) -> Moving:
    """Two towers of one make, seen from another side."""
    colour, floors, seeds = any_colour(style, 60, 180), int(style.integers(8, 14)), style.integers(0, 2**31, (2, 4))
    names = ("front", "right", "back", "left")
    boxes = []
    for tower, left in enumerate((0.0, 2.2)):
        walls = {
            name: _bands(colour, np.random.default_rng(seed), floors)
            for name, seed in zip(names, seeds[tower], strict=True)
        }
        boxes.append(Box((left, 0, 0.3 * tower), (left + 1.3, 3.2 - tower, 1.4 + 0.3 * tower), walls))
    start = theme.side * float(style.choice([math.pi / 2, math.pi])) + float(content.uniform(0, 0.3))

    def shown(seconds: float) -> Image.Image:
        turn = start + 0.3 + 0.04 * seconds
        eye = (1.7 - 6 * math.sin(turn), 0.8, 0.8 - 6 * math.cos(turn))
        return render(boxes, Camera(eye, (1.7, 1.5, 0.8), 55), theme.size, (205, 205, 215))

    return shown


def room(theme: Theme, style: Rng, content: Rng) -> Moving:
    """A tiled kitchen with other things on its shelf and another table."""
    tile, ground = any_colour(style, 140, 240), any_colour(style, 60, 140)
    wall = Image.new("RGB", (240, 240), tile)
    pen = ImageDraw.Draw(wall)
    for at in range(0, 240, 24):
        pen.line((at, 0, at, 240), (250, 250, 250), 3)
        pen.line((0, at, 240, at), (250, 250, 250), 3)
    back = wall.copy()
    pen = ImageDraw.Draw(back)
    pen.rectangle((20, 110, 220, 118), (90, 60, 40))
    for place in range(28, 205, int(content.integers(22, 40))):
        high, wide = int(content.integers(15, 60)), int(content.integers(8, 20))
        pen.rectangle((place, 110 - high, place + wide, 110), any_colour(content))
    floor = Image.new("RGB", (240, 240), ground)
    pen = ImageDraw.Draw(floor)
    for at in range(0, 240, 30):
        for other in range(0, 240, 30):
            if (at + other) // 30 % 2:
                pen.rectangle((at, other, at + 29, other + 29), mixed(ground, (255, 255, 255), 0.5))
    sides = {
        "back": back,
        "left": wall,
        "right": wall,
        "bottom": floor,
        "top": Image.new("RGB", (9, 9), (250, 250, 250)),
    }
    boxes = [Box((0, 0, 0), (3.6, 2.4, 3.2), sides, inside=True)]
    wood, x = any_colour(content, 60, 200), content.uniform(0.6, 2.0)
    faces = {
        name: Image.new("RGB", (9, 9), mixed(wood, (0, 0, 0), dark))
        for name, dark in (("front", 0.1), ("left", 0.3), ("right", 0.3), ("top", 0))
    }
    boxes.append(Box((x, 0, 1.2), (x + content.uniform(0.6, 1.2), content.uniform(0.5, 0.9), 2.0), faces))

    def shown(seconds: float) -> Image.Image:
        eye = (1.8 + 0.3 * math.cos(0.4 * seconds), 1.5, -1.7)
        return render(boxes, Camera(eye, (1.8, 1.0, 3), 65), theme.size, (15, 15, 18))

    return shown


def product(theme: Theme, style: Rng, content: Rng) -> Moving:
    """Bottles of one make before a plain ground: another sort, another colour, another strength."""
    width, height = theme.size
    (brand,), (sort,) = theme.some("brands", 1, style, shared=True), theme.some("lines", 1, content)
    glass, label = any_colour(content, 30, 200), (245, 240, 225)
    ground, number = any_colour(style, 150, 230), int(content.integers(2, 80))

    def shown(seconds: float) -> Image.Image:
        picture, pen = theme.blank(ground)
        x, unit = width / 2 + 20 * math.sin(0.7 * seconds), min(width, height)
        pen.ellipse((x - unit * 0.25, height * 0.9, x + unit * 0.25, height * 0.97), mixed(ground, (0, 0, 0), 0.3))
        pen.rectangle((x - unit * 0.06, height * 0.04, x + unit * 0.06, height * 0.3), glass)
        pen.rounded_rectangle((x - unit * 0.2, height * 0.22, x + unit * 0.2, height * 0.94), 40, glass)
        pen.rectangle((x - unit * 0.2, height * 0.42, x + unit * 0.2, height * 0.82), label)
        pen.text((x, height * 0.48), brand, (40, 30, 30), theme.font(unit * 0.075, bold=True), anchor="mm")
        paragraph(pen, (x, height * 0.54), sort, theme.font(unit * 0.04), (60, 50, 50), unit * 0.36, "ma")
        pen.text((x, height * 0.78), f"No. {number}", glass, theme.font(unit * 0.05, bold=True), anchor="mm")
        pen.line((x - unit * 0.15, height * 0.3, x - unit * 0.15, height * 0.4), (255, 255, 255), 5)
        return picture

    return shown


def plant(theme: Theme, style: Rng, content: Rng) -> Moving:
    """A bush of one sort before one wall, another one each time; the wind moves it."""
    width, height = theme.size
    wall, leaf, bark = (
        any_colour(style, 130, 220),
        (int(style.integers(20, 120)), int(style.integers(110, 190)), 40),
        (90, 65, 40),
    )
    turn, shrink, long = style.uniform(0.35, 0.6), style.uniform(0.7, 0.78), height * 0.22
    bends = content.normal(0, 0.22, 4096)

    def shown(seconds: float) -> Image.Image:
        picture, pen = theme.blank(wall)
        pen.rectangle((0, height * 0.9, width, height), mixed(wall, (60, 50, 40), 0.6))
        wind = 0.03 * math.sin(1.5 * seconds)
        at = 0
        todo = [(width * x, height * 0.9, math.pi / 2, long, 0) for x in (0.3, 0.7)]
        while todo:
            x, y, way, reach, depth = todo.pop()
            way, at = way + bends[at % 4096] + wind * depth, at + 1
            tip = (x + reach * math.cos(way), y - reach * math.sin(way))
            pen.line((x, y, *tip), bark, max(1, 7 - depth))
            if depth > 4:
                r = 5 + 3 * abs(float(bends[at % 4096])) * 5
                pen.ellipse(
                    (tip[0] - r, tip[1] - r / 2, tip[0] + r, tip[1] + r / 2), mixed(leaf, (0, 0, 0), 0.1 * (at % 4))
                )
            if depth < 7:
                todo += [(*tip, way + side * turn, reach * shrink, depth + 1) for side in (-1, 1)]
        return picture

    return shown


def news(theme: Theme, style: Rng, content: Rng) -> Moving:
    """Two speakers before a map, names below; other speakers, another map, other names."""
    width, height = theme.size
    (brand,), names = theme.some("brands", 1, style, shared=True), theme.some("names", 2, content)
    (line,) = theme.some("lines", 1, content)
    land = [(content.uniform(0, width), content.uniform(0, height * 0.6), content.uniform(30, 110)) for _ in range(7)]
    people = [
        (
            any_colour(content, 20, 120),
            [(240, 210, 180), (120, 80, 60), (190, 145, 110)][content.integers(3)],
            any_colour(content),
        )
        for _ in range(2)
    ]

    def shown(seconds: float) -> Image.Image:
        picture, pen = theme.blank(mixed(theme.colours[2], (20, 40, 90), 0.5))
        for x, y, r in land:
            pen.ellipse((x - r, y - r * 0.6, x + r, y + r * 0.6), mixed(theme.colours[2], (220, 220, 200), 0.5))
        for at, (hair, skin, coat) in enumerate(people):
            x, y = width * (0.27 + 0.46 * at) + 3 * math.sin(seconds + at), height * 0.36
            r = min(width, height) * 0.12
            pen.polygon(
                [(x - 1.9 * r, height * 0.8), (x - 1.1 * r, y + r), (x + 1.1 * r, y + r), (x + 1.9 * r, height * 0.8)],
                coat,
            )
            pen.rectangle((x - r, y - 1.3 * r, x + r, y + 0.4 * r), hair)
            pen.ellipse((x - 0.8 * r, y - r, x + 0.8 * r, y + 1.1 * r), skin)
            pen.line(
                (x - r / 4, y + 0.6 * r, x + r / 4, y + (0.6 + 0.1 * (int(seconds * 4) % 2)) * r), (120, 30, 30), 4
            )
            pen.text(
                (x, height * 0.77), names[at], theme.colours[1], theme.font(min(width, height) * 0.045), anchor="mm"
            )
        pen.rectangle((0, height * 0.82, width, height * 0.94), theme.colours[0])
        pen.text(
            (width * 0.02, height * 0.88),
            line,
            theme.colours[1],
            theme.font(min(width, height) * 0.055, True),
            anchor="lm",
        )
        pen.rectangle((width * 0.8, height * 0.03, width * 0.98, height * 0.13), theme.colours[0])
        pen.text(
            (width * 0.89, height * 0.08),
            brand,
            theme.colours[1],
            theme.font(min(width, height) * 0.05, True),
            anchor="mm",
        )
        return picture

    return shown


def static_camera(theme: Theme, style: Rng, content: Rng) -> Moving:
    """One shop from one camera on another day: other light, other people walking."""
    width, height = theme.size
    ground = Image.new("RGB", theme.size, (200, 198, 190))
    pen = ImageDraw.Draw(ground)
    for shelf in (0.0, 0.66):
        left = width * shelf
        pen.rectangle((left, height * 0.1, left + width * 0.34, height * 0.85), (120, 110, 100))
        for row in range(5):
            y = height * (0.12 + 0.145 * row)
            for column in range(9):
                x, high = left + width * (0.01 + 0.036 * column), height * style.uniform(0.06, 0.12)
                pen.rectangle((x, y + height * 0.125 - high, x + width * 0.03, y + height * 0.125), any_colour(style))
            pen.line((left, y + height * 0.13, left + width * 0.34, y + height * 0.13), (60, 55, 50), 4)
        pen.text(
            (left + width * 0.17, height * 0.05),
            f"{style.integers(1, 30)}",
            (40, 40, 40),
            theme.font(height * 0.06),
            anchor="mm",
        )
    lit = in_another_light(ground, content.uniform(0.5, 1.2), content.uniform(0.88, 1.12, 3))
    people = [
        (
            content.uniform(0, width),
            content.uniform(-50, 50),
            content.uniform(0.5, 0.75),
            any_colour(content),
            any_colour(content),
        )
        for _ in range(int(content.integers(2, 5)))
    ]

    def shown(seconds: float) -> Image.Image:
        picture = lit.copy()
        pen = ImageDraw.Draw(picture)
        for start, speed, head, coat, legs in people:
            x, y, step = (start + speed * seconds) % (width + 80) - 40, height * head, 8 * math.sin(6 * seconds)
            pen.ellipse((x - 13, y - 28, x + 13, y), (215, 175, 145))
            pen.rounded_rectangle((x - 22, y, x + 22, y + 70), 10, coat)
            for side in (-1, 1):
                pen.line((x + 8 * side, y + 70, x + 8 * side + side * step, y + 125), legs, 12)
        return picture

    return shown


def characters(theme: Theme, style: Rng, content: Rng) -> Moving:
    """A robot and its dog, always the same two, in other poses before another town."""
    width, height = theme.size
    metal, lamp, fur = any_colour(style), any_colour(style, 150, 255), any_colour(style)
    night, towers = (
        any_colour(content, 10, 120),
        [(content.uniform(0, width), content.uniform(0.2, 0.7), any_colour(content, 20, 140)) for _ in range(8)],
    )
    at, jump, lifts = content.uniform(0.25, 0.75), content.uniform(0, 0.12), content.uniform(-1.4, 1.4, 2)

    def shown(seconds: float) -> Image.Image:
        picture, pen = theme.blank(night)
        for x, high, colour in towers:
            pen.rectangle((x - 35, height * (0.85 - high), x + 35, height * 0.85), colour)
        pen.rectangle((0, height * 0.85, width, height), mixed(night, (120, 120, 120), 0.5))
        u, x = min(width, height) * 0.1, width * at
        y = height * (0.45 - jump * abs(math.sin(2 * seconds)))
        for side, lift in zip((-1, 1), lifts, strict=True):
            turn = lift + 0.2 * math.sin(3 * seconds)
            pen.line(
                (x + side * u, y + u, x + side * u * (1 + 1.8 * math.cos(turn)), y + u - 1.8 * u * math.sin(turn)),
                metal,
                round(u / 3),
            )
            pen.rectangle(
                (x + side * u * 0.6 - u / 4, y + 2.4 * u, x + side * u * 0.6 + u / 4, y + 3.6 * u),
                metal,
                (10, 10, 10),
                2,
            )
        pen.rectangle((x - u, y + 0.6 * u, x + u, y + 2.4 * u), metal, (10, 10, 10), 3)
        pen.rectangle((x - 0.8 * u, y - u, x + 0.8 * u, y + 0.5 * u), metal, (10, 10, 10), 3)
        for side in (-1, 1):
            pen.ellipse((x + side * u * 0.4 - u / 5, y - u / 2, x + side * u * 0.4 + u / 5, y - u / 10), lamp)
        pen.line((x, y - u, x, y - 1.7 * u), (200, 200, 200), 3)
        pen.ellipse((x - u / 5, y - 2 * u, x + u / 5, y - 1.6 * u), lamp)
        dog = width * (at + 0.28 * (1 if lifts[0] > 0 else -1))
        pen.rounded_rectangle((dog - 1.3 * u, height * 0.72, dog + 1.3 * u, height * 0.82), 12, fur, (10, 10, 10), 3)
        pen.ellipse((dog + 0.9 * u, height * 0.6, dog + 2.2 * u, height * 0.76), fur, (10, 10, 10), 3)
        for leg in (-1, 0.8):
            pen.line((dog + leg * u, height * 0.8, dog + leg * u, height * 0.9), fur, 8)
        return picture

    return shown
