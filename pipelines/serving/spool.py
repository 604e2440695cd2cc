"""The bytes of accepted videos, one private file each, on the disk before anybody is told so."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterable
from pathlib import Path

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}  # the disk, the quota, or the largest file allowed
ORPHAN_S = 3600.0  # a file without a record is younger while it is being accepted


class Spool:
    """A folder of files named by our ids; a caller's name never comes here."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def path(self, video_id: str) -> Path:
        """Where the bytes of an id are."""
        return self.folder / video_id

    def add(self, video_id: str, source: Path) -> int:
        """Keep the bytes of a file that the caller may then remove; return how many. Nothing is left of a failure."""
        path = self.path(video_id)
        try:
            _link_or_copy(source, path)
            size = _to_disk(path)
            _folder_to_disk(self.folder)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return size

    def remove(self, video_id: str) -> None:
        """Let go of the bytes of an id; there may be none."""
        self.path(video_id).unlink(missing_ok=True)

    def sweep(self, wanted: Callable[[Iterable[str]], set[str]], older_s: float = ORPHAN_S) -> int:
        """Remove the files that no record wants, as a process that was killed left them; return how many."""
        before = time.time() - older_s
        # The status time: a link has the content time of its source.
        old = [entry.name for entry in os.scandir(self.folder) if _changed(entry) < before]
        orphans = set(old) - wanted(old) if old else set()
        for name in orphans:
            self.remove(name)
        return len(orphans)


def _link_or_copy(source: Path, path: Path) -> None:
    """A second name costs nothing where both lie on one file system; elsewhere every byte is written."""
    try:
        os.link(source, path, follow_symlinks=False)
    except OSError as error:
        if error.errno not in {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP}:
            raise
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with source.open("rb") as read, open(os.open(path, flags, 0o600), "wb") as written:
            shutil.copyfileobj(read, written, 1 << 20)


def _to_disk(path: Path) -> int:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("an upload is no regular file")
        os.fsync(handle)
        return found.st_size
    finally:
        os.close(handle)


def _folder_to_disk(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _changed(entry: os.DirEntry[str]) -> float:
    try:
        return entry.stat(follow_symlinks=False).st_ctime
    except FileNotFoundError:
        return time.time()
