"""The recall: resumable after a kill, one verdict a row, the same content decoded once, judged again without models."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.lock import lock
from pipelines.pieces import write_piece
from tests.mixed import write_video
from tests.windows import looked_at, window

pytestmark = pytest.mark.usefixtures("lite")
VIDEOS = 12


def command(manifest: Path, output: Path) -> list[str]:
    options = ["--date", "2026-11-21", "--input", str(manifest), "--output", str(output)]
    return [sys.executable, "-m", "jobs.recall", *options]


@pytest.fixture(scope="module")
def manifest(tmp_path_factory) -> Path:
    """Twelve videos, the first uploaded three times, one that is not there."""
    folder = tmp_path_factory.mktemp("uploads")
    rows = []
    for index in range(VIDEOS):
        path = folder / f"{index}.mp4"
        write_video(path, "mp4-h264", seconds=4, seed=index, size=(320, 192))
        rows.append({"video_id": f"v{index}", "uri": str(path), "views": 10**index, "title": f"視頻 <{index}>"})
    rows += [{"video_id": f"copy{index}", "uri": rows[0]["uri"], "views": 5, "title": None} for index in range(2)]
    rows.append({"video_id": "gone", "uri": str(folder / "gone.mp4"), "views": None, "title": None})
    pq.write_table(pa.Table.from_pylist(rows), folder / "manifest.parquet")
    return folder / "manifest.parquet"


@pytest.fixture(scope="module")
def night(manifest, tmp_path_factory) -> Path:
    """The undisturbed run."""
    output = tmp_path_factory.mktemp("recalls")
    done = subprocess.run(command(manifest, output), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return output / "dt=2026-11-21"


def verdicts(folder: Path) -> list[dict]:
    table = pq.read_table(folder / "verdicts.parquet").drop_columns(["decided_at"])
    return table.to_pylist()


def test_one_verdict_a_manifest_row_in_its_order(manifest, night):
    wanted = pq.read_table(manifest)["video_id"].to_pylist()

    assert [row["video_id"] for row in verdicts(night)] == wanted
    assert verdicts(night)[-1]["error_code"] == "not_found"


def test_the_same_content_is_decoded_once(night):
    summary = json.loads((night / "summary.json").read_text())
    rows = {row["video_id"]: row for row in verdicts(night)}

    assert summary["counts"]["contents_looked_at"] == VIDEOS
    assert rows["copy0"]["content_sha256"] == rows["v0"]["content_sha256"]
    assert rows["copy0"]["suggestion"] == rows["v0"]["suggestion"]


def test_every_signal_names_its_pinned_model(night):
    sources = set(pq.read_table(night / "signals.parquet")["source"].to_pylist())
    summary = json.loads((night / "summary.json").read_text())

    assert sources <= set(summary["versions"]["models"])
    assert all("@" in source for source in summary["versions"]["models"])


def kill_tree(process: subprocess.Popen) -> None:
    """SIGKILL the driver and all it started, workers and decode children included."""
    tree = [process.pid, *[child.pid for child in psutil.Process(process.pid).children(recursive=True)]]
    for pid in tree:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    process.wait()


def test_a_killed_run_is_finished_by_running_it_again(manifest, night, tmp_path):
    folder = tmp_path / "dt=2026-11-21"
    process = subprocess.Popen(command(manifest, tmp_path), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 200
    while not list(folder.rglob("windows-*.parquet")) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.02)
    assert process.poll() is None, "the run ended before it could be killed"
    kill_tree(process)
    assert not (folder / "verdicts.parquet").exists()

    done = subprocess.run(command(manifest, tmp_path), capture_output=True, text=True, timeout=300)

    assert done.returncode == 0, done.stderr
    assert verdicts(folder) == verdicts(night)
    assert json.loads((folder / "summary.json").read_text())["counts"]["contents_looked_at"] < VIDEOS


def test_what_failed_is_listed_and_looked_at_again_when_asked(manifest, night, tmp_path):
    """A decoder crashed on one content; the next run leaves it alone, --retry-failed does not."""
    again = shutil.copytree(night, tmp_path / night.name)
    (features,) = {path.parent for path in again.rglob("windows-*.parquet")}
    sha256 = verdicts(night)[1]["content_sha256"]
    write_piece(features, looked_at(window(sha256, error_code="decoder_crashed", attempts=2)))

    done = subprocess.run(command(manifest, tmp_path), capture_output=True, text=True, timeout=300)
    failed = {row["video_id"]: row for row in pq.read_table(again / "failed.parquet").to_pylist()}
    assert (done.returncode, failed.keys()) == (0, {"v1", "gone"})
    assert (failed["v1"]["error_code"], failed["v1"]["attempts"]) == ("decoder_crashed", 3)
    assert verdicts(again)[1]["suggestion"] == "review"

    retry = [*command(manifest, tmp_path), "--retry-failed"]
    done = subprocess.run(retry, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert verdicts(again) == verdicts(night)
    assert pq.read_table(again / "failed.parquet")["video_id"].to_pylist() == ["gone"]
    assert json.loads((again / "summary.json").read_text())["counts"]["contents_looked_at"] == 1


def test_two_runs_of_one_night_do_not_meet(manifest, tmp_path):
    with lock(tmp_path / "dt=2026-11-21", "recall"):
        done = subprocess.run(command(manifest, tmp_path), capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert f"dt=2026-11-21 is being worked at by recall, process {os.getpid()} on " in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.fixture
def small_disk(tmp_path):
    """A disk of its own that can grow; only root has one."""
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", tmp_path], capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    yield tmp_path
    subprocess.run(["umount", "--lazy", tmp_path], check=True)


def test_a_full_disk_ends_in_one_sentence_and_the_run_goes_on_when_there_is_room(manifest, night, small_disk):
    done = subprocess.run(command(manifest, small_disk), capture_output=True, text=True, timeout=300)
    assert done.returncode == 1, done.stderr
    assert "No space left on device" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not (small_disk / night.name / "verdicts.parquet").exists()

    subprocess.run(["mount", "-o", "remount,size=100m", small_disk], check=True)
    done = subprocess.run(command(manifest, small_disk), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert verdicts(small_disk / night.name) == verdicts(night)


def test_judging_again_opens_no_video_and_needs_no_model(night, tmp_path):
    """Neither the videos nor the models are there, and no heavy library is imported."""
    script = (
        "import sys; from jobs.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit as end: status = end.code\n"
        "heavy = {'torch', 'ray', 'decord', 'av', 'onnxruntime', 'mlflow'} & set(sys.modules)\n"
        "print('HEAVY', sorted(heavy)); sys.exit(status)"
    )
    moved = night.rename(tmp_path / "night")
    try:
        arguments = ["judge", str(moved), "--policy", "strict", "--json"]
        environment = os.environ | {"NIGHTJAR_HOME": str(tmp_path / "empty"), "CUDA_VISIBLE_DEVICES": ""}
        done = subprocess.run(
            [sys.executable, "-c", script, *arguments], capture_output=True, text=True, timeout=120, env=environment
        )
        *rows, heavy = done.stdout.splitlines()

        assert done.returncode == 0, done.stderr
        assert heavy == "HEAVY []"
        assert len(rows) == VIDEOS + 3
        assert {json.loads(row)["policy"].partition("@")[0] for row in rows} == {"strict"}
        assert "against the verdicts of record" in done.stderr
        assert verdicts(moved)[0]["policy"].startswith("default@")
    finally:
        moved.rename(night)


def test_a_night_from_before_there_were_banks_is_judged_by_the_day_it_ran(night, tmp_path):
    older = shutil.copytree(night, tmp_path / "older")
    summary = json.loads((older / "summary.json").read_text("utf-8"))
    ran_on = summary["run"]["started_at"][:10]
    del summary["run"]["day"]
    (older / "summary.json").write_text(json.dumps(summary), "utf-8")
    judge = [sys.executable, "-m", "jobs.judge", str(older), "--policy", "strict", "--output", str(tmp_path / "out")]
    done = subprocess.run(judge, capture_output=True, text=True, timeout=120)

    assert done.returncode == 0, done.stderr
    assert verdicts(tmp_path / "out")
    assert json.loads((tmp_path / "out" / "summary.json").read_text("utf-8"))["run"]["day"] == ran_on


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("uri\na.mp4\n", "lacks video_id"),
        ("video_id,uri\na,a.mp4\na,b.mp4\n", "'a'"),
        ("video_id,uri\n", "is empty"),
    ],
)
def test_a_bad_manifest_stops_before_anything_starts(tmp_path, content, complaint):
    (tmp_path / "manifest.csv").write_text(content)
    done = subprocess.run(
        command(tmp_path / "manifest.csv", tmp_path / "out"), capture_output=True, text=True, timeout=60
    )

    assert done.returncode == 2
    assert complaint in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()
