"""Stages on this machine alone: the rows of the plain reference, whatever dies, and nothing left behind."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from multiprocessing import Pipe
from pathlib import Path
from types import SimpleNamespace

import psutil
import pyarrow as pa
import pytest

from pipelines.local import pool
from pipelines.local.messages import Job, Plan, Want
from pipelines.local.pool import foresee, kept, stream
from pipelines.run import look
from pipelines.stage import PipelineError, Stage, StageError, Work, run_local
from tests.fakes import CountDown, Double, FullDisk, WhereAmI

ROOT = Path(__file__).parents[2]


def numbers(*values: int) -> pa.Table:
    return pa.table({"n": pa.array(values, pa.int64())})


def rows_of(tables: list[pa.Table] | pa.Table) -> list[tuple[tuple[str, object], ...]]:
    """Rows without their order."""
    table = pa.concat_tables(tables) if isinstance(tables, list) else tables
    return sorted(tuple(sorted(row.items())) for row in table.to_pylist())


def engines() -> list[psutil.Process]:
    here = psutil.Process()
    return [one for one in here.children() if "pipelines.local.engine" in " ".join(one.cmdline())]


@dataclass(frozen=True, kw_only=True)
class Dies(Stage):
    """Ends its process at one number: ever again, or once for each file that is not there yet."""

    at: int
    token: str = ""
    reads: tuple[str, ...] = ("n",)

    def open(self) -> Work:
        def work(table: pa.Table) -> list[pa.Table]:
            if self.at in table["n"].to_pylist() and not (self.token and Path(self.token).exists()):
                if self.token:
                    Path(self.token).touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return [table]

        return work


@dataclass(frozen=True, kw_only=True)
class Slow(Stage):
    """Takes its time with every table."""

    seconds: float
    reads: tuple[str, ...] = ("n",)

    def open(self) -> Work:
        def work(table: pa.Table) -> list[pa.Table]:
            time.sleep(self.seconds)
            return [table]

        return work


@dataclass(frozen=True, kw_only=True)
class Noted(Stage):
    """Adds a line to a file whenever it is opened; may fail there."""

    file: str
    fails: bool = False
    reads: tuple[str, ...] = ("n",)

    def open(self) -> Work:
        with Path(self.file).open("a") as file:
            file.write(f"{os.getpid()}\n")
        if self.fails:
            raise OSError(errno.EIO, "its weights cannot be read")
        return lambda table: [table]


STAGES = {
    "tasks alone": [CountDown(), Double()],
    "an actor alone": [Double(actors=1)],
    "tasks before it": [CountDown(), Double(actors=1)],
    "tasks on both sides": [CountDown(), Double(actors=1), WhereAmI.column("place")],
    "two engines": [CountDown(), Double(actors=2)],
}


@pytest.mark.parametrize("name", STAGES)
def test_the_rows_are_those_of_the_plain_reference(name: str):
    table = numbers(*range(9))
    found = pa.concat_tables(stream(STAGES[name], table, 4))
    wanted = run_local(STAGES[name], table)
    kept = [column for column in found.column_names if column != "place"]
    assert rows_of(found.select(kept)) == rows_of(wanted.select(kept))
    assert not engines()


def test_an_engine_opens_its_stages_once():
    found = pa.concat_tables(stream([Double(), WhereAmI.column("place", actors=1)], numbers(*range(9)), 2))
    assert len(set(found["place"].to_pylist())) == 1
    assert not found["place"][0].as_py().startswith(f"{os.getpid()}/")


def test_what_comes_out_is_held_until_it_makes_a_piece():
    """So a night has few files, however fast its rows come."""
    found = list(stream([Double(), Slow(seconds=0.0, actors=1)], numbers(*range(32)), 16))
    assert len(found) <= 4


def test_no_more_engines_than_jobs():
    found = pa.concat_tables(stream([CountDown(), WhereAmI.column("place", actors=8)], numbers(3), 4))
    assert len(set(found["place"].to_pylist())) == 1


def test_an_engine_that_dies_is_started_again_and_no_row_is_lost(tmp_path: Path):
    stages = [CountDown(), Dies(at=5, token=str(tmp_path / "died"), actors=1)]
    found = pa.concat_tables(stream(stages, numbers(*range(1, 9)), 4))
    assert (tmp_path / "died").exists()
    assert set(rows_of(found)) == set(rows_of(run_local([CountDown()], numbers(*range(1, 9)))))


def test_an_engine_that_was_told_of_the_end_gets_no_work_that_came_back():
    """It has stopped listening for jobs: what another one had in hand when it died is for the next."""
    driver, engine = Pipe()
    told = SimpleNamespace(connection=driver, is_told=True, give=lambda job: pytest.fail(f"it was given {job}"))
    engine.send(Want(2))
    one = pool._Pool(Plan((), 1, 1), [Job(0, numbers(1))])
    assert list(one._hear(told)) == []
    assert len(one.jobs) == 1


def test_an_engine_that_always_dies_ends_the_job(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pool, "DEATHS_FORGIVEN", 2)
    with pytest.raises(PipelineError, match=r"^a worker died 3 times without .*, at last it ended with signal 9$"):
        list(stream([Dies(at=1, actors=1)], numbers(1), 1))
    assert not engines()


def test_a_program_that_fails_ends_the_job_and_says_what_it_was():
    with pytest.raises(StageError) as raised:
        list(stream([CountDown(), Double(reads=("m",), actors=1)], pa.table({"m": [1]}), 1))
    assert isinstance(raised.value.cause, KeyError)
    assert not engines()


@pytest.mark.parametrize("actors", [0, 1])
def test_a_full_disk_is_told_with_its_remedy(actors: int):
    table = pa.table({"content_sha256": ["a"], "uri": ["a"], "bytes": [1]})
    with pytest.raises(PipelineError, match="No space left on device; free some space and run the same command again"):
        look([FullDisk(code=errno.ENOSPC, actors=actors)], table, 1, lambda _: None)


def test_a_reader_that_stops_early_leaves_nothing_behind():
    tables = stream([Double(), Slow(seconds=0.2, actors=1)], numbers(*range(40)), 1)
    next(iter(tables))
    tables.close()
    assert not engines()


def test_an_engine_started_ahead_is_the_first_to_work():
    with kept(started_ahead=True):
        (ahead,) = engines()
        found = pa.concat_tables(stream([WhereAmI.column("place", actors=1)], numbers(1), 1))
        assert found["place"].to_pylist()[0].startswith(f"{ahead.pid}/")
    assert not engines()


def test_an_engine_started_ahead_and_not_needed_goes():
    with kept(started_ahead=True):
        assert len(engines()) == 1
    assert not engines()


def test_engines_that_are_kept_work_for_the_next_plan():
    places = []
    with kept():
        for number in range(3):
            stages = [CountDown(), WhereAmI.column("place", actors=1)]
            found = pa.concat_tables(stream(stages, numbers(number + 1), 2))
            places.append(found["place"][0].as_py().partition("/")[0])
        assert len(engines()) == 1
    assert len(set(places)) == 1
    assert not engines()


def test_what_is_foreseen_is_opened_once_while_other_work_is_done(tmp_path: Path):
    note = tmp_path / "note"
    with kept():
        foresee(Noted(file=str(note), actors=1))
        list(stream([CountDown(), WhereAmI.column("place", actors=1)], numbers(1), 1))
        before = note.read_text()
        (found,) = stream([Noted(file=str(note), actors=1)], numbers(7), 1)
        assert found["n"].to_pylist() == [7]
        assert note.read_text() == before == f"{before.strip()}\n"
        list(stream([Noted(file=str(note), actors=1)], numbers(7), 1))  # what was opened is used up
        assert note.read_text() == 2 * before


def test_what_cannot_be_opened_ahead_harms_only_who_needs_it(tmp_path: Path):
    bad = Noted(file=str(tmp_path / "note"), fails=True, actors=1)
    with kept():
        foresee(bad)
        list(stream([CountDown(), Double(actors=1)], numbers(1), 1))
        with pytest.raises(StageError, match="its weights cannot be read"):
            list(stream([bad], numbers(1), 1))


def test_several_engines_open_nothing_ahead(tmp_path: Path):
    with kept():
        foresee(Noted(file=str(tmp_path / "note"), actors=1))
        list(stream([CountDown(), Slow(seconds=0.1, actors=2)], numbers(*range(8)), 1))
        assert not (tmp_path / "note").exists()


def test_nothing_is_foreseen_where_no_engine_is_kept(tmp_path: Path):
    foresee(Noted(file=str(tmp_path / "note"), actors=1))
    list(stream([CountDown(), Double(actors=1)], numbers(1), 1))
    assert not (tmp_path / "note").exists()


def test_an_engine_that_died_while_it_was_kept_is_replaced():
    with kept(started_ahead=True):
        (ahead,) = engines()
        ahead.kill()
        ahead.wait()
        assert rows_of(list(stream([Double(actors=1)], numbers(1, 2), 2))) == [
            (("n", 1), ("twice", 2)),
            (("n", 2), ("twice", 4)),
        ]
    assert not engines()


DRIVER = """
import sys, threading
from pipelines.local.pool import stream
from tests.pipelines.test_local import Slow, numbers
from tests.fakes import Double

stages = [Double(), Slow(seconds=600, actors=1)]
threading.Thread(target=lambda: list(stream(stages, numbers(1), 1)), daemon=True).start()
import psutil, time
while not (found := psutil.Process().children()): time.sleep(0.05)
print(found[0].pid, flush=True)
sys.stdin.readline()
"""


def test_engines_die_with_their_driver():
    command = [sys.executable, "-c", DRIVER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as driver:
        assert driver.stdout is not None
        engine = psutil.Process(int(driver.stdout.readline()))
        driver.kill()
        driver.wait()
        engine.wait(10)


def test_two_threads_may_stream_at_once():
    found: list[pa.Table] = []
    threads = [
        threading.Thread(target=lambda: found.extend(stream([CountDown(), Double(actors=1)], numbers(3), 2)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert rows_of(found) == sorted(2 * rows_of(run_local([CountDown(), Double()], numbers(3))))
