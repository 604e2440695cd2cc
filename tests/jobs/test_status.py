"""`nightjar status`: what it says of nights that wait, run, end well, fail, are interrupted or killed."""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from upath import UPath

from jobs import status
from jobs.watching.nights import State, nights_in, span, standing
from jobs.watching.watch import Watch
from model_registry.errors import NightjarError, UsageError
from pipelines.attempts import Attempts
from pipelines.places import write_table
from tests.watched import DAY, break_off, busy, progress_of, receipts

ROOT = Path(__file__).parents[2]
BUSY = busy(decode=234.0, eyes=750.0, commit=8.0, hear=8.0)


@pytest.fixture
def night(tmp_path):
    return tmp_path / f"dt={DAY}"


def call(*words: object) -> int:
    parser = argparse.ArgumentParser()
    status.add_arguments(parser)
    return status.run(parser.parse_args([str(word) for word in words]))


def finish(folder: Path, run: str = "run-1", **counts: object) -> None:
    """A night that ended well."""
    with Watch(folder, "recall", run) as watch, watch.step("looking", 1) as step:
        step.advance(watch.receipts(receipts({"content_sha256": "a", "busy": BUSY})))
        found = {"pass": 7, "review": 2, "block": 1, "errors": {"not_found": 3, "damaged": 1}} | counts
        summary = {
            "run": {"id": run},
            "counts": found,
            "busy_s": {"eyes": 0.75, "decode": 0.234, "commit": 0.008, "hear": 0.008},
        }
        (folder / "summary.json").write_text(json.dumps(summary))


def fail(folder: Path, error: BaseException) -> None:
    """A night that ended otherwise."""
    with pytest.raises(type(error)):
        break_off(folder, error)


def rewrite(folder: Path, **changes: object) -> None:
    (folder / "progress.json").write_text(json.dumps(progress_of(folder) | changes))


@pytest.fixture
def running(night):
    """A night that runs here, as long as the test does."""
    with Watch(night, "recall", "run-1") as watch, watch.step("looking", 40) as step:
        watch.queue(12, datetime.now(UTC) - timedelta(hours=5))
        for sha256 in "abcdefgh":
            error = "damaged" if sha256 in "ab" else None
            step.advance(watch.receipts(receipts({"content_sha256": sha256, "error_code": error})))
        watch._keeper.tell()
        yield night


def test_a_folder_without_a_run_waits(night, capsys):
    night.mkdir()

    assert call(night.parent) == 0
    assert "waiting" in capsys.readouterr().out


def test_a_run_shows_how_far_it_is(running, capsys):
    assert call(running) == 0
    shown = capsys.readouterr().out

    assert f"process {os.getpid()} on {socket.gethostname()}" in " ".join(shown.split())
    for wanted in ("running", "looking", "8 of 40", "damaged 2", "12 uploads waited", "step began"):
        assert wanted in " ".join(shown.split())


def test_a_run_shows_what_is_in_hand_and_what_was_given_up(running, capsys):
    given_up = {"video_id": ["v7"], "error_code": ["model_crashed"], "error_message": ["eyes died"], "attempts": [3]}
    write_table(running / "failed.parquet", pa.table(given_up))
    with Attempts(UPath(running / "features" / "lite@2" / "frames-v3" / "attempts")).working([("5e" * 32, 4)]):
        assert call(running) == 0
    shown = " ".join(capsys.readouterr().out.split())

    assert f"{'5e' * 8} window 4 on {socket.gethostname()}" in shown
    assert "given up: 1" in shown
    assert "v7 model_crashed: eyes died (3 attempts)" in shown


def test_a_night_that_is_done_shows_its_verdicts(night, capsys):
    finish(night)

    assert call(night) == 0
    header, row, *details = capsys.readouterr().out.splitlines()
    assert header.split() == ["night", "state", "block", "review", "pass", "errors", "heard", "of"]
    assert row.split()[:2] == [DAY, "done"]
    assert row.split()[2:9] == ["1", "2", "7", "not_found", "3,", "damaged", "1"]
    bars = {line.split()[0]: line.split()[1:] for line in details if "█" in line}
    assert bars == {"eyes": ["75%", "█" * 22], "decode": ["23%", "█" * 7], "others": ["2%", "█"]}


def test_a_night_that_failed_says_why_and_what_to_do(night, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["nightjar", "recall", "--date", DAY])
    fail(night, NightjarError("bank films cannot be opened"))

    assert call(night) == 1
    shown = " ".join(capsys.readouterr().out.split())
    assert "failed: bank films cannot be opened; run the same command again: nightjar recall --date" in shown


def test_an_interrupted_night_wants_help_too(night, capsys):
    fail(night, KeyboardInterrupt())

    assert call(night) == 1
    assert "interrupted" in capsys.readouterr().out


