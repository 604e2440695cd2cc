"""`ray job submit` to a cluster with token authentication: the repository is the working directory, the night runs."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from benchmarks.chaos import DATE, recall, write_manifest
from benchmarks.nights.cluster import Cluster
from benchmarks.ports import free_port
from tests.chaos import made_uploads
from tests.media import REPOSITORY

pytestmark = pytest.mark.usefixtures("lite")
VIDEOS = 6


@pytest.fixture(scope="module")
def token(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("secret") / "auth_token"
    path.write_text(secrets.token_hex(16))
    return path


@pytest.fixture(scope="module")
def dashboard() -> str:
    return f"http://127.0.0.1:{free_port()}"


@pytest.fixture(scope="module")
def cluster(token, dashboard) -> Iterator[Cluster]:
    """A head with its dashboard that lets in only who has the token.

    One node: two on one machine would share the folder of uploads, and the one that is done with it clears it away
    under the other's feet.
    """
    options = ("--include-dashboard", "true", "--dashboard-host", "127.0.0.1")
    options += ("--dashboard-port", dashboard.rpartition(":")[2])
    environment = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
    with Cluster(environment, head_cpus=2, head_options=options) as nodes:
        yield nodes


def submit(dashboard: str, entrypoint: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    ray = str(Path(sys.executable).with_name("ray"))
    command = [ray, "job", "submit", "--address", dashboard, "--working-dir", str(REPOSITORY), "--", *entrypoint]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    # Its home has no token either: Ray looks for one in ~/.ray.
    inherited |= {"HOME": "/nonexistent", "RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": ""}
    return subprocess.run(command, capture_output=True, text=True, timeout=400, env=inherited | environment)


def test_a_submitted_night_gives_every_video_its_verdict(cluster, dashboard, token, tmp_path):
    manifest = write_manifest(made_uploads(tmp_path / "videos", VIDEOS), tmp_path / "manifest.parquet")
    entrypoint = recall(manifest, tmp_path / "recalls")
    done = submit(dashboard, entrypoint, RAY_AUTH_MODE="token", RAY_AUTH_TOKEN_PATH=str(token))

    assert done.returncode == 0, done.stdout + done.stderr
    assert "succeeded" in done.stdout
    verdicts = pq.read_table(tmp_path / "recalls" / f"dt={DATE}" / "verdicts.parquet").to_pylist()
    assert [row["video_id"] for row in verdicts] == pq.read_table(manifest)["video_id"].to_pylist()
    assert all(row["complete"] for row in verdicts)
    assert token.read_text() not in done.stdout + done.stderr


def test_it_runs_what_was_uploaded(cluster, dashboard, token):
    """And what is uploaded is small: neither `.git` nor `.venv`."""
    script = (
        "import os, jobs, ray; ray.init(); print('HERE', jobs.__file__);"
        "where = ray.remote(num_cpus=1)(lambda: __import__('pipelines').__file__);"
        "print('THERE', ray.get(where.remote())); print('LEFT OUT', not {'.git', '.venv'} & set(os.listdir()))"
    )
    done = submit(dashboard, [sys.executable, "-c", script], RAY_AUTH_MODE="token", RAY_AUTH_TOKEN_PATH=str(token))

    assert done.returncode == 0, done.stdout + done.stderr
    lines = dict(line.split(" ", 1) for line in done.stdout.splitlines() if line.startswith(("HERE", "THERE")))
    assert "working_dir_files" in lines["HERE"]
    assert "working_dir_files" in lines["THERE"]
    assert "LEFT OUT True" in done.stdout


def test_a_job_that_fails_says_so(cluster, dashboard, token, tmp_path):
    entrypoint = recall(tmp_path / "missing.parquet", tmp_path / "recalls")
    done = submit(dashboard, entrypoint, RAY_AUTH_MODE="token", RAY_AUTH_TOKEN_PATH=str(token))

    assert done.returncode != 0
    assert "missing.parquet" in done.stdout + done.stderr


@pytest.mark.parametrize("mode", ["disabled", "token"])
def test_without_the_token_nobody_submits(cluster, dashboard, tmp_path, mode):
    wrong = tmp_path / "wrong"
    wrong.write_text(secrets.token_hex(16))
    environment = {"RAY_AUTH_MODE": mode, "RAY_AUTH_TOKEN_PATH": str(wrong)}
    done = submit(dashboard, [sys.executable, "-c", f"open({str(tmp_path / 'ran')!r}, 'w')"], **environment)

    assert done.returncode != 0
    assert "token" in (done.stdout + done.stderr).lower()
    assert not (tmp_path / "ran").exists()


def test_a_driver_without_the_token_is_refused(cluster, token, tmp_path):
    """Not only at the dashboard: whoever joins the cluster itself needs it."""
    environment = {**os.environ, **cluster.environment, "RAY_ADDRESS": cluster.address, "RAY_AUTH_MODE": "disabled"}
    command = [sys.executable, "-c", "from jobs.session import ray_up\nwith ray_up() as has: print('IN', has)"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, env=environment)

    assert done.returncode != 0
    assert "IN" not in done.stdout
