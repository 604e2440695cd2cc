"""A night of poison, by the real command: every file costs its own row at most, and nothing is left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import pipelines.decode.stage
from pipelines.contents import Hash
from pipelines.decode.limits import Limits
from pipelines.decode.stage import Decode
from pipelines.rows import ErrorCode
from pipelines.stage import run_local
from tests.poison import Poison, write_poison
from tests.tampering import TAMPERED, restless, tamper, write_tampered
from tests.watching import SMALL

DAY = "2026-11-21"
MARK = "NIGHTJAR_POISON_RUN"  # in the environment of all that a run starts
CACHES = (".ses", "torchinductor_")  # of the libraries: files that each run would make anew
SEEN = ("suggestion", "labels", "segments", "complete", "duration_ms", "error_code", "priority")


@dataclass(frozen=True)
class Night:
    """What a run printed and left."""

    rows: dict[str, dict]  # by video_id
    printed: int
    status: int
    said: str
    folder: Path
    left_in_tmp: list[str]
    left_in_cwd: set[str]
    left_running: list[str]

    def signals(self, video_id: str) -> list[dict]:
        table = pq.read_table(self.folder / "signals.parquet")
        return [row for row in table.to_pylist() if row["video_id"] == video_id]


def write_manifest(path: Path, poisons: list[Poison]) -> Path:
    """One URI is relative and begins with a dash, as an option does."""
    rows = [{"video_id": one.name, "uri": "-dash.mp4" if one.path.name == "-dash.mp4" else one.uri} for one in poisons]
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def run_night(manifest: Path, output: Path, cwd: Path) -> Night:
    """Run the command with temporary files and working folder of its own; nobody waits for it more than 150 s."""
    mark, before = uuid.uuid4().hex, set(os.listdir(cwd))
    command = [sys.executable, "-m", "jobs.recall", "--date", DAY, "--input", str(manifest), "--output", str(output)]
    with tempfile.TemporaryDirectory(prefix="p-", dir="/tmp") as tmp:  # Ray's sockets want short names
        done = subprocess.run(
            [*command, "--json", "--skip", "speech", "ocr", "text"],
            cwd=cwd,
            env=os.environ | {"TMPDIR": tmp, MARK: mark},
            capture_output=True,
            text=True,
            timeout=150,
        )
        printed = [json.loads(line) for line in done.stdout.splitlines()]
        rows = {row["video_id"]: row for row in printed}
        cores = set(os.listdir(cwd)) - before
        running = [*_running(mark)]
        left = [name for name in os.listdir(tmp) if not name.startswith(CACHES)], cores, running
    return Night(rows, len(printed), done.returncode, done.stderr, output / f"dt={DAY}", *left)


def _running(mark: str) -> Iterator[str]:
    """Command lines of the processes that a run started; they have a moment to end."""
    deadline = time.monotonic() + 5
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark:
                process.wait(max(0.01, deadline - time.monotonic()))
        except psutil.TimeoutExpired:
            yield " ".join(process.cmdline())[:200]
        except psutil.Error:
            continue  # it ended, or is not ours


@contextmanager
def disturbed(folder: Path, output: Path) -> Iterator[threading.Event]:
    """Write to some files all the time, and change others as soon as everything is hashed; says whether it did."""
    over, tampered = threading.Event(), threading.Event()

    def disturb() -> None:
        for turn in count():
            restless(folder, turn)
            if not tampered.is_set() and any(output.rglob("contents.parquet")):
                tamper(folder)
                tampered.set()
            if over.wait(0.01):
                return

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        yield tampered
    finally:
        over.set()
        thread.join()


@pytest.fixture(scope="module")
def poisons(tmp_path_factory: pytest.TempPathFactory) -> list[Poison]:
    folder = tmp_path_factory.mktemp("poison") / "uploads"
    return [*write_poison(folder), *write_tampered(folder)]


@pytest.fixture(scope="module")
def alone(lite, poisons: list[Poison], tmp_path_factory: pytest.TempPathFactory) -> Night:
    """The clean video by itself."""
    folder = tmp_path_factory.mktemp("alone")
    return run_night(write_manifest(folder / "manifest.parquet", poisons[:1]), folder / "out", folder)


@pytest.fixture(scope="module")
def night(lite, poisons: list[Poison], alone: Night, tmp_path_factory: pytest.TempPathFactory) -> Night:
    """All of them, while some are written to."""
    folder, uploads = tmp_path_factory.mktemp("night"), poisons[0].path.parent
    manifest = write_manifest(folder / "manifest.parquet", poisons)
    with disturbed(uploads, folder / "out") as tampered:
        found = run_night(manifest, folder / "out", uploads / "names")
    assert tampered.is_set(), found.said
    return found


def test_there_is_enough_of_it(poisons: list[Poison]) -> None:
    assert len(poisons) >= 60
    assert len({poison.name for poison in poisons}) == len(poisons)


def test_the_night_ends_well_with_one_row_each(poisons: list[Poison], night: Night) -> None:
    assert night.status == 0, night.said
    assert night.printed == len(poisons)
    assert list(night.rows) == [poison.name for poison in poisons]


def test_every_file_ends_as_it_deserves(poisons: list[Poison], night: Night) -> None:
    ended = {poison.name: night.rows[poison.name]["error_code"] for poison in poisons}
    assert {poison.name: ended[poison.name] for poison in poisons if ended[poison.name] not in poison.codes} == {}


def test_what_was_not_wholly_seen_has_a_code_and_a_sentence_and_no_pass(night: Night) -> None:
    broken = [row for row in night.rows.values() if row["error_code"]]
    assert len({row["error_code"] for row in broken}) > 8
    for row in broken:
        assert row["error_code"] in set(ErrorCode)
        assert " " in row["error_message"]
        assert "\n" not in row["error_message"]
        assert not row["complete"]
        assert row["suggestion"] != "pass"


def test_a_clean_video_beside_them_is_judged_as_it_is_alone(alone: Night, night: Night) -> None:
    assert alone.status == 0, alone.said
    wanted = {name: alone.rows["clean"][name] for name in (*SEEN, "content_sha256")}
    assert {name: night.rows["clean"][name] for name in wanted} == wanted
    assert wanted["error_code"] is None
    assert alone.signals("clean")
    assert night.signals("clean") == alone.signals("clean")


def test_the_same_pictures_are_judged_the_same_under_any_name(alone: Night, night: Night) -> None:
    named = [row for name, row in night.rows.items() if name.startswith("named ")]
    assert len({row["content_sha256"] for row in named}) == len(named) > 10
    for row in named:
        assert {name: row[name] for name in SEEN} == {name: alone.rows["clean"][name] for name in SEEN}


def test_nothing_is_left_behind(night: Night) -> None:
    assert night.left_running == []
    assert night.left_in_tmp == []
    assert night.left_in_cwd == set()
    assert not [path.name for path in night.folder.rglob("*") if ".part" in path.name or path.name.startswith("core")]


def test_each_change_between_hashing_and_decoding_is_seen(tmp_path: Path) -> None:
    """The stages themselves, so that nothing depends on who is faster."""
    write_poison(tmp_path / "uploads")
    poisons = write_tampered(tmp_path / "uploads")
    stage = Decode(sampling=SMALL, limits=Limits(stall_seconds=30))
    manifest = pa.table({"video_id": [one.name for one in poisons], "uri": [one.uri for one in poisons]})
    contents = run_local([Hash(limits=stage.limits)], manifest).select(["content_sha256", "uri", "bytes"])
    tamper(tmp_path / "uploads")
    try:
        windows = run_local([stage], contents).to_pylist()
    finally:
        for child in pipelines.decode.stage._idle:
            child.close()
    assert [row["error_code"] or "" for row in windows] == [code for _, code in TAMPERED.values()]
    assert [len(row["frame_ms"]) for row in windows] == [0 if code else 3 for _, code in TAMPERED.values()]
