"""Videos that are checked later: accepted once their bytes are on disk, looked at in turn, kept until somebody asks."""

from __future__ import annotations

import asyncio
import logging
import secrets
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_registry.errors import UsageError
from pipelines.serving.contract import Checker, Refused, Upload, no_room
from pipelines.serving.courier import PAUSES_S, Courier, Poster, pause
from pipelines.serving.leases import Leases
from pipelines.serving.ledger import Hook, Ledger, Load, Room
from pipelines.serving.owed import Owed
from pipelines.serving.spool import FULL, Spool
from pipelines.serving.turns import Turns
from pipelines.serving.video_status import VideoStatus, message, plainly
from pipelines.serving.webhooks import key_of

__all__ = ["Hook", "VideoSettings", "VideoStatus", "Videos"]

log = logging.getLogger(__name__)

COME_BACK_S = 10.0  # what a caller is told who finds the queue full
UNFULL_S = 300.0  # and who finds the disk full
DAY_S = 24 * 3600.0
TIDY_S = 60.0


@dataclass(frozen=True)
class VideoSettings:
    """How much is taken on, and how long anything may take."""

    workers: int = 2  # videos that one process checks at once
    most_waiting: int = 1000
    most_bytes: int = 20 * 2**30  # of videos that have no verdict yet
    most_kept_bytes: int = 10 * 2**30  # of records and answers
    keep_days: float = 7.0  # an answer
    lease_s: float = 30.0  # after which a process that says nothing is taken for dead
    most_starts: int = 3  # of a video whose process dies, or whose check raises
    pauses_s: Sequence[float] = PAUSES_S  # between the attempts at a webhook
    drain_s: float = 30.0
    poll_s: float = 0.5  # how soon a process sees what another has accepted

    def __post_init__(self) -> None:
        """Refuse numbers that make no queue."""
        for name in ("workers", "most_waiting", "most_bytes", "most_kept_bytes", "keep_days", "lease_s", "most_starts"):
            if getattr(self, name) <= 0:
                raise UsageError(f"{name} of videos is {getattr(self, name)}, must be more than 0")

    @property
    def room(self) -> Room:
        """What may be in the queue at once."""
        return Room(self.most_waiting, self.most_bytes, self.most_kept_bytes)


class Videos:
    """A durable queue in a folder of one machine, shared by any number of processes there.

    An accepted video gets exactly one verdict, whatever is killed, or has failed with a reason. Its webhook is told at
    least once, always with that verdict. `shown` makes the webhook's `data` of a status.
    """

    def __init__(
        self,
        folder: Path,
        settings: VideoSettings | None = None,
        poster: Poster | None = None,
        shown: Callable[[VideoStatus], Mapping[str, Any]] | None = None,
    ) -> None:
        self.settings = settings = settings or VideoSettings()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._poster, self._shown = poster, shown or plainly
        self._spool, self._ledger = Spool(folder / "spool"), Ledger(folder / "videos.sqlite")
        self._leases = Leases(self._ledger, self._spool.path, settings.lease_s, settings.most_starts)
        self._turns = Turns(self._leases, self._spool, settings.workers, settings.drain_s, settings.poll_s)
        self._stop = asyncio.Event()

    async def accept(self, upload: Upload, key_id: str, hook: Hook | None = None) -> str:
        """Return the video id after its bytes and its record are on disk. The caller's file stays the caller's.

        Raises Refused: 429 where the queue is full, 507 where the disk is, 503 where it does not answer, 400 where the
        webhook will not do.
        """
        if hook:
            self._check(hook)
        try:
            video_id = await asyncio.to_thread(self._accept, upload, key_id, hook)
        except (OSError, sqlite3.Error) as error:
            raise _unkept(error) from error
        self._turns.wake()
        return video_id

    def _accept(self, upload: Upload, key_id: str, hook: Hook | None) -> str:
        self._refuse_without_room(upload.path.stat().st_size if upload.path else 0)
        video_id = f"vid_{secrets.token_hex(16)}"
        try:
            size = self._spool.add(video_id, upload.path) if upload.path else None
            if not self._ledger.add(video_id, upload, size, key_id, hook, self.settings.room):
                self._refuse_without_room(size or 0)
                raise no_room("the queue of videos", COME_BACK_S)
        except BaseException:
            self._spool.remove(video_id)
            raise
        return video_id

    def _refuse_without_room(self, size: int) -> None:
        load, room = self._ledger.load(), self.settings.room
        if load.kept_bytes >= room.kept_bytes:
            raise Refused(507, "insufficient_storage", "no more answers can be kept now", UNFULL_S)
        if size > room.bytes:
            raise Refused(413, "too_large", f"the video has {size} bytes, allowed are {room.bytes}")
        if not load.leaves(room, size):
            raise no_room("the queue of videos", COME_BACK_S)

    def _check(self, hook: Hook) -> None:
        try:
            key_of(hook.secret)
        except UsageError as error:
            raise Refused(400, "webhook_refused", str(error)) from None
        if self._poster is None:
            raise Refused(400, "webhook_refused", "this service calls no webhooks")
        self._poster.check(hook.url)

    async def status(self, video_id: str, key_id: str) -> VideoStatus | None:
        """Say how far it is; None for an unknown id, one that was forgotten, and one of another key."""
        row = await asyncio.to_thread(self._ledger.find, video_id)
        return VideoStatus.of(row) if row and secrets.compare_digest(row["key_id"].encode(), key_id.encode()) else None

    def load(self) -> Load:
        """Say how much there is to do, for metrics."""
        return self._ledger.load()

    async def run(self, checker_of: Callable[[], Checker]) -> None:
        """Check what was accepted, and deliver, until `stop`; cancelled, it gives back at once what runs. Once only."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tidy())
            if self._poster:
                owed = Owed(self._ledger, self.settings.pauses_s, hold_s=2 * self._poster.longest_s)
                group.create_task(Courier(owed, self._poster, self._body).run(self._stop, self.settings.poll_s))
            group.create_task(self._turns.run(checker_of, self._stop))

    def stop(self) -> None:
        """Take no more; `run` returns when what runs has ended, or was given back after `drain_s`."""
        self._stop.set()
        self._turns.wake()

    def close(self) -> None:
        """Let go of the folder's files; after `run` has returned."""
        self._ledger.close()

    def _body(self, video_id: str) -> bytes | None:
        row = self._ledger.find(video_id)
        if row is None:
            return None
        status = VideoStatus.of(row)
        return message(status, self._shown(status))

    async def _tidy(self) -> None:
        """Now and then forget old answers, and remove bytes that nobody wants."""
        while not self._stop.is_set():
            try:
                await asyncio.to_thread(self.tidy)
            except (OSError, sqlite3.Error) as error:
                log.warning("old videos cannot be removed: %s", error)
            await pause(self._stop, TIDY_S)

    def tidy(self) -> None:
        """Forget answers older than `keep_days`, and remove bytes that a process which died has left."""
        self._ledger.forget(time.time() - self.settings.keep_days * DAY_S)
        self._spool.sweep(self._ledger.unfinished)


def _unkept(error: OSError | sqlite3.Error) -> Refused:
    """Nothing was kept; say whether the disk is full or does not answer."""
    log.error("a video could not be kept: %s", error)
    full = error.errno in FULL if isinstance(error, OSError) else error.sqlite_errorcode == sqlite3.SQLITE_FULL
    if full:
        return Refused(507, "insufficient_storage", "the disk for videos is full", UNFULL_S)
    return Refused(503, "storage_unavailable", "the video could not be kept; try again", COME_BACK_S)
