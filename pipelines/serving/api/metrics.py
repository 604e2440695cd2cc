"""What the door counts, for Prometheus.

Where COUNTED_IN names a folder before this process imports prometheus_client, its processes count together there.
"""

from __future__ import annotations

import os
from pathlib import Path

import psutil
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

COUNTED_IN = "PROMETHEUS_MULTIPROC_DIR"  # prometheus_client's own

ROUTES = (
    "/v1/check",
    "/v1/moderations",
    "/v1/videos",
    "/v1/models",
    "/healthz",
    "/readyz",
    "/metrics",
    "/openapi.json",
)
BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

# Counted where uploads are compared, which is behind the door; so it is of the process, whatever doors it has.
SHADOW = Counter("nightjar_shadow", "Uploads that a challenger was to look at.", ["outcome"], registry=None)


class Metrics:
    """Of one process, or of all that count together."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter("nightjar_http_requests", "Requests answered.", ["route", "status"], registry=registry)
        self.seconds = Histogram(
            "nightjar_http_seconds", "Until an answer began.", ["route"], registry=registry, buckets=BUCKETS_S
        )
        self.in_flight = Gauge(
            "nightjar_http_in_flight",
            "Requests with a body under way.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.refusals = Counter("nightjar_http_refusals", "Requests without a verdict.", ["code"], registry=registry)
        self.bytes_in = Counter("nightjar_http_bytes_in", "Bytes of bodies that were read.", registry=registry)
        self.videos = Gauge(
            "nightjar_videos",
            "Videos without a verdict yet.",
            ["state"],
            registry=registry,
            multiprocess_mode="mostrecent",  # all read the same queue
        )
        self.verdicts = Counter("nightjar_verdicts", "Verdicts given.", ["suggestion"], registry=registry)
        registry.register(SHADOW)

    def answered(self, path: str, status: int, seconds: float) -> None:
        """Count one; paths that are no routes are one."""
        route = next((known for known in ROUTES if path == known or path.startswith(known + "/")), "other")
        self.requests.labels(route, str(status)).inc()
        self.seconds.labels(route).observe(seconds)

    def refused(self, code: str) -> None:
        """Count a refusal."""
        self.refusals.labels(code).inc()

    def text(self) -> bytes:
        """All of it, as Prometheus reads it."""
        folder = os.environ.get(COUNTED_IN)
        return generate_latest(_of_all(Path(folder)) if folder else self.registry)


def _of_all(folder: Path) -> CollectorRegistry:
    """What all processes have counted, those that have ended too; what they held then is left out."""
    for path in folder.glob("gauge_live*.db"):
        if not psutil.pid_exists(pid := int(path.stem.rpartition("_")[2])):
            mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]
    together = CollectorRegistry()
    MultiProcessCollector(together, str(folder))  # type: ignore[no-untyped-call]
    return together
