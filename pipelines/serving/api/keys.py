"""API keys: made, revoked and listed in a file; tokens are told once and kept as hashes.

A token has 256 random bits, so its SHA-256 cannot be searched back and needs no slow hash, unlike a password's.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import math
import os
import secrets
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from model_registry.errors import UsageError

SCOPES = ("check", "moderations", "videos", "models", "metrics")
LOOK_EVERY_S = 0.5  # at the file, for changes
PREFIX = "nj_"


@dataclass(frozen=True)
class Key:
    """What is known of a key; its token is not."""

    id: str
    name: str
    sha256: str  # of the token
    scopes: tuple[str, ...] = SCOPES
    rate: float = 0.0  # requests a second; 0: as many as there is room for
    created_at: str = ""
    revoked_at: str | None = None

    def __post_init__(self) -> None:
        """Refuse scopes that are none."""
        if unknown := [scope for scope in self.scopes if scope not in SCOPES] or (not self.scopes and ["none"]):
            raise UsageError(f"key {self.name!r} has the scopes {', '.join(unknown)}; allowed: {', '.join(SCOPES)}")
        if not 0 <= self.rate < math.inf:  # what is no number is neither
            raise UsageError(f"key {self.name!r} has a rate of {self.rate:g}, must be 0 or more")


class KeyFile:
    """The keys of a service; written whole, one writer at a time, readable by its owner only."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._keys: dict[str, Key] = {}  # by hash
        self._stamp: tuple[int, ...] | None = None
        self._looked = 0.0

    def create(self, name: str, scopes: Sequence[str] = SCOPES, rate: float = 0.0) -> tuple[Key, str]:
        """Return a new key and its token, which nobody can read again."""
        token = PREFIX + secrets.token_urlsafe(32)
        key = Key(secrets.token_hex(6), name, _hash(token), tuple(scopes), rate, _now())
        with self._changed() as keys:
            keys.append(key)
        return key, token

    def revoke(self, key_id: str) -> Key:
        """Let a key end; services see it within a second."""
        with self._changed() as keys:
            for place, key in enumerate(keys):
                if key.id == key_id:
                    keys[place] = replace(key, revoked_at=key.revoked_at or _now())
                    return keys[place]
            known = ", ".join(key.id for key in keys) or "none"
            raise UsageError(f"{self.path} has no key {key_id!r}; found: {known}")

    def keys(self) -> list[Key]:
        """All of them, revoked ones too, oldest first; raises UsageError for a file that holds none."""
        try:
            rows = json.loads(self.path.read_text())["keys"]
            return [Key(**{**row, "scopes": tuple(row["scopes"])}) for row in rows]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise UsageError(f"{self.path} cannot be read as a file of keys: {type(error).__name__}") from error

    def find(self, token: str) -> Key | None:
        """The key of a token, if it holds; the file is looked at twice a second at most.

        A file that cannot be read just now changes nothing: whoever was let in before is, and nobody else.
        """
        self._refresh()
        key = self._keys.get(_hash(token))
        return key if key and key.revoked_at is None else None

    def _refresh(self) -> None:
        now = time.monotonic()
        if self._stamp is not None and now - self._looked < LOOK_EVERY_S:
            return
        self._looked = now
        try:
            status = self.path.stat()
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
            if stamp != self._stamp:
                self._keys = {key.sha256: key for key in self.keys()}
                self._stamp = stamp
        except FileNotFoundError:
            self._keys, self._stamp = {}, (0,)  # a file that was taken away lets nobody in
        except (OSError, UsageError):
            self._stamp = self._stamp or (0,)

    @contextmanager
    def _changed(self) -> Iterator[list[Key]]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        beside = self.path.with_name(self.path.name + ".lock")
        with open(os.open(beside, os.O_CREAT | os.O_RDWR, 0o600), "w") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            keys = self.keys()
            yield keys
            part = self.path.with_name(f"{self.path.name}.{secrets.token_hex(4)}.part")
            with open(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
                json.dump({"keys": [asdict(key) for key in keys]}, file, indent=2)
                file.flush()
                os.fsync(file.fileno())
            part.replace(self.path)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


Bucket = tuple[float, float]  # tokens, and when that was, of time.monotonic(), which a machine's processes share
BUCKET = struct.Struct("dd")


class Buckets:
    """A token bucket a key: `rate` requests a second, and as many at once.

    Processes of one machine that name the same folder draw from the same buckets; else each has its own.
    """

    def __init__(self, shared: Path | None = None) -> None:
        self.shared = shared
        self._own: dict[str, Bucket] = {}  # by key id

    def wait_s(self, key: Key, now: float) -> float:
        """Take a token, and return 0; or the seconds until there is one."""
        if not key.rate:
            return 0.0
        if self.shared:
            with suppress(OSError):  # a full disk: what cannot be counted together is counted here
                return _shared_wait_s(self.shared / f"{_hash(key.id)}.bucket", key.rate, now)
        self._own[key.id], wait_s = _drawn(self._own.get(key.id), key.rate, now)
        return wait_s


def _shared_wait_s(path: Path, rate: float, now: float) -> float:
    with open(os.open(path, os.O_CREAT | os.O_RDWR, 0o600), "r+b", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        held = file.read(BUCKET.size)
        left, wait_s = _drawn(BUCKET.unpack(held) if len(held) == BUCKET.size else None, rate, now)
        file.seek(0)
        file.write(BUCKET.pack(*left))
    return wait_s


def _drawn(bucket: Bucket | None, rate: float, now: float) -> tuple[Bucket, float]:
    """What is left of a bucket, a new one being full, and the seconds until there is a token."""
    most = max(1.0, rate)
    left, then = bucket or (most, now)
    left = min(most, left + max(0.0, now - then) * rate)
    return (left - 1.0 if left >= 1.0 else left, now), 0.0 if left >= 1.0 else (1.0 - left) / rate
