"""One run a night: a lock that ends with its holder, on a disk as in a store.

On a disk the kernel holds it (flock) and lets it go however the process ends. A store has no such thing: there a
holder renews his claim, and one that was not renewed for a while, or whose process was on this host and is gone, is
void. The clocks of machines that share a store may differ by less than that.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_registry.errors import NightjarError
from pipelines.places import Place, create, make, read_bytes, remove, write_bytes
from pipelines.processes import lives, started_at

if TYPE_CHECKING:
    from upath import UPath

NAME = "lock"
RENEW_S = 20.0
VOID_S = 180.0  # a claim in a store that was not renewed for so long
SETTLE_S = 2.0  # two may find the same claim void: who comes second removes the first one's, who then sees it
ASK_S = 2.0  # between two looks of one who waits
TORN_S = 0.2  # until a claim that cannot be read is looked at again: not every store writes a file in one step


class LockedError(NightjarError):
    """Somebody else works at this night."""


@contextmanager
def lock(folder: Place, what: str, wait: bool = False) -> Iterator[None]:
    """Hold a folder; raises LockedError, which says who holds it, or waits until he is done."""
    make(folder)
    held, claim = _lock_of(folder), _claim(what)
    while not held.take(claim):
        if not wait:
            raise LockedError(f"{folder} is being worked at by {_who(held.claim())}; wait for it, or give --wait")
        time.sleep(ASK_S)
    try:
        yield
    finally:
        held.let_go()


def is_held(folder: Place) -> str | None:
    """Say who works at a folder, None if nobody does."""
    held = _lock_of(folder)
    return _who(held.claim()) if held.is_held() else None


def _lock_of(folder: Place) -> _DiskLock | _StoreLock:
    return _DiskLock(folder / NAME) if isinstance(folder, Path) else _StoreLock(folder / NAME)


def _claim(what: str) -> dict[str, Any]:
    started = datetime.now(UTC).isoformat(timespec="seconds")
    who = {"host": socket.gethostname(), "pid": os.getpid(), "born": started_at(os.getpid())}
    return {"what": what, **who, "since": started, "key": uuid.uuid4().hex}


def _who(claim: dict[str, Any]) -> str:
    if not claim:
        return "another run"
    return f"{claim['what']}, process {claim['pid']} on {claim['host']}, since {claim['since']}"


class _DiskLock:
    """An flock on a file that stays; the claim in it is for people."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.handle = -1

    def take(self, claim: dict[str, Any]) -> bool:
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)  # closed in children: Python's default
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(handle)
            if isinstance(error, BlockingIOError):
                return False
            raise NightjarError(f"{self.path} cannot be locked: {error.strerror}") from error
        self.handle = handle
        os.truncate(handle, 0)
        os.write(handle, json.dumps(claim).encode())
        return True

    def let_go(self) -> None:
        os.truncate(self.handle, 0)
        os.close(self.handle)

    def is_held(self) -> bool:
        try:
            handle = os.open(self.path, os.O_RDWR)
        except OSError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(handle)
        return False

    def claim(self) -> dict[str, Any]:
        return _read(self.path) or {}


class _StoreLock:
    """A claim in a store, renewed by a thread; made only where there is none, which S3 and its like check for us."""

    def __init__(self, path: UPath) -> None:
        self.path = path
        self.done = threading.Event()
        self.mine: dict[str, Any] = {}

    def take(self, claim: dict[str, Any]) -> bool:
        before = _read(self.path)
        if before is not None and _is_fresh(before):
            return False
        if before is not None:
            remove(self.path)
        self.mine = {**claim, "renewed": time.time()}
        with suppress(FileExistsError):  # somebody was faster, or it is ours and the answer was lost
            create(self.path, json.dumps(self.mine).encode())
        if before is not None:
            time.sleep(SETTLE_S)
        if self.claim().get("key") != claim["key"]:
            return False
        threading.Thread(target=self._renew, daemon=True).start()
        return True

    def _renew(self) -> None:
        while not self.done.wait(RENEW_S):
            self.mine["renewed"] = time.time()
            with suppress(NightjarError, OSError):  # tried again soon; VOID_S is many turns long
                write_bytes(self.path, json.dumps(self.mine).encode())

    def let_go(self) -> None:
        self.done.set()
        with suppress(NightjarError, OSError):
            remove(self.path)

    def is_held(self) -> bool:
        return _is_fresh(self.claim())

    def claim(self) -> dict[str, Any]:
        return _read(self.path) or {}


def _is_fresh(claim: dict[str, Any]) -> bool:
    return time.time() - float(claim.get("renewed", 0)) < VOID_S and not _is_dead(claim)


def _is_dead(claim: dict[str, Any]) -> bool:
    """Whether its process was on this host and is gone."""
    if claim.get("host") != socket.gethostname():
        return False
    return not lives(int(claim.get("pid", 0)), float(claim.get("born") or 0))


def _read(path: Place) -> dict[str, Any] | None:
    """Read a claim; None where there is none, empty where it cannot be read a moment later either."""
    with suppress(FileNotFoundError):
        found = _parsed(read_bytes(path))
        if not found:
            time.sleep(TORN_S)
            found = _parsed(read_bytes(path))
        return found
    return None


def _parsed(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
