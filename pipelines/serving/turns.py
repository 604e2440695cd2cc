"""Videos take turns: so many at once in this process, a suspect alone, and none is lost when the process stops."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import TypeVar

from pipelines.serving import kept_answer
from pipelines.serving.contract import Answer, Checker, Refused
from pipelines.serving.courier import pause
from pipelines.serving.leases import Job, Leases
from pipelines.serving.spool import Spool

log = logging.getLogger(__name__)

BUSY = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}  # of a checker: nobody's fault
BUSY_S = 1.0  # before a video is tried again that found no room, unless the checker says more
STUMBLE_S = 5.0  # before a video is tried again whose check raised
BEATS = 3  # in the time of a lease

LAST_WORDS_S = 5.0  # for giving back where the disk does not answer
THREADS = 2  # of their own: heartbeats must not wait behind somebody's slow disk or slow receiver

CheckerOf = Callable[[], Checker]
T = TypeVar("T")


@dataclass(frozen=True)
class Turn:
    """A video that is being checked."""

    job: Job
    check: asyncio.Future[Answer]


class Turns:
    """Takes videos as long as `run` runs."""

    def __init__(self, leases: Leases, spool: Spool, at_once: int, drain_s: float, poll_s: float) -> None:
        self._leases, self._spool = leases, spool
        self._at_once, self._drain_s, self._poll_s = at_once, drain_s, poll_s
        self._running: dict[asyncio.Task[None], Turn] = {}
        self._news = asyncio.Event()
        self._threads = ThreadPoolExecutor(THREADS, "videos")

    def wake(self) -> None:
        """Look again: something came, or ended."""
        self._news.set()

    async def run(self, checker_of: CheckerOf, stopping: asyncio.Event) -> None:
        """Check videos until told to stop, then wait for what runs; cancelled, give it back."""
        try:
            while not stopping.is_set():
                self._news.clear()
                if job := await self._next():
                    self._begin(job, checker_of)
                else:
                    await pause(self._news, self._poll_s)
            if self._running:
                await asyncio.wait(self._running, timeout=self._drain_s)
        finally:
            await self._give_back()
            self._threads.shutdown(wait=False)

    async def _next(self) -> Job | None:
        if len(self._running) >= self._at_once or any(turn.job.suspect for turn in self._running.values()):
            return None
        idle = not self._running
        taking = asyncio.ensure_future(self._in_thread(partial(self._leases.take, idle)))
        try:
            return await asyncio.shield(taking)
        except sqlite3.Error as error:  # a full disk, say
            log.warning("the records of videos cannot be written: %s", error)
            return None
        except asyncio.CancelledError:  # what a thread takes meanwhile must not wait for its lease to end
            if job := await taking:
                await self._in_thread(partial(self._leases.give_back, job))
            raise

    def _begin(self, job: Job, checker_of: CheckerOf) -> None:
        check = asyncio.ensure_future(self._check(job, checker_of))
        turn = Turn(job, check)
        task = asyncio.get_running_loop().create_task(self._turn(turn))
        self._running[task] = turn
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        self.wake()

    async def _give_back(self) -> None:
        """Stop the checks; their turns then write that they did, unless the disk keeps them from it."""
        tasks = list(self._running)
        for turn in self._running.values():
            turn.check.cancel()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=LAST_WORDS_S)
            for task in late:
                task.cancel()

    async def _turn(self, turn: Turn) -> None:
        """Keep what one check comes to; whatever that is, the video has ended then or is there for others."""
        beat = asyncio.ensure_future(self._beat(turn))
        job = turn.job
        try:
            written = kept_answer.written(await turn.check)
        except asyncio.CancelledError:
            await self._write(partial(self._leases.give_back, job))
        except Refused as refused:
            await self._write(partial(self._refused, job, refused))
        except Exception:
            log.exception("video %s could not be checked, attempt %d", job.video_id, job.starts)
            sentence = "the service failed while it was checked"
            await self._write(partial(self._leases.stumbled, job, "internal_error", sentence, STUMBLE_S))
        else:
            await self._write(partial(self._leases.done, job, written))
        finally:
            beat.cancel()
        await self._in_thread(partial(self._let_go, job))

    async def _check(self, job: Job, checker_of: CheckerOf) -> Answer:
        path = job.upload.path
        if path and not await self._in_thread(path.is_file):
            raise Refused(HTTPStatus.GONE, "bytes_lost", "the bytes of the video are no longer there")
        return await checker_of().check(job.upload)

    def _refused(self, job: Job, refused: Refused) -> None:
        if refused.status in BUSY:
            self._leases.give_back(job, max(refused.retry_after_s or 0.0, BUSY_S))
        elif refused.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            self._leases.stumbled(job, refused.code, str(refused), STUMBLE_S)
        else:
            self._leases.failed(job, refused.code, str(refused))

    async def _write(self, write: Callable[[], object]) -> None:
        """Write, however long the disk is full: as long as it is, nobody else can take the video either."""
        while True:
            try:
                await self._in_thread(write)
            except sqlite3.Error as error:
                log.warning("the records of videos cannot be written: %s", error)
                await asyncio.sleep(self._poll_s)
            else:
                return

    async def _beat(self, turn: Turn) -> None:
        """Renew the lease while the check lasts; stop the check when the video is another's."""
        while True:
            await asyncio.sleep(self._leases.lease_s / BEATS)
            with suppress(sqlite3.Error):
                if not await self._in_thread(partial(self._leases.renew, turn.job)):
                    log.warning("video %s is another's by now", turn.job.video_id)
                    turn.check.cancel()
                    return

    def _let_go(self, job: Job) -> None:
        """Remove the bytes of a video that has ended; failing that, the sweep does."""
        with suppress(sqlite3.Error, OSError):
            if not self._leases.wants(job.video_id):
                self._spool.remove(job.video_id)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)
