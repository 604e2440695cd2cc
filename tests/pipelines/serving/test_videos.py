"""Asynchronous videos in one process: accepted, checked in turn, told, kept, refused, given back, forgotten."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from model_registry.errors import UsageError
from pipelines.serving import kept_answer
from pipelines.serving.contract import Answer, Look, Refused, Upload
from pipelines.serving.spool import Spool
from pipelines.serving.videos import Hook, Videos, VideoSettings, VideoStatus
from pipelines.serving.webhooks import new_secret, verify
from tests.local_post import HookReceiver, LoopbackPoster, receiving
from tests.serving_fakes import FakeChecker

QUICK = VideoSettings(lease_s=5, drain_s=2, poll_s=0.01, pauses_s=(0.01, 0.01))
SECRET = new_secret()


@pytest.fixture
def upload(tmp_path) -> Callable[..., Upload]:
    def make(data: bytes = b"a risky film", **facts) -> Upload:
        path = tmp_path / f"upload-{len(list(tmp_path.iterdir()))}"
        path.write_bytes(data)
        return Upload(**{"upload_id": "mine", "path": path, **facts})

    return make


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "queue"


@asynccontextmanager
async def running(videos: Videos, checker: object) -> AsyncIterator[Videos]:
    task = asyncio.create_task(videos.run(lambda: checker))
    try:
        yield videos
    finally:
        videos.stop()
        await task


async def ended(videos: Videos, video_id: str, key_id: str = "key", webhook: str | None = None) -> VideoStatus:
    async with asyncio.timeout(20):
        while True:
            status = await videos.status(video_id, key_id)
            if status.state in ("done", "failed") and webhook in (None, status.webhook):
                return status
            await asyncio.sleep(0.01)


async def state_is(videos: Videos, video_id: str, state: str) -> None:
    async with asyncio.timeout(20):
        while (await videos.status(video_id, "key")).state != state:
            await asyncio.sleep(0.01)


def spooled(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "spool").iterdir())


class TestOneVideo:
    async def go(self, videos: Videos, checker: FakeChecker, upload: Upload) -> VideoStatus:
        async with running(videos, checker):
            return await ended(videos, await videos.accept(upload, "key"))

    def test_it_is_checked_with_all_its_facts_and_the_answer_is_kept_whole(self, folder, upload):
        given = upload(title="夜", description="d", uploader_id="u", looks=frozenset({Look.VISUAL, Look.TEXT}))
        checker = FakeChecker()

        status = asyncio.run(self.go(Videos(folder, QUICK), checker, given))

        ((seen, data),) = checker.seen
        assert replace(seen, path=given.path) == given
        assert data == b"a risky film"
        assert (status.state, status.upload_id, status.webhook) == ("done", "mine", None)
        direct = asyncio.run(FakeChecker().check(given))
        assert kept_answer.written(status.answer) == kept_answer.written(direct)
        assert status.answer.verdict == direct.verdict  # decided_at is a time again
        assert status.answer.verdict["suggestion"] == "block"
        assert status.accepted_at <= status.finished_at

    def test_a_text_has_no_bytes(self, folder):
        checker = FakeChecker()
        text = Upload("mine", title="risky")

        assert asyncio.run(self.go(Videos(folder, QUICK), checker, text)).answer.verdict["suggestion"] == "block"
        assert checker.seen[0][0] == text

    def test_its_bytes_go_with_the_verdict_and_the_callers_file_stays(self, folder, upload):
        given = upload()

        asyncio.run(self.go(Videos(folder, QUICK), FakeChecker(), given))

        assert spooled(folder) == []
        assert given.path.read_bytes() == b"a risky film"

    def test_the_caller_may_remove_its_file_as_soon_as_it_is_accepted(self, folder, upload):
        async def go() -> VideoStatus:
            videos, given = Videos(folder, QUICK), upload()
            video_id = await videos.accept(given, "key")
            given.path.unlink()
            async with running(videos, FakeChecker()):
                return await ended(videos, video_id)

        assert asyncio.run(go()).answer.verdict["suggestion"] == "block"

    def test_nobody_else_may_read_the_folder(self, folder, upload):
        asyncio.run(Videos(folder, QUICK).accept(upload(), "key"))

        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((folder / "videos.sqlite").stat().st_mode) == 0o600

    def test_what_the_examiner_says_of_a_damaged_file_is_an_answer(self, folder, upload):
        class Damaged(FakeChecker):
            async def check(self, upload: Upload) -> Answer:
                answer = await super().check(upload)
                return replace(answer, verdict={**answer.verdict, "complete": False, "error_code": "damaged"})

        status = asyncio.run(self.go(Videos(folder, QUICK), Damaged(), upload()))

        assert (status.state, status.answer.verdict["error_code"]) == ("done", "damaged")


class TestWhoMayAsk:
    def test_another_keys_id_is_as_an_unknown_one(self, folder, upload):
        async def go() -> list[object]:
            videos = Videos(folder, QUICK)
            video_id = await videos.accept(upload(), "key")
            asked = [(video_id, "key"), (video_id, "other"), ("vid_" + "0" * 32, "key"), ("' OR 1=1 --", "key")]
            return [await videos.status(*each) for each in asked]

        mine, *others = asyncio.run(go())
        assert mine.state == "queued"
        assert others == [None, None, None]

    def test_ids_are_long_and_differ(self, folder):
        async def go() -> set[str]:
            videos = Videos(folder, QUICK)
            return {await videos.accept(Upload("mine", title="t"), "key") for _ in range(20)}

        ids = asyncio.run(go())
        assert len(ids) == 20
        assert all(len(each) == 36 for each in ids)


class TestRoom:
    def refused(self, folder: Path, given: list[Upload], **limits) -> Refused:
        async def go() -> None:
            videos = Videos(folder, replace(QUICK, **limits))
            for one in given:
                await videos.accept(one, "key")

        with pytest.raises(Refused) as refused:
            asyncio.run(go())
        return refused.value

    def test_one_more_than_may_wait_comes_back_later(self, folder, upload):
        refused = self.refused(folder, [upload(), upload(), upload()], most_waiting=2)

        assert (refused.status, refused.retry_after_s) == (429, 10.0)
        assert len(spooled(folder)) == 2

    def test_bytes_are_counted_too(self, folder, upload):
        refused = self.refused(folder, [upload(b"x" * 60), upload(b"x" * 41)], most_bytes=100)

        assert refused.status == 429
        assert len(spooled(folder)) == 1

    def test_what_will_never_fit_is_told_so(self, folder, upload):
        refused = self.refused(folder, [upload(b"x" * 101)], most_bytes=100)

        assert (refused.status, str(refused)) == (413, "the video has 101 bytes, allowed are 100")

    def test_answers_that_are_kept_are_bounded(self, folder, upload):
        assert self.refused(folder, [upload()], most_kept_bytes=1000).status == 507

    def test_many_at_once_are_never_more_than_may_be(self, folder, upload):
        async def go() -> list[object]:
            videos = Videos(folder, replace(QUICK, most_waiting=3))
            return await asyncio.gather(*(videos.accept(one, "key") for one in given), return_exceptions=True)

        given = [upload() for _ in range(12)]
        said = asyncio.run(go())

        assert sum(isinstance(each, str) for each in said) == 3
        assert {each.status for each in said if not isinstance(each, str)} == {429}
        assert len(spooled(folder)) == 3

    def test_room_comes_back_with_verdicts(self, folder, upload):
        async def go() -> None:
            videos = Videos(folder, replace(QUICK, most_waiting=1, most_bytes=12))
            async with running(videos, FakeChecker()):
                for _ in range(3):
                    await ended(videos, await videos.accept(upload(), "key"))

        asyncio.run(go())

    def test_a_full_disk_keeps_nothing_of_the_bytes(self, folder, upload):
        """A limit on the size of files is what a process can have without a disk of its own."""
        given = upload(b"x" * 200_000)
        code = """
