"""Uploads of a look-alike half: every look-alike as it is, and a true copy of every reference under one edit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from zlib import crc32

import numpy as np

from benchmarks.copies.edits import EDITS, Rng, settle
from benchmarks.copies.films import FPS, Film
from benchmarks.copies.lookalikes.clips import COMMON, Clip
from benchmarks.copies.sources import Source
from benchmarks.copies.uploads import Segment, Upload

SPAN_S = (5.0, 8.0)
FILLER_S = (3.0, 5.0)
EDITED = [name for name, edit in EDITS.items() if edit.family != "sound" and name != "concat"]
EDIT_STRIDE = 7  # from draw to draw, every reference is copied under another edit


@dataclass(frozen=True)
class Asked:
    """An upload; `like` is the reference that it resembles, empty where it holds a copy."""

    upload: Upload
    like: str


def film_of(clip: Clip) -> Film:
    """A clip as the corpus knows footage."""
    role = "filler" if clip.filler or clip.like else "copied"
    source = Source(Path(clip.name), clip.kind, clip.name, clip.seconds, clip.size, clip.half, role)
    return Film(clip.name, (source,), clip.size, "own" if clip.sounding else "none")


def uploads_of(clips: Sequence[Clip], films: Mapping[str, Film], half: str, draw: int) -> list[Asked]:
    """The look-alikes, then the copies."""
    fillers = [films[clip.name] for clip in clips if clip.filler]
    likes, references = [c for c in clips if c.like], [c for c in clips if not c.like and not c.filler]
    asked = [Asked(_whole(films[clip.name], f"{half}-like-{at:03d}"), clip.like) for at, clip in enumerate(likes)]
    for at, clip in enumerate(references):
        edit = EDITED[(at + EDIT_STRIDE * draw) % len(EDITED)]
        rng = np.random.default_rng([draw, crc32(half.encode()), at, 77])
        asked.append(Asked(_copy(clip, films[clip.name], edit, fillers, f"{half}-copy-{at:03d}", rng), ""))
    return asked


def _whole(film: Film, name: str) -> Upload:
    return Upload(name, film.split, film.kind, ("plain",), (Segment(film, 0, film.frames),), film.size)


def _copy(clip: Clip, film: Film, edit: str, fillers: Sequence[Film], name: str, rng: Rng) -> Upload:
    """A span of the reference under an edit, beside a shot of something else; the edit is on both or on one."""
    changes = settle((edit,), rng, film.size)
    speed = float(np.prod([change.speed for change in changes]))
    telling = min(film.frames, round(clip.telling_s * FPS))
    longest = min(round(SPAN_S[1] * FPS), int(telling / speed) - 1)
    shown = int(rng.integers(min(round(SPAN_S[0] * FPS), longest), longest + 1))
    span = Segment(film, int(rng.integers(0, int(telling - shown * speed) + 1)), shown, changes)
    filler, other = (fillers[at] for at in rng.permutation(len(fillers))[:2])
    length = int(rng.integers(round(FILLER_S[0] * FPS), round(FILLER_S[1] * FPS)))
    shot = Segment(filler, int(rng.integers(0, filler.frames - length)), length, changes if rng.random() < 0.5 else ())
    segments = [replace(part, other=(other, 0)) if part.changes else part for part in (span, shot)]
    ordered = segments if rng.random() < 0.5 else segments[::-1]
    return Upload(name, film.split, film.kind, (edit,), tuple(ordered), film.size)


def neither(asked: Sequence[Asked], clips: Sequence[Clip]) -> list[tuple[str, str]]:
    """Pairs that count neither way: a copy holds the loop that another reference holds as well."""
    kinds = {clip.name: clip.kind for clip in clips}
    pairs = []
    for each in asked:
        own = {copy.reference for copy in each.upload.copies}
        alike = [c.name for c in clips if c.kind == each.upload.kind and not c.like and c.name not in own]
        if own and kinds[next(iter(own))] in COMMON:
            pairs += [(each.upload.name, name) for name in alike]
    return pairs
