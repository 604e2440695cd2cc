"""Metrics: the text that Prometheus reads, and Ray's own endpoint scraped while a run is watched."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from benchmarks.ports import free_port
from jobs.watching.metrics import MEASURES, RayMetrics, exposed, values_of
from jobs.watching.watch import Watch
from tests.watched import DAY, busy, receipts

ROOT = Path(__file__).parents[2]
COMMON = {"job": "recall", "day": DAY}


@pytest.fixture
def ray_folder() -> Iterator[str]:
    """A short path: sockets are named in it."""
    with tempfile.TemporaryDirectory(prefix="nightjar-", ignore_cleanup_errors=True) as folder:
        yield folder


@pytest.fixture
def night(tmp_path) -> Path:
    """A run with two contents, one of which failed."""
    folder = tmp_path / f"dt={DAY}"
    with Watch(folder, "recall", "run-1") as watch, watch.step("looking", 2) as step:
        rows = {"content_sha256": "a", "busy": busy(decode=250.0, eyes=750.0)}, {"content_sha256": "b"}
        step.advance(watch.receipts(receipts(rows[0], rows[1] | {"error_code": "damaged"})))
    return folder


def samples(text: str) -> dict[tuple, float]:
    """By name and the labels beside job and day, which every sample must have."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            own = {name: value for name, value in sample.labels.items() if name not in COMMON}
            assert {name: sample.labels[name] for name in COMMON} == COMMON
            found[sample.name, *own.items()] = sample.value
    return found


def test_the_text_file_says_what_happened(night):
    found = samples((night / "metrics.prom").read_text())

    assert found.pop(("nightjar_last_success_timestamp_seconds",)) == pytest.approx(time.time(), abs=60)
    assert found == {
        ("nightjar_videos_total",): 2,
        ("nightjar_video_hours_total",): pytest.approx(2 / 60, rel=1e-3),
        ("nightjar_frames_total",): 20,
        ("nightjar_errors_total", ("code", "damaged")): 1,
        ("nightjar_stage_busy_seconds_total", ("stage", "decode")): 0.25,
        ("nightjar_stage_busy_seconds_total", ("stage", "eyes")): 0.75,
        ("nightjar_stage_busy_share", ("stage", "decode")): 0.25,
        ("nightjar_stage_busy_share", ("stage", "eyes")): 0.75,
        ("nightjar_queue_videos",): 0,
        ("nightjar_queue_age_seconds",): 0,
        ("nightjar_step_done", ("step", "looking")): 2,
        ("nightjar_step_size", ("step", "looking")): 2,
    }


def test_names_keep_the_conventions(night):
    """Only counters end in `_total`, every measure has a help text, and none has a time of creation."""
    text = (night / "metrics.prom").read_text()
    kinds = dict(line.split()[2:] for line in text.splitlines() if line.startswith("# TYPE"))

    assert kinds.keys() == MEASURES.keys()
    assert {name for name, kind in kinds.items() if kind == "counter"} == {n for n in kinds if n.endswith("_total")}
    assert text.count("# HELP") == len(kinds)
    assert "_created" not in text


def test_hostile_labels_stay_labels():
    text = exposed(COMMON, {"nightjar_errors_total": {'a"} 5\nevil 1': 2.0}})

    assert samples(text) == {("nightjar_errors_total", ("code", 'a"} 5\nevil 1')): 2.0}


def test_what_is_not_known_is_left_out():
    facts: dict = {"videos": 0, "hours": 0, "frames": 0, "errors": {}, "busy_s": {}, "busy_share": {}, "steps": {}}
    values = values_of(facts | {"queue": None, "queue_age_s": None, "last_success_at": None})

    assert "nightjar_last_success_timestamp_seconds" not in exposed(COMMON, values)
    assert samples(exposed(COMMON, values)) == {
        (name,): 0 for name in ("nightjar_videos_total", "nightjar_video_hours_total", "nightjar_frames_total")
    }


