"""The journal outlives whoever wrote it: deaths are found, with their cause, and nothing else is taken for one."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from pipelines.attempts import MOST_TAGS, Attempts, Death, Marker
from pipelines.faults import Fault
from pipelines.places import listed, place, write_text
from pipelines.rows import ErrorCode

ROOT = Path(__file__).parents[2]
A, B, C = (("a" * 64, 0), ("a" * 64, 1), ("c" * 64, 0))
WORKER = """
import ctypes, os, re, signal, sys, time
from pipelines.attempts import Attempts
from pipelines.places import place

signal.signal(signal.SIGINT, signal.default_int_handler)  # who tests in the background has it ignored
folder, stall_seconds, windows, harm = sys.argv[1:]
with Attempts(place(folder), float(stall_seconds)).working(eval(windows)) as log:
    log.step("the first")
    log.step("the second")
    print("ready", flush=True)
    eval(harm)
"""


def worker(folder, windows, harm, stall_seconds=60.0):
    command = [sys.executable, "-c", WORKER, str(folder), str(stall_seconds), repr(list(windows)), harm]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def dead(folder, windows, harm="os.kill(os.getpid(), signal.SIGKILL)", stall_seconds=60.0):
    """Let a worker die with windows in hand."""
    process = worker(folder, windows, harm, stall_seconds)
    process.communicate(timeout=60)
    assert process.returncode != 0


@pytest.fixture(params=["local", "remote"])
def folder(request, tmp_path):
    if request.param == "local":
        return place(str(tmp_path / "attempts"))
    return place(f"memory://attempts-{uuid.uuid4().hex}")


def marker_of(*windows, host=None, pid=None, started=1.0, since=None, faults="/nowhere"):
    """One that a process left which is no more; there is no process 0."""
    return Marker(windows, host or socket.gethostname(), pid or 0, started, since or time.time(), faults)


def leave(folder, marker, name="many.0"):
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / f"{name}.json", marker if isinstance(marker, str) else marker.to_text())


# What is a death


def test_work_that_ends_leaves_nothing(folder):
    journal = Attempts(folder)
    with journal.working([A, B]):
        assert [path.suffix for path in listed(folder, "*.json")] == [".json"]
    assert listed(folder, "*") == []
    assert journal.deaths([A, B]) == []


@pytest.mark.parametrize("error", [ValueError, MemoryError, KeyboardInterrupt, SystemExit])
def test_work_that_raises_leaves_nothing(folder, error):
    with pytest.raises(error), Attempts(folder).working([A]):
        raise error
    assert listed(folder, "*") == []


def test_work_in_hand_is_no_death(folder):
    journal = Attempts(folder)
    with journal.working([A, B]):
        assert Attempts(folder).deaths([A]) == journal.deaths([A]) == []


@pytest.mark.parametrize(
    ("harm", "fault"),
    [
        ("os.abort()", Fault("the second", ErrorCode.MODEL_CRASHED, "Aborted")),
        ("ctypes.string_at(0)", Fault("the second", ErrorCode.MODEL_CRASHED, "Segmentation fault")),
        ("ctypes.PyDLL(None).sleep(99)", Fault("the second", ErrorCode.MODEL_TIMEOUT, "Timeout (0:00:01)!")),
        ("re.match('(a+)+$', 'a' * 64 + 'b')", Fault("the second", ErrorCode.MODEL_TIMEOUT, "Timeout (0:00:01)!")),
        ("log.die('the GPU is lost')", Fault("the second", ErrorCode.MODEL_CRASHED, "the GPU is lost")),
        ("os.kill(os.getpid(), signal.SIGKILL)", Fault("the second")),
        ("os._exit(3)", Fault("the second")),
    ],
)
def test_a_death_tells_where_and_why(tmp_path, harm, fault):
    dead(tmp_path, [A, B], harm, stall_seconds=1.0)
    (death,) = Attempts(tmp_path).deaths([B, C])
    assert death == Death((A, B), fault)
    assert not death.alone


def test_each_step_has_the_whole_time(tmp_path):
    """Three steps of 0.6 s are no hang of 1 s."""
    process = worker(tmp_path, [A], "[(log.step(str(n)), time.sleep(0.6)) for n in range(3)]", stall_seconds=1.0)
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_only_deaths_of_these_windows_are_told_and_the_oldest_first(folder):
    for n, windows in enumerate([(A,), (C,), (A, B)]):
        leave(folder, marker_of(*windows, since=100.0 - n), f"many.{n}")
    assert [death.windows for death in Attempts(folder).deaths([A])] == [(A, B), (A,)]
    assert [death.alone for death in Attempts(folder).deaths([B, C])] == [False, True]
    assert Attempts(folder).deaths([("b" * 64, 0)]) == []


def test_a_process_id_that_came_again_is_another_process(folder):
    leave(folder, marker_of(A, pid=os.getpid(), started=1.0))
    assert len(Attempts(folder).deaths([A])) == 1


def test_a_process_that_nobody_has_buried_is_dead(tmp_path):
    """A zombie keeps its id and its start."""
    process = worker(tmp_path, [A], "os._exit(3)")
    assert process.stdout.readline() == "ready\n"
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert len(Attempts(tmp_path).deaths([A])) == 1
    process.communicate()


def test_a_worker_of_a_host_that_is_gone_was_killed(folder, tmp_path):
    leave(folder, marker_of(A, host="elsewhere", faults=str(tmp_path / "no such log")))
    assert Attempts(folder).deaths([A]) == [Death((A,), Fault())]


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"windows": 3}', '{"windows": [["a", 0]]}', '{"windows": [["a"]], "pid": 1}', "\udcff"],
)
def test_a_torn_marker_is_no_death(folder, text):
    """Whoever died writing it had not begun."""
    leave(folder, text)
    leave(folder, marker_of(A), "many.1")
    assert len(Attempts(folder).deaths([A, ("a", 0)])) == 1


def test_half_a_marker_is_no_death(folder):
    text = marker_of(A).to_text()
    for size in range(len(text)):
        leave(folder, text[:size], f"many.{size}")
    assert Attempts(folder).deaths([A]) == []


def test_a_log_that_is_torn_tells_what_it_can(tmp_path):
    for text, fault in [
        ("", Fault()),
        ("clip", Fault("clip")),
        ("clip\nFatal Python er", Fault("clip", ErrorCode.MODEL_CRASHED, "Fatal Python er")),
        ("clip\n\nnoise\nTimeout (0:15:00)!\n", Fault("clip", ErrorCode.MODEL_TIMEOUT, "Timeout (0:15:00)!")),
    ]:
        (tmp_path / "log").write_text(text)
        leave(tmp_path / "attempts", marker_of(A, faults=str(tmp_path / "log")))
        assert Attempts(tmp_path / "attempts").deaths([A]) == [Death((A,), fault)]


# Several at once


def test_two_workers_at_once_keep_their_own(tmp_path):
    first, second = worker(tmp_path, [A], "time.sleep(60)"), worker(tmp_path, [B, C], "time.sleep(60)")
    try:
        assert [process.stdout.readline() for process in (first, second)] == ["ready\n"] * 2
        journal = Attempts(tmp_path)
        assert journal.deaths([A, B, C]) == []
        assert {one[:2] for one in journal.open_windows()} == {A, B, C}
        assert {one.host for one in journal.open_windows()} == {socket.gethostname()}
        second.kill()
        second.wait()
        assert [death.windows for death in journal.deaths([A, B, C])] == [(B, C)]
        assert [one[:2] for one in journal.open_windows()] == [A]
        first.send_signal(signal.SIGINT)
        first.wait()
        assert journal.open_windows() == []
        assert [death.windows for death in journal.deaths([A, B, C])] == [(B, C)]
    finally:
        for process in (first, second):
            process.kill()
            process.communicate()


def test_a_marker_of_other_contents_is_not_read(folder, monkeypatch):
    """Nor is one read twice: a hundred workers write here."""
    journal, read = Attempts(folder), []
    monkeypatch.setattr("pipelines.attempts.read_bytes", lambda path: read.append(path.name) or b"")
    with journal.working([C]), journal.working([A]):
        assert journal.deaths([B]) == []
    assert len(read) == 1


def test_a_marker_is_read_once(folder, monkeypatch):
    leave(folder, marker_of(A))
    journal = Attempts(folder)
    assert len(journal.deaths([A])) == 1
    monkeypatch.setattr("pipelines.attempts.read_bytes", lambda path: pytest.fail("read again"))
    assert len(journal.deaths([A])) == 1


def test_a_block_of_very_many_contents_is_found_all_the_same(tmp_path):
    """Their tags do not fit in a file's name."""
    windows = [(f"{n:064x}", 0) for n in range(MOST_TAGS * 10)]
    dead(tmp_path, windows)
    journal = Attempts(tmp_path)
    assert [len(death.windows) for death in journal.deaths(windows[:1])] == [len(windows)]
    assert len(journal.deaths(windows)) == 1


# Afterwards


def test_nobody_works_where_there_is_no_folder(folder):
    assert Attempts(folder).deaths([A]) == []
    assert Attempts(folder).open_windows() == []
    Attempts(folder).clear()


def test_a_journal_that_is_cleared_knows_of_no_death(folder, tmp_path):
    (tmp_path / "log").write_text("clip\n")
    leave(folder, marker_of(A, faults=str(tmp_path / "log")))
    leave(folder, "{", "many.1")
    journal = Attempts(folder)
    assert len(journal.deaths([A])) == 1
    journal.clear()
    assert journal.deaths([A]) == []
    assert listed(folder, "*") == []
    assert not (tmp_path / "log").exists()


def test_a_marker_says_who_has_what_since_when(folder):
    began = time.time()
    with Attempts(folder).working([A]):
        (path,) = listed(folder, "*.json")
        fields = json.loads(path.read_text())
    assert fields["windows"] == [list(A)]
    assert (fields["host"], fields["pid"]) == (socket.gethostname(), os.getpid())
    assert began <= fields["since"] <= time.time()
    assert not Path(fields["faults"]).exists()
