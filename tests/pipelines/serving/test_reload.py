"""The present checker: swapped between requests, drained at the end; the reloader: what fails changes nothing."""

from __future__ import annotations

import asyncio

import pytest

from model_registry.errors import NightjarError
from pipelines.serving.contract import Refused, Upload
from pipelines.serving.reload import Present, Reloader
from tests.serving_fakes import FakeChecker

TEXT = Upload("a text", title="a title")


def test_a_request_stays_with_the_checker_it_began_with() -> None:
    async def play() -> None:
        old, new = FakeChecker(seconds=0.2), FakeChecker()
        present = Present(old)
        running = asyncio.create_task(present.check(TEXT))
        await asyncio.sleep(0.05)
        swapping = asyncio.create_task(present.swap(new))
        await asyncio.sleep(0.05)
        await present.check(TEXT)
        assert (len(old.seen), len(new.seen)) == (1, 1)
        assert not swapping.done()
        assert (await running).verdict["video_id"] == "a text"
        assert await swapping is old

    asyncio.run(play())


def test_a_checker_that_raises_is_free_again() -> None:
    async def play() -> None:
        old = FakeChecker(error=ValueError("a fault"))
        present = Present(old)
        with pytest.raises(ValueError, match="a fault"):
            await present.check(TEXT)
        assert await asyncio.wait_for(present.swap(FakeChecker()), 1) is old

    asyncio.run(play())


def test_draining_refuses_what_comes_and_waits_for_what_runs() -> None:
    async def play() -> None:
        present = Present(FakeChecker(seconds=0.1))
        running = asyncio.create_task(present.check(TEXT))
        await asyncio.sleep(0.02)
        draining = asyncio.create_task(present.drain())
        await asyncio.sleep(0.02)
        with pytest.raises(Refused, match="the service is stopping") as refused:
            await present.check(TEXT)
        assert (refused.value.status, refused.value.retry_after_s) == (503, 2.0)
        assert not draining.done()
        await draining
        assert running.done()

    asyncio.run(play())


def test_a_reload_swaps_and_retires_once_for_each_change() -> None:
    async def play() -> None:
        wanted, retired, checkers = ["1"], [], [FakeChecker(), FakeChecker()]
        present = Present(checkers[0])
        reloader = Reloader(present, lambda: wanted[-1], lambda: checkers[1], retired.append, 0.01)
        watch = asyncio.create_task(reloader.run("1"))
        await asyncio.sleep(0.1)
        assert (reloader.reloads, retired) == (0, [])
        wanted.append("2")
        await asyncio.sleep(0.2)
        watch.cancel()
        assert (reloader.reloads, retired) == (1, [checkers[0]])
        assert present.checker is checkers[1]

    asyncio.run(play())


@pytest.mark.parametrize("error", [NightjarError("no version 2 here"), KeyError("a fault")])
def test_what_cannot_be_built_is_said_and_tried_again(error: Exception) -> None:
    async def play() -> None:
        left, good, old = [error, error], FakeChecker(), FakeChecker()

        def build() -> FakeChecker:
            if left:
                raise left.pop()
            return good

        present = Present(old)
        reloader = Reloader(present, lambda: "2", build, lambda _: None, 0.02)
        watch = asyncio.create_task(reloader.run("1"))
        await asyncio.sleep(0.05)
        assert present.checker is old
        assert str(error) in (reloader.trouble or "")
        await asyncio.sleep(0.5)
        watch.cancel()
        assert present.checker is good
        assert reloader.trouble is None

    asyncio.run(play())
