"""Cards of the half `fit`: writing, signs, test pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from benchmarks.copies.lookalikes.canvas import (
    Colour,
    Moving,
    Rng,
    Theme,
    mixed,
    pages,
    paragraph,
    still,
)

BARS: Sequence[Colour] = (
    (191, 191, 191),
    (191, 191, 0),
    (0, 191, 191),
    (0, 191, 0),
    (191, 0, 191),
    (191, 0, 0),
    (0, 0, 191),
)


def quote(theme: Theme, _: Rng, content: Rng) -> Moving:
    """A sentence in the middle, its author below."""
    picture, pen = theme.blank()
    width, height = theme.size
    (line,), (name,) = theme.some("lines", 1, content), theme.some("names", 1, content)
    unit = min(width, height)
    pen.text((width * 0.08, height * 0.12), "\u201c", theme.colours[2], theme.font(unit * 0.3, bold=True))
    bottom = paragraph(
        pen, (width * 0.12, height * 0.4), line, theme.font(unit * 0.085), theme.colours[1], width * 0.76
    )
    pen.text((width * 0.88, bottom + unit * 0.06), f"- {name}", theme.colours[2], theme.font(unit * 0.06), anchor="ra")
    return still(picture)


def credits(theme: Theme, _: Rng, content: Rng) -> Moving:
    """Pages of roles and names, set to the left."""
    width, height = theme.size
    names, roles = theme.some("names", 12, content), theme.some("roles", 12, content)
    shown = []
    for page in range(3):
        picture, pen = theme.blank()
        for row in range(4):
            at, top = page * 4 + row, height * (0.14 + 0.2 * row)
            pen.text((width * 0.1, top), roles[at].upper(), theme.colours[2], theme.font(height * 0.045))
            pen.text(
                (width * 0.1, top + height * 0.06), names[at], theme.colours[1], theme.font(height * 0.075, bold=True)
            )
        shown.append(picture)
    return pages(shown, 4.0)


def slide(theme: Theme, _: Rng, content: Rng) -> Moving:
    """Slides of a talk: a bar with a title, points below, a number."""
    width, height = theme.size
    unit = min(width, height)
    lines, titles = theme.some("lines", 9, content), theme.some("places", 3, content)
    shown = []
    for page in range(3):
        picture, pen = theme.blank()
        pen.rectangle((0, 0, width, height * 0.2), theme.colours[2])
        pen.text(
            (width * 0.05, height * 0.1), titles[page], theme.colours[0], theme.font(unit * 0.1, True), anchor="lm"
        )
        top = height * 0.27
        for line in lines[3 * page : 3 * page + 3]:
            pen.ellipse((width * 0.05, top + 6, width * 0.05 + 8, top + 14), theme.colours[2])
            place = (width * 0.09, top)
            top = paragraph(pen, place, line, theme.font(unit * 0.058), theme.colours[1], width * 0.85) + unit * 0.035
        number = str(int(content.integers(2, 90)))
        pen.text((width * 0.96, height * 0.96), number, theme.colours[1], theme.font(unit * 0.045), anchor="rd")
        shown.append(picture)
    return pages(shown, 4.0)


def lyrics(theme: Theme, style: Rng, content: Rng) -> Moving:
    """Two lines of a song on a shaded ground, the one that is sung in another colour."""
    width, height = theme.size
    chinese = bool(style.integers(2))
    lines = theme.some("chinese" if chinese else "lines", 8, content)
    shade = Image.linear_gradient("L").resize(theme.size)
    below_it, above = (Image.new("RGB", theme.size, theme.colours[at]) for at in (0, 2))
    ground = Image.composite(below_it, above, shade)
    shown = []
    for line in range(6):
        picture = ground.copy()
        pen = ImageDraw.Draw(picture)
        for below, colour in ((0, theme.colours[1]), (1, mixed(theme.colours[1], theme.colours[2], 0.5))):
            font = theme.font(min(width, height) * 0.08, bold=below == 0, chinese=chinese)
            paragraph(
                pen, (width / 2, height * (0.4 + 0.22 * below)), lines[line + below], font, colour, width * 0.9, "ma"
            )
        shown.append(picture)
    return pages(shown, 2.0)


def price(theme: Theme, _: Rng, content: Rng) -> Moving:
    """An offer: the goods above, a star with the price, the old price struck out."""
    picture, pen = theme.blank()
    width, height = theme.size
    unit = min(width, height)
    (goods,) = theme.some("goods", 1, content)
    now, old = sorted(float(value) for value in content.integers(199, 9999, 2) / 100)
    middle = (width * 0.5, height * 0.6)
    turns = np.linspace(0, 2 * math.pi, 33)
    reach = [unit * (0.34 if at % 2 else 0.27) for at in range(33)]
    points = [(middle[0] + r * math.cos(t), middle[1] + r * math.sin(t)) for r, t in zip(reach, turns, strict=True)]
    pen.polygon(points, theme.colours[2])
    pen.text((width / 2, height * 0.14), goods, theme.colours[1], theme.font(unit * 0.11, bold=True), anchor="mm")
    pen.text(middle, f"{now:.2f}", theme.colours[0], theme.font(unit * 0.16, bold=True), anchor="mm")
    box = pen.textbbox((width * 0.8, height * 0.9), f"{old:.2f}", theme.font(unit * 0.08), anchor="mm")
    pen.text((width * 0.8, height * 0.9), f"{old:.2f}", theme.colours[1], theme.font(unit * 0.08), anchor="mm")
    pen.line((box[0], (box[1] + box[3]) / 2, box[2], (box[1] + box[3]) / 2), theme.colours[1], 3)
    return still(picture)


def sign(theme: Theme, style: Rng, content: Rng) -> Moving:
    """A board on a rough wall: an arrow and where it points to; the camera shakes a little."""
    width, height = theme.size
    wall = style.integers(100, 170, (height // 6 + 8, width // 6 + 8, 1)) + style.integers(-25, 25, 3)
    picture = Image.fromarray(wall.clip(0, 255).astype(np.uint8)).resize((width + 40, height + 40))
    pen = ImageDraw.Draw(picture)
    board = (width * 0.12, height * 0.25, width * 0.88 + 40, height * 0.75 + 20)
    pen.rounded_rectangle(board, 18, theme.colours[0], theme.colours[1], 6)
    for row, place in enumerate(theme.some("places", 2, content)):
        middle = height * (0.4 + 0.22 * row) + 10
        font = theme.font(min(width, height) * 0.09, bold=True)
        pen.text((width * 0.3, middle), place, theme.colours[1], font, anchor="lm")
        tip = width * (0.16 if content.integers(2) else 0.28)
        tail = width * 0.44 - tip
        side = 12 if tip < tail else -12
        pen.line((tip, middle, tail, middle), theme.colours[2], 8)
        pen.polygon([(tip, middle), (tip + side, middle - 12), (tip + side, middle + 12)], theme.colours[2])

    def shown(seconds: float) -> Image.Image:
        x, y = (round(20 + 8 * math.sin(rate * seconds)) for rate in (1.1, 1.7))
        return picture.crop((x, y, x + width, y + height))

    return shown


def table(theme: Theme, _: Rng, content: Rng) -> Moving:
    """A table of places and numbers, every other row shaded."""
    picture, pen = theme.blank()
    width, height = theme.size
    rows, columns = 7, 4
    heads, places = theme.some("roles", columns, content), theme.some("places", rows, content)
    font = theme.font(height * 0.05 if width > height else width * 0.045)
    for row in range(rows + 1):
        top, bottom = height * (0.06 + 0.11 * row), height * (0.17 + 0.11 * row)
        fill = theme.colours[2] if row == 0 else mixed(theme.colours[0], theme.colours[1], 0.1 * (row % 2))
        pen.rectangle((width * 0.04, top, width * 0.96, bottom), fill)
        for column in range(columns):
            number = f"{content.integers(10, 9999) / 10:.1f}"
            text = heads[column][:9] if row == 0 else places[row - 1][:12] if column == 0 else number
            left = width * (0.06 + (0.34 + 0.19 * (column - 1) if column else 0))
            pen.text((left, (top + bottom) / 2), text, theme.colours[1], font, anchor="lm")
    return still(picture)


def test_card(theme: Theme, style: Rng, content: Rng) -> Moving:
    """A grid with a circle and grey steps; the name of the station and a clock change."""
    picture, pen = theme.blank((90, 90, 90))
    width, height = theme.size
    step = int(style.integers(30, 50))
    for left in range(0, width, step):
        pen.line((left, 0, left, height), (230, 230, 230), 2)
    for top in range(0, height, step):
        pen.line((0, top, width, top), (230, 230, 230), 2)
    radius = min(width, height) * content.uniform(0.3, 0.47)
    x, y = width / 2, height / 2
    pen.ellipse((x - radius, y - radius, x + radius, y + radius), outline=(255, 255, 255), width=4)
    steps = int(content.integers(5, 11))
    for at in range(steps):
        grey = 255 * at // (steps - 1)
        edge = x - radius * 0.7 + radius * 1.4 * at / steps
        pen.rectangle((edge, y - radius * 0.5, edge + radius * 1.4 / steps, y - radius * 0.1), (grey, grey, grey))
    for at, colour in enumerate(content.permutation(np.array(BARS))[:4]):
        edge = x - radius * 0.7 + radius * 0.35 * at
        pen.rectangle((edge, y - radius * 0.1, edge + radius * 0.35, y + radius * 0.2), tuple(int(c) for c in colour))
    (name,) = theme.some("brands", 1, content)
    pen.text((x, y + radius * 0.45), name.upper(), (255, 255, 255), theme.font(radius * 0.22, bold=True), anchor="mm")
    start = int(content.integers(0, 86_000))

    def shown(seconds: float) -> Image.Image:
        now = picture.copy()
        now_s = start + int(seconds)
        clock = f"{now_s // 3600:02d}:{now_s // 60 % 60:02d}:{now_s % 60:02d}"
        ImageDraw.Draw(now).text((x, y + radius * 0.72), clock, (255, 255, 0), theme.font(radius * 0.17), anchor="mm")
        return now

    return shown


def colour_bars(theme: Theme, _: Rng, content: Rng) -> Moving:
    """Upright bars in an order, a number and a strength of their own."""
    picture, pen = theme.blank((0, 0, 0))
    width, height = theme.size
    count, share = int(content.integers(5, 8)), float(content.choice([0.75, 1.0, 1.33]))
    order = content.permutation(len(BARS))[:count]
    for at, chosen in enumerate(order):
        colour = tuple(min(255, round(value * share)) for value in BARS[chosen])
        pen.rectangle((width * at / count, 0, width * (at + 1) / count, height * content.uniform(0.66, 0.67)), colour)
    for at, chosen in enumerate(content.permutation(len(BARS))[:count]):
        pen.rectangle((width * at / count, height * 0.67, width * (at + 1) / count, height * 0.75), BARS[chosen])
    return still(picture)


def logo(theme: Theme, style: Rng, content: Rng) -> Moving:
    """A mark of a few shapes over a name, growing a little; the same background and type."""
    width, height = theme.size
    unit = min(width, height)
    ground, pen = theme.blank()
    tint = mixed(theme.colours[0], theme.colours[1], 0.12)
    for ring in range(6, 0, -1):
        reach = unit * 0.12 * ring * style.uniform(0.9, 1.1)
        pen.ellipse(
            (width / 2 - reach, height * 0.4 - reach, width / 2 + reach, height * 0.4 + reach), outline=tint, width=3
        )
    for _ in range(int(content.integers(2, 5))):
        sides, turn = int(content.integers(3, 8)), float(content.uniform(0, 360))
        x, y = (float(value) for value in content.normal((width / 2, height * 0.4), unit * 0.07))
        colour = mixed(theme.colours[2], theme.colours[1], float(content.uniform(0, 0.7)))
        pen.regular_polygon((x, y, unit * content.uniform(0.08, 0.18)), sides, turn, colour)
    (name,) = theme.some("brands", 1, content)
    pen.text((width / 2, height * 0.8), name, theme.colours[1], theme.font(unit * 0.14, bold=True), anchor="mm")

    def shown(seconds: float) -> Image.Image:
        share = 0.06 * min(seconds, 6) / 6
        return ground.crop(
            (round(width * share), round(height * share), round(width * (1 - share)), round(height * (1 - share)))
        ).resize(theme.size)

    return shown


def countdown(theme: Theme, _: Rng, content: Rng) -> Moving:
    """Seconds that run down in a ring that empties; another start, another caption."""
    width, height = theme.size
    unit, start = min(width, height), int(content.choice([12, 30, 45, 60, 75, 90])) + int(content.integers(0, 3))
    (place,) = theme.some("places", 1, content)

    def shown(seconds: float) -> Image.Image:
        picture, pen = theme.blank()
        x, y, radius = width / 2, height * 0.52, unit * 0.33
        left = 360 * (1 - seconds % 1)
        pen.arc((x - radius, y - radius, x + radius, y + radius), -90, -90 + left, theme.colours[2], round(unit * 0.05))
        number = str(max(0, start - int(seconds)))
        pen.text((x, y), number, theme.colours[1], theme.font(unit * 0.3, bold=True), anchor="mm")
        pen.text((x, height * 0.08), place, theme.colours[1], theme.font(unit * 0.07), anchor="mm")
        return picture

    return shown
