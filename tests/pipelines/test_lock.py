"""The lock of a night: one holder, said by name, free again however he ends, on a disk and in a store."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from contextlib import suppress
from itertools import cycle

import pytest

from pipelines import lock as module
from pipelines.lock import NAME, LockedError, is_held, lock
from pipelines.places import place
from pipelines.processes import started_at

HOLD = """
import sys
from pathlib import Path
from pipelines.lock import lock
with lock(Path(sys.argv[1]), "recall"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(params=["disk", "store"])
def folder(request, tmp_path):
    return place(f"memory://{uuid.uuid4().hex}/night") if request.param == "store" else tmp_path / "night"


@pytest.fixture
def other(tmp_path):
    """Another process that holds the folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_the_second_is_refused_and_told_who_is_first(folder):
    with lock(folder, "recall"):
        with pytest.raises(LockedError, match=r"is being worked at by recall, process \d+ on .+, since 20"):
            lock(folder, "recall").__enter__()
        assert "recall, process" in is_held(folder)
    assert is_held(folder) is None
    with lock(folder, "again"):
        assert "again" in is_held(folder)


def test_an_error_lets_go(folder):
    with pytest.raises(ZeroDivisionError), lock(folder, "recall"):
        raise ZeroDivisionError
    assert is_held(folder) is None


def test_nobody_holds_what_is_not_there(folder):
    assert is_held(folder / "nowhere") is None


def test_a_killed_holder_lets_go_at_once(tmp_path, other):
    with pytest.raises(LockedError, match=f"process {other.pid} "):
        lock(tmp_path, "recall").__enter__()
    other.kill()
    other.wait()
    with lock(tmp_path, "recall"):
        pass


def test_who_waits_gets_it_when_the_first_is_done(tmp_path, other, monkeypatch):
    monkeypatch.setattr(module, "ASK_S", 0.01)
    monkeypatch.setattr(module.time, "sleep", lambda seconds: other.kill() or other.wait())
    with lock(tmp_path, "recall", wait=True):
        assert "recall" in is_held(tmp_path)


def test_a_claim_in_a_store_that_nobody_renews_is_void():
    folder = place(f"memory://{uuid.uuid4().hex}/night")
    stale = {"what": "recall", "host": "gone", "pid": 1, "since": "then", "key": "k"}
    (folder / NAME).write_text(json.dumps({**stale, "renewed": time.time() - module.VOID_S - 1}))
    assert is_held(folder) is None
    with lock(folder, "recall"):
        assert "gone" not in is_held(folder)


def test_a_claim_in_a_store_is_renewed(monkeypatch):
    monkeypatch.setattr(module, "RENEW_S", 0.01)
    folder = place(f"memory://{uuid.uuid4().hex}/night")
    seen = list[float]()
    with lock(folder, "recall"):
        deadline = time.monotonic() + 20
        while len(set(seen)) < 2 and time.monotonic() < deadline:
            with suppress(ValueError):  # this store writes in two steps: a look between them finds nothing
                seen.append(json.loads((folder / NAME).read_text())["renewed"])
            time.sleep(0.01)
    assert seen[0] < seen[-1]


def test_a_claim_seen_while_it_is_renewed_holds(monkeypatch):
    folder = place(f"memory://{uuid.uuid4().hex}/night")
    with lock(folder, "recall"):
        whole = (folder / NAME).read_bytes()
        for torn in (b"", whole[:20]):
            looks = cycle([torn, whole])
            monkeypatch.setattr(module, "read_bytes", lambda path, looks=looks: next(looks))
            assert "recall" in is_held(folder)
            with pytest.raises(LockedError, match="recall, process"), lock(folder, "scan"):
                pass


def test_a_claim_in_a_store_ends_with_its_process_where_that_can_be_seen():
    folder = place(f"memory://{uuid.uuid4().hex}/night")
    with lock(folder, "recall"):
        claim = json.loads((folder / NAME).read_text())
    for changed, held in (({}, True), ({"born": 1.0}, False), ({"born": 1.0, "host": "elsewhere"}, True)):
        (folder / NAME).write_text(json.dumps(claim | changed))
        assert bool(is_held(folder)) is held
    with subprocess.Popen([sys.executable, "-c", "pass"]) as gone:
        os.waitid(os.P_PID, gone.pid, os.WEXITED | os.WNOWAIT)  # nobody has buried it: it keeps its id and its start
        (folder / NAME).write_text(json.dumps(claim | {"pid": gone.pid, "born": started_at(gone.pid)}))
        assert is_held(folder) is None
    (folder / NAME).write_text(json.dumps(claim | {"pid": gone.pid}))
    assert is_held(folder) is None


def test_a_lost_answer_to_the_claim_is_no_other_runs_claim(monkeypatch):
    """The store made the file, the answer was lost, and the second try was told that there is one."""
    folder = place(f"memory://{uuid.uuid4().hex}/night")
    create = module.create

    def lost(path, content):
        create(path, content)
        raise FileExistsError

    monkeypatch.setattr(module, "create", lost)
    with lock(folder, "recall"):
        assert "recall" in is_held(folder)


def test_a_torn_claim_does_not_hold_a_store_for_ever():
    folder = place(f"memory://{uuid.uuid4().hex}/night")
    (folder / NAME).write_text("{")
    with lock(folder, "recall"):
        assert is_held(folder)
