"""The corpus of the copy benchmark: build it from a folder of media, deterministically, or find it built.

In the manner of the VSC2022 data set (Pizzi et al., arXiv 2306.09489, section 3): references and distractors, uploads
that hold an edited span of a reference inside unrelated footage, at least as many uploads that hold none. The folder:

    references/NAME.mp4   queries/NAME.mp4
    references.csv        reference, split, role, kind, sound, duration_ms, groups
    queries.csv           query, split, edits (joined by +), kind, has_sound, copies, duration_ms, hard, groups (by ;)
    truth.csv             query, split, reference, start_ms, end_ms, ref_start_ms, ref_end_ms
    pairs.csv             uploads that share footage with each other (its columns: `benchmarks/copies/reposts.py`)

Every file has a recipe beside it in `recipes/`; a file whose recipe is as wanted is not made again.
"""

from __future__ import annotations

import csv
import hashlib
import os
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.copies import drawings, sound
from benchmarks.copies.drawings import draw
from benchmarks.copies.films import FPS, Film, films_of, samples_of
from benchmarks.copies.render import Shelf, film_command, reference_command, tracks_over, upload_command
from benchmarks.copies.reposts import COLUMNS, Repost, pair_rows, reposts_of, shown_by
from benchmarks.copies.sound import RATE, Samples, babble, music, write_wav
from benchmarks.copies.sources import SPLITS, Source, sources_in
from benchmarks.copies.uploads import SCALES, Copy, Upload, plan
from model_registry.errors import NightjarError, UsageError

AT_ONCE = 2
GIVEN = ("music", "voice")  # sounds that are synthetic or lent
OVER_S = 45.0
SEED = 2022  # of draw 0
Row = Mapping[str, object]


@dataclass(frozen=True)
class Corpus:
    """A built corpus: what lies in a folder."""

    root: Path

    def references(self, split: str) -> list[Path]:
        """The references and distractors of a split, sorted."""
        return [self.root / "references" / f"{row['reference']}.mp4" for row in self.rows("references", split)]

    def queries(self, split: str) -> list[Path]:
        """The uploads of a split, sorted."""
        return [self.root / "queries" / f"{row['query']}.mp4" for row in self.rows("queries", split)]

    def rows(self, table: str, split: str) -> list[dict[str, str]]:
        """The rows of `references`, `queries` or `truth` that belong to a split."""
        with (self.root / f"{table}.csv").open(encoding="utf-8", newline="") as file:
            return [row for row in csv.DictReader(file) if row["split"] == split]


def build(
    sources: Sequence[Source], cache: Path, size: str = "default", draw: int = 0, splits: Sequence[str] = SPLITS
) -> Corpus:
    """Build a draw of the corpus of a size (`small`, `quick`, `default`) in `cache`, or what is missing of it."""
    if size not in SCALES:
        raise UsageError(f"the size of a corpus is {size!r}; allowed: {', '.join(SCALES)}")
    films, uploads, kitchen = _planned(sources, cache, size, draw, splits)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for batch in kitchen.batches(films, uploads):
            list(pool.map(lambda make: make(), batch))
    write_rows(cache / "references.csv", [reference_row(film) for film in films if film.is_reference])
    write_rows(cache / "queries.csv", [query_row(upload) for upload in uploads])
    write_rows(cache / "truth.csv", [truth_row(upload, copy) for upload in uploads for copy in upload.copies])
    _write_pairs(cache, uploads)
    return Corpus(cache)


def _planned(
    sources: Sequence[Source], cache: Path, size: str, draw: int, splits: Sequence[str]
) -> tuple[list[Film], list[Upload], Kitchen]:
    films = films_of([source for source in sources if source.split in splits])
    return films, plan(films, SCALES[size], SEED + draw, splits), Kitchen(Shelf(cache), sources, SEED + draw)


