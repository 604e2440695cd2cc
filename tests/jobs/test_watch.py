"""A run under watch: what its folder says while it runs, after it, and when it goes wrong."""

from __future__ import annotations

import json
import threading
import time
import warnings
from datetime import UTC, datetime, timedelta

import pytest
from upath import UPath

from jobs import progress
from jobs.watching import keeper, watch
from jobs.watching.meter import Meter
from jobs.watching.pace import Pace
from jobs.watching.uploads import Uploads, moment
from jobs.watching.watch import Watch, command_line
from model_registry.errors import NightjarError
from tests.watched import DAY, break_off, busy, contents, lines, progress_of, receipts


@pytest.fixture
def night(tmp_path):
    return tmp_path / f"dt={DAY}"


def test_a_meter_adds_up_receipts():
    meter = Meter()
    meter.read(
        receipts(
            {"content_sha256": "a", "last": False, "busy": busy(decode=30.0)},
            {"content_sha256": "a", "busy": busy(decode=10.0, eyes=120.0)},
            {"content_sha256": "b", "error_code": "damaged", "frames": 0, "duration_ms": None, "busy": None},
        )
    )

    assert (meter.contents, meter.frames, meter.video_ms, meter.errors) == (2, 20, 60_000, 1)
    assert meter.errors_by_code == {"damaged": 1}
    assert meter.busy_ms == {"decode": 40.0, "eyes": 120.0}
    assert meter.busy_share() == {"eyes": 0.75, "decode": 0.25}


def test_a_content_fails_once_however_many_of_its_windows_do():
    meter = Meter()
    first = meter.read(receipts({"content_sha256": "a", "error_code": "model_failed", "last": False}))
    again = meter.read(receipts({"content_sha256": "a", "error_code": "model_failed"}))

    assert (len(first), len(again)) == (1, 0)
    assert meter.errors_by_code == {"model_failed": 1}


def test_the_folder_tells_how_far_a_run_is(night):
    with Watch(night, "recall", "run-1", "Recall") as watch:
        with watch.step("hashing", 3) as step:
            step.advance(3)
        with watch.step("looking", 4) as step:
            finished = watch.receipts(
                receipts({"content_sha256": "a", "busy": busy(eyes=500.0)}, {"content_sha256": "b", "last": False})
            )
            step.advance(finished)
            step.pace.seen[0] = (time.monotonic() - 10, 0)  # as if the step had begun ten seconds ago
            watch.queue(7, datetime.now(UTC) - timedelta(hours=2))
            watch._keeper.tell()
            told = progress_of(night)

    assert finished == 1
    assert {name: told[name] for name in ("run", "job", "day", "state", "step", "done", "total")} == {
        "run": "run-1",
        "job": "recall",
        "day": DAY,
        "state": "running",
        "step": "looking",
        "done": 1,
        "total": 4,
    }
    assert (told["videos"], told["hours"], told["frames"]) == (1, pytest.approx(1 / 60, rel=1e-3), 20)
    assert told["busy_s"] == {"eyes": 0.5}
    assert told["busy_share"] == {"eyes": 1.0}
    assert told["queue"] == 7
    assert told["queue_age_s"] == pytest.approx(7200, abs=30)
    assert told["rate"] == pytest.approx(0.1, rel=0.2)
    assert told["eta_s"] == pytest.approx(30, rel=0.2)
    assert told["rss_bytes"] > 1 << 20
    assert told["last_success_at"] is None
    assert list(watch.steps_s) == ["hashing", "looking"]


def test_a_run_that_ended_well_says_so(night):
    with Watch(night, "recall", "run-1") as watch:
        watch.queue(7, "2020-01-01")
        with watch.step("looking", 1) as step:
            step.advance(1)
        watch.summary = "1 video: 1 pass"
    told = progress_of(night)

    assert (told["state"], told["error"], told["step"]) == ("done", None, None)
    assert (told["queue"], told["queue_age_s"]) == (0, 0.0)
    assert told["steps"] == {"looking": {"done": 1, "total": 1}}
    assert datetime.fromisoformat(told["last_success_at"]) >= datetime.fromisoformat(told["started_at"])
    assert lines(night, "run-1")[-1]["summary"] == "1 video: 1 pass"


@pytest.mark.parametrize(
    ("error", "state", "said"),
    [
        (NightjarError("bank films cannot be opened"), "failed", "bank films cannot be opened"),
        (ValueError("no such column"), "failed", "ValueError: no such column"),
        (KeyboardInterrupt(), "interrupted", "interrupted from outside"),
        (SystemExit(3), "interrupted", "SystemExit: 3"),
    ],
)
def test_what_ends_a_run_is_kept_and_goes_on(night, error, state, said):
    with pytest.raises(type(error)):
        break_off(night, error)
    told, last = progress_of(night), lines(night, "run-1")[-1]

    assert (told["state"], told["error"]) == (state, said)
    assert (told["step"], told["done"]) == ("looking", 2)
    assert told["last_success_at"] is None
    assert (last["event"], last["level"], last["error"]) == (f"run {state}", "error", said)
    assert (last["error_type"], last["step"]) == (type(error).__name__, "looking")


