"""What to measure on: a folder of real videos, or the demo's samples; and more of them where a claim needs many."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Sequence
from pathlib import Path

from jobs.demo import SAMPLES
from model_registry.artifacts import artifact, fetch
from model_registry.errors import UsageError
from pipelines.decode.limits import Limits
from pipelines.decode.probe import probe
from pipelines.decode.sniff import format_of
from pipelines.rows import MediaError

FREE_BOX_BYTES = 16


def videos_in(folder: Path | None) -> list[Path]:
    """Return the readable videos below a folder, sorted; without a folder the demo's samples."""
    if folder is None:
        return [fetch(artifact(name)) for name in SAMPLES]
    found = [path for path in sorted(folder.rglob("*")) if path.is_file() and _is_video(path)]
    if not found:
        raise UsageError(f"there is no video below {folder}")
    return found


def _is_video(path: Path) -> bool:
    try:
        media = format_of(path, Limits())
        return not media.is_picture and probe(path, media, Limits()).has_video
    except MediaError:
        return False


def many(videos: Sequence[Path], count: int, folder: Path) -> list[Path]:
    """Make `count` videos of different content: copies of MP4 files with a `free` box of their own at the end.

    A `free` box is padding (ISO/IEC 14496-12, 8.1.2): another hash, the same pictures.
    """
    sources = [path for path in videos if format_of(path, Limits()).demuxer == "mov"]
    if not sources:
        raise UsageError("none of the videos is an MP4 file, and only those can be multiplied")
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for index in range(count):
        source = sources[index % len(sources)]
        target = folder / f"{index:05d}-{source.name}"
        shutil.copyfile(source, target)
        with target.open("ab") as file:
            file.write(struct.pack(">I4sQ", FREE_BOX_BYTES, b"free", index))
        made.append(target)
    return made