def _write_pairs(cache: Path, uploads: Sequence[Upload], again: Sequence[Repost] = ()) -> None:
    shown, split_of = shown_by(uploads, again), {u.name: u.split for u in (*uploads, *(r.upload for r in again))}
    rows = [
        row
        for split in sorted(set(split_of.values()))
        for row in pair_rows(split, {name: pieces for name, pieces in shown.items() if split_of[name] == split})
    ]
    write_rows(cache / "pairs.csv", rows, COLUMNS)


def build_reposts(media: Path, cache: Path, draw: int = 0, count: int = 40) -> Path:
    """Make uploads of the report half that are others again, and tell in `pairs.csv` what they share; build first."""
    sources = sources_in(media, draw)
    corpus = build(sources, cache, "default", draw, ("report",))
    _, uploads, kitchen = _planned(sources, cache, "default", draw, ("report",))
    paths = {path.stem: path for path in corpus.queries("report")}
    again = reposts_of(uploads, paths, "report", count, SEED + draw)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(kitchen.film, [repost.upload.segments[0].film for repost in again]))
        list(pool.map(kitchen.drawings, [repost.upload for repost in again]))
        list(pool.map(kitchen.upload, [repost.upload for repost in again]))
    _write_pairs(cache, uploads, again)
    write_rows(cache / "reposts.csv", [_repost_row(repost) for repost in again])
    return cache / "pairs.csv"


def _repost_row(repost: Repost) -> Row:
    about = {"upload": repost.upload.name, "split": repost.upload.split, "of": repost.of}
    times = {"start_ms": round(repost.start * 1000 / FPS), "end_ms": round(repost.end * 1000 / FPS)}
    return {**about, "edits": "+".join(repost.upload.edits), **times, "duration_ms": repost.upload.duration_ms}


@dataclass(frozen=True)
class Kitchen:
    """Makes files by recipe, each only if its recipe is not the one it was made by."""

    shelf: Shelf
    sources: Sequence[Source]
    seed: int

    def batches(self, films: Sequence[Film], uploads: Sequence[Upload]) -> Iterable[list[Callable[[], None]]]:
        """What to make, in batches; what is in one may depend on the batches before."""
        for folder in ("films", "drawings", "sounds", "references", "queries", "recipes"):
            (self.shelf.root / folder).mkdir(parents=True, exist_ok=True)
        tracks = [*tracks_over(uploads), *(film.name for film in films if film.sound in GIVEN)]
        by_name = {film.name: film for film in films}
        catalogue = [film for film in films if film.is_reference]
        yield [partial(self._track, name, by_name.get(name)) for name in tracks]
        yield [partial(self.film, film) for film in films]
        yield [partial(self.drawings, upload) for upload in uploads]
        yield [partial(self.reference, film) for film in catalogue]
        yield [partial(self.upload, upload) for upload in uploads]

    def film(self, film: Film) -> None:
        """Join and encode a film."""
        tracks = [self.shelf.track(film.name)] if film.sound in GIVEN else []
        inputs = [_digest_of(path) for path in (*(piece.path for piece in film.pieces), *tracks)]
        self._encode(self.shelf.film(film), film_command(film, self.shelf), [*inputs, str(self.seed)])

    def reference(self, film: Film) -> None:
        """Encode a reference."""
        command = reference_command(film, self.shelf)
        self._encode(self.shelf.reference(film.name), command, [self._recipe_digest(self.shelf.film(film))])

    def upload(self, upload: Upload) -> None:
        """Edit and encode an upload."""
        digests = sorted(self._recipe_digest(self.shelf.film(film)) for film in upload.films)
        command = upload_command(upload, self.shelf)
        made = [Path(part) for part in command if part.endswith((".png", ".wav"))]
        self._encode(self.shelf.query(upload.name), command, [*digests, *map(_digest_of, made), str(self.seed)])

    def drawings(self, upload: Upload) -> None:
        """Draw what an upload's edits lay over its picture."""
        recipe = _digest_of(Path(drawings.__file__))
        for segment in upload.segments:
            sizes = [upload.base, *(change.size for change in segment.changes)]
            for change, size in zip(segment.changes, sizes, strict=False):
                path = self.shelf.drawing(change, size)
                if change.drawing and not self.is_made(path, recipe):
                    draw(change.drawing, change.seed, size, path)
                    self.note(path, recipe)

    def _track(self, name: str, film: Film | None) -> None:
        path = self.shelf.track(name)
        seconds = film.frames / FPS if film else OVER_S
        spoken, split = (film.sound == "voice", film.split) if film else (name.startswith("voice"), name.split("-")[1])
        voices = [s for s in self.sources if spoken and s.kind == "voice" and s.split == split]
        inputs = [Path(sound.__file__), *(voice.path for voice in voices)]
        recipe = "\n".join([name, f"{seconds}", str(self.seed), *map(_digest_of, inputs)])
        if not self.is_made(path, recipe):
            rng = np.random.default_rng([self.seed, *hashlib.sha256(name.encode()).digest()[:4]])
            samples = _spoken(voices, seconds, rng) if spoken else music(seconds, rng)
            write_wav(path, samples)
            self.note(path, recipe)

    def _encode(self, path: Path, command: Sequence[str], inputs: Sequence[str]) -> None:
        recipe = "\n".join([*(part.replace(str(self.shelf.root), "") for part in command), *inputs])
        if self.is_made(path, recipe):
            return
        partial = path.with_stem(path.stem + ".partial")
        done = subprocess.run([*command[:-1], str(partial)], capture_output=True, text=True, check=False)
        if done.returncode:
            raise NightjarError(f"ffmpeg could not make {path.name}: {done.stderr.strip()[-500:]}")
        os.replace(partial, path)
        self.note(path, recipe)

    def _recipe(self, path: Path) -> Path:
        return self.shelf.root / "recipes" / f"{path.parent.name}-{path.name}.txt"

    def _recipe_digest(self, path: Path) -> str:
        return hashlib.sha256(self._recipe(path).read_bytes()).hexdigest()

    def is_made(self, path: Path, recipe: str) -> bool:
        """Whether a file is there and was made by that recipe."""
        noted = self._recipe(path)
        return path.exists() and noted.exists() and noted.read_text("utf-8") == recipe

    def note(self, path: Path, recipe: str) -> None:
        """Remember by which recipe a file was made."""
        self._recipe(path).write_text(recipe, "utf-8")