def test_progress_is_told_while_the_run_is_busy_elsewhere(night, monkeypatch):
    monkeypatch.setattr(keeper, "EVERY_S", 0.02)
    with Watch(night, "recall", "run-1") as watch, watch.step("looking", 5) as step:
        step.advance(3)
        until = time.monotonic() + 20
        while progress_of(night)["done"] != 3:
            assert time.monotonic() < until, "nobody told"
            time.sleep(0.01)


def test_the_log_has_a_line_for_all_that_happened(night):
    with Watch(night, "recall", "run-1", "Recall", {"bundle": "lite@2"}) as watch:
        with watch.step("hashing", 2):
            pass
        watch.event("bank opened", references=12)
    told = lines(night, "run-1")

    assert [line["event"] for line in told] == ["run began", "step began", "step ended", "bank opened", "run ended"]
    assert {line["run"] for line in told} == {"run-1"}
    assert told[0]["versions"] == {"bundle": "lite@2"}
    assert told[3]["references"] == 12
    assert told[2]["seconds"] >= 0
    assert all(datetime.strptime(line["time"], "%Y-%m-%dT%H:%M:%S.%fZ") for line in told)


def test_a_failed_content_is_logged_with_its_uploads(night):
    with Watch(night, "recall", "run-1") as watch:
        rows = [{"video_id": f"v{index}", "uri": "x", "content_sha256": "aa"} for index in range(7)]
        gone = {"video_id": "gone", "uri": "y", "error_code": "not_found", "error_message": "there is no such file"}
        watch.ids(contents(*rows, {"video_id": "w", "uri": "z", "content_sha256": "bb"}, gone))
        watch.receipts(receipts({"content_sha256": "aa", "error_code": "damaged"}, {"content_sha256": "bb"}))
    failed = [line for line in lines(night, "run-1") if line["event"] == "video failed"]

    assert [line["error_code"] for line in failed] == ["not_found", "damaged"]
    assert (failed[0]["video_id"], failed[0]["error_message"]) == ("gone", "there is no such file")
    assert (failed[1]["content_sha256"], failed[1]["uploads"]) == ("aa", 7)
    assert failed[1]["video_ids"] == ["v0", "v1", "v2", "v3", "v4"]
    assert watch.meter.errors_by_code == {"not_found": 1, "damaged": 1}


def test_a_store_that_is_gone_fills_no_disk(night, monkeypatch):
    monkeypatch.setattr(watch, "LINES_A_CODE", 3)
    with Watch(night, "recall", "run-1") as watched:
        watched.receipts(receipts(*[{"content_sha256": f"{n}", "error_code": "fetch_failed"} for n in range(9)]))
    told = [line["event"] for line in lines(night, "run-1")][1:-1]

    assert told == ["video failed"] * 3 + ["more of these are counted, not logged"]
    assert progress_of(night)["errors"] == {"fetch_failed": 9}


def test_no_credential_is_kept(night, monkeypatch):
    monkeypatch.setattr("sys.argv", ["nightjar", "recall", "--input", "s3://key:hunter2@bucket/m.csv?sig=hunter2"])
    signed = "https://user:hunter2@host/v.mp4?X-Signature=hunter2"
    with Watch(night, "recall", "run-1", f"Recall of {signed}") as watch:
        watch.ids(contents({"video_id": signed, "uri": signed, "error_code": "x", "error_message": f"no {signed}"}))
        watch.event("opened", where=[signed], by={"uri": signed})
        progress.say(f"warning: {signed} is slow")
    with pytest.raises(ValueError, match="hunter2"):
        break_off(night, ValueError(f"cannot open {signed}"))
    kept = {path: path.read_text("utf-8") for path in night.rglob("*") if path.is_file()}

    assert {path.name for path in kept} == {"progress.json", "metrics.prom", "run-1.jsonl"}
    assert [path for path, text in kept.items() if "hunter2" in text] == []
    assert "s3://bucket/m.csv" in progress_of(night)["command"]


@pytest.mark.parametrize(
    ("argv", "wanted"),
    [
        (["/usr/bin/nightjar", "recall", "--limit", "3"], "nightjar recall --limit 3"),
        (["/srv/jobs/recall.py", "--input", "my videos"], "nightjar recall --input 'my videos'"),
        (["/srv/jobs/cli.py", "scan", "https://a:hunter2@h/v.mp4?sig=hunter2"], "nightjar scan https://h/v.mp4"),
    ],
)
def test_the_command_is_kept_as_it_would_be_typed(argv, wanted):
    assert command_line(argv) == wanted


