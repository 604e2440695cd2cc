"""SIGKILL while videos are accepted, checked and told: none is lost, none gets two verdicts, a poison one ends."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipelines.serving.contract import Upload
from pipelines.serving.ledger import Ledger
from pipelines.serving.spool import Spool
from pipelines.serving.videos import Hook, Videos, VideoStatus
from pipelines.serving.webhooks import new_secret, verify
from tests.local_post import LoopbackPoster, receiving
from tests.video_worker import SETTINGS, sha256

ROOT = Path(__file__).parents[3]
SECRET = new_secret()
ACCEPTING = """
import asyncio, sys
from pathlib import Path
from pipelines.serving.contract import Upload
from pipelines.serving.videos import Videos
async def main():
    videos, number = Videos(Path(sys.argv[1])), 0
    while True:
        path = Path(sys.argv[2]) / f"upload-{number}"
        path.write_bytes(b"risky" * number)
        print(await videos.accept(Upload(f"mine-{number}", path), "key"), flush=True)
        path.unlink()
        number += 1
asyncio.run(main())
"""


@contextmanager
def worker(folder: Path, seconds: float, most_starts: int) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.video_worker", str(folder), str(seconds), str(most_starts)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def accepted(folder: Path, uploads: dict[str, bytes], hook: Hook | None, made: Path) -> dict[str, bytes]:
    async def go() -> dict[str, bytes]:
        videos, ids = Videos(folder, SETTINGS, LoopbackPoster()), {}
        for name, data in uploads.items():
            path = made / name
            path.write_bytes(data)
            ids[await videos.accept(Upload(name, path), "key", hook)] = data
        videos.close()
        return ids

    return asyncio.run(go())


def statuses(folder: Path, ids: dict[str, bytes]) -> dict[str, VideoStatus]:
    async def go() -> dict[str, VideoStatus]:
        videos = Videos(folder, SETTINGS)
        found = {video_id: await videos.status(video_id, "key") for video_id in ids}
        videos.close()
        return found

    return asyncio.run(go())


def wait_for_all(folder: Path, ids: dict[str, bytes], webhook: str | None) -> dict[str, VideoStatus]:
    until = time.monotonic() + 40
    while time.monotonic() < until:
        found = statuses(folder, ids)
        if all(each.state in ("done", "failed") and each.webhook == webhook for each in found.values()):
            return found
        time.sleep(0.05)
    raise AssertionError(Counter((each.state, each.webhook) for each in found.values()))


def test_killed_while_checking_and_telling_every_video_gets_its_one_verdict(tmp_path):
    chance = random.Random(7)
    uploads = {f"mine-{number}": b"risky" * (number % 2) + b"%d" % number for number in range(30)}
    with receiving() as receiver:
        ids = accepted(tmp_path / "queue", uploads, Hook(receiver.url, SECRET), tmp_path)
        receiver.statuses = [500, 204] * 10
        receiver.slow_s = 0.02
        kills = 0
        for _ in range(8):
            with worker(tmp_path / "queue", 0.1, 1000) as process:
                time.sleep(chance.uniform(0.0, 0.5))
                kills += process.poll() is None
        with worker(tmp_path / "queue", 0.0, 1000):
            found = wait_for_all(tmp_path / "queue", ids, "delivered")

    assert kills == 8
    told: dict[str, set[bytes]] = {}
    for _, headers, body in receiver.requests:
        assert verify(headers, body, SECRET)
        told.setdefault(json.loads(body)["data"]["id"], set()).add(body)
    assert set(told) == set(ids)
    for video_id, status in found.items():
        assert status.state == "done"
        assert status.answer.verdict["content_sha256"] == sha256(ids[video_id])
        (body,) = told[video_id]  # the same bytes, however often they came
        assert json.loads(body)["data"]["verdict"]["content_sha256"] == sha256(ids[video_id])
        assert json.loads(body)["timestamp"] == status.finished_at.isoformat()
    # Whoever is killed between a verdict and the removal of its bytes leaves them to the next sweep.
    spool, ledger = Spool(tmp_path / "queue" / "spool"), Ledger(tmp_path / "queue" / "videos.sqlite")
    assert spool.sweep(ledger.unfinished, older_s=-1.0) <= kills
    assert list(spool.folder.iterdir()) == []
    ledger.close()


def test_killed_while_accepting_whatever_was_promised_is_there(tmp_path):
    chance, promised = random.Random(3), []
    for turn in range(6):
        made = tmp_path / f"made-{turn}"
        made.mkdir()
        command = [sys.executable, "-c", ACCEPTING, tmp_path / "queue", made]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            first = process.stdout.readline()
            time.sleep(chance.uniform(0.0, 0.2))
            process.kill()
            promised += [line for line in [first, *process.stdout] if line.endswith("\n")]
    ids = {line.strip(): b"" for line in promised}
    with worker(tmp_path / "queue", 0.0, 3):
        found = wait_for_all(tmp_path / "queue", ids, None)

    assert len(ids) == len(promised) > 6
    for status in found.values():
        number = int(status.upload_id.removeprefix("mine-"))
        wanted = sha256(b"risky" * number) if number else None
        assert (status.state, status.answer.verdict["content_sha256"]) == ("done", wanted)


def test_a_video_that_kills_its_process_fails_the_third_time_and_takes_no_other_with_it(tmp_path):
    uploads = {f"mine-{number}": b"poison" if number == 1 else b"%d" % number for number in range(6)}
    ids = accepted(tmp_path / "queue", uploads, None, tmp_path)
    deaths = 0
    for _ in range(12):
        with worker(tmp_path / "queue", 0.1, 3) as process:
            try:
                process.wait(timeout=2.5)
                deaths += 1
            except subprocess.TimeoutExpired:
                break
    found = wait_for_all(tmp_path / "queue", ids, None)

    assert deaths == 3
    ended = {status.upload_id: (status.state, status.error_code) for status in found.values()}
    assert ended.pop("mine-1") == ("failed", "worker_lost")
    assert set(ended.values()) == {("done", None)}
    (poison,) = [status for status in found.values() if status.error_code]
    assert poison.error_message == "the service ended 3 times while it was checked"


@pytest.mark.parametrize("processes", [2])
def test_processes_that_share_a_folder_check_each_video_once(tmp_path, processes):
    ids = accepted(tmp_path / "queue", {f"mine-{number}": b"%d" % number for number in range(40)}, None, tmp_path)
    with worker(tmp_path / "queue", 0.02, 1), worker(tmp_path / "queue", 0.02, 1):
        found = wait_for_all(tmp_path / "queue", ids, None)

    assert {status.state for status in found.values()} == {"done"}  # nobody had two starts


def test_a_process_that_is_asked_to_stop_ends_what_it_has_begun(tmp_path):
    ids = accepted(tmp_path / "queue", {"mine-1": b"1"}, None, tmp_path)
    with worker(tmp_path / "queue", 1.0, 1) as process:
        until = time.monotonic() + 10
        while statuses(tmp_path / "queue", ids)[next(iter(ids))].state != "running":
            assert time.monotonic() < until
        process.terminate()
        assert process.wait(timeout=10) == 0

    assert [status.state for status in statuses(tmp_path / "queue", ids).values()] == ["done"]
