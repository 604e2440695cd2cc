"""Reposts: which uploads of a corpus share footage with each other, and uploads that are uploads again.

`pairs.csv` has a row for every two uploads of a split that show footage of one film:

    query, other    the two uploads, in the order of their names
    split           `fit` or `report`
    shared_ms       how long the query shows what the other shows too, at the same moments of a film; 0 where both show
                    the film, but other moments of it (such a pair is no repost; it looks like one)
    share           shared_ms over the length of the shorter upload, 0 to 1
    longest_ms      the longest stretch of that without a break (shots of unrelated footage stand in many uploads, so
                    most pairs share a few seconds)
    via             `footage`, or `inlay` where all of it is small beside or behind something else in one of the two
    spans           what is shared, `start-end=start-end` in milliseconds of query and other, joined by `;`

`reposts.csv` has a row for every upload made again: upload, split, of, edits, start_ms, end_ms (what of the other is
shown), duration_ms. Their files lie in `queries/`; `queries.csv` does not name them, so that they weigh in no figure.
From a shell: `python -m benchmarks.copies.reposts MEDIA FOLDER DRAW` (the corpus has to be in the folder or is built).
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, combinations
from pathlib import Path

import numpy as np

from benchmarks.copies.edits import EDITS, settle
from benchmarks.copies.films import FPS, Film
from benchmarks.copies.sources import Source
from benchmarks.copies.uploads import Segment, Upload

EXCERPT = (0.3, 0.5)  # share of the upload that an excerpt takes
EDITED = [name for name, edit in EDITS.items() if edit.family in ("geometry", "tone", "layout", "time", "none")]
COLUMNS = ("query", "other", "split", "shared_ms", "share", "longest_ms", "via", "spans")
OPEN = ("concat", "pip_over", "pip_under", "stack_vertical", "stack_horizontal")  # these would show a film more


@dataclass(frozen=True)
class Piece:
    """Frames `start` to `end` of an upload that show a film from `shows` on, `speed` frames of it a frame."""

    film: str
    shows: float
    start: float
    end: float
    speed: float = 1.0
    inlay: bool = False

    def cut(self, start: float, end: float) -> Piece | None:
        """What of it lies between two frames of the upload."""
        low, high = max(self.start, start), min(self.end, end)
        return (
            replace(self, shows=self.shows + (low - self.start) * self.speed, start=low, end=high)
            if low < high
            else None
        )


@dataclass(frozen=True)
class Repost:
    """An upload that shows another one from `start` to `end` (frames)."""

    upload: Upload
    of: str
    start: float
    end: float


def pieces_of(upload: Upload) -> list[Piece]:
    """What an upload shows, segment after segment."""
    begins = accumulate((segment.frames for segment in upload.segments), initial=0)
    return [piece for segment, begin in zip(upload.segments, begins, strict=False) for piece in _pieces(segment, begin)]


def _pieces(segment: Segment, begin: int) -> Iterator[Piece]:
    names = {change.name for change in segment.changes}
    end, speed = begin + segment.frames, segment.taken / segment.frames
    yield Piece(segment.film.name, segment.start, begin, end, speed, inlay="pip_over" in names)
    if segment.other and names & set(OPEN[1:]):
        film, start = segment.other
        yield Piece(film.name, start, begin, end, speed, inlay="pip_over" not in names)


def again(piece: Piece, repost: Repost) -> Piece | None:
    """Where a repost shows a piece of what it is a repost of."""
    cut = piece.cut(repost.start, repost.end)
    speed = (repost.end - repost.start) / sum(segment.frames for segment in repost.upload.segments)
    if cut is None:
        return None
    start, end = ((at - repost.start) / speed for at in (cut.start, cut.end))
    return replace(cut, start=start, end=end, speed=cut.speed * speed)


def pair_rows(split: str, shown: Mapping[str, Sequence[Piece]]) -> list[dict[str, object]]:
    """The rows of `pairs.csv`: `shown` holds the pieces of every upload of a split."""
    lengths = {name: max(piece.end for piece in pieces) for name, pieces in shown.items()}
    rows = []
    for query, other in combinations(sorted(shown), 2):
        if not {piece.film for piece in shown[query]} & {piece.film for piece in shown[other]}:
            continue
        spans = [(one, two, span) for one in shown[query] for two in shown[other] for span in _shared(one, two)]
        open_spans = [span for one, two, span in spans if not one.inlay and not two.inlay]
        chosen = open_spans or [span for _, _, span in spans]
        shared = sum(end - start for start, end, _, _ in chosen)
        text = ";".join(f"{_ms(a)}-{_ms(b)}={_ms(c)}-{_ms(d)}" for a, b, c, d in chosen)
        via = "footage" if open_spans or not spans else "inlay"
        share = round(min(1.0, shared / min(lengths[query], lengths[other])), 3)
        longest = _ms(max((end - start for start, end, _, _ in chosen), default=0))
        rows.append(dict(zip(COLUMNS, (query, other, split, _ms(shared), share, longest, via, text), strict=True)))
    return rows


def _shared(one: Piece, two: Piece) -> Iterator[tuple[float, float, float, float]]:
    """Where two pieces show the same moments: start and end in the first, start and end in the second."""
    if one.film != two.film:
        return
    low = max(one.shows, two.shows)
    high = min(piece.shows + (piece.end - piece.start) * piece.speed for piece in (one, two))
    if high - low >= FPS / 2:
        (a, b), (c, d) = ([p.start + (at - p.shows) / p.speed for at in (low, high)] for p in (one, two))
        yield a, b, c, d


def _ms(frames: float) -> int:
    return round(frames * 1000 / FPS)


def reposts_of(
    uploads: Sequence[Upload], path_of: Mapping[str, Path], split: str, count: int, seed: int
) -> list[Repost]:
    """Plan uploads that are others again, in turn whole and an excerpt, under an edit or two."""
    rng = np.random.default_rng([seed, 404])
    chosen = [upload for upload in uploads if upload.split == split]
    return [
        _repost(chosen[at], path_of[chosen[at].name], f"{split}-repost-{number:03d}", number % 2 == 1, rng)
        for number, at in enumerate(rng.permutation(len(chosen))[:count])
    ]


def _repost(upload: Upload, path: Path, name: str, excerpt: bool, rng: np.random.Generator) -> Repost:
    width, height = upload.canvas
    source = Source(path, upload.kind, upload.name, upload.duration_ms / 1000, (width, height), upload.split, "filler")
    film = Film(name, (source,), (width, height), "own" if upload.has_sound else "none")
    names = [edit for edit in EDITED if edit not in OPEN]
    changes = settle((str(rng.choice(names)),), rng, film.size)
    speed = float(np.prod([change.speed for change in changes]))
    share = rng.uniform(*EXCERPT) if excerpt else 1.0
    shown = int((film.frames - 1) * share / speed)
    start = int(rng.integers(0, max(1, int(film.frames - shown * speed))))
    segment = Segment(film, start, shown, changes)
    edits = tuple(change.name for change in changes)
    made = Upload(name, upload.split, upload.kind, edits, (segment,), film.size)
    return Repost(made, upload.name, start, start + segment.taken)


def shown_by(uploads: Iterable[Upload], reposts: Iterable[Repost] = ()) -> dict[str, list[Piece]]:
    """The pieces of uploads, and of those that show them again."""
    shown = {upload.name: pieces_of(upload) for upload in uploads}
    for repost in reposts:
        moved = (again(piece, repost) for piece in shown[repost.of])
        shown[repost.upload.name] = [piece for piece in moved if piece]
    return shown


if __name__ == "__main__":
    from benchmarks.copies.corpus import build_reposts

    print(build_reposts(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])))