def test_a_killed_run_has_stalled_at_once(night, capsys):
    command = [sys.executable, str(ROOT / "tests" / "watched.py"), str(night)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout.readline() == "watching\n"
        assert standing(night).state is State.RUNNING
        process.kill()
    told = progress_of(night)

    assert call(night) == 1
    shown = " ".join(capsys.readouterr().out.split())
    assert told["state"] == "running"
    assert f"process {process.pid} is gone: killed after {told['updated_at']}; run the same command again" in shown
    assert "1 of 10" in shown


def test_a_run_of_another_machine_stalls_when_it_is_quiet(running):
    now = datetime.now(UTC)
    rewrite(running, host="elsewhere", pid=1)
    assert standing(running, now + timedelta(seconds=30)).state is State.RUNNING
    late = standing(running, now + timedelta(minutes=5))

    assert late.state is State.STALLED
    assert "process 1 on elsewhere has said nothing for 5 min" in late.why


def test_a_process_id_that_came_again_is_another_process(running):
    rewrite(running, process_started_at=progress_of(running)["process_started_at"] - 3600)

    assert standing(running).state is State.STALLED


def test_a_run_killed_after_its_summary_is_done(night):
    finish(night)
    rewrite(night, state="running", pid=2**22 + 1)

    assert standing(night).state is State.DONE


def test_the_summary_of_an_earlier_run_does_not_finish_this_one(night):
    finish(night, run="run-0")
    rewrite(night, state="running", pid=2**22 + 1, run="run-1")

    assert standing(night).state is State.STALLED


def test_a_night_of_an_earlier_version_is_done(night, capsys):
    finish(night)
    (night / "progress.json").unlink()

    assert call(night) == 0
    assert "done" in capsys.readouterr().out


@pytest.mark.parametrize("torn", [b"", b"{", b"[]", b"{}", b"\xff", b'{"state": "running"}'])
def test_what_cannot_be_read_is_no_progress(night, torn):
    night.mkdir()
    (night / "progress.json").write_bytes(torn)

    assert standing(night).state is State.WAITING


def test_the_newest_night_decides_and_has_the_details(tmp_path, capsys):
    fail(tmp_path / "dt=2026-11-19", NightjarError("the first"))
    finish(tmp_path / "dt=2026-11-20")
    assert call(tmp_path) == 0
    quiet = capsys.readouterr().out
    fail(tmp_path / "dt=2026-11-21", NightjarError("the last"))
    assert call(tmp_path) == 1
    shown = capsys.readouterr().out

    assert "the first" not in quiet
    assert "█" not in quiet
    assert "the last" in shown
    assert [line.split()[0] for line in shown.splitlines()[1:4]] == ["2026-11-19", "2026-11-20", "2026-11-21"]


def test_only_the_newest_nights_are_shown(tmp_path, capsys):
    for day in range(10, 20):
        (tmp_path / f"dt=2026-11-{day}").mkdir()
    call(tmp_path, "--nights", 3, "--json")

    assert [json.loads(line)["night"] for line in capsys.readouterr().out.splitlines()] == [
        f"2026-11-{day}" for day in (17, 18, 19)
    ]


def test_json_is_one_object_a_night(tmp_path, capsys):
    finish(tmp_path / "dt=2026-11-20")
    fail(tmp_path / "dt=2026-11-21", NightjarError("no"))

    assert call(tmp_path, "--json") == 1
    good, bad = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (good["night"], good["state"], good["why"], good["counts"]["pass"]) == ("2026-11-20", "done", None, 7)
    assert (bad["state"], bad["counts"], bad["progress"]["error"]) == ("failed", None, "no")


def test_nights_in_a_store_are_shown_too(capsys):
    folder = UPath("memory://status")
    with Watch(folder / f"dt={DAY}", "recall", "run-1") as watch, watch.step("looking", 1) as step:
        step.advance(1)

    assert call("memory://status") == 0
    assert DAY in capsys.readouterr().out
    assert call(f"memory://status/dt={DAY}") == 0
    assert "step ended" in capsys.readouterr().out


def test_watching_ends_with_the_run(night, capsys, monkeypatch):
    monkeypatch.setattr(status, "EVERY_S", 0.02)
    begun, go_on = threading.Event(), threading.Event()

    def work() -> None:
        with Watch(night, "recall", "run-1") as watch, watch.step("looking", 1):
            begun.set()
            assert go_on.wait(60)

    run = threading.Thread(target=work)
    run.start()
    assert begun.wait(60)
    threading.Timer(0.3, go_on.set).start()
    began = time.monotonic()

    assert call(night, "--watch") == 0
    assert time.monotonic() - began >= 0.3
    run.join()
    assert [DAY, "done"] in [line.split()[:2] for line in capsys.readouterr().out.splitlines()]


def test_hostile_names_and_secrets_stay_off_the_terminal(night, capsys):
    fail(night, NightjarError("evil \x1b[31m https://a:hunter2@b/c?sig=hunter2 [bold]x[/bold]"))
    hostile = {"video_id": ["\x1b]0;title\x07 https://u:hunter2@h/v"], "error_code": ["x"], "error_message": ["[red]"]}
    write_table(night / "failed.parquet", pa.table(hostile | {"attempts": pa.array([None], pa.int32())}))
    (night / "logs" / "run-1.jsonl").write_bytes(b'{"time": "2026-11-21T10:00:00.000Z", "lev\n\x1b[2J')
    call(night)
    shown = capsys.readouterr().out

    assert "\x1b" not in shown
    assert "hunter2" not in shown
    assert "[bold]x[/bold]" in shown
    assert "[red]" in shown


def test_a_folder_without_a_night_is_a_wrong_call(tmp_path):
    with pytest.raises(UsageError, match=r"holds no night: wanted folders dt=YYYY-MM-DD, progress\.json or summary"):
        nights_in(tmp_path)
    with pytest.raises(UsageError, match="holds no night"):
        nights_in(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (99, "99 s"), (300, "5 min"), (7200, "2.0 h"), (200_000, "55.6 h"), (864_000, "10 d")],
)
def test_spans_are_said_as_people_say_them(seconds, said):
    assert span(seconds) == said


def test_it_imports_no_heavy_library(night):
    finish(night)
    script = (
        "import sys; from jobs.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit as end: status = end.code\n"
        "heavy = {'torch', 'ray', 'decord', 'av', 'onnxruntime', 'mlflow', 's3fs', 'lance'} & set(sys.modules)\n"
        "print('HEAVY', sorted(heavy)); sys.exit(status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "status", str(night)], capture_output=True, text=True, timeout=120, cwd=ROOT
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "HEAVY []"
    assert DAY in done.stdout