import asyncio, errno, os, resource, signal, sys
from pathlib import Path
from pipelines.serving.contract import Refused, Upload
from pipelines.serving.videos import Videos
def another_disk(*_, **__): raise OSError(errno.EXDEV, "another disk")
os.link = another_disk
videos = Videos(Path(sys.argv[1]))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))
try:
    asyncio.run(videos.accept(Upload("mine", Path(sys.argv[2])), "key"))
except Refused as refused:
    print(refused.status, refused.code)
"""
        ran = subprocess.run(
            [sys.executable, "-c", code, folder, given.path], capture_output=True, text=True, timeout=60, cwd=Path.cwd()
        )

        assert ran.stdout == "507 insufficient_storage\n", ran.stderr
        assert spooled(folder) == []
        assert Videos(folder).load().queued == 0

    def test_a_full_database_keeps_nothing_either(self, folder, upload):
        videos = Videos(folder, QUICK)
        pages = videos._ledger.rows("PRAGMA page_count")[0][0]
        videos._ledger.rows(f"PRAGMA max_page_count = {pages}")

        with pytest.raises(Refused) as refused:
            asyncio.run(videos.accept(upload(title="t" * 100_000), "key"))

        assert refused.value.status == 507
        assert spooled(folder) == []
        videos._ledger.rows("PRAGMA max_page_count = 1000000")
        assert asyncio.run(videos.accept(upload(), "key"))

    def test_a_disk_that_fails_is_no_fault_of_the_caller(self, folder, upload, monkeypatch):
        videos = Videos(folder, QUICK)

        def broken(_: int) -> None:
            raise OSError(5, "Input/output error")

        monkeypatch.setattr(os, "fsync", broken)
        with pytest.raises(Refused) as refused:
            asyncio.run(videos.accept(upload(), "key"))

        assert refused.value.status == 503
        assert spooled(folder) == []

    def test_a_symbolic_link_is_no_upload(self, folder, tmp_path, upload):
        link = tmp_path / "link"
        link.symlink_to(upload().path)

        with pytest.raises((Refused, ValueError)):
            asyncio.run(Videos(folder, QUICK).accept(Upload("mine", link), "key"))
        assert spooled(folder) == []

    def test_the_spool_itself_leaves_nothing_of_a_failure(self, tmp_path, upload):
        link, spool = tmp_path / "link", Spool(tmp_path / "spool")
        link.symlink_to(upload().path)

        with pytest.raises(OSError, match="link"):
            spool.add("vid_1", link)
        assert list(spool.folder.iterdir()) == []


class TestTrouble:
    def test_a_checker_without_room_is_asked_again_and_nobody_is_blamed(self, folder, upload):
        class Busy(FakeChecker):
            times = 0

            async def check(self, upload: Upload) -> Answer:
                self.times += 1
                if self.times < 6:
                    raise Refused(429, "too_many_requests", "no room", 0.0)
                return await super().check(upload)

        async def go() -> VideoStatus:
            videos = Videos(folder, QUICK)
            async with running(videos, Busy()):
                return await ended(videos, await videos.accept(upload(), "key"))

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("pipelines.serving.turns.BUSY_S", 0.01)
            assert asyncio.run(go()).state == "done"

    @pytest.mark.parametrize(
        ("error", "times", "said"),
        [
            (Refused(400, "nothing_to_look_with", "no"), 1, ("nothing_to_look_with", "no")),
            (Refused(504, "deadline_exceeded", "late"), 3, ("deadline_exceeded", "late")),
            (RuntimeError("s3cret"), 3, ("internal_error", "the service failed while it was checked")),
        ],
    )
    def test_a_check_that_fails_is_tried_as_often_as_may_help(self, folder, upload, error, times, said, monkeypatch):
        monkeypatch.setattr("pipelines.serving.turns.STUMBLE_S", 0.01)
        checker = FakeChecker(error=error)

        async def go() -> VideoStatus:
            videos = Videos(folder, QUICK)
            async with running(videos, checker):
                return await ended(videos, await videos.accept(upload(), "key"))

        status = asyncio.run(go())
        assert (status.state, status.error_code, status.error_message) == ("failed", *said)
        assert len(checker.seen) == times
        assert spooled(folder) == []

    def test_bytes_that_somebody_removed_are_a_failure_with_a_reason(self, folder, upload):
        async def go() -> VideoStatus:
            videos = Videos(folder, QUICK)
            video_id = await videos.accept(upload(), "key")
            (folder / "spool" / video_id).unlink()
            async with running(videos, FakeChecker()):
                return await ended(videos, video_id)

        assert asyncio.run(go()).error_code == "bytes_lost"

    def test_what_was_begun_before_runs_alone(self, folder, upload):
        most: dict[bytes, int] = {}

        class Counting(FakeChecker):
            now = 0

            async def check(self, upload: Upload) -> Answer:
                self.now += 1
                most[upload.path.read_bytes()] = self.now
                await asyncio.sleep(0.05)
                self.now -= 1
                return await super().check(upload)

        async def go() -> None:
            videos = Videos(folder, replace(QUICK, workers=4, lease_s=0.2))
            ids = [await videos.accept(upload(b"%d" % number), "key") for number in range(8)]
            with videos._ledger.transaction() as db:  # as a process that died has left it
                db.execute("UPDATE videos SET starts = 1, state = 'running', lease_until = 0 WHERE id = ?", (ids[3],))
            async with running(videos, Counting()):
                for video_id in ids:
                    await ended(videos, video_id)

        asyncio.run(go())
        assert most[b"3"] == 1
        assert max(most.values()) > 1

    def test_one_that_was_begun_too_often_under_other_settings_ends_too(self, folder, upload):
        async def go() -> VideoStatus:
            videos = Videos(folder, replace(QUICK, most_starts=5))
            video_id = await videos.accept(upload(), "key")
            for _ in range(3):
                videos._leases.stumbled(videos._leases.take(idle=True), "internal_error", "no", -1.0)
            fewer = Videos(folder, replace(QUICK, most_starts=2))
            assert fewer._leases.take(idle=True) is None
            return await fewer.status(video_id, "key")

        assert asyncio.run(go()).error_code == "worker_lost"

    def test_who_lost_the_lease_writes_nothing(self, folder, upload):
        async def go() -> VideoStatus:
            videos = Videos(folder, replace(QUICK, lease_s=0.05))
            video_id = await videos.accept(upload(), "key")
            first = videos._leases.take(idle=True)
            await asyncio.sleep(0.1)
            second = videos._leases.take(idle=True)
            assert not videos._leases.renew(first)
            assert videos._leases.done(second, kept_answer.written(Answer({"suggestion": "pass"})))
            assert not videos._leases.done(first, kept_answer.written(Answer({"suggestion": "block"})))
            assert not videos._leases.failed(first, "late", "late")
            return await videos.status(video_id, "key")

        assert asyncio.run(go()).answer.verdict == {"suggestion": "pass"}

    def test_a_long_check_keeps_its_lease(self, folder, upload):
        async def go() -> None:
            settings = replace(QUICK, lease_s=0.3)
            one, other = Videos(folder, settings), Videos(folder, settings)
            checker = FakeChecker(seconds=1.0)
            async with running(one, checker), running(other, checker):
                await ended(one, await one.accept(upload(), "key"))
            assert len(checker.seen) == 1

        asyncio.run(go())


class TestStopping:
    def test_what_runs_ends_and_what_waits_stays(self, folder, upload):
        async def go() -> list[str]:
            videos = Videos(folder, replace(QUICK, workers=1))
            ids = [await videos.accept(upload(), "key") for _ in range(2)]
            async with running(videos, FakeChecker(seconds=0.2)):
                await state_is(videos, ids[0], "running")
            return [(await videos.status(each, "key")).state for each in ids]

        assert asyncio.run(go()) == ["done", "queued"]

    @pytest.mark.parametrize("cancelled", [False, True])
    def test_what_takes_too_long_is_given_back_at_once_and_nobody_is_blamed(self, folder, upload, cancelled):
        async def go() -> tuple[str, int]:
            videos = Videos(folder, replace(QUICK, drain_s=0.1))
            video_id = await videos.accept(upload(), "key")
            task = asyncio.create_task(videos.run(lambda: FakeChecker(seconds=60)))
            await state_is(videos, video_id, "running")
            _ = task.cancel() if cancelled else videos.stop()
            await asyncio.wait({task}, timeout=5)
            assert task.done()
            row = videos._ledger.find(video_id)
            return row["state"], row["starts"]

        assert asyncio.run(go()) == ("queued", 0)
        assert len(spooled(folder)) == 1

    def test_another_process_goes_on(self, folder, upload):
        async def go() -> VideoStatus:
            one, other = Videos(folder, replace(QUICK, drain_s=0.05)), Videos(folder, QUICK)
            async with running(one, FakeChecker(seconds=60)):
                video_id = await one.accept(upload(), "key")
                await state_is(one, video_id, "running")
            async with running(other, FakeChecker()):
                return await ended(other, video_id)

        assert asyncio.run(go()).state == "done"


class TestTidying:
    def test_answers_are_forgotten_after_their_days(self, folder, upload):
        async def go() -> None:
            videos = Videos(folder, replace(QUICK, keep_days=1))
            async with running(videos, FakeChecker()):
                old, fresh = [await videos.accept(upload(), "key") for _ in range(2)]
                waiting = await videos.accept(upload(), "key")
                await asyncio.gather(*(ended(videos, each) for each in (old, fresh, waiting)))
            with videos._ledger.transaction() as db:
                db.execute("UPDATE videos SET finished_at = finished_at - 90000 WHERE id = ?", (old,))
            videos.tidy()
            assert await videos.status(old, "key") is None
            assert await videos.status(fresh, "key")

        asyncio.run(go())

    def test_bytes_without_a_record_go_once_they_are_old_and_others_stay(self, folder, upload):
        videos = Videos(folder, QUICK)
        video_id = asyncio.run(videos.accept(upload(), "key"))
        (folder / "spool" / "vid_orphan").write_bytes(b"x")

        videos.tidy()
        assert spooled(folder) == sorted(["vid_orphan", video_id])
        videos._spool.sweep(videos._ledger.unfinished, older_s=-1)
        assert spooled(folder) == [video_id]


class TestWebhooks:
    def deliver(self, folder: Path, given: Upload, receiver: HookReceiver, sent: str, **settings) -> VideoStatus:
        async def go() -> VideoStatus:
            videos = Videos(folder, replace(QUICK, **settings), LoopbackPoster())
            async with running(videos, FakeChecker()):
                video_id = await videos.accept(given, "key", Hook(receiver.url, SECRET))
                return await ended(videos, video_id, webhook=sent)

        return asyncio.run(go())

    def test_the_verdict_arrives_signed(self, folder, upload):
        with receiving() as receiver:
            status = self.deliver(folder, upload(), receiver, "delivered")
        ((path, headers, body),) = receiver.requests

        assert verify(headers, body, SECRET) == f"msg_{status.video_id}"
        said = json.loads(body)
        assert (path, said["type"], said["data"]["id"]) == ("/hook", "video.done", status.video_id)
        assert said["data"]["upload_id"] == "mine"
        assert said["data"]["verdict"]["suggestion"] == "block"
        assert said["data"]["signals"][0]["label"] == "Violence/Weapons"
        assert said["timestamp"] == status.finished_at.isoformat()

    def test_a_failure_is_told_too(self, folder, upload):
        async def go(receiver: HookReceiver) -> None:
            videos = Videos(folder, QUICK, LoopbackPoster())
            async with running(videos, FakeChecker(error=Refused(400, "nothing_to_look_with", "no"))):
                video_id = await videos.accept(upload(), "key", Hook(receiver.url, SECRET))
                await ended(videos, video_id, webhook="delivered")

        with receiving() as receiver:
            asyncio.run(go(receiver))
        said = json.loads(receiver.requests[0][2])
        assert (said["type"], said["data"]["error"]) == (
            "video.failed",
            {"code": "nothing_to_look_with", "message": "no"},
        )

    @pytest.mark.parametrize("status", [500, 503, 404, 302, 308])
    def test_what_is_no_success_is_tried_again_with_the_same_bytes(self, folder, upload, status):
        with receiving() as receiver:
            receiver.statuses = [status, status]
            self.deliver(folder, upload(), receiver, "delivered")

        assert [path for path, _, _ in receiver.requests] == ["/hook"] * 3
        assert len({(headers["webhook-id"], body) for _, headers, body in receiver.requests}) == 1
        assert all(verify(headers, body, SECRET) for _, headers, body in receiver.requests)

    def test_a_receiver_that_is_gone_is_left_alone(self, folder, upload):
        with receiving() as receiver:
            receiver.statuses = [410]
            status = self.deliver(folder, upload(), receiver, "stopped")

        assert (len(receiver.requests), status.webhook_cause) == (1, "status 410")

    def test_after_the_last_attempt_it_is_given_up_and_the_verdict_stays(self, folder, upload):
        with receiving() as receiver:
            receiver.statuses = [500] * 9
            status = self.deliver(folder, upload(), receiver, "given_up")

        assert (len(receiver.requests), status.webhook_cause) == (3, "status 500")
        assert status.answer.verdict["suggestion"] == "block"

    def test_nobody_there_is_a_failed_attempt(self, folder, upload):
        with receiving() as receiver:
            pass
        status = self.deliver(folder, upload(), receiver, "given_up")

        assert status.webhook_cause == "ConnectionRefusedError"

    def test_a_slow_receiver_costs_its_time_and_keeps_no_video_waiting(self, folder, upload, monkeypatch):
        monkeypatch.setattr(LoopbackPoster, "longest_s", 0.2)

        async def go(slow: HookReceiver) -> VideoStatus:
            videos = Videos(folder, replace(QUICK, workers=1), LoopbackPoster())
            async with running(videos, FakeChecker()):
                hooked = await videos.accept(upload(), "key", Hook(slow.url, SECRET))
                await asyncio.wait_for(ended(videos, await videos.accept(upload(), "key")), 5)
                return await ended(videos, hooked, webhook="given_up")

        with receiving() as receiver:
            receiver.slow_s = 0.5
            assert asyncio.run(go(receiver)).webhook_cause == "TimeoutError"

    def test_a_receiver_may_ask_for_more_time(self, folder, upload):
        async def go(receiver: HookReceiver) -> float:
            videos = Videos(folder, QUICK, LoopbackPoster())
            async with running(videos, FakeChecker()):
                video_id = await videos.accept(upload(), "key", Hook(receiver.url, SECRET))
                await ended(videos, video_id, webhook="waiting")
                while not videos._ledger.rows("SELECT cause FROM deliveries WHERE cause IS NOT NULL"):
                    await asyncio.sleep(0.01)
            ((due_at,),) = videos._ledger.rows("SELECT due_at FROM deliveries")
            return due_at - time.time()

        with receiving() as receiver:
            receiver.statuses, receiver.headers = [503] * 9, {"Retry-After": "120"}
            assert 100 < asyncio.run(go(receiver)) <= 120

    def test_what_is_owed_survives_a_restart(self, folder, upload):
        async def go(receiver: HookReceiver) -> str:
            without = Videos(folder, QUICK)
            without._poster = LoopbackPoster()  # so that it takes the webhook
            video_id = await without.accept(upload(), "key", Hook(receiver.url, SECRET))
            without._poster = None
            async with running(without, FakeChecker()):
                await ended(without, video_id, webhook="waiting")
            again = Videos(folder, QUICK, LoopbackPoster())
            async with running(again, FakeChecker()):
                return (await ended(again, video_id, webhook="delivered")).video_id

        with receiving() as receiver:
            assert asyncio.run(go(receiver)) in receiver.requests[0][1]["webhook-id"]

    @pytest.mark.parametrize(
        ("hook", "poster", "said"),
        [
            (Hook("http://10.0.0.1/", SECRET), LoopbackPoster(), "not allowed"),
            (Hook("http://127.0.0.1/", "short"), LoopbackPoster(), "24 to 64 bytes"),
            (Hook("http://127.0.0.1/", SECRET), None, "calls no webhooks"),
        ],
    )
    def test_one_that_will_not_do_is_refused_before_anything_is_kept(self, folder, upload, hook, poster, said):
        with pytest.raises(Refused, match=said) as refused:
            asyncio.run(Videos(folder, QUICK, poster).accept(upload(), "key", hook))

        assert refused.value.status == 400
        assert spooled(folder) == []

    def test_its_secrets_are_in_no_text_and_forgotten_once_told(self, folder, upload):
        assert "s3cret" not in repr(Hook("https://x/s3cret", "whsec_s3cret"))
        with receiving() as receiver:
            self.deliver(folder, upload(), receiver, "delivered")
        with sqlite3.connect(folder / "videos.sqlite") as db:
            assert db.execute("SELECT secret FROM deliveries").fetchall() == [(None,)]


def test_settings_that_make_no_queue_are_refused():
    with pytest.raises(UsageError, match="workers of videos is 0, must be more than 0"):
        VideoSettings(workers=0)
