"""Build a look-alike half in a folder, or find it built: `build(sources, folder, "fit", draw=0)`.

The folder is laid out as `benchmarks/copies/corpus.py` says, so that `Corpus(folder)` reads it. Besides:

    references.csv   `kind` is the kind of look-alike
    queries.csv      one column more: `like`, the reference that an upload resembles, empty where it holds a copy
    neither.csv      query, split, reference: pairs that count neither way (a copy with a loop that both hold)

From a shell: `python -m benchmarks.copies.lookalikes.build MEDIA FOLDER fit 0`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.copies.corpus import AT_ONCE, Corpus, Kitchen, query_row, reference_row, truth_row, write_rows
from benchmarks.copies.films import FPS as FILM_FPS
from benchmarks.copies.films import Film
from benchmarks.copies.lookalikes.canvas import FPS
from benchmarks.copies.lookalikes.clips import Clip, clips_of
from benchmarks.copies.lookalikes.footage import media_of
from benchmarks.copies.lookalikes.plan import film_of, neither, uploads_of
from benchmarks.copies.render import MASTER, QUIET, SOUND_HZ, Shelf
from benchmarks.copies.sound import write_wav
from benchmarks.copies.sources import Source, sources_in
from model_registry.errors import NightjarError


def build(sources: Sequence[Source], root: Path, half: str, draw: int = 0, keep: Sequence[str] = ()) -> Corpus:
    """Build a half of a draw; `keep` names the kinds to build where not all are wanted."""
    clips = [
        clip
        for clip in clips_of(sources, media_of(sources), half, draw)
        if not keep or clip.kind in keep or clip.filler
    ]
    films = {clip.name: film_of(clip) for clip in clips}
    asked = uploads_of(clips, films, half, draw)
    shown = {film for each in asked for film in each.upload.films}
    clips = [clip for clip in clips if films[clip.name] in shown]
    kitchen = ClipKitchen(Shelf(root), sources, draw)
    for folder in ("films", "drawings", "sounds", "references", "queries", "recipes"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    references = [films[clip.name] for clip in clips if films[clip.name].role == "copied"]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for batch in (
            [partial(kitchen.clip, clip, films[clip.name]) for clip in clips],
            [partial(kitchen.drawings, each.upload) for each in asked],
            [partial(kitchen.reference, film) for film in references],
            [partial(kitchen.upload, each.upload) for each in asked],
        ):
            list(pool.map(lambda make: make(), batch))
    write_rows(root / "references.csv", [reference_row(film) for film in references])
    write_rows(root / "queries.csv", [{**query_row(each.upload), "like": each.like} for each in asked])
    write_rows(root / "truth.csv", [truth_row(each.upload, copy) for each in asked for copy in each.upload.copies])
    pairs = [{"query": query, "split": half, "reference": reference} for query, reference in neither(asked, clips)]
    write_rows(root / "neither.csv", pairs, ("query", "split", "reference"))
    return Corpus(root)


@dataclass(frozen=True)
class ClipKitchen(Kitchen):
    """Makes clips besides what the corpus makes."""

    def clip(self, clip: Clip, film: Film) -> None:
        """Draw a clip's pictures into ffmpeg, with its sound or silence beside."""
        path, recipe = self.shelf.film(film), clip.recipe
        if self.is_made(path, recipe):
            return
        samples = clip.samples()
        if samples is None:
            sound = ["-f", "lavfi", "-i", f"anullsrc=r={SOUND_HZ}:cl=mono"]
        else:
            sound = ["-i", str(write_wav(self.shelf.track(clip.name), samples))]
        width, height = clip.size
        pictures = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(FPS), "-i", "-"]
        length = f"fps={FILM_FPS},tpad=stop_mode=clone:stop=50,trim=end_frame={film.frames},format=yuv420p,setsar=1"
        partial_path = path.with_stem(path.stem + ".partial")
        end = ["-t", f"{film.frames / FILM_FPS:.3f}", "-ar", str(SOUND_HZ), *MASTER, "-threads", "1", str(partial_path)]
        command = [*QUIET, *pictures, *sound, "-map", "0:v", "-map", "1:a", "-vf", length, *end]
        done = subprocess.run(
            command, input=b"".join(f.tobytes() for f in clip.frames()), capture_output=True, check=False
        )
        if done.returncode:
            raise NightjarError(f"ffmpeg could not make {path.name}: {done.stderr.decode().strip()[-500:]}")
        os.replace(partial_path, path)
        self.note(path, recipe)


if __name__ == "__main__":
    media, folder, chosen, number = sys.argv[1:]
    print(build(sources_in(Path(media)), Path(folder), chosen, int(number)).root)
