"""Deliver webhooks: signed, several at once, tried again for hours, each message the same bytes every time."""

from __future__ import annotations

import asyncio
import logging
import random
import sqlite3
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol

from pipelines.serving.ledger import Sent
from pipelines.serving.owed import Owed, Parcel
from pipelines.serving.webhooks import signed

log = logging.getLogger(__name__)

PAUSES_S = (5.0, 60.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0)  # 18 hours in all
JITTER = 0.2  # of a pause, so that what failed together does not come back together
LONGEST_PAUSE_S = 36_000.0  # that a receiver may ask for
AT_ONCE = 4  # a slow receiver delays three others at most


class PostError(Exception):
    """No answer came: one clause that says why, without the address."""


@dataclass(frozen=True)
class Posted:
    """What a receiver answered."""

    status: int
    retry_after_s: float | None = None


class Poster(Protocol):
    """Sends bytes to addresses that are allowed; a call blocks no longer than `longest_s`."""

    @property
    def longest_s(self) -> float:
        """After which every attempt has ended."""

    def check(self, url: str) -> None:
        """Raise Refused where an address will never do; asks no network."""

    def post(self, url: str, headers: dict[str, str], body: bytes) -> Posted:
        """Post once, follow nothing; raises PostError, and Refused where the address will not do now."""


class Courier:
    """Takes what is owed and posts it. `body_of` must return the same bytes whenever it is asked for a video."""

    def __init__(self, owed: Owed, poster: Poster, body_of: Callable[[str], bytes | None]) -> None:
        self._owed, self._poster, self._body_of = owed, poster, body_of

    async def run(self, stopping: asyncio.Event, poll_s: float) -> None:
        """Deliver until told to stop; what is on its way then is waited for."""
        threads = ThreadPoolExecutor(AT_ONCE, "webhooks")
        try:
            await asyncio.gather(*(self._work(threads, stopping, poll_s) for _ in range(AT_ONCE)))
        finally:
            threads.shutdown(wait=False)

    async def _work(self, threads: Executor, stopping: asyncio.Event, poll_s: float) -> None:
        while not stopping.is_set():
            if not await asyncio.get_running_loop().run_in_executor(threads, self._one_or_less):
                await pause(stopping, poll_s)

    def _one_or_less(self) -> bool:
        try:
            parcel = self._owed.take()
            if parcel:
                self._deliver(parcel)
        except sqlite3.Error as error:  # a full disk, say: the parcel is due again when its time is over
            log.warning("the webhooks' records cannot be written: %s", error)
            return False
        return parcel is not None

    def _deliver(self, parcel: Parcel) -> None:
        body = self._body_of(parcel.video_id)
        if body is None:  # forgotten meanwhile
            self._owed.end(parcel, Sent.GIVEN_UP, "the verdict is no longer kept")
            return
        cause, asked_s = "", None
        try:
            posted = self._poster.post(parcel.url, _headers(parcel, body), body)
        except Exception as error:  # noqa: BLE001 whatever a receiver does to us is one failed attempt
            cause = str(error) if isinstance(error, PostError) else type(error).__name__
        else:
            cause, asked_s = f"status {posted.status}", posted.retry_after_s
            if posted.status == HTTPStatus.GONE:
                self._owed.end(parcel, Sent.STOPPED, cause)
                return
            if HTTPStatus.OK <= posted.status < HTTPStatus.MULTIPLE_CHOICES:
                self._owed.end(parcel, Sent.DELIVERED)
                return
        log.info("webhook of %s failed, attempt %d: %s", parcel.video_id, parcel.tries, cause)
        self._owed.again(parcel, cause, self._pause_s(parcel, asked_s))

    def _pause_s(self, parcel: Parcel, asked_s: float | None) -> float:
        """How long until the next attempt, longer where the receiver asks for it."""
        pauses_s = self._owed.pauses_s
        pause_s = pauses_s[min(parcel.tries, len(pauses_s)) - 1] if pauses_s else 0.0
        pause_s *= 1 + random.uniform(-JITTER, JITTER)  # noqa: S311 no secret
        return max(pause_s, min(asked_s or 0.0, LONGEST_PAUSE_S))


def _headers(parcel: Parcel, body: bytes) -> dict[str, str]:
    return {"content-type": "application/json", **signed(f"msg_{parcel.video_id}", body, parcel.secret)}


async def pause(stopping: asyncio.Event, seconds: float) -> None:
    """Wait, unless there is something to stop for."""
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        return
