"""What lies below a place, on a disk or in a store, and how it goes. No symbolic link is followed or removed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from upath import UPath

from model_registry.errors import NightjarError
from pipelines.places import Place, redacted

TOGETHER = 1000  # objects that one request deletes, in S3
MAGIC = frozenset("*?[")


@dataclass(frozen=True)
class Tree:
    """How much lies below a place."""

    files: int = 0
    bytes: int = 0
    links: tuple[str, ...] = ()  # symbolic links, which count for nothing and stay


def children(folder: Place) -> list[Place]:
    """Return what a folder holds, in order. Raises OSError, and NightjarError for a store that cannot be reached."""
    with _said_of(folder):
        found: list[Place] = [*folder.iterdir()]
    return sorted(found, key=str)


def is_folder(at: Place) -> bool:
    """Whether it is a folder, and no link to one. Raises like `children`."""
    with _said_of(at):
        return at.is_dir() and not is_link(at)


def is_link(at: Place) -> bool:
    """Whether it is a symbolic link; no store has any."""
    return isinstance(at, Path) and at.is_symlink()


def measure(place: Place) -> Tree:
    """Count the files of a tree, or the one file; where nothing is, there are none. Raises like `children`."""
    if isinstance(place, Path):
        return _measured(place)
    with _said_of(place):
        found = place.fs.find(place.path, detail=True)
        sizes = [facts["size"] if "size" in facts else place.fs.size(at) for at, facts in found.items()]
    return Tree(len(sizes), sum(sizes))


def remove(place: Place, first: str) -> None:
    """Remove a tree, or one file: first the files whose names match `first`, then the rest. Raises like `children`.

    Done again after a kill it goes on, and where nothing is left it does nothing.
    """
    if isinstance(place, Path):
        _remove_local(place, first)
    else:
        with _said_of(place):
            _remove_objects(place, first)


@contextmanager
def _said_of(place: Place) -> Iterator[None]:
    """Every store has errors of its own: they become one sentence without a secret."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        why = redacted((str(error) or type(error).__name__).splitlines()[0])
        raise NightjarError(f"{redacted(str(place))} cannot be reached: {why}") from error


def _measured(path: Path) -> Tree:
    if path.is_symlink():
        return Tree(links=(str(path),))
    if path.is_file():
        return Tree(1, path.stat().st_size)
    found = [Path(at, name) for at, folders, names in _walk(path) for name in (*names, *folders)]
    links = sorted(str(one) for one in found if one.is_symlink())
    sizes = [one.lstat().st_size for one in found if not one.is_symlink() and not one.is_dir()]
    return Tree(len(sizes), sum(sizes), tuple(links))


def _walk(path: Path) -> list[tuple[str, list[str], list[str]]]:
    def refuse(error: OSError) -> None:
        raise error  # a folder that cannot be read is not an empty one

    return list(os.walk(path, onerror=refuse)) if path.is_dir() else []


def _remove_local(path: Path, first: str) -> None:
    """Through handles of open folders: one that is swapped for a link meanwhile leads nowhere else."""
    if path.is_symlink():
        return
    if not path.is_dir():
        path.unlink(missing_ok=True)
        return
    for pattern in (first, "*"):
        for _, folders, names, handle in os.fwalk(path, topdown=False, follow_symlinks=False):
            for name in names:
                _unlink(name, pattern, handle)
            for name in folders if pattern == "*" else ():
                _remove_empty(name, handle)
    with suppress(OSError):
        path.rmdir()  # a link may be left in it


def _unlink(name: str, pattern: str, handle: int) -> None:
    with suppress(FileNotFoundError):
        found = os.stat(name, dir_fd=handle, follow_symlinks=False)
        if fnmatchcase(name, pattern) and not stat.S_ISLNK(found.st_mode):
            os.unlink(name, dir_fd=handle)


def _remove_empty(name: str, handle: int) -> None:
    with suppress(OSError):  # a link, or a folder with one in it
        os.rmdir(name, dir_fd=handle)


def _remove_objects(place: UPath, first: str) -> None:
    found = place.fs.find(place.path)
    early = [at for at in found if fnmatchcase(at.rpartition("/")[2], first)]
    for some in (early, sorted(set(found) - set(early))):
        plain = [at for at in some if not MAGIC & set(at)]
        for start in range(0, len(plain), TOGETHER):
            place.fs.rm(plain[start : start + TOGETHER])
        for at in set(some) - set(plain):  # in a list a file system takes it for a pattern
            place.fs.rm_file(at)
