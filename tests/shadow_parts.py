"""A shadow at work on fakes, and challengers that answer, fail or hang."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipelines.serving.contract import Answer, Described, Upload
from pipelines.serving.disagreement import Judge
from pipelines.serving.reload import Present
from pipelines.serving.shadow import Shadow
from pipelines.serving.trial_log import TrialLog
from tests.serving_fakes import FakeChecker

CHAMPION, OTHER = Judge("fake@1+0", "fake@1+0"), Judge("fake@2+0", "fake@1+0")
SAFE, RISKY = Upload("safe", title="a cat"), Upload("risky", title="risky business")


class Challenger(FakeChecker):
    """Another version of the fake, which sends everything to review."""

    judge = OTHER

    async def check(self, upload: Upload, deadline_s: float | None = None) -> Answer:
        answer = await super().check(upload, deadline_s)
        return replace(answer, verdict={**answer.verdict, **self.judge._asdict(), "suggestion": "review"})

    def described(self) -> Described:
        return replace(super().described(), **self.judge._asdict())


class Hangs(Challenger):
    """Never answers, until it is cancelled."""

    cancelled = False

    async def check(self, upload: Upload, deadline_s: float | None = None) -> Answer:
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled = True
        raise AssertionError


@asynccontextmanager
async def shadowed(
    challenger: FakeChecker, champion: FakeChecker | None = None, share: float = 1.0, **options: Any
) -> AsyncIterator[Shadow]:
    shadow = Shadow(Present(champion or FakeChecker()), share, TrialLog(), **options)
    await shadow.challenger.swap(challenger)
    worker = asyncio.create_task(shadow.run())
    try:
        yield shadow
    finally:
        worker.cancel()
        await asyncio.wait([worker], timeout=5)
        assert worker.done()
        await shadow.close()
        assert not shadow._files._copies


async def until(condition: Callable[[], bool], seconds: float = 5) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


def kept(scratch: Path) -> list[bytes]:
    return [path.read_bytes() for path in scratch.rglob("*") if path.is_file()]
