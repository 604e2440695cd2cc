"""Real footage for look-alikes: parts of photographs the camera moves over, and stretches of films."""

from __future__ import annotations

import subprocess
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from benchmarks.copies.lookalikes.canvas import FPS, Frame, Rng, Size
from benchmarks.copies.sources import Source
from model_registry.errors import NightjarError

MEDIA = Path(__file__).with_name("media.toml")
PHOTOS = (".jpg", ".png")
Box = tuple[float, float, float, float]
WHOLE: Box = (0.0, 0.0, 1.0, 1.0)
LEFT: Box = (0.0, 0.0, 0.48, 1.0)
RIGHT: Box = (0.52, 0.0, 1.0, 1.0)


@dataclass(frozen=True)
class Footage:
    """A part of a photograph, or a film from a moment on."""

    path: Path
    box: Box = WHOLE
    from_s: float = 0.0
    to_s: float = inf
    again: bool = False  # over and over

    @property
    def moments(self) -> tuple[object, ...]:
        """Which part of the file it is."""
        return self.box, self.from_s, self.to_s, self.again

    def length(self, seconds: float) -> float:
        """How much of so many seconds there is."""
        if self.path.suffix.lower() in PHOTOS:
            return seconds
        if self.again:
            return seconds
        with av.open(str(self.path)) as container:
            ends = min(self.to_s, (container.duration or 0) / av.time_base)
        return min(seconds, ends - self.from_s)

    def frames(self, size: Size, seconds: float, rng: Rng) -> Iterator[Frame]:
        """Every picture on show, canvas.FPS a second; a film that ends before gives fewer."""
        if self.path.suffix.lower() in PHOTOS:
            return _over_photo(self, size, seconds, rng)
        return _of_film(self, size, seconds)


@dataclass(frozen=True)
class RealPair:
    """Two pieces of footage that look alike."""

    kind: str
    reference: Footage
    lookalike: Footage


def real_pairs(media: Path | None, half: str) -> list[RealPair]:
    """The pairs of a half whose files are below the folder."""
    if media is None:
        return []
    rows: list[dict[str, Any]] = _listed().get(half, [])
    pairs = [
        RealPair(row["kind"], *(_footage(media, row[side]) for side in ("reference", "lookalike"))) for row in rows
    ]
    return [pair for pair in pairs if pair.reference.path.exists() and pair.lookalike.path.exists()]


def _listed() -> dict[str, Any]:
    return tomllib.loads(MEDIA.read_text("utf-8"))


def _footage(media: Path, row: dict[str, Any]) -> Footage:
    left, top, right, bottom = row.get("box", WHOLE)
    times = row.get("from_s", 0.0), row.get("to_s", inf), row.get("again", False)
    return Footage(media / row["path"], (left, top, right, bottom), *times)


def plain_footage(sources: Sequence[Source], media: Path | None, half: str) -> list[Footage]:
    """What a half has besides its pairs: both halves of every photograph, and every film."""
    used = {_group(media, side.path) for pair in real_pairs(media, half) for side in (pair.reference, pair.lookalike)}
    used |= set(_listed()["unused"])
    groups: dict[str, Source] = {}
    for source in sources:
        if source.split == half and source.kind in ("photo", "real") and source.group not in used:
            groups.setdefault(source.group, source)
    found: list[Footage] = []
    for group, source in sorted(groups.items()):
        photo = (
            next((p for p in sorted((media / "image").glob(f"{group}.*")) if p.suffix in PHOTOS), None)
            if media
            else None
        )
        if photo:
            found += [Footage(photo, LEFT), Footage(photo, RIGHT)]
        elif (
            source.kind == "real"
            and source.seconds >= 5
            and not source.from_s
            and _group(media, source.path) not in used
        ):
            found.append(Footage(source.path))
    return found


def _group(media: Path | None, path: Path) -> str:
    """Name what a file shows as `source_group` of the manifest does for photographs; of films, the file."""
    below = path.relative_to(media) if media and path.is_relative_to(media) else path
    return "/".join(below.with_suffix("").parts[1:]) if below.parts[0] == "image" else below.as_posix()


def _over_photo(footage: Footage, size: Size, seconds: float, rng: Rng) -> Iterator[Frame]:
    """Move over a part of a photograph and zoom a little, as slide shows do."""
    with Image.open(footage.path) as file:
        photo = file.convert("RGB")
    left, top, right, bottom = (share * length for share, length in zip(footage.box, photo.size * 2, strict=True))
    photo = photo.crop((round(left), round(top), round(right), round(bottom)))
    fit = min(photo.width / size[0], photo.height / size[1])
    room = (photo.width - size[0] * fit, photo.height - size[1] * fit)
    begin, end = rng.uniform(0, 1, (2, 2))
    zooms = rng.uniform(0.75, 1.0, 2)
    steps = round(seconds * FPS)
    for step in range(steps):
        share = step / steps
        zoom = zooms[0] + (zooms[1] - zooms[0]) * share
        wide, high = size[0] * fit * zoom, size[1] * fit * zoom
        x, y = (begin + (end - begin) * share) * (np.array(room) + np.array((size[0], size[1])) * fit * (1 - zoom))
        box = (float(x), float(y), float(x) + wide, float(y) + high)
        yield np.asarray(photo.resize(size, Image.Resampling.BILINEAR, box), np.uint8)


def _of_film(footage: Footage, size: Size, seconds: float) -> Iterator[Frame]:
    width, height = size
    fill = f"fps={FPS},scale={width}:{height}:force_original_aspect_ratio=increase,crop={width}:{height}"
    again = ["-stream_loop", "-1"] if footage.again else []
    window = ["-ss", f"{footage.from_s}", "-t", f"{min(seconds, footage.to_s - footage.from_s)}"]
    command = ["ffmpeg", "-v", "error", "-nostdin", "-threads", "1", *again, *window]
    form = ["-i", str(footage.path), "-an", "-vf", fill, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    done = subprocess.run([*command, *form], capture_output=True, check=False)
    if done.returncode or not done.stdout:
        raise NightjarError(f"ffmpeg could not read {footage.path.name}: {done.stderr.decode().strip()[-300:]}")
    yield from np.frombuffer(done.stdout, np.uint8).reshape(-1, height, width, 3)


def media_of(sources: Sequence[Source]) -> Path | None:
    """The folder with `manifest.csv` that holds the sources, if there is one."""
    for source in sources:
        return next((folder for folder in source.path.parents if (folder / "manifest.csv").exists()), None)
    return None
