"""A challenger that looks at a share of what the champion has answered, behind its back and at nobody's cost."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from model_registry.reading import one_line
from pipelines.serving.contract import Answer, Described, Refused, Upload
from pipelines.serving.disagreement import Judge, Opinion
from pipelines.serving.own_files import OwnFiles
from pipelines.serving.reload import Present
from pipelines.serving.trial_log import TrialLog

MOST_WAITING = 8  # uploads for the challenger, each with its file
LONGEST_S = 120.0  # that it has for one: what takes longer holds up the others
PAUSE_S = 0.05  # between two looks whether the champion has caught up
OUTCOMES = ("agree", "disagree", "failed", "dropped")
log = logging.getLogger(__name__)


class Nobody:
    """In the place of a challenger where there is none, or where it is the champion."""

    def __init__(self, champion: Described) -> None:
        self._champion = champion

    async def check(self, upload: Upload, deadline_s: float | None = None) -> Answer:  # noqa: ARG002
        """Refuse."""
        raise Refused(503, "no_challenger", "nobody is tried beside the champion")

    def admit(self) -> None:
        """There is nothing that could be full."""

    def described(self) -> Described:
        """Who answers alone."""
        return self._champion


@dataclass(frozen=True)
class Taken:
    """An upload that waits for the challenger, its file one of our own, and what the champion said of it."""

    upload: Upload
    champion: Opinion
    content_sha256: str | None

    def remove(self) -> None:
        """Let go of the file."""
        if self.upload.path:
            self.upload.path.unlink(missing_ok=True)


class Shadow:
    """A Checker that answers as its champion does, and has a challenger look at a random share of the same uploads.

    The challenger works off a short queue, one upload at a time, and begins none while others wait for the champion;
    what finds the queue full is dropped, and counted. Nothing that it does or fails to do reaches a caller, who waits
    for a hard link, which takes microseconds, or for a copy where the file lies on another disk. Lives on one event
    loop.
    """

    def __init__(
        self,
        champion: Present,
        share: float,
        trial_log: TrialLog,
        *,
        count: Callable[[str], None] = lambda _: None,
        chance: Callable[[], float] = random.random,
        most_waiting: int = MOST_WAITING,
        longest_s: float = LONGEST_S,
    ) -> None:
        self.champion, self.challenger = champion, Present(Nobody(champion.described()))
        self.share, self.longest_s = share, longest_s
        self.outcomes = Counter(dict.fromkeys(OUTCOMES, 0))
        self._log, self._count, self._chance = trial_log, count, chance
        self._queue: asyncio.Queue[Taken] = asyncio.Queue(most_waiting)
        self._files = OwnFiles("nightjar-shadow-")
        self._complaint = ""

    async def check(self, upload: Upload, deadline_s: float | None = None) -> Answer:
        """Return what the champion returns, and raise what it raises."""
        answer = await self.champion.check(upload, deadline_s)
        if (challenger := self.tried) and self._chance() < self.share:
            await self._take(upload, answer, challenger)
        return answer

    def admit(self) -> None:
        """Ask the champion."""
        self.champion.admit()

    def described(self) -> Described:
        """Who answers: the champion."""
        return self.champion.described()

    @property
    def drains(self) -> bool:
        """Whether the champion refuses for good."""
        return self.champion.drains

    @property
    def tried(self) -> Judge | None:
        """Who is tried; None where there is nobody, or where whoever it was answers by now."""
        if isinstance(self.challenger.checker, Nobody):
            return None
        challenger = _judge(self.challenger.described())
        return None if challenger == _judge(self.described()) else challenger

    def state(self) -> dict[str, Any]:
        """Who is tried, and what came of it since the start."""
        tried = self.tried
        return {"tried": tried._asdict() if tried else None, **self.outcomes, "waiting": self._queue.qsize()}

    async def run(self) -> None:
        """Work off the queue until cancelled."""
        while True:
            taken = await self._queue.get()
            try:
                await self._calm()
                await self._compare(taken)
            finally:
                taken.remove()

    async def close(self) -> None:
        """Leave no file, and take none any more; after `run` was cancelled."""
        await self._files.close()

    async def _take(self, upload: Upload, answer: Answer, challenger: Judge) -> None:
        """Keep what the challenger needs: callers remove their files as soon as they have their answers."""
        champion = _judge(self.described())
        try:
            opinion = Opinion.of(answer)
            champion = opinion.judge
            if self._queue.full():
                self._ended("dropped", champion, challenger)
                return
            kept = await self._files.keep(upload.path) if upload.path else None
            self._put(Taken(replace(upload, path=kept), opinion, answer.verdict["content_sha256"]), challenger)
        except Exception as error:  # noqa: BLE001 whatever it is, the caller has an answer
            self._complain("is not given an upload", error)
            self._ended("dropped", champion, challenger)

    def _put(self, taken: Taken, challenger: Judge) -> None:
        try:
            self._queue.put_nowait(taken)
        except asyncio.QueueFull:  # others came while the file was copied
            taken.remove()
            self._ended("dropped", taken.champion.judge, challenger)

    async def _calm(self) -> None:
        """Wait until nobody waits for the champion."""
        while getattr(self.champion.checker, "waiting", 0):
            await asyncio.sleep(PAUSE_S)

    async def _compare(self, taken: Taken) -> None:
        challenger = self.tried
        if challenger is None:  # it was promoted, or taken away, meanwhile
            return
        try:
            async with asyncio.timeout(self.longest_s):
                found = Opinion.of(await self.challenger.check(taken.upload, self.longest_s))
        except Exception as error:  # noqa: BLE001 there are as many ways to fail as there are challengers
            self._complain("gives no answer", error)
            self._ended("failed", taken.champion.judge, challenger)
            return
        totals = self._log.of(taken.champion.judge, found.judge)
        same = totals.add(taken.upload.upload_id, taken.content_sha256, taken.champion, found)
        self._counted("agree" if same else "disagree")

    def _ended(self, outcome: str, champion: Judge, challenger: Judge) -> None:
        """Count what was not compared."""
        totals = self._log.of(champion, challenger)
        setattr(totals, outcome, getattr(totals, outcome) + 1)
        self._counted(outcome)

    def _counted(self, outcome: str) -> None:
        self.outcomes[outcome] += 1
        self._count(outcome)

    def _complain(self, what: str, error: Exception) -> None:
        """Say a thing once, not for each upload."""
        complaint = f"{what}: {type(error).__name__}: {one_line(error)}"
        if complaint != self._complaint:
            log.warning("the challenger %s", complaint)
        self._complaint = complaint


def _judge(described: Described) -> Judge:
    return Judge(described.bundle, described.policy)
