"""What stands behind a photo in its file: the film of a motion photo, or the next pictures of a bare Motion JPEG."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.decode.sniff import Format

JPEG, NEXT_JPEG = b"\xff\xd8\xff", b"\xff\xd9\xff\xd8\xff"
FILM_BRANDS = {
    b"isom",
    b"iso2",
    b"iso4",
    b"iso5",
    b"iso6",
    b"mp41",
    b"mp42",
    b"avc1",
    b"qt  ",
    b"MSNV",
    b"3gp4",
    b"3gp5",
}
LONGEST_FTYP = 256  # bytes
MANY = 3  # pictures one behind the other: phones keep a second one beside a photo, not more


def film_behind(path: Path) -> tuple[int, Format] | None:
    """Return where a film begins in the file of a JPEG, and its format; None where there is only the picture."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if content[:3] != JPEG:
            return None
        at = content.find(b"ftyp", 8)
        while at >= 0:
            length = int.from_bytes(content[at - 4 : at])
            if 16 <= length <= LONGEST_FTYP and content[at + 4 : at + 8] in FILM_BRANDS:
                return at - 4, Format("mov")
            at = content.find(b"ftyp", at + 1)
        return (0, Format("mjpeg")) if _is_stream(content) else None


@contextmanager
def cut_from(path: Path, begin: int) -> Iterator[Path]:
    """Lend a nameless file in memory with what follows; the file itself where nothing is in front."""
    if begin == 0:
        yield path
        return
    descriptor = os.memfd_create("behind", os.MFD_CLOEXEC)
    try:
        with path.open("rb") as file:
            file.seek(begin)
            while piece := file.read(1 << 20):
                os.write(descriptor, piece)
        yield Path(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


def _is_stream(content: mmap.mmap) -> bool:
    at, found = content.find(NEXT_JPEG), 0
    while at >= 0 and found < MANY:
        found += 1
        at = content.find(NEXT_JPEG, at + 1)
    return found >= MANY