def test_counters_are_told_by_how_much_they_grew(monkeypatch):
    told: list[tuple[str, float, dict]] = []

    class Metric:
        def __init__(self, name: str) -> None:
            self.name = name

        def inc(self, value: float, tags: dict) -> None:
            told.append((self.name, value, tags))

        set = inc

    class Up:
        is_initialized = staticmethod(lambda: True)

    monkeypatch.setitem(sys.modules, "ray", Up)
    metrics = RayMetrics(COMMON)
    monkeypatch.setattr(metrics, "_metric", lambda measure: Metric(measure.name))
    for frames, rate in ((5, 0.5), (5, 0.5), (12, 0.25)):
        values = {"nightjar_frames_total": {"": frames}, "nightjar_stage_busy_share": {"eyes": rate}}
        metrics.push(values)

    assert [(value, tags) for name, value, tags in told if name == "nightjar_frames_total"] == [
        (5, COMMON),
        (7, COMMON),
    ]
    assert [(value, tags) for name, value, tags in told if name == "nightjar_stage_busy_share"] == [
        (rate, COMMON | {"stage": "eyes"}) for rate in (0.5, 0.5, 0.25)
    ]


def test_the_operations_guide_names_all_measures_and_no_other():
    guide = (ROOT / "docs" / "operations.md").read_text("utf-8")
    scrape, rules = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", guide, re.DOTALL)]
    expressions = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]

    assert set(re.findall(r"nightjar_\w+", guide)) == MEASURES.keys()
    assert all("nightjar_" in expression for expression in expressions)
    assert [config["job_name"] for config in scrape["scrape_configs"]] == ["ray"]


SCRIPT = """
import sys, time
from pathlib import Path
import ray
from jobs.watching.watch import Watch
from tests.watched import busy, receipts

port, folder, ray_folder = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
ray.init(num_cpus=1, object_store_memory=100 << 20, include_dashboard=False, _temp_dir=ray_folder,
         _metrics_export_port=port, log_to_driver=False, logging_level="error")
with Watch(folder, "recall", "run-1") as watch, watch.step("looking", 3) as step:
    watch.queue(3, "2026-11-21T10:00:00Z")
    step.advance(watch.receipts(receipts({"content_sha256": "a", "busy": busy(eyes=500.0)})))
    step.advance(watch.receipts(receipts({"content_sha256": "b", "error_code": "damaged"})))
    print("watching", flush=True)
    sys.stdin.read()
ray.shutdown()
"""


def test_ray_shows_them_where_prometheus_scrapes(tmp_path, ray_folder):
    """No dashboard is needed: each node's metrics agent has them after its next report."""
    port = free_port()
    environment = os.environ | {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
    command = [sys.executable, "-c", SCRIPT, str(port), str(tmp_path / f"dt={DAY}"), ray_folder]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as watching:
        try:
            assert watching.stdout.readline() == "watching\n", watching.stderr.read()
            scraped = scrape(port, "ray_nightjar_errors_total", seconds=90)
        finally:
            watching.stdin.close()
            watching.wait(60)
    found = {sample.name: sample.value for sample in nightjar_samples(scraped)}
    errors = [sample.labels for sample in nightjar_samples(scraped) if sample.name == "ray_nightjar_errors_total"]

    assert watching.returncode == 0
    assert found["ray_nightjar_videos_total"] == 2
    assert found["ray_nightjar_frames_total"] == 20
    assert found["ray_nightjar_stage_busy_seconds_total"] == 0.5
    assert found["ray_nightjar_stage_busy_share"] == 1
    assert found["ray_nightjar_step_done"] == 2
    assert found["ray_nightjar_step_size"] == 3
    assert found["ray_nightjar_queue_age_seconds"] > 0
    assert [(labels["code"], labels["job"], labels["day"]) for labels in errors] == [("damaged", "recall", DAY)]


def nightjar_samples(text: str) -> list[Sample]:
    families = text_string_to_metric_families(text)
    return [sample for family in families for sample in family.samples if "nightjar" in sample.name]


def scrape(port: int, until: str, seconds: float) -> str:
    """Return the page once it has a name, or as it is at the end."""
    page, end = "", time.monotonic() + seconds
    while until not in page and time.monotonic() < end:
        time.sleep(1)
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
                page = answer.read().decode()
        except OSError:
            continue  # the agent is not up yet
    return page
