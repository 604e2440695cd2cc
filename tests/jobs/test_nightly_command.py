"""Nights that are due: run once, oldest first, whatever one of them does; late manifests; one message a night."""

from __future__ import annotations

import json
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from jobs import nightly
from model_registry.errors import NightjarError, UsageError
from pipelines.lock import lock
from tests.mixed import write_video

NOW = "2026-11-22T03:00+08:00"
COUNTS = {"videos": 3, "block": 1, "review": 1, "pass": 1, "incomplete": 0, "errors": {"not_found": 1}}


class Recalls:
    """Stands in for `jobs.recall.run`: leaves a summary.json, or does what a night was told to do."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.does: dict[date, Any] = {}

    def __call__(self, args: Any) -> int:
        self.calls.append(args)
        deed = self.does.get(args.date, 0)
        if isinstance(deed, BaseException):
            raise deed
        folder = Path(args.output) / f"dt={args.date}"
        folder.mkdir(parents=True, exist_ok=True)
        if not deed:
            (folder / "summary.json").write_text(json.dumps({"counts": COUNTS}))
        return deed

    @property
    def nights(self) -> list[int]:
        return [args.date.day for args in self.calls]


@pytest.fixture
def recalls(monkeypatch) -> Recalls:
    stand_in = Recalls()
    monkeypatch.setattr("jobs.recall.run", stand_in)
    return stand_in


@pytest.fixture
def told(monkeypatch) -> list[dict]:
    """What the webhook was told; it goes through the same JSON."""
    messages: list[dict] = []
    monkeypatch.setenv("HOOK", "https://hooks.example/T0/s3cret")
    monkeypatch.setattr(
        "jobs.scheduling.webhook.Webhook.send", lambda _, payload: messages.append(json.loads(json.dumps(payload)))
    )
    return messages


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """A schedule and the manifests of three nights."""
    monkeypatch.chdir(tmp_path)
    schedule(tmp_path)
    for day in (19, 20, 21):
        manifest(tmp_path, day)
    return tmp_path


def schedule(place: Path, **changes: Any) -> None:
    values = {
        "at": "02:30",
        "timezone": "Asia/Shanghai",
        "input": "in/dt=%Y-%m-%d/",
        "output": "out",
        "webhook": "env:HOOK",
    }
    lines = [f"{name} = {value!r}" for name, value in ({**values, "catch_up_nights": 3} | changes).items()]
    (place / "n.toml").write_text("\n".join(lines))


def manifest(place: Path, day: int, rows: str = "a,/a.mp4\n") -> None:
    folder = place / "in" / f"dt=2026-11-{day}"
    folder.mkdir(parents=True)
    (folder / "part-0.csv").write_text(f"video_id,uri\n{rows}")


def run(*options: str, now: str = NOW) -> int:
    import argparse

    parser = argparse.ArgumentParser()
    nightly.add_arguments(parser)
    return nightly.run(parser.parse_args(["n.toml", "--now", now, *options]))


def test_what_was_missed_is_run_oldest_first_and_once(place, recalls, told, capsys):
    assert run() == 0
    assert recalls.nights == [19, 20, 21]
    said = capsys.readouterr().err.splitlines()
    assert [line[:23] for line in said] == [f"night 2026-11-{day}: done," for day in (19, 20, 21)]
    assert "3 videos: 1 block, 1 review, 1 pass, 0 incomplete" in said[0]

    assert run() == 0
    assert recalls.nights == [19, 20, 21]
    assert capsys.readouterr().err == "no night is due that is not finished\n"
    assert len(told) == 3


def test_each_night_is_the_call_of_recall(place, recalls):
    schedule(place, policy="strict", options=["--skip", "ocr"], catch_up_nights=1)
    run()
    (args,) = recalls.calls

    assert (args.date, args.input, str(args.output)) == (date(2026, 11, 21), "in/dt=2026-11-21/", "out")
    assert (args.policy, args.bundle, args.skip) == ("strict", "lite", ["ocr"])


def test_only_what_is_not_finished(place, recalls):
    (place / "out" / "dt=2026-11-20").mkdir(parents=True)
    (place / "out" / "dt=2026-11-20" / "summary.json").write_text("{}")
    (place / "out" / "dt=2026-11-19").mkdir()  # begun and not finished
    run()

    assert recalls.nights == [19, 21]


def test_a_night_is_not_run_before_it_is_due(place, recalls):
    run(now="2026-11-22T02:29+08:00")
    assert recalls.nights == [19, 20], "and 18, whose manifest is not there"

    run(now="2026-11-22T02:30+08:00")
    assert recalls.nights == [19, 20, 21]


@pytest.mark.parametrize(
    ("deed", "status", "error"),
    [
        (NightjarError("the disk is full"), 1, "the disk is full"),
        (UsageError("manifest x lacks uri"), 2, "manifest x lacks uri"),
        (RuntimeError("the cluster is gone\nand more"), 1, "RuntimeError: the cluster is gone"),
        (SystemExit(2), 2, "the call of `nightjar recall` was wrong"),
        (1, 1, "exit status 1"),
    ],
)
def test_a_night_that_fails_stops_no_other(place, recalls, told, capsys, deed, status, error):
    recalls.does[date(2026, 11, 20)] = deed

    assert run() == status
    assert recalls.nights == [19, 20, 21]
    assert f"night 2026-11-20: failed, {error}\n" in capsys.readouterr().err
    assert [(one["status"], one["error"]) for one in told] == [("done", None), ("failed", error), ("done", None)]


def test_the_worst_status_is_the_commands(place, recalls):
    recalls.does = {date(2026, 11, 19): UsageError("wrong"), date(2026, 11, 20): NightjarError("bad")}

    assert run() == 2


def test_who_interrupts_stops_everything(place, recalls):
    recalls.does[date(2026, 11, 19)] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        run()

    assert recalls.nights == [19]


def test_what_the_webhook_is_told(place, recalls, told):
    schedule(place, catch_up_nights=1)
    run()
    (message,) = told

    assert message == {
        "event": "nightjar.night",
        "night": "2026-11-21",
        "status": "done",
        "counts": {"videos": 3, "block": 1, "review": 1, "pass": 1, "incomplete": 0},
        "errors": {"not_found": 1},
        "error": None,
        "seconds": message["seconds"],
        "report": "out/dt=2026-11-21/report.html",
        "text": message["text"],
    }
    assert message["text"].startswith("night 2026-11-21: done, 3 videos: 1 block")


def test_a_webhook_whose_variable_is_not_set_is_a_warning(place, recalls, monkeypatch, capsys):
    monkeypatch.delenv("HOOK", raising=False)

    assert run() == 0
    assert "warning: HOOK is not set" in capsys.readouterr().err


def test_a_late_manifest_is_waited_for_and_then_an_alarm_once(place, recalls, told, capsys):
    shutil.rmtree(place / "in" / "dt=2026-11-21")
    schedule(place, missing_after_hours=6)

    assert run() == 0
    assert "night 2026-11-21: waiting, there is no in/dt=2026-11-21/ yet\n" in capsys.readouterr().err
    assert [one["status"] for one in told] == ["done", "done"]

    assert run(now="2026-11-22T08:30+08:00") == 1
    assert "night 2026-11-21: missing, there is no" in capsys.readouterr().err
    assert [one["status"] for one in told[2:]] == ["missing"]

    assert run(now="2026-11-22T09:30+08:00") == 0
    assert len(told) == 3

    manifest(place, 21)
    assert run(now="2026-11-22T10:30+08:00") == 0
    assert recalls.nights == [19, 20, 21]
    assert told[-1]["status"] == "done"


def test_an_empty_folder_is_no_manifest_yet(place, recalls):
    (place / "in" / "dt=2026-11-21" / "part-0.csv").unlink()
    run()

    assert recalls.nights == [19, 20]


def test_a_manifest_that_is_still_being_written_is_waited_for(place, recalls):
    schedule(place, ready="in/dt=%Y-%m-%d/_SUCCESS")
    (place / "in" / "dt=2026-11-20" / "_SUCCESS").touch()
    run()

    assert recalls.nights == [20]


def test_a_night_that_somebody_else_works_at_is_left_to_him(place, recalls, told, capsys):
    def locked(args: Any) -> int:
        with lock(Path(args.output) / f"dt={args.date}", "recall"):
            raise AssertionError("unreachable")

    recalls_of_another = place / "out" / "dt=2026-11-21"
    with lock(recalls_of_another, "recall"), pytest.MonkeyPatch.context() as patch:
        patch.setattr("jobs.recall.run", locked)
        schedule(place, catch_up_nights=1)
        status = run()

    assert status == 0
    assert (
        "night 2026-11-21: running, out/dt=2026-11-21 is being worked at by recall, process" in capsys.readouterr().err
    )
    assert told == []


def test_an_output_that_cannot_be_reached_is_told(place, recalls, told, monkeypatch):
    def broken(_: object) -> bool:
        raise NightjarError("out cannot be reached: timeout")

    monkeypatch.setattr("jobs.nightly.places.exists", broken)
    with pytest.raises(NightjarError, match="cannot be reached"):
        run()

    assert [(one["night"], one["status"]) for one in told] == [("2026-11-21", "failed")]


def test_a_dry_run_changes_nothing(place, recalls, told, capsys):
    shutil.rmtree(place / "in" / "dt=2026-11-21")

    assert run("--dry-run") == 0
    assert recalls.calls == []
    assert told == []
    assert not (place / "out").exists()
    assert capsys.readouterr().err.splitlines() == [
        "night 2026-11-19: would run in/dt=2026-11-19/",
        "night 2026-11-20: would run in/dt=2026-11-20/",
        "night 2026-11-21: would wait for in/dt=2026-11-21/",
    ]


@pytest.mark.parametrize("now", ["2026-11-22T03:00", "tonight"])
def test_a_time_without_an_offset_is_none(place, now, capsys):
    with pytest.raises(SystemExit) as end:
        run(now=now)

    assert end.value.code == 2
    assert "wanted one such as 2026-11-22T03:00+08:00" in capsys.readouterr().err


@pytest.mark.usefixtures("lite", "ray_cluster")
def test_a_real_night_over_a_folder_of_tables(tmp_path, monkeypatch, capsys):
    """Two tables of one night, one with a video, one with none to be found."""
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "a.mp4", "mp4-h264", seconds=2, seed=1, size=(320, 192))
    manifest(tmp_path, 21, f"a,{tmp_path}/a.mp4\n")
    (tmp_path / "in" / "dt=2026-11-21" / "part-1.jsonl").write_text('{"video_id": "b", "uri": "/nowhere/b.mp4"}\n')
    (tmp_path / "in" / "dt=2026-11-21" / "_SUCCESS").touch()
    schedule(tmp_path, catch_up_nights=1, options=["--offline", "--skip", "speech", "ocr", "text"])
    status = run()
    rows = pq.read_table(tmp_path / "out" / "dt=2026-11-21" / "verdicts.parquet").to_pylist()

    assert status == 0
    assert [(row["video_id"], row["error_code"]) for row in rows] == [("a", None), ("b", "not_found")]
    assert "night 2026-11-21: done, 2 videos: " in capsys.readouterr().err
    assert run() == 0
    assert capsys.readouterr().err.endswith("no night is due that is not finished\n")
