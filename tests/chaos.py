"""Uploads for a night under fire: real videos where there are some, made ones elsewhere."""

from __future__ import annotations

from pathlib import Path

from benchmarks.chaos import shortest
from tests.media import real_files
from tests.mixed import write_sound, write_video

CONTAINERS = ("mp4-h264", "webm-vp9", "mkv-h264", "avi-mpeg4")
LONG_SECONDS = 65  # three windows: what is killed in the middle goes on in the middle


def made_uploads(folder: Path, count: int) -> list[Path]:
    """Write short videos of several containers, one of several windows, and one sound file."""
    folder.mkdir(parents=True)
    paths = []
    for index in range(count - 2):
        kind = CONTAINERS[index % len(CONTAINERS)]
        paths.append(folder / f"{index:03d}.{kind.partition('-')[0]}")
        write_video(paths[-1], kind, seconds=3, size=(320, 192), seed=index)
    write_video(folder / "long.mp4", "mp4-h264", seconds=LONG_SECONDS, size=(64, 48), seed=count)
    write_sound(folder / "sound.mp3", "mp3", seconds=3)
    return [*paths, folder / "long.mp4", folder / "sound.mp3"]


def uploads(folder: Path, count: int) -> list[Path]:
    """Return the shortest real videos and, where they are too few, copies with other bytes; made ones without any."""
    real = [media.path for media in real_files("video", "clip", "photo_clip", "game_clip")]
    return shortest(real, count, folder) if real else made_uploads(folder, count)