def test_warnings_are_logged_and_shown(night, capsys):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with Watch(night, "recall", "run-1"):
            warnings.warn("the bank is old", UserWarning, stacklevel=1)
            progress.say("warning: the tracking store is down")
            progress.say("report: here")
    told = [line for line in lines(night, "run-1") if line["event"] in ("warned", "said")]

    assert [(line["level"], line["message"]) for line in told] == [
        ("warning", "the bank is old"),
        ("warning", "the tracking store is down"),
        ("info", "report: here"),
    ]
    assert told[0]["where"].startswith("test_watch.py:")
    assert [str(warning.message) for warning in caught] == ["the bank is old"]
    assert "warning: the tracking store is down" in capsys.readouterr().err


def test_outside_a_run_nobody_listens(night):
    before = warnings.showwarning
    with Watch(night, "recall", "run-1"):
        assert progress.listeners
    progress.say("after")

    assert progress.listeners == []
    assert warnings.showwarning is before
    assert "after" not in (night / "logs" / "run-1.jsonl").read_text()


def test_what_cannot_be_written_is_said_once_and_stops_nothing(tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    with Watch(tmp_path / "file" / f"dt={DAY}", "recall", "run-1") as watch:
        for _ in range(3):
            with watch.step("looking", 1) as step:
                step.advance(watch.receipts(receipts({"content_sha256": "a"})))
    said = capsys.readouterr().err.splitlines()

    assert watch.meter.contents == 3
    assert all(line.startswith("warning: ") for line in said)
    assert len(said) == len(set(said))
    assert any("the log" in line for line in said)
    assert any("progress" in line for line in said)


def test_a_remote_folder_has_it_all(monkeypatch):
    folder = UPath(f"memory://watched/dt={DAY}")
    with Watch(folder, "recall", "run-1") as watch:
        with watch.step("hashing", 1) as step:
            step.advance(1)
        saved = [line["event"] for line in lines(folder, "run-1")]
        told = progress_of(folder)

    assert saved == ["run began", "step began", "step ended"]
    assert told["steps"] == {"hashing": {"done": 1, "total": 1}}
    assert lines(folder, "run-1")[-1]["event"] == "run ended"
    assert progress_of(folder)["state"] == "done"
    assert "nightjar_last_success_timestamp_seconds" in (folder / "metrics.prom").read_text()


def test_the_last_good_night_is_remembered_by_those_that_go_wrong(tmp_path):
    def night(day: str, *, fails: bool) -> str | None:
        folder = tmp_path / f"dt={day}"
        try:
            with Watch(folder, "recall", "run"):
                if fails:
                    raise NightjarError("no")
        except NightjarError:
            pass
        return progress_of(folder)["last_success_at"]

    assert night("2026-11-19", fails=True) is None
    good = night("2026-11-20", fails=False)
    assert night("2026-11-21", fails=True) == good
    assert night("2026-11-22", fails=True) == good
    better = night("2026-11-21", fails=False)
    assert better > good
    assert night("2026-11-23", fails=True) == better


def test_the_pace_is_that_of_the_last_minutes(monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr("jobs.watching.pace.time.monotonic", lambda: clock[0])
    pace = Pace(window_s=100.0)
    rates = []
    for seconds, done in ((10, 5000), (100, 5010), (100, 5020), (100, 5030)):
        clock[0] += seconds
        rates.append(pace.rate(done))

    assert rates[0] == 500.0  # found finished by a run that resumes
    assert rates[-1] == pytest.approx(0.1)


def test_uploads_without_an_owner_are_none():
    assert Uploads().of(["aa"]) == {"aa": ([], 0)}
    assert list(Uploads().unreadable()) == []


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2026-11-21T10:00:00Z", "2026-11-21T10:00:00+00:00"),
        ("2026-11-21 18:00:00+08:00", "2026-11-21T18:00:00+08:00"),
        ("2026-11-21", "2026-11-21T00:00:00+00:00"),
        ("1795255200", "2026-11-21T10:00:00+00:00"),
        ("1795255200000", "2026-11-21T10:00:00+00:00"),
        ("yesterday", None),
        ("", None),
        (None, None),
    ],
)
def test_upload_times_are_read_as_manifests_write_them(text, wanted):
    found = moment(text)

    assert (found.isoformat() if found else None) == wanted


def test_progress_is_never_seen_half_written(night):
    """Whoever reads while it is written finds a whole object."""
    seen: list[str] = []
    over = threading.Event()

    def read() -> None:
        while not over.is_set():
            seen.append((night / "progress.json").read_text())

    with Watch(night, "recall", "run-1") as watch:
        reader = threading.Thread(target=read)
        reader.start()
        for _ in range(50):
            watch._keeper.tell()
        over.set()
        reader.join()

    assert len(seen) > 10
    assert {json.loads(text)["run"] for text in seen} == {"run-1"}
    assert sorted(path.name for path in night.iterdir()) == ["logs", "metrics.prom", "progress.json"]
