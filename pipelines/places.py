"""Places that a night is kept in: a local folder or one in any store that fsspec knows.

A file appears under its name when it is whole, and never before: on a disk it is written beside and renamed, in a
store it is uploaded from a finished copy.
"""

from __future__ import annotations

import errno
import os
import re
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeAlias, TypeVar, cast
from urllib.parse import unquote_to_bytes

import pyarrow as pa
import pyarrow.parquet as pq

from model_registry.errors import NightjarError, UsageError

if TYPE_CHECKING:  # it imports fsspec, which local folders do without
    from upath import UPath

Place: TypeAlias = "Path | UPath"
T = TypeVar("T")
URI = re.compile(r"[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE)
CREDENTIALS = re.compile(r"(?<=://)[^/@\s]*@")
PART = ".part"  # how the name of an unfinished file ends
FULL = {errno.ENOSPC, errno.EDQUOT}
KEYED_BY_US = {"s3", "s3a", "gs", "gcs"}  # whose URIs name a bucket, and no user
LOCAL_SCHEMES = {"file", "local"}
ATTEMPTS = 5  # at a store that is busy or out of reach
LASTING = (FileNotFoundError, FileExistsError, PermissionError, NotImplementedError, TypeError, ValueError)
SECRET = re.compile(r"SECRET|TOKEN|PASSWORD")  # in the name of an environment variable
LEAST_SECRET = 8  # characters
READERS = 16  # of a store at once
FIRST_PAUSE_S = 0.2  # then twice as long each time


def local_path_of(uri: str) -> Path | None:
    """Return the path of a local URI, None for a remote one. `file://` URIs are percent-decoded, nothing else."""
    scheme, found, rest = uri.partition("://")
    if not found:
        return Path(uri)
    if scheme not in LOCAL_SCHEMES:
        return None
    host, slash, path = rest.partition("/")
    return Path(os.fsdecode(unquote_to_bytes(slash + path if host == "localhost" else rest)))


def place(text: str | Place) -> Place:
    """Return the folder or file that a path or a URI names; raises UsageError for a store nobody can reach.

    Listings of a store are not remembered: workers write there too.
    """
    if not isinstance(text, str):
        return text
    if (path := local_path_of(text)) is not None:
        return path
    if carries_keys(text):
        raise UsageError(f"{redacted(text)} was given with credentials, which a store takes from the environment")
    from upath import UPath

    try:
        return UPath(text, use_listings_cache=False)
    except (ImportError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"{redacted(text)} cannot be reached by this installation: {reason}") from error


def carries_keys(uri: str) -> bool:
    """Whether a URI has credentials where a store has a bucket, and no user."""
    scheme, _, rest = uri.partition("://")
    return scheme in KEYED_BY_US and "@" in rest.partition("/")[0]


def is_local(path: Place) -> bool:
    """Whether a place is on a disk of this machine."""
    return isinstance(path, Path)


def redacted(text: str) -> str:
    """Return the text with no user name, password or query in any URI of it, and no secret of the environment."""
    for name, value in os.environ.items():
        if len(value) >= LEAST_SECRET and SECRET.search(name):
            text = text.replace(value, "...")
    return URI.sub(lambda found: CREDENTIALS.sub("", found[0]).partition("?")[0], text)


def is_full(error: BaseException | None) -> bool:
    """Whether there was no room left, on a disk or of a quota."""
    return isinstance(error, OSError) and error.errno in FULL


def make(folder: Place) -> None:
    """Let a folder exist; a store has none."""
    if isinstance(folder, Path):
        folder.mkdir(parents=True, exist_ok=True)


@contextmanager
def whole(path: Place) -> Iterator[IO[bytes]]:
    """Lend a file to write: it appears under `path` when the block ends well, on disk or uploaded."""
    if not isinstance(path, Path):
        with tempfile.NamedTemporaryFile(prefix="nightjar-") as spool:
            yield cast("IO[bytes]", spool)
            spool.flush()
            _patiently(path, lambda: path.fs.put_file(spool.name, path.path))
        return
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}{PART}")
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_table(path: Place, table: pa.Table) -> None:
    """Write a Parquet file."""
    with whole(path) as file:
        pq.write_table(table, file, compression="zstd")


def write_text(path: Place, text: str) -> None:
    """Write text as UTF-8; what UTF-8 cannot say is escaped."""
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_bytes(path: Place, content: bytes) -> None:
    """Write a small file."""
    with whole(path) as file:
        file.write(content)


def create(path: UPath, content: bytes) -> None:
    """Write a small file of a store where there is none, if the store can see to that; raises FileExistsError."""
    try:
        _patiently(path, lambda: path.fs.pipe_file(path.path, content, mode="create"))
    except (NotImplementedError, TypeError, ValueError):
        write_bytes(path, content)


def read_bytes(path: Place) -> bytes:
    """Read a file whole; raises FileNotFoundError."""
    if isinstance(path, Path):
        return path.read_bytes()
    found: bytes = _patiently(path, lambda: path.fs.cat_file(path.path))
    return found


def read_table(path: Place, columns: Sequence[str] | None = None, schema: pa.Schema | None = None) -> pa.Table:
    """Read a Parquet file; with a schema, columns that it lacks are null. Raises OSError or ArrowException."""
    with opened(path) as source:
        return pq.read_table(source, columns=columns, schema=schema)


@contextmanager
def opened(path: Place) -> Iterator[str | pa.BufferReader]:
    """Lend a file to a Parquet reader; one in a store is fetched whole."""
    yield str(path) if isinstance(path, Path) else pa.BufferReader(read_bytes(path))


def each(read: Callable[[Place], T], paths: Sequence[Place]) -> Iterator[T]:
    """Yield what `read` makes of each file, in order; of a store, which takes its time, several are read at once."""
    if paths and not is_local(paths[0]):
        with ThreadPoolExecutor(READERS) as pool:
            yield from pool.map(read, paths)
    else:
        yield from map(read, paths)


def listed(folder: Place, pattern: str) -> list[Place]:
    """Return the files of a folder whose names match, in order; none if there is no such folder."""
    if isinstance(folder, Path):
        return [*sorted(folder.glob(pattern))]
    return [*sorted(_patiently(folder, lambda: list(folder.glob(pattern))), key=str)]


def exists(path: Place) -> bool:
    """Whether there is such a file or folder."""
    if isinstance(path, Path):
        return path.exists()
    return bool(_patiently(path, path.exists))


def remove(path: Place) -> None:
    """Remove a file; done twice it does nothing."""
    if isinstance(path, Path):
        path.unlink(missing_ok=True)
    else:
        _patiently(path, lambda: path.unlink(missing_ok=True))


def sync(folder: Place) -> None:
    """Put the names of a local folder on disk: a power cut must not keep a later file and lose an earlier one."""
    if isinstance(folder, Path):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _patiently(path: Place, ask: Callable[[], T]) -> T:
    """Ask a store again while it is busy; what it says in the end is one sentence without a secret."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return ask()
        except LASTING:
            raise
        except Exception as error:  # every store has errors of its own
            if attempt == ATTEMPTS:
                raise NightjarError(f"{redacted(str(path))} cannot be reached: {_kind(error)}") from error
            time.sleep(FIRST_PAUSE_S * 2 ** (attempt - 1))
    raise AssertionError("the last attempt returns or raises")


def _kind(error: Exception) -> str:
    text = redacted((str(error) or "").splitlines()[0] if str(error) else "")
    return f"{type(error).__name__}: {text}"[:200]
