"""Videos wherever they are: local files as they stand, remote ones fetched by our own code before any decoder."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from urllib.parse import unquote_to_bytes

import fsspec

from pipelines.decode.limits import Limits
from pipelines.decode.sniff import check_file
from pipelines.rows import ErrorCode, MediaError

CHUNK = 1 << 20
LOCAL_SCHEMES = {"file", "local"}


def local_path_of(uri: str) -> Path | None:
    """Return the path of a local URI, None for a remote one. `file://` URIs are percent-decoded, nothing else."""
    scheme, found, rest = uri.partition("://")
    if not found:
        return Path(uri)
    if scheme not in LOCAL_SCHEMES:
        return None
    host, slash, path = rest.partition("/")
    return Path(os.fsdecode(unquote_to_bytes(slash + path if host == "localhost" else rest)))


def content_hash(uri: str, limits: Limits) -> tuple[str, int]:
    """Return (sha256, bytes) of a video's content; raises MediaError."""
    digest, size = hashlib.sha256(), 0
    for chunk in _chunks(uri, limits):
        digest.update(chunk)
        size += len(chunk)
    limits.check_bytes(size)
    return digest.hexdigest(), size


def modified_ns(uri: str) -> int | None:
    """Return when a local file was last changed; None for remote objects and what cannot be reached."""
    path = local_path_of(uri)
    try:
        return path.stat().st_mtime_ns if path else None
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


def _spool(spool: IO[bytes], chunk: bytes) -> None:
    try:
        spool.write(chunk)
        spool.flush()
    except OSError as error:
        raise MediaError(ErrorCode.FETCH_FAILED, f"no room for a copy: {error.strerror}") from error


def _chunks(uri: str, limits: Limits) -> Iterator[bytes]:
    path = local_path_of(uri)
    chunks = _remote_chunks(uri) if path is None else _local_chunks(path, limits)
    read = 0
    for chunk in chunks:
        read += len(chunk)
        limits.check_bytes(read)
        yield chunk


def _local_chunks(path: Path, limits: Limits) -> Iterator[bytes]:
    check_file(path, limits)
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk
    except FileNotFoundError as error:
        raise MediaError(ErrorCode.NOT_FOUND, "there is no such file") from error
    except OSError as error:
        raise MediaError(ErrorCode.NOT_READABLE, f"the file cannot be read: {error.strerror}") from error


def _remote_chunks(uri: str) -> Iterator[bytes]:
    if "::" in uri:
        raise MediaError(ErrorCode.FETCH_FAILED, "the URI chains file systems, which is not supported")
    try:
        with fsspec.open(uri, "rb").open() as file:
            while chunk := file.read(CHUNK):
                yield chunk
    except FileNotFoundError as error:
        raise MediaError(ErrorCode.NOT_FOUND, "there is no such object") from error
    except ImportError as error:
        raise MediaError(ErrorCode.FETCH_FAILED, f"this installation cannot fetch it: {error}") from error
    except Exception as error:  # every file system has errors of its own
        raise MediaError(ErrorCode.FETCH_FAILED, f"{type(error).__name__} while fetching it") from error
