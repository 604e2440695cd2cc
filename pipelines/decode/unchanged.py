"""Whether a file still has the content that was hashed: a verdict belongs to a content, never to a path."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

from pipelines.rows import ErrorCode, MediaError

CHANGED = "the file is not the one that was hashed: its content changed"


class Stamp(NamedTuple):
    """What a file loses with any change of its bytes, and at times without one: by a new link, or by new rights."""

    size: int
    modified_ns: int  # whoever writes may set it back
    status_changed_ns: int  # which nobody can set

    @classmethod
    def of(cls, path: Path) -> Stamp:
        """Read it; raises OSError."""
        found = path.stat()
        return cls(found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def check_unchanged(sha256: str, stamp: Stamp | None, path: Path) -> None:
    """Raise MediaError unless the file has the stamp or, where it lost it, the content. No stamp, no check."""
    try:
        changed = stamp is not None and Stamp.of(path) != stamp and _sha256(path) != sha256
    except OSError as error:
        raise MediaError(ErrorCode.NOT_READABLE, f"the file cannot be read again: {error.strerror}") from error
    if changed:
        raise MediaError(ErrorCode.CHANGED, CHANGED)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
