"""Real videos, where a folder of them exists: NIGHTJAR_TEST_MEDIA, or shared/data/media beside the repository."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class RealMedia:
    """One row of the folder's manifest.csv."""

    path: Path
    kind: str  # video, clip, photo_clip, game_clip, image, audio
    duration_ms: int
    width: int
    height: int
    codec: str
    has_audio: bool

    def __str__(self) -> str:
        return self.path.name


def real_media() -> Path | None:
    """Return the folder, None where there is none."""
    named = os.environ.get("NIGHTJAR_TEST_MEDIA")
    folder = Path(named) if named else REPOSITORY.parent / "shared" / "data" / "media"
    return folder if (folder / "manifest.csv").is_file() else None


def real_files(*kinds: str) -> list[RealMedia]:
    """Return the manifest's files of some kinds that are there; nothing without the folder."""
    folder = real_media()
    if folder is None:
        return []
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = [_row(folder, row) for row in csv.DictReader(file) if row["kind"] in kinds]
    return [row for row in rows if row.path.is_file()]


def _row(folder: Path, row: dict[str, str]) -> RealMedia:
    return RealMedia(
        path=folder / row["path"],
        kind=row["kind"],
        duration_ms=round(float(row["duration"] or 0) * 1000),
        width=int(row["w"] or 0),
        height=int(row["h"] or 0),
        codec=row["vcodec"],
        has_audio=row["has_audio"] == "1",
    )
