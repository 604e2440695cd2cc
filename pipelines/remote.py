"""Remote objects, byte by byte: all of one version, asked for again where a passing fault breaks it off."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

import fsspec

from pipelines.places import carries_keys
from pipelines.rows import ErrorCode, MediaError

T = TypeVar("T")
CHUNK = 1 << 20
BLOCK = 8 << 20  # bytes a request asks for, which is what a fault costs
PAUSES_S = (0.5, 2.0)  # before an object is asked for again; every byte that comes starts them anew
VERSIONS = ("ETag", "etag", "generation", "LastModified", "Last-Modified", "last_modified", "mtime")
LASTING = (FileNotFoundError, PermissionError, ImportError, LookupError, TypeError, ValueError, NotImplementedError)
WORTH_ANOTHER_TRY = {408, 425, 429}  # among the HTTP statuses that say that the caller is wrong


def remote_chunks(uri: str, stall_seconds: float) -> Iterator[bytes]:
    """Yield the bytes of an object, up to CHUNK at a time. Raises MediaError, whose message holds no part of the URI.

    An object that is replaced meanwhile is an error, never a mixture; so is one that gives nothing for `stall_seconds`
    again and again.
    """
    _refuse_odd(uri)
    reader, pauses = _Reader(uri), iter(PAUSES_S)
    while True:
        try:
            chunk = _within(stall_seconds, reader.read)
        except Exception as error:
            pause = next(pauses, None) if _passes(error) else None
            if pause is None:
                raise _reason(error) from error
            threading.Event().wait(pause)
            reader = reader.again()
            continue
        if not chunk:
            return
        pauses = iter(PAUSES_S)
        yield chunk


def _refuse_odd(uri: str) -> None:
    if "::" in uri:
        raise MediaError(ErrorCode.FETCH_FAILED, "the URI chains file systems, which is not supported")
    if carries_keys(uri):
        scheme = uri.partition("://")[0]
        raise MediaError(
            ErrorCode.FETCH_FAILED, f"the URI carries credentials, which {scheme}:// takes from the environment"
        )


class _Reader:
    """One object from front to back, over as many openings as that takes."""

    def __init__(self, uri: str, offset: int = 0, version: tuple[Any, ...] | None = None) -> None:
        self.uri, self.offset, self.version = uri, offset, version
        self.file: Any = None

    def again(self) -> _Reader:
        """Return a reader that goes on from here; this one may still hang in a read."""
        return _Reader(self.uri, self.offset, self.version)

    def read(self) -> bytes:
        """Return the next bytes, none at the end. Raises MediaError and whatever the file system does."""
        if self.file is None:
            self.file = self._opened()
        chunk: bytes = self.file.read(CHUNK)
        self.offset += len(chunk)
        self._check_size(getattr(self.file, "size", None), ended=not chunk)
        return chunk

    def _check_size(self, size: object, ended: bool) -> None:
        if isinstance(size, int) and self.offset > size:
            raise MediaError(ErrorCode.FETCH_FAILED, "more bytes came than the object has")
        if isinstance(size, int) and ended and self.offset < size:
            raise OSError(errno.EIO, f"{self.offset:,} bytes came of {size:,}")

    def _opened(self) -> Any:
        files, path = fsspec.core.url_to_fs(self.uri)
        files.invalidate_cache(path)  # a listing of an hour ago knows an older object
        file = files.open(path, "rb", block_size=BLOCK)
        version = _version(file)
        if self.offset == 0:
            self.version = version
        elif version is None or version != self.version:
            raise MediaError(ErrorCode.CHANGED, "the object broke off and is not the same any more")
        else:
            file.seek(self.offset)
        return file


def _version(file: Any) -> tuple[Any, ...] | None:
    """What tells one version of an object from the next, None where its file system knows nothing of the kind."""
    details = getattr(file, "details", None)
    found = tuple(details.get(name) for name in VERSIONS) if isinstance(details, dict) else ()
    return (file.size, *found) if any(found) else None


def _within(seconds: float, call: Callable[[], T]) -> T:
    """Run a call on a thread of its own and leave it behind when it takes too long: nothing else ends a read."""
    answers: SimpleQueue[tuple[T | None, Exception | None]] = SimpleQueue()

    def work() -> None:
        try:
            answers.put((call(), None))
        except Exception as error:  # noqa: BLE001 it is raised where it is waited for
            answers.put((None, error))

    threading.Thread(target=work, daemon=True).start()
    try:
        answer, error = answers.get(timeout=seconds)
    except Empty:
        raise TimeoutError from None
    if error is not None:
        raise error
    return answer  # type: ignore[return-value]  # there is one where there is no error


def _passes(error: Exception) -> bool:
    """Whether the same request may do better in a moment."""
    error = _told_by(error)
    if isinstance(error, (MediaError, *LASTING)) or "Credentials" in type(error).__name__ or _is_replaced(error):
        return False
    status = getattr(error, "status", None)
    if isinstance(status, int) and 400 <= status < 500:
        return status in WORTH_ANOTHER_TRY
    return getattr(error, "errno", None) != errno.EINVAL  # as s3fs calls a request that is refused


def _told_by(error: Exception) -> Exception:
    """Whatever an HTTP server answers, fsspec calls it a missing file and keeps the answer as the cause."""
    status = getattr(error.__cause__, "status", None)
    known = isinstance(error.__cause__, Exception) and status not in {None, 404, 410}
    return error.__cause__ if known and isinstance(error.__cause__, Exception) else error


def _is_replaced(error: Exception) -> bool:
    return type(error).__name__ == "FileExpired"  # s3fs is not everywhere installed


def _reason(error: Exception) -> MediaError:
    error = _told_by(error)
    if isinstance(error, MediaError):
        return error
    if isinstance(error, FileNotFoundError):
        return MediaError(ErrorCode.NOT_FOUND, "there is no such object")
    if isinstance(error, ImportError):
        return MediaError(ErrorCode.FETCH_FAILED, f"this installation cannot fetch it: {error}")
    if _is_replaced(error):
        return MediaError(ErrorCode.CHANGED, "the object was replaced while it was fetched")
    return MediaError(ErrorCode.FETCH_FAILED, f"{type(error).__name__} while fetching it")
