"""Cards of the half `report`: writing, signs, test pictures, laid out unlike those of the other half."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw

from benchmarks.copies.lookalikes.canvas import Colour, Moving, Rng, Theme, mixed, pages, paragraph, still

TONES = ((235, 235, 235), (235, 235, 16), (16, 235, 235), (16, 235, 16), (235, 16, 235), (235, 16, 16), (16, 16, 235))


def quote(theme: Theme, _: Rng, content: Rng) -> Moving:
    """A framed sentence, its author above a rule; it fades in."""
    picture, pen = theme.blank()
    width, height = theme.size
    unit = min(width, height)
    (line,), (name,) = theme.some("lines", 1, content), theme.some("names", 1, content)
    pen.rectangle((width * 0.04, height * 0.05, width * 0.96, height * 0.95), outline=theme.colours[2], width=5)
    pen.text((width / 2, height * 0.2), name.upper(), theme.colours[2], theme.font(unit * 0.055), anchor="mm")
    pen.line((width * 0.35, height * 0.28, width * 0.65, height * 0.28), theme.colours[2], 3)
    paragraph(
        pen, (width / 2, height * 0.4), line, theme.font(unit * 0.1, bold=True), theme.colours[1], width * 0.8, "ma"
    )
    dark = Image.new("RGB", theme.size, theme.colours[0])
    return lambda seconds: Image.blend(dark, picture, min(1.0, 0.3 + seconds / 2))


def credits(theme: Theme, _: Rng, content: Rng) -> Moving:
    """A roll of roles and names on both sides of the middle."""
    width, height = theme.size
    row_px = height * 0.11
    names, roles = theme.some("names", 16, content), theme.some("roles", 14, content)
    roll = Image.new("RGB", (width, round(row_px * 22)), theme.colours[0])
    pen = ImageDraw.Draw(roll)
    for row, name in enumerate(names):
        y, font = row_px * (row + 3), theme.font(min(width, height) * 0.05)
        pen.text((width * 0.48, y), roles[row % len(roles)], theme.colours[2], font, anchor="ra")
        pen.text((width * 0.52, y), name, theme.colours[1], font, anchor="la")

    def shown(seconds: float) -> Image.Image:
        top = round(seconds * row_px * 0.9)
        return roll.crop((0, top, width, top + height))

    return shown


def slide(theme: Theme, _: Rng, content: Rng) -> Moving:
    """Slides with a coloured margin, a chart and two points."""
    width, height = theme.size
    unit = min(width, height)
    lines, titles = theme.some("lines", 6, content), theme.some("goods", 3, content)
    shown = []
    for page in range(3):
        picture, pen = theme.blank()
        pen.rectangle((0, 0, width * 0.06, height), theme.colours[2])
        pen.text((width * 0.1, height * 0.06), titles[page], theme.colours[1], theme.font(unit * 0.09, bold=True))
        bars = content.uniform(0.05, 0.42, int(content.integers(4, 8)))
        for at, value in enumerate(bars):
            left = width * (0.12 + 0.8 * at / len(bars))
            pen.rectangle(
                (left, height * (0.65 - value), left + width * 0.5 / len(bars), height * 0.65), theme.colours[2]
            )
        pen.line((width * 0.1, height * 0.65, width * 0.94, height * 0.65), theme.colours[1], 2)
        top = height * 0.7
        for line in lines[2 * page : 2 * page + 2]:
            top = paragraph(pen, (width * 0.1, top), line, theme.font(unit * 0.05), theme.colours[1], width * 0.85)
        shown.append(picture)
    return pages(shown, 4.0)


def lyrics(theme: Theme, style: Rng, content: Rng) -> Moving:
    """A line at the bottom that fills with colour as it is sung, over a dark ground with dots."""
    width, height = theme.size
    chinese = bool(style.integers(2))
    lines = theme.some("chinese" if chinese else "lines", 6, content)
    ground, pen = theme.blank(mixed(theme.colours[0], (0, 0, 0), 0.6))
    for _ in range(60):
        x, y, r = style.uniform(0, width), style.uniform(0, height * 0.7), style.uniform(2, 14)
        pen.ellipse((x - r, y - r, x + r, y + r), mixed(theme.colours[2], (0, 0, 0), style.uniform(0.2, 0.7)))
    font = theme.font(min(width, height) * 0.075, bold=True, chinese=chinese)

    def shown(seconds: float) -> Image.Image:
        text, sung = lines[int(seconds / 2.5) % 6], seconds % 2.5 / 2.5
        layers = []
        for colour in (theme.colours[1], (255, 220, 40)):
            layer = ground.copy()
            paragraph(ImageDraw.Draw(layer), (width / 2, height * 0.72), text, font, colour, width * 0.94, "ma")
            layers.append(layer)
        layers[0].paste(layers[1].crop((0, 0, round(width * sung), height)), (0, 0))
        return layers[0]

    return shown


def price(theme: Theme, _: Rng, content: Rng) -> Moving:
    """A list of goods with dotted lines to their prices."""
    picture, pen = theme.blank()
    width, height = theme.size
    unit = min(width, height)
    (brand,) = theme.some("brands", 1, content)
    pen.rectangle((0, 0, width, height * 0.18), theme.colours[1])
    pen.text((width / 2, height * 0.09), brand, theme.colours[0], theme.font(unit * 0.11, bold=True), anchor="mm")
    for row, goods in enumerate(theme.some("goods", 6, content)):
        y, font = height * (0.27 + 0.12 * row), theme.font(unit * 0.06)
        pen.text((width * 0.06, y), goods, theme.colours[1], font)
        pen.text((width * 0.94, y), f"{content.integers(100, 9999) / 100:.2f}", theme.colours[2], font, anchor="ra")
        for x in range(round(width * 0.06 + font.getlength(goods)) + 8, round(width * 0.74), 9):
            pen.ellipse((x, y + unit * 0.05, x + 2, y + unit * 0.05 + 2), theme.colours[1])
    return still(picture)


def sign(theme: Theme, style: Rng, content: Rng) -> Moving:
    """A street plate on a pole under a sky; clouds pass."""
    width, height = theme.size
    sky = (120, 170, 225)
    (place,) = theme.some("places", 1, content)
    clouds = [(style.uniform(0, width), style.uniform(0, height * 0.5), style.uniform(30, 70)) for _ in range(5)]

    def shown(seconds: float) -> Image.Image:
        picture, pen = theme.blank(sky)
        for x, y, r in clouds:
            for part in (-1, 0, 1):
                left = (x + 6 * seconds + part * r * 0.8) % (width + 200) - 100
                pen.ellipse((left - r, y - r * 0.6, left + r, y + r * 0.6), (240, 244, 250))
        pen.rectangle((width * 0.47, height * 0.3, width * 0.53, height), (110, 110, 115))
        pen.rounded_rectangle(
            (width * 0.08, height * 0.38, width * 0.92, height * 0.66), 10, theme.colours[2], (255, 255, 255), 5
        )
        font = theme.font(min(width, height) * 0.1, bold=True)
        paragraph(pen, (width / 2, height * 0.42), place, font, (255, 255, 255), width * 0.8, "ma")
        number = str(content_number)
        pen.text(
            (width * 0.88, height * 0.6), number, (255, 255, 255), theme.font(min(width, height) * 0.05), anchor="rm"
        )
        return picture

    content_number = int(content.integers(1, 400))
    return shown


def table(theme: Theme, _: Rng, content: Rng) -> Moving:
    """A board of scores: two sides, a number each, one row after another lit."""
    width, height = theme.size
    places, others = theme.some("places", 6, content), theme.some("brands", 6, content)
    scores = content.integers(0, 12, (6, 2))
    shown = []
    for lit in range(6):
        picture, pen = theme.blank()
        for row in range(6):
            y, font = height * (0.1 + 0.15 * row), theme.font(min(width, height) * 0.055, bold=row == lit)
            colour: Colour = theme.colours[1] if row == lit else mixed(theme.colours[1], theme.colours[0], 0.4)
            pen.text((width * 0.38, y), places[row], colour, font, anchor="rm")
            pen.text((width / 2, y), f"{scores[row][0]} : {scores[row][1]}", theme.colours[2], font, anchor="mm")
            pen.text((width * 0.62, y), others[row], colour, font, anchor="lm")
            pen.line((width * 0.05, y + height * 0.075, width * 0.95, y + height * 0.075), theme.colours[2])
        shown.append(picture)
    return pages(shown, 2.0)


def test_card(theme: Theme, style: Rng, content: Rng) -> Moving:
    """A chequered edge, fans of lines and rings; a bar moves, the name and the tones are others."""
    width, height = theme.size
    picture, pen = theme.blank((128, 128, 128))
    step = int(style.integers(18, 30))
    for x in range(0, width, step):
        for y in range(0, height, step):
            edge = min(x, y, width - x - step, height - y - step) < step
            if edge and (x // step + y // step) % 2 == 0:
                pen.rectangle((x, y, x + step, y + step), (255, 255, 255))
    lines = int(content.integers(10, 30))
    for at in range(lines):
        turn = math.pi * at / lines + content.uniform(0, 0.05)
        reach = (0.3 * width * math.cos(turn), 0.36 * height * math.sin(turn))
        pen.line(
            (width / 2 - reach[0], height / 2 - reach[1], width / 2 + reach[0], height / 2 + reach[1]), (0, 0, 0), 2
        )
    for ring in range(int(content.integers(2, 6))):
        r = min(width, height) * (0.08 + 0.06 * ring)
        pen.ellipse((width / 2 - r, height / 2 - r, width / 2 + r, height / 2 + r), outline=(255, 255, 255), width=3)
    for at, tone in enumerate(content.permutation(np.array(TONES))):
        left = width * (0.1 + 0.8 * at / 7)
        pen.rectangle((left, height * 0.84, left + width * 0.8 / 7, height * 0.92), tuple(int(part) for part in tone))
    (name,) = theme.some("brands", 1, content)
    pen.rectangle((width * 0.3, height * 0.44, width * 0.7, height * 0.56), (0, 0, 0))
    pen.text((width / 2, height / 2), name.upper(), (255, 255, 255), theme.font(min(width, height) * 0.08), anchor="mm")

    def shown(seconds: float) -> Image.Image:
        now = picture.copy()
        x = width * (0.1 + 0.8 * (seconds / 4 % 1))
        ImageDraw.Draw(now).rectangle((x - 6, height * 0.1, x + 6, height * 0.16), (255, 255, 255))
        return now

    return shown


def colour_bars(theme: Theme, _: Rng, content: Rng) -> Moving:
    """Bars above, dark steps below and a caption between, in other orders, shares and tones."""
    picture, pen = theme.blank((16, 16, 16))
    width, height = theme.size
    count, split, level = int(content.integers(5, 8)), content.uniform(0.5, 0.72), content.uniform(0.65, 1.0)
    for at, chosen in enumerate(content.permutation(len(TONES))[:count]):
        colour = mixed((0, 0, 0), TONES[chosen], level)
        pen.rectangle((width * at / count, 0, width * (at + 1) / count, height * split), colour)
    steps = int(content.integers(4, 9))
    for at in range(steps):
        grey = int(content.integers(0, 255))
        pen.rectangle(
            (width * at / steps, height * (split + 0.14), width * (at + 1) / steps, height), (grey, grey, grey)
        )
    (place,) = theme.some("places", 1, content)
    font = theme.font(min(width, height) * 0.07)
    pen.text(
        (width / 2, height * (split + 0.07)),
        f"{place} {content.integers(100, 999)}",
        (235, 235, 235),
        font,
        anchor="mm",
    )
    return still(picture)


def logo(theme: Theme, style: Rng, content: Rng) -> Moving:
    """A letter cut out of a striped shape, a line below; a light passes over."""
    width, height = theme.size
    unit, stripes = min(width, height), int(style.integers(5, 9))
    (name,), (line,) = theme.some("brands", 1, content), theme.some("roles", 1, content)
    shape = [
        (width / 2 + unit * 0.26 * math.cos(t), height * 0.4 + unit * 0.26 * math.sin(t))
        for t in np.sort(content.uniform(0, 6.28, 6))
    ]
    mark = Image.new("L", theme.size)
    ImageDraw.Draw(mark).polygon(shape, 255)
    striped, pen = theme.blank(theme.colours[2])
    for at in range(0, stripes * 2, 2):
        pen.line((0, height * at / stripes / 2, width, height * (at + 1) / stripes / 2), theme.colours[1], 7)
    picture, pen = theme.blank()
    picture.paste(striped, (0, 0), mark)
    pen.text((width / 2, height * 0.4), name[0], theme.colours[0], theme.font(unit * 0.3, bold=True), anchor="mm")
    pen.text(
        (width / 2, height * 0.75), name.upper(), theme.colours[1], theme.font(unit * 0.12, bold=True), anchor="mm"
    )
    pen.text((width / 2, height * 0.88), line, theme.colours[2], theme.font(unit * 0.05), anchor="mm")

    def shown(seconds: float) -> Image.Image:
        light = Image.new("L", theme.size)
        x = width * (seconds / 3 % 1.4 - 0.2)
        ImageDraw.Draw(light).polygon([(x, 0), (x + 40, 0), (x - 20, height), (x - 60, height)], 70)
        return Image.composite(Image.new("RGB", theme.size, (255, 255, 255)), picture, light)

    return shown


def countdown(theme: Theme, _: Rng, content: Rng) -> Moving:
    """A film leader: cross hairs, a hand that sweeps, a number; another start, another mark."""
    width, height = theme.size
    unit, start = min(width, height), 15 * int(content.integers(1, 7))
    (brand,) = theme.some("brands", 1, content)

    def shown(seconds: float) -> Image.Image:
        picture, pen = theme.blank(mixed(theme.colours[0], (128, 128, 128), 0.5))
        x, y = width / 2, height / 2
        pen.pieslice(
            (x - width, y - width, x + width, y + width),
            -90,
            -90 + 360 * (seconds % 1),
            mixed(theme.colours[0], (60, 60, 60), 0.5),
        )
        pen.line((0, y, width, y), theme.colours[1], 2)
        pen.line((x, 0, x, height), theme.colours[1], 2)
        for r in (unit * 0.36, unit * 0.42):
            pen.ellipse((x - r, y - r, x + r, y + r), outline=theme.colours[1], width=4)
        pen.text(
            (x, y), str(max(0, start - int(seconds))), theme.colours[1], theme.font(unit * 0.4, bold=True), anchor="mm"
        )
        pen.text((width * 0.03, height * 0.97), brand, theme.colours[1], theme.font(unit * 0.05), anchor="ld")
        return picture

    return shown
