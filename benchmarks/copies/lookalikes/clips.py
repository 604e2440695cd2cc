"""The clips of the look-alike halves: which pairs there are in a draw, and how each picture and sound is made."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, cycle
from pathlib import Path
from typing import TypedDict
from zlib import crc32

import numpy as np

from benchmarks.copies.edits import Size
from benchmarks.copies.lookalikes import (
    boxes,
    canvas,
    fit_cards,
    fit_scenes,
    flats,
    report_cards,
    report_scenes,
    sounds,
)
from benchmarks.copies.lookalikes.canvas import SECONDS, Frame, Moving, Rng, Theme, frames_of, theme
from benchmarks.copies.lookalikes.footage import Footage, plain_footage, real_pairs
from benchmarks.copies.lookalikes.sounds import Sounding
from benchmarks.copies.sound import Samples, music
from benchmarks.copies.sources import Source

Template = Callable[[Theme, Rng, Rng], Moving]  # theme, the pair's rng, the video's rng -> what is shown when
PAIRS = 2  # of every kind that is drawn
FILLERS = 8
WIDE, UPRIGHT = (640, 360), (360, 640)
CARDS = (
    "quote",
    "credits",
    "slide",
    "lyrics",
    "price",
    "sign",
    "table",
    "test_card",
    "colour_bars",
    "logo",
    "countdown",
)
SCENES = ("building", "room", "product", "plant", "news", "static_camera", "characters")
FLATS: Sequence[Template] = (flats.black, flats.white, flats.noise, flats.gradient)
SOUNDS: Sequence[Sounding] = (sounds.silence, sounds.applause, sounds.tone, sounds.loop, sounds.loop_under_music)
TEMPLATES: dict[str, Sequence[Template]] = {
    "fit": (*(getattr(fit_cards, name) for name in CARDS), *(getattr(fit_scenes, name) for name in SCENES)),
    "report": (*(getattr(report_cards, name) for name in CARDS), *(getattr(report_scenes, name) for name in SCENES)),
}


class Made(TypedDict, total=False):
    """How a clip is made, as `Clip` names it."""

    template: Template
    footage: Footage
    flat: Template
    sounding: Sounding
    seconds: float


@dataclass(frozen=True)
class Clip:
    """One video of a look-alike half, and how to make it."""

    name: str
    kind: str
    half: str
    style: tuple[int, ...]  # seed: what a pair shares
    content: tuple[int, ...]  # seed: what it does not
    size: Size = WIDE
    template: Template | None = None
    footage: Footage | None = None
    flat: Template | None = None  # takes over after half of the time
    sounding: Sounding | None = None
    seconds: float = SECONDS
    like: str = ""  # the reference that it resembles
    filler: bool = False

    @property
    def telling_s(self) -> float:
        """From here on nothing is shown that a copy could be told by."""
        return SECONDS / 2 if self.flat else self.seconds

    def frames(self) -> Iterator[Frame]:
        """Every picture on show, canvas.FPS a second."""
        if self.flat is None:
            return self._telling(self.seconds)
        flat = self.flat(self._theme, *self._rngs)
        return chain(self._telling(SECONDS / 2), frames_of(flat, SECONDS / 2))

    def _telling(self, seconds: float) -> Iterator[Frame]:
        if self.footage:
            return self.footage.frames(self.size, seconds, self._rngs[1])
        if self.template is None:
            raise ValueError(f"the clip {self.name} has neither footage nor a template")
        return frames_of(self.template(self._theme, *self._rngs), seconds)

    def samples(self) -> Samples | None:
        """(samples,) at sound.RATE, or nothing."""
        return self.sounding(self.half, *self._rngs, self.seconds) if self.sounding else None

    @property
    def recipe(self) -> str:
        """What its bytes depend on."""
        made = [self.template, self.flat, self.sounding]
        files = {Path(inspect.getfile(part)) for part in made if part} | {Path(canvas.__file__), Path(boxes.__file__)}
        files |= {canvas.WORDS} | ({self.footage.path} if self.footage else set())
        digests = sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in files)
        names = [getattr(part, "__name__", "") for part in made]
        about = (self.half, self.style, self.content, self.size, self.seconds, names)
        return "\n".join([*map(str, about), str(self.footage and self.footage.moments), *digests])

    @property
    def _theme(self) -> Theme:
        return theme(self.half, self.size, np.random.default_rng([*self.style, 1]), int(bool(self.like)))

    @property
    def _rngs(self) -> tuple[Rng, Rng]:
        return np.random.default_rng([*self.style, 2]), np.random.default_rng([*self.content, 3])


def own_music(_: str, __: Rng, content: Rng, seconds: float) -> Samples:
    """Another piece for every video."""
    return music(seconds, content)


def clips_of(sources: Sequence[Source], media: Path | None, half: str, draw: int) -> list[Clip]:
    """Every clip of a half in one draw: references, look-alikes (which name the reference), and fillers."""
    dealer = _Dealer(half, draw, _shuffled(plain_footage(sources, media, half), half, draw))
    drawn = [(template.__name__, Made(template=template)) for template in TEMPLATES[half] for _ in range(PAIRS)]
    flat = [(template.__name__, Made(flat=template)) for template in FLATS for _ in range(PAIRS)]
    heard = [(sounding.__name__, Made(sounding=sounding)) for sounding in SOUNDS for _ in range(PAIRS)]
    clips: list[Clip] = []
    for kind, made in drawn:
        clips += dealer.pair(kind, made, made)
    for pair in real_pairs(media, half):
        sides = [Made(footage=side, seconds=side.length(SECONDS)) for side in (pair.reference, pair.lookalike)]
        clips += dealer.pair(pair.kind, *sides)
    for kind, made in (*flat, *heard):
        clips += dealer.pair(kind, {**made, **dealer.fresh()}, {**made, **dealer.spare()})
    return [*clips, *(dealer.filler(number) for number in range(FILLERS))]


def _shuffled(footage: list[Footage], half: str, draw: int) -> list[Footage]:
    rng = np.random.default_rng([draw, crc32(half.encode())])
    return [footage[at] for at in rng.permutation(len(footage))]


class _Dealer:
    """Numbers pairs and deals footage: what a reference shows is shown by nothing else."""

    def __init__(self, half: str, draw: int, footage: list[Footage]) -> None:
        self._half, self._seed = half, (draw, crc32(half.encode()))
        kept = min(len(footage) // 3, FILLERS)
        self._fresh, self._spare = iter(footage[kept:]), cycle(footage[:kept] or [None])
        self._pairs, self._scenes = 0, 0

    def fresh(self) -> Made:
        """Footage for a reference, or a scene where there is none left."""
        footage = next(self._fresh, None)
        return Made(footage=footage) if footage else self._scene()

    def spare(self) -> Made:
        """Footage that no reference shows."""
        footage = next(self._spare)
        return Made(footage=footage) if footage else self._scene()

    def _scene(self) -> Made:
        """A scene of its own: one that shares no seed with any other."""
        scenes = [template for template in TEMPLATES[self._half] if template.__name__ in SCENES]
        self._scenes += 1
        return Made(template=scenes[self._scenes % len(scenes)])

    def pair(self, kind: str, reference: Made, lookalike: Made) -> list[Clip]:
        """A reference and its look-alike; some pairs are upright, some have music."""
        number, self._pairs = self._pairs, self._pairs + 1
        style = (*self._seed, number)
        name = f"{self._half}-{kind}-{number:02d}"
        size = UPRIGHT if number % 4 == 3 and "footage" not in reference else WIDE
        heard = Made(sounding=own_music) if number % 3 == 0 and "sounding" not in reference else Made()
        apart = "template" in reference and ("flat" in reference or reference.get("sounding"))
        clips = []
        for side, made in enumerate((reference, lookalike)):
            seed = (*style, 10 + side)
            shared = seed if apart else self._loop_style(kind) or style
            named = f"{name}-like" if side else name
            clip = Clip(named, kind, self._half, shared, seed, size, like=name if side else "", **made)
            clips.append(replace(clip, **heard))
        return clips

    def _loop_style(self, kind: str) -> tuple[int, ...]:
        """Loops and tones that everybody has: the same in both pairs."""
        return (*self._seed, 900, crc32(kind.encode())) if kind in COMMON else ()

    def filler(self, number: int) -> Clip:
        """Unrelated footage for copies to stand among."""
        seed = (*self._seed, 1000 + number)
        return Clip(f"{self._half}-filler-{number:02d}", "filler", self._half, seed, seed, filler=True, **self.spare())


COMMON = ("tone", "loop", "loop_under_music")  # what these share is shared by every pair of the kind
