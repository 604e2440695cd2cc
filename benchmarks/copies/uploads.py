"""Uploads, planned: which footage stands where in each, edited how, and what in them is a copy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from zlib import crc32

import numpy as np

from benchmarks.copies.edits import EDITS, Change, Rng, Size, combination, settle
from benchmarks.copies.films import FPS, Film
from benchmarks.copies.sources import SPLITS

SPAN_S = (3, 12)
UPLOAD_S = (10, 20)
SHOT_S = (2.5, 7)
TWO_COPIES = 0.12
WHOLE_UPLOAD = 0.5  # how often the edit is on all of the upload, not on the copied span alone
KINDS = ("real", "photo", "real", "game")


@dataclass(frozen=True)
class Scale:
    """How many uploads: copies for every single edit and combined ones, by split; as many again have no copy."""

    singles: Mapping[str, int]
    combined: Mapping[str, int]
    edits: Sequence[str] = tuple(EDITS)


SCALES = {
    "small": Scale({"fit": 1, "report": 1}, {"fit": 0, "report": 1}, ("concat",)),
    "quick": Scale({"fit": 1, "report": 1}, {"fit": 0, "report": 10}),
    "default": Scale({"fit": 1, "report": 3}, {"fit": 14, "report": 24}),
}


@dataclass(frozen=True)
class Segment:
    """A stretch of an upload: `frames` shown, taken from `start` on in the film, `speed` times as many."""

    film: Film
    start: int
    frames: int
    changes: tuple[Change, ...] = ()
    other: tuple[Film, int] | None = None

    @property
    def taken(self) -> float:
        """Frames of the film that are shown."""
        return float(self.frames * np.prod([change.speed for change in self.changes]))


@dataclass(frozen=True)
class Copy:
    """The truth of one copied span, in milliseconds."""

    reference: str
    start_ms: int
    end_ms: int
    ref_start_ms: int
    ref_end_ms: int


@dataclass(frozen=True)
class Upload:
    """Segments in order; all are first brought to the size `base`, where the edits start from."""

    name: str
    split: str
    kind: str
    edits: tuple[str, ...]
    segments: tuple[Segment, ...]
    base: Size

    @property
    def copies(self) -> tuple[Copy, ...]:
        """Every span that some reference holds."""
        begins = accumulate((segment.frames for segment in self.segments), initial=0)
        pairs = zip(self.segments, begins, strict=False)
        return tuple(_copy(segment, begin) for segment, begin in pairs if segment.film.role == "copied")

    @property
    def films(self) -> set[Film]:
        """Every film that is shown, beside others too."""
        return {segment.film for segment in self.segments} | {s.other[0] for s in self.segments if s.other}

    @property
    def changes(self) -> tuple[Change, ...]:
        """The chain of edits, as the edited segments have it."""
        return max((segment.changes for segment in self.segments), key=len)

    @property
    def canvas(self) -> Size:
        """The size of the upload's picture."""
        return self.changes[-1].size if self.changes else self.base

    @property
    def duration_ms(self) -> int:
        """How long it is."""
        return _ms(sum(segment.frames for segment in self.segments))

    @property
    def has_sound(self) -> bool:
        """Whether there is a sound track: not where it was muted or nothing has one."""
        if any(change.muted for change in self.changes):
            return False
        names = {change.name for change in self.changes}
        return bool(names & {"voice_over", "music_over"}) or any(s.film.sound != "none" for s in self.segments)


def _ms(count: float) -> int:
    return round(count * 1000 / FPS)


def _copy(segment: Segment, begin: int) -> Copy:
    end = begin + segment.frames
    return Copy(segment.film.name, _ms(begin), _ms(end), _ms(segment.start), _ms(segment.start + segment.taken))


def plan(films: Sequence[Film], scale: Scale, seed: int, splits: Sequence[str] = SPLITS) -> list[Upload]:
    """Plan every upload of the splits: each chain of edits once with a copy and once without."""
    uploads: list[Upload] = []
    for split in splits:
        shelf = [film for film in films if film.split == split]
        drawn = [
            _upload(shelf, split, edits, number, copied, seed)
            for number, edits in enumerate(_chains(split, scale, seed))
            for copied in (True, False)
        ]
        order = np.random.default_rng([seed, len(drawn)]).permutation(len(drawn))
        uploads += [replace(drawn[at], name=f"{split}-{rank:04d}") for rank, at in enumerate(order)]
    return uploads


