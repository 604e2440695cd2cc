"""What is behind a path or a URI: the files below a folder, those a glob finds, here or in any store of fsspec."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, TypeVar

from model_registry.errors import NightjarError, UsageError
from pipelines.places import local_path_of, redacted

T = TypeVar("T")
WILD = "*?["
WITHOUT_FOLDERS = ("http://", "https://")  # a URL is one file; what follows a ? is its query


def is_remote(source: str) -> bool:
    """Whether it is a URI that is not of this machine's disks."""
    return "://" in source and local_path_of(source) is None


def is_folder(source: str) -> bool:
    """Whether files may lie below it. In a store a prefix of some object's name is a folder."""
    if source.startswith(WITHOUT_FOLDERS):
        return False
    if is_remote(source):
        return _asked(source, lambda store, path: bool(store.isdir(path)))
    return os.path.isdir(here(source))


def exists(source: str) -> bool:
    """Whether there is a file, a folder with something in it, or a match of a glob."""
    if is_remote(source):
        return _asked(source, lambda store, path: bool(store.exists(path) or (_is_wild(source) and store.glob(path))))
    path = here(source)
    if os.path.isdir(path):
        return next(files_below(path), None) is not None
    return os.path.lexists(path) or bool(glob.glob(path, recursive=True))


def files_below(folder: str) -> Iterator[str]:
    """Every file, relative to the folder, those of a folder before its subfolders, both in order.

    What is hidden is left out, and links to folders are not followed.
    """
    return iter(_remote_files(folder)) if is_remote(folder) else _local_files(here(folder))


def matches(pattern: str) -> list[str]:
    """What a glob finds, in order: local paths, or URIs where the pattern is one."""
    if is_remote(pattern):
        return _asked(pattern, lambda store, path: sorted(store.unstrip_protocol(name) for name in store.glob(path)))
    return sorted(glob.glob(pattern, recursive=True))


def is_glob(source: str) -> bool:
    """Whether a URI is a pattern. What has the very name is no pattern."""
    if source.startswith(WITHOUT_FOLDERS) or not _is_wild(source):
        return False
    return _asked(source, lambda store, path: not store.exists(path))


def here(source: str) -> str:
    """The path of a local URI; a path stays what it is."""
    return str(local_path_of(source)) if "://" in source else source


def _is_wild(source: str) -> bool:
    return any(letter in source for letter in WILD)


def _local_files(folder: str) -> Iterator[str]:
    for place, folders, files in os.walk(folder, onerror=_refuse_unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith("."):
                yield os.path.relpath(os.path.join(place, name), folder)


def _refuse_unreadable(error: OSError) -> NoReturn:
    raise UsageError(f"folder {printable(str(error.filename))} cannot be read: {error.strerror}") from error


def _remote_files(folder: str) -> list[str]:
    """Stores list names, not folders: hidden ones go by their parts, and empty names stand for the folder itself."""

    def listed(store: Any, path: str) -> list[str]:
        root = path.rstrip("/")
        names = [name[len(root) :].lstrip("/") for name in store.find(root)]
        seen = [name.split("/") for name in names if name and not name.endswith("/")]
        shown = [parts for parts in seen if not any(part.startswith(".") for part in parts)]
        return ["/".join(parts) for parts in sorted(shown, key=lambda parts: (parts[:-1], parts[-1]))]

    return _asked(folder, listed)


def _asked(source: str, question: Callable[[Any, str], T]) -> T:
    """Put a question to a store; raises UsageError for one nobody can ask, NightjarError where it does not answer."""
    import fsspec

    try:
        store, path = fsspec.core.url_to_fs(source)
        store.invalidate_cache()  # a folder may have been filled since somebody last looked
        return question(store, path)
    except (ImportError, ValueError, FileNotFoundError, PermissionError) as error:
        raise UsageError(_unlisted(source, error)) from error
    except Exception as error:  # each store has exceptions of its own
        raise NightjarError(_unlisted(source, error)) from error


def _unlisted(source: str, error: Exception) -> str:
    cause = (str(error) or type(error).__name__).splitlines()[0]
    return redacted(f"{printable(source)} cannot be listed: {cause}")


def printable(path: str) -> str:
    """Make a name printable that is not UTF-8 on disk."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
