"""Videos wherever they are: local files as they stand, remote ones fetched by our own code before any decoder."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from pipelines.decode.limits import Limits
from pipelines.decode.sniff import lent
from pipelines.decode.unchanged import Stamp
from pipelines.places import local_path_of
from pipelines.remote import CHUNK, remote_chunks
from pipelines.rows import ErrorCode, MediaError

OF_THE_PLACE = {ErrorCode.NOT_FOUND, ErrorCode.NOT_READABLE, ErrorCode.FETCH_FAILED, ErrorCode.CHANGED}


def content_hash(uri: str, limits: Limits) -> tuple[str, int]:
    """Return (sha256, bytes) of a video's content; raises MediaError."""
    sha256, size = _digest(_chunks(uri, limits))
    limits.check_bytes(size)
    return sha256, size


def modified_ns(uri: str) -> int | None:
    """Return when a local file was last changed; None for remote objects and what cannot be reached.

    It is the time of the last change of its status: whoever writes other bytes may set their date back, and not this.
    """
    path = local_path_of(uri)
    try:
        return path.stat().st_ctime_ns if path else None
    except (OSError, ValueError):  # ValueError: no file can have such a name
        return None


@contextmanager
def local_copy(uri: str, limits: Limits) -> Iterator[Path]:
    """Lend a local file with the video's bytes: its own, or a temporary copy of a remote one. Raises MediaError."""
    if path := local_path_of(uri):
        yield path.absolute()
        return
    with tempfile.NamedTemporaryFile(prefix="nightjar-") as spool:
        for chunk in _chunks(uri, limits):
            _spool(spool, chunk)
        yield Path(spool.name)


@contextmanager
def held_copy(uri: str, limits: Limits, sha256: str) -> Iterator[tuple[Path, Stamp]]:
    """Lend a local file that holds the content with this hash, and the stamp that it loses with any change.

    Raises MediaError, for any other content CHANGED. It was hashed days ago, maybe, and on another machine, so only
    another hash tells; reading a video twice costs little beside decoding it.
    """
    with local_copy(uri, limits) as path:
        try:
            stamp = Stamp.of(path)
            found = _digest(_local_chunks(path, limits))[0]
        except OSError as error:
            raise MediaError(ErrorCode.NOT_FOUND, "the file went away after it was hashed") from error
        except MediaError as error:
            if error.code in OF_THE_PLACE:
                raise
            raise MediaError(ErrorCode.CHANGED, f"it changed after it was hashed: {error}") from error
        if found != sha256:
            raise MediaError(ErrorCode.CHANGED, "its content is not the one that was hashed")
        yield path, stamp


def _digest(chunks: Iterator[bytes]) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    for chunk in chunks:
        digest.update(chunk)
        size += len(chunk)
    return digest.hexdigest(), size


def _spool(spool: IO[bytes], chunk: bytes) -> None:
    try:
        spool.write(chunk)
        spool.flush()
    except OSError as error:
        raise MediaError(ErrorCode.FETCH_FAILED, f"no room for a copy: {error.strerror}") from error


def _chunks(uri: str, limits: Limits) -> Iterator[bytes]:
    path = local_path_of(uri)
    chunks = remote_chunks(uri, limits.stall_seconds) if path is None else _local_chunks(path, limits)
    read = 0
    for chunk in chunks:
        read += len(chunk)
        limits.check_bytes(read)
        yield chunk


def _local_chunks(path: Path, limits: Limits) -> Iterator[bytes]:
    """Yield a file's bytes, all of one state of it; raises MediaError where it is written to meanwhile."""
    with lent(path, limits) as nameless:
        try:
            before = Stamp.of(nameless)
            with nameless.open("rb") as file:
                while chunk := file.read(CHUNK):
                    yield chunk
                    if file.tell() > before.size:
                        break
            after = Stamp.of(nameless)
        except OSError as error:
            raise MediaError(ErrorCode.NOT_READABLE, f"the file cannot be read: {error.strerror}") from error
    if before[:2] != after[:2]:
        raise MediaError(ErrorCode.CHANGED, "the file was written to while it was read")
