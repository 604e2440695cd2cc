"""Videos wherever they are: local files as they stand, remote ones fetched by our own code before any decoder."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

import fsspec

from pipelines.decode.limits import Limits
from pipelines.decode.sniff import check_file
from pipelines.rows import ErrorCode, MediaError

CHUNK = 1 << 20


def local_path_of(uri: str) -> Path | None:
    """Return the path of a local URI, None for a remote one. `file://` URIs are percent-decoded."""
    if uri.startswith("file://"):
        return Path(os.fsdecode(unquote_to_bytes(urlsplit(uri).path)))
    return None if "://" in uri else Path(uri)


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
    except OSError:
        return None


@contextmanager
def local_copy(uri: str, limits: Limits) -> Iterator[Path]:
    """Lend a local file with the video's bytes: its own, or a temporary copy of a remote one."""
    if path := local_path_of(uri):
        yield path.absolute()
        return
    with tempfile.NamedTemporaryFile(prefix="nightjar-") as spool:
        for chunk in _chunks(uri, limits):
            spool.write(chunk)
        spool.flush()
        yield Path(spool.name)


def _chunks(uri: str, limits: Limits) -> Iterator[bytes]:
    path = local_path_of(uri)
    if path:
        check_file(path, limits)
    read = 0
    try:
        with _opened(uri, path) as file:
            while chunk := file.read(CHUNK):
                read += len(chunk)
                limits.check_bytes(read)
                yield chunk
    except FileNotFoundError as error:
        raise MediaError(ErrorCode.NOT_FOUND, "there is no such object") from error
    except (OSError, ValueError, ImportError) as error:
        code = ErrorCode.NOT_READABLE if path else ErrorCode.FETCH_FAILED
        raise MediaError(code, f"{type(error).__name__} while reading it") from error


def _opened(uri: str, path: Path | None) -> Any:
    return path.open("rb") if path else fsspec.open(uri, "rb").open()
