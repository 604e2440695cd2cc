"""No fault of a challenger reaches a caller, and no file of a caller is left behind."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.serving.contract import Answer, Refused, Upload
from tests.serving_fakes import FakeChecker
from tests.shadow_parts import CHAMPION, OTHER, SAFE, Challenger, Hangs, kept, shadowed, until


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


class TestFaults:
    @pytest.mark.parametrize(
        "challenger", [Challenger(error=ValueError("a fault")), Challenger(error=Refused(429, "full", "no")), Hangs()]
    )
    def test_a_challenger_that_fails_is_counted_and_the_next_upload_is_tried(
        self, challenger: FakeChecker, file: Path, scratch: Path
    ) -> None:
        async def play() -> None:
            async with shadowed(challenger, longest_s=0.05) as shadow:
                for number in range(2):
                    await shadow.check(Upload("a file", file))
                    await until(lambda wanted=number + 1: shadow.outcomes["failed"] == wanted)
                assert kept(scratch) == []
            assert shadow._log.of(CHAMPION, OTHER).failed == 2

        asyncio.run(play())

    def test_a_fault_is_said_once(self, caplog: pytest.LogCaptureFixture) -> None:
        async def play() -> None:
            async with shadowed(Challenger(error=ValueError("a fault"))) as shadow:
                for _ in range(3):
                    await shadow.check(SAFE)
                await until(lambda: shadow.outcomes["failed"] == 3)

        asyncio.run(play())
        assert [record.getMessage() for record in caplog.records] == [
            "the challenger gives no answer: ValueError: a fault"
        ]

    def test_an_answer_that_cannot_be_read_is_a_count(self) -> None:
        class Mumbles(FakeChecker):
            async def check(self, upload: Upload, deadline_s: float | None = None) -> Answer:
                return Answer({"video_id": upload.upload_id})

        async def play() -> None:
            async with shadowed(Challenger(), Mumbles()) as shadow:
                assert (await shadow.check(SAFE)).verdict == {"video_id": "safe"}
                assert shadow.outcomes["dropped"] == 1

        asyncio.run(play())


class TestFiles:
    def test_the_challenger_sees_the_bytes_after_the_caller_has_removed_its_file(
        self, file: Path, scratch: Path
    ) -> None:
        async def play() -> None:
            challenger, champion = Challenger(), FakeChecker()
            champion.waiting = 1  # type: ignore[attr-defined]
            async with shadowed(challenger, champion) as shadow:
                await shadow.check(Upload("a file", file))
                file.unlink()
                champion.waiting = 0  # type: ignore[attr-defined]
                await until(lambda: shadow.outcomes["disagree"] == 1)
                assert kept(scratch) == []
            [(upload, content)] = challenger.seen
            assert (upload.upload_id, content) == ("a file", b"a risky file")
            assert upload.path
            assert upload.path.suffix == ".bin"
            assert list(scratch.iterdir()) == []

        asyncio.run(play())

    def test_a_file_on_another_disk_is_copied(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "link", _refusing(errno.EXDEV))

        async def play() -> None:
            challenger = Challenger()
            async with shadowed(challenger) as shadow:
                await shadow.check(Upload("a file", file))
                await until(lambda: shadow.outcomes["disagree"] == 1)
            assert challenger.seen[0][1] == b"a risky file"

        asyncio.run(play())

    def test_a_full_disk_costs_a_comparison(self, file: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "link", _refusing(errno.ENOSPC))

        async def play() -> None:
            async with shadowed(Challenger()) as shadow:
                answer = await shadow.check(Upload("a file", file))
                assert answer.verdict["suggestion"] == "block"
                assert shadow.outcomes["dropped"] == 1
                monkeypatch.setattr(os, "link", _refusing(errno.EXDEV))
                monkeypatch.setattr(shutil, "copyfile", _half_a_copy)
                await shadow.check(Upload("a file", file))
                assert shadow.outcomes["dropped"] == 2
                assert kept(scratch) == []

        asyncio.run(play())

    @pytest.mark.parametrize("ends", ["the copy ends first", "the service ends first"])
    def test_a_caller_that_goes_away_while_its_file_is_copied_leaves_nothing(
        self, ends: str, file: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        go, copying, copyfile = threading.Event(), threading.Event(), shutil.copyfile

        def slowly(source: Path, target: Path) -> None:
            copying.set()
            assert go.wait(10)
            copyfile(source, target)

        monkeypatch.setattr(os, "link", _refusing(errno.EXDEV))
        monkeypatch.setattr(shutil, "copyfile", slowly)

        async def play() -> None:
            async with shadowed(Challenger()) as shadow:
                asking = asyncio.create_task(shadow.check(Upload("a file", file)))
                await until(copying.is_set)
                asking.cancel()
                await asyncio.wait([asking])
                assert asking.cancelled()
                if ends == "the copy ends first":
                    go.set()
                    await until(lambda: not shadow._files._copies)
                    await asyncio.sleep(0)
                    assert kept(scratch) == []
                else:
                    asyncio.get_running_loop().call_later(0.1, go.set)
            assert list(scratch.iterdir()) == []

        asyncio.run(play())

    def test_after_the_end_answers_go_on_and_nothing_is_kept(self, file: Path, scratch: Path) -> None:
        async def play() -> None:
            async with shadowed(Challenger()) as shadow:
                pass
            answer = await shadow.check(Upload("a file", file))
            assert answer.verdict["suggestion"] == "block"
            assert list(scratch.iterdir()) == []

        asyncio.run(play())


def _refusing(code: int) -> Callable[..., None]:
    def link(source: Path, target: Path) -> None:
        raise OSError(code, os.strerror(code))

    return link


def _half_a_copy(source: Path, target: Path) -> None:
    Path(target).write_bytes(b"a ris")
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
