"""The checker that answers now, and another put in its place without a request noticing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from model_registry.errors import NightjarError
from pipelines.serving.contract import Answer, Checker, Described, Refused, Upload

LONGEST_PAUSE_S = 300.0  # between tries to load what does not load
log = logging.getLogger(__name__)


@dataclass(eq=False)
class _InUse:
    """A checker and how many requests it is at."""

    checker: Checker
    requests: int = 0
    idle: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.idle.set()

    async def check(self, upload: Upload, deadline_s: float | None = None) -> Answer:
        self.requests += 1
        self.idle.clear()
        try:
            return await self.checker.check(upload, deadline_s)
        finally:
            self.requests -= 1
            if not self.requests:
                self.idle.set()


def stopping() -> Refused:
    """503 for who comes while the service stops."""
    return Refused(503, "shutting_down", "the service is stopping; try again", retry_after_s=2.0)


class Present:
    """A Checker that hands every request to the one of the day; lives on one event loop."""

    def __init__(self, checker: Checker) -> None:
        self._now = _InUse(checker)
        self._drains = False

    async def check(self, upload: Upload, deadline_s: float | None = None) -> Answer:
        """Ask the present one; a request that has begun stays with it to the end. Refused while the service stops."""
        if self._drains:
            raise stopping()
        return await self._now.check(upload, deadline_s)

    def admit(self) -> None:
        """Raise Refused where the present one has no room, or none answers any more."""
        if self._drains:
            raise stopping()
        self._now.checker.admit()

    def described(self) -> Described:
        """What answers now."""
        return self._now.checker.described()

    async def swap(self, checker: Checker) -> Checker:
        """Let another answer from now on; return the old one when its last request has ended."""
        old, self._now = self._now, _InUse(checker)
        await old.idle.wait()
        return old.checker

    async def drain(self) -> None:
        """Refuse what comes from now on, and return when what runs has ended."""
        self._drains = True
        await self._now.idle.wait()

    @property
    def checker(self) -> Checker:
        """The one that answers now."""
        return self._now.checker

    @property
    def drains(self) -> bool:
        """Whether it refuses for good."""
        return self._drains


@dataclass(frozen=True)
class Tidings:
    """What a reloader says at the terminal."""

    done: Callable[[Checker], str]  # of the one that was put in place
    failed: str  # before the reason


def _answers(checker: Checker) -> str:
    described = checker.described()
    return f"from now on bundle {described.bundle} and policy {described.policy} answer"


ANSWERS = Tidings(_answers, "what should answer cannot be loaded, the versions before answer on")


class Reloader:
    """Polls the versions that should answer, and builds another checker beside the old one when they change.

    What cannot be built is said, and tried again after a pause that doubles; the old one answers meanwhile.
    """

    def __init__(
        self,
        present: Present,
        versions: Callable[[], object],
        build: Callable[[], Checker],
        retire: Callable[[Checker], None],
        every_s: float,
        tidings: Tidings = ANSWERS,
    ) -> None:
        self.present, self.every_s, self._tidings = present, every_s, tidings
        self.trouble: str | None = None
        self.reloads = 0
        self._versions, self._build, self._retire = versions, build, retire
        self._answering: object = None
        self._pause_s = every_s

    async def run(self, answering: object) -> None:
        """Watch for ever; `answering` are the versions that the present checker was built from."""
        self._answering = answering
        while True:
            await asyncio.sleep(self._pause_s)
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001 a fault here must not end the watch
                self._failed(error)

    async def look(self) -> None:
        """Look once, and reload where something changed."""
        wanted = await asyncio.to_thread(self._versions)
        if wanted != self._answering:
            checker = await asyncio.to_thread(self._build)
            self._answering = wanted
            self.reloads += 1
            log.warning("%s", self._tidings.done(checker))
            await asyncio.to_thread(self._retire, await self.present.swap(checker))
        self.trouble, self._pause_s = None, self.every_s

    def _failed(self, error: Exception) -> None:
        sentence = str(error) if isinstance(error, NightjarError) else f"{type(error).__name__}: {error}"
        if sentence != self.trouble:
            log.error("%s: %s", self._tidings.failed, sentence)
        self.trouble = sentence
        self._pause_s = min(LONGEST_PAUSE_S, 2 * self._pause_s)
