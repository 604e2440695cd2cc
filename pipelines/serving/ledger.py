"""The records of accepted videos and of what their webhooks are owed, in one SQLite file.

SQLite, because it comes with Python, commits to the disk before it says so, survives a SIGKILL at any moment, and locks
between processes. Its write-ahead log wants shared memory, so that all processes are on one machine.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from pipelines.serving.contract import Upload

BUSY_S = 10.0  # how long one process waits for another's transaction, which take milliseconds
SCHEMA = """
CREATE TABLE IF NOT EXISTS videos (
    id TEXT PRIMARY KEY, key_id TEXT NOT NULL, upload_id TEXT NOT NULL, title TEXT NOT NULL, description TEXT NOT NULL,
    uploader_id TEXT NOT NULL, looks TEXT NOT NULL, bytes INTEGER, state TEXT NOT NULL, accepted_at REAL NOT NULL,
    due_at REAL NOT NULL, starts INTEGER NOT NULL DEFAULT 0, lease TEXT, lease_until REAL, finished_at REAL,
    answer TEXT, error_code TEXT, error_message TEXT
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS videos_by_state ON videos (state, accepted_at, bytes);
CREATE TABLE IF NOT EXISTS deliveries (
    video_id TEXT PRIMARY KEY, url TEXT NOT NULL, secret TEXT, state TEXT NOT NULL, due_at REAL NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0, lease TEXT, cause TEXT
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS deliveries_by_state ON deliveries (state, due_at);
"""


class State(StrEnum):
    """How far a video is."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"  # no verdict will come


class Sent(StrEnum):
    """How far its webhook is."""

    HELD = "held"  # there is nothing to tell yet
    WAITING = "waiting"
    DELIVERED = "delivered"
    STOPPED = "stopped"  # the receiver said 410
    GIVEN_UP = "given_up"


ADD = """
INSERT INTO videos (id, key_id, upload_id, title, description, uploader_id, looks, bytes, state, accepted_at, due_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
OWE = "INSERT INTO deliveries (video_id, url, secret, state, due_at) VALUES (?, ?, ?, ?, ?)"
FIND = """
SELECT videos.*, deliveries.state AS sent, deliveries.cause FROM videos
LEFT JOIN deliveries ON deliveries.video_id = videos.id WHERE videos.id = ?
"""
LOAD = """
SELECT count(*) FILTER (WHERE state = 'queued') AS queued, count(*) FILTER (WHERE state = 'running') AS running,
    coalesce(sum(bytes), 0) AS bytes,
    (SELECT count(*) FROM deliveries WHERE state = 'waiting') AS owed,
    ((SELECT page_count FROM pragma_page_count()) - (SELECT freelist_count FROM pragma_freelist_count()))
        * (SELECT page_size FROM pragma_page_size()) AS kept_bytes
FROM videos WHERE state IN ('queued', 'running')
"""


@dataclass(frozen=True)
class Hook:
    """Where a verdict is sent as soon as there is one: an allowed address, and the `whsec_...` that signs it."""

    url: str = field(repr=False)
    secret: str = field(repr=False)


@dataclass(frozen=True)
class Room:
    """What may be in the queue at once, and what may be kept."""

    videos: int
    bytes: int
    kept_bytes: int


@dataclass(frozen=True)
class Load:
    """How much there is to do."""

    queued: int
    running: int
    bytes: int  # of both, spooled
    owed: int  # webhooks
    kept_bytes: int  # records and answers

    def leaves(self, room: Room, size: int) -> bool:
        """Say whether a video of so many bytes fits in."""
        fits = self.queued < room.videos and self.bytes + size <= room.bytes
        return fits and self.kept_bytes < room.kept_bytes


class Ledger:
    """One connection a process, for any number of its threads, in turn."""

    def __init__(self, file: Path) -> None:
        os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))  # it holds secrets of webhooks
        self._turn = threading.Lock()
        self._db = sqlite3.connect(file, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        self._db.row_factory = sqlite3.Row
        for pragma in ("journal_mode=WAL", "synchronous=FULL"):  # a commit is on the disk, not on its way
            self._db.execute(f"PRAGMA {pragma}")
        self._db.executescript(SCHEMA)

    def close(self) -> None:
        """Let go of the file."""
        with self._turn:
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, one writer at a time."""
        with self._turn:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def rows(self, query: str, *values: object) -> list[sqlite3.Row]:
        """Read as of one moment."""
        with self._turn:
            return self._db.execute(query, values).fetchall()

    def add(self, video_id: str, upload: Upload, size: int | None, key_id: str, hook: Hook | None, room: Room) -> bool:
        """Record a video whose bytes are on the disk; False, and no record, where there is no room."""
        now = time.time()
        facts = (
            upload.upload_id,
            upload.title,
            upload.description,
            upload.uploader_id,
            json.dumps(sorted(upload.looks)),
        )
        with self.transaction() as db:
            if not _load(db.execute(LOAD).fetchone()).leaves(room, size or 0):
                return False
            db.execute(ADD, (video_id, key_id, *facts, size, State.QUEUED, now, now))
            if hook:
                db.execute(OWE, (video_id, hook.url, hook.secret, Sent.HELD, now))
        return True

    def find(self, video_id: str) -> sqlite3.Row | None:
        """Return a video's record with its delivery's `sent` and `cause`."""
        found = self.rows(FIND, video_id)
        return found[0] if found else None

    def load(self) -> Load:
        """Say how much there is to do, and how large what is kept has grown."""
        return _load(self.rows(LOAD)[0])

    def unfinished(self, video_ids: Iterable[str]) -> set[str]:
        """Of these ids, return those whose bytes are still wanted."""
        query = "SELECT id FROM videos WHERE state IN ('queued', 'running') AND id IN (SELECT value FROM json_each(?))"
        return {row["id"] for row in self.rows(query, json.dumps(list(video_ids)))}

    def forget(self, before: float) -> int:
        """Delete what ended before a time, with what was owed for it; return how many videos."""
        with self.transaction() as db:
            gone = db.execute("DELETE FROM videos WHERE finished_at < ?", (before,)).rowcount
            db.execute("DELETE FROM deliveries WHERE video_id NOT IN (SELECT id FROM videos)")
        return gone


def _load(row: sqlite3.Row) -> Load:
    return Load(**dict(row))
