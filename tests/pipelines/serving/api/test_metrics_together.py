"""What several processes count for Prometheus: added up, and kept when one of them ends."""

from __future__ import annotations

import os
import subprocess
import sys

from pipelines.serving.api.metrics import COUNTED_IN, Metrics

COUNTS = """
import sys
from pipelines.serving.api.metrics import SHADOW, Metrics
metrics, requests, in_flight = Metrics(), *map(int, sys.argv[1:])
for _ in range(requests):
    metrics.answered("/v1/check", 200, 0.03)
metrics.in_flight.set(in_flight)
metrics.videos.labels("queued").set(requests)
SHADOW.labels("agree").inc()
print("counted", flush=True)
sys.stdin.readline()
print(metrics.text().decode())
"""
CHECKS = 'nightjar_http_requests_total{route="/v1/check",status="200"}'


def counting(folder, requests: int, in_flight: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", COUNTS, str(requests), str(in_flight)]
    environment = {**os.environ, COUNTED_IN: str(folder)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, env=environment, **pipes)
    assert process.stdout.readline() == "counted\n"
    return process


def said(process: subprocess.Popen[str]) -> dict[str, float]:
    text, _ = process.communicate("say\n", timeout=60)
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#") and line]
    return {name: float(value) for name, _, value in lines}


def test_processes_that_name_the_same_folder_count_together(tmp_path):
    killed, first, second = counting(tmp_path, 5, 1), counting(tmp_path, 2, 3), counting(tmp_path, 4, 6)
    killed.kill()
    killed.communicate(timeout=60)
    found = said(first)
    assert found[CHECKS] == found['nightjar_http_seconds_count{route="/v1/check"}'] == 5 + 2 + 4
    assert found['nightjar_http_seconds_bucket{le="0.05",route="/v1/check"}'] == 5 + 2 + 4
    assert found['nightjar_shadow_total{outcome="agree"}'] == 3
    assert found["nightjar_http_in_flight"] == 3 + 6  # who was killed answers nobody any more
    assert found['nightjar_videos{state="queued"}'] == 4  # all read one queue: the last is right
    assert said(second)[CHECKS] == 5 + 2 + 4  # and nothing is counted less when one has ended


def test_without_a_folder_each_counts_for_itself(monkeypatch):
    monkeypatch.delenv(COUNTED_IN, raising=False)
    first, second = Metrics(), Metrics()
    for _ in range(3):
        first.answered("/v1/check", 200, 0.03)
    assert f"{CHECKS} 3.0" in first.text().decode().splitlines()
    assert CHECKS not in second.text().decode()
