"""Scan from the outside: the real command over a hundred mixed files, and what it leaves behind."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipelines.risk.verdicts import VERDICTS
from tests.mixed import Sample, write_hundred

pytestmark = pytest.mark.usefixtures("lite")


def nightjar(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "jobs.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=540, stdin=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def hundred(tmp_path_factory) -> list[Sample]:
    return write_hundred(tmp_path_factory.mktemp("uploads"))


@pytest.fixture(scope="module")
def scanned(hundred, tmp_path_factory) -> tuple[Path, list[dict]]:
    folder = tmp_path_factory.mktemp("scan")
    done = nightjar("scan", hundred[0].path.parent, "--output", folder, "--json")
    assert done.returncode == 0, done.stderr
    return folder, [json.loads(line) for line in done.stdout.splitlines()]


def test_every_file_gets_exactly_one_verdict(hundred, scanned):
    _, rows = scanned

    assert len(rows) == len(hundred) == 100
    assert {row["video_id"] for row in rows} == {sample.path.name for sample in hundred}
    assert all(row["suggestion"] in ("pass", "review", "block") for row in rows)
    assert all(set(row) == set(VERDICTS.names) for row in rows)


def test_every_file_ends_as_its_content_deserves(hundred, scanned):
    rows = {row["video_id"]: row for row in scanned[1]}

    wrong = {
        s.path.name: rows[s.path.name]["error_code"] for s in hundred if rows[s.path.name]["error_code"] not in s.codes
    }
    assert wrong == {}


def test_what_was_not_wholly_seen_is_reviewed_with_a_reason(scanned):
    broken = [row for row in scanned[1] if row["error_code"]]

    assert broken
    assert all(row["suggestion"] != "pass" and not row["complete"] for row in broken)
    assert all(row["error_message"] for row in broken)


def test_the_same_folder_again_gives_the_same_rows_and_decodes_nothing(hundred, scanned):
    folder, rows = scanned
    done = nightjar("scan", hundred[0].path.parent, "--output", folder, "--json")

    assert done.returncode == 0, done.stderr
    assert [json.loads(line) for line in done.stdout.splitlines()] == rows
    assert json.loads((folder / "summary.json").read_text())["throughput"]["frames"] == 0


def test_a_fresh_scan_of_some_of_them_agrees_with_the_first(hundred, scanned):
    some = [sample.path for sample in hundred if sample.path.name.startswith(("good-0", "cut-", "flipped-0"))]
    done = nightjar("scan", *some, "--json")
    rows = {row["content_sha256"]: row for row in scanned[1]}
    kept = ("suggestion", "labels", "segments", "error_code", "duration_ms", "priority")

    assert done.returncode == 0, done.stderr
    again = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(again) == len(some)
    for row in again:
        assert same([row[name] for name in kept], [rows[row["content_sha256"]][name] for name in kept]), row


def same(one, other):
    """Whether two values of JSON are equal, numbers up to what other batches and threads round otherwise."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, abs_tol=1e-4)
    return one == other


def test_the_output_folder_holds_what_the_design_promises(scanned):
    folder, rows = scanned
    summary = json.loads((folder / "summary.json").read_text())

    assert pq.read_schema(folder / "verdicts.parquet").equals(VERDICTS)
    assert summary["counts"]["videos"] == 100
    assert sum(summary["counts"]["errors"].values()) == sum(row["error_code"] is not None for row in rows)
    assert summary["run"]["mlflow_run"]
    assert (folder / "report.html").read_text("utf-8").startswith("<!DOCTYPE html>")
    assert not list(folder.rglob("*.part*"))


def test_a_path_that_is_not_there_is_one_sentence_and_status_2():
    done = nightjar("scan", "no/such/video.mp4")

    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "'no/such/video.mp4'" in done.stderr