def _digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _spoken(voices: Sequence[Source], seconds: float, rng: np.random.Generator) -> Samples:
    """Speak: the split's voices one after another in random order, or babble where it has none."""
    if not voices:
        return babble(seconds, rng)
    joined = np.concatenate([samples_of(voices[at]) for at in rng.permutation(len(voices))])
    start = int(rng.integers(len(joined)))
    return np.resize(np.roll(joined, -start), round(seconds * RATE)).astype(np.float32)


def _groups(films: Iterable[Film]) -> str:
    return ";".join(sorted({piece.group for film in films for piece in film.pieces}))


def reference_row(film: Film) -> Row:
    """A row of references.csv."""
    about = {"reference": film.name, "split": film.split, "role": film.role, "kind": film.kind, "sound": film.sound}
    return {**about, "duration_ms": film.frames * 1000 // FPS, "groups": _groups([film])}


def query_row(upload: Upload) -> Row:
    """A row of queries.csv."""
    about = {"query": upload.name, "split": upload.split, "edits": "+".join(upload.edits), "kind": upload.kind}
    shown = [s.film for s in upload.segments] + [s.other[0] for s in upload.segments if s.other]
    counts = {"has_sound": int(upload.has_sound), "copies": len(upload.copies), "duration_ms": upload.duration_ms}
    hard = int(any(film.role == "twin" for film in shown))
    return {**about, **counts, "hard": hard, "groups": _groups(shown)}


def truth_row(upload: Upload, copy: Copy) -> Row:
    """A row of truth.csv."""
    return {"query": upload.name, "split": upload.split, **asdict(copy)}


def write_rows(path: Path, rows: Sequence[Row], columns: Sequence[str] = ()) -> None:
    """Write a table; `columns` are its names where there may be no row."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns or list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
