"""Films: footage joined, brought to 360p and 25 frames a second, with a sound track."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import cycle, groupby

import numpy as np

from benchmarks.copies.edits import Size, within
from benchmarks.copies.sound import RATE, Samples, audible
from benchmarks.copies.sources import SPLITS, Source

FPS = 25
ALONE_S = 6.0  # shorter footage is joined
JOINED_S = 18.0
# What films without an audible track of their own are given, in turn.
GIVEN_SOUND = {
    "copied": ("music", "none", "music"),
    "distractor": ("music", "none"),
    "filler": ("none", "voice", "music"),
    "twin": ("none", "music"),
}


@dataclass(frozen=True)
class Film:
    """Footage in order; `sound` is `own`, `music`, `voice` or `none`; `frames` of 1/25 s each."""

    name: str
    pieces: tuple[Source, ...]
    size: Size
    sound: str

    @property
    def split(self) -> str:
        """The split it serves, `fit` or `report`."""
        return self.pieces[0].split

    @property
    def role(self) -> str:
        """`copied`, `distractor`, `filler` or `twin`."""
        return self.pieces[0].role

    @property
    def kind(self) -> str:
        """`real`, `photo` or `game`."""
        return self.pieces[0].kind

    @property
    def is_reference(self) -> bool:
        """Whether it stands in the catalogue that uploads are searched against."""
        return self.role in ("copied", "distractor")

    @property
    def frames(self) -> int:
        """How long it is."""
        return sum(frames(piece) for piece in self.pieces)


def frames(piece: Source) -> int:
    """Frames of 1/25 s, without the last, which containers round."""
    return int(piece.seconds * FPS) - 1


def films_of(sources: Sequence[Source]) -> list[Film]:
    """Join what is short, decide the sound; the name says split, role, kind and a number."""
    footage = sorted((s for s in sources if s.kind != "voice"), key=_shelf)
    given = {(split, role): cycle(sounds) for split in SPLITS for role, sounds in GIVEN_SOUND.items()}
    films: list[Film] = []
    for shelf, shelved in groupby(footage, key=_shelf):
        for number, pieces in enumerate(_joined(list(shelved))):
            name = "-".join((*shelf[:3], *(["upright"] if shelf[3] else []), f"{number:02d}"))
            sound = "own" if _is_audible(pieces) else next(given[shelf[0], shelf[1]])
            films.append(Film(name, tuple(pieces), within(pieces[0].size), sound))
    return films


def _shelf(source: Source) -> tuple[str, str, str, bool]:
    return source.split, source.role, source.kind, source.size[1] > source.size[0]


def _joined(sources: Sequence[Source]) -> Iterable[list[Source]]:
    yield from ([source] for source in sources if source.seconds >= ALONE_S)
    pieces: list[Source] = []
    for source in (source for source in sources if source.seconds < ALONE_S):
        pieces.append(source)
        if sum(piece.seconds for piece in pieces) >= JOINED_S:
            yield pieces
            pieces = []
    if pieces:
        yield pieces


def _is_audible(pieces: Sequence[Source]) -> bool:
    return len(pieces) == 1 and audible(samples_of(pieces[0]))


def samples_of(piece: Source) -> Samples:
    """Return (samples,) of a file's sound from `from_s` on, mono at RATE; empty where it has none."""
    command = ["ffmpeg", "-v", "error", "-nostdin", "-ss", str(piece.from_s), "-i", str(piece.path), "-vn"]
    form = ["-ac", "1", "-ar", str(RATE), "-f", "f32le", "-"]
    return np.frombuffer(subprocess.run([*command, *form], capture_output=True, check=False).stdout, np.float32)