def _chains(split: str, scale: Scale, seed: int) -> Iterable[tuple[str, ...]]:
    for name in scale.edits:
        yield from [(name,)] * scale.singles[split]
    rng = np.random.default_rng([seed, crc32(split.encode())])
    yield from (combination(rng) for _ in range(scale.combined[split]))


def _upload(shelf: Sequence[Film], split: str, edits: tuple[str, ...], number: int, copied: bool, seed: int) -> Upload:
    rng = np.random.default_rng([seed, number, int(copied), crc32("+".join((split, *edits)).encode())])
    loud = any(EDITS[name].needs_sound for name in edits)
    kind = KINDS[number % len(KINDS)]
    twins = any(f.role == "twin" for f in shelf) and number % 2 == 1
    wanted = "copied" if copied else "twin" if twins else "filler"
    film = _pick([f for f in shelf if f.role == wanted], kind, loud, rng)
    changes = settle(edits, rng, film.size)
    fillers = [f for f in shelf if f.role == "filler"]
    segments = [_span(film, changes, SPAN_S if copied else SHOT_S, rng)]
    if copied and len(edits) + changes[0].shots > 2 and rng.random() < TWO_COPIES * 2:
        segments += _second(shelf, film, changes, rng)
    whole = changes if rng.random() < WHOLE_UPLOAD else ()
    segments = _among(segments, fillers, whole, changes[0].shots, rng)
    others = _others(segments, fillers, rng)
    return Upload("", split, film.kind, edits, tuple(others), film.size)


def _pick(films: Sequence[Film], kind: str, loud: bool, rng: Rng) -> Film:
    """Pick a film of that kind, with sound where the edit is one of sound; where there is none, any."""
    wanted = [film for film in films if film.kind == kind] or list(films)
    wanted = [film for film in wanted if film.sound != "none" or not loud] or list(wanted)
    return wanted[int(rng.integers(len(wanted)))]


def _span(film: Film, changes: tuple[Change, ...], length_s: tuple[float, float], rng: Rng) -> Segment:
    speed = float(np.prod([change.speed for change in changes]))
    longest = min(round(length_s[1] * FPS), int(film.frames / speed) - 1)
    shown = int(rng.integers(min(round(length_s[0] * FPS), longest), longest + 1))
    start = int(rng.integers(0, int(film.frames - shown * speed) + 1))
    return Segment(film, start, shown, changes)


def _second(shelf: Sequence[Film], first: Film, changes: tuple[Change, ...], rng: Rng) -> list[Segment]:
    alike = [film for film in shelf if film.role == "copied" and film.size == first.size and film != first]
    if not alike:
        return []
    return [_span(alike[int(rng.integers(len(alike)))], changes, (SPAN_S[0], 8), rng)]


def _among(
    segments: list[Segment], fillers: Sequence[Film], changes: tuple[Change, ...], shots: int, rng: Rng
) -> list[Segment]:
    """Put segments at random places among unrelated shots, until the upload is long enough; never too long."""
    wanted = max(shots, int(rng.integers(1, 4)))
    least, most = (limit * FPS for limit in UPLOAD_S)
    used: Counter[str] = Counter(segment.film.name for segment in segments)
    while True:
        total = sum(segment.frames for segment in segments)
        if (wanted <= 0 and total >= least) or most - total < SHOT_S[0] * FPS:
            return segments
        fewest = min(used[film.name] for film in fillers)
        film = _pick([film for film in fillers if used[film.name] == fewest], "", False, rng)
        shot = _span(film, changes, (SHOT_S[0], min(SHOT_S[1], (most - total) / FPS)), rng)
        segments.insert(int(rng.integers(len(segments) + 1)), shot)
        used[film.name] += 1
        wanted -= 1


def _others(segments: Sequence[Segment], fillers: Sequence[Film], rng: Rng) -> Iterable[Segment]:
    """Give every edited segment the unrelated footage that picture in picture and stacking show beside it."""
    shown = {segment.film.name for segment in segments}
    spare = [film for film in fillers if film.name not in shown] or list(fillers)
    film = spare[int(rng.integers(len(spare)))]
    start = int(rng.integers(0, max(1, film.frames - SHOT_S[1] * FPS)))
    return [replace(segment, other=(film, start)) if segment.changes else segment for segment in segments]
