"""A challenger behind the champion's back: answers stay as they are, and a share of the uploads is compared."""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
import time
from pathlib import Path

import pytest

from pipelines.serving.contract import Refused, Upload
from tests.serving_fakes import FakeChecker
from tests.shadow_parts import CHAMPION, OTHER, RISKY, SAFE, Challenger, Hangs, kept, shadowed, until


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the shadow keeps files."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "upload.bin"
    path.write_bytes(b"a risky file")
    return path


class TestAnswers:
    @pytest.mark.parametrize("challenger", [Challenger(), Challenger(error=ValueError("a fault")), Hangs()])
    def test_they_are_those_of_the_champion(self, challenger: FakeChecker, file: Path) -> None:
        async def play() -> None:
            uploads = [SAFE, RISKY, Upload("a file", file)]
            alone = [await FakeChecker().check(upload) for upload in uploads]
            async with shadowed(challenger) as shadow:
                for _ in range(3):
                    assert [await shadow.check(upload) for upload in uploads] == alone
                await asyncio.sleep(0.02)
            assert shadow.described() == FakeChecker().described()

        asyncio.run(play())

    def test_what_the_champion_raises_is_raised_and_not_compared(self) -> None:
        async def play() -> None:
            challenger = Challenger()
            async with shadowed(challenger, FakeChecker(error=Refused(504, "deadline_exceeded", "too late"))) as shadow:
                with pytest.raises(Refused, match="too late"):
                    await shadow.check(SAFE)
                await asyncio.sleep(0.02)
            assert challenger.seen == []
            assert set(shadow.outcomes.values()) == {0}

        asyncio.run(play())

    def test_room_and_the_end_are_the_champions(self) -> None:
        async def play() -> None:
            champion, challenger = FakeChecker(), Challenger()
            challenger.full = True
            async with shadowed(challenger, champion) as shadow:
                shadow.admit()
                champion.full = True
                with pytest.raises(Refused, match="the fake has no room now"):
                    shadow.admit()
                assert not shadow.drains
                await shadow.champion.drain()
                assert shadow.drains

        asyncio.run(play())

    def test_a_caller_does_not_wait_for_a_slow_challenger(self) -> None:
        async def play() -> None:
            async with shadowed(Challenger(seconds=30)) as shadow:
                began = time.monotonic()
                for _ in range(20):
                    await shadow.check(SAFE)
                assert time.monotonic() - began < 1

        asyncio.run(play())


class TestSharing:
    def test_only_a_share_is_taken(self) -> None:
        async def play() -> None:
            challenger = Challenger()
            chance = random.Random(7).random
            async with shadowed(challenger, share=0.1, chance=chance, most_waiting=1000) as shadow:
                for _ in range(1000):
                    await shadow.check(SAFE)
                await until(lambda: shadow.state()["waiting"] == 0)
            draw = random.Random(7).random
            assert len(challenger.seen) == sum(draw() < 0.1 for _ in range(1000))
            assert 70 < len(challenger.seen) < 130

        asyncio.run(play())

    def test_agreement_and_disagreement_are_counted_by_pair(self) -> None:
        async def play() -> None:
            counted: list[str] = []
            async with shadowed(Challenger(), count=counted.append) as shadow:
                for upload in (SAFE, RISKY, SAFE):
                    await shadow.check(upload)
                await until(lambda: len(counted) == 3)
                assert shadow.state() == {
                    "tried": {"bundle": "fake@2+0", "policy": "fake@1+0"},
                    "agree": 0,
                    "disagree": 3,
                    "failed": 0,
                    "dropped": 0,
                    "waiting": 0,
                }
            totals = shadow._log.of(CHAMPION, OTHER)
            assert totals.table == {("pass", "review"): 2, ("block", "review"): 1}
            assert [row["upload_id"] for row in totals.example_rows()] == ["safe", "risky", "safe"]
            assert totals.labels["Violence/Weapons"].both == 1

        asyncio.run(play())

    def test_what_finds_the_queue_full_is_dropped(
        self, file: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        link, linked = os.link, list[Path]()
        monkeypatch.setattr(os, "link", lambda source, target: linked.append(target) or link(source, target))

        async def play() -> None:
            challenger = Hangs()
            async with shadowed(challenger, most_waiting=2) as shadow:
                await shadow.check(Upload("first", file))
                await until(lambda: shadow.state()["waiting"] == 0)
                for _ in range(5):
                    await shadow.check(Upload("next", file))
                assert shadow.outcomes["dropped"] == 3
                assert len(kept(scratch)) == len(linked) == 3  # one that it looks at, two that wait
            assert shadow._log.of(CHAMPION, OTHER).dropped == 3
            assert challenger.cancelled

        asyncio.run(play())

    def test_the_challenger_waits_while_others_wait_for_the_champion(self) -> None:
        async def play() -> None:
            champion, challenger = FakeChecker(), Challenger()
            champion.waiting = 1  # type: ignore[attr-defined]
            async with shadowed(challenger, champion) as shadow:
                await shadow.check(SAFE)
                await asyncio.sleep(0.15)
                assert challenger.seen == []
                champion.waiting = 0  # type: ignore[attr-defined]
                await until(lambda: len(challenger.seen) == 1)

        asyncio.run(play())

    def test_whoever_answers_by_now_is_not_tried(self) -> None:
        async def play() -> None:
            challenger, promoted = Challenger(), Challenger()
            async with shadowed(challenger) as shadow:
                assert shadow.tried == OTHER
                await shadow.champion.swap(promoted)
                await shadow.check(SAFE)
                assert (shadow.tried, shadow.state()["tried"]) == (None, None)
                await asyncio.sleep(0.02)
            assert (len(promoted.seen), challenger.seen) == (1, [])

        asyncio.run(play())
