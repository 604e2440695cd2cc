"""Who works at which video: a lease is a random word and a time that its holder renews while it lives.

A process that died renews nothing, wherever it ran, and its video goes to another; a process number would say nothing
across containers. What a holder writes under a word that is no longer the video's is refused, so that of two who worked
at one video only one verdict is kept. A video that was begun and never ended may have killed its process: it runs
alone from then on, so that no other video is blamed with it, and after `most_starts` it has failed.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipelines.serving.contract import Look, Upload
from pipelines.serving.ledger import Ledger, Sent, State

NEXT = """
SELECT * FROM videos
WHERE (state = 'queued' AND due_at <= :now) OR (state = 'running' AND lease_until < :now) ORDER BY accepted_at LIMIT 1
"""
TAKE = "UPDATE videos SET state = 'running', starts = starts + 1, lease = ?, lease_until = ? WHERE id = ?"
MINE = "WHERE id = ? AND lease = ? AND state = 'running'"
END = """
UPDATE videos SET state = ?, finished_at = ?, answer = ?, error_code = ?, error_message = ?, lease = NULL
WHERE id = ? AND lease IS ?
"""


@dataclass(frozen=True)
class Job:
    """A video that somebody works at."""

    video_id: str
    lease: str
    upload: Upload
    starts: int  # this one included

    @property
    def suspect(self) -> bool:
        """Whether it was begun before and did not end."""
        return self.starts > 1


class Leases:
    """Videos of a ledger, one holder each. `path_of` says where the bytes of an id are."""

    def __init__(self, ledger: Ledger, path_of: Callable[[str], Path], lease_s: float, most_starts: int) -> None:
        self._ledger, self._path_of = ledger, path_of
        self.lease_s, self.most_starts = lease_s, most_starts

    def take(self, idle: bool) -> Job | None:
        """Take what has waited longest; None where nothing is due, or what is next must run alone and others run."""
        now = time.time()
        with self._ledger.transaction() as db:
            while row := db.execute(NEXT, {"now": now}).fetchone():
                if row["starts"] < self.most_starts:
                    return self._taken(db, row, now) if idle or not row["starts"] else None
                message = f"the service ended {row['starts']} times while it was checked"
                _end(db, row["id"], row["lease"], State.FAILED, error=("worker_lost", message))
        return None

    def _taken(self, db: sqlite3.Connection, row: sqlite3.Row, now: float) -> Job:
        lease = secrets.token_hex(16)
        db.execute(TAKE, (lease, now + self.lease_s, row["id"]))
        path = self._path_of(row["id"]) if row["bytes"] is not None else None
        facts = {name: row[name] for name in ("upload_id", "title", "description", "uploader_id")}
        upload = Upload(path=path, looks=frozenset(map(Look, json.loads(row["looks"]))), **facts)
        return Job(row["id"], lease, upload, row["starts"] + 1)

    def renew(self, job: Job) -> bool:
        """Say that somebody is still at it; False where the lease is somebody else's by now."""
        with self._ledger.transaction() as db:
            until = time.time() + self.lease_s
            return bool(db.execute(f"UPDATE videos SET lease_until = ? {MINE}", (until, *_key(job))).rowcount)  # noqa: S608

    def give_back(self, job: Job, pause_s: float = 0.0) -> None:
        """Let somebody else do it, not before a pause; it was nobody's fault."""
        query = f"UPDATE videos SET state = 'queued', due_at = ?, starts = starts - 1, lease = NULL {MINE}"  # noqa: S608
        with self._ledger.transaction() as db:
            db.execute(query, (time.time() + pause_s, *_key(job)))

    def stumbled(self, job: Job, code: str, message: str, pause_s: float) -> None:
        """Try once more after a pause, unless this was the last time."""
        if job.starts >= self.most_starts:
            self.failed(job, code, message)
            return
        query = f"UPDATE videos SET state = 'queued', due_at = ?, lease = NULL {MINE}"  # noqa: S608
        with self._ledger.transaction() as db:
            db.execute(query, (time.time() + pause_s, *_key(job)))

    def done(self, job: Job, answer: str) -> bool:
        """Keep an answer; False where the lease is somebody else's, whose answer counts."""
        with self._ledger.transaction() as db:
            return _end(db, *_key(job), State.DONE, answer=answer)

    def failed(self, job: Job, code: str, message: str) -> bool:
        """Note that no verdict will come."""
        with self._ledger.transaction() as db:
            return _end(db, *_key(job), State.FAILED, error=(code, message))

    def wants(self, video_id: str) -> bool:
        """Whether somebody still has to look at the bytes of an id."""
        return bool(self._ledger.unfinished([video_id]))


def _key(job: Job) -> tuple[str, str]:
    return job.video_id, job.lease


def _end(
    db: sqlite3.Connection,
    video_id: str,
    lease: str,
    state: State,
    answer: str | None = None,
    error: tuple[str, str] | None = None,
) -> bool:
    """From now on the webhook is owed; in one transaction, so that no verdict is kept and never told."""
    now = time.time()
    if not db.execute(END, (state, now, answer, *(error or (None, None)), video_id, lease)).rowcount:
        return False
    db.execute("UPDATE deliveries SET state = ?, due_at = ? WHERE video_id = ?", (Sent.WAITING, now, video_id))
    return True
