"""Files that are written to: some all the time, others once they are hashed, and how those have to end."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from tests.mixed import write_video
from tests.poison import Poison, unlike, written


def restless(folder: Path, turn: int) -> None:
    """Write into the pipe, let one file grow and change a byte of another without a change of size."""
    pipe = os.open(folder / "pipe.mp4", os.O_RDWR | os.O_NONBLOCK)
    try:
        os.write(pipe, bytes(4096))
    except BlockingIOError:
        pass  # nobody reads it, which is right
    finally:
        os.close(pipe)
    with (folder / "grows.mp4").open("ab") as file:
        file.write(bytes(100))
    with (folder / "rewritten.mp4").open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(bytes([turn % 251]))


def _other_bytes(path: Path, other: bytes) -> None:
    """As many, with the date set back: only the bytes tell."""
    found = path.stat()
    path.write_bytes((other + bytes(found.st_size))[: found.st_size])
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


def _exchanged(path: Path, other: bytes) -> None:
    """By another file of the same size and date, renamed over it."""
    beside = path.with_suffix(".new")
    shutil.copy2(path, beside)
    _other_bytes(beside, other)
    beside.replace(path)


def _folder_instead(path: Path, other: bytes) -> None:
    path.unlink()
    path.mkdir()


def _pipe_instead(path: Path, other: bytes) -> None:
    path.unlink()
    os.mkfifo(path)


TAMPERED: dict[str, tuple[Callable[[Path, bytes], object], str]] = {  # file name -> what is done, the code of it
    "other-bytes.mp4": (_other_bytes, "changed"),
    "exchanged.mp4": (_exchanged, "changed"),
    "longer.mp4": (lambda path, other: path.write_bytes(path.read_bytes() + other), "changed"),
    "shorter.mp4": (lambda path, other: os.truncate(path, 1000), "changed"),
    "emptied.mp4": (lambda path, other: os.truncate(path, 0), "changed"),
    "folder-instead.mp4": (_folder_instead, "changed"),
    "pipe-instead.mp4": (_pipe_instead, "changed"),
    "deleted.mp4": (lambda path, other: path.unlink(), "not_found"),
    "touched.mp4": (lambda path, other: os.utime(path, ns=(1, 1)), ""),  # no change at all
}


def write_tampered(folder: Path) -> list[Poison]:
    """Good videos, for `tamper` to work on once they are hashed."""
    clean = (folder / "clean.mp4").read_bytes()
    return [written(folder, name, unlike(clean, name), code or None) for name, (_, code) in TAMPERED.items()]


def tamper(folder: Path) -> None:
    """Change what `write_tampered` wrote."""
    other = folder / "other.tmp"
    write_video(other, "mp4-h264", seconds=3, seed=90)
    for name, (change, _) in TAMPERED.items():
        change(folder / name, other.read_bytes())
    other.unlink()
