"""Uploads of a night in which much was uploaded before: real footage, edited, cut, and put between other footage.

Every film of the copy benchmark's media (`benchmarks/copies/`) becomes some uploads, by a seed:

- its first half and, where it is long enough, its second half: two videos of one film, one camera, one game, one trial;
- one half again, whole, under an edit of another kind each time;
- a third to a half of one half, edited, before or after footage of another film: as much of it as of what it is cut
  from. That other footage is in an upload of its own too, so it joins two films that have nothing in common.

`pairs.csv` says what any two of a split share (`benchmarks/copies/reposts.py` has its columns).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from zlib import crc32

import numpy as np

from benchmarks.copies.corpus import AT_ONCE, Kitchen, query_row, write_rows
from benchmarks.copies.edits import settle
from benchmarks.copies.films import FPS, Film, films_of, frames
from benchmarks.copies.render import Shelf
from benchmarks.copies.reposts import COLUMNS, EDITED, OPEN, pair_rows, shown_by
from benchmarks.copies.sources import Source
from benchmarks.copies.uploads import Segment, Upload

SEED = 1818
LONGEST, SHORTEST = 10 * FPS, 4 * FPS  # frames of a half
BETWEEN = FPS  # frames between two halves of one shot
EXCERPT = (0.32, 0.5)  # share of a half that an excerpt shows
PHOTO_FILMS = 4  # films of photographs in a split
KINDS = [name for name in EDITED if name not in OPEN]


@dataclass(frozen=True)
class Half:
    """A stretch of a film, in frames."""

    film: Film
    start: int
    frames: int


def plan(sources: Sequence[Source], split: str) -> list[Upload]:
    """The uploads of one split."""
    films = _films(sources, split)
    halves = {film.name: _halves(film) for film in films}
    kinds = _shuffled(split)
    uploads = [_upload([_shown(half)], ("plain",)) for film in films for half in halves[film.name]]
    for number, film in enumerate(films):
        rng = np.random.default_rng([SEED, crc32(film.name.encode())])
        own, others = halves[film.name], halves[films[number - 1].name]
        uploads.append(_again(own[0], next(kinds), rng))
        uploads.append(_excerpt(own[-1], others[0], next(kinds), rng))
    return [replace(upload, name=f"{split}-{number:03d}") for number, upload in enumerate(uploads)]


def _films(sources: Sequence[Source], split: str) -> list[Film]:
    """All footage of a split, whatever it serves for elsewhere; of photographs some."""
    kept = [source if source.kind == "voice" else replace(source, role="filler") for source in sources]
    films = [film for film in films_of([one for one in kept if one.split == split]) if film.frames > SHORTEST]
    photos = [film for film in films if film.kind == "photo"]
    return [film for film in films if film not in photos[PHOTO_FILMS:]]


def _halves(film: Film) -> list[Half]:
    """Cut between two pieces of footage, or in the middle of a single one."""
    ends = np.cumsum([frames(piece) for piece in film.pieces])[:-1]
    middle = int(min(ends, key=lambda end: abs(end - film.frames / 2))) if len(ends) else film.frames // 2
    gap = 0 if len(ends) else BETWEEN
    if middle - gap < SHORTEST:
        return [Half(film, 0, min(LONGEST, film.frames - 1))]
    rest = min(LONGEST, film.frames - 1 - middle)
    return [Half(film, 0, min(LONGEST, middle - gap)), Half(film, film.frames - 1 - rest, rest)]


def _shuffled(split: str) -> Iterator[str]:
    """Every kind of edit in a random order, over and over."""
    rng = np.random.default_rng([SEED, crc32(split.encode())])
    while True:
        yield from (KINDS[at] for at in rng.permutation(len(KINDS)))


def _shown(half: Half) -> Segment:
    return Segment(half.film, half.start, half.frames)


def _again(half: Half, kind: str, rng: np.random.Generator) -> Upload:
    changes = settle((kind,), rng, half.film.size)
    shown = int(half.frames / np.prod([change.speed for change in changes]))
    return _upload([Segment(half.film, half.start, shown, changes)], (kind,))


def _excerpt(half: Half, other: Half, kind: str, rng: np.random.Generator) -> Upload:
    """Part of one half, and then or before as much of the other as makes the upload as long as the half."""
    changes = settle((kind,), rng, half.film.size)
    taken = int(half.frames * rng.uniform(*EXCERPT))
    start = half.start + int(rng.integers(0, half.frames - taken))
    shown = int(taken / np.prod([change.speed for change in changes]))
    around = Segment(other.film, other.start, min(other.frames, half.frames - taken))
    segments = [Segment(half.film, start, shown, changes), around]
    return _upload(segments if rng.random() < 0.5 else segments[::-1], (kind, "excerpt"))


def _upload(segments: Sequence[Segment], edits: tuple[str, ...]) -> Upload:
    film = max(segments, key=lambda segment: len(segment.changes)).film
    return Upload("", film.split, film.kind, edits, tuple(segments), film.size)


def build(sources: Sequence[Source], folder: Path, split: str) -> list[Path]:
    """Make the uploads of a split in a folder, or what is missing of them, with pairs.csv; return their files."""
    uploads = plan(sources, split)
    films = sorted({film for upload in uploads for film in upload.films}, key=lambda film: film.name)
    kitchen = Kitchen(Shelf(folder), sources, SEED)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for batch in kitchen.batches(films, uploads):
            list(pool.map(lambda make: make(), batch))
    write_rows(folder / "queries.csv", [query_row(upload) for upload in uploads])
    write_rows(folder / "pairs.csv", pair_rows(split, shown_by(uploads)), COLUMNS)
    return [Shelf(folder).query(upload.name) for upload in uploads]
