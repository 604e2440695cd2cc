"""Scenes drawn on the spot, a frame a second, and their twins: what an honest uploader has that only looks alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pipelines.copyright.verification.stills import Stills
from pipelines.risk.evidence import jpeg

Frame = NDArray[np.uint8]  # [H, W, 3]
HEIGHT, WIDTH, SECONDS = 256, 456, 8
INK, PAPER = (30, 30, 40), (232, 226, 210)


def stills(frames: Sequence[Frame], every_ms: int = 1000) -> Stills:
    """As they are kept of an upload or a reference."""
    return Stills(np.arange(len(frames), dtype=np.int64) * every_ms, tuple(jpeg(frame) for frame in frames))


@cache
def world(seed: int, height: int = 2 * HEIGHT, width: int = 3 * WIDTH) -> Frame:
    """A large picture full of shapes, of which no part is like another."""
    rng = np.random.default_rng(seed)
    ground = rng.integers(40, 216, (height // 64, width // 64, 3), np.uint8)
    canvas = Image.fromarray(ground).resize((width, height), Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(canvas)
    for _ in range(700):
        x, y, size = rng.integers(width), rng.integers(height), rng.integers(6, 48)
        colour = tuple(int(value) for value in rng.integers(0, 256, 3))
        corners = [(x + size * np.cos(a), y + size * np.sin(a)) for a in np.sort(rng.uniform(0, 6.28, 4))]
        pen.polygon(corners, fill=colour)
    return np.asarray(canvas)


def film(seed: int, seconds: int = SECONDS, phase: float = 0.0) -> list[Frame]:
    """A camera that pans slowly over a world, with somebody walking through; `phase` of a second later."""
    frames = []
    for second in range(seconds):
        x, y = round(40 + 9 * (second + phase)), round(60 + 4 * (second + phase))
        frame = world(seed)[y : y + HEIGHT, x : x + WIDTH].copy()
        frames.append(_with(frame, figure(seed + 1), round(30 + 22 * (second + phase)), 90))
    return frames


def haze(seed: int, seconds: int = SECONDS, phase: float = 0.0) -> list[Frame]:
    """Large soft shapes that drift past, and no edge anywhere: fog, light behind cloth, a film out of focus."""
    grid = np.random.default_rng(seed).integers(0, 255, (14, 30, 3), np.uint8)
    wide = np.asarray(Image.fromarray(grid).resize((3 * WIDTH, 2 * HEIGHT), Image.Resampling.BICUBIC))
    return [
        wide[60 : 60 + HEIGHT, x : x + WIDTH].copy()
        for x in (round(30 + 60 * (second + phase)) for second in range(seconds))
    ]


@cache
def figure(seed: int, height: int = 130, width: int = 64) -> Frame:
    """Somebody, or something, that moves."""
    return np.asarray(Image.fromarray(world(seed, 260, 128)).resize((width, height)))


def _with(frame: Frame, small: Frame, x: int, y: int) -> Frame:
    height, width = small.shape[:2]
    x, y = min(max(0, x), frame.shape[1] - width), min(max(0, y), frame.shape[0] - height)
    frame[y : y + height, x : x + width] = small
    return frame


def static_camera(place: int, visitor: int) -> list[Frame]:
    """One place from one tripod, and who walks there fills a fourth of the picture."""
    ground = world(place)[:HEIGHT, :WIDTH]
    return [_with(ground.copy(), figure(visitor, 220, 140), 20 + 38 * second, 30) for second in range(SECONDS)]


def game(hud: int, session: int) -> list[Frame]:
    """A world that differs each second, and a bar with a score below that is the same in every session."""
    frames = []
    for second in range(SECONDS):
        frame = world(1000 * session + second)[:HEIGHT, :WIDTH].copy()
        frame[-64:] = world(hud)[:64, :WIDTH]
        frames.append(written(frame, [f"{100 * second + session}"], 20, 10, HEIGHT - 50, (255, 255, 255)))
    return frames


def news(desk: int, presenter: int, story: int, words: Sequence[str]) -> list[Frame]:
    """A studio with a presenter who moves, a picture beside and words in the lower third."""
    frames = []
    for second in range(SECONDS):
        frame = world(desk)[:HEIGHT, :WIDTH] // 2 + 60
        frame[20:140, 250:440] = world(story)[second * 6 : second * 6 + 120, :190]
        frame = _with(frame, figure(presenter, 150, 90), 60 + (second * 7) % 20, 50)
        frame[200:240] = (180, 20, 30)
        frames.append(written(frame, [words[second * len(words) // SECONDS]], 22, 16, 206, (255, 255, 255)))
    return frames


def plate(seed: int, words: str) -> list[Frame]:
    """A name on a plate before a picture that a hand-held camera drifts over."""
    frames = []
    for second in range(SECONDS):
        whole = world(seed)[:400, :600].copy()
        whole[120:190, 150:390] = (250, 250, 245)
        whole = written(whole, [words], 52, 165, 122, INK)
        frames.append(whole[3 * second : 3 * second + HEIGHT, 5 * second : 5 * second + WIDTH])
    return frames


def place(seed: int, side: float) -> list[Frame]:
    """One front of a house: `side` says from where, -1 to 1; what stands before it is another thing each time."""
    front = cv2.resize(world(seed, 600, 900), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    lean = 70 * side
    goal = np.float32([[max(0, lean), max(0, lean)], [WIDTH + min(0, lean), max(0, -lean)]])
    low = np.float32([[WIDTH + min(0, lean), HEIGHT - max(0, -lean)], [max(0, lean), HEIGHT - max(0, lean)]])
    start = np.float32([[0, 0], [WIDTH, 0], [WIDTH, HEIGHT], [0, HEIGHT]])
    seen = cv2.warpPerspective(front, cv2.getPerspectiveTransform(start, np.concatenate([goal, low])), (WIDTH, HEIGHT))
    before = figure(round(1000 * side) + 5000, 170, 130)
    return [_with(seen.copy(), before, round(150 - 90 * side) + 2 * second, 86) for second in range(SECONDS)]


def card(
    lines: Sequence[str], size: int = 26, paper: tuple[int, int, int] = PAPER, ink: tuple[int, int, int] = INK
) -> list[Frame]:
    """A card of words that stays."""
    frame = np.full((HEIGHT, WIDTH, 3), paper, np.uint8)
    frame[8:12, 8:-8] = frame[-12:-8, 8:-8] = ink
    return [written(frame, lines, size, 30, 30, ink)] * SECONDS


def rolled(names: Sequence[str]) -> list[Frame]:
    """Credits that move up by one line in two seconds."""
    frames = []
    for second in range(SECONDS):
        frame = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        frames.append(written(frame, names, 22, 90, 60 - 15 * second, (230, 230, 230)))
    return frames


def countdown(first: int, ground: int) -> list[Frame]:
    """A large number each second before one picture that stays."""
    return [
        written(world(ground)[:HEIGHT, :WIDTH] // 3, [f"{first - second}"], 150, 150, 30, (250, 240, 60))
        for second in range(SECONDS)
    ]


def bars(colours: Sequence[tuple[int, int, int]], moves: int = 0) -> list[Frame]:
    """Upright bars; some test cards let them run."""
    row = np.array(colours, np.uint8)[np.arange(WIDTH) * len(colours) // WIDTH]
    return [np.tile(np.roll(row, moves * second, axis=0), (HEIGHT, 1, 1)) for second in range(SECONDS)]


def flat(level: int) -> list[Frame]:
    """Black, white or grey."""
    return [np.full((HEIGHT, WIDTH, 3), level, np.uint8)] * SECONDS


def gradient(turned: bool = False) -> list[Frame]:
    """From dark to light."""
    ramp = np.tile(np.linspace(0, 255, WIDTH).astype(np.uint8)[None, :, None], (HEIGHT, 1, 3))
    return [ramp[:, ::-1].copy() if turned else ramp] * SECONDS


def noise(seed: int) -> list[Frame]:
    """Snow."""
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8) for _ in range(SECONDS)]


def written(frame: Frame, lines: Sequence[str], size: int, left: int, top: int, ink: tuple[int, int, int]) -> Frame:
    picture = Image.fromarray(np.ascontiguousarray(frame))
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(size)
    for number, line in enumerate(lines):
        pen.text((left, top + round(1.35 * size * number)), line, fill=ink, font=font)
    return np.asarray(picture)


NAMES = ("Ada Lindqvist", "Bo Hartmann", "Carla Mendes", "Dmitri Volkov", "Eun-ji Park", "Farid Nasser", "Grace Okoye")
OTHERS = ("Hugo Bianchi", "Ines Duarte", "Jonas Weber", "Keiko Tanaka", "Luis Herrera", "Mona Saleh", "Nils Berg")
QUOTE = ("Water wears the stone away", "that no hammer could split,", "one small drop at a time.", "The old miller")
SAYING = ("Whoever sows in the rain", "has no need to count clouds", "when the grain is brought in.", "The young smith")
PRICES = ("Bread           2.40", "Milk            1.15", "Apples, 1 kg    3.20", "Coffee          6.90")
SALES = ("Flour           1.10", "Honey           4.75", "Grapes, 1 kg    5.60", "Tea             3.35")
RAINBOW = [(192, 192, 192), (192, 192, 0), (0, 192, 192), (0, 192, 0), (192, 0, 192), (192, 0, 0), (0, 0, 192)]
PASTEL = [(0, 0, 192), (16, 16, 16), (192, 0, 192), (90, 90, 90), (0, 192, 192), (192, 120, 0), (230, 230, 230)]

# What is in the bank, and what an honest uploader shows.
TWINS: dict[str, tuple[Callable[[], list[Frame]], Callable[[], list[Frame]]]] = {
    "another film": (lambda: film(1), lambda: film(7)),
    "one place from two sides": (lambda: place(3, 0.7), lambda: place(3, -0.9)),
    "one tripod on two days": (lambda: static_camera(4, 41), lambda: static_camera(4, 47)),
    "two sessions of one game": (lambda: game(5, 1), lambda: game(5, 2)),
    "one news desk, two evenings": (
        lambda: news(6, 61, 62, ("Parliament votes tonight", "Snow in the north")),
        lambda: news(6, 64, 65, ("Harvest fails again", "A record at sea")),
    ),
    "other credits": (lambda: rolled(NAMES), lambda: rolled(OTHERS)),
    "another quote": (lambda: card(QUOTE), lambda: card(SAYING)),
    "other prices": (lambda: card(PRICES, 24), lambda: card(SALES, 24)),
    "another countdown": (lambda: countdown(28, 8), lambda: countdown(19, 9)),
    "other bars": (lambda: bars(RAINBOW), lambda: bars(PASTEL)),
    "other bars that run": (lambda: bars(RAINBOW, 20), lambda: bars(PASTEL, 33)),
    "black": (lambda: flat(0), lambda: flat(0)),
    "white": (lambda: flat(255), lambda: flat(250)),
    "a gradient": (gradient, gradient),
    "noise": (lambda: noise(1), lambda: noise(2)),
}
