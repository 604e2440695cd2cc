"""A night whose videos and results lie on S3, and a server that fails: what comes out is what comes out on a disk."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.mixed import write_video
from tests.s3_server import S3, SECRET, serving

DAY = "2026-11-21"
VIDEOS = 8
RATE = 0.08  # of the requests that fail
OF_THE_RUN = ("uri", "decided_at", "error_message")  # an object is no file, say messages


@dataclass(frozen=True)
class Uploads:
    """The same videos on a disk and on S3, one of them missing in both."""

    local: Path  # manifests
    remote: str


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    """The server, and a folder for what a killed run leaves; Ray's sockets want short names."""
    with serving() as server, tempfile.TemporaryDirectory(prefix="s3-", dir="/tmp", ignore_cleanup_errors=True) as tmp:
        server.environment["TMPDIR"] = tmp
        yield server


@pytest.fixture(scope="module")
def uploads(s3: S3, tmp_path_factory: pytest.TempPathFactory) -> Uploads:
    folder, bucket = tmp_path_factory.mktemp("uploads"), s3.bucket("uploads")
    for index in range(VIDEOS):
        write_video(folder / f"视频 {index}.mp4", "mp4-h264", seconds=3, seed=index)
    uris = s3.put(folder, bucket)
    manifests = {
        "local": {name: str(folder / name) for name in uris} | {"gone": str(folder / "gone.mp4")},
        "remote": uris | {"gone": f"{bucket}/gone.mp4"},
    }
    for kind, rows in manifests.items():
        with (folder / f"{kind}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("video_id", "uri"), *rows.items()])
    s3.files.put_file(str(folder / "remote.csv"), f"{bucket}/manifest.csv")
    return Uploads(folder / "local.csv", f"{bucket}/manifest.csv")


def start(manifest: Path | str, output: Path | str, s3: S3) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "jobs.recall", "--date", DAY, "--input", str(manifest), "--output", str(output)]
    return subprocess.Popen(
        [*command, "--json", "--skip", "speech", "ocr", "text"],
        env=os.environ | s3.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process: subprocess.Popen[str]) -> list[dict]:
    """The verdicts that a run printed."""
    printed, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert SECRET not in printed + said
    return [json.loads(line) for line in printed.splitlines()]


def judged(rows: list[dict]) -> list[dict]:
    return [{name: value for name, value in row.items() if name not in OF_THE_RUN} for row in rows]


def table(s3: S3, uri: str) -> pa.Table:
    return pq.read_table(io.BytesIO(s3.files.cat_file(uri)))


@pytest.fixture(scope="module")
def wanted(lite, s3: S3, uploads: Uploads, tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    """The undisturbed run over the videos on the disk."""
    output = tmp_path_factory.mktemp("recalls")
    rows = finished(start(uploads.local, output, s3))
    assert len(rows) == VIDEOS + 1
    return judged(rows)


@dataclass
class Watch:
    """What was seen of a bucket while it was written to."""

    seen: set[str] = field(default_factory=set)
    torn: list[str] = field(default_factory=list)

    def look(self, s3: S3, uri: str) -> None:
        """Every table that can be listed can be read; what is listed for the first time is tried."""
        for name in sorted(s3.names(uri) - self.seen):
            self.seen.add(name)
            try:
                if name.endswith(".parquet"):
                    table(s3, f"{uri}/{name}")
                elif name.endswith(".json"):
                    json.loads(s3.files.cat_file(f"{uri}/{name}"))
            except FileNotFoundError:
                continue  # it was there for a moment only
            except (pa.ArrowException, ValueError) as error:
                self.torn.append(f"{name}: {error}")


@contextmanager
def watched(s3: S3, uri: str) -> Iterator[Watch]:
    watch, over = Watch(), threading.Event()

    def work() -> None:
        while not over.wait(0.2):
            watch.look(s3, uri)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield watch
    finally:
        over.set()
        thread.join()
        watch.look(s3, uri)


def test_a_night_on_a_server_that_fails_is_the_night_of_a_disk_and_whole_at_any_moment(
    s3: S3, uploads: Uploads, wanted: list[dict]
) -> None:
    output = s3.bucket("recalls")
    folder = f"{output}/dt={DAY}"
    s3.faults(RATE, seed=11)
    try:
        with watched(s3, output) as watch:
            rows = finished(start(uploads.remote, output, s3))
    finally:
        injected = s3.count()
        s3.faults(0)
    assert judged(rows) == wanted
    assert all(row["uri"].startswith("s3://uploads/") for row in rows)
    assert injected > 0
    assert watch.torn == []
    assert {f"dt={DAY}/{name}" for name in ("verdicts.parquet", "signals.parquet", "summary.json")} <= watch.seen
    assert not [name for name in watch.seen if ".part" in name]
    assert judged(table(s3, f"{folder}/verdicts.parquet").drop_columns(["decided_at"]).to_pylist()) == judged(
        [row | {"decided_at": None} for row in rows]
    )
    assert s3.files.cat_file(f"{folder}/report.html").startswith(b"<!DOCTYPE html>")


def kill_tree(process: subprocess.Popen[str]) -> None:
    """SIGKILL the driver and all it started."""
    for each in [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]:
        try:
            each.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            continue
    process.communicate()


def wait_for(s3: S3, process: subprocess.Popen[str], uri: str, part: str) -> None:
    """Until an object appears while the run goes on."""
    deadline = time.monotonic() + 200
    while not any(part in name for name in s3.names(uri)):
        assert process.poll() is None, f"the run ended before there was {part}"
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_run_that_was_killed_is_finished_by_running_it_again(s3: S3, uploads: Uploads, wanted: list[dict]) -> None:
    output = s3.bucket("killed")
    folder = f"{output}/dt={DAY}"
    process = start(uploads.remote, output, s3)
    wait_for(s3, process, folder, "windows-")
    process.send_signal(signal.SIGSTOP)  # so that it is at work for as long as this takes
    refused = start(uploads.remote, output, s3)
    _, said = refused.communicate(timeout=100)
    assert refused.returncode == 1
    assert "is being worked at by" in said

    kill_tree(process)
    assert "verdicts.parquet" not in s3.names(folder)
    committed = {name for name in s3.names(folder) if "windows-" in name}
    assert judged(finished(start(uploads.remote, output, s3))) == wanted
    summary = json.loads(s3.files.cat_file(f"{folder}/summary.json"))
    assert summary["counts"]["contents_looked_at"] < VIDEOS
    assert committed <= s3.names(folder)
    assert "lock" not in s3.names(folder)
